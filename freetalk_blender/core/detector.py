"""68 landmarks on any mesh: search the sphere of directions for a face, place the points in several views, fuse them.

No texture, unit, up-axis or pose is assumed. Pictures are orthographic (face_view.py); two small networks read them:
`face_search` says where a face is and how it is turned, `landmarks` places 68 points with their expected errors. Points
of several views are triangulated, held against a shape prior, and laid on the surface that the cameras saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from . import models, raster
from .errors import LandmarkError
from .face_view import FACE_CENTRE, FACE_HALF, FACE_SIZE, SEARCH_EYE, SEARCH_POINT, Camera, picture, shrink
from .frame import Similarity
from .landmarks import COUNT, INNER_LIP_PAIRS, LID_PAIRS, Landmarks

#: Side of the search pictures, and by how much they are shrunk to look for larger faces.
SEARCH_SIZE, SHRINKS = 192, (1, 2, 4)
#: Search cells below this probability are no candidates; at most so many candidates are looked at closely.
CANDIDATE, CANDIDATES = 0.3, 6
#: Share of an accepted face's votes above which another candidate may be a second face.
RIVAL = 0.35
#: Views of the face (yaw, pitch in degrees): first to correct the search, then to place the points.
FIRST_VIEWS = ((0, 0), (-25, 0), (25, 0))
VIEWS = ((0, 0), (-32, 0), (32, 0), (0, -22), (0, 22))
#: A candidate is a face when its mean probability, the mean disagreement of its views and its distance from the shape
#: prior (both in eye distances) pass these: chosen by looking at the sample and four real scans, with room to spare;
#: `python -m evaluation.landmarks` prints what they find and refuse.
LEAST_PROBABILITY, MOST_DISAGREEMENT, MOST_UNLIKE = 0.5, 0.06, 0.08
#: Meshes above this many triangles are searched, and faces rendered, on a simplified copy.
LIGHT = 80_000


@dataclass(frozen=True)
class Candidate:
    """A face the search proposes: its frame in the mesh and the probabilities that vote for it, summed."""

    face: Similarity
    score: float


@dataclass(frozen=True)
class Fit:
    """68 points (68, 3) on a mesh with expected errors (68,) in eye distances, and how much of a face they are.

    probability: mean over views. disagreement: root-mean-square distance between the views' rays and the points;
    unlike: root-mean-square distance from the shape prior (both in eye distances). inward: share of the face's pixels
    whose triangles face away from the viewer.
    """

    face: Similarity
    points: np.ndarray
    error: np.ndarray
    probability: float
    disagreement: float
    unlike: float
    inward: float

    @property
    def doubt(self) -> float:
        """0 for a perfect face; each of the three tests adds 1 where it is just passed."""
        improbable = (1 - self.probability) / (1 - LEAST_PROBABILITY)
        return improbable + self.disagreement / MOST_DISAGREEMENT + self.unlike / MOST_UNLIKE

    @property
    def accepted(self) -> bool:
        return (
            self.probability > LEAST_PROBABILITY and self.disagreement < MOST_DISAGREEMENT and self.unlike < MOST_UNLIKE
        )


def detect(vertices: np.ndarray, triangles: np.ndarray, device: str = "auto") -> Landmarks:
    """The 68 landmarks of the one face of a mesh.

    vertices (V, 3), any unit, rotation and place; triangles (F, 3) int. Returns points in mesh coordinates, the vertex
    nearest to each, and confidences in [0, 1]. Raises LandmarkError with one sentence where there is no face, more than
    one, or a mirrored one; ModelError where a network is missing.
    """
    vertices, triangles = _usable(vertices, triangles)
    fits = find(vertices, triangles, device)
    if not fits:
        raise LandmarkError(
            "No face was found on this mesh; check that it shows a whole face (not a closed hood or a body without "
            "facial detail), or place the 68 landmarks by hand."
        )
    if len(fits) > 1:
        raise LandmarkError(
            f"{len(fits)} faces were found on this mesh; separate them and choose one (in Blender: edit mode, P, by "
            "loose parts), or place the landmarks by hand."
        )
    best = fits[0]
    if best.inward > 0.6:
        raise LandmarkError(
            "The face of this mesh is inside out, as mirroring or a negative scale leaves it; apply the scale, "
            "recalculate the normals to the outside, and check that the face is not mirrored."
        )
    tree = cKDTree(vertices)
    index = tree.query(best.points)[1].astype(np.int32)
    return Landmarks(best.points, index, confidence(best.error))


def confidence(error: np.ndarray) -> np.ndarray:
    """(68,) in [0, 1] of expected errors in eye distances: 0.5 at 0.04 (3.6 mm)."""
    return (1 / (1 + (error / 0.04) ** 2)).astype(np.float32)


def find(vertices: np.ndarray, triangles: np.ndarray, device: str = "auto") -> list[Fit]:
    """All faces that pass, likeliest first; where none does, each of the largest loose parts is searched by itself."""
    fits = _find(vertices, triangles, device)
    if not fits:
        fits = [fit for part in loose_parts(triangles) for fit in _find(vertices, part, device)]
    kept: list[Fit] = []
    for fit in sorted(fits, key=lambda fit: fit.doubt):
        if not any(_same(fit, other) for other in kept):
            kept.append(fit)
    return kept


def _find(vertices: np.ndarray, triangles: np.ndarray, device: str) -> list[Fit]:
    """Faces that pass. Candidates far weaker than an accepted one are not looked at."""
    accepted: list[tuple[float, Fit]] = []
    for candidate in search(vertices, triangles, device)[:CANDIDATES]:
        if accepted and candidate.score < RIVAL * accepted[0][0]:
            break
        fit = place(vertices, triangles, candidate.face, device)
        if fit is not None and fit.accepted:
            accepted.append((candidate.score, fit))
    return [fit for _, fit in accepted]


def loose_parts(triangles: np.ndarray, most: int = 4, least: int = 500) -> list[np.ndarray]:
    """Triangles (F, 3) of each of the `most` largest connected parts with at least `least` triangles; none where the
    mesh is of one piece."""
    edges = triangles[:, [0, 1, 1, 2]].reshape(-1, 2)
    count = int(triangles.max()) + 1
    graph = coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), (count, count))
    label = connected_components(graph, directed=False)[1][triangles[:, 0]]
    sizes = np.bincount(label)
    large = [part for part in np.argsort(-sizes)[:most] if least <= sizes[part] < len(triangles)]
    return [triangles[label == part] for part in large]


def _same(one: Fit, other: Fit) -> bool:
    """Two finds overlap: their middles are closer than 0.7 eye distances."""
    gap = np.linalg.norm(one.points.mean(0) - other.points.mean(0))
    return bool(gap < 0.7 * max(one.face.scale, other.face.scale))


def _usable(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 vertices and the triangles whose corners are finite; LandmarkError where nothing is left."""
    vertices, triangles = np.asarray(vertices, np.float64), np.asarray(triangles, np.int64)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or triangles.ndim != 2 or triangles.shape[1] != 3:
        raise LandmarkError(
            f"A mesh must be vertices (V, 3) and triangles (F, 3); got {vertices.shape} and {triangles.shape}."
        )
    finite = np.isfinite(vertices).all(1)
    triangles = triangles[finite[triangles].all(1)]
    if len(triangles) < 100:
        raise LandmarkError(f"The mesh has {len(triangles)} triangles, too few to show a face.")
    return np.where(finite[:, None], vertices, np.inf), triangles


