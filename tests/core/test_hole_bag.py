"""Lips that are apart with a hole behind them, or with the skin that a scanner spanned between them."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from freetalk_blender.core.frame import mean_landmarks
from freetalk_blender.core.mouth import fused_mouth, hole_bag, lip_edges, mouth_web, opening
from freetalk_blender.core.mouth.opened_mouth import BAG, LIP, LOWER, SKIN, UPPER, OpenedMouth, untouched
from freetalk_blender.core.surface.boundary import boundary_edges
from tests.core.test_fused_mouth import sheet


def landmarks(gap: float = 0.0) -> np.ndarray:
    """(68,3) the average face in millimetres, its inner lips `gap` further apart."""
    points = mean_landmarks() * 90
    points[[61, 62, 63], 1] += gap / 2
    points[[65, 66, 67], 1] -= gap / 2
    return points


@pytest.fixture(scope="module")
def mask() -> tuple[np.ndarray, np.ndarray]:
    """Lips cut apart, with nothing behind them: vertices (V,3), triangles (F,3)."""
    cut = fused_mouth.open_lips(*sheet(), landmarks())
    vertices = cut.skin_vertices.copy()
    vertices[cut.lower_rim[1:-1], 1] -= 0.3
    return vertices, cut.skin_triangles


@pytest.fixture(scope="module")
def closed(mask) -> OpenedMouth:
    return hole_bag.closed(untouched(*mask), hole_bag.find(*mask, landmarks()), mask[1], landmarks())


def open_edges(triangles: np.ndarray) -> int:
    return len(boundary_edges(triangles))


def test_the_hole_behind_the_lips_is_found_and_no_other(mask):
    hole = hole_bag.find(*mask, landmarks())
    ends = np.stack([hole.vertices, np.roll(hole.vertices, -1)], 1)
    assert {tuple(edge) for edge in ends.tolist()} <= {tuple(edge) for edge in boundary_edges(mask[1]).tolist()}
    assert np.isin(ends, mask[1][hole.owner]).all()
    assert hole_bag.find(*sheet(), landmarks()) is None, "the sheet's own border lies outside the mouth"


def test_the_bag_closes_the_hole_and_faces_as_the_skin_does(mask, closed):
    assert np.array_equal(closed.vertices[: len(mask[0])], mask[0])
    assert open_edges(closed.triangles) == open_edges(sheet()[1])
    directed = np.stack([closed.triangles, np.roll(closed.triangles, -1, 1)], 2).reshape(-1, 2)
    assert len(np.unique(directed, axis=0)) == len(directed)
    assert {SKIN, LIP, BAG} == set(closed.part.tolist())
    assert np.allclose(closed.source.sum(1), 1) and np.allclose(closed.corner_weights.sum(2), 1)


def test_the_bag_lies_behind_the_lips_and_follows_them(closed):
    bag, side = closed.vertices[closed.skin_count :], closed.side[closed.skin_count :]
    assert 20 < landmarks()[62, 2] - bag[:, 2].min() < 50
    skin = np.zeros((1, closed.skin_count, 3), np.float32)
    skin[0, fused_mouth.open_lips(*sheet(), landmarks()).lower_rim[1:-1], 1] = -10
    moved = closed.carried(skin)[0, closed.skin_count :, 1]
    assert moved[side == LOWER].mean() < -2 < moved[side == UPPER].mean()


def test_the_bag_looks_as_the_rim_before_it_and_is_a_lip_in_its_middle_alone(closed):
    bag = slice(closed.skin_count, None)
    rim = closed.source[bag] @ closed.vertices[: closed.source.shape[1]]
    assert np.corrcoef(rim[:, 0], closed.vertices[bag, 0])[0, 1] > 0.98
    lip = np.unique(closed.triangles[closed.part == LIP])
    lip = lip[lip >= closed.skin_count]
    place, begins = closed.vertices[lip], rim[lip - closed.skin_count]
    assert np.abs(place[:, 0] - rim[:, 0].mean()).max() < 0.35 * np.ptp(rim[:, 0])
    assert (begins - place)[:, 2].max() < 6


def test_a_mask_turned_inside_out_gets_the_same_bag_turned_inside_out(mask, closed):
    vertices, triangles = mask[0], np.ascontiguousarray(mask[1][:, ::-1])
    hole = hole_bag.find(vertices, triangles, landmarks())
    turned = hole_bag.closed(untouched(vertices, triangles), hole, triangles, landmarks())
    apart, twin = cKDTree(closed.vertices).query(turned.vertices)
    assert apart.max() < 1e-3 and np.array_equal(turned.side, closed.side[twin])
    directed = np.stack([turned.triangles, np.roll(turned.triangles, -1, 1)], 2).reshape(-1, 2)
    assert len(np.unique(directed, axis=0)) == len(directed)


def test_a_web_between_open_lips_is_taken_out_and_a_bag_put_behind():
    vertices, triangles = sheet()
    points = landmarks(12)
    assert lip_edges.stand_open(*sheet(), points) and not lip_edges.stand_open(*sheet(), landmarks())
    opened, notes = opening.opened(vertices, triangles, points, "dark")
    assert not notes and np.array_equal(opened.vertices[: len(vertices)], vertices)
    assert open_edges(opened.triangles) == open_edges(triangles)
    web = opened.vertices[opened.triangles[opened.part == SKIN]].mean(1)
    inside = (np.abs(web[:, 0]) < 12) & (np.abs(web[:, 1] - points[60:68, 1].mean()) < 3)
    assert not inside.any(), "no skin is left between the lips"


@pytest.mark.parametrize(("point", "corner", "beyond"), [(61, 60, 0.0), (65, 64, 2.0)])
def test_a_point_of_a_lip_that_lies_over_or_beyond_a_corner_ends_nothing(point: int, corner: int, beyond: float):
    """As a hand may place it, or a network on a laugh: Animate ended in "`x` must be strictly increasing sequence"."""
    points = landmarks(12)
    points[point, 0] = points[corner, 0] + beyond * np.sign(points[corner, 0])
    (opened, notes), (usual, _) = (opening.opened(*sheet(), marks, "dark") for marks in (points, landmarks(12)))
    assert not notes and BAG in opened.part
    assert len(opened.triangles) == pytest.approx(len(usual.triangles), rel=0.05)
    moved = opening.on_lips(*sheet(), points) - points
    assert np.abs(np.delete(moved[:, :2], point, 0)).max() < 0.01


def as_islands(triangles: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row of squares a piece of its own, as a texture's islands are: the vertices (V,) it was, and triangles."""
    island = np.arange(len(triangles)) // (2 * (columns - 1))
    pairs, corner = np.unique(np.c_[np.repeat(island, 3), triangles.ravel()], axis=0, return_inverse=True)
    return pairs[:, 1], corner.reshape(-1, 3).astype(np.int32)


