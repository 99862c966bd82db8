"""Lips that stand open, as smiles and laughs are scanned: where their edges are.

The networks put inner lips on the teeth of a laugh, by half a millimetre. There the surface steps back.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d, median_filter

from ..frame import frame_in_mm
from ..landmarks import INNER_LIP_PAIRS, INNER_LIPS, LOWER_INNER, UPPER_INNER, gaps
from ..surface import raster
from . import mouth_curve

#: Lips stand open whose inner landmarks are further apart than OPEN, or than AJAR with the middle of what lies between
#: them so far BEHIND them, as they are AROUND it (mm): a crease between lips that touch is less deep.
_OPEN, _AJAR, _BEHIND, _AROUND = 4.0, 2.0, 3.25, 2.0
#: The edge of a lip lies so far off its landmarks, outward, where the surface steps back by more than STEEP from STEP
#: inside to STEP outside it, and by less than DEEP a little further in; what lies deeper is no tooth, but a hole (mm).
_WITHIN, _STEP, _STEEP, _INSIDE, _DEEP = np.arange(-1, 3.01, 0.25), (0.5, 1.0), 2.0, 2.0, 8.0
#: It counts where such a share of the middle of the mouth, from so far right to so far left of it, has one.
_SHARE, _MIDDLE = 0.5, 0.35
#: It is smoothed over EVEN, and ends in the landmarks of the corners within CORNER (mm).
_EVEN, _CORNER = 1.5, 4.0
#: The distance at which lips are looked at (mm).
_PIXEL = 0.25
#: What is not seen counts as so far behind the lips (mm).
_HOLLOW = 25.0


def stand_open(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> bool:
    """The inner lips of landmarks (68,3) on a mesh (V,3), (F,3), any unit, stand open."""
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(np.asarray(landmarks, float))
    apart = gaps(placed, INNER_LIP_PAIRS).mean()
    if not _AJAR < apart <= _OPEN:
        return bool(apart > _OPEN)
    front = Front.of(frame.to_canonical(np.asarray(vertices, float)), triangles, placed)
    x, upper, lower = _drawn(placed)
    lips = (front.at(x, upper + _AROUND) + front.at(x, lower - _AROUND)) / 2
    behind = lips - front.at(x, (upper + lower) / 2)
    return bool(np.median(behind[_middle(x)]) > _BEHIND)


def on_edges(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (68,3) found on a mesh (V,3), (F,3), those of the inner lips on the edges of the lips."""
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(np.asarray(landmarks, float))
    front = Front.of(frame.to_canonical(np.asarray(vertices, float)), triangles, placed)
    x, *both = edges(placed, front)
    moved = np.array(landmarks, float)
    for inner, edge, outward in zip((UPPER_INNER, LOWER_INNER), both, (1, -1), strict=True):
        across = placed[inner, 0]
        height = np.interp(across, x, edge)
        moved[inner] = frame.to_mesh(np.stack([across, height, front.at(across, height + outward * _STEP[1])], 1))
    return moved


@dataclass(frozen=True)
class Front:
    """A mouth as seen from the front: z (S,S) of the surface in pixels of a picture about middle (3,), `half` to each
    side; all in mm."""

    z: np.ndarray
    middle: np.ndarray
    half: float

    @classmethod
    def of(cls, points: np.ndarray, triangles: np.ndarray, placed: np.ndarray) -> "Front":
        """Of a surface (V,3), (F,3), at its landmarks (68,3)."""
        middle, half = placed[INNER_LIPS].mean(0), 0.75 * np.ptp(placed[INNER_LIPS, 0])
        z = raster.front(points, triangles, middle, half, int(2 * half / _PIXEL))
        return cls(np.where(np.isfinite(z), z, middle[2] - _HOLLOW), middle, half)

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """z at places whose x and y broadcast."""
        x, y = np.broadcast_arrays(x, y)
        cells = (np.stack([self.middle[1] - y, x - self.middle[0]]) + self.half) * (len(self.z) / (2 * self.half))
        row, column = np.clip(cells.astype(int), 0, len(self.z) - 1)
        return self.z[row, column]


def edges(placed: np.ndarray, front: Front) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (n,) from corner to corner, and y (n,) of the edges of upper and lower lip there: through the landmarks, or
    beside them where the surface steps back, as it does from a lip to the teeth behind it; all in mm."""
    x, *both = _drawn(placed)
    middle = _middle(x)
    found = []
    for drawn, outward in zip(both, (1, -1), strict=True):
        along = drawn[:, None] + outward * _WITHIN
        lip, behind, teeth = (front.at(x[:, None], along + outward * off) for off in (_STEP[1], -_STEP[0], -_INSIDE))
        step = np.where(lip - teeth < _DEEP, lip - behind, 0)
        there, off = step.max(1) > _STEEP, _WITHIN[step.argmax(1)]
        if there[middle].mean() < _SHARE:
            found.append(drawn)
            continue
        off = median_filter(np.where(there, off, 0), round(2 * _EVEN / _PIXEL), mode="nearest")
        corner = np.clip(np.minimum(x - x[0], x[-1] - x) / _CORNER, 0, 1)
        found.append(drawn + outward * corner * gaussian_filter1d(off, _EVEN / _PIXEL))
    return x, found[0], found[1]


def _drawn(placed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (n,) from corner to corner, and y (n,) of upper and lower lip there, through the landmarks; all in mm."""
    right, left = placed[[mouth_curve.RIGHT_CORNER, mouth_curve.LEFT_CORNER]]
    x = np.arange(right[0], left[0], _PIXEL)
    paths = [np.stack([right, left, *placed[inner]]) for inner in (UPPER_INNER, LOWER_INNER)]
    # a point of one lip may lie over or beyond a corner
    paths = [path[np.unique(path[:, 0], return_index=True)[1]] for path in paths]
    upper, lower = (PchipInterpolator(path[:, 0], path[:, 1])(x) for path in paths)
    return x, upper, lower


def _middle(x: np.ndarray) -> np.ndarray:
    """(n,) which x, from corner to corner, lie in the middle of the mouth."""
    return np.abs(x - x.mean()) < _MIDDLE * np.ptp(x)
