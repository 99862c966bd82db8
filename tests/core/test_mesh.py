"""Cleaning keeps the way back to the caller's vertices."""

import numpy as np
import pytest

from freetalk_blender.core.errors import MeshError
from freetalk_blender.core.surface import mesh
from freetalk_blender.core.surface.boundary import boundary_vertices
from tests.core.grids import flat, squares


def test_a_clean_mesh_comes_back_as_it_is():
    points, faces = flat(6, 5)
    cleaned = mesh.clean(points, faces)
    assert np.array_equal(cleaned.vertices, points.astype(np.float32))
    assert np.array_equal(cleaned.triangles, faces)
    assert np.array_equal(cleaned.source, np.arange(len(points)))


def test_a_triangle_soup_is_welded_into_one_surface_and_answers_for_every_corner():
    points, faces = flat(6, 5)
    soup = points[faces].reshape(-1, 3)
    cleaned = mesh.clean(soup, np.arange(len(soup)).reshape(-1, 3))
    assert len(cleaned.vertices) == len(points)
    assert cleaned.components.max() == 0
    assert np.array_equal(cleaned.vertices[cleaned.source], soup.astype(np.float32))


def test_skin_that_only_touches_inside_a_closed_surface_stays_apart():
    """Two closed boxes that share a place but no border: like lips that touch, not like a seam."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    box = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]])
    box = np.concatenate([box, [[2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]])
    cleaned = mesh.clean(np.concatenate([corners, corners + [1, 0, 0]]), np.concatenate([box, box + 8]))
    assert len(cleaned.vertices) == 16
    assert cleaned.components.max() == 1


def test_vertices_without_a_surface_get_no_motion():
    points, faces = flat(6, 5)
    points[3] = np.nan
    points = np.concatenate([points, [[9, 9, 9]]])
    cleaned = mesh.clean(points, faces)
    assert cleaned.source[3] == -1 and cleaned.source[-1] == -1
    moved = cleaned.to_caller(np.ones((2, len(cleaned.vertices), 3), np.float32))
    assert moved.shape == (2, len(points), 3)
    assert np.all(moved[:, [3, -1]] == 0) and np.all(moved[:, 0] == 1)


def test_degenerate_and_doubled_faces_are_dropped():
    points, faces = flat(6, 5)
    dirty = np.concatenate([faces, faces[:4, [1, 2, 0]], [[0, 0, 1], [5, 5, 5]]])
    assert np.array_equal(mesh.clean(points, dirty).triangles, faces)


def test_a_million_soup_corners_are_welded():
    points, faces = flat(420, 400)
    soup = points[faces].reshape(-1, 3)
    cleaned = mesh.clean(soup, np.arange(len(soup)).reshape(-1, 3))
    assert len(soup) > 1_000_000 and len(cleaned.vertices) == len(points)


@pytest.mark.parametrize(
    ("points", "faces", "says"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3), int), "0 vertices and 0 faces"),
        (np.zeros((4, 2)), np.array([[0, 1, 2]]), r"shape \(V, 3\)"),
        (np.eye(3), np.array([[0.0, 1.0, 2.0]]), "must be integers"),
        (np.eye(3), np.array([[0, 1, 3]]), "names vertex 3"),
        (np.eye(3), np.array([[0, 1, -1]]), "names vertex -1"),
        (np.full((3, 3), np.nan), np.array([[0, 1, 2]]), "no faces with finite corners"),
        (np.eye(3) * 1e35, np.array([[0, 1, 2]]), "1e30 units away"),
        (np.ones((3, 3)), np.array([[0, 1, 2]]), "no faces with finite corners"),
    ],
)
def test_what_is_no_mesh_is_told_in_a_sentence(points, faces, says):
    with pytest.raises(MeshError, match=says):
        mesh.clean(points, faces)


def test_the_rims_of_a_cut_stay_apart():
    points, faces = flat(6, 5)
    soup = points[faces].reshape(-1, 3)
    whole = mesh.clean(soup, np.arange(len(soup)).reshape(-1, 3))
    cut = mesh.clean(soup, np.arange(len(soup)).reshape(-1, 3), apart=np.arange(6))
    assert len(cut.vertices) > len(whole.vertices)
    assert len(np.unique(cut.source[:6])) == 6


def test_sound_triangles_are_named_by_the_callers_numbers():
    points, faces = flat(6, 5)
    points[0] = np.nan
    dirty = np.concatenate([[[3, 3, 4]], faces, faces[:4, [1, 2, 0]]])
    kept = mesh.sound_triangles(points, dirty)
    assert np.array_equal(kept, 1 + np.flatnonzero((faces != 0).all(1)))


def test_subdividing_keeps_the_old_vertices_and_the_surface():
    points, faces = flat(6, 5)
    before = mesh.clean(points, faces)
    after = mesh.subdivided(before)
    assert np.array_equal(after.vertices[: len(points)], before.vertices)
    assert len(after.triangles) == 4 * len(faces)
    corners = after.vertices[after.triangles]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    assert areas == pytest.approx(np.full(len(areas), 1 / 8))


def test_subdividing_some_edges_leaves_no_gap_and_the_same_surface():
    points, faces = flat(6, 5)
    before = mesh.clean(points, faces)
    after = mesh.subdivided(before, lambda ends: ends.mean(1)[:, 0] < points[:, 0].mean())
    assert len(faces) < len(after.triangles) < 4 * len(faces)
    corners = after.vertices[after.triangles]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    assert areas.min() > 0 and areas.sum() == pytest.approx(len(faces) / 2)
    rim = after.vertices[boundary_vertices(after.triangles), :2]
    assert ((rim == points.min(0)[:2]) | (rim == points.max(0)[:2])).any(1).all(), "no hole inside"


@pytest.mark.parametrize(("layers", "parts", "off"), [(1, 1, 0.0), (3, 7, 0.0), (3, 7, 4e-5)])
def test_layers_that_stand_on_one_row_of_vertices_are_no_seam(layers: int, parts: int, off: float) -> None:
    """A rim between two rows, such as that of tears, and lashes on both: what goes on from one sheet is welded. All
    but the first layers may be a little off the rim but for its first vertices."""

    def sheet(start: float, way: tuple[float, float]) -> np.ndarray:
        """(4,12,3) rows of vertices, each so far from the one before in y and z."""
        places = np.arange(4)[:, None] * np.array(way) + [start, 0]
        return np.stack(np.broadcast_arrays(np.arange(12.0), *places.T[..., None]), 2)

    lashes = [sheet(at, (side * k, 1)) for at, side in ((0, -1), (3, 1)) for k in range(1, layers + 1)]
    for number, points in enumerate(lashes):
        points[:, 3:, 1] += off * (number % layers > 0)
    one = squares(12, 4)
    sheets = [(points.reshape(-1, 3), one) for points in (sheet(0, (1, 0)), *lashes)]
    cleaned = mesh.clean(*mesh.together(sheets))
    assert cleaned.components.max() + 1 == parts and len(cleaned.triangles) == len(sheets) * len(one)
    soup = [(points[one].reshape(-1, 3), np.arange(one.size).reshape(-1, 3)) for points, one in sheets]
    assert mesh.clean(*mesh.together(soup)).components.max() == 0, "faces that are all split tell of no sheets"


def test_lips_that_touch_and_that_shapes_part_are_not_welded() -> None:
    """Two strips that meet in a line, each split once more across it, as files split a mesh at materials."""
    upper = np.array([[x, y, 0] for y in (0.0, 10.0) for x in (0.0, 10.0, 20.0)])
    strips = [upper * [1, sign, 1] for sign in (1, -1)]
    halves = [(strip[[0, 1, 3, 4]], strip[[1, 2, 4, 5]]) for strip in strips]
    vertices = np.concatenate([half for pair in halves for half in pair])
    quad = np.array([[0, 1, 3], [0, 3, 2]])
    triangles = np.concatenate([quad + 4 * number for number in range(4)])
    border, pairs = mesh.touching(vertices, triangles)
    lower = vertices[:, 1] < 0
    lower[8:] = True
    down = np.where(lower[:, None], [0.0, -3.0, 0.0], 0.0)
    shapes = np.stack([np.zeros_like(down), 0.5 * down])
    assert len(mesh.clean(vertices, triangles).vertices) == 9
    apart = mesh.put_apart(vertices, triangles, border, pairs, shapes[:, border])
    assert len(mesh.clean(apart, triangles).vertices) == 12
    moved = np.linalg.norm(apart - vertices, axis=1)
    assert 0 < moved.max() < 0.01 and not moved[~lower].any() and not moved[vertices[:, 1] != 0].any()
    assert mesh.put_apart(vertices, triangles, border, pairs, 0 * shapes[:, border]) is vertices
    assert not any(map(len, mesh.touching(vertices, np.empty((0, 3), int))))
