"""The calibration of STM's gates finds gates that were there (training environment only)."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pymeshlab", reason="needs the training environment")

import torch

from export import calibrate_stm as calibrate
from freetalk_blender.core.binding import evidence


def test_the_fit_finds_which_groups_speak() -> None:
    rng = np.random.default_rng(0)
    ratios = rng.normal(0, 2, (4000, 6)).astype(np.float32)
    best = 1 / (1 + np.exp(-ratios[:, 0] - 0.5 * ratios[:, 5]))
    errors = np.abs(calibrate.SHARES - best[:, None]).astype(np.float32)
    frames = calibrate.Frames(torch.from_numpy(ratios), torch.from_numpy(errors), np.zeros(4000, int))
    powers, bias = calibrate.fit(frames)
    np.testing.assert_allclose(powers.numpy(), [1, 0, 0, 0, 0, 0.5], atol=0.05)
    np.testing.assert_allclose(bias.numpy(), 0, atol=0.1)


def test_errors_between_shares_are_linear_and_the_gate_is_the_one_in_use() -> None:
    errors = torch.from_numpy((10 * calibrate.SHARES**2)[None].repeat(3, 0))
    found = calibrate.at_share(errors, torch.tensor([0.0, 0.5, 0.55]))
    np.testing.assert_allclose(found.numpy(), [0, 2.5, 3.05], atol=1e-5)
    ratios = np.random.default_rng(1).normal(0, 1, (5, 6)).astype(np.float32)
    stored = (torch.tensor(a, dtype=torch.float32) for a in (evidence.POWERS, evidence.BIAS))
    np.testing.assert_allclose(calibrate.gate(torch.from_numpy(ratios), *stored), evidence.share(ratios), atol=1e-6)
