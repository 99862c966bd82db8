"""STM, Sparse-To-Mesh: the motion of 68 landmarks -> the motion of every vertex of one mesh.

`bind` runs once per mesh. It finds the smoothest motion through the landmarks (`interpolant`) and asks the network,
from intrinsic features of each vertex, for a basis of facial motion: what skin does that smoothness alone does not
know. The code of a frame in that basis is the most probable one given the landmarks, motion = basis @ code + smooth
process (universal kriging: Matheron 1969; Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning", ch.
2.7); of several networks in one file the mean is used (`mean_posterior`). What the basis misses at the landmarks is
interpolated smoothly, so landmarks are met exactly and unfamiliar motion falls back to the smooth interpolant. Where
a frame's landmarks speak against the basis, less of what it adds is used (`evidence`). `Binding.displace` is one matrix
product: of the landmarks' motion and a few weights that are a non-linear function of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from .. import cancel, models
from ..errors import MeshError, ModelError
from ..landmarks import BROWS, COUNT, LIDS, LIPS
from ..surface import mesh, raster, spectral
from ..surface.rows import numbered
from . import evidence
from .interpolant import REACH, Interpolant, columns, interpolant
from .proxy import Proxy, simplify

#: Lengths (canonical units) at which landmarks are seen from a vertex, and over which normals are averaged.
SIGHT = (0.1, 0.3)
NORMAL_LENGTH = 0.04
#: Columns of `features`: position, averaged normal, offset from the interpolated landmarks, weights, sight at each
#: length.
FEATURES = 9 + COUNT * (1 + len(SIGHT))
#: Share of the learned correction that is trusted at the lips, and how near (canonical units) to a landmark of theirs;
#: from there to twice as far it rises to 1. On held-out identities in other artists' styles the error of the lips is
#: flat from 1 to .85 (`export.train_stm` prints it), so the correction is kept small where it earns nothing.
LIP_TRUST, LIP_REACH = 0.85, 0.08
#: Share of what the landmarks of nose, mouth and jaw add to it that is trusted at lids and brows, and how near to a
#: landmark of lids and of brows; from there to twice as far it rises to 1. Lids and brows follow their own landmarks:
#: from 1 to this their error rises by 3 % in the artist's own style and falls in others (`export.calibrate_stm`).
FAR_TRUST, LID_REACH, BROW_REACH = 0.35, 0.05, 0.12
#: Landmarks of nose, mouth and jaw.
_FAR = np.delete(np.arange(COUNT), np.r_[BROWS, LIDS])
#: Variance of landmark placement beside the smooth process alone, whose own is about 0.004; two may share a vertex.
_RIDGE = 1e-6
#: Meshes of more vertices than HEAVY are bound by a stand-in of about LIGHT vertices.
HEAVY, LIGHT = 60_000, 30_000
#: How far beyond their reach triangles are kept (canonical units).
_BEYOND = 0.2


@dataclass(frozen=True)
class Binding:
    """One mesh of `count` vertices, bound, itself or by a stand-in.

    vertices (N,) int32: those that can move, of the mesh or of its stand-in; matrix (R, 3N) float32: `codes`, of which
    the first 204 are landmark displacement (x, y, z of landmark 0, of landmark 1, ...) -> their displacement (x, y, z
    of vertex 0, ...); belief: makes the other codes, if there are any.

    Landmark displacement is in canonical units. What the matrix answers is in the unit and axes it was made for:
    canonical as `bind` gives it, the mesh's own in a `Face`.
    """

    count: int
    vertices: np.ndarray
    matrix: np.ndarray
    proxy: Proxy | None = None
    belief: evidence.Evidence | None = None

    @property
    def bound_count(self) -> int:
        """Number of vertices of what is bound: the mesh or its stand-in."""
        return self.count if self.proxy is None else len(self.proxy.vertices)

    def codes(self, motion: np.ndarray) -> np.ndarray:
        """(T,R) float32 weights of the rows of `matrix` for landmark displacement (T,68,3), canonical units.

        Raises ModelError for another shape.
        """
        motion = np.ascontiguousarray(motion, np.float32)
        if motion.ndim != 3 or motion.shape[1:] != (COUNT, 3):
            raise ModelError(f"Landmark displacement must have shape (T, {COUNT}, 3); this one is {motion.shape}.")
        rows = motion.reshape(-1, COUNT * 3)
        return rows if self.belief is None else np.concatenate([rows, self.belief.doubted(rows)], 1)

    @cached_property
    def everywhere(self) -> np.ndarray:
        """(R, 3P): the matrix, with zeros for vertices at rest: cheaper to multiply than to scatter."""
        return self._scatter(self.matrix.reshape(len(self.matrix), -1, 3)).reshape(len(self.matrix), -1)

    def displace(self, motion: np.ndarray) -> np.ndarray:
        """(T,68,3) landmark displacement, canonical units -> (T,V,3) float32 vertex displacement, the matrix's units.

        Raises ModelError for another shape.
        """
        codes = self.codes(motion)
        result = np.empty((len(codes), self.everywhere.shape[1]), np.float32)
        np.matmul(codes, self.everywhere, out=result)
        dense = result.reshape(len(codes), -1, 3)
        return dense if self.proxy is None else self.proxy.carry(dense)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(...,N,3) on the vertices that can move -> (...,V,3) on all of the mesh: shapes of `matrix`, for example."""
        full = self._scatter(values)
        return full if self.proxy is None else self.proxy.carry(full)

    def motion_of(self, vertices: np.ndarray) -> np.ndarray:
        """(R,n,3) what each row of the matrix moves vertices (n,) of the mesh by; zeros where they rest."""
        column = numbered(self.vertices, self.bound_count)
        matrix = self.matrix.reshape(len(self.matrix), -1, 3)

        def of(bound: np.ndarray) -> np.ndarray:
            place = column[bound]
            return matrix[:, place] * (place >= 0)[:, None]

        if self.proxy is None:
            return of(vertices)
        corners, shares = self.proxy.corners[vertices], self.proxy.shares[vertices]
        return sum(of(corner) * share[:, None] for corner, share in zip(corners.T, shares.T, strict=True))

    def with_more(self, more: np.ndarray, points: np.ndarray, moved: np.ndarray) -> "Binding":
        """The binding with vertices (n,) of the mesh that rested so far, at points (n,3), canonical units, which move
        by moved (R,n,3), the matrix's units."""
        proxy, own = self.proxy, more
        if proxy is not None:
            proxy, own = proxy.with_more(more, points), self.bound_count + np.arange(len(more))
        matrix = np.concatenate([self.matrix, moved.reshape(len(moved), -1).astype(np.float32)], 1)
        vertices = np.concatenate([self.vertices, own]).astype(self.vertices.dtype)
        return replace(self, vertices=vertices, matrix=matrix, proxy=proxy)

    def with_like(self, more: np.ndarray, models: np.ndarray) -> "Binding":
        """The binding, by a stand-in, with vertices (n,) of the mesh that rested so far and move as others (n,) do."""
        assert self.proxy is not None
        return replace(self, proxy=self.proxy.with_like(more, models))

    def _scatter(self, values: np.ndarray) -> np.ndarray:
        full = np.zeros((*values.shape[:-2], self.bound_count, 3), np.float32)
        full[..., self.vertices, :] = values
        return full


