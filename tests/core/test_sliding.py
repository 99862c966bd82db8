"""The skin of a cut mouth's lips over each other, wherever it has slid to."""

import numpy as np
import pytest

from freetalk_blender.core.lip_contact import facing, sliding
from tests.core.grids import squares

X, Z = np.arange(-10, 10, 0.8), np.arange(-4, 4, 0.8)


def bowl(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return 0.4 * z + 0.05 * z**2 - 0.02 * x**2


def at_rest(columns: np.ndarray = X) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(M,3) three points 1 mm over a curved lower lip, and its back edge, which runs to the left and forward; (F,3) the
    lower lip's triangles; (R,) the edge's rows; columns (C,): x of the lower lip's vertices."""
    x, z = (axis.ravel() for axis in np.meshgrid(columns, Z))
    upper = np.array([[-4.0, 0, 0], [0.3, 0, 0.2], [5, 0, -1]])
    upper[:, 1] = bowl(upper[:, 0], upper[:, 2]) + 1
    along = np.arange(-9, 9.1, 0.6)
    rim = np.stack([along, bowl(along, 0.5 * along - 2), 0.5 * along - 2], 1)
    place = np.concatenate([upper, np.stack([x, bowl(x, z), z], 1), rim])
    return place, 3 + squares(len(columns), len(Z))[:, ::-1], np.arange(3 + len(x), len(place))


@pytest.fixture(scope="module")
def lip() -> sliding.Slid:
    return over_skin(*at_rest())


def over_skin(place: np.ndarray, triangles: np.ndarray, rim: np.ndarray) -> sliding.Slid:
    skin = np.arange(3, rim[0])
    coarse = skin[facing.thinned(place[skin], 1.6)]
    return sliding.over_skin(np.arange(3), coarse, triangles, (rim, rim), place, 1)


def moved(*by: float) -> tuple[np.ndarray, np.ndarray]:
    """(M,1) x + iz and (M,1) y of all, the points moved by some mm."""
    place = at_rest()[0].astype(np.float32)
    place[:3] += by
    x, y, z = place.T[:, :, None]
    return x + 1j * z, y


def drawn(by: float = 0.0) -> np.ndarray:
    return np.full((31, 1), by, np.float32)


def ahead(lip: sliding.Slid, *by: float) -> np.ndarray:
    return lip.ahead(moved(*by)[0], np.arange(3), np.zeros(3, int))


def test_a_point_is_in_front_of_the_rim_where_it_is_now_not_where_it_was(lip):
    x, _, z = at_rest()[0][:3].T
    for by in ((0, 0, 0), (1.5, 0, 1), (-1.5, 0, 0)):
        wanted = ((z + by[2]) - (0.5 * (x + by[0]) - 2)) / np.hypot(1, 0.5)
        assert np.allclose(ahead(lip, *by), wanted, atol=0.1)


def test_a_rim_that_bends_is_as_far_away_as_its_nearest_part(lip):
    plan = moved(0, 0, 0)[0]
    plan[lip.rim] -= 0.12j * plan[lip.rim].real ** 2
    line = np.arange(-9, 9, 0.01)
    bent = line + 1j * (0.5 * line - 2 - 0.12 * line**2)
    wanted = np.abs(plan[:3] - bent).min(1)
    assert np.allclose(lip.ahead(plan, np.arange(3), np.zeros(3, int)), wanted, atol=0.15)


@pytest.mark.parametrize("by", [(0, 0), (0.5, 2), (-1.7, 0.9), (2.2, 0.4)])
def test_a_point_is_measured_over_the_triangle_that_it_has_slid_to(lip, by):
    plan, height = moved(by[0], -1.6, by[1])
    crossing = lip.over(plan, height, drawn())
    front = ahead(lip, by[0], -1.6, by[1]) > 0.05
    assert np.allclose(crossing.counts, 1) and len(crossing.counts) == front.sum()
    x, y, z = at_rest()[0][:3][front].T
    wanted = y - 1.6 - bowl(x + by[0], z + by[1])
    # The bowl lies within 0.02 mm of its triangles.
    assert np.allclose(np.sort(crossing.gap(height)), np.sort(wanted), atol=0.03)


def test_a_large_triangle_beside_many_small_ones_is_found_below_a_point():
    place, triangles, rim = at_rest(np.r_[np.arange(-10, 0, 0.25), np.arange(0, 11, 2.5)])
    place[1] = [0.05, bowl(0.05, 0.2) - 0.6, 0.2]
    x, y, z = place.astype(np.float32).T[:, :, None]
    crossing = over_skin(place, triangles, rim).over(x + 1j * z, y, drawn())
    below = crossing.own == 1
    assert below.sum() == 1 and np.isclose(crossing.counts[below], 1)
    # Straight from 0 to 2.5, the skin lies 0.0025 mm lower there than the bowl.
    assert np.isclose(crossing.gap(y)[below], -0.6, atol=0.01)


def test_skin_is_found_below_a_point_wherever_both_have_gone_and_however_it_was_stretched(lip):
    plan, height = moved(0.6, -1.6, 0.9)
    plan = 1.3 * plan.real + 6 + 1j * (0.8 * plan.imag - 5)
    crossing = lip.over(plan, height, drawn())
    x, y, z = at_rest()[0][:3].T
    wanted = (y - 1.6 - bowl(x + 0.6, z + 0.9))[crossing.own]
    assert len(wanted) == 2, "the third one lies behind the rim"
    assert np.allclose(crossing.gap(height), wanted, atol=0.03)


def test_what_crosses_is_told_at_the_place_of_its_rim_until_it_is_drawn_apart_and_no_further(lip):
    plan, height = moved(0, -1.6, 0)
    crossing = lip.over(plan, height, drawn())
    needed = np.zeros(31)
    needed[lip.place[:2]] = 0.6 - lip.allowed[:2]  # the third one lies behind the rim
    first = crossing.at(height, drawn())[:, 0]
    assert ((first >= needed - 0.03) & (first <= 2 * needed)).all()
    for apart in (0.5, 1.0):
        _, height = moved(0, -1.6 + apart, 0)
        found = crossing.at(height, drawn(apart))
        assert np.allclose(found[:, 0], needed, atol=0.03)


def test_points_behind_the_rim_or_high_above_the_lip_are_not_looked_at(lip):
    assert not len(lip.over(*moved(0, 3, 0), drawn()).counts)
    assert len(lip.over(*moved(0, -1.6, -2.5), drawn()).counts) == 1
    assert len(lip.over(*moved(0, 0, 0), drawn(1.5)).counts) == 2, "they touch once that is taken back"


def test_beyond_the_edge_of_skin_a_point_counts_less_and_less(lip):
    edge = Z[-1] - at_rest()[0][1, 2]
    counts = []
    for step in (-0.1, 0.1, 0.15, 0.3):
        crossing = lip.over(*moved(0, -3, edge + step), drawn())
        counts.append(crossing.counts[crossing.own == 1][0])
    assert counts[0] == 1 and counts[1] > counts[2] > counts[3] == 0


def test_lips_that_lie_in_each_other_at_rest_may(lip):
    folded = lip.allowing(*moved(0, -1.6, 0))
    assert np.allclose(folded.allowed, 0.6, atol=0.03) and lip.allowed.max() < 0.2
    found = folded.over(*moved(0, -1.6, 0), drawn())
    assert not found.at(moved(0, -1.6, 0)[1], drawn()).any()
