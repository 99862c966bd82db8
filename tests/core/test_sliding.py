"""The skin of a cut mouth's lips over each other, wherever it has slid to."""

import numpy as np
import pytest

from freetalk_blender.core import facing, sliding

X, Z = np.arange(-10, 10, 0.8), np.arange(-4, 4, 0.8)


def bowl(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return 0.4 * z + 0.05 * z**2 - 0.02 * x**2


@pytest.fixture(scope="module")
def lip() -> sliding.Slid:
    """Three points 1 mm over a curved lower lip, beside its back edge, which runs to the left and forward."""
    x, z = (axis.ravel() for axis in np.meshgrid(X, Z))
    lower = np.stack([x, bowl(x, z), z], 1)
    upper = np.array([[-4.0, 0, 0], [0.3, 0, 0.2], [5, 0, -1]])
    upper[:, 1] = bowl(upper[:, 0], upper[:, 2]) + 1
    along = np.arange(-9, 9.1, 0.6)
    rim = np.stack([along, bowl(along, 0.5 * along - 2), 0.5 * along - 2], 1)
    place = np.concatenate([upper, lower, rim])
    corner = (3 + np.arange(len(x)).reshape(len(Z), len(X)))[:-1, :-1].ravel()
    right, front = corner + 1, corner + len(X)
    triangles = np.concatenate([np.stack([corner, front, right], 1), np.stack([right, front, front + 1], 1)])
    skin, other = np.arange(3, 3 + len(x)), np.arange(3 + len(x), len(place))
    near = facing.of_lips(np.arange(3), skin, place, place, 1, 1.6, (3.0, 7.0))
    return sliding.over_rim(near, triangles, other, other, place)


def moved(lip: sliding.Slid, *by: float) -> np.ndarray:
    """(3,N,1) places of all, the points moved by some mm."""
    motion = np.zeros((3, len(lip.facing.rest), 1), np.float32)
    motion[:, lip.facing.upper] = np.reshape(by, (3, 1, 1))
    return lip.facing.moved(motion)


def drawn(lip: sliding.Slid, by: float = 0.0) -> np.ndarray:
    return np.full((31, 1), by, np.float32)


def ahead(lip: sliding.Slid, *by: float) -> np.ndarray:
    place = moved(lip, *by)
    return lip.ahead(place[0] + 1j * place[2], np.arange(3), np.zeros(3, int))


def test_a_point_is_in_front_of_the_rim_where_it_is_now_not_where_it_was(lip):
    x, _, z = lip.facing.rest[lip.facing.upper].T
    for by in ((0, 0, 0), (1.5, 0, 1), (-1.5, 0, 0)):
        wanted = ((z + by[2]) - (0.5 * (x + by[0]) - 2)) / np.hypot(1, 0.5)
        assert np.allclose(ahead(lip, *by), wanted, atol=0.1)


@pytest.mark.parametrize("by", [(0, 0), (0.5, 2), (-1.7, 0.9), (2.2, 0.4)])
def test_a_point_is_measured_over_the_triangle_that_it_has_slid_to(lip, by):
    place = moved(lip, by[0], -1.6, by[1])
    crossing = lip.over(place, drawn(lip))
    front = ahead(lip, by[0], -1.6, by[1]) > 0.05
    assert np.allclose(crossing.counts, 1) and len(crossing.counts) == front.sum()
    x, y, z = lip.facing.rest[lip.facing.upper][front].T
    wanted = y - 1.6 - bowl(x + by[0], z + by[1])
    # The bowl lies within 0.02 mm of its triangles.
    assert np.allclose(np.sort(crossing.gap(place[1, crossing.rows])), np.sort(wanted), atol=0.03)


def test_what_crosses_is_told_at_the_place_of_its_rim_until_it_is_drawn_apart_and_no_further(lip):
    place = moved(lip, 0, -1.6, 0)
    crossing = lip.over(place, drawn(lip))
    needed = np.zeros(31)
    needed[lip.place[:2]] = 0.6 - lip.allowed[:2]  # the third one lies behind the rim
    first = crossing.at(place[1, crossing.rows], drawn(lip))[:, 0]
    assert ((first >= needed - 0.03) & (first <= 2 * needed)).all()
    for apart in (0.5, 1.0):
        place = moved(lip, 0, -1.6 + apart, 0)
        found = crossing.at(place[1, crossing.rows], drawn(lip, apart))
        assert np.allclose(found[:, 0], needed, atol=0.03)


def test_points_behind_the_rim_or_high_above_the_lip_are_not_looked_at(lip):
    assert not len(lip.over(moved(lip, 0, 3, 0), drawn(lip)).counts)
    assert len(lip.over(moved(lip, 0, -1.6, -2.5), drawn(lip)).counts) == 1
    assert len(lip.over(moved(lip, 0, 0, 0), drawn(lip, 1.5)).counts) == 2, "they touch once that is taken back"


def test_beyond_the_edge_of_skin_a_point_counts_less_and_less(lip):
    edge = Z[-1] - lip.facing.rest[lip.facing.upper[1], 2]
    counts = []
    for step in (-0.1, 0.1, 0.15, 0.3):
        crossing = lip.over(moved(lip, 0, -3, edge + step), drawn(lip))
        counts.append(crossing.counts[crossing.own == np.flatnonzero(crossing.rows == lip.facing.upper[1])[0]][0])
    assert counts[0] == 1 and counts[1] > counts[2] > counts[3] == 0


def test_lips_that_lie_in_each_other_at_rest_may(lip):
    folded = lip.allowing(moved(lip, 0, -1.6, 0))
    assert np.allclose(folded.allowed, 0.6, atol=0.03) and lip.allowed.max() < 0.2
    found = folded.over(moved(lip, 0, -1.6, 0), drawn(lip))
    assert not found.at(moved(lip, 0, -1.6, 0)[1, found.rows], drawn(lip)).any()