# ------------------------------------------------------------------------------------------------------------- search


def search(vertices: np.ndarray, triangles: np.ndarray, device: str = "auto") -> list[Candidate]:
    """Candidates from 32 directions, best first."""
    vertices, triangles = compact(vertices, triangles)
    centre, half = _extent(vertices, triangles)
    vertices, triangles = simplify(vertices, triangles, half / 110)
    normals = raster.vertex_normals(vertices, triangles)
    network = models.session("face_search", device)
    proposals: list[tuple[float, Similarity]] = []
    for direction in directions():
        camera = Camera(_looking(direction), centre, half)
        channels, image = picture(vertices, triangles, normals, camera, SEARCH_SIZE)
        for factor in SHRINKS:
            small = shrink(channels[:3], factor)[None]
            found = network.run(None, {"picture": small})[0][0]
            proposals += _proposals(found, image.depth, camera)
    return _vote(proposals)


@lru_cache(maxsize=1)
def directions() -> np.ndarray:
    """(32, 3) unit vectors: the corners of an icosahedron and of its dual; every direction is within 23 degrees."""
    golden = (1 + 5**0.5) / 2
    signs = [(a, b) for a in (-1, 1) for b in (-1, 1)]
    corners = [np.roll([0, a, b * golden], turn) for turn in range(3) for a, b in signs]
    dual = [np.roll([0, a * golden, b / golden], turn) for turn in range(3) for a, b in signs]
    dual += [np.array([a, b, c]) for a, b in signs for c in (-1, 1)]
    every = np.array([*corners, *dual], dtype=float)
    return every / np.linalg.norm(every, axis=1, keepdims=True)


