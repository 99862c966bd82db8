"""The canonical face frame and the similarity that takes a face there.

Right-handed, +X the subject's left, +Y up, +Z out of the face; the origin is the mean of landmarks 27-30, 36, 39, 42
and 45; one unit is the outer eye-corner distance |36-45| of the neutral face.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from .errors import LandmarkError

#: Landmarks that speech and expression move least: nose bridge and eye corners.
RIGID = np.array([27, 28, 29, 30, 36, 39, 42, 45])
#: Outer eye-corner distance of an average adult, used where a scan has no scale (mm).
EYE_DISTANCE_MM = 90.0
#: Radius of that adult's eyeballs (mm). Bekerman, Gottlieb & Vaiman 2014, "Variations in eyeball diameters of the
#: healthy adults", J. Ophthalmol.: 24 mm across.
EYEBALL_RADIUS_MM = 12.0


@dataclass(frozen=True)
class Similarity:
    """mesh = scale * rotation @ canonical + translation.

    scale: mesh units per canonical unit. rotation: (3, 3), proper. translation: (3,), mesh units.
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def to_mesh(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) canonical points -> mesh points."""
        return self.scale * points @ self.rotation.T + self.translation

    def to_canonical(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) mesh points -> canonical points."""
        return (points - self.translation) @ self.rotation / self.scale

    def vectors_to_mesh(self, vectors: np.ndarray) -> np.ndarray:
        """(..., 3) canonical displacements -> mesh displacements."""
        return self.scale * vectors @ self.rotation.T

    def vectors_to_canonical(self, vectors: np.ndarray) -> np.ndarray:
        """(..., 3) mesh displacements -> canonical displacements."""
        return vectors @ self.rotation / self.scale

    @property
    def units_per_mm(self) -> float:
        """Mesh units in a millimetre of a face whose |36-45| is 90 mm."""
        return self.scale / EYE_DISTANCE_MM


def transformed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,3) points through a (4,4) affine matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def align(source: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> Similarity:
    """Least-squares similarity with target ~ scale * rotation @ source + translation.

    source, target: (N, 3); weight (N,): of each point's squared error, by default all alike. Source: Umeyama 1991,
    "Least-squares estimation of transformation parameters between two point patterns", eq. 40-43, with weights. Raises
    LandmarkError where the points are degenerate.
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    share = np.full(len(source), 1 / len(source)) if weight is None else weight / weight.sum()
    source_mean, target_mean = (x.mean(0) if weight is None else share @ x for x in (source, target))
    x, y = source - source_mean, target - target_mean
    variance, extent = share @ (x**2).sum(1), share @ (y**2).sum(1)
    if not np.isfinite(variance + extent) or min(variance, extent) < 1e-18:
        raise LandmarkError("The landmarks all lie at one point; place them on the face again.")
    u, singular, vt = np.linalg.svd((share[:, None] * y).T @ x)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((singular * sign).sum() / variance)
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def mean_landmarks() -> np.ndarray:
    """(68, 3) canonical landmarks of the average face, lips closed; a copy.

    Source: the mean identity of ICT-FaceKit (MIT), written by `python -m export.mean_landmarks`.
    """
    return _mean_landmarks().copy()


@cache
def _mean_landmarks() -> np.ndarray:
    return np.loadtxt(Path(__file__).with_name("mean_landmarks.csv"), delimiter=",", dtype=np.float64)


def canonical_frame(landmarks: np.ndarray) -> Similarity:
    """The frame of one face from its own neutral landmarks (68, 3), mesh units.

    Rotation: the best fit of the average face's rigid landmarks; scale and origin: this face's own, by definition.
    Raises LandmarkError where the eye corners or the nose bridge fall together.
    """
    points = np.asarray(landmarks, float)
    eye_distance = float(np.linalg.norm(points[45] - points[36]))
    extent = float(np.linalg.norm(points.max(0) - points.min(0)))
    if not np.isfinite(extent) or eye_distance <= 1e-3 * extent:
        raise LandmarkError(
            "The outer eye corners (landmarks 36 and 45) lie at the same point; place them on the face again."
        )
    rotation = align(mean_landmarks()[RIGID], points[RIGID]).rotation
    return Similarity(eye_distance, rotation, points[RIGID].mean(0))


def frame_in_mm(landmarks: np.ndarray) -> Similarity:
    """The `canonical_frame` of landmarks (68, 3) with one unit = 1 mm of a face of eye distance 90 mm."""
    frame = canonical_frame(landmarks)
    return replace(frame, scale=frame.scale / EYE_DISTANCE_MM)
