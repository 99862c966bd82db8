"""A light stand-in for a heavy scan: bind to the stand-in, carry its motion to every vertex of the scan.

Quadric edge collapse (Garland & Heckbert 1997, "Surface Simplification Using Quadric Error Metrics") remembers into
which vertex of the stand-in each vertex of the scan went. A scan vertex looks for its place only on the triangles
around that vertex, so an upper-lip vertex never lands on the lower lip that touches it. Very heavy scans are clustered
first, along their edges, because collapsing millions of edges one by one takes minutes.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from . import cancel, rows
from .mesh import nearest_on_triangles

#: Scan vertices placed at once; each is tried on the half-dozen triangles around its stand-in vertex.
_BATCH = 100_000
#: Scans of more than this many times the wanted vertices are clustered to about as many first.
_CLUSTERED = 5
#: Edges of a stand-in below this share of the median are taken away: where a scan is flat, collapses cost nothing and
#: leave triangles too thin to calculate with.
_SHORT = 0.05
#: Numbers carried at once: a few megabytes, so that the sum stays in the processor's cache.
_BLOCK = 1_000_000


@dataclass(frozen=True)
class Proxy:
    """vertices (P,3), triangles (Q,3) of the stand-in; merged (V,) int: its vertex for each vertex of the scan; corners
    (V,3) int32 and shares (V,3) float32: barycentric place of each scan vertex. Shares of loose vertices are 0."""

    vertices: np.ndarray
    triangles: np.ndarray
    merged: np.ndarray
    corners: np.ndarray
    shares: np.ndarray

    def carry(self, values: np.ndarray) -> np.ndarray:
        """(..., P, C) on the stand-in -> (..., V, C) on the scan."""
        flat = values.reshape(-1, *values.shape[-2:])
        result = np.empty((len(flat), len(self.corners), values.shape[-1]), values.dtype)
        step = max(1, _BLOCK // max(1, result[:1].size))
        for start in range(0, len(flat), step):
            block, out = flat[start : start + step], result[start : start + step]
            np.multiply(block.take(self.corners[:, 0], 1), self.shares[:, :1], out=out)
            out += block.take(self.corners[:, 1], 1) * self.shares[:, 1:2]
            out += block.take(self.corners[:, 2], 1) * self.shares[:, 2:]
        return result.reshape(*values.shape[:-2], *result.shape[1:])


def simplify(vertices: np.ndarray, triangles: np.ndarray, count: int, keep: np.ndarray) -> Proxy:
    """A stand-in of about `count` vertices for a scan of vertices (V,3) and triangles (F,3).

    keep (K,): scan vertices (landmarks) whose stand-in vertices are put back exactly where they were.
    """
    import fast_simplification  # here, because only heavy scans need it

    used, compact = np.unique(triangles, return_inverse=True)
    faces = compact.reshape(-1, 3).astype(np.int32)
    points = np.ascontiguousarray(vertices[used], np.float32)
    label = np.arange(len(points))
    whole = points
    if len(points) > 1.5 * _CLUSTERED * count:
        points, faces, label = _clustered(points, faces, _CLUSTERED * count)
    target = int(len(faces) * count / len(points))
    *_, collapses = fast_simplification.simplify(points, faces, target_count=target, return_collapses=True)
    light, light_faces, merged = fast_simplification.replay_simplification(points, faces, collapses)
    light_faces = np.asarray(light_faces, np.int32)
    light, merged = np.array(light), np.asarray(merged)[label]
    kept = np.searchsorted(used, keep)
    light[merged[kept]] = whole[kept]
    owner = _without_short_edges(light, light_faces, merged[kept])
    light_faces, merged = owner[light_faces], owner[merged]
    light_faces = light_faces[(light_faces != np.roll(light_faces, 1, axis=1)).all(1)]
    place, shares = places(whole, merged, light, light_faces)
    all_merged, corners = np.zeros(len(vertices), np.int64), np.zeros((len(vertices), 3), np.int32)
    all_shares = np.zeros((len(vertices), 3), np.float32)
    all_merged[used], corners[used], all_shares[used] = merged, light_faces[place], shares
    return Proxy(light, light_faces, all_merged, corners, all_shares)


def _clustered(points: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """About `count` vertices (C,3) and their triangles, and the new vertex of each old one (V,).

    Vertices become one where edges join them within a cell of a cubic grid: sheets that touch stay apart.
    Source: Rossignac & Borrel 1993, "Multi-resolution 3D approximations for rendering complex scenes".
    """
    a, b, c = points[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    cell = np.floor(points / np.sqrt(1.5 * area / count)).astype(np.int32)
    start, end = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    joined = (cell[start] == cell[end]).all(1)
    graph = sp.coo_matrix((np.ones(joined.sum(), bool), (start[joined], end[joined])), (len(points),) * 2)
    clusters, label = connected_components(graph, directed=False)
    size = np.bincount(label, minlength=clusters)
    middle = np.stack([np.bincount(label, axis, clusters) for axis in points.T], 1) / size[:, None]
    corners = label[faces]
    corners = corners[(corners != np.roll(corners, 1, axis=1)).all(1)]
    first = rows.first(np.sort(corners, axis=1))
    return middle.astype(np.float32), np.ascontiguousarray(corners[first], np.int32), label


def _without_short_edges(vertices: np.ndarray, triangles: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """(V,) the vertex that each vertex becomes when edges much shorter than the others are collapsed; `keep` stay."""
    start, end = triangles[:, [0, 1, 2]].ravel(), triangles[:, [1, 2, 0]].ravel()
    length = np.linalg.norm(vertices[start] - vertices[end], axis=1)
    short = length < _SHORT * np.median(length)
    graph = sp.coo_matrix((np.ones(short.sum()), (start[short], end[short])), (len(vertices),) * 2)
    count, label = connected_components(graph, directed=False)
    first = np.zeros(count, np.int32)
    first[label[::-1]] = np.arange(len(vertices))[::-1]
    first[label[keep]] = keep
    owner = first[label]
    owner[keep] = keep
    return owner


def places(
    points: np.ndarray, merged: np.ndarray, vertices: np.ndarray, triangles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Triangle (V,) and barycentric shares (V,3) nearest to each point, among those around its stand-in vertex."""
    owner = triangles.ravel()
    order = np.argsort(owner, kind="stable")
    around = order // 3  # triangles, grouped by corner
    first = np.searchsorted(owner[order], np.arange(len(vertices) + 1))
    place, shares = np.zeros(len(points), np.int64), np.zeros((len(points), 3), np.float32)
    for start in range(0, len(points), _BATCH):
        cancel.check()
        vertex = merged[start : start + _BATCH]
        count = first[vertex + 1] - first[vertex]
        point = np.repeat(np.arange(len(vertex)), count)
        if not len(point):
            continue
        triangle = around[np.arange(len(point)) - np.repeat(np.cumsum(count) - count, count) + first[vertex][point]]
        weights, squared = nearest_on_triangles(points[start + point].astype(np.float64), vertices[triangles[triangle]])
        best = np.lexsort((squared, point))
        best = best[np.unique(point[best], return_index=True)[1]]
        place[start + point[best]], shares[start + point[best]] = triangle[best], weights[best]
    return place, shares
