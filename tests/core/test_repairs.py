"""What is wrong with a surface, counted."""

import numpy as np

from freetalk_blender.core.surface import mesh, repairs
from tests.core.grids import flat


def find(vertices: np.ndarray, triangles: np.ndarray) -> repairs.Repairs:
    return repairs.find(vertices, triangles, mesh.clean(vertices, triangles))


def test_a_clean_surface_needs_none():
    vertices, triangles = flat(6, 6)
    assert find(vertices, triangles) == repairs.Repairs(0, 0, 0, 0, 0, 0, 0)
    assert repairs.notes(triangles, np.arange(50), np.arange(36)) == ()


def test_every_kind_of_dirt_is_counted():
    vertices, triangles = flat(6, 6)
    vertices = np.concatenate([vertices, [[np.nan] * 3, [9, 9, 9], [2, 2, 1]]]).astype(np.float32)
    triangles = np.concatenate([triangles, triangles[:2], [[0, 0, 1]], [[0, 1, 36]], [[14, 15, 38]]])
    found = find(vertices, triangles)
    assert (found.not_finite, found.degenerate, found.duplicate, found.non_manifold) == (1, 2, 2, 1)
    told = repairs.notes(triangles, mesh.sound_triangles(vertices, triangles), mesh.clean(vertices, triangles).source)
    assert told[0].startswith("To bind the face, a cleaned copy left out 4 faces without an area or there twice; your")


def test_seams_turned_faces_and_holes_are_counted():
    vertices, triangles = flat(20, 20)
    apart = np.concatenate([vertices, vertices[triangles[100]]])
    split = triangles.copy()
    split[100] = len(vertices) + np.arange(3)
    assert find(apart, split).welded == 3
    told = repairs.notes(split, np.arange(len(split)), mesh.clean(apart, split).source)
    assert "welded 3 vertices along open seams" in told[0]
    turned = triangles.copy()
    turned[100] = turned[100, ::-1]
    assert find(vertices, turned).flipped == 3
    assert find(vertices, np.delete(triangles, [100, 200], 0)).holes == 2
    more = np.concatenate([vertices, [[50, 0, 0], [51, 0, 0], [50, 1, 0]]])
    found = find(more, np.concatenate([triangles, [[400, 401, 402]]]))
    assert found.holes == 0, "the border of a loose part is no hole"
