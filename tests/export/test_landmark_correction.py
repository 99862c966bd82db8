"""What the last step of landmark detection learns, and from what (training environment only)."""

import numpy as np
import pytest

pytest.importorskip("pymeshlab", reason="needs the training environment")
pytest.importorskip("fast_simplification", reason="needs the training environment")

from export import landmark_correction
from export.landmark_correction import Found
from freetalk_blender.core.detection.correction import DIFFERENCES
from freetalk_blender.core.detection.surface_fit import prior
from freetalk_blender.core.landmarks import COUNT, MIRRORED


def scans(count: int, seed: int) -> Found:
    """Measurements that tell most of the error: half of how the first source disagrees; some scans are hopeless."""
    rng = np.random.default_rng(seed)
    differences = rng.normal(0, 0.01, (count, COUNT, DIFFERENCES))
    relief = np.tile(rng.normal(0, 0.01, (count, 1)), len(prior().normals))
    left = 0.5 * differences[..., :3] * 90 + rng.normal(0, 0.05, (count, COUNT, 3))
    left[::10] += rng.normal(0, 20, left[::10].shape)
    return Found(np.concatenate([differences.reshape(count, -1), relief], 1), left)


def test_the_error_that_measurements_tell_is_taken_off_on_scans_never_seen() -> None:
    step = landmark_correction.fit(scans(900, 1), penalty=0.01)
    fresh = scans(50, 2)
    good = np.arange(50) % 10 > 0
    before, after = landmark_correction.errors(fresh), landmark_correction.errors(fresh, step)
    assert after[good].mean() < 0.7 * before[good].mean()


def test_left_and_right_learn_alike() -> None:
    step = landmark_correction.fit(scans(60, 3))
    known = scans(4, 5).known
    turned = step(landmark_correction.in_mirror(known))
    assert np.allclose(turned, step(known)[:, MIRRORED] * [-1, 1, 1], atol=1e-9)


def test_a_mirror_exchanges_left_and_right() -> None:
    known = scans(2, 6).known
    known[:, COUNT * DIFFERENCES :] = prior().mean[COUNT:, 0]
    there = landmark_correction.in_mirror(known)
    there, heights = there[:, : COUNT * DIFFERENCES].reshape(2, COUNT, -1), there[:, COUNT * DIFFERENCES :]
    here = known[:, : COUNT * DIFFERENCES].reshape(2, COUNT, -1)
    assert np.array_equal(there[:, 36], here[:, 45] * [-1, 1, 1, -1, 1, 1, -1, 1, 1])
    beside = np.abs(heights + prior().mean[COUNT:, 0])
    assert beside.max() < 10 / 90 and beside.mean() < 3 / 90


def test_errors_are_what_is_left_in_millimetres() -> None:
    known = np.zeros((1, COUNT * DIFFERENCES + len(prior().normals)))
    found = Found(known, np.tile([3.0, 4.0, 0.0], (1, COUNT, 1)))
    assert np.allclose(landmark_correction.errors(found), 5)
