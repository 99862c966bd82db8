"""What lies below a point of the upper lip, wherever the lips have slid to."""

import numpy as np
import pytest
import scipy.sparse as sparse

from freetalk_blender.core.lip_contact import facing


def bowl(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return 0.4 * z + 0.05 * z**2 - 0.02 * x**2


def at_rest() -> np.ndarray:
    """(N,3) three points 1 mm over a curved lower lip of vertices 0.8 mm apart."""
    x, z = (axis.ravel() for axis in np.meshgrid(np.arange(-10, 10, 0.8), np.arange(-4, 4, 0.8)))
    upper = np.array([[-4.0, 0, 0], [0.3, 0, 0.2], [5, 0, -1]])
    upper[:, 1] = bowl(upper[:, 0], upper[:, 2]) + 1
    return np.concatenate([upper, np.stack([x, bowl(x, z), z], 1)])


def facing_each_other(place: np.ndarray, count: int) -> facing.Facing:
    """The first `count` vertices of place (N,3) over the others."""
    each = sparse.identity(len(place), format="csr")
    return facing.of_lips(each[:count], each[count:], place)


@pytest.fixture(scope="module")
def lips() -> facing.Facing:
    return facing_each_other(at_rest(), 3)


def slid(lips: facing.Facing, by: tuple[float, float, float]) -> np.ndarray:
    """(3,N,1) places of all, the points moved by some mm."""
    place = (lips.shares @ at_rest()[lips.vertices]).astype(np.float32)
    place[: len(lips.below)] += by
    return place.T[:, :, None]


def test_it_is_the_height_over_the_lower_lip(lips):
    gap, near = lips.gap(slid(lips, (0, -1.6, 0)))
    assert np.allclose(gap, -0.6, atol=0.05) and np.allclose(near, 1)


def test_lips_that_have_slid_are_measured_where_they_are_now(lips):
    gap, near = lips.gap(slid(lips, (0.5, 0, 2)))
    x, y, z = at_rest()[:3].T
    assert np.allclose(gap[:, 0], y - bowl(x + 0.5, z + 2), atol=0.08) and np.allclose(near, 1)
    assert np.abs(gap - 1).max() > 0.5, "what lay below at rest is another matter"


def test_no_lip_lies_below_a_point_that_has_slid_beyond_it(lips):
    assert lips.gap(slid(lips, (0, 0, 9)))[1].max() < 1e-9


def test_planes_are_worked_out_once_for_points_that_only_rise_and_sink(lips):
    place = slid(lips, (0.5, 0, 2))
    over = lips.over(place, np.ones((3, 1), bool))
    place[1] += np.random.default_rng(3).normal(0, 1, place[1].shape)
    assert np.allclose(over.gap(place[1]), lips.gap(place)[0], atol=1e-4)


def test_only_points_that_were_asked_for_are_looked_at(lips):
    place = slid(lips, (0, -1.6, 0))
    over = lips.over(place, np.array([[True], [False], [True]]))
    assert over.share.shape[1] == 2
    assert np.allclose(over.gap(place[1])[:, 0], [-0.6, facing.FAR, -0.6], atol=0.05)
    assert lips.within(place[1], np.zeros((3, 1))).all()
    assert not lips.within(slid(lips, (0, 5, 0))[1], np.zeros((3, 1))).any()


def test_the_gap_is_smooth_in_the_motion(lips):
    path = np.concatenate([slid(lips, (0, 0, step)) for step in np.linspace(-2, 2, 200)], 2)
    gap, _ = lips.gap(path)
    assert np.abs(np.diff(gap, 2, axis=1)).max() < 0.01


def test_a_lip_of_one_ragged_row_of_vertices_is_no_slope() -> None:
    x, off = np.arange(-8, 8, 0.8), np.tile([-0.05, 0.05], 10)
    row = np.stack([x, 4 * off, off], 1)
    place = np.concatenate([[[0.1, 1.0, 0.8]], row])
    lips = facing_each_other(place, 1)
    gap, near = lips.gap((lips.shares @ place[lips.vertices]).T[:, :, None].astype(np.float32))
    assert near[0, 0] == 1 and gap[0, 0] == pytest.approx(1, abs=0.3)


def test_lips_meet_first_in_a_points_column_and_in_those_beside_it() -> None:
    x = np.repeat(np.arange(0.0, 12.0, 1.5), 2)
    columns, apart = facing.columns(x), np.full((16, 1), 3.0)
    apart[7] = 1.0
    assert columns.least(apart)[:, 0].tolist() == [3.0] * 4 + [1.0] * 6 + [3.0] * 6
