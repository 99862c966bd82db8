"""A scan of the registered ICT face, with the truth carried along.

A `Scan` is a mesh whose every vertex remembers its place on the registered face as a sparse row of barycentric
weights, so anything known per registered vertex (displacements, landmarks) follows: `scan.transfer(values)`. Surface
that a scanner invents (shirt, hair, spikes' tips, filled gaps) has an empty row. Lengths are centimetres, the unit of
ICT-FaceKit, until `pose` draws another unit.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from export import ict
from freetalk_blender.core.frame import Similarity
from freetalk_blender.core.surface.rows import renumbered

#: How much of the registered head a scan may hold, as `part_mask` tells.
KINDS = ("mask", "face", "head")
#: Plane waves whose sum is a random field.
_WAVES = 48


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

    @property
    def owner(self) -> np.ndarray:
        """(N,) the vertex that lies on each registered one; -1 where none does."""
        rows = np.flatnonzero(np.diff(self.carry.indptr) == 1)
        found = np.full(self.carry.shape[1], -1)
        found[self.carry.indices[self.carry.indptr[rows]]] = rows
        return found

    def transfer(self, values: np.ndarray) -> np.ndarray:
        """(..., N, C) values of the registered vertices -> (..., V, C); 0 on invented surface."""
        values = np.asarray(values, np.float32)
        flat = np.moveaxis(values, -2, 0).reshape(values.shape[-2], -1)
        carried = (self.carry @ flat).reshape(-1, *values.shape[:-2], values.shape[-1])
        return np.moveaxis(carried, 0, -2)


def registered(vertices: np.ndarray, triangles: np.ndarray) -> Scan:
    """The registered face itself: every vertex carries itself."""
    return Scan(vertices.astype(np.float32), triangles, sparse.identity(len(vertices), np.float32, format="csr"))


def select(scan: Scan, keep: np.ndarray) -> Scan:
    """The triangles of a mask (F,) bool and the vertices they use."""
    used, triangles = renumbered(scan.triangles[keep], len(scan.vertices))
    return Scan(scan.vertices[used], triangles.astype(np.int32), scan.carry[used])


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


def parts(model: ict.IctModel, vertices: np.ndarray, kind: str, **inner: bool) -> Scan:
    """A registered face (N, 3) without what `part_mask` leaves out, every vertex carrying itself."""
    return select(registered(vertices, model.triangles), part_mask(model, kind, **inner))


def add(scan: Scan, vertices: np.ndarray, triangles: np.ndarray) -> Scan:
    """Append a component of invented surface."""
    nothing = sparse.csr_matrix((len(vertices), scan.carry.shape[1]), dtype=np.float32)
    return Scan(
        np.concatenate([scan.vertices, vertices.astype(np.float32)]),
        np.concatenate([scan.triangles, triangles + len(scan.vertices)]).astype(np.int32),
        sparse.vstack([scan.carry, nothing], "csr"),
    )


def identity(rng: np.random.Generator, model: ict.IctModel, spread: float = 1.0) -> np.ndarray:
    """(100,) identity weights: normal with a random overall strength."""
    return rng.normal(0, spread * rng.uniform(0.5, 1.0), len(model.identity))


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


def pose(scan: Scan, rng: np.random.Generator) -> tuple[Scan, Similarity]:
    """Random rotation, unit (micrometres to kilometres) and place; the Similarity takes model centimetres there."""
    scale = float(10 ** rng.uniform(-4, 4))
    move = Similarity(scale, rotation(rng), scale * rng.normal(0, 30, 3))
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


def barycentric(columns: np.ndarray, weights: np.ndarray, width: int) -> sparse.csr_matrix:
    """(R, width) CSR with weights (R, K) at columns (R, K)."""
    count = columns.shape[1]
    starts = np.arange(0, columns.size + 1, count)
    return sparse.csr_matrix((weights.ravel().astype(np.float32), columns.ravel(), starts), (len(columns), width))


def waves(points: np.ndarray, rng: np.random.Generator, wavelength: float) -> np.ndarray:
    """(P,) smooth random field of unit variance: a sum of plane waves around one wavelength."""
    direction = rng.normal(size=(3, _WAVES))
    direction *= 2 * np.pi / (wavelength * rng.uniform(0.6, 2.0, _WAVES)) / np.linalg.norm(direction, axis=0)
    phase = rng.uniform(0, 2 * np.pi, _WAVES).astype(np.float32)
    # Single precision: the cosines are a third of the time that a scan takes, and four times as quick.
    height = np.cos(points.astype(np.float32) @ direction.astype(np.float32) + phase).sum(1)
    return height * np.float32(np.sqrt(2 / _WAVES))
