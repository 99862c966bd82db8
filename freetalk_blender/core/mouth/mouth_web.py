"""A mouth that stood open while it was scanned: what the scanner spanned between its lips, skin or teeth, is taken out.

What is left is a hole that ends in a smooth line along the inner lips, as on a mask: `hole_bag` closes it from behind.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d, median_filter

from ..errors import LandmarkError
from ..frame import frame_in_mm
from ..landmarks import INNER_LIP_PAIRS, INNER_LIPS, LOWER_INNER, UPPER_INNER, gaps
from ..surface import mesh, raster
from . import mouth_curve, mouth_hollow
from .opened_mouth import HOLLOW, OpenedMouth, without

#: Lips that are one surface although their inner landmarks are further apart than this have a web between them (mm).
OPEN = 4.0
#: How much of the way from lip to lip stays with each lip (mm), and how far behind the lips the web may lie.
_KEPT, _BEHIND = 0.4, 25.0
#: Lips that are apart have a web between them where it covers more than this share of their opening, as teeth do.
_COVERED = 0.1
#: The edge of a lip lies so far off its landmarks, outward, where the surface steps back by more than STEEP from STEP
#: inside to STEP outside it; it is smoothed over EVEN, and ends in the landmarks of the corners within CORNER (mm).
_WITHIN, _STEP, _STEEP, _EVEN, _CORNER = np.arange(-1, 4.01, 0.25), (0.5, 1.0), 2.0, 1.5, 4.0
#: The distance at which lips are looked at (mm).
_PIXEL = 0.25
#: A part with a smaller share of the triangles than this is no face.
_CRUMB = 0.05


def stands_open(landmarks: np.ndarray) -> bool:
    """The inner lips of landmarks (68,3), any unit, are OPEN apart."""
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(np.asarray(landmarks, float))
    return bool(gaps(placed, INNER_LIP_PAIRS).mean() > OPEN)


def found(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, fused: bool) -> bool:
    """A web lies between the lips of landmarks (68,3), which stand open: they are one surface (`fused`), or end in a
    hole while what hangs together with the face (V,3), (F,3) covers a share of their opening.

    A mouth that somebody made has its teeth, gums and tongue as parts of their own, and its bag lies behind the lips.
    """
    if not stands_open(landmarks):
        return False
    torn = not fused and mouth_hollow.find(vertices, triangles, landmarks).open_behind
    return fused or (torn and _covered(vertices, triangles, landmarks) > _COVERED)


def _covered(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> float:
    """The share of the opening between the inner lips that the face's own surface covers, as seen from the front."""
    answer, frame = _split(vertices, triangles, landmarks), frame_in_mm(landmarks)
    corners = _welded(answer)
    part = mesh.connected_components(corners, len(answer.vertices))[corners[:, 0]]
    web = answer.triangles[(answer.part == HOLLOW) & (part == np.bincount(part).argmax())]
    ahead = raster.triangle_normals(frame.to_canonical(answer.vertices[web].astype(float)))[:, 2]
    x, y = frame.to_canonical(np.asarray(landmarks, float))[INNER_LIPS, :2].T
    return float(abs(ahead.sum() / (x @ np.roll(y, 1) - y @ np.roll(x, 1))))


