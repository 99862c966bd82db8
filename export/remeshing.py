"""The same surface in another topology: subdivided, slid along edges, decimated, clustered.

All steps are pure: Scan and numpy Generator in, Scan out, the truth carried along.
"""

import fast_simplification
import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from export.fusing import boundary_loops
from export.scanning import Scan, barycentric, closest, select
from freetalk_blender.core.surface.edges import edge_uses, edges_of

#: How far along an edge a vertex is slid, at most (share).
_SLIDE = 0.3


def remesh(scan: Scan, count: int, rng: np.random.Generator, style: str | None = None) -> Scan:
    """About `count` vertices, in the style "quadric" (scanners' exports), "even" (retopology) or either (None)."""
    style = style or str(rng.choice(["quadric", "even"]))
    while len(scan.vertices) < 3 * count:
        scan = subdivide(scan)
    scan = jitter(scan, rng)
    return decimate(scan, count) if style == "quadric" else cluster(scan, count, rng)


def subdivide(scan: Scan) -> Scan:
    """Every triangle into four; edge midpoints carry the mean of their ends."""
    unique, sides = edges_of(scan.triangles)
    a, b, c = scan.triangles.T
    ab, bc, ca = (sides + len(scan.vertices)).T
    triangles = np.concatenate(
        [np.stack(corner, 1) for corner in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    real = scan.real
    both = sparse.diags((real[unique].all(1)).astype(np.float32))
    middle = both @ (scan.carry[unique[:, 0]] + scan.carry[unique[:, 1]]) * 0.5
    middle.eliminate_zeros()
    vertices = np.concatenate([scan.vertices, scan.vertices[unique].mean(1)])
    return Scan(vertices, triangles.astype(np.int32), sparse.vstack([scan.carry, middle], "csr"))


def jitter(scan: Scan, rng: np.random.Generator) -> Scan:
    """Slide each inner vertex up to _SLIDE of the way along one of its edges: same surface, irregular triangles."""
    edges = scan.triangles[rng.permutation(len(scan.triangles))][:, [0, 1]]
    towards = np.arange(len(scan.vertices))
    towards[edges[:, 0]] = edges[:, 1]
    border = boundary_loops(scan.triangles)
    real = scan.real
    still = real != real[towards]
    if border:
        still[np.concatenate(border)] = True
    step = (rng.uniform(0, _SLIDE, len(towards)) * ~still).astype(np.float32)[:, None]
    vertices = scan.vertices + step * (scan.vertices[towards] - scan.vertices)
    slide = sparse.diags(1 - step[:, 0]) @ scan.carry + sparse.diags(step[:, 0]) @ scan.carry[towards]
    return Scan(vertices, scan.triangles, sparse.csr_matrix(slide.astype(np.float32)))


def decimate(scan: Scan, count: int) -> Scan:
    """Quadric edge collapse to about `count` vertices (few triangles where it is flat)."""
    if len(scan.vertices) <= count:
        return scan
    target = max(4, int(len(scan.triangles) * count / len(scan.vertices)))
    points = scan.vertices.astype(np.float32)
    _, _, collapses = fast_simplification.simplify(points, scan.triangles, target_count=target, return_collapses=True)
    vertices, triangles, cluster = fast_simplification.replay_simplification(points, scan.triangles, collapses)
    carry = _carry_back(scan, vertices.astype(np.float32), np.asarray(cluster))
    result = Scan(vertices.astype(np.float32), np.asarray(triangles, np.int32), carry)
    return select(result, np.ones(len(result.triangles), bool))


def cluster(scan: Scan, count: int, rng: np.random.Generator) -> Scan:
    """Even, irregular triangles of about `count` vertices: the dual of the geodesic Voronoi cells of spread seeds.

    Subdivide first until there are several vertices per cell. Thin or tiny components may lose triangles, as they do in
    scanners' own meshers.
    """
    vertices, triangles = scan.vertices, scan.triangles
    if len(vertices) <= count:
        return scan
    seeds = _spread(vertices, triangles, count, rng)
    edges, _ = edge_uses(triangles)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    graph = sparse.coo_matrix((np.maximum(lengths, 1e-9), tuple(edges.T)), (len(vertices),) * 2).tocsr()
    _, _, source = dijkstra(graph, directed=False, indices=seeds, return_predecessors=True, min_only=True)
    label = np.full(len(vertices), -1)
    label[seeds] = np.arange(len(seeds))
    owner = np.where(source >= 0, label[source], -1)[triangles]
    distinct = (
        (owner >= 0).all(1) & (owner[:, 0] != owner[:, 1]) & (owner[:, 1] != owner[:, 2]) & (owner[:, 2] != owner[:, 0])
    )
    found = owner[distinct]
    _, first = np.unique(np.sort(found, axis=1), axis=0, return_index=True)
    result = Scan(vertices[seeds], found[first].astype(np.int32), scan.carry[seeds])
    return select(result, np.ones(len(first), bool))


def _spread(vertices: np.ndarray, triangles: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """About `count` vertices no two of which are closer than a radius set by the mean area (greedy Poisson disk)."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    radius = 0.76 * np.sqrt(area / count)
    pairs = cKDTree(vertices).query_pairs(radius, output_type="ndarray")
    rank = rng.permutation(len(vertices))
    state = np.zeros(len(vertices), np.int8)  # 0 open, 1 seed, 2 covered
    while len(pairs):
        later = np.where(rank[pairs[:, 0]] > rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
        seed = state == 0
        seed[later] = False
        state[seed] = 1
        near = pairs[seed[pairs].any(1)]
        state[near.ravel()[state[near.ravel()] == 0]] = 2
        pairs = pairs[(state[pairs] == 0).all(1)]
    state[state == 0] = 1
    return np.flatnonzero(state == 1)


def _carry_back(scan: Scan, points: np.ndarray, cluster: np.ndarray) -> sparse.csr_matrix:
    """Carry of new vertices (C, 3), each made of the old vertices of its cluster: nearest place on their triangles.

    Looking only at the cluster's own triangles keeps an upper-lip vertex off the lower lip that touches it.
    """
    pairs = np.stack([cluster[scan.triangles].ravel(), np.repeat(np.arange(len(scan.triangles)), 3)], 1)
    pairs = pairs[pairs[:, 0] >= 0]
    order = np.sort(pairs[:, 0] * np.int64(len(scan.triangles)) + pairs[:, 1])
    order = order[np.append(True, order[1:] != order[:-1])]  # np.unique, ten times faster
    new, face = order // len(scan.triangles), order % len(scan.triangles)
    weights, squared = closest(points[new], *(scan.vertices[scan.triangles[face, corner]] for corner in range(3)))
    best = np.lexsort((squared, new))
    best = best[np.unique(new[best], return_index=True)[1]]
    local = barycentric(scan.triangles[face[best]], weights[best], len(scan.vertices))
    place = sparse.csr_matrix(
        (np.ones(len(best), np.float32), (new[best], np.arange(len(best)))), (len(points), len(best))
    )
    rows = place @ local
    real = sparse.diags((rows @ scan.real.astype(np.float32) > 0.999).astype(np.float32))
    carry = sparse.csr_matrix(real @ (rows @ scan.carry))
    carry.eliminate_zeros()
    return carry
