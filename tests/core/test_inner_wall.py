"""What lies behind fused lips: bubbles and the inner walls of hollow scans go, bodies stay."""

import numpy as np
import pytest

from freetalk_blender.core.mouth import fused_mouth
from freetalk_blender.core.surface.boundary import boundary_edges
from freetalk_blender.core.surface.edges import edges_of
from tests.core.test_fused_mouth import crease, edge_uses, landmarks, sheet


def bubble(vertices: np.ndarray, triangles: np.ndarray, *, void: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sheet and a tetrahedron behind it that hangs on one of the edges in its crease; the rows of its faces."""
    edges, _ = edges_of(triangles)
    ends = vertices[edges]
    middle = ends.mean(1)
    off = np.hypot(middle[:, 0], middle[:, 1] - crease(middle[:, 0])) + np.abs(ends[:, 0, 1] - ends[:, 1, 1])
    a, b = edges[off.argmin()]
    c, d = len(vertices), len(vertices) + 1
    behind = vertices[[a, b]].mean(0) + np.array([[0, 2.0, -4], [0, -2.0, -4]], np.float32)
    points = np.concatenate([vertices, behind]).astype(np.float32)
    tetrahedron = np.array([[a, b, c], [b, a, d], [a, c, d], [b, d, c]])
    corner = points[tetrahedron]
    outward = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    inside_out = (outward * (corner.mean(1) - points[[a, b, c, d]].mean(0))).sum() < 0
    tetrahedron = tetrahedron if inside_out == void else tetrahedron[:, ::-1]
    whole = np.concatenate([triangles, tetrahedron]).astype(np.int32)
    return points, whole, len(triangles) + np.arange(4)


def test_a_bubble_that_touches_the_crease_is_left_out():
    points, triangles, rows = bubble(*sheet(), void=True)
    answer = fused_mouth.open_lips(points, triangles, landmarks())
    assert not fused_mouth.state(answer.vertices, answer.triangles, landmarks()).fused
    assert not np.isin(rows, answer.triangle_source).any()
    assert edge_uses(answer.triangles).max() == 2
    plain = fused_mouth.open_lips(*sheet(), landmarks())
    assert np.abs(answer.vertices[answer.upper_rim[[0, -1]]] - plain.vertices[plain.upper_rim[[0, -1]]]).max() < 0.3


def test_a_body_behind_the_lips_stays():
    points, triangles, rows = bubble(*sheet(), void=False)
    answer = fused_mouth.open_lips(points, triangles, landmarks())
    assert np.isin(rows, answer.triangle_source).all()


@pytest.mark.parametrize(("size", "turned", "left_out"), [(1.3, True, True), (1.3, False, False), (0.5, True, False)])
def test_the_inner_wall_of_a_hollow_scan_is_left_out(size: float, turned: bool, left_out: bool):
    """A wall turns its back to the face; what looks ahead behind the lips, or is as small as a mouth, is none."""
    vertices, triangles = sheet()
    middle = landmarks()[62]
    wall = middle + size * (vertices - middle) - [0, 0, 3]
    rows = triangles[:, ::-1] if turned else triangles
    points = np.concatenate([vertices, wall]).astype(np.float32)
    answer = fused_mouth.open_lips(points, np.concatenate([triangles, rows + len(vertices)]), landmarks())
    of_wall = answer.triangle_source[answer.triangle_source >= len(triangles)]
    assert len(of_wall) == (0 if left_out else len(triangles))
    alone = fused_mouth.open_lips(vertices, triangles, landmarks())
    assert np.allclose(answer.vertices[answer.upper_rim], alone.vertices[alone.upper_rim], atol=1e-4)


def test_skin_behind_a_microphone_is_no_inner_wall():
    """Its back was taken for the skin, and lip landmarks were said not to lie on the surface."""
    vertices, triangles = sheet()
    middle, count = landmarks()[62], len(vertices)
    vertices = middle + 1.3 * (vertices - middle)
    back, front = (middle + 0.7 * (vertices - middle) * [1, 1, 0] + [0, 0, ahead] for ahead in (12, 40))
    points = np.concatenate([vertices, back, front]).astype(np.float32)
    held = np.concatenate([triangles[:, ::-1] + count, triangles + 2 * count])
    answer = fused_mouth.open_lips(points, np.concatenate([triangles, held]), landmarks())
    assert np.isin(np.arange(len(triangles)), answer.triangle_source).all()


@pytest.mark.parametrize("hole", [False, True])
def test_an_inner_wall_that_is_joined_to_the_skin_is_left_out(hole: bool):
    """As in a mask that was thickened: its edges, and those of its holes, join both walls, and no mouth would open."""
    vertices, triangles = sheet()
    if hole:
        beside = vertices[triangles].mean(1) - landmarks()[57] + [20, 15, 0]
        triangles = triangles[np.hypot(*beside[:, :2].T) > 5]
    count, rim = len(vertices), boundary_edges(triangles)
    middle = landmarks()[62]
    points = np.concatenate([vertices, middle + 1.3 * (vertices - middle) - [0, 0, 3]]).astype(np.float32)
    wall = triangles[:, ::-1] + count
    edge = np.concatenate([np.c_[rim[:, ::-1], rim[:, :1] + count], np.c_[rim[:, 1], rim + count]])
    answer = fused_mouth.open_lips(points, np.concatenate([triangles, wall, edge]), landmarks())
    alone = fused_mouth.open_lips(vertices, triangles, landmarks())
    assert np.allclose(answer.vertices[answer.upper_rim], alone.vertices[alone.upper_rim], atol=1e-4)
    near = np.linalg.norm(points[wall].mean(1) - middle, axis=1) < 40
    stays = np.isin(len(triangles) + np.flatnonzero(near), answer.triangle_source)
    assert stays.mean() < 0.01
    assert np.isin(alone.triangle_source, answer.triangle_source).all()
