"""A light stand-in for a heavy scan: bind to the stand-in, carry its motion to every vertex of the scan.

Quadric edge collapse (Garland & Heckbert 1997, "Surface Simplification Using Quadric Error Metrics") remembers into
which vertex of the stand-in each vertex of the scan went. From there a scan vertex looks for its place from triangle to
triangle, never on those of the other lip, which touch it. Very heavy scans are clustered first, along their edges,
because collapsing millions of edges one by one takes minutes.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import cancel
from ..landmarks import nearest_vertices
from ..surface import rows
from ..surface.edges import directed_edges, edge_components
from ..surface.nearest import closest_on_triangles
from ..surface.raster import triangle_normals

#: Scan vertices placed at once, each on the half-dozen triangles around a stand-in vertex: so few that what is computed
#: stays in the processor's cache.
_BATCH = 8_000
#: Scans of more than this many times the wanted vertices are clustered to about as many first.
_CLUSTERED = 5
#: How slowly the error that a collapse may make grows from round to round (2 to 7): at the library's 7, coarse skin is
#: worn down before fine skin elsewhere is; below 3 the wanted number is not reached.
_PATIENCE = 3
#: Edges of a stand-in below this share of the median are taken away: where a scan is flat, collapses cost nothing and
#: leave triangles too thin to calculate with.
_SHORT = 0.05
#: Landmarks with more than this share in a vertex that was moved to another landmark get that one.
_SHARED = 0.75
#: Numbers carried at once: a few megabytes, so that the sum stays in the processor's cache.
_BLOCK = 1_000_000


@dataclass(frozen=True)
class Proxy:
    """vertices (P,3), triangles (Q,3) of the stand-in; merged (V,) int: its vertex for each vertex of the scan; corners
    (V,3) int32 and shares (V,3) float32: barycentric place of each scan vertex. Shares of loose vertices, and of parts
    too small for the stand-in, are 0: they stay where they are."""

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

    def with_more(self, rows: np.ndarray, points: np.ndarray) -> "Proxy":
        """The stand-in with vertices of its own, last, at points (n,3), for the vertices (n,) of the scan."""
        own = len(self.vertices) + np.arange(len(rows))
        vertices = np.concatenate([self.vertices, points.astype(self.vertices.dtype)])
        return replace(self._placed(rows, own, own[:, None], np.array([1, 0, 0])), vertices=vertices)

    def with_like(self, rows: np.ndarray, models: np.ndarray) -> "Proxy":
        """The stand-in that carries vertices (n,) of the scan to where it carries others (n,)."""
        return self._placed(rows, self.merged[models], self.corners[models], self.shares[models])

    def _placed(self, rows: np.ndarray, merged: np.ndarray, corners: np.ndarray, shares: np.ndarray) -> "Proxy":
        """The stand-in with other places for the vertices (n,) of the scan."""
        places = self.merged.copy(), self.corners.copy(), self.shares.copy()
        for known, new in zip(places, (merged, corners, shares), strict=True):
            known[rows] = new
        return replace(self, merged=places[0], corners=places[1], shares=places[2])


def simplify(
    vertices: np.ndarray, triangles: np.ndarray, count: int, keep: np.ndarray, side: np.ndarray | None = None
) -> Proxy:
    """A stand-in of about `count` vertices for a scan of vertices (V,3) and triangles (F,3).

    keep (K,): scan vertices (landmarks) to which the nearest stand-in vertices are moved; side (V,): which lip a vertex
    belongs to, as in OpenedMouth, so that none is carried by the other lip.
    """
    used = rows.present(triangles, len(vertices))
    number = rows.numbered(used, len(vertices)).astype(np.int32)
    side = np.zeros(len(used), np.int8) if side is None else side[used]
    points = np.ascontiguousarray(vertices[used], np.float32)
    light, faces, merged = _collapsed(points, number[triangles], count)
    gone = merged < 0
    kept = number[np.unique(keep)]
    kept = kept[~gone[kept]]
    lips = side[kept], _sides(side[~gone], merged[~gone], faces, len(light))
    lies = places(points[kept], merged[kept], light, faces, lips)
    merged[kept] = _moved_to(points[kept], light, faces, *lies)
    owner = _without_short_edges(light, faces, merged[kept])
    faces, merged = _true_triangles(owner[faces]), owner[merged]
    left = rows.present(faces, len(light))
    merged[gone] = left[nearest_vertices(points[gone], light[left])]
    lips = side, _sides(side, merged, faces, len(light))
    place, shares = places(points, merged, light, faces, lips)
    shares[gone] = 0
    all_merged, corners = np.zeros(len(vertices), np.int64), np.zeros((len(vertices), 3), np.int32)
    all_shares = np.zeros((len(vertices), 3), np.float32)
    all_merged[used], corners[used], all_shares[used] = merged, faces[place], shares
    return Proxy(light, faces, all_merged, corners, all_shares)


def _collapsed(points: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """About `count` vertices (P,3) for many (V,3), their triangles (Q,3), and the new vertex of each old one (V,), -1
    where a part so small that nothing is left of it had it."""
    import fast_simplification  # here, because only heavy scans need it

    label = np.arange(len(points))
    if len(points) > 1.5 * _CLUSTERED * count:
        points, faces, label = _clustered(points, faces, _CLUSTERED * count)
    target = min(len(faces) * count // len(points), len(faces) - 1)
    *_, collapses = fast_simplification.simplify(
        points, faces, target_count=target, agg=_PATIENCE, return_collapses=True
    )
    light, light_faces, merged = fast_simplification.replay_simplification(points, faces, collapses)
    return np.array(light), np.asarray(light_faces, np.int32), np.asarray(merged)[label]


def _moved_to(
    points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, place: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """(K,) the vertices of a stand-in that are moved, in place, to points (K,3): of the triangle (K,) in which each
    lies, at barycentric shares (K,3), the one around which fewest triangles turn over. A loop over the few points.

    A point next to a vertex that was moved for another shares it.
    """
    around, first = _stars(triangles, len(vertices))

    def cost(vertex: int, point: np.ndarray) -> tuple[bool, int, float]:
        star = triangles[around[first[vertex] : first[vertex + 1]]]
        before = vertices[star]
        after = np.where((star == vertex)[..., None], point, before)
        facing = (triangle_normals(before) * triangle_normals(after)).sum(1)
        turned = int((facing <= 0).sum())
        return vertex in chosen, turned, float(np.linalg.norm(vertices[vertex] - point))

    chosen: list[int] = []
    for point, corners, share in zip(points, triangles[place], shares, strict=True):
        if corners[share.argmax()] in chosen and share.max() > _SHARED:
            chosen.append(int(corners[share.argmax()]))
        else:
            chosen.append(min(corners[share > 0].tolist(), key=lambda vertex: cost(vertex, point)))
            vertices[chosen[-1]] = point
    return np.array(chosen, np.int64)


def _clustered(points: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """About `count` vertices (C,3) and their triangles, and the new vertex of each old one (V,).

    Vertices become one where edges join them within a cell of a cubic grid: sheets that touch stay apart. What is left
    without a triangle, such as the tip of a bump that reaches into the next cell, becomes one with its neighbour.
    Source: Rossignac & Borrel 1993, "Multi-resolution 3D approximations for rendering complex scenes".
    """
    area = np.linalg.norm(triangle_normals(points[faces]), axis=1).sum() / 2
    cell = np.floor(points / np.sqrt(1.5 * area / count)).astype(np.int32)
    start, end = directed_edges(faces).T
    together = (cell[start] == cell[end]).all(1)
    label = edge_components(np.stack([start[together], end[together]], 1), len(points))
    clusters = int(label.max()) + 1
    corners = _true_triangles(label[faces])
    bare = np.ones(clusters, bool)
    bare[corners] = False
    while (edge := bare[label[start]] & ~bare[label[end]]).any():
        owner = np.arange(clusters)
        owner[label[start[edge]]] = label[end[edge]]
        label = owner[label]
    size = np.maximum(np.bincount(label, minlength=clusters), 1)
    middle = np.stack([np.bincount(label, axis, clusters) for axis in points.T], 1) / size[:, None]
    first = rows.first(np.sort(corners, axis=1))
    return middle.astype(np.float32), np.ascontiguousarray(corners[first], np.int32), label


def _true_triangles(corners: np.ndarray) -> np.ndarray:
    """Those with three different corners."""
    return corners[(corners != np.roll(corners, 1, axis=1)).all(1)]


def _without_short_edges(vertices: np.ndarray, triangles: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """(V,) the vertex that each vertex becomes when edges much shorter than the others are collapsed; `keep` stay."""
    start, end = directed_edges(triangles).T
    length = np.linalg.norm(vertices[start] - vertices[end], axis=1)
    short = length < _SHORT * np.median(length)
    label = edge_components(np.stack([start[short], end[short]], 1), len(vertices))
    first = np.zeros(label.max() + 1, np.int32)
    first[label[::-1]] = np.arange(len(vertices))[::-1]
    first[label[keep]] = keep
    owner = first[label]
    owner[keep] = keep
    return owner


def places(
    points: np.ndarray,
    merged: np.ndarray,
    vertices: np.ndarray,
    triangles: np.ndarray,
    lips: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Triangle (V,) and barycentric shares (V,3) nearest to each point, as far as its stand-in vertex leads there.

    merged (V,): that vertex. The search goes on from triangle to triangle for as long as it comes nearer. lips: which
    lip, UPPER or LOWER, points (V,) and triangles (Q,) belong to; triangles of the other one are the last resort.
    """
    around, first = _stars(triangles, len(vertices))
    size = np.diff(first)
    far = np.square(np.ptp(vertices, axis=0), dtype=float).sum()

    def nearest(which: np.ndarray) -> tuple[np.ndarray, ...]:
        """Triangle, shares and squared distance of the points `which`, on the triangles around `vertex`."""
        start, count = first[vertex[which]], size[vertex[which]]
        row = np.repeat(np.arange(len(which)), count)
        triangle = around[np.arange(len(row)) + np.repeat(start - np.cumsum(count) + count, count)]
        point = which[row]
        weights, squared = closest_on_triangles(points[point].astype(np.float64), vertices[triangles[triangle]])
        if lips is not None:
            squared += far * (lips[0][point] * lips[1][triangle] < 0)
        lowest = np.minimum.reduceat(squared, np.cumsum(count) - count)
        best = np.flatnonzero(squared == lowest[row])
        best = best[np.diff(row[best], prepend=-1) > 0]
        return triangle[best], weights[best].astype(np.float32), squared[best]

    place, shares = np.zeros(len(points), np.int64), np.zeros((len(points), 3), np.float32)
    distance, vertex = np.full(len(points), np.inf), merged.copy()

    def step(which: np.ndarray) -> np.ndarray:
        """Places the points `which`; those that lie at the end of the triangles looked at, and may come nearer yet."""
        cancel.check()
        triangle, weights, squared = nearest(which)
        nearer = squared < distance[which]
        which, triangle, weights = which[nearer], triangle[nearer], weights[nearer]
        place[which], shares[which], distance[which] = triangle, weights, squared[nearer]
        corners = triangles[triangle]
        at_the_end = ((corners == vertex[which, None]) * weights).sum(1) <= 0
        vertex[which] = corners[np.arange(len(which)), weights.argmax(1)]
        return which[at_the_end]

    waiting = np.flatnonzero(size[merged])
    while len(waiting):
        waiting = np.concatenate([step(waiting[k : k + _BATCH]) for k in range(0, len(waiting), _BATCH)])
    return place, shares


def _stars(triangles: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles grouped by corner, and where (count+1,) the group of each of `count` vertices begins."""
    owner = triangles.ravel()
    order = np.argsort(owner, kind="stable")
    return order // 3, np.searchsorted(owner[order], np.arange(count + 1))


def _sides(side: np.ndarray, merged: np.ndarray, triangles: np.ndarray, count: int) -> np.ndarray:
    """(Q,) which lip each triangle of a stand-in of `count` vertices belongs to: 0 where its corners are of both."""
    lip, of_lips = np.zeros((2, count), np.int8), np.flatnonzero(side)
    np.minimum.at(lip[0], merged[of_lips], side[of_lips])
    np.maximum.at(lip[1], merged[of_lips], side[of_lips])
    corners = lip.sum(0)[triangles]
    return np.sign(corners.min(1) + corners.max(1))
