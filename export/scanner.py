"""What a scanner leaves of a face: noise, smoothing, holes, spikes, crops - and all of it at random.

All steps are pure: Scan and numpy Generator in, Scan out.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from export import ict
from export.dressing import glasses, hair, shirt
from export.fusing import fuse, openings, seal
from export.remeshing import jitter, remesh
from export.scanning import KINDS, Scan, add, parts, select, waves
from freetalk_blender.core.landmarks import LEFT_EYE, LIDS, LIPS, RIGHT_EYE
from freetalk_blender.core.surface import raster
from freetalk_blender.core.surface.edges import directed_edges

#: How far a cropping plane's edge is ragged: the deviation of its waves (cm).
_RAGGED = 0.2
#: Half the width, height and depth of an eye's wet part (cm).
_WET_EYE = np.array([1.1, 0.5, 1.5])


def random_scan(
    model: ict.IctModel,
    vertices: np.ndarray,
    rng: np.random.Generator,
    *,
    count: int | None = None,
    kind: str | None = None,
    lips: str | None = None,
    spare: np.ndarray | None = None,
    teeth: bool | None = None,
) -> Scan:
    """One random scan of a registered face (N, 3), in the model's frame and unit.

    count: vertices of the face (drawn from 1.5k-30k, log-uniform; 0 keeps the registered mesh, its vertices slid along
    edges: ten times as fast). kind: one of KINDS. lips: "open" (a slit, as in sculpts and after cutting), "sealed"
    (touching lips joined by a strip) or "fused" (surface reconstruction, 3-10 s, drawn only on request). spare: points
    (S, 3) that holes and crops leave in place. teeth: whether there are gums, teeth and a tongue; drawn for open lips,
    and none for others, where it is None. Some have a shirt, hair or glasses as further components.
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
    if teeth is not None:
        inner["teeth"] = teeth
    scan = parts(model, vertices, kind, **inner)
    if lips == "sealed":
        scan = seal(scan, openings(model)[2:] if inner["eyeballs"] else openings(model))
    if lips == "fused":
        scan = fuse(scan, rng, depth=7 if kind == "mask" else 8)
    scan = remesh(scan, count, rng) if count else jitter(scan, rng)
    if kind == "head" and rng.random() < 0.5:
        scan = add(scan, *shirt(vertices, rng))
    if kind == "head" and rng.random() < 0.5:
        scan = add(scan, *hair(vertices, model.triangles, rng, rng.uniform(0.3, 2.5)))
    if rng.random() < 0.15:
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


def rough(
    scan: Scan, rng: np.random.Generator, *, white: float = 0.01, bumps: float = 0.02, wavelength: float = 0.8
) -> Scan:
    """Noise along the normals: white per vertex, and bumps of about one wavelength (cm) as random waves."""
    normals = raster.vertex_normals(scan.vertices, scan.triangles)
    offset = rng.normal(0, white, len(normals)) + bumps * waves(scan.vertices, rng, wavelength)
    return replace(scan, vertices=(scan.vertices + normals * offset[:, None]).astype(np.float32))


def smooth(scan: Scan, rounds: int = 3, share: float | np.ndarray = 0.5) -> Scan:
    """Umbrella smoothing: each vertex moves `share` of the way to its neighbours' mean, `rounds` times; share: one for
    all vertices, or (V, 1)."""
    edges = directed_edges(scan.triangles)
    ones = np.ones(len(edges), np.float32)
    graph = sparse.coo_matrix((ones, tuple(edges.T)), (len(scan.vertices),) * 2).tocsr()
    graph = graph + graph.T
    graph.data[:] = 1
    mean = sparse.diags(1 / np.maximum(np.asarray(graph.sum(1))[:, 0], 1)) @ graph
    vertices = scan.vertices
    for _ in range(rounds):
        vertices = vertices + share * (mean @ vertices - vertices)
    return replace(scan, vertices=vertices.astype(np.float32))


def melted(scan: Scan, points: np.ndarray, rng: np.random.Generator) -> Scan:
    """Lids, or lids and lips, as photogrammetry leaves them: smoothed, with bumps of their own, and the wet eye between
    the lids hollow or full; points: true landmarks (68, 3), cm."""
    where = np.concatenate([points[LIDS], points[LIPS]]) if rng.random() < 0.5 else points[LIDS]
    away = cKDTree(where).query(scan.vertices)[0]
    amount = np.exp(-((away / rng.uniform(0.3, 0.8)) ** 2)).astype(np.float32)[:, None]
    corners = scan.vertices[scan.triangles]
    length = np.median(np.linalg.norm(corners - np.roll(corners, -1, 1), axis=2))
    rounds = int(np.clip(round((rng.uniform(0.1, 0.35) / length) ** 2 * 2), 1, 60))
    hollow = replace(scan, vertices=scan.vertices + _hollow(scan.vertices, points, rng.normal(-0.04, 0.08)))
    vertices = smooth(hollow, rounds, 0.5 * amount).vertices
    normals = raster.vertex_normals(vertices, scan.triangles)
    bumps = rng.uniform(0, 0.06) * waves(scan.vertices, rng, rng.uniform(0.4, 1.2))
    return replace(scan, vertices=(vertices + normals * amount * bumps[:, None]).astype(np.float32))


def _hollow(vertices: np.ndarray, points: np.ndarray, depth: float) -> np.ndarray:
    """(V, 3) how far what lies between the lids comes forward (cm, +z) where it does so by `depth` in the middle."""
    moved = np.zeros_like(vertices)
    for eye in (RIGHT_EYE, LEFT_EYE):
        away = (vertices - points[eye].mean(0)) / _WET_EYE
        moved[:, 2] += depth * np.exp(-(np.linalg.norm(away, axis=1) ** 4))
    return moved


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


def crop(scan: Scan, normal: np.ndarray, offset: float, rng: np.random.Generator) -> Scan:
    """Keep what lies below a ragged plane: normal . x < offset."""
    centres = scan.vertices[scan.triangles].mean(1)
    height = centres @ np.asarray(normal, np.float32) / np.linalg.norm(normal)
    return select(scan, height < offset + _RAGGED * waves(centres, rng, 2.0))
