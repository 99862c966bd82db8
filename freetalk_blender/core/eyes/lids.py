"""Lids that slide over an eyeball: a correction of a finished motion, frame by frame, as `contact` is for lips.

A blink carries the upper lid down by about ten millimetres over a ball whose front bulges by as much, and a lid that
moves straight cuts through it. Skin in front of a ball is brought forward to where it does not. A blink also ends where
the landmarks of the lids meet, and beside them, or where they lie off the edges, these still stand apart, or cross:
where landmarks blink, edges meet all along. Landmarks tell, for edges that stand apart may be a blink's or a squint's.
At rest nothing moves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..detection.face_view import Camera
from ..frame import Similarity
from ..landmarks import LID_PAIRS, gaps
from ..ramp import smooth_step
from ..series import runs
from ..surface import raster
from ..surface.rows import numbered, renumbered
from .eye_state import EYES

#: Landmarks of an eye along the edge of its upper and of its lower lid.
UPPER_EDGE, LOWER_EDGE = [0, 1, 2, 3], [0, 5, 4, 3]
#: Skin keeps the distance from the ball that it has at rest, but no more than this (mm): a lid is about as thick.
KEPT = 0.8
#: A lid's rim goes back behind skin no further away as seen from the front (mm), so many vertices of which are looked
#: at, and looks ahead by less than this (the cosine): by 60 degrees aside, or back.
_RIM, _NEAREST, _ASIDE = 1.0, 8, 0.5
#: Skin that lies deeper in the ball than this at rest is no lid (mm).
_INSIDE = 3.0
#: Nothing is pushed further than this (mm).
LARGEST = 6.0
#: Beyond this share of its radius the ball counts as a cone, and skin is looked after up to the second share.
_CONE, _REACH = 0.85, 1.4
#: Eyes whose landmarks leave no more than the first share of what they are open by at rest are in a blink, and edges
#: meet; from the second on edges stay.
SHUT, PARTED = 0.1, 0.25
#: Their edges overlap by this (mm), since they are known to a pixel only; the upper lid's share of the way.
_OVERLAP, _UPPER = 0.1, 0.75
#: Width of a column of an eye, the least opening of one that counts, and how far from the edge skin follows (mm).
_COLUMN, _LEAST, _FADING = 1.5, 1.0, 4.0
#: An eye may be so much wider on either side than its landmarks say (mm).
_WIDER = 3.0
#: The picture of one eye: half its side (mm) and its pixels.
_HALF, _SIZE = 20.0, 160
_TINY = 1e-6


#: A point of the skin: the vertices of its triangle (3,), and their shares in it (3,).
Place = tuple[np.ndarray, np.ndarray]
#: An eyeball: its centre (3,), and its radius, or, where it is an ellipsoid, the symmetric (3,3) that makes it of a
#: sphere of radius 1; canonical mm.
Ball = tuple[np.ndarray, float | np.ndarray]


@dataclass(frozen=True)
class Edges:
    """The edges of an eye's lids in C columns from right to left. eye: which of EYES; across (C,M): height of the upper
    one over the lower one, of the heights of the vertices of Lids; spread (M,C): how far up a vertex goes as
    lids close by one millimetre."""

    eye: int
    across: np.ndarray
    spread: np.ndarray

    def closing(self, moved: np.ndarray, shut: np.ndarray) -> np.ndarray:
        """(T,C) mm by which each column is to close, or to open where edges cross; moved (T,M,3), canonical mm; shut
        (T,2): see `closed`."""
        gap = moved[..., 1] @ self.across.T
        crossed = np.minimum(gap, 0)
        return crossed + shut[:, self.eye, None] * (gap + _OVERLAP - crossed)


@dataclass(frozen=True)
class Lids:
    """M vertices of skin in front of eyeballs. vertices (M,): of the mesh; place (M,3): at rest; balls, and ball (M,):
    which of them is behind each; kept (M,): distance in front of it, all in canonical mm; frame: from canonical mm to
    the mesh; edges: of the lids of each eye."""

    vertices: np.ndarray
    place: np.ndarray
    balls: tuple[Ball, ...]
    ball: np.ndarray
    kept: np.ndarray
    frame: Similarity
    edges: tuple[Edges, ...]

    def clearance(self, displacement: np.ndarray) -> np.ndarray:
        """(T,M) mm in front of the ball, negative inside; displacement (T,M,3) of `vertices`, mesh units."""
        moved = self.place + self.frame.vectors_to_canonical(displacement)
        clear = np.empty(moved.shape[:-1])
        for number, ball in enumerate(self.balls):
            rows = self.ball == number
            clear[:, rows] = moved[:, rows, 2] - _surface(moved[:, rows], ball)
        return clear

    def correction(self, displacement: np.ndarray, shut: np.ndarray) -> np.ndarray:
        """(T,M,3) what makes lids meet and keeps them off the ball; displacement (T,M,3) of `vertices`, mesh units;
        shut (T,2): see `closed`."""
        moved = self.place + self.frame.vectors_to_canonical(displacement)
        change = np.zeros_like(moved)
        for edges in self.edges:
            change[..., 1] += edges.closing(moved, shut) @ edges.spread.T
        clear = self.clearance(displacement + self.frame.vectors_to_mesh(change))
        change[..., 2] = np.clip(self.kept - clear, 0, LARGEST)
        return self.frame.vectors_to_mesh(change)


def closed(motion: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """(T,2) in [0,1]: how surely the right and the left eye are shut in a blink in landmark motion (T,68,3) of neutral
    (68,3), canonical units. Eyes that are shut at rest do not blink."""
    rest = np.maximum(gaps(neutral, LID_PAIRS), 0).reshape(2, 2).sum(1)
    change = gaps(motion, LID_PAIRS).reshape(-1, 2, 2).sum(2)
    left = np.where(rest > 0, 1 + change / np.maximum(rest, _TINY), 1)
    return 1 - smooth_step((left - SHUT) / (PARTED - SHUT))


def of_balls(
    skin: np.ndarray, triangles: np.ndarray, balls: Sequence[Ball], frame: Similarity, landmarks: np.ndarray
) -> Lids | None:
    """The lids of some balls, at least one; None where none has skin in front of it.

    skin (V,3), triangles (F,3): the skin, mesh units; frame: from canonical mm to the mesh; landmarks (68,3), canonical
    mm: where the edges are.
    """
    places = frame.to_canonical(skin.astype(float))
    close = np.zeros(len(places), bool)
    for ball in balls:
        close |= (np.abs(places - ball[0]) < 4 * _radius(ball)).all(1)
    used, faces = renumbered(triangles[close[triangles].any(1)], len(places))
    points = places[used]
    ahead = raster.vertex_normals(points, faces)[:, 2]
    chosen = []
    for number, ball in enumerate(balls):
        before, radius = points[:, 2] - ball[0][2], _radius(ball)
        near = (_share(points, ball) < _REACH) & (before > -0.3 * radius) & (before < 3 * radius)
        rows = np.flatnonzero(near)
        rest = points[rows, 2] - _surface(points[rows], ball)
        rows, rest = rows[rest > -_INSIDE], rest[rest > -_INSIDE]
        chosen.append((rows, _kept(points[rows], ahead[rows], rest), np.full(len(rows), number)))
    rows, kept, which = (np.concatenate(part) for part in zip(*chosen, strict=True))
    if not len(rows):
        return None
    found = [
        _edges(points, faces, rows, ball, landmarks[EYES[eye]], eye)
        for eye in range(2)
        for ball in balls
        if np.linalg.norm(landmarks[EYES[eye]].mean(0) - ball[0]) < 2 * _radius(ball)
    ]
    edges = tuple(one for one in found if one is not None)
    return Lids(used[rows], points[rows], tuple(balls), which, kept, frame, edges)


def _kept(points: np.ndarray, ahead: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(k,) mm that points (k,3) of skin, which lie `rest` (k,) before a ball and look `ahead` (k,), keep from it.

    The further back they lie in a lid's rim, the less: all as far from the ball, it would turn inside out.
    """
    depth = np.zeros(len(points))
    rim, outside = (np.flatnonzero((rest > 0) & (ahead < most)) for most in (_ASIDE, np.inf))
    if len(rim):
        front = cKDTree(points[outside, :2])
        away, near = front.query(points[rim, :2], _NEAREST, distance_upper_bound=_RIM)
        before = np.append(rest[outside], -np.inf)[near] - rest[rim, None]
        depth[rim] = np.where(before > away, before, 0).max(1)
    return np.minimum(rest, KEPT**2 / (KEPT + depth))


