"""68 points on a face that the search proposes: several views, fused, held against shape priors, laid on the surface.

`landmarks` places the points in pictures of the whole face with their expected errors; they are triangulated, and a
dense statistical face laid on the surface (surface_fit.py) says where they most probably are. What these disagree on
corrects them once more (correction.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from .. import cancel, models
from ..frame import Similarity, align
from ..landmarks import INNER_LIP_PAIRS, LID_PAIRS
from ..surface import raster
from ..surface.nearest import closest_points
from . import closeups, correction
from .face_view import FACE_CENTRE, FACE_HALF, FACE_SIZE, Camera, Patch, cluster_vertices, compact, meet, picture
from .surface_fit import SurfaceFit, fit_surface, relief

#: Views of the face (yaw, pitch in degrees): first to correct the search, then to place the points.
FIRST_VIEWS = ((0, 0), (-25, 0), (25, 0))
VIEWS = ((0, 0), (-32, 0), (32, 0), (0, -22), (0, 22))
#: A candidate is a face when its mean probability, the mean disagreement of its views and its distance from the shape
#: prior (both in eye distances) pass these: chosen by looking at the sample and four real scans, with room to spare;
#: `python -m evaluation.landmarks` prints what they find and refuse.
LEAST_PROBABILITY, MOST_DISAGREEMENT, MOST_UNLIKE = 0.5, 0.06, 0.08
#: Size of the cells in which the vertices of a heavy scan are merged around a face (eye distances): a millimetre.
PATCH_CELL = 0.011
#: Seen points that the dense face is laid on are thinned to about so many.
MOST_SAMPLES = 25_000
#: A point measured from further off counts as so many times less sure than its close-ups.
FAR_DOUBT = 4.0
#: Weight (68,) of a measurement's expected squared error beside the dense face's: eyes, nose and lips have features to
#: measure and shapes that the modes miss, jaw and brows have neither. Chosen on 65 scans kept for that.
MEASURED_DOUBT = np.repeat([8.0, 12.0, 3.0, 3.0, 2.0], [17, 10, 9, 12, 20])
#: Surface nearer to a landmark than this is its own; without any it stays within the furthest distance (eye distances).
AT_HAND, FURTHEST = 0.003, 0.25
#: Samples of the seen surface on whose triangles a point's nearest place is looked for.
_NEIGHBOURS = 12


@dataclass(frozen=True)
class Fit:
    """68 points (68, 3) on a mesh with expected errors (68,) in eye distances, and how much of a face they are.

    probability: mean over views. disagreement: root-mean-square distance between the views' rays and the points;
    unlike: root-mean-square distance from the shape prior (both in eye distances). inward: share of the face's pixels
    whose triangles face away from the viewer. measurements: what the last correction of the points was made from.
    """

    face: Similarity
    points: np.ndarray
    error: np.ndarray
    probability: float
    disagreement: float
    unlike: float
    inward: float
    measurements: correction.Measurements | None = None

    @property
    def doubt(self) -> float:
        """0 for a perfect face; each of the three tests adds 1 where it is just passed."""
        improbable = (1 - self.probability) / (1 - LEAST_PROBABILITY)
        return improbable + self.disagreement / MOST_DISAGREEMENT + self.unlike / MOST_UNLIKE

    @property
    def accepted(self) -> bool:
        """Is this a face? Probable enough, its views agree, and its shape is like one."""
        return (
            self.probability > LEAST_PROBABILITY and self.disagreement < MOST_DISAGREEMENT and self.unlike < MOST_UNLIKE
        )


def place(vertices: np.ndarray, triangles: np.ndarray, face: Similarity, device: str = "auto") -> Fit | None:
    """68 points of the face near a proposed frame; None where there is nothing like a face to place them on."""
    patch = _patch(vertices, triangles, face)
    if patch is None:
        return None
    fit, _, _ = _look(patch, face, FIRST_VIEWS, device)
    if fit.probability < 0.5 * LEAST_PROBABILITY or not 0.4 < fit.face.scale / face.scale < 2.5:
        return None
    near = fit.face
    fit, seen, rays = _look(patch, near, VIEWS, device)
    surface = _seen_surface(patch, seen)
    if not len(surface.points):
        return None
    laid = _lay(near, rays, fit.error, surface)
    closer, error = closeups.measure(patch, refit(laid.points, fit.error), laid.points, device)
    measured, error = _combined(rays, FAR_DOUBT * fit.error, closer, error)
    laid = _lay(near, measured, error, surface, laid)
    between = _between(near, measured, error, laid)
    known = correction.measurements(near, laid, relief(laid, *_samples(near, surface)), between, closer, rays)
    points, gap = _settle(_uncrossed(near, correction.corrected(known)), surface, fit.face.scale)
    miss = np.linalg.norm(measured - laid.points, axis=1) / fit.face.scale
    expected, inward = _expected(laid.error, miss, gap), _inward(patch, seen[0], points)
    return replace(fit, points=points, error=expected, inward=inward, measurements=known)


def _between(face: Similarity, measured: np.ndarray, error: np.ndarray, laid: SurfaceFit) -> np.ndarray:
    """Points (68, 3) between their measured places, with errors (68,), and those of the dense face.

    Both err, each in its own way: the surer one counts for more; of a point that was hardly seen, the face alone.
    """
    share = (1 / (1 + MEASURED_DOUBT * (error / laid.error) ** 2))[:, None]
    return _uncrossed(face, share * measured + (1 - share) * laid.points)


def _settle(points: np.ndarray, surface: "Surface", scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (68, 3) on the surface where there is some at hand, and their gaps to it (68,) in eye distances.

    In holes, under hair and beyond the edge of a scan there is none: there a point stays where the face has it, but
    near enough to the surface to be taken hold of.
    """
    on = _on_surface(points, surface)
    gap = np.maximum(np.linalg.norm(on - points, axis=1) / scale, 1e-9)
    kept = np.where(gap < AT_HAND, 0.0, np.minimum(1.0, FURTHEST / gap))
    return on + kept[:, None] * (points - on), gap


