"""The rasteriser shows the right triangle in every pixel."""

import struct
import zlib

import numpy as np
import pytest

from freetalk_blender.core.surface import raster


def brute_force(vertices: np.ndarray, triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangle and depth in every pixel, one triangle at a time."""
    index = np.full((size, size), -1)
    depth = np.full((size, size), -np.inf)
    x = (np.arange(size) + 0.5) * 2 / size - 1
    right, up = np.meshgrid(x, -x)
    for number, corners in enumerate(vertices[triangles].astype(float)):
        (ax, ay, _), (bx, by, _), (cx, cy, _) = corners
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-12:
            continue
        second = ((right - ax) * (cy - ay) - (up - ay) * (cx - ax)) / area
        third = ((bx - ax) * (up - ay) - (by - ay) * (right - ax)) / area
        z = (1 - second - third) * corners[0, 2] + second * corners[1, 2] + third * corners[2, 2]
        nearer = (second >= 0) & (third >= 0) & (second + third <= 1) & (z > depth)
        index[nearer], depth[nearer] = number, z[nearer]
    return index, depth


@pytest.mark.parametrize("spread", [0.03, 0.3, 2.0])
def test_agrees_with_one_triangle_at_a_time(spread: float) -> None:
    rng = np.random.default_rng(0)
    centres = rng.uniform(-1.2, 1.2, (300, 1, 3))
    vertices = (centres + rng.normal(0, spread, (300, 3, 3))).reshape(-1, 3).astype(np.float32)
    triangles = np.arange(900).reshape(-1, 3)
    image = raster.render(vertices, triangles, 64)
    index, depth = brute_force(vertices, triangles, 64)
    # Edges may round to either side: a handful of pixels.
    assert (image.triangle != index).mean() < 0.003
    same = image.seen & (image.triangle == index)
    assert np.abs(image.depth[same] - depth[same]).max() < 1e-4


def test_interpolation_is_exact_for_a_linear_field() -> None:
    vertices = np.array([[-1, -1, 0], [1, -1, 0.3], [1, 1, -0.2], [-1, 1, 0.1]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    image = raster.render(vertices, triangles, 32)
    assert image.seen.all()
    field = image.interpolate(vertices[:, :2], triangles)
    centres = (np.arange(32) + 0.5) / 16 - 1
    np.testing.assert_allclose(field[..., 0], np.broadcast_to(centres, (32, 32)), atol=1e-5)
    np.testing.assert_allclose(field[..., 1], np.broadcast_to(-centres[:, None], (32, 32)), atol=1e-5)


def test_both_sides_are_drawn_and_winding_does_not_matter() -> None:
    vertices = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0, 0.6, 0]], np.float32)
    one, other = (raster.render(vertices, np.array([corners]), 40).seen for corners in ([0, 1, 2], [2, 1, 0]))
    assert one.sum() > 100
    np.testing.assert_array_equal(one, other)


def test_degenerate_and_outside_triangles_show_nothing() -> None:
    vertices = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0], [5, 5, 0], [6, 5, 0], [5, 6, 0]], np.float32)
    image = raster.render(vertices, np.array([[0, 1, 2], [3, 4, 5], [0, 0, 1]]), 16)
    assert not image.seen.any()
    assert (image.triangle == -1).all() and np.isneginf(image.depth).all()


def test_vertices_without_any_triangle_have_no_normals() -> None:
    assert np.array_equal(raster.vertex_normals(np.ones((2, 3)), np.zeros((0, 3), int)), np.zeros((2, 3)))


def test_vertex_normals_of_a_flat_sheet_point_one_way_and_lone_vertices_have_none() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9]], np.float32)
    normals = raster.vertex_normals(vertices, np.array([[0, 1, 2]]))
    np.testing.assert_allclose(normals[:3], [[0, 0, 1]] * 3, atol=1e-6)
    np.testing.assert_array_equal(normals[3], 0)


def test_png_holds_the_picture(tmp_path) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (7, 11, 3), dtype=np.uint8)
    raster.write_png(tmp_path / "a.png", picture)
    data = (tmp_path / "a.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (11, 7)
    start = data.index(b"IDAT")
    length = struct.unpack(">I", data[start - 4 : start])[0]
    rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(7, 34)
    np.testing.assert_array_equal(rows[:, 1:].reshape(7, 11, 3), picture)
