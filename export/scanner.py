"""What a scanner leaves of a face: fused lips, irregular meshes, noise, holes, clothes - with the truth carried along.

A `Scan` is a mesh whose every vertex remembers its place on the registered ICT face as a sparse row of barycentric
weights, so anything known per registered vertex (displacements, landmarks) follows: `scan.transfer(values)`. Surface
that a scanner invents (shirt, hair, spikes' tips, filled gaps) has an empty row. All steps are pure: Scan and numpy
Generator in, Scan out. Lengths are centimetres, the unit of ICT-FaceKit, until `pose` draws another unit.
"""

from dataclasses import dataclass, replace

import fast_simplification
import numpy as np
import pymeshlab
import scipy.sparse as sparse
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from export import ict
from freetalk_blender.core import raster
from freetalk_blender.core.frame import Similarity

#: Parts of the registered model that each kind of scan may keep (vertex ranges of ict.PARTS, then NARROW_FACE).
KINDS = ("mask", "face", "head")


@dataclass(frozen=True)
class Scan:
    """vertices (V, 3) float32; triangles (F, 3) int32; carry (V, N) CSR float32, N registered vertices: rows sum to 1,
    or are empty where the surface is invented."""

    vertices: np.ndarray
    triangles: np.ndarray
    carry: sparse.csr_matrix

    @property
    def real(self) -> np.ndarray:
        """(V,) bool: vertices that lie on the registered face."""
        return np.diff(self.carry.indptr) > 0

    def transfer(self, values: np.ndarray) -> np.ndarray:
        """(..., N, C) values of the registered vertices -> (..., V, C); 0 on invented surface."""
        values = np.asarray(values, np.float32)
        flat = np.moveaxis(values, -2, 0).reshape(values.shape[-2], -1)
        carried = (self.carry @ flat).reshape(-1, *values.shape[:-2], values.shape[-1])
        return np.moveaxis(carried, 0, -2)


# ---------------------------------------------------------------------------------------------------------- the start


def registered(vertices: np.ndarray, triangles: np.ndarray) -> Scan:
    """The registered face itself: every vertex carries itself."""
    return Scan(vertices.astype(np.float32), triangles, sparse.identity(len(vertices), np.float32, format="csr"))


def select(scan: Scan, keep: np.ndarray) -> Scan:
    """The triangles of a mask (F,) bool and the vertices they use."""
    triangles = scan.triangles[keep]
    used = np.zeros(len(scan.vertices), bool)
    used[triangles] = True
    return Scan(scan.vertices[used], (np.cumsum(used) - 1)[triangles].astype(np.int32), scan.carry[used])


def part_mask(
    model: ict.IctModel, kind: str, *, eyeballs: bool = True, mouth: bool = False, teeth: bool = False
) -> np.ndarray:
    """(F,) bool of model.triangles for a mask (narrow face), face (with ears and throat) or head (with shoulders).

    eyeballs also brings the eye sockets, mouth the socket behind the lips, teeth the gums, tongue and teeth.
    """
    outer = {"mask": ict.NARROW_FACE, "face": ict.SKIN, "head": ict.PARTS["head_neck"][1]}[kind]
    wanted = np.zeros(len(model.neutral), bool)
    wanted[:outer] = True
    extra = {"eye_sockets": eyeballs, "eyeballs": eyeballs, "mouth_socket": mouth, "gums_tongue": teeth, "teeth": teeth}
    for name, keep in extra.items():
        wanted[slice(*ict.PARTS[name])] |= keep
    return wanted[model.triangles].all(1)


# ------------------------------------------------------------------------------------------------ lips and lids as one


def boundary_loops(triangles: np.ndarray) -> list[np.ndarray]:
    """Closed boundary loops as ordered vertex indices, along their triangles; branched ones are left out."""
    edges = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    count = int(edges.max()) + 1
    directed = sparse.coo_matrix((np.ones(len(edges), np.int32), tuple(edges.T)), (count, count)).tocsr()
    alone = sparse.coo_matrix(directed - directed.T)
    once = alone.data > 0
    border = np.stack([alone.row[once], alone.col[once]], 1)
    following = dict(border.tolist())
    loops = []
    while following:
        start, here = following.popitem()
        loop = [start]
        while here != start and here in following:
            loop.append(here)
            here = following.pop(here)
        if here == start and len(loop) > 2:
            loops.append(np.array(loop))
    return loops


