"""Fans: which corners at one place belong to one sheet."""

import numpy as np

from freetalk_blender.core.surface.edges import fans

#: A tetrahedron of corners 0..3 that faces outward.
TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_a_closed_surface_and_an_open_one_have_one_fan_at_each_vertex():
    for triangles in (TETRAHEDRON, TETRAHEDRON[:3], TETRAHEDRON[:2]):
        found = fans(CORNERS, triangles)
        assert len(np.unique(found)) == len(np.unique(triangles))
        assert all(len(np.unique(found[triangles == vertex])) == 1 for vertex in np.unique(triangles))


def test_bodies_that_touch_in_a_vertex_are_told_apart():
    mirror = np.array([0, 4, 5, 6])
    both = np.concatenate([TETRAHEDRON, mirror[TETRAHEDRON][:, ::-1]])
    found = fans(np.concatenate([CORNERS, -CORNERS[1:]]), both)
    assert not np.isin(found[:4], found[4:]).any()


def test_along_an_edge_of_four_faces_those_hang_together_that_look_at_each_other():
    """Two bodies that touch along the edge 0-1 look at each other over the air; inside out, each looks at itself."""
    mirror = np.array([0, 1, 4, 5])
    points = np.concatenate([CORNERS, CORNERS[2:] * [1, -1, -1]])
    both = np.concatenate([TETRAHEDRON, mirror[TETRAHEDRON]])
    assert len(np.unique(fans(points, both)[both == 0])) == 1
    inside_out = both[:, ::-1]
    found = fans(points, inside_out)
    assert not np.isin(found[:4], found[4:]).any()
