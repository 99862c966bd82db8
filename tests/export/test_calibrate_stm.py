"""The calibration of STM's gates finds gates that were there (training environment only)."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pymeshlab", reason="needs the training environment")

import torch

from export import calibrate_stm as calibrate
from freetalk_blender.core import evidence


def test_the_fit_finds_which_group_speaks_for_which_region() -> None:
    rng = np.random.default_rng(0)
    ratios = rng.normal(0, 2, (4000, 6)).astype(np.float32)
    best = 1 / (1 + np.exp(-ratios[:, [0, 2, 4]]))
    errors = np.abs(calibrate.SHARES - best[..., None]).astype(np.float32)
    frames = calibrate.Frames(torch.from_numpy(ratios), torch.from_numpy(errors), np.zeros(4000, int))
    powers, bias = calibrate.fit(frames)
    expected = np.zeros((3, 6))
    expected[[0, 1, 2], [0, 2, 4]] = 1
    np.testing.assert_allclose(powers.numpy(), expected, atol=0.05)
    np.testing.assert_allclose(bias.numpy(), 0, atol=0.1)


def test_errors_between_shares_are_linear_and_gates_are_those_in_use() -> None:
    errors = torch.from_numpy((10 * calibrate.SHARES**2)[None, None].repeat(3, 1))
    found = calibrate.at_share(errors, torch.tensor([[0.0, 0.5, 0.55]]))
    np.testing.assert_allclose(found.numpy(), [[0, 2.5, 3.05]], atol=1e-5)
    ratios = np.random.default_rng(1).normal(0, 1, (5, 6)).astype(np.float32)
    stored = (torch.tensor(a, dtype=torch.float32) for a in (evidence.POWERS, evidence.BIAS))
    np.testing.assert_allclose(calibrate.gates(torch.from_numpy(ratios), *stored), evidence.shares(ratios), atol=1e-6)