def features(vertices: np.ndarray, triangles: np.ndarray, smooth: Interpolant) -> np.ndarray:
    """(N, FEATURES) float32 of the vertices within reach; vertices (V,3) canonical, triangles (F,3).

    Sight is the logarithm of the screened Poisson kernel from each landmark, which falls with distance along the
    surface (Varadhan's formula) and, unlike heat kernels from k eigenfunctions, does not blur when the mesh is a whole
    body.
    """
    position = np.asarray(vertices, np.float64)[smooth.vertices]
    normal = raster.vertex_normals(np.asarray(vertices, np.float64), triangles)[smooth.vertices]
    mass = sp.diags(smooth.mass)
    normal = spectral.factor(mass + NORMAL_LENGTH**2 * smooth.stiffness)(smooth.mass[:, None] * normal)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    offset = position - smooth.weights @ position[smooth.rows]
    source = columns(smooth.rows, len(position))
    sight = [_sight(spectral.factor(mass + t**2 * smooth.stiffness)(source), t) for t in SIGHT]
    return np.concatenate([position, normal, offset, smooth.weights, *sight], 1).astype(np.float32)


def _sight(kernel: np.ndarray, length: float) -> np.ndarray:
    """About -1 far away (8 lengths), 0 at one length, +0.4 close by."""
    return np.log(np.clip(2 * np.pi * length**2 * kernel, np.exp(-8.0), np.exp(3.0))) / 8.0


