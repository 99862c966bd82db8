"""The bag behind the lips: behind the skin, and carried by the lip that each half belongs to."""

import numpy as np
import pytest

from freetalk_blender.core.mouth import mouth_bag
from tests.core.grids import squares

RINGS = len(mouth_bag.INWARD)
BACK = RINGS - 1


def seam(count: int = 25) -> np.ndarray:
    """(count,3) a bowed lip line of 50 mm."""
    x = np.linspace(-25, 25, count)
    return np.stack([x, np.cos(np.pi * x / 50), -0.01 * x**2], 1)


def skin(above: float, below: float) -> tuple[np.ndarray, np.ndarray]:
    """Skin around the lips that recedes by so many mm for each mm above and below them: vertices, triangles."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-40, 40, 81), np.linspace(-30, 30, 61)))
    return np.stack([x, y, 2 - above * np.maximum(y, 0) - below * np.maximum(-y, 0)], 1), squares(81, 61)


def built(above: float = 0.0, below: float = 0.0) -> mouth_bag.Bag:
    return mouth_bag.build(seam(), *skin(above, below), True)


def test_where_skin_recedes_that_half_is_flattened_until_it_lies_behind_it():
    plain, receding = built(), built(above=2.5)
    upper, lower = plain.side > 0, plain.side < 0
    middle = np.abs(plain.points[:, 0]) < 1
    assert np.array_equal(receding.points[~upper], plain.points[~upper])
    assert receding.points[upper & middle, 1].max() < plain.points[upper & middle, 1].max() - 2
    deep = receding.points[receding.ring >= mouth_bag.LIP_RINGS]
    surface = np.where(deep[:, 1] > 0, 2 - 2.5 * deep[:, 1], 2)
    assert (deep[:, 2] < surface - mouth_bag.CLEARANCE).all()
    assert lower.any() and built(below=2.5).points[lower, 1].min() > plain.points[lower, 1].min() + 2


def test_the_bag_is_flat_at_the_corners_wherever_the_mouth_is():
    bag, beside = built(), (30.0, 0.0, 0.0)
    points, triangles = skin(0, 0)
    moved = mouth_bag.build(seam() + beside, points + beside, triangles, True)
    assert np.allclose(moved.points, bag.points + beside)
    back = bag.points[bag.ring == BACK], bag.column[bag.ring == BACK]
    high = [np.ptp(back[0][back[1] == column, 1]) for column in (0, 1, len(seam()) // 2)]
    assert high[0] == 0 and 0 < high[1] < high[2] / 3 and high[2] > 10


def test_the_bag_narrows_and_levels_out_towards_its_back():
    """So it stays inside the cheeks, whatever the bow of the lips."""
    bag = built()
    width = [np.ptp(bag.points[bag.ring == ring, 0]) for ring in range(RINGS)]
    assert (np.diff(width) < 0).all() and width[BACK] < 0.7 * width[0]
    corners = bag.points[(bag.ring == BACK) & (bag.side == 0), 1]
    assert np.allclose(corners, seam()[:, 1].mean())


def test_a_mouth_that_moves_as_one_takes_its_lips_along_and_leaves_the_palate():
    bag = built()
    taken = np.asarray(bag.follow.sum(1)).ravel()
    upper, lower, corner = (taken[bag.side == side].reshape(RINGS, -1) for side in (1, -1, 0))
    for share in (upper, lower, corner):
        assert np.allclose(share, share[:, :1]) and np.allclose(share[:2], 1)
        assert (np.diff(share[1:], axis=0) < 0).all()
    assert upper[BACK, 0] < 0.5 < lower[BACK, 0] < 0.8
    assert np.allclose(corner[:, 0], (upper[:, 0] + lower[:, 0]) / 2)


def test_the_inside_of_a_lip_follows_the_edge_before_it_and_the_back_a_stretch_of_it():
    bag, count = built(), len(seam())
    weights = bag.follow.toarray()
    own = (bag.column == count // 2) & (bag.side > 0)
    edge = weights[own] / weights[own].sum(1, keepdims=True)
    assert edge[0].argmax() == count // 2 and edge[0].max() == pytest.approx(1)
    assert (np.diff(edge.max(1))[1:] < 0).all() and edge[BACK].max() < 0.15
    assert not weights[bag.side > 0, count:].any() and not weights[bag.side < 0, :count].any()


def test_a_corner_that_is_of_both_lips_carries_both_halves():
    """The border of a hole: right corner, upper lip, left corner, lower lip."""
    along, rim = np.array([0.0, 0.5, 1.0, 0.5]), np.array([0, 1, 0, -1])
    side = np.array([1, -1, 1, -1])
    weights = mouth_bag.follow(along, rim, np.array([0.0, 0.0, 0.5, 0.5]), np.zeros(4, int), side).toarray()
    assert np.allclose(weights, [[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def test_the_first_rings_alone_look_like_lips():
    bag = built()
    ring = np.append(bag.ring, np.full(2 * len(seam()), -1))
    deepest = ring[bag.triangles].max(1)
    assert np.array_equal(bag.is_lip, deepest < mouth_bag.LIP_RINGS)
