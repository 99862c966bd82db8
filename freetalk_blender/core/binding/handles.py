"""Which vertex stands for which landmark: the nearest one, on the skin, on the right lip.

Eyeballs, lashes, glasses and hair are often parts of their own that lie nearer to a landmark than the skin under it.
Where lips touch, the vertex nearest to an upper-lip point may well be the lower lip's. The outer lips are never in
doubt, so an inner-lip landmark looks only among vertices that are closer, along the surface, to its own outer lip.
"""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from ..landmarks import nearest_vertices
from ..surface.edges import edge_uses
from ..surface.mesh import connected_components

#: Outer-lip landmarks between the corners, and the inner-lip landmarks that belong to them.
_UPPER = (np.array([49, 50, 51, 52, 53]), np.array([61, 62, 63]))
_LOWER = (np.array([55, 56, 57, 58, 59]), np.array([65, 66, 67]))
#: Inner lips lie within this distance of the outer ones along the surface (eye distances).
_LIP = 0.4
#: A vertex farther than this from the landmark's point does not stand for it, whatever it belongs to (eye distances).
_FARTHEST = 0.08


def edge_graph(vertices: np.ndarray, triangles: np.ndarray) -> sp.csr_matrix:
    """(V,V) upper triangular graph of edge lengths."""
    edges, _ = edge_uses(triangles)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    return sp.csr_matrix((np.maximum(length, 1e-12), (edges[:, 0], edges[:, 1])), shape=(len(vertices),) * 2)


def edge_distance(graph: sp.csr_matrix, sources: np.ndarray, limit: float) -> np.ndarray:
    """(V,) length of the shortest path along edges to the nearest source vertex; inf beyond `limit`."""
    return dijkstra(graph, directed=False, indices=np.unique(sources), min_only=True, limit=limit)


def landmark_vertices(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(68,) int32 vertex of each landmark point (68,3); vertices (V,3), triangles (F,3), all in one unit."""
    points, vertices = np.asarray(points, np.float64), np.asarray(vertices, np.float64)
    found = nearest_vertices(points, vertices)
    unit = float(np.linalg.norm(points[45] - points[36]))
    graph = edge_graph(vertices, triangles)
    part = connected_components(triangles, len(vertices))
    skin = np.bincount(part[found]).argmax()
    prefer(found, np.arange(len(points)), part == skin, points, vertices, unit)
    upper, lower = (edge_distance(graph, found[outer], _LIP * unit) for outer, _ in (_UPPER, _LOWER))
    prefer(found, _UPPER[1], upper < lower, points, vertices, unit)
    prefer(found, _LOWER[1], lower < upper, points, vertices, unit)
    return found


def prefer(
    found: np.ndarray, which: np.ndarray, allowed: np.ndarray, points: np.ndarray, vertices: np.ndarray, unit: float
) -> None:
    """Give the landmarks `which` of those found (68,) the nearest allowed vertex (mask (V,)), in place, where one is
    near; points (68,3) and vertices (V,3), with `unit` from outer eye corner to outer eye corner."""
    candidates = np.flatnonzero(allowed)
    if len(candidates):
        offset, nearest = cKDTree(vertices[candidates]).query(points[which])
        close = offset < _FARTHEST * unit
        found[which[close]] = candidates[nearest[close]]