def posterior(
    basis: np.ndarray, rows: np.ndarray, covariance: np.ndarray, smooth_scale: float, noise: float
) -> np.ndarray:
    """(R, 204) matrix: landmark displacement -> most probable code, with a unit normal prior on the code.

    basis (N,3,R); rows (68,) of the landmarks; covariance (68,68) of the smooth process, times smooth_scale; noise:
    variance.
    code = (I + Aᵀ K⁻¹ A)⁻¹ Aᵀ K⁻¹ d, A the basis at the landmarks, K the covariance (Rasmussen & Williams eq. 2.41).
    """
    at = basis[rows].astype(np.float64)  # (68,3,R)
    precision = np.linalg.inv(smooth_scale * covariance + noise * np.identity(len(rows)))
    weighted = np.einsum("lm,mcr->lcr", precision, at)
    normal = np.einsum("lcr,lcs->rs", at, weighted) + np.identity(at.shape[2])
    return np.linalg.solve(normal, weighted.reshape(-1, at.shape[2]).T)


def mean_posterior(
    basis: np.ndarray, rows: np.ndarray, covariance: np.ndarray, variances: Sequence[tuple[float, float]]
) -> np.ndarray:
    """(R, 204) matrix of codes whose motion is the mean of what several networks find each for itself.

    basis (N,3,R): the columns of one network after those of the other, as many of each; variances: smooth_scale and
    noise of each network's `posterior`. One posterior of all columns would be worse than each network alone: it
    explains landmarks by differences between networks.
    """
    parts = np.split(basis, len(variances), axis=2)
    codes = [posterior(part, rows, covariance, *pair) for part, pair in zip(parts, variances, strict=True)]
    return np.concatenate(codes) / len(codes)


def trust(points: np.ndarray, landmarks: np.ndarray, far: float = FAR_TRUST) -> np.ndarray:
    """(68,N) share that is used of what each landmark's motion adds, by the learned correction, at points (N,3).

    landmarks (68,3); far: share of those of nose, mouth and jaw at lids and brows.
    """
    away = np.linalg.norm(points[:, None] - landmarks, axis=2)
    lips, lids, brows = (
        np.clip(2 - away[:, part].min(1) / reach, 0, 1)
        for part, reach in ((LIPS, LIP_REACH), (LIDS, LID_REACH), (BROWS, BROW_REACH))
    )
    share = np.repeat([1 - (1 - LIP_TRUST) * lips], COUNT, axis=0)
    share[_FAR] *= 1 - (1 - far) * np.maximum(lids, brows)
    return share


def assemble(smooth: Interpolant, learned: np.ndarray, doubted: np.ndarray) -> np.ndarray:
    """(204 + K, 3N) float32 matrix of a Binding: smooth and learned (204,3N) part of the motion together, and the
    shapes (K,3N) that may be taken away."""
    matrix = np.concatenate([learned, doubted])
    view = matrix[: len(learned)].reshape(COUNT, 3, len(smooth.vertices), 3)
    for axis in range(3):
        view[:, axis, :, axis] += smooth.weights.T.astype(np.float32)
    return matrix


def correction(
    basis: np.ndarray, rows: np.ndarray, weights: np.ndarray, code: np.ndarray, trusted: np.ndarray | None = None
) -> np.ndarray:
    """(204, 3P) float32: landmark displacement -> what the network adds to the smooth interpolant at P vertices.

    basis (P,3,R) there, gated, and rows (68,3,R) of it at the landmarks; weights (P,68) of the interpolant; code
    (R,204): landmark displacement -> code; trusted (68,P): share by each landmark that is used, by default all.
    """
    missed = basis - np.tensordot(weights.astype(np.float32), rows, 1)
    learned = code.T.astype(np.float32) @ missed.reshape(-1, basis.shape[2]).T
    if trusted is not None:
        learned.reshape(COUNT, 3, -1)[:] *= np.repeat(trusted.astype(np.float32), 3, axis=1)[:, None]
    return learned