def at_edges(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (68,3) of which the inner lips lie on the edges of the lips, not on the teeth behind them."""
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(np.asarray(landmarks, float))
    front = _Front.of(frame.to_canonical(np.asarray(vertices, float)), triangles, placed)
    x, *edges = _edges(placed, front)
    moved = np.array(landmarks, float)
    for inner, edge, outward in zip((UPPER_INNER, LOWER_INNER), edges, (1, -1), strict=True):
        across = placed[inner, 0]
        height = np.interp(across, x, edge)
        moved[inner] = frame.to_mesh(np.stack([across, height, front.at(across, height + outward * _STEP[1])], 1))
    return moved


def removed(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> OpenedMouth:
    """The mesh (V,3), (F,3) without what lies between the inner lips of landmarks (68,3).

    LandmarkError where nothing does.
    """
    answer = _split(vertices, triangles, landmarks)
    web = answer.part == HOLLOW
    if not web.any():
        raise LandmarkError("Nothing lies between the inner lips' landmarks; check them.")
    # What hung on the web alone goes with it.
    corners = _welded(answer)
    labels = mesh.connected_components(corners[~web], len(answer.vertices))
    part = labels[corners[:, 0]]
    small = np.bincount(part[~web], minlength=labels.max() + 1) < _CRUMB * np.count_nonzero(~web)
    crumbs = small[part] & np.isin(part, labels[corners[web]])
    return without(replace(answer, part=np.where(crumbs, HOLLOW, answer.part).astype(np.int8)), HOLLOW)


def _welded(opened: OpenedMouth) -> np.ndarray:
    """Its triangles, whole where exporters split them along texture seams."""
    return mesh.weld(opened.vertices.astype(float), opened.triangles)[opened.triangles]


def _split(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> OpenedMouth:
    """The mesh with what lies between the inner lips of landmarks (68,3) told apart, as HOLLOW."""
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(np.asarray(landmarks, float))
    curve = mouth_curve.mouth_curve(placed)
    points = frame.to_canonical(np.where(np.isfinite(vertices), vertices, 1e9).astype(float))
    level = _inside(points, triangles, placed)
    depth = curve.in_front(points)
    level = np.where((np.abs(depth) < _BEHIND) & curve.between_corners(points, 5), level, -10.0)
    return mouth_hollow.split_at(vertices, triangles, level, np.ones(len(vertices), bool))


def _inside(points: np.ndarray, triangles: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """(V,) mm inside the opening of the lips as seen from the front, negative outside; all in mm."""
    x, upper, lower = _edges(placed, _Front.of(points, triangles, placed))
    beside = np.minimum(points[:, 0] - x[0], x[-1] - points[:, 0])
    above, below = (np.interp(points[:, 0], x, edge) for edge in (upper, lower))
    return np.minimum(np.minimum(above - points[:, 1], points[:, 1] - below) - _KEPT, beside)


@dataclass(frozen=True)
class _Front:
    """A mouth as seen from the front: z (S,S) of the surface in pixels of a picture about middle (3,), `half` to each
    side; all in mm."""

    z: np.ndarray
    middle: np.ndarray
    half: float

    @classmethod
    def of(cls, points: np.ndarray, triangles: np.ndarray, placed: np.ndarray) -> "_Front":
        """Of a surface (V,3), (F,3), at its landmarks (68,3)."""
        middle, half = placed[INNER_LIPS].mean(0), 0.75 * np.ptp(placed[INNER_LIPS, 0])
        z = raster.front(points, triangles, middle, half, int(2 * half / _PIXEL))
        return cls(np.where(np.isfinite(z), z, middle[2] - _BEHIND), middle, half)

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """z at places whose x and y broadcast."""
        x, y = np.broadcast_arrays(x, y)
        cells = (np.stack([self.middle[1] - y, x - self.middle[0]]) + self.half) * (len(self.z) / (2 * self.half))
        row, column = np.clip(cells.astype(int), 0, len(self.z) - 1)
        return self.z[row, column]


def _edges(placed: np.ndarray, front: _Front) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (n,) from corner to corner, and y (n,) of the edges of upper and lower lip there: through the landmarks, or
    beside them where the surface steps back, as it does from a lip to the teeth behind it; all in mm."""
    right, left = placed[[mouth_curve.RIGHT_CORNER, mouth_curve.LEFT_CORNER]]
    x = np.arange(right[0], left[0], _PIXEL)
    edges = []
    for inner, outward in ((UPPER_INNER, 1), (LOWER_INNER, -1)):
        path = np.stack([right, *placed[inner], left])
        drawn = PchipInterpolator(path[:, 0], path[:, 1])(x)
        along = drawn[:, None] + outward * _WITHIN
        outside, inside = (front.at(x[:, None], along + outward * away) for away in (_STEP[1], -_STEP[0]))
        step = outside - inside
        off = np.where(step.max(1) > _STEEP, _WITHIN[step.argmax(1)], 0.0)
        off = gaussian_filter1d(median_filter(off, round(2 * _EVEN / _PIXEL), mode="nearest"), _EVEN / _PIXEL)
        edges.append(drawn + outward * off * np.clip(np.minimum(x - x[0], x[-1] - x) / _CORNER, 0, 1))
    return x, edges[0], edges[1]