def _edges(
    points: np.ndarray, faces: np.ndarray, rows: np.ndarray, ball: Ball, lids: np.ndarray, eye: int
) -> Edges | None:
    """points (P,3), mm, and faces (f,3) of the skin; rows (M,): those around eyes; ball and landmarks (6,3) of one, and
    which."""
    place, high = points[rows], points[rows, 1]
    number = numbered(rows, len(points))
    weights, lines = [], []
    for column, *edges in _columns(points, faces, ball, lids):
        height = np.zeros(len(rows))
        for sign, (corners, shares) in zip((1, -1), edges, strict=True):
            known = np.where(number[corners] >= 0, shares, 0.0)
            np.add.at(height, number[corners], sign * known / max(known.sum(), 1e-9))
        if height @ high > _LEAST:
            weights.append(height)
            lines.append([column, *(shares @ points[corners, 1] for corners, shares in edges)])
    if len(lines) < 3:
        return None
    across, (x, above, below) = np.array(weights), np.array(lines).T
    along = np.stack([np.interp(place[:, 0], x, row) for row in np.identity(len(x))], 1)
    beyond = np.maximum(np.maximum(x[0] - place[:, 0], place[:, 0] - x[-1]), 0)
    rim = np.interp(place[:, 0], x, above), np.interp(place[:, 0], x, below)
    is_upper = high > (rim[0] + rim[1]) / 2
    away = np.where(is_upper, np.maximum(high - rim[0], 0), np.maximum(rim[1] - high, 0))
    share = np.where(is_upper, -_UPPER, 1 - _UPPER) * np.exp(-((away / _FADING) ** 2) - (beyond / _COLUMN) ** 2)
    share[np.linalg.norm(place - lids.mean(0), axis=1) > 25] = 0
    return Edges(eye, across, share[:, None] * along)