def covariances(
    rows: np.ndarray, covariance: np.ndarray, variances: Sequence[tuple[float, float]]
) -> tuple[list[np.ndarray], np.ndarray]:
    """(204,204) each, of landmark motion: as each network has it, and of the smooth process alone.

    rows (68,3,R): gated basis at the landmarks; covariance and variances as `mean_posterior` takes them.
    """
    axes, count = np.identity(3), len(rows)
    learned = []
    for part, (scale, noise) in zip(np.split(rows.astype(np.float64), len(variances), 2), variances, strict=True):
        flat = part.reshape(count * 3, -1)
        learned.append(flat @ flat.T + np.kron(scale * covariance + noise * np.identity(count), axes))
    return learned, np.kron(covariance + _RIDGE * np.identity(count), axes)


def variances(metadata: Mapping[str, str]) -> list[tuple[float, float]]:
    """smooth_scale and noise of each network of stm.onnx, as `posterior` takes them, from the file's metadata."""
    scales, noises = (map(float, metadata[key].split()) for key in ("smooth_scale", "noise"))
    return list(zip(scales, noises, strict=True))


def bind(
    vertices: np.ndarray,
    triangles: np.ndarray,
    landmark_vertices: np.ndarray,
    device: str = "auto",
    side: np.ndarray | None = None,
) -> Binding:
    """Bind the network to one mesh in canonical units.

    vertices (V,3); triangles (F,3); landmark_vertices (68,) vertex indices; device: a key of models.DEVICES; side (V,):
    which lip a vertex belongs to, as in OpenedMouth. Raises MeshError for wrong shapes, ModelError for a missing or
    foreign network.
    """
    checked, faces = spectral.finite_mesh(vertices, triangles)
    handles = np.asarray(landmark_vertices)
    if handles.shape != (COUNT,) or not np.issubdtype(handles.dtype, np.integer):
        raise MeshError(f"Landmarks are {COUNT} vertex indices; these are {handles.dtype} of shape {handles.shape}.")
    beyond = handles[(handles < 0) | (handles >= len(checked))]
    if len(beyond):
        raise MeshError(f"A landmark names vertex {beyond[0]}, but there are {len(checked)} vertices.")
    if len(checked) <= HEAVY:
        return _bind(checked, faces, handles, device)
    proxy = simplify(checked, _within_reach(checked, faces, handles), LIGHT, handles, side)
    light = _bind(proxy.vertices.astype(np.float64), proxy.triangles, proxy.merged[handles], device)
    return replace(light, count=len(checked), proxy=proxy)


def _within_reach(vertices: np.ndarray, triangles: np.ndarray, handles: np.ndarray) -> np.ndarray:
    """The triangles of a heavy mesh that are joined to landmarks and lie near enough to move, and some around them: a
    body, a room or specks all around would take most of a stand-in's vertices."""
    points, reach = vertices[handles], REACH + _BEYOND
    near = ((vertices > points.min(0) - reach) & (vertices < points.max(0) + reach)).all(1)
    triangles = triangles[near[triangles].any(1)]
    part = mesh.connected_components(triangles, len(vertices))
    return triangles[np.isin(part, part[handles])[triangles[:, 0]]]


def _bind(vertices: np.ndarray, triangles: np.ndarray, handles: np.ndarray, device: str) -> Binding:
    session, metadata = models.session("stm", device), models.metadata("stm")
    found = int(metadata.get("features", -1))
    if found != FEATURES:
        raise ModelError(f"stm.onnx reads {found} features, this version computes {FEATURES}; install FreeTalk again.")
    smooth = interpolant(vertices, triangles, handles)
    (basis,) = session.run(["basis"], {"features": features(vertices, triangles, smooth)})
    gated = basis * smooth.gate[:, None, None].astype(np.float32)
    pairs = variances(metadata)
    code = mean_posterior(gated, smooth.rows, smooth.covariance, pairs)
    cancel.check()
    points = vertices[smooth.vertices]
    landmarks = gated[smooth.rows]
    learned = correction(gated, landmarks, smooth.weights, code, trust(points, vertices[handles]))
    processes = covariances(landmarks, smooth.covariance, pairs)
    cancel.check()
    belief, doubted = evidence.evidence(*processes, learned, evidence.region(points, vertices[handles]))
    matrix = assemble(smooth, learned, doubted)
    return Binding(len(vertices), smooth.vertices.astype(np.int32), matrix, belief=belief)