def test_skin_beside_a_web_stays_where_a_texture_splits_it():
    """The islands at the lips are small, and would go with the web that they hung on."""
    vertices, triangles = sheet()
    own, islands = as_islands(triangles, 61)
    removed = mouth_web.removed(vertices[own], islands, landmarks(12))
    assert len(removed.triangles) == len(mouth_web.removed(vertices, triangles, landmarks(12)).triangles)


def laugh(teeth: float) -> tuple[np.ndarray, np.ndarray]:
    """Lips 12 mm apart around a hole, in which so many mm of teeth hang on the upper one: vertices, triangles."""
    vertices, triangles = sheet()
    place = vertices[triangles].mean(1) - landmarks()[60:68].mean(0)
    hole = (np.abs(place[:, 0]) < 21) & (np.abs(place[:, 1] + teeth / 2) < 6 - teeth / 2)
    return vertices, triangles[~hole]


def test_teeth_that_hang_on_the_lips_of_a_laugh_are_taken_out():
    """They moved with the upper lip, and lips could not meet in front of them."""
    vertices, triangles = laugh(teeth=5.0)
    points = landmarks(12)
    assert not fused_mouth.state(vertices, triangles, points).fused
    opened, notes = opening.opened(vertices, triangles, points, "dark")
    middle = opened.vertices[opened.triangles[opened.part == SKIN]].mean(1) - points[60:68].mean(0)
    assert not notes and BAG in opened.part
    assert not ((np.abs(middle[:, 0]) < 12) & (np.abs(middle[:, 1]) < 5)).any()
    assert not mouth_web.found(*laugh(teeth=0.5), points, fused=False), "what is as thin is the lips' edge"


@pytest.mark.parametrize(("gap", "deep", "open_lips"), [(0, 4, False), (2, 1.5, False), (2, 4, True), (5, 0, True)])
def test_lips_a_little_apart_stand_open_where_teeth_lie_deep_between_them(gap: float, deep: float, open_lips: bool):
    """Teeth of a slight smile stayed on the lower lip, which could not meet the other; a crease is no mouth."""
    vertices, triangles = sheet(121, 121, None, depth=0.0)
    inner = landmarks(gap)[60:68]
    between = (np.abs(vertices[:, 0]) < 24) & (np.abs(vertices[:, 1] - inner[:, 1].mean()) < np.ptp(inner[:, 1]) / 2)
    vertices[between, 2] -= deep
    assert lip_edges.stand_open(vertices, triangles, landmarks(gap)) == open_lips


def test_inner_lips_that_lie_on_teeth_go_to_the_edges_of_the_lips():
    """So they are found on a laugh, 2 mm inside its lips, which then stayed apart where they should shut."""
    vertices, triangles = sheet(121, 121, None, depth=0.0)
    middle = landmarks()[60:68].mean(0)
    step = (np.abs(vertices[:, 0]) < 24) & (np.abs(vertices[:, 1] - middle[1]) < 6)
    vertices[step, 2] -= 5
    moved = opening.on_lips(vertices, triangles, landmarks(8))
    assert np.abs(np.abs(moved[[62, 66], 1] - middle[1]) - 6).max() < 0.6
    assert np.abs(moved[[62, 66], 2] - vertices[~step, 2].max()).max() < 0.6
    others = np.setdiff1d(np.arange(68), [61, 62, 63, 65, 66, 67])
    assert np.array_equal(moved[others], landmarks(8)[others])
    left = mouth_web.removed(vertices, triangles, landmarks(8))
    place = left.vertices[left.triangles].mean(1) - middle
    assert not ((np.abs(place[:, 0]) < 15) & (np.abs(place[:, 1]) < 5)).any(), "teeth go to the lips' edges"
    assert np.array_equal(opening.on_lips(vertices, triangles, landmarks()), landmarks()), "lips that touch stay"