def _expected(laid: np.ndarray, miss: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """(68,) expected errors, from those of the dense face, its distance from the measurement, and the gap to the
    surface: where there is none nobody can say how far off a point is.

    Weights: least squares of squared errors on 71 scans kept for that, the gap's more cautious.
    """
    return np.sqrt(2.0 * laid**2 + 0.5 * miss**2 + 0.25 * gap**2)


def _look(
    patch: Patch, face: Similarity, views: Sequence[tuple[int, int]], device: str
) -> tuple[Fit, list["View"], np.ndarray]:
    """One round: photograph the face from some views, place the points in each, fuse them; also where rays meet."""
    seen = _see(patch, [face_camera(face, yaw, pitch) for yaw, pitch in views], device)
    rays, error, disagreement = triangulate(seen, face)
    canonical, unlike = regularise(face.to_canonical(rays), error)
    points = face.to_mesh(uncrossed(canonical))
    probability = float(np.mean([1 / (1 + np.exp(-view.face)) for view in seen]))
    return Fit(refit(points, error), points, error, probability, disagreement, unlike, 0.0), seen, rays


def _combined(
    one: np.ndarray, one_error: np.ndarray, other: np.ndarray, other_error: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two measurements of points (N, 3) with expected errors (N,): their mean, weighted by variance, and its error.

    They are not independent, so the mean is not taken to be surer than the surer one.
    """
    share = (one_error**-2 / (one_error**-2 + other_error**-2))[:, None]
    return share * one + (1 - share) * other, np.minimum(one_error, other_error)


def _lay(
    face: Similarity, points: np.ndarray, error: np.ndarray, surface: "Surface", start: SurfaceFit | None = None
) -> SurfaceFit:
    """The dense statistical face laid on mesh points (68, 3) with errors (68,) and on the surface.

    Its points are in mesh axes. start: an earlier one on the same surface.
    """
    laid = fit_surface(face.to_canonical(points), error, *_samples(face, surface), start)
    return replace(laid, points=face.to_mesh(uncrossed(laid.points)))


def _samples(face: Similarity, surface: "Surface") -> tuple[np.ndarray, np.ndarray]:
    """Canonical samples (S, 3) of the surface and their normals (S, 3), some of all."""
    step = max(1, len(surface.points) // MOST_SAMPLES)
    return face.to_canonical(surface.points[::step]), surface.normals[::step] @ face.rotation


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
    """The surface around the face, simplified where it is heavy."""
    with np.errstate(invalid="ignore"):
        close = ((vertices - face.to_mesh(FACE_CENTRE)) ** 2).sum(1) < (2.6 * face.scale) ** 2
    around = triangles[close[triangles].any(1)]
    if len(around) < 50:
        return None
    points, around = cluster_vertices(*compact(vertices, around), PATCH_CELL * face.scale)
    return Patch(points, around, raster.vertex_normals(points, around))


def _see(patch: Patch, cameras: Sequence[Camera], device: str) -> list[View]:
    """What the network says of pictures from all the cameras."""
    shots = [picture(patch.vertices, patch.triangles, patch.normals, camera, FACE_SIZE) for camera in cameras]
    pictures = np.stack([channels for channels, _ in shots])
    places, spreads, faces = models.session("landmarks", device).run(None, {"picture": pictures})
    cancel.check()
    return [
        View(camera, place.astype(np.float64), spread.astype(np.float64), float(face), image)
        for camera, (_, image), place, spread, face in zip(cameras, shots, places, spreads, faces, strict=True)
    ]


def triangulate(seen: Sequence[View], face: Similarity) -> tuple[np.ndarray, np.ndarray, float]:
    """Points (68, 3) nearest to the views' rays, their expected errors (68,) and the rays' mean disagreement.

    Errors in eye distances.
    """
    axes = np.stack([view.camera.rotation[:2] for view in seen])
    target = np.stack([view.place for view in seen]) * FACE_HALF  # eye distances from the shared centre
    points, error, miss = meet(axes, target, np.stack([view.spread for view in seen]) * FACE_HALF + 0.004)
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
        move = align(shape, points, weight)
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


def _uncrossed(face: Similarity, points: np.ndarray) -> np.ndarray:
    """`uncrossed` of mesh points (68, 3)."""
    return face.to_mesh(uncrossed(face.to_canonical(points)))


def refit(points: np.ndarray, error: np.ndarray) -> Similarity:
    """The frame of a face from all its points, each by its error: steadier than from the eye corners alone."""
    mean, _ = _prior()
    return align(mean, points, np.hypot(error, 0.03) ** -2)


@dataclass(frozen=True)
class Surface:
    """What cameras saw: points (P, 3), unit normals (P, 3) and the corners (P, 3, 3) of their triangles."""

    points: np.ndarray
    normals: np.ndarray
    corners: np.ndarray


def _seen_surface(patch: Patch, seen: Sequence[View]) -> Surface:
    faces = np.concatenate([view.image.triangle[view.image.seen] for view in seen])
    weights = np.concatenate([view.image.weights[view.image.seen] for view in seen])
    rows = patch.triangles[faces]
    corners = patch.vertices[rows]
    normals = np.einsum("pk,pkc->pc", weights, patch.normals[rows])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    return Surface(np.einsum("pk,pkc->pc", weights, corners), normals, corners)


def _on_surface(points: np.ndarray, surface: Surface) -> np.ndarray:
    """(68, 3) the place nearest to each point on the triangles of its nearest samples."""
    _, near = cKDTree(surface.points).query(points, _NEIGHBOURS)
    near = np.minimum(near, len(surface.points) - 1)
    return closest_points(points, surface.corners[near])


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
    turn = raster.triangle_normals(corners)[:, 2]
    return float((turn < 0).mean())