def seal(scan: Scan, openings: tuple[int, ...]) -> Scan:
    """Close the boundary loops that hold the registered vertices `openings` with a strip from one side to the other.

    The cheapest fused mouth and eyes: no new vertex, so the carry stays exact, and lips and lids become one surface.
    """
    strips = [scan.triangles]
    owner = np.full(scan.carry.shape[1], -1)
    rows = np.flatnonzero(np.diff(scan.carry.indptr) == 1)
    owner[scan.carry.indices[scan.carry.indptr[rows]]] = rows
    wanted = set(owner[list(openings)].tolist())
    for loop in boundary_loops(scan.triangles):
        if wanted & set(loop.tolist()):
            strips.append(_zip(scan.vertices, loop))
    return replace(scan, triangles=np.concatenate(strips).astype(np.int32))


def _zip(vertices: np.ndarray, loop: np.ndarray) -> np.ndarray:
    """Triangles between the two halves of a loop, split at its extremes along x, taken in step."""
    x = vertices[loop, 0]
    loop = np.roll(loop, -int(np.argmin(x)))
    turn = int(np.argmax(vertices[loop, 0]))
    one, other = loop[: turn + 1], np.append(loop[turn:], loop[0])[::-1]
    triangles, i, j = [], 0, 0
    while i < len(one) - 1 or j < len(other) - 1:
        if j == len(other) - 1 or (i < len(one) - 1 and i * (len(other) - 1) <= j * (len(one) - 1)):
            triangles.append((one[i + 1], one[i], other[j]))
            i += 1
        else:
            triangles.append((other[j], other[j + 1], one[i]))
            j += 1
    found = np.array(triangles)
    distinct = (found[:, 0] != found[:, 1]) & (found[:, 1] != found[:, 2]) & (found[:, 2] != found[:, 0])
    return found[distinct]


def openings(model: ict.IctModel) -> tuple[int, ...]:
    """One vertex on the rim of the mouth and of each eye, for `seal`."""
    triangles = model.triangles[part_mask(model, "head", eyeballs=False)]
    eyes = [model.neutral[model.landmark_vertices[side]].mean(0) for side in (slice(36, 42), slice(42, 48))]
    centres = [*eyes, model.neutral[model.landmark_vertices[60:]].mean(0)]
    rims = boundary_loops(triangles)
    middles = np.array([model.neutral[rim].mean(0) for rim in rims])
    return tuple(int(rims[int(np.argmin(np.linalg.norm(middles - centre, axis=1)))][0]) for centre in centres)


def directions(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread over the sphere (spherical Fibonacci lattice)."""
    step = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * step / count), np.pi * (1 + 5**0.5) * step
    return np.stack([np.cos(turn) * np.sin(polar), np.cos(polar), np.sin(turn) * np.sin(polar)], -1)


def camera(direction: np.ndarray) -> np.ndarray:
    """(3, 3) rotation whose third row is the direction towards the viewer."""
    z = direction / np.linalg.norm(direction)
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.99 else [0.0, 0.0, 1.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def outer_samples(scan: Scan, views: int = 40, size: int = 256) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What cameras around see: triangle (P,), weights (P, 3), outward normals (P, 3)."""
    centre = (scan.vertices.max(0) + scan.vertices.min(0)) / 2
    radius = np.linalg.norm(scan.vertices - centre, axis=1).max()
    normals = raster.vertex_normals(scan.vertices, scan.triangles)
    found = []
    for direction in directions(views):
        turn = camera(direction).astype(np.float32)
        image = raster.render((scan.vertices - centre) @ turn.T / radius, scan.triangles, size)
        seen = image.seen
        normal = image.interpolate(normals, scan.triangles)[seen]
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
        facing = normal @ direction.astype(np.float32) > 0.35
        found.append((image.triangle[seen][facing], image.weights[seen][facing], normal[facing]))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))  # type: ignore[return-value]


