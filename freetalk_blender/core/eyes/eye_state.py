"""What a scan's eyes are: open or shut, an eyeball of their own or the scanner's one skin over all.

The landmark network has learned from open eyes and puts lids apart on a sleeper too. The relief tells: between open
lids the deepest crease runs below the upper lid's edge, on closed ones it runs along the lower landmarks, where the
lids meet, and the skin above it bulges without one. Nothing but a hole or a hollow between the lids is an open eye. A
person who places landmarks says by them which eyes are shut.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from ..detection.face_view import Camera
from ..frame import canonical_frame, frame_in_mm
from ..landmarks import LEFT_EYE, LID_PAIRS, RIGHT_EYE, gaps, nearest_vertices
from ..surface import raster
from ..surface.mesh import Surfaces, connected_components, together

EYES = (RIGHT_EYE, LEFT_EYE)
#: Lids whose landmarks are nearer than this are shut, whatever the relief says (mm).
SHUT = 2.5
#: Where one eye alone is shut, its lids' landmarks are less than this share of the other's apart: on winks of
#: ICT-FaceKit's training identities at most 0.61 of it, where both are open at least 0.96.
_ALONE = 0.8
#: The least depth of a hollow eye behind its lids (mm).
HOLLOW = 5.0
#: The picture of one eye: half its side (mm), its pixels, the scale at which creases are looked for (mm).
_HALF, _SIZE, _SCALE = 20.0, 160, 0.9
#: The lower crease of a closed eye is at least so many times as deep as any near the upper landmarks, and so deep by
#: itself (1/mm): between closed and open on ICT-FaceKit's faces and on the scans that were looked at.
_RATIO, _DEEP = 2.0, 0.05
#: An eyeball: a loose part no wider than this, its middle at most this far behind the lids', which reaches so far above
#: and below it, as lashes do not (mm).
_WIDEST, _BEHIND, _BEYOND = 60.0, 25.0, 4.0
#: One that is wider than a person's (mm), as drawn characters have, ends before its lids by less than the first share
#: of its width and behind them by more than the second, as lenses and goggles do not.
_LARGE, _BEFORE, _BACK = 40.0, 0.3, 0.3


@dataclass(frozen=True)
class Eye:
    """shut: the lids touch. eyeball (k,3): points of an eyeball that is a part of its own, if any; mesh units."""

    shut: bool
    eyeball: np.ndarray


def look(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, beside: Surfaces = ()) -> tuple[Eye, Eye]:
    """The subject's right and left eye. vertices (V,3), triangles (F,3) of a cleaned mesh; landmarks (68,3) that tell
    which are `shut`; beside: other surfaces, which may be eyeballs; one unit.

    LandmarkError where the landmarks have no frame.
    """
    everything, faces = together([(vertices, triangles), *beside])
    mm = frame_in_mm(landmarks)
    points, placed = (mm.to_canonical(np.asarray(places, float)) for places in (everything, landmarks))
    parts = connected_components(faces, len(points))
    skin = parts[nearest_vertices(placed[27:31], points[: len(vertices)])][0]
    middles = [placed[rows].mean(0) for rows in EYES]
    right, left = (
        Eye(closed, everything[_eyeball(points, parts, skin, middle)])
        for closed, middle in zip(shut(landmarks), middles, strict=True)
    )
    return right, left


def shut(landmarks: np.ndarray) -> tuple[bool, bool]:
    """Whether the lids of the subject's right and left eye meet, as landmarks (68,3) say."""
    apart = _apart(frame_in_mm(landmarks).to_canonical(np.asarray(landmarks, float)))
    right, left = _credible(apart < SHUT, apart)
    return bool(right), bool(left)


def shut_lines(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,3) points along which the lids of the subject's right and left eye meet, mesh units; (0,3) where they do not.

    vertices (V,3), triangles (F,3) with finite corners, landmarks (68,3) as the network places them.
    """
    mm = frame_in_mm(landmarks)
    points, placed = (mm.to_canonical(np.asarray(places, float)) for places in (vertices, landmarks))
    near = (np.abs(points - placed[36:48].mean(0)) < (90, 45, 60)).all(1)
    faces = triangles[near[triangles].all(1)]  # around the eyes
    lines = [
        mm.to_mesh(_shut_line(points, faces, placed, placed[rows].mean(0), pairs))
        for rows, pairs in zip(EYES, (LID_PAIRS[:2], LID_PAIRS[2:]), strict=True)
    ]
    closed = _credible(np.array([len(line) > 0 for line in lines]), _apart(placed))
    right, left = (line if there else line[:0] for line, there in zip(lines, closed, strict=True))
    return right, left


def _apart(placed: np.ndarray) -> np.ndarray:
    """(2,) mm between the lids of the subject's right and left eye at landmarks (68,3)."""
    return gaps(placed, LID_PAIRS).reshape(2, 2).mean(1)


