"""The edges of a surface: which there are, what they join, how triangles are split along them, and where a surface
touches itself."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def edges_of(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (f,3) -> unique edges (e,2), lower index first, and (f,3) the edges 0-1, 1-2, 2-0 of each triangle."""
    keys, size = _edge_keys(triangles)
    keys, index = np.unique(keys, return_inverse=True)
    return np.stack([keys // size, keys % size], 1), index.reshape(-1, 3)


def edge_uses(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (f,3) -> unique edges (e,2), lower index first, and (e,) how many triangles have each."""
    keys, size = _edge_keys(triangles)
    keys, uses = np.unique(keys, return_counts=True)
    return np.stack([keys // size, keys % size], 1), uses


def directed_edges(triangles: np.ndarray) -> np.ndarray:
    """(3f,2) the edges 0-1, 1-2, 2-0 of each triangle (f,3), in its direction."""
    return triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)


def _edge_keys(triangles: np.ndarray) -> tuple[np.ndarray, int]:
    """(3f,) a number for each of `directed_edges`, the same both ways: its lower index times the second answer, plus
    its higher one."""
    ends = np.sort(directed_edges(triangles), axis=1).astype(np.int64)
    size = int(triangles.max(initial=0)) + 1
    return ends[:, 0] * size + ends[:, 1], size


def split(
    points: np.ndarray, triangles: np.ndarray, edges: np.ndarray, sides: np.ndarray, marked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles with the marked edges (e,) split in the middle, and those beside them so that no gap is left.

    points (P,3); triangles (f,3); edges (e,2) and sides (f,3) as of `edges_of`. Answers triangles (g,3), in which the
    middles of the marked edges are P, P+1, ..., and the row (g,) of the triangle that each is a piece of.
    """
    middle = np.full(len(edges), -1)
    middle[marked] = len(points) + np.arange(np.count_nonzero(marked))
    places = np.concatenate([points, points[edges[marked]].mean(1)])
    found, source = [], []

    def emit(rows: np.ndarray, *corners: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        for corner in corners:
            found.append(np.stack(corner, 1))
            source.append(rows)

    halves = middle[sides]
    count = (halves >= 0).sum(1)
    emit(np.flatnonzero(count == 0), tuple(triangles[count == 0].T))
    for number in (1, 2, 3):
        rows = np.flatnonzero(count == number)
        # Turn each triangle so that its one split edge, or the first of its two, is edge 0-1.
        first = (halves[rows] >= 0).argmax(1) if number == 1 else (np.argmin(halves[rows] >= 0, 1) + 1) % 3
        turn = (first[:, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(triangles[rows], turn, 1).T
        ab, bc, ca = np.take_along_axis(halves[rows], turn, 1).T
        if number == 1:
            emit(rows, (a, ab, c), (ab, b, c))
        elif number == 2:
            emit(rows, (ab, b, bc))
            short = np.linalg.norm(places[a] - places[bc], axis=1) < np.linalg.norm(places[ab] - places[c], axis=1)
            emit(rows[short], *[tuple(x[short] for x in t) for t in ((a, ab, bc), (a, bc, c))])
            emit(rows[~short], *[tuple(x[~short] for x in t) for t in ((a, ab, c), (ab, bc, c))])
        else:
            emit(rows, (a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    return np.concatenate(found), np.concatenate(source)


def edge_components(pairs: np.ndarray, count: int) -> np.ndarray:
    """(count,) int32 label of each vertex's connected component under the edges (E,2)."""
    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int32)


def fans(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(f,3) number of the fan that each corner belongs to: corners at one vertex that hang together over edges.

    A surface that touches itself in a vertex has several there. Where it does along an edge of four triangles, faces
    that look at each other hang together. An open border is never parted. points (P,3), triangles (f,3).
    """
    edges, sides = edges_of(triangles)
    order = np.argsort(sides.ravel(), kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(sides.ravel(), minlength=len(edges)))])
    uses = np.diff(starts)
    following = np.flatnonzero(np.diff(sides.ravel()[order]) == 0)
    links = np.stack([order[following], order[following + 1]], 1)
    four = np.flatnonzero(uses == 4)
    links = links[~np.isin(sides.ravel()[links[:, 0]], four)]
    pairs = [_two_sheets(points, triangles, order[starts[e] : starts[e + 1]], edges[e]) for e in four]
    links = np.concatenate([links, *pairs])
    # A side's number is that of the corner where it begins; the other end is the next corner of its triangle.
    begin = np.stack([links, links - links % 3 + (links + 1) % 3], 2)
    lower = triangles.ravel()[begin]
    begin = np.take_along_axis(begin, np.argsort(lower, axis=2), 2)
    open_ends = np.unique(edges[uses == 1])
    first = np.full(int(triangles.max(initial=0)) + 1, -1)
    at = np.flatnonzero(np.isin(triangles.ravel(), open_ends))
    first[triangles.ravel()[at[::-1]]] = at[::-1]
    unparted = np.stack([at, first[triangles.ravel()[at]]], 1)
    ends = np.concatenate([begin[:, :, 0], begin[:, :, 1], unparted])
    return edge_components(ends, triangles.size).reshape(-1, 3)


def _two_sheets(points: np.ndarray, triangles: np.ndarray, sides: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """(l,2) which of four sides (triangle * 3 + corner) at an edge (2,) hang together; all where it cannot be told."""
    row, corner = sides // 3, sides % 3
    ahead = triangles[row, corner] == edge[0]
    start, end = points[edge]
    axis = (end - start) / max(np.linalg.norm(end - start), 1e-12)
    across = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    tip = points[triangles[row, (corner + 2) % 3]] - start
    order = np.argsort(np.arctan2(tip @ np.cross(axis, across), tip @ across))
    sides, ahead = sides[order], ahead[order]
    if (ahead == np.roll(ahead, 1)).any():
        return np.stack([sides[:-1], sides[1:]], 1)
    sides = np.roll(sides, -int(ahead.argmax()))
    return sides.reshape(2, 2)