def fuse(
    scan: Scan,
    rng: np.random.Generator,
    *,
    depth: int = 8,
    samples: int = 200_000,
    noise: float = 0.01,
    views: int = 40,
    size: int = 256,
) -> Scan:
    """Photogrammetry in small: points that cameras see, then one closed surface through them, slits and sockets filled.

    Source: Kazhdan & Hoppe 2013, "Screened Poisson surface reconstruction" (here PyMeshLab's). depth 8 on a head is a
    grid of 1.5 mm: lips and lids become creases. Surface farther than 4 mm from any seen point is cut away, surface
    farther than 1.5 mm carries nothing. Takes 3 s (depth 7) to 10 s (depth 8).
    """
    triangle, weights, normals = outer_samples(scan, views, size)
    pick = rng.permutation(len(triangle))[:samples]
    triangle, weights, normals = triangle[pick], weights[pick], normals[pick]
    corners = scan.triangles[triangle]
    points = np.einsum("pk,pkc->pc", weights, scan.vertices[corners])
    measured = points + normals * rng.normal(0, noise, (len(points), 1))
    meshes = pymeshlab.MeshSet(verbose=False)
    meshes.add_mesh(pymeshlab.Mesh(vertex_matrix=measured.astype(float), v_normals_matrix=normals.astype(float)))
    meshes.generate_surface_reconstruction_screened_poisson(depth=depth, threads=1)
    surface = meshes.current_mesh()
    vertices, triangles = surface.vertex_matrix().astype(np.float32), surface.face_matrix().astype(np.int32)
    distance, nearest = cKDTree(points).query(vertices)
    carry = sparse.diags((distance < 0.15).astype(np.float32)) @ _rows(
        corners[nearest], weights[nearest], len(scan.vertices)
    )
    carry = sparse.csr_matrix(carry @ scan.carry)
    carry.eliminate_zeros()
    return select(Scan(vertices, triangles, carry.astype(np.float32)), (distance < 0.4)[triangles].all(1))


def _rows(columns: np.ndarray, weights: np.ndarray, width: int) -> sparse.csr_matrix:
    """(R, width) CSR with weights (R, K) at columns (R, K)."""
    count = columns.shape[1]
    starts = np.arange(0, columns.size + 1, count)
    return sparse.csr_matrix((weights.ravel().astype(np.float32), columns.ravel(), starts), (len(columns), width))


# --------------------------------------------------------------------------------------------------------- re-meshing


