"""The places of a surface that are nearest to points, and how far away they are."""

import numpy as np
from scipy.spatial import cKDTree

#: Triangles that are looked at for the one nearest to a point.
_NEAREST = 64


def closest_points(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N,3) the point closest to each of the points (N,3) on triangles of its own, (N,K,3,3)."""
    count, own = corners.shape[:2]
    weights, squared = closest_on_triangles(np.repeat(points, own, 0), corners.reshape(-1, 3, 3))
    best = np.arange(count), squared.reshape(count, own).argmin(1)
    (a, b, c), (_, v, w) = corners[best].transpose(1, 0, 2), weights.reshape(count, own, 3)[best].T[..., None]
    return a + v * (b - a) + w * (c - a)


def surface_distance(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N,) distance of points (N,3) to the surface, among the triangles whose middles are nearest."""
    corners = np.asarray(vertices, float)[triangles]
    index = cKDTree(corners.mean(1)).query(points, range(1, min(_NEAREST, len(corners)) + 1))[1]
    squared = closest_on_triangles(np.repeat(points, index.shape[1], 0), corners[index].reshape(-1, 3, 3))[1]
    return np.sqrt(squared.reshape(index.shape).min(1))


def closest_on_triangles(point: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric weights (N,3) and squared distance (N,) of the point closest to `point` (N,3) in triangles (N,3,3).

    The foot of the perpendicular where it lies inside, else the best place on the three edges.
    """
    a, b, c = (corners[:, k].astype(np.float64) for k in range(3))
    ab, ac, ap = b - a, c - a, point - a
    d11, d12, d22, d1, d2 = (_dot(*pair) for pair in ((ab, ab), (ab, ac), (ac, ac), (ap, ab), (ap, ac)))
    area = np.maximum(d11 * d22 - d12 * d12, 1e-30)
    v, w = (d22 * d1 - d12 * d2) / area, (d11 * d2 - d12 * d1) / area
    best = np.stack([1 - v - w, v, w], 1)
    foot = best[:, :1] * a + best[:, 1:2] * b + best[:, 2:] * c
    away = foot - point
    squared = np.where(best.min(1) >= 0, _dot(away, away), np.inf)
    for i, j, start, end in ((0, 1, a, b), (1, 2, b, c), (2, 0, c, a)):
        edge = end - start
        along = np.clip(_dot(point - start, edge) / np.maximum(_dot(edge, edge), 1e-30), 0, 1)
        away = start + along[:, None] * edge - point
        distance = _dot(away, away)
        nearer = distance < squared
        squared = np.where(nearer, distance, squared)
        weights = np.zeros_like(best)
        weights[:, i], weights[:, j] = 1 - along, along
        best = np.where(nearer[:, None], weights, best)
    return best, squared


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) products of vectors (N,3); numpy's sum over so short an axis takes several times as long."""
    return np.einsum("nc,nc->n", a, b)
