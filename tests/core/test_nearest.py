"""The points of a surface that are closest to others."""

import numpy as np
import pytest

from freetalk_blender.core.surface.nearest import closest_points, surface_distance
from tests.core.grids import flat


def test_the_distance_to_the_surface_is_not_distance_to_its_vertices():
    points, faces = flat(6, 5)
    given = np.array([[2.4, 2.3, 0.5], [0, 0, 0], [-1, 2, 0]])
    assert surface_distance(given, points, faces) == pytest.approx([0.5, 0, 1])


def test_the_closest_point_is_inside_a_triangle_on_an_edge_or_at_a_corner():
    one = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]])
    far, sliver = one + [0, 0, 9], one * [1, 0, 0]
    given = np.array([[0.2, 0.3, 0.5], [1, 1, 0.1], [-1, -2, 0.1], [0.7, -0.1, 0]])
    corners = np.array([[far, one], [one, far], [one, far], [far, sliver]])
    found = [[0.2, 0.3, 0], [0.5, 0.5, 0], [0, 0, 0], [0.7, 0, 0]]
    assert closest_points(given, corners) == pytest.approx(np.array(found))
