"""Lips and lids as one surface: sealed by a strip, or fused by surface reconstruction as scanners do.

All steps are pure: Scan and numpy Generator in, Scan out.
"""

from dataclasses import replace

import numpy as np
import pymeshlab
import scipy.sparse as sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from export import ict
from export.scanning import Scan, barycentric, closest, part_mask, select
from freetalk_blender.core.binding import handles
from freetalk_blender.core.landmarks import LEFT_EYE, RIGHT_EYE
from freetalk_blender.core.surface import raster
from freetalk_blender.core.surface.edges import directed_edges

#: A place that carries so little of a vertex is not counted by `unblended`.
SLIGHT = 0.02
#: Triangles of the registered face that `on_web` looks at around each vertex.
_AROUND = 40
#: Deviation of the points that cameras see from the surface (cm).
_NOISE = 0.01


def boundary_loops(triangles: np.ndarray) -> list[np.ndarray]:
    """Closed boundary loops as ordered vertex indices, along their triangles; branched ones are left out."""
    edges = directed_edges(triangles)
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
    wanted = set(scan.owner[list(openings)].tolist())
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
    eyes = [model.neutral[model.landmark_vertices[side]].mean(0) for side in (RIGHT_EYE, LEFT_EYE)]
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
    measured = points + normals * rng.normal(0, _NOISE, (len(points), 1))
    meshes = pymeshlab.MeshSet(verbose=False)
    meshes.add_mesh(pymeshlab.Mesh(vertex_matrix=measured.astype(float), v_normals_matrix=normals.astype(float)))
    meshes.generate_surface_reconstruction_screened_poisson(depth=depth, threads=1)
    surface = meshes.current_mesh()
    vertices, triangles = surface.vertex_matrix().astype(np.float32), surface.face_matrix().astype(np.int32)
    distance, nearest = cKDTree(points).query(vertices)
    carry = sparse.diags((distance < 0.15).astype(np.float32)) @ barycentric(
        corners[nearest], weights[nearest], len(scan.vertices)
    )
    carry = sparse.csr_matrix(carry @ scan.carry)
    carry.eliminate_zeros()
    return select(Scan(vertices, triangles, carry.astype(np.float32)), (distance < 0.4)[triangles].all(1))


def on_web(
    scan: Scan, rows: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, far: float, near: float
) -> np.ndarray:
    """(R,) bool: which of the scan's vertices lie on the web that reconstruction spans between touching lips or lids.

    Such a vertex is given the place whose points happen to be nearer, by hundredths of a millimetre, and nothing that
    the scan shows tells which: it counts as one where another place, far along the face, is no more than `near` further
    away than its own. rows (R,): vertices that carry something; vertices (N,3), triangles (F,3): the registered face;
    far: as in `unblended` (its unit).
    """
    points = scan.vertices[rows].astype(float)
    own = np.asarray(scan.carry[rows].argmax(1)).ravel()
    start = scan.carry[rows] @ vertices
    off = np.linalg.norm(vertices[own] - start, axis=1)
    corners = vertices[triangles].astype(float)
    around = cKDTree(corners.mean(1)).query(points, _AROUND)[1]
    graph = handles.edge_graph(np.asarray(vertices, float), triangles)
    web = np.zeros(len(rows), bool)
    for row, some in enumerate(around):
        weights, squared = closest(np.broadcast_to(points[row], (len(some), 3)), *corners[some].transpose(1, 0, 2))
        place = np.einsum("pk,pkc->pc", weights, corners[some])
        reach = 2 * np.linalg.norm(place - start[row], axis=1) + far
        beside = np.linalg.norm(corners[some] - place[:, None], axis=2)
        limit = (reach + beside.max(1)).max() + off[row]
        away = dijkstra(graph, directed=False, indices=own[row], limit=limit)[triangles[some]]
        other = (away - beside).min(1) - off[row] > reach
        distance = np.sqrt(np.maximum(squared, 0))
        web[row] = distance[other].min(initial=np.inf) < distance[~other].min(initial=np.inf) + near
    return web


def unblended(scan: Scan, vertices: np.ndarray, triangles: np.ndarray, far: float) -> Scan:
    """The scan without a truth wherever it blends two places that lie against each other, as an upper and a lower lip.

    Remeshing a fused surface carries a vertex between the lips half by each; half of a motion that only the lower one
    makes is neither's. Such rows become empty. vertices (N,3), triangles (F,3): the registered face; far: by how much
    the way along it is longer than twice the straight one where places are two (its unit).
    """
    carry = scan.carry
    used = np.unique(carry.indices)
    column = np.searchsorted(used, carry.indices)
    row = np.repeat(np.arange(carry.shape[0]), np.diff(carry.indptr))
    order = np.lexsort((carry.data, row))
    heaviest = column[order[np.cumsum(np.bincount(row, minlength=carry.shape[0])) - 1]][row]
    straight = np.linalg.norm(vertices[used[column]] - vertices[used[heaviest]], axis=1)
    graph = handles.edge_graph(np.asarray(vertices, float), triangles)
    blended = np.zeros(carry.shape[0], bool)
    for place in np.unique(heaviest[column != heaviest]):
        mine = heaviest == place
        reach = 2 * straight[mine] + far
        away = dijkstra(graph, directed=False, indices=used[place], limit=reach.max())[used[column[mine]]]
        blended[row[mine][(away > reach) & (carry.data[mine] > SLIGHT)]] = True
    carry = sparse.csr_matrix(sparse.diags((~blended).astype(np.float32)) @ carry)
    carry.eliminate_zeros()
    return replace(scan, carry=carry)
