"""The mouth as its landmarks draw it: the lip line as a curve in canonical millimetres."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..errors import LandmarkError
from ..landmarks import LOWER_INNER, UPPER_INNER

OUTER_UPPER, OUTER_LOWER = np.array([49, 50, 51, 52, 53]), np.array([59, 58, 57, 56, 55])
RIGHT_CORNER, LEFT_CORNER = 60, 64


@dataclass(frozen=True)
class MouthCurve:
    """The mouth as the landmarks draw it, in canonical millimetres: y and z of the lip line as functions of x, and how
    far up and down from it the red of the lips reaches."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    up: float
    down: float

    def _at(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        inside = np.clip(x, self.x[0], self.x[-1])
        slopes = np.diff(values) / np.diff(self.x)
        beyond = np.where(x < inside, slopes[0], slopes[-1]) * 0.5 * (x - inside)
        return PchipInterpolator(self.x, values)(inside) + beyond

    def above(self, points: np.ndarray) -> np.ndarray:
        """(N,) height of points (N,3) over the curve at their x, mm."""
        return points[:, 1] - self._at(self.y, points[:, 0])

    def in_front(self, points: np.ndarray) -> np.ndarray:
        """(N,) distance of points (N,3) in front of the curve at their x, mm; beyond the corners, of the corner."""
        return points[:, 2] - PchipInterpolator(self.x, self.z)(np.clip(points[:, 0], self.x[0], self.x[-1]))

    def between_corners(self, points: np.ndarray, margin: float) -> np.ndarray:
        """(N,) bool: x at most `margin` mm beyond the corners."""
        return (points[:, 0] > self.x[0] - margin) & (points[:, 0] < self.x[-1] + margin)


def mouth_curve(landmarks: np.ndarray) -> MouthCurve:
    """The lip line that landmarks (68,3) in mm draw; LandmarkError where they are no mouth."""
    inner = (landmarks[UPPER_INNER] + landmarks[LOWER_INNER]) / 2
    points = np.concatenate([landmarks[[RIGHT_CORNER]], inner, landmarks[[LEFT_CORNER]]])
    width = points[-1, 0] - points[0, 0]
    upright = landmarks[OUTER_UPPER, 1].mean() > landmarks[OUTER_LOWER, 1].mean()
    if not np.isfinite(landmarks).all() or width < 15 or not upright or (np.diff(points[:, 0]) < 0.05 * width).any():
        raise LandmarkError(
            "The lip landmarks (48-67) do not follow a mouth from corner to corner; place them on the face again."
        )
    up = landmarks[OUTER_UPPER[1:-1], 1].mean() - inner[:, 1].mean()
    down = inner[:, 1].mean() - landmarks[OUTER_LOWER[1:-1], 1].mean()
    return MouthCurve(points[:, 0], points[:, 1], points[:, 2], max(up, 0.0), max(down, 0.0))
