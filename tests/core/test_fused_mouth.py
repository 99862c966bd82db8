"""Opening a fused mouth: what is cut, what is added, and what stays as it was."""

import itertools
import sys

import numpy as np
import pytest
from scipy.spatial import cKDTree

from freetalk_blender.core.errors import LandmarkError, MeshError
from freetalk_blender.core.frame import mean_landmarks
from freetalk_blender.core.mouth import fused_mouth, lip_line, mouth_curve, mouth_patch
from freetalk_blender.core.surface import mesh
from freetalk_blender.core.surface.boundary import boundary_edges
from freetalk_blender.core.surface.edges import edges_of
from tests.core.grids import squares

WIDTH = 46.0


def landmarks() -> np.ndarray:
    """(68,3) the average face in millimetres."""
    return mean_landmarks() * 90


def crease(x: np.ndarray) -> np.ndarray:
    """Height of the true lip line of `sheet` at x: a bow, off the straight line between the landmarks."""
    points = landmarks()
    middle = points[60:68, 1].mean()
    return middle + 1.2 * np.cos(np.pi * x / WIDTH)


def sheet(columns: int = 61, rows: int = 61, seed: int | None = 0, depth: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Fused lips: a curved sheet with a crease along `crease`, irregular triangles; vertices (V,3), triangles (F,3)."""
    points = landmarks()
    u, v = np.meshgrid(np.linspace(-60, 60, columns), np.linspace(-50, 50, rows))
    x, y = u.ravel(), v.ravel() + points[60:68, 1].mean()
    if seed is not None:
        rng = np.random.default_rng(seed)
        inner = (np.abs(u.ravel()) < 59) & (np.abs(v.ravel()) < 49)
        x = x + inner * rng.uniform(-0.3, 0.3, x.shape) * 120 / columns
        y = y + inner * rng.uniform(-0.3, 0.3, y.shape) * 100 / rows
    groove = depth * np.exp(-(((y - crease(x)) / 2) ** 2)) / (1 + np.exp((np.abs(x) - 0.52 * WIDTH) / 2))
    z = points[62, 2] + 4 - 0.02 * x**2 - groove
    return np.stack([x, y, z], 1).astype(np.float32), squares(columns, rows).astype(np.int32)


def edge_uses(triangles: np.ndarray) -> np.ndarray:
    return np.bincount(edges_of(triangles)[1].ravel())


@pytest.fixture(scope="module")
def opened() -> fused_mouth.OpenedMouth:
    return fused_mouth.open_lips(*sheet(), landmarks())


@pytest.mark.parametrize("columns", [7, 15, 21, 31])
def test_a_coarse_scan_is_cut_without_a_crack_where_finer_triangles_end(columns):
    vertices, triangles = sheet(columns, columns)
    answer = fused_mouth.open_lips(vertices, triangles, landmarks())
    skin = answer.triangles[answer.part == fused_mouth.SKIN]
    rims = {*answer.upper_rim.tolist(), *answer.lower_rim.tolist()}
    before = {tuple(sorted(edge)) for edge in boundary_edges(triangles).tolist()}
    after = {tuple(sorted(edge)) for edge in boundary_edges(skin).tolist() if not rims >= set(edge)}
    assert after == before


def test_a_mesh_whose_triangles_are_as_large_as_lips_is_told_to_be_too_coarse():
    """It was told that its landmarks lie beside it, or its mouth corners on different pieces, which nobody can join."""
    with pytest.raises(MeshError, match="too few vertices around the mouth"):
        fused_mouth.open_lips(*sheet(5, 4, None), landmarks())


def test_a_vertex_that_was_flung_far_away_is_no_part_of_the_mouth():
    vertices, triangles = sheet()
    beside = landmarks()[54] + [mouth_patch.MARGIN[0] + 1, 0, 0]
    vertices[np.argmin(np.linalg.norm((vertices - beside)[:, :2], axis=1))] = 1e6
    patch = mouth_patch.mouth_patch(vertices, triangles, landmarks())
    assert np.abs(patch.points).max() < 300


def test_fused_lips_are_told_from_open_ones(opened):
    vertices, triangles = sheet()
    assert fused_mouth.state(vertices, triangles, landmarks()).fused
    assert not fused_mouth.state(opened.vertices, opened.triangles, landmarks()).fused
    with pytest.raises(MeshError, match="already apart"):
        fused_mouth.open_lips(opened.vertices, opened.triangles, landmarks())


def test_the_callers_vertices_stay(opened):
    vertices, triangles = sheet()
    assert np.array_equal(opened.vertices[: len(vertices)], vertices)
    assert np.array_equal(opened.triangles[: opened.kept], triangles[opened.triangle_source[: opened.kept]])


def test_the_surface_stays_a_manifold_that_faces_one_way(opened):
    directed = np.stack([opened.triangles, np.roll(opened.triangles, -1, 1)], 2).reshape(-1, 2)
    assert len(np.unique(directed, axis=0)) == len(directed)
    _, triangles = sheet()
    assert (edge_uses(opened.triangles) == 1).sum() == (edge_uses(triangles) == 1).sum(), "no border but the old one"
    assert edge_uses(opened.triangles).max() == 2
    assert len(np.unique(mesh.connected_components(opened.triangles, len(opened.vertices)))) == 1


def test_the_rims_are_two_surfaces_at_one_place_from_corner_to_corner(opened):
    upper, lower = opened.upper_rim, opened.lower_rim
    assert np.array_equal(opened.vertices[upper], opened.vertices[lower])
    assert upper[0] == lower[0] and upper[-1] == lower[-1]
    assert not set(upper[1:-1]) & set(lower[1:-1])
    corners = opened.vertices[upper[[0, -1]]]
    assert np.linalg.norm((corners - landmarks()[[60, 64]])[:, :2], axis=1).max() < 3
    assert (opened.side[upper[1:-1]] == fused_mouth.UPPER).all() and (
        opened.side[lower[1:-1]] == fused_mouth.LOWER
    ).all()
    uses = edge_uses(opened.skin_triangles)
    _, triangles = sheet()
    assert (uses == 1).sum() == (edge_uses(triangles) == 1).sum() + 2 * (len(upper) - 1)


@pytest.mark.parametrize(("columns", "rows", "limit"), [(15, 13, 1.6), (31, 31, 0.8), (61, 61, 0.6), (241, 201, 0.6)])
def test_the_seam_follows_the_crease_on_any_density(columns, rows, limit):
    points = landmarks() + np.random.default_rng(5).normal(size=(68, 3)) * 0.8
    answer = fused_mouth.open_lips(*sheet(columns, rows), points)
    seam = answer.vertices[answer.upper_rim]
    inside = np.abs(seam[:, 0]) < 0.4 * WIDTH
    assert np.abs(seam[inside, 1] - crease(seam[inside, 0])).mean() < limit
    step = np.linalg.norm(np.diff(seam, axis=0), axis=1)
    assert step.max() < 3.0
    turn = np.diff(seam, axis=0)[:, :2] / np.linalg.norm(np.diff(seam, axis=0)[:, :2], axis=1, keepdims=True)
    assert np.degrees(np.arccos(np.clip((turn[1:] * turn[:-1]).sum(1), -1, 1))).mean() < 12, "no zigzag"


def test_the_seam_of_a_face_without_a_crease_follows_the_landmarks():
    vertices, triangles = sheet(21, 17, depth=0.0)
    vertices[:, 2] += np.random.default_rng(1).normal(size=len(vertices)) * 0.05
    answer = fused_mouth.open_lips(vertices, triangles, landmarks())
    height = mouth_curve.mouth_curve(landmarks()).above(answer.vertices[answer.upper_rim].astype(float))
    assert np.abs(height).max() < 1.0, "it goes astray by 3 mm where noise passes for a crease"


def test_new_skin_vertices_and_corners_know_where_they_came_from(opened):
    vertices, triangles = sheet()
    skin = slice(len(vertices), opened.skin_count)
    assert np.allclose(opened.source.sum(1), 1)
    offset = np.linalg.norm(opened.source[skin] @ vertices - opened.vertices[skin], axis=1)
    assert np.median(offset) < 1e-4 and offset.max() < 1.0, "the seam alone is smoothed"
    new = opened.triangles[opened.kept :]
    place = np.einsum("gks,gsc->gkc", opened.corner_weights, vertices[triangles[opened.triangle_source[opened.kept :]]])
    is_skin = opened.part[opened.kept :] == fused_mouth.SKIN
    error = np.linalg.norm(place - opened.vertices[new], axis=2)[is_skin]
    assert np.quantile(error, 0.9) < 0.5 and error.max() < 2.0


def test_the_bag_lies_behind_the_skin_and_is_deep(opened):
    bag = opened.vertices[opened.skin_count :]
    vertices, _ = sheet()
    front = vertices[cKDTree(vertices[:, :2]).query(bag[:, :2])[1], 2]
    assert (bag[:, 2] < front + 0.3).all()
    seam = opened.vertices[opened.upper_rim]
    assert 20 < seam[:, 2].mean() - bag[:, 2].min() < 45
    inside = opened.side[opened.skin_count :]
    height = bag[:, 1] - np.interp(bag[:, 0], seam[:, 0], seam[:, 1])
    assert height[inside > 0].mean() > 1 and height[inside < 0].mean() < -1


def test_the_bag_follows_lips_and_jaw(opened):
    skin = np.zeros((2, opened.skin_count, 3), np.float32)
    skin[1, opened.lower_rim[1:-1], 1] = -10
    moved = opened.carried(skin)
    assert moved.shape == (2, len(opened.vertices), 3) and not moved[0].any()
    inside, side = moved[1, opened.skin_count :, 1], opened.side[opened.skin_count :]
    assert (np.abs(inside[side > 0]) < 1e-6).all(), "the upper half stays with the skull"
    assert inside[side < 0].max() < -2 and inside[side < 0].min() >= -10.001
    assert np.allclose(opened.carry @ skin[1], moved[1, opened.skin_count :], atol=1e-4)


def test_landmarks_sit_on_their_own_lip(opened):
    chosen = opened.landmark_vertices
    assert chosen.max() < opened.skin_count
    assert set(chosen[[61, 62, 63]]) <= set(opened.upper_rim[1:-1])
    assert set(chosen[[65, 66, 67]]) <= set(opened.lower_rim[1:-1])
    assert chosen[60] == opened.upper_rim[0] and chosen[64] == opened.upper_rim[-1]
    assert (opened.side[chosen[49:54]] != fused_mouth.LOWER).all() and (
        opened.side[chosen[55:60]] != fused_mouth.UPPER
    ).all()


def test_units_and_pose_do_not_matter(opened):
    vertices, triangles = sheet()
    turn = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], float)
    away = fused_mouth.open_lips(vertices @ turn.T * 0.001 + 5, triangles, landmarks() @ turn.T * 0.001 + 5)
    back = (away.vertices.astype(float) - 5) @ turn / 0.001
    seam, wanted = back[away.upper_rim], opened.vertices[opened.upper_rim]
    assert cKDTree(wanted).query(seam)[0].mean() < 0.2


def test_a_mesh_that_faces_inward_gets_a_bag_that_fits():
    vertices, triangles = sheet()
    flipped = fused_mouth.open_lips(vertices, triangles[:, ::-1], landmarks())
    directed = np.stack([flipped.triangles, np.roll(flipped.triangles, -1, 1)], 2).reshape(-1, 2)
    assert len(np.unique(directed, axis=0)) == len(directed)
    assert flipped.vertices[flipped.skin_count :, 2].min() < vertices[:, 2].max() - 20


def test_other_pieces_and_a_texture_seam_through_the_mouth_are_no_obstacle():
    vertices, triangles = sheet()
    jacket = vertices * [1, 0.3, 1] + [0, -60, 20]
    both = np.concatenate([vertices, jacket])
    left = vertices[triangles].mean(1)[:, 0] > 5
    # Split along x = 5: the left part gets vertices of its own, as exporters do along texture seams.
    apart = triangles.copy()
    apart[left] += 2 * len(vertices)
    mesh = np.concatenate([apart, triangles + len(vertices)])
    answer = fused_mouth.open_lips(np.concatenate([both, vertices]), mesh, landmarks())
    assert not fused_mouth.state(answer.vertices, answer.triangles, landmarks()).fused
    seam = answer.vertices[answer.upper_rim]
    assert np.ptp(seam[:, 0]) > 0.75 * (landmarks()[64, 0] - landmarks()[60, 0])
    new = answer.triangles[answer.kept :]
    right, wrong = new < len(vertices), (new >= 2 * len(vertices)) & (new < 3 * len(vertices))
    assert not (right.any(1) & wrong.any(1)).any(), "each side keeps its own vertices"


def star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) < 4 * (1 + 0.3 * np.sin(5 * np.arctan2(y, x)))


@pytest.mark.parametrize(
    ("place", "shape"),
    [
        (6, lambda x, y: (np.abs(x) < 3) & (np.abs(y) < 2)),
        (6, lambda x, y: (np.abs(x) < 3) & (y > -1) & (y < 8)),
        (-8, star),
    ],
    ids=["small", "far up the lip", "ragged"],
)
def test_holes_on_the_lip_line_are_closed_before_the_cut(place, shape):
    vertices, triangles = sheet()
    middle = vertices[triangles].mean(1)
    hole = shape(middle[:, 0] - place, middle[:, 1] - crease(middle[:, 0]))
    assert hole.sum() > 5
    answer = fused_mouth.open_lips(vertices, triangles[~hole], landmarks())
    seam = answer.vertices[answer.upper_rim]
    assert np.ptp(seam[:, 0]) > 0.75 * (landmarks()[64, 0] - landmarks()[60, 0])
    assert edge_uses(answer.triangles).max() == 2


@pytest.mark.parametrize("high", [2, 0.8])
def test_a_hole_as_wide_as_the_mouth_is_an_open_mouth(high):
    """However narrow a slit it is."""
    vertices, triangles = sheet()
    middle = vertices[triangles].mean(1)
    hole = (np.abs(middle[:, 0]) < 0.42 * WIDTH) & (np.abs(middle[:, 1] - crease(middle[:, 0])) < high)
    assert not fused_mouth.state(vertices, triangles[~hole], landmarks()).fused


def test_lips_that_hold_a_cigar_are_refused_with_what_to_do():
    vertices, triangles = sheet()
    held = np.hypot(vertices[:, 0], vertices[:, 1] - crease(vertices[:, 0])) < 6
    with pytest.raises(LandmarkError, match="cut off what the lips hold"):
        fused_mouth.open_lips(vertices + held[:, None] * [0, 0, 40], triangles, landmarks())


def test_what_cannot_be_cut_is_refused_in_a_sentence():
    vertices, triangles = sheet()
    with pytest.raises(MeshError, match="no surface"):
        fused_mouth.open_lips(vertices + 500, triangles, landmarks())
    swapped = landmarks()
    swapped[[60, 64]] = swapped[[64, 60]]
    with pytest.raises(LandmarkError, match="do not follow a mouth"):
        fused_mouth.open_lips(vertices, triangles, swapped)
    gone = vertices[triangles].mean(1)[:, 0] < 0
    with pytest.raises((LandmarkError, MeshError)):
        fused_mouth.open_lips(vertices, triangles[gone], landmarks())


def test_the_work_is_local(monkeypatch):
    """The rest of a dense scan, here four times as many vertices, comes to no patch, no search and no loop."""
    vertices, triangles = sheet(201, 201)
    far = np.concatenate([vertices + [0, 0, -500 - 50 * k] for k in range(4)])
    more = np.concatenate([triangles + len(vertices) * k for k in range(1, 5)])
    searched, find = [], lip_line.find
    monkeypatch.setattr(
        lip_line,
        "find",
        lambda patch, marks: searched.append((len(patch.points), len(patch.triangles))) or find(patch, marks),
    )
    calls = []
    for scan in ((vertices, triangles), (np.concatenate([vertices, far]), np.concatenate([triangles, more]))):
        counted = itertools.count()
        sys.setprofile(lambda *_, counted=counted: next(counted))
        try:
            fused_mouth.open_lips(*scan, landmarks())
        finally:
            sys.setprofile(None)
        calls.append(next(counted))
    assert searched[0] == searched[1] and searched[0][0] < len(vertices)
    assert calls[1] < 1.1 * calls[0], "five times the vertices"


def test_repeated_faces_flaps_and_lost_vertices_do_not_hold_the_lips_together():
    vertices, triangles = sheet()
    rng = np.random.default_rng(1)
    middle = vertices[triangles].mean(1)
    at_line = np.flatnonzero((np.abs(middle[:, 1] - crease(middle[:, 0])) < 1.5) & (np.abs(middle[:, 0]) < 18))
    flaps = triangles[rng.choice(at_line, 6, replace=False)].copy()
    flaps[:, 2] = len(vertices) + np.arange(6)
    tips = vertices[flaps[:, 0]] + [0, 0, 5]
    lost = np.full((3, 3), np.nan)
    far = np.array([[len(vertices) + 6, 0, 1]])
    more = np.concatenate([triangles, triangles[at_line[::3]], flaps, far])
    points = np.concatenate([vertices, tips, lost]).astype(np.float32)
    answer = fused_mouth.open_lips(points, more.astype(np.int32), landmarks())
    assert not fused_mouth.state(answer.vertices, answer.triangles, landmarks()).fused
    assert np.isfinite(answer.vertices[len(points) :]).all() and np.isfinite(answer.corner_weights).all()
    assert np.isfinite(answer.vertices[answer.landmark_vertices]).all()


@pytest.mark.parametrize("first", [1, -1])
def test_a_vertex_in_the_crease_goes_to_the_lip_that_it_faces_with(first):
    """One row of a coarse sheet lies in the crease, its vertices by turns a little on the one and on the other lip."""
    vertices, triangles = sheet(25, 27, None)
    x, y = vertices[:, 0], vertices[:, 1]
    row = np.flatnonzero(np.abs(y - landmarks()[60:68, 1].mean()) < 1e-3)
    row = row[np.abs(x[row]) < 0.35 * WIDTH]
    lip = first * np.where(np.arange(len(row)) % 2, -1, 1)
    groove = np.maximum(4 - 0.9 * np.abs(y - crease(x)), 0)
    groove[row] = 3.2  # round at the bottom, as reconstructed creases are
    vertices[row, 1] = crease(x[row]) + 0.5 * lip
    vertices[:, 2] = landmarks()[62, 2] + 4 - 0.02 * x**2 - groove
    assert (fused_mouth.open_lips(vertices, triangles, landmarks()).side[row] == lip).all()


@pytest.mark.parametrize("over", [1, -1])
def test_the_corner_under_an_overhanging_lip_is_the_other_lips(over):
    """One row of a coarse sheet lies where the underside of the one lip meets the front of the other."""
    vertices, triangles = sheet(25, 27, None)
    x, y = vertices[:, 0], vertices[:, 1]
    number = np.rint((y - landmarks()[60:68, 1].mean()) * 26 / 100).astype(int) * over
    row = np.flatnonzero((number == 0) & (np.abs(x) < 0.35 * WIDTH))
    lip = (np.abs(x) < 0.6 * WIDTH) & (number >= 0)
    forward = np.interp(number, [0, 1, 2, 3, 9], [0, 4, 7, 8, 8])
    height = np.interp(number, [0, 1, 2, 3, 4], [0, 0.6, 1.5, 5, 3.85 * 4])
    vertices[:, 1] = np.where(lip & (number < 4), crease(x) + over * height, y)
    vertices[:, 2] = landmarks()[62, 2] - 0.02 * x**2 + np.where(lip, forward, 0)
    assert (fused_mouth.open_lips(vertices, triangles, landmarks()).side[row] == -over).all()
