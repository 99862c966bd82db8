"""Landmarks find their vertex on the right lip, also where the lips touch."""

import numpy as np
import pytest

from freetalk_blender.core import frame
from freetalk_blender.core.binding.handles import landmark_vertices
from tests.core.grids import squares

STEP = 0.02


def mask(slit: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A flat face: vertices (V,3), triangles (F,3), lip (V,): +1 above the mouth line, -1 below."""
    line = frame.mean_landmarks()[62, 1]
    columns, rows = np.arange(-55, 56), np.arange(-40, 61)
    x, y = np.meshgrid(columns * STEP, line + (rows + 0.5) * STEP)
    triangles = squares(len(columns), len(rows))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], 1)
    side = np.sign(vertices[:, 1] - line)
    if slit:
        across = np.abs(side[triangles].sum(1)) < 3
        triangles = triangles[~(across & (np.abs(vertices[triangles][..., 0]) < 0.25).all(1))]
        vertices[side < 0, 1] += STEP * (1 - 1e-3)  # the lower lip touches the upper one
    return vertices, triangles.astype(np.int32), side


@pytest.mark.parametrize("shift", [-0.02, 0.0, 0.02])
def test_touching_lips_keep_their_own_landmarks(shift):
    vertices, triangles, side = mask(slit=True)
    points = frame.mean_landmarks() * [1, 1, 0] + [0, shift, 0]
    found = landmark_vertices(points, vertices, triangles)
    assert (side[found[[61, 62, 63]]] == 1).all() and (side[found[[65, 66, 67]]] == -1).all()
    assert np.linalg.norm(vertices[found] - points, axis=1).max() < 0.06


def test_fused_lips_part_at_the_crease():
    vertices, triangles, _ = mask(slit=False)
    points = frame.mean_landmarks() * [1, 1, 0]
    points[[65, 66, 67]] = points[[63, 62, 61]]  # a detector sees one line
    found = landmark_vertices(points, vertices, triangles)
    assert (vertices[found[[61, 62, 63]], 1] > vertices[found[[67, 66, 65]], 1]).all()


def test_other_landmarks_take_the_nearest_vertex():
    vertices, triangles, _ = mask(slit=False)
    points = frame.mean_landmarks() * [1, 1, 0]
    found = landmark_vertices(points, vertices, triangles)
    others = np.setdiff1d(np.arange(68), [61, 62, 63, 65, 66, 67])
    nearest = np.linalg.norm(vertices[:, None] - points[others], axis=2).argmin(0)
    np.testing.assert_array_equal(found[others], nearest)


def test_lashes_and_glasses_are_no_skin():
    vertices, triangles, _ = mask(slit=False)
    points = frame.mean_landmarks() * [1, 1, 0]
    near = points[36:48] + [0, 0, 0.005]
    lashes = np.concatenate([near, near + [0.01, 0, 0], near + [0, 0.01, 0]])
    strips = np.arange(36).reshape(3, 12).T + len(vertices)
    found = landmark_vertices(
        points + [0, 0, 0.004], np.concatenate([vertices, lashes]), np.concatenate([triangles, strips])
    )
    assert found.max() < len(vertices)


def test_the_skin_is_the_part_that_most_landmarks_lie_on_wherever_the_nose_is():
    vertices, triangles, _ = mask(slit=False)
    points = frame.mean_landmarks() * [1, 1, 0]
    scrap = points[30] + [[0, 0, 0.01], [0.01, 0, 0.01], [0, 0.01, 0.01]]
    three = np.arange(3)[None] + len(vertices)
    found = landmark_vertices(
        points + [0, 0, 0.008], np.concatenate([vertices, scrap]), np.concatenate([triangles, three])
    )
    np.testing.assert_array_equal(found, landmark_vertices(points, vertices, triangles))