def _columns(
    points: np.ndarray, faces: np.ndarray, ball: Ball, lids: np.ndarray
) -> Iterator[tuple[float, Place, Place]]:
    """x of each column of an eye, mm, and the last skin over and under what is open in it, seen from the front."""
    camera = Camera(np.identity(3), lids.mean(0), _HALF)
    close = faces[(np.abs(points - camera.centre) < (_HALF, _HALF, 2 * _HALF)).all(1)[faces].any(1)]
    image = raster.render(camera.to_picture(points).astype(np.float32), close, _SIZE)
    across = (np.arange(_SIZE) + 0.5) * (2 / _SIZE) - 1
    depth = np.where(image.seen, image.depth, 0.0)
    seen = camera.to_mesh(np.stack([*np.meshgrid(across, -across), depth], 2))
    is_skin = image.seen & (seen[..., 2] - _surface(seen, ball) > -_INSIDE / 3)
    first, last = np.sort(lids[[0, 3], 0])
    for x in np.arange(first - _WIDER, last + _WIDER, _COLUMN):
        column = np.abs(seen[0, :, 0] - x).argmin()
        top, bottom = runs(~is_skin[:, column]).T
        length = np.where((top > 0) & (bottom < _SIZE), bottom - top, 0)
        if length.any():
            ends = [row[length.argmax()] for row in (top - 1, bottom)]
            upper, lower = ((close[image.triangle[row, column]], image.weights[row, column]) for row in ends)
            yield float(x), upper, lower


def edge(points: np.ndarray, lid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares (k,4) of the landmarks of one lid (4,3) at the x of points (k,3), and the height (k,) of its edge."""
    order = np.argsort(lid[:, 0])
    rows = np.identity(4)[order]
    shares = np.stack([np.interp(points[:, 0], lid[order, 0], column) for column in rows.T], 1)
    return shares, shares @ lid[:, 1]


def _axes(ball: Ball) -> np.ndarray:
    """(3,3) what makes a ball of a sphere of radius 1."""
    return np.asarray(ball[1]) * np.identity(3) if np.ndim(ball[1]) == 0 else np.asarray(ball[1])


def _radius(ball: Ball) -> float:
    """Its largest half-axis, mm."""
    return float(np.linalg.norm(_axes(ball), 2))


def _share(points: np.ndarray, ball: Ball) -> np.ndarray:
    """(...) how far points (...,3), mm, lie from a ball's middle seen from the front: 1 at its outline."""
    outline = (_axes(ball) @ _axes(ball).T)[:2, :2]
    return np.linalg.norm((points - ball[0])[..., :2] @ np.linalg.cholesky(np.linalg.inv(outline)), axis=-1)


def _surface(points: np.ndarray, ball: Ball) -> np.ndarray:
    """(...) z of the ball's front at x and y of points (...,3), mm; a cone goes on around it."""
    square = _axes(ball) @ _axes(ball).T
    slope = np.linalg.solve(square[:2, :2], square[:2, 2])
    deep = np.sqrt(square[2, 2] - slope @ square[:2, 2])
    share = _share(points, ball)
    inner = np.minimum(share, _CONE)
    front = np.sqrt(1 - inner**2) - (share - inner) * _CONE / np.sqrt(1 - _CONE**2)
    return ball[0][2] + (points - ball[0])[..., :2] @ slope + deep * front