def _looking(direction: np.ndarray) -> np.ndarray:
    """(3, 3) camera rotation towards a direction, up chosen arbitrarily."""
    aside = np.eye(3)[np.argmin(np.abs(direction))]
    right = np.cross(aside, direction)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction])


def _extent(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and half side of a picture that shows the mesh whatever its rotation; a thousandth may stick out."""
    some = vertices[triangles[:: max(1, len(triangles) // 100_000)].ravel()]
    low, high = np.quantile(some, [0.001, 0.999], axis=0)
    centre = (low + high) / 2
    half = float(np.quantile(np.linalg.norm(some - centre, axis=1), 0.999)) * 1.05
    if not half > 0:
        raise LandmarkError("The mesh has no extent; check its scale.")
    return centre, half


def simplify(vertices: np.ndarray, triangles: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices merged per cubic cell where the mesh has more than LIGHT triangles (Rossignac & Borrel 1993)."""
    if len(triangles) <= LIGHT:
        return vertices, triangles
    key = np.floor((vertices - vertices.min(0)) / cell).astype(np.int64)
    flat = (key[:, 0] << 42) | (key[:, 1] << 21) | key[:, 2]
    _, owner = np.unique(flat, return_inverse=True)
    count = np.bincount(owner)
    merged = np.stack([np.bincount(owner, vertices[:, axis]) / count for axis in range(3)], 1)
    corners = owner[triangles]
    apart = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    return merged, corners[apart]


def compact(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Only the vertices that triangles use."""
    used = np.zeros(len(vertices), bool)
    used[triangles.ravel()] = True
    return vertices[used], (np.cumsum(used) - 1)[triangles]


def _proposals(found: np.ndarray, depth: np.ndarray, camera: Camera) -> list[tuple[float, Similarity]]:
    """Peaks of the search network's answer (10, G, G), as probability and frame."""
    probability = 1 / (1 + np.exp(-found[0]))
    cells, size = len(probability), len(depth)
    result = []
    peaks = (probability > CANDIDATE) & (probability >= maximum_filter(probability, 3))
    for row, column in np.argwhere(peaks):
        right, up, log_scale = found[1:4, row, column]
        x = (column + 0.5 + right) * 2 / cells - 1
        y = 1 - (row + 0.5 - up) * 2 / cells
        near = depth[
            slice(*_window((1 - y) / 2 * size, size)),
            slice(*_window((x + 1) / 2 * size, size)),
        ]
        near = near[np.isfinite(near)]
        if not len(near):
            continue
        turn = _orthonormal(found[4:7, row, column], found[7:10, row, column])
        pixels = SEARCH_EYE * np.exp(log_scale) / (8 * cells)
        scale = float(2 * camera.half * pixels)
        rotation = camera.rotation.T @ turn
        point = camera.to_mesh(np.array([x, y, np.median(near)]))
        face = Similarity(scale, rotation, point - scale * rotation @ SEARCH_POINT)
        result.append((float(probability[row, column]), face))
    return result


def _window(middle: float, size: int) -> tuple[int, int]:
    middle = int(np.clip(middle, 0, size - 1))
    return max(0, middle - 2), min(size, middle + 3)


def _orthonormal(right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(3, 3) the proper rotation whose first two columns are nearest to the given ones."""
    x, y = right / (np.linalg.norm(right) + 1e-9), up / (np.linalg.norm(up) + 1e-9)
    u, _, vt = np.linalg.svd(np.stack([x, y, np.cross(x, y)], 1))
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def _vote(proposals: Sequence[tuple[float, Similarity]]) -> list[Candidate]:
    """Proposals that agree in place, size and turn become one candidate: weighted mean, summed probability."""
    open_ = sorted(proposals, key=lambda one: -one[0])
    groups: list[list[tuple[float, Similarity]]] = []
    for probability, face in open_:
        for group in groups:
            if _agree(group[0][1], face):
                group.append((probability, face))
                break
        else:
            groups.append([(probability, face)])
    candidates = [_mean(group) for group in groups]
    return sorted(candidates, key=lambda candidate: -candidate.score)


def _agree(one: Similarity, other: Similarity) -> bool:
    ratio = one.scale / other.scale
    gap = np.linalg.norm(one.to_mesh(SEARCH_POINT) - other.to_mesh(SEARCH_POINT)) / max(one.scale, other.scale)
    cosine = (np.trace(one.rotation.T @ other.rotation) - 1) / 2
    return bool(0.6 < ratio < 1.65 and gap < 0.6 and cosine > 0.7)


def _mean(group: Sequence[tuple[float, Similarity]]) -> Candidate:
    weights = np.array([probability for probability, _ in group])
    share = weights / weights.sum()
    scale = float(np.exp(share @ np.log([face.scale for _, face in group])))
    rotation = Rotation.from_matrix([face.rotation for _, face in group]).mean(weights).as_matrix()
    point = share @ np.array([face.to_mesh(SEARCH_POINT) for _, face in group])
    return Candidate(Similarity(scale, rotation, point - scale * rotation @ SEARCH_POINT), float(weights.sum()))


# ---------------------------------------------------------------------------------------------------------- placement


@dataclass(frozen=True)
class Patch:
    """The surface around a face: vertices (V, 3), triangles (F, 3), normals (V, 3)."""

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray


def place(vertices: np.ndarray, triangles: np.ndarray, face: Similarity, device: str = "auto") -> Fit | None:
    """68 points of the face near a proposed frame; None where there is nothing like a face to place them on."""
    patch = _patch(vertices, triangles, face)
    if patch is None:
        return None
    fit, _ = _look(patch, face, FIRST_VIEWS, device)
    if fit.probability < 0.5 * LEAST_PROBABILITY or not 0.4 < fit.face.scale / face.scale < 2.5:
        return None
    fit, seen = _look(patch, fit.face, VIEWS, device)
    if not any(view.image.seen.any() for view in seen):
        return None
    points = _on_surface(fit.points, *_seen_surface(patch, seen))
    # Where a scan ends before the face does, a point lies on the nearest edge and owns up to it.
    moved = np.linalg.norm(points - fit.points, axis=1) / fit.face.scale
    return replace(fit, points=points, error=np.hypot(fit.error, moved), inward=_inward(patch, seen[0], points))


def _look(patch: Patch, face: Similarity, views: Sequence[tuple[int, int]], device: str) -> tuple[Fit, list["View"]]:
    """One round: photograph the face from some views, place the points in each and fuse them."""
    seen = [_see(patch, face_camera(face, yaw, pitch), device) for yaw, pitch in views]
    rays, error, disagreement = triangulate(seen, face)
    canonical, unlike = regularise(face.to_canonical(rays), error)
    points = face.to_mesh(uncrossed(canonical))
    probability = float(np.mean([1 / (1 + np.exp(-view.face)) for view in seen]))
    return Fit(refit(points, error), points, error, probability, disagreement, unlike, 0.0), seen


@dataclass(frozen=True)
class View:
    """What the landmark network says of one picture: place (68, 2), spread (68,) in halves, face logit; the image."""

    camera: Camera
    place: np.ndarray
    spread: np.ndarray
    face: float
    image: raster.Image


def face_camera(face: Similarity, yaw: float = 0.0, pitch: float = 0.0) -> Camera:
    """A camera on the face, turned by degrees to its left and up."""
    turn = Rotation.from_euler("YX", [yaw, -pitch], degrees=True).as_matrix()
    return Camera(turn.T @ face.rotation.T, face.to_mesh(FACE_CENTRE), FACE_HALF * face.scale)


def _patch(vertices: np.ndarray, triangles: np.ndarray, face: Similarity) -> Patch | None:
    """The surface around the face, simplified to a hundredth of the eye distance where it is heavy."""
    with np.errstate(invalid="ignore"):
        close = ((vertices - face.to_mesh(FACE_CENTRE)) ** 2).sum(1) < (2.6 * face.scale) ** 2
    around = triangles[close[triangles].any(1)]
    if len(around) < 50:
        return None
    points, around = simplify(*compact(vertices, around), face.scale / 130)
    return Patch(points, around, raster.vertex_normals(points, around))


def _see(patch: Patch, camera: Camera, device: str) -> View:
    channels, image = picture(patch.vertices, patch.triangles, patch.normals, camera, FACE_SIZE, over=2)
    places, spread, face = models.session("landmarks", device).run(None, {"picture": channels[None]})
    return View(camera, places[0].astype(np.float64), spread[0].astype(np.float64), float(face[0]), image)


def triangulate(seen: Sequence[View], face: Similarity) -> tuple[np.ndarray, np.ndarray, float]:
    """Points (68, 3) nearest to the views' rays, their expected errors (68,) and the rays' mean disagreement.

    Weighted least squares with weights from the network's spreads and, on the second and third pass, from the distance
    to the first answer (Cauchy), so that one view that is wrong does not pull. Errors in eye distances.
    """
    axes = np.stack([view.camera.rotation[:2] for view in seen])  # (C, 2, 3)
    target = np.stack([view.place for view in seen]) * FACE_HALF  # (C, 68, 2), eye distances from the shared centre
    sigma = np.stack([view.spread for view in seen]) * FACE_HALF + 0.004
    weight = sigma**-2
    for _ in range(3):
        normal = np.einsum("ck,cai,caj->kij", weight, axes, axes)
        right = np.einsum("ck,cai,cka->ki", weight, axes, target)
        points = np.linalg.solve(normal, right[..., None])[..., 0]
        miss = np.linalg.norm(np.einsum("cai,ki->cka", axes, points) - target, axis=-1)
        weight = sigma**-2 / (1 + (miss / (2 * sigma + 0.01)) ** 2)
    share = weight / weight.sum(0)
    error = np.sqrt((share * miss**2).sum(0) + 1 / weight.sum(0))
    return points * face.scale + seen[0].camera.centre, error, float(np.sqrt((miss**2).mean(1)).mean())


@lru_cache(maxsize=1)
def _prior() -> tuple[np.ndarray, np.ndarray]:
    """Mean (68, 3) and modes (K, 68, 3) of canonical landmarks, one standard deviation each."""
    with np.load(Path(__file__).with_name("landmark_prior.npz")) as arrays:
        return arrays["mean"].astype(np.float64), arrays["modes"].astype(np.float64)


def regularise(points: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
    """Canonical points (68, 3) held against the shape prior: (points where outliers follow it, distance from it).

    A robust maximum a posteriori fit of similarity and modes; every point then becomes the mean of itself and the
    prior's, weighted by their variances, so well-seen points stay and lost ones go where such a face has them.
    """
    mean, modes = _prior()
    sigma = np.hypot(error, 0.02)
    weight = sigma**-2
    code = np.zeros(len(modes))
    flat = modes.reshape(len(modes), -1).T
    shape = mean
    for _ in range(4):
        move = weighted_align(shape, points, weight)
        local = move.to_canonical(points)
        w = np.repeat(weight * move.scale**2, 3)
        code = np.linalg.solve((flat.T * w) @ flat + np.eye(len(modes)), (flat.T * w) @ (local - mean).ravel())
        shape = mean + (flat @ code).reshape(-1, 3)
        miss = np.linalg.norm(local - shape, axis=1) * move.scale
        weight = sigma**-2 / (1 + (miss / (2 * sigma)) ** 2)
    expected = move.to_mesh(shape)
    own = (np.maximum(error, 0.5 * np.maximum(miss - 0.06, 0) * 4)) ** 2
    share = 0.05**2 / (own + 0.05**2)
    share = np.where(miss > 0.25, 0.0, share)
    blended = share[:, None] * points + (1 - share)[:, None] * expected
    return blended, float(np.sqrt((miss**2).mean()))


def uncrossed(canonical: np.ndarray) -> np.ndarray:
    """Canonical points (68, 3) whose lips and lids touch where the upper one was found under the lower one."""
    points = canonical.copy()
    for upper, lower in (*INNER_LIP_PAIRS, *LID_PAIRS):
        if points[upper, 1] < points[lower, 1]:
            points[[upper, lower]] = points[[upper, lower]].mean(0)
    return points


def weighted_align(source: np.ndarray, target: np.ndarray, weight: np.ndarray) -> Similarity:
    """Least-squares similarity with target ~ move(source); weights (N,). Source: Umeyama 1991, with weights."""
    share = weight / weight.sum()
    source_mean, target_mean = share @ source, share @ target
    x, y = source - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd((share[:, None] * y).T @ x)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((singular * sign).sum() / (share @ (x**2).sum(1)))
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def refit(points: np.ndarray, error: np.ndarray) -> Similarity:
    """The frame of a face from all its points, each by its error: steadier than from the eye corners alone."""
    mean, _ = _prior()
    return weighted_align(mean, points, np.hypot(error, 0.03) ** -2)


def _seen_surface(patch: Patch, seen: Sequence[View]) -> tuple[np.ndarray, np.ndarray]:
    """Surface points (P, 3) that the cameras saw, and the corners (P, 3, 3) of their triangles."""
    faces = np.concatenate([view.image.triangle[view.image.seen] for view in seen])
    weights = np.concatenate([view.image.weights[view.image.seen] for view in seen])
    corners = patch.vertices[patch.triangles[faces]]
    return np.einsum("pk,pkc->pc", weights, corners), corners


def _on_surface(points: np.ndarray, samples: np.ndarray, corners: np.ndarray, neighbours: int = 12) -> np.ndarray:
    """(68, 3) the place nearest to each point on the triangles of its nearest samples."""
    _, near = cKDTree(samples).query(points, neighbours)
    places = closest_on_triangles(np.repeat(points, neighbours, 0), corners[near.ravel()]).reshape(*near.shape, 3)
    best = np.linalg.norm(places - points[:, None], axis=-1).argmin(1)
    return places[np.arange(len(points)), best]


def closest_on_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(P, 3) nearest place in triangle corners (P, 3, 3) to points (P, 3), row by row."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, ap = b - a, c - a, points - a
    d11, d12, d22 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d1, d2 = (ap * ab).sum(1), (ap * ac).sum(1)
    bottom = np.maximum(d11 * d22 - d12**2, 1e-30)
    v, w = (d22 * d1 - d12 * d2) / bottom, (d11 * d2 - d12 * d1) / bottom
    inside = (v >= 0) & (w >= 0) & (v + w <= 1) & (d11 * d22 - d12**2 > 1e-12 * d11 * d22)
    options = [a + v[:, None] * ab + w[:, None] * ac]
    for p, q in ((a, b), (b, c), (c, a)):
        along = (((points - p) * (q - p)).sum(1) / np.maximum(((q - p) ** 2).sum(1), 1e-30)).clip(0, 1)
        options.append(p + along[:, None] * (q - p))
    places = np.stack(options, 1)
    gap = np.linalg.norm(places - points[:, None], axis=-1)
    gap[~inside, 0] = np.inf
    return places[np.arange(len(points)), gap.argmin(1)]


def _inward(patch: Patch, view: View, found: np.ndarray) -> float:
    """Share of the pixels inside the landmarks' box whose triangles are wound to face away from the viewer."""
    placed = view.camera.to_picture(found)
    low, high = placed[:, :2].min(0), placed[:, :2].max(0)
    size = len(view.image.depth)
    rows = slice(int((1 - high[1]) / 2 * size), int((1 - low[1]) / 2 * size) + 1)
    columns = slice(int((low[0] + 1) / 2 * size), int((high[0] + 1) / 2 * size) + 1)
    faces = view.image.triangle[rows, columns]
    faces = faces[faces >= 0]
    if not len(faces):
        return 0.0
    corners = patch.vertices[patch.triangles[faces]] @ view.camera.rotation.T
    turn = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    return float((turn < 0).mean())


# ------------------------------------------------------------------------------------------------------------ preview


def preview(vertices: np.ndarray, triangles: np.ndarray, landmarks: Landmarks, path: Path, size: int = 640) -> None:
    """Write a PNG of the face from the front and from both sides with its points, red where confidence is low."""
    points = np.asarray(landmarks.points, float)
    face = refit(points, np.full(COUNT, 0.03))
    vertices, triangles = compact(*_usable(vertices, triangles))
    sure = np.ones(COUNT) if landmarks.confidence is None else np.asarray(landmarks.confidence)
    panels = []
    for yaw in (-40, 0, 40):
        camera = face_camera(face, yaw)
        _, image = picture(vertices, triangles, np.zeros_like(vertices), camera, size)
        placed = camera.to_picture(vertices).astype(np.float32)
        panel = raster.shade(image, raster.vertex_normals(placed, triangles), triangles)
        panels.append(_dots(panel, camera.to_picture(points), sure))
    raster.write_png(path, np.concatenate(panels, 1))


def _dots(panel: np.ndarray, placed: np.ndarray, sure: np.ndarray) -> np.ndarray:
    size = len(panel)
    radius = max(1, size // 200)
    offsets = np.argwhere(np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius + 0.3) - radius
    columns = ((placed[:, 0] + 1) * size / 2 - 0.5).round().astype(int)
    rows = ((1 - placed[:, 1]) * size / 2 - 0.5).round().astype(int)
    colour = np.where(sure[:, None] > 0.5, [60, 220, 90], [240, 60, 50]).astype(np.uint8)
    for down, across in offsets:
        y, x = rows + down, columns + across
        inside = (y >= 0) & (x >= 0) & (y < size) & (x < size)
        panel[y[inside], x[inside]] = colour[inside]
    return panel