def _credible(closed: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """(2,) which eyes are shut, of those that seem so (2,): one alone only where its lids are `apart` (2,) by clearly
    less than the other's."""
    return closed & (closed[::-1] | (apart < _ALONE * apart[::-1]))


def shut_landmarks(landmarks: np.ndarray, lines: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(68,3) the landmarks with both lids of every shut eye on the line where they meet; mesh units."""
    moved = np.array(landmarks, float)
    axis = canonical_frame(moved).rotation[:, 0]
    for line, pairs in zip(lines, (LID_PAIRS[:2], LID_PAIRS[2:]), strict=True):
        for pair in map(list, pairs if len(line) else ()):
            moved[pair] = line[np.abs((moved[pair].mean(0) - line) @ axis).argmin()]
    return moved


def _shut_line(
    points: np.ndarray, faces: np.ndarray, placed: np.ndarray, middle: np.ndarray, pairs: tuple[tuple[int, int], ...]
) -> np.ndarray:
    """(n,3) the line along which closed lids meet, mm; (0,3) where the eye is open."""
    upper, lower = placed[[pair[0] for pair in pairs]], placed[[pair[1] for pair in pairs]]
    gap = (upper - lower)[:, 1].mean()
    if gap < SHUT:
        return (upper + lower) / 2
    relief = _relief(points, faces, middle)
    if relief is None:
        return np.empty((0, 3))
    depth, crease, step = relief
    order = np.argsort(upper[:, 0])
    x = np.linspace(upper[order[0], 0], upper[order[1], 0], 15)
    top = np.interp(x, upper[order, 0], upper[order, 1])
    bottom = np.interp(x, lower[order, 0], lower[order, 1])
    column = np.rint((x - middle[0] + _HALF) / step - 0.5).astype(int).clip(0, _SIZE - 1)
    height = middle[1] + _HALF - (np.arange(_SIZE) + 0.5) * step
    share = (height[:, None] - bottom) / (top - bottom)
    deepest = np.minimum(upper, lower)[:, 2].min() - middle[2] - HOLLOW
    hollow = np.where(np.isnan(crease), -np.inf, depth)[:, column] < deepest
    if np.median((hollow & (share > 0) & (share < 1)).sum(0)) * step > SHUT:
        return np.empty((0, 3))
    seen = np.nan_to_num(crease[:, column], nan=-1.0)
    low = np.where((share > -0.6) & (share < 0.35), seen, -1).max(0)
    high = np.where((share > 0.55) & (share < 1.6), seen, -1).max(0)
    if np.median(low) < _DEEP or np.median(low) < _RATIO * np.median(high):
        return np.empty((0, 3))
    row = np.where((share > -0.6) & (share < 0.35), seen, -1).argmax(0)
    return np.stack([x, height[row], middle[2] + depth[row, column]], 1)


def _relief(points: np.ndarray, faces: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray, float] | None:
    """(S,S) depth and concavity (1/mm, upright) of the skin around an eye, and mm a pixel; None where none is seen."""
    camera = Camera(np.identity(3), middle, _HALF)
    inside = (np.abs(points - middle) < (_HALF, _HALF, 30)).all(1)
    faces = faces[inside[faces].any(1)]
    if not len(faces):
        return None
    image = raster.render(camera.to_picture(points).astype(np.float32), faces, _SIZE)
    if image.seen.mean() < 0.5:
        return None
    depth = np.where(image.seen, image.depth, 0.0) * _HALF
    step = 2 * _HALF / _SIZE
    weight = gaussian_filter(image.seen.astype(float), _SCALE / step)
    smooth = gaussian_filter(depth.astype(float), _SCALE / step) / np.maximum(weight, 1e-6)
    concave = np.gradient(np.gradient(smooth, axis=0), axis=0) / step**2
    return depth, np.where(image.seen, concave, np.nan), step


def _eyeball(points: np.ndarray, parts: np.ndarray, skin: int, middle: np.ndarray) -> np.ndarray:
    """(k,) vertices of a loose part that sits in the eye like a ball, the deepest of several."""
    found, deepest = np.empty(0, int), 0.0
    close = np.unique(parts[(np.linalg.norm(points - middle, axis=1) < _BEHIND)])
    for part in close[close != skin]:
        rows = np.flatnonzero(parts == part)
        low, high = points[rows].min(0) - middle, points[rows].max(0) - middle
        offset, size = (low + high) / 2, high - low
        inside = np.abs(offset[:2]).max() < 8 and -_BEHIND < offset[2] < 5
        behind_both_lids = low[1] < -_BEYOND and high[1] > _BEYOND
        widest = size.max()
        a_ball = widest < _LARGE or (high[2] < _BEFORE * widest and -low[2] > _BACK * widest)
        sized = len(rows) > 20 and 12 < widest < _WIDEST and size.min() > deepest
        if inside and behind_both_lids and sized and a_ball:
            found, deepest = rows, float(size.min())
    return found
