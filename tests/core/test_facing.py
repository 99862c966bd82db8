"""What lies below a point of the upper lip, wherever the lips have slid to."""

import numpy as np
import pytest

from freetalk_blender.core import facing


def bowl(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return 0.4 * z + 0.05 * z**2 - 0.02 * x**2


@pytest.fixture(scope="module")
def lips() -> facing.Facing:
    """Three points 1 mm over a curved lower lip of vertices 0.8 mm apart."""
    x, z = (axis.ravel() for axis in np.meshgrid(np.arange(-10, 10, 0.8), np.arange(-4, 4, 0.8)))
    lower = np.stack([x, bowl(x, z), z], 1)
    upper = np.array([[-4.0, 0, 0], [0.3, 0, 0.2], [5, 0, -1]])
    upper[:, 1] = bowl(upper[:, 0], upper[:, 2]) + 1
    place = np.concatenate([upper, lower])
    return facing.of_lips(np.arange(3), np.arange(3, len(place)), place, place)


def slid(lips: facing.Facing, by: tuple[float, float, float]) -> np.ndarray:
    motion = np.zeros((1, len(lips.place), 3))
    motion[:, lips.upper] = by
    return motion


def test_it_is_the_height_over_the_lower_lip(lips):
    gap, near = lips.gap(slid(lips, (0, -1.6, 0)))
    assert np.allclose(gap, -0.6, atol=0.05) and np.allclose(near, 1)


def test_lips_that_have_slid_are_measured_where_they_are_now(lips):
    gap, near = lips.gap(slid(lips, (0.5, 0, 2)))
    x, y, z = lips.place[lips.upper].T
    assert np.allclose(gap[0], y - bowl(x + 0.5, z + 2), atol=0.08) and np.allclose(near, 1)
    assert np.abs(gap - 1).max() > 0.5, "what lay below at rest is another matter"


def test_no_lip_lies_below_a_point_that_has_slid_beyond_it(lips):
    assert lips.gap(slid(lips, (0, 0, 9)))[1].max() < 1e-9


def test_the_gap_is_smooth_in_the_motion(lips):
    path = np.concatenate([slid(lips, (0, 0, step)) for step in np.linspace(-2, 2, 200)])
    gap, _ = lips.gap(path)
    assert np.abs(np.diff(gap, 2, axis=0)).max() < 0.01