def subdivide(scan: Scan) -> Scan:
    """Every triangle into four; edge midpoints carry the mean of their ends."""
    edges = np.sort(scan.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1).astype(np.int64)
    count = len(scan.vertices)
    keys, which = np.unique(edges[:, 0] * count + edges[:, 1], return_inverse=True)
    unique = np.stack([keys // count, keys % count], 1)
    a, b, c = scan.triangles.T
    ab, bc, ca = (which.reshape(-1, 3) + len(scan.vertices)).T
    triangles = np.concatenate(
        [np.stack(corner, 1) for corner in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    real = scan.real
    both = sparse.diags((real[unique].all(1)).astype(np.float32))
    middle = both @ (scan.carry[unique[:, 0]] + scan.carry[unique[:, 1]]) * 0.5
    middle.eliminate_zeros()
    vertices = np.concatenate([scan.vertices, scan.vertices[unique].mean(1)])
    return Scan(vertices, triangles.astype(np.int32), sparse.vstack([scan.carry, middle], "csr"))


def jitter(scan: Scan, rng: np.random.Generator, amount: float = 0.3) -> Scan:
    """Slide each inner vertex up to `amount` of the way along one of its edges: same surface, irregular triangles."""
    edges = scan.triangles[rng.permutation(len(scan.triangles))][:, [0, 1]]
    towards = np.arange(len(scan.vertices))
    towards[edges[:, 0]] = edges[:, 1]
    border = boundary_loops(scan.triangles)
    real = scan.real
    still = real != real[towards]
    if border:
        still[np.concatenate(border)] = True
    step = (rng.uniform(0, amount, len(towards)) * ~still).astype(np.float32)[:, None]
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
    sides = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1).astype(np.int64)
    keys = np.sort(sides[:, 0] * len(vertices) + sides[:, 1])
    keys = keys[np.append(True, keys[1:] != keys[:-1])]
    edges = np.stack([keys // len(vertices), keys % len(vertices)], 1)
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
    rows = sparse.lil_matrix((len(points), len(scan.vertices)), dtype=np.float32).tocsr()
    local = _rows(scan.triangles[face[best]], weights[best], len(scan.vertices))
    place = sparse.csr_matrix(
        (np.ones(len(best), np.float32), (new[best], np.arange(len(best)))), (len(points), len(best))
    )
    rows = place @ local
    invented = sparse.diags((rows @ scan.real.astype(np.float32) > 0.999).astype(np.float32))
    carry = sparse.csr_matrix(invented @ (rows @ scan.carry))
    carry.eliminate_zeros()
    return carry


def closest(point: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric weights (P, 3) and squared distance (P,) of the nearest place in triangles abc, row by row.

    Source: Ericson 2005, "Real-time collision detection", 5.1.5, vectorised as best of the inside and the three edges.
    """
    ab, ac, ap = b - a, c - a, point - a
    d11, d12, d22 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d1, d2 = (ap * ab).sum(1), (ap * ac).sum(1)
    bottom = np.maximum(d11 * d22 - d12 * d12, 1e-20)
    v, w = (d22 * d1 - d12 * d2) / bottom, (d11 * d2 - d12 * d1) / bottom
    options = [np.stack([1 - v - w, v, w], 1)]
    for (i, p), (j, q) in (((0, a), (1, b)), ((1, b), (2, c)), ((2, c), (0, a))):
        along = (((point - p) * (q - p)).sum(1) / np.maximum(((q - p) ** 2).sum(1), 1e-20)).clip(0, 1)
        edge = np.zeros((len(point), 3), np.float32)
        edge[:, i], edge[:, j] = 1 - along, along
        options.append(edge)
    weights = np.stack(options, 1)
    place = np.einsum("pok,kpc->poc", weights, np.stack([a, b, c]))
    squared = ((place - point[:, None]) ** 2).sum(-1)
    squared[:, 0] = np.where((weights[:, 0] >= 0).all(1), squared[:, 0], np.inf)
    best = squared.argmin(1)
    rows = np.arange(len(point))
    return weights[rows, best].astype(np.float32), squared[rows, best]


def remesh(scan: Scan, count: int, rng: np.random.Generator, style: str | None = None) -> Scan:
    """About `count` vertices, in the style "quadric" (scanners' exports), "even" (retopology) or either (None)."""
    style = style or str(rng.choice(["quadric", "even"]))
    while len(scan.vertices) < 3 * count:
        scan = subdivide(scan)
    scan = jitter(scan, rng)
    return decimate(scan, count) if style == "quadric" else cluster(scan, count, rng)


# ------------------------------------------------------------------------------------------------------------ defects


def rough(
    scan: Scan, rng: np.random.Generator, *, white: float = 0.01, bumps: float = 0.02, wavelength: float = 0.8
) -> Scan:
    """Noise along the normals: white per vertex, and bumps of about one wavelength (cm) as random waves."""
    normals = raster.vertex_normals(scan.vertices, scan.triangles)
    offset = rng.normal(0, white, len(normals)) + bumps * waves(scan.vertices, rng, wavelength)
    return replace(scan, vertices=(scan.vertices + normals * offset[:, None]).astype(np.float32))


def waves(points: np.ndarray, rng: np.random.Generator, wavelength: float, count: int = 48) -> np.ndarray:
    """(P,) smooth random field of unit variance: a sum of plane waves around one wavelength."""
    direction = rng.normal(size=(3, count))
    direction *= 2 * np.pi / (wavelength * rng.uniform(0.6, 2.0, count)) / np.linalg.norm(direction, axis=0)
    phase = rng.uniform(0, 2 * np.pi, count).astype(np.float32)
    # Single precision: the cosines are a third of the time that a scan takes, and four times as quick.
    height = np.cos(points.astype(np.float32) @ direction.astype(np.float32) + phase).sum(1)
    return height * np.float32(np.sqrt(2 / count))


def smooth(scan: Scan, rounds: int = 3, share: float = 0.5) -> Scan:
    """Umbrella smoothing: each vertex moves `share` of the way to its neighbours' mean, `rounds` times."""
    edges = scan.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    ones = np.ones(len(edges), np.float32)
    graph = sparse.coo_matrix((ones, tuple(edges.T)), (len(scan.vertices),) * 2).tocsr()
    graph = graph + graph.T
    graph.data[:] = 1
    mean = sparse.diags(1 / np.maximum(np.asarray(graph.sum(1))[:, 0], 1)) @ graph
    vertices = scan.vertices
    for _ in range(rounds):
        vertices = vertices + share * (mean @ vertices - vertices)
    return replace(scan, vertices=vertices.astype(np.float32))


def quantise(scan: Scan, step: float = 0.05) -> Scan:
    """Coordinates rounded to a grid of `step`, as integer formats and depth sensors do."""
    return replace(scan, vertices=(np.round(scan.vertices / step) * step).astype(np.float32))


def holes(scan: Scan, rng: np.random.Generator, count: int, radius: float, spare: np.ndarray | None = None) -> Scan:
    """Remove `count` ragged patches of about `radius`; triangles within 1.5 radii of the points `spare` (S, 3) stay."""
    centres = scan.vertices[scan.triangles].mean(1)
    keep = np.ones(len(centres), bool)
    ragged = 1 + 0.25 * waves(centres, rng, 1.5 * radius)
    for seed in rng.integers(0, len(centres), count):
        distance = np.linalg.norm(centres - centres[seed], axis=1)
        keep &= distance > rng.uniform(0.4, 1.0) * radius * ragged
    if spare is not None:
        keep |= cKDTree(spare).query(centres)[0] < 1.5 * radius
    return select(scan, keep)


def spikes(scan: Scan, rng: np.random.Generator, count: int, length: float) -> Scan:
    """Throw single vertices out along their normals; a thrown vertex carries nothing any more."""
    thrown = rng.choice(len(scan.vertices), min(count, len(scan.vertices)), replace=False)
    normals = raster.vertex_normals(scan.vertices, scan.triangles)[thrown]
    vertices = scan.vertices.copy()
    vertices[thrown] += (normals + 0.3 * rng.normal(size=normals.shape)) * rng.exponential(length, (len(thrown), 1))
    kept = np.ones(len(vertices), np.float32)
    kept[thrown] = 0
    carry = sparse.csr_matrix(sparse.diags(kept) @ scan.carry)
    carry.eliminate_zeros()
    return replace(scan, vertices=vertices.astype(np.float32), carry=carry)


def crop(scan: Scan, normal: np.ndarray, offset: float, rng: np.random.Generator, ragged: float = 0.2) -> Scan:
    """Keep what lies below a ragged plane: normal . x < offset."""
    centres = scan.vertices[scan.triangles].mean(1)
    height = centres @ np.asarray(normal, np.float32) / np.linalg.norm(normal)
    return select(scan, height < offset + ragged * waves(centres, rng, 2.0))


# ------------------------------------------------------------------------------------------------- things that are not


def add(scan: Scan, vertices: np.ndarray, triangles: np.ndarray) -> Scan:
    """Append a component of invented surface."""
    nothing = sparse.csr_matrix((len(vertices), scan.carry.shape[1]), dtype=np.float32)
    return Scan(
        np.concatenate([scan.vertices, vertices.astype(np.float32)]),
        np.concatenate([scan.triangles, triangles + len(scan.vertices)]).astype(np.int32),
        sparse.vstack([scan.carry, nothing], "csr"),
    )


def grid(rows: int, columns: int, *, closed: bool = False) -> np.ndarray:
    """(F, 3) triangles of a sheet of rows x columns vertices, closed around the columns if asked."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    right = (c + 1) % columns
    a, b, d, e = r * columns + c, r * columns + right, (r + 1) * columns + c, (r + 1) * columns + right
    flip = ((r + c) % 2 == 0)[..., None]
    one = np.where(flip, np.stack([a, d, b], -1), np.stack([a, d, e], -1))
    two = np.where(flip, np.stack([b, d, e], -1), np.stack([a, e, b], -1))
    return np.concatenate([one.reshape(-1, 3), two.reshape(-1, 3)])


def shirt(vertices: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A collar and shoulders around the neck of a registered head (N, 3) -> vertices, triangles."""
    neck = vertices[slice(*ict.PARTS["head_neck"])]
    low, height = neck[:, 1].min(), np.ptp(neck[:, 1])
    centre = np.array([0, low + 2.0, neck[neck[:, 1] < low + 0.15 * height][:, 2].mean() - 2.5])
    rows, columns = 28, 72
    down, around = np.meshgrid(
        np.linspace(0, 1, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False), indexing="ij"
    )
    wide = 7.2 + rng.uniform(10, 15) * down**0.8
    deep = 8.0 + rng.uniform(2, 5) * down**0.7
    collar = rng.uniform(6.0, 8.5)
    # Lower in front than behind, falling off towards the shoulders.
    top = collar - 9.0 * down**1.2 - 4.0 * (1 + np.sin(around)) / 2 * (1 - down) - 2.0 * np.abs(np.cos(around)) * down
    sheet = np.stack([wide * np.cos(around), top, deep * np.sin(around)], -1).reshape(-1, 3) + centre
    folds = waves(sheet, rng, 5.0)[:, None] * 0.5 + waves(sheet, rng, 1.8)[:, None] * 0.12
    outward = sheet - centre
    sheet = sheet + folds * outward / (np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9)
    return sheet, grid(rows, columns, closed=True)[:, ::-1]


def hair(
    vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator, thickness: float = 1.2
) -> tuple[np.ndarray, np.ndarray]:
    """A lumpy cap over the cranium of a registered head (N, 3), down to a random hairline -> vertices, triangles."""
    skull = slice(0, ict.PARTS["head_neck"][1])
    normals = raster.vertex_normals(vertices, triangles)[skull]
    points = vertices[skull]
    brow = points[:, 1].max() - rng.uniform(0.28, 0.42) * (points[:, 1].max() - points[:, 1].min()) * 0.75
    behind = points[:, 2].max() - points[:, 2]
    # The hairline sinks towards the nape, by a random length.
    line = brow + rng.uniform(1.0, 3.5) - rng.uniform(0.3, 1.1) * np.maximum(behind - 7.0, 0)
    inside = np.asarray(points[:, 1] > line + 0.4 * waves(points, rng, 2.0))
    skin = np.asarray((triangles < skull.stop).all(1))
    keep = skin & inside[np.where(skin[:, None], triangles, 0)].all(1)
    used = np.unique(triangles[keep])
    lumps = thickness * (1 + 0.35 * waves(points, rng, 3.0) + 0.15 * waves(points, rng, 0.8)).clip(0.1)
    lifted = points + normals * lumps[:, None]
    index = np.full(len(vertices), -1)
    index[used] = np.arange(len(used))
    return lifted[used], index[triangles[keep]]


def tube(path: np.ndarray, radius: float, sides: int = 6, *, closed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A tube around a polyline (P, 3) -> vertices, triangles."""
    tangent = np.gradient(path, axis=0) if not closed else np.roll(path, -1, 0) - np.roll(path, 1, 0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    side = np.cross(tangent, [0.13, 0.21, 0.97])
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    up = np.cross(tangent, side)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    rings = path[:, None] + radius * (side[:, None] * np.cos(turn)[:, None] + up[:, None] * np.sin(turn)[:, None])
    triangles = grid(len(path), sides, closed=True)
    if closed:
        last, first = (len(path) - 1) * sides + np.arange(sides), np.arange(sides)
        onward, around = np.roll(first, -1), np.roll(last, -1)
        triangles = np.concatenate(
            [triangles, np.stack([last, first, around], 1), np.stack([around, first, onward], 1)]
        )
    return rings.reshape(-1, 3), triangles[:, ::-1]


def glasses(landmarks: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A frame on the nose of landmarks (68, 3), in the model's axes -> vertices, triangles."""
    thick, power = rng.uniform(0.1, 0.25), rng.uniform(0.6, 1.0)
    wide, high = rng.uniform(2.2, 2.9), rng.uniform(1.5, 2.3)
    pieces = []
    front = landmarks[27:30, 2].max() + rng.uniform(0.2, 0.9)
    for eye, outside in ((landmarks[36:42], -1), (landmarks[42:48], 1)):
        middle = eye.mean(0)
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        x = middle[0] + wide * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power
        y = middle[1] - 0.2 + high * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
        z = front - 0.06 * np.abs(x) ** 1.5
        pieces.append(tube(np.stack([x, y, z], 1), thick, closed=True))
        start = np.array(
            [middle[0] + outside * wide, middle[1] + 0.3, front - 0.06 * abs(middle[0] + outside * wide) ** 1.5]
        )
        end = start + [outside * 1.2, -0.3, -9.5]
        pieces.append(tube(start + (end - start) * np.linspace(0, 1, 12)[:, None], thick))
    bridge = np.stack([np.linspace(-1, 1, 6), np.full(6, landmarks[27:29, 1].mean()), np.full(6, front)], 1)
    pieces.append(tube(bridge, thick))
    return join(pieces)


def join(pieces: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in pieces[:-1])])
    triangles = [triangles + start for (_, triangles), start in zip(pieces, starts, strict=True)]
    return np.concatenate([vertices for vertices, _ in pieces]), np.concatenate(triangles)


# -------------------------------------------------------------------------------------------------- pose and landmarks


def rotation(rng: np.random.Generator, limit: float = np.pi) -> np.ndarray:
    """(3, 3) random proper rotation: uniform over SO(3) by default, else an angle below `limit` about a random axis."""
    if limit >= np.pi:
        q = rng.normal(size=4)
        w, x, y, z = q / np.linalg.norm(q)
    else:
        axis, angle = rng.normal(size=3), rng.uniform(0, limit)
        w, (x, y, z) = np.cos(angle / 2), np.sin(angle / 2) * axis / np.linalg.norm(axis)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose(scan: Scan, rng: np.random.Generator, limit: float = np.pi) -> tuple[Scan, Similarity]:
    """Random rotation, unit (micrometres to kilometres) and place; the Similarity takes model centimetres there."""
    scale = float(10 ** rng.uniform(-4, 4))
    turn = rotation(rng, limit)
    move = Similarity(scale, turn, scale * rng.normal(0, 30, 3))
    return replace(scan, vertices=move.to_mesh(scan.vertices).astype(np.float32)), move


def landmark_vertices(scan: Scan, model: ict.IctModel) -> tuple[np.ndarray, np.ndarray]:
    """(68,) the scan's vertex nearest to each landmark *on the registered face*, and that distance (68,) in cm.

    Lips and lids that touch are told apart by where an open jaw and a blink would take them.
    """
    opened = model.expression[[model.index("jawOpen"), model.index("eyeBlink_L"), model.index("eyeBlink_R")]]
    signature = np.concatenate([model.neutral, opened[0], 2 * (opened[1] + opened[2])], 1)
    rows = np.flatnonzero(scan.real)
    distance, nearest = cKDTree(scan.carry[rows] @ signature).query(signature[model.landmark_vertices])
    return rows[nearest].astype(np.int32), distance


def project(scan: Scan, nearest: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P, 3) place nearest to each point (P, 3) on the triangles around its vertex nearest (P,)."""
    at, face = np.nonzero((scan.triangles[None] == nearest[:, None, None]).any(-1))
    corners = scan.vertices[scan.triangles[face]].astype(float)
    weights, squared = closest(points[at], corners[:, 0], corners[:, 1], corners[:, 2])
    order = np.lexsort((squared, at))
    best = order[np.unique(at[order], return_index=True)[1]]
    return np.einsum("pk,pkc->pc", weights[best], corners[best])


# -------------------------------------------------------------------------------------------------- all of it together


def identity(rng: np.random.Generator, model: ict.IctModel, spread: float = 1.0) -> np.ndarray:
    """(100,) identity weights: normal with a random overall strength."""
    return rng.normal(0, spread * rng.uniform(0.5, 1.0), len(model.identity))


def random_scan(
    model: ict.IctModel,
    vertices: np.ndarray,
    rng: np.random.Generator,
    *,
    count: int | None = None,
    kind: str | None = None,
    lips: str | None = None,
    extras: bool = True,
    spare: np.ndarray | None = None,
) -> Scan:
    """One random scan of a registered face (N, 3), in the model's frame and unit.

    count: vertices of the face (drawn from 1.5k-30k, log-uniform; 0 keeps the registered mesh, its vertices slid along
    edges: ten times as fast). kind: one of KINDS. lips: "open" (a slit, as in
    sculpts and after cutting), "sealed" (touching lips joined by a strip) or "fused" (surface reconstruction, 3-10 s,
    drawn only on request). extras: shirt, hair and glasses as further components. spare: points (S, 3) that holes and
    crops leave in place.
    """
    kind = kind or str(rng.choice(KINDS, p=[0.3, 0.25, 0.45]))
    lips = lips or str(rng.choice(["open", "sealed"]))
    if count is None:
        count = int(np.exp(rng.uniform(np.log(1_500), np.log(30_000))))
    inner = {
        "eyeballs": bool(rng.random() < 0.6) or lips == "fused",
        "mouth": lips == "fused" or (lips == "open" and bool(rng.random() < 0.5)),
        "teeth": lips == "open" and bool(rng.random() < 0.2),
    }
    scan = registered(vertices, model.triangles)
    scan = select(scan, part_mask(model, kind, **inner))
    if lips == "sealed":
        scan = seal(scan, openings(model)[2:] if inner["eyeballs"] else openings(model))
    if lips == "fused":
        scan = fuse(scan, rng, depth=7 if kind == "mask" else 8)
    scan = remesh(scan, count, rng) if count else jitter(scan, rng)
    if extras and kind == "head" and rng.random() < 0.5:
        scan = add(scan, *shirt(vertices, rng))
    if extras and kind == "head" and rng.random() < 0.5:
        scan = add(scan, *hair(vertices, model.triangles, rng, rng.uniform(0.3, 2.5)))
    if extras and rng.random() < 0.15:
        scan = add(scan, *glasses(vertices[model.landmark_vertices], rng))
    return defects(scan, rng, spare)


def defects(scan: Scan, rng: np.random.Generator, spare: np.ndarray | None = None) -> Scan:
    """A random choice of noise, smoothing, quantisation, holes, spikes and a cropping plane; the points `spare` (S, 3)
    keep their surface."""
    if rng.random() < 0.7:
        scan = rough(
            scan, rng, white=rng.exponential(0.008), bumps=rng.exponential(0.012), wavelength=rng.uniform(0.4, 2)
        )
    if rng.random() < 0.3:
        scan = smooth(scan, int(rng.integers(1, 5)))
    if rng.random() < 0.2:
        scan = quantise(scan, rng.uniform(0.005, 0.05))
    if rng.random() < 0.4:
        scan = holes(scan, rng, int(rng.integers(1, 6)), rng.uniform(0.3, 1.5), spare)
    if rng.random() < 0.2:
        scan = spikes(scan, rng, int(rng.integers(1, 20)), rng.uniform(0.2, 2))
    if rng.random() < 0.3:
        normal = rng.normal(size=3) * [1, 1, 0.2]
        unit = normal / np.linalg.norm(normal)
        offset = float(np.quantile(scan.vertices @ unit, rng.uniform(0.85, 0.99)))
        if spare is None or (spare @ unit).max() + 0.8 < offset:
            scan = crop(scan, normal, offset, rng)
    return scan


def components(scan: Scan) -> np.ndarray:
    """(V,) label of each vertex's connected component."""
    edges = scan.triangles[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = sparse.coo_matrix((np.ones(len(edges)), tuple(edges.T)), (len(scan.vertices),) * 2)
    return connected_components(graph, directed=False)[1]
