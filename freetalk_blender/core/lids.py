"""Lids that slide over an eyeball: a correction of a finished motion, frame by frame, as `contact` is for lips.

A blink carries the upper lid down by about ten millimetres over a ball whose front bulges by as much, and a lid that
moves straight cuts through it. Skin in front of a ball is brought forward to where it does not. A blink also ends where
the landmarks of the lids meet, and between them the edges still stand apart, or cross: lids that have come near each
other meet all along. At rest nothing moves.
"""

from dataclasses import dataclass, replace

import numpy as np

from .eyes import EYES
from .frame import Similarity
from .ramp import smooth_step

#: Landmarks of an eye along the edge of its upper and of its lower lid.
UPPER_EDGE, LOWER_EDGE = [0, 1, 2, 3], [0, 5, 4, 3]
#: Skin keeps the distance from the ball that it has at rest, but no more than this (mm): a lid is about as thick.
KEPT = 0.8
#: Skin that lies deeper in the ball than this at rest is no lid (mm).
_INSIDE = 3.0
#: Nothing is pushed further than this (mm).
LARGEST = 6.0
#: Beyond this share of its radius the ball counts as a cone, and skin is looked after up to the second share.
_CONE, _REACH = 0.85, 1.4
#: Lids whose edges are nearer than the first share of what they are at rest meet; beyond the second they stay (as
#: shares of the opening at rest).
SHUT, PARTED = 0.25, 0.55
#: Their edges overlap by this (mm), since they are known at vertices only; the upper lid's share of the way.
_OVERLAP, _UPPER = 0.2, 0.75
#: Width of a column of an eye, the least opening of one that counts, and how far from the edge skin follows (mm).
_COLUMN, _LEAST, _FADING = 1.5, 1.0, 4.0


@dataclass(frozen=True)
class Edges:
    """The edges of an eye's lids in C columns from right to left. upper, lower (C,): vertices among those of Lids;
    opening (C,): height of the one over the other at rest, mm; spread (M,C): how far up a vertex goes as lids close by
    one millimetre."""

    upper: np.ndarray
    lower: np.ndarray
    opening: np.ndarray
    spread: np.ndarray

    def closing(self, moved: np.ndarray) -> np.ndarray:
        """(T,C) mm by which each column is to close, or to open where edges cross; moved (T,M,3), canonical mm."""
        gap = moved[:, self.upper, 1] - moved[:, self.lower, 1]
        return (gap + _OVERLAP) * (1 - smooth_step((gap / self.opening - SHUT) / (PARTED - SHUT)))


@dataclass(frozen=True)
class Lids:
    """M vertices of skin in front of eyeballs. vertices (M,): of the mesh; place (M,3): at rest; centre (M,3) and
    radius (M,): of the ball behind each; kept (M,): distance in front of it, all in canonical mm; frame: from
    canonical mm to the mesh; edges: of the lids of each eye."""

    vertices: np.ndarray
    place: np.ndarray
    centre: np.ndarray
    radius: np.ndarray
    kept: np.ndarray
    frame: Similarity
    edges: tuple[Edges, ...] = ()

    def clearance(self, displacement: np.ndarray) -> np.ndarray:
        """(T,M) mm in front of the ball, negative inside; displacement (T,M,3) of `vertices`, mesh units."""
        moved = self.place + self.frame.vectors_to_canonical(displacement)
        return moved[..., 2] - _surface(moved, self.centre, self.radius)

    def amount(self, displacement: np.ndarray) -> np.ndarray:
        """(T,M) mm by which each vertex is to be brought forward; displacement (T,M,3) of `vertices`, mesh units."""
        return np.clip(self.kept - self.clearance(displacement), 0, LARGEST)

    def correction(self, displacement: np.ndarray) -> np.ndarray:
        """(T,M,3) what makes lids meet and keeps them off the ball; displacement (T,M,3) of `vertices`, mesh units."""
        moved = self.place + self.frame.vectors_to_canonical(displacement)
        change = np.zeros_like(moved)
        for edges in self.edges:
            change[..., 1] += edges.closing(moved) @ edges.spread.T
        change[..., 2] = self.amount(displacement + self.frame.vectors_to_mesh(change))
        return self.frame.vectors_to_mesh(change)


def of_balls(
    skin: np.ndarray,
    used: np.ndarray,
    balls: list[tuple[np.ndarray, float]],
    frame: Similarity,
    landmarks: np.ndarray | None = None,
) -> Lids | None:
    """The lids of some balls; None where none has skin in front of it.

    skin (V,3): vertices of the skin, mesh units; used (k,): those that the skin's surface has; balls: centre (3,) and
    radius, canonical mm; frame: from canonical mm to the mesh; landmarks (68,3), canonical mm: where the edges are.
    """
    points = frame.to_canonical(skin[used].astype(float))
    chosen = []
    for centre, radius in balls:
        offset = points - centre
        near = np.linalg.norm(offset[:, :2], axis=1) < _REACH * radius
        near &= (offset[:, 2] > -0.3 * radius) & (offset[:, 2] < 3 * radius)
        rows = np.flatnonzero(near)
        rest = points[rows, 2] - _surface(points[rows], centre, radius)
        rows, rest = rows[rest > -_INSIDE], rest[rest > -_INSIDE]
        count = len(rows)
        chosen.append((rows, np.minimum(rest, KEPT), np.tile(centre, (count, 1)), np.full(count, radius)))
    if not chosen:
        return None
    rows, kept, centres, radii = (np.concatenate(part) for part in zip(*chosen, strict=True))
    if not len(rows):
        return None
    found = Lids(used[rows], points[rows], centres, radii, kept, frame)
    if landmarks is None:
        return found
    clear = found.clearance(np.zeros((1, len(rows), 3)))[0]
    edges = [
        _edges(found.place, clear, landmarks[eye])
        for eye in EYES
        if any(np.linalg.norm(landmarks[eye].mean(0) - centre) < 2 * radius for centre, radius in balls)
    ]
    return replace(found, edges=tuple(one for one in edges if one is not None))


def _edges(place: np.ndarray, clear: np.ndarray, lids: np.ndarray) -> Edges | None:
    """place (M,3), mm, and clear (M,) of the skin around eyes, mm in front of a ball; lids (6,3): landmarks of one."""
    first, last = np.sort(lids[[0, 3], 0])
    above, below = (edge(place, lids[rows])[1] for rows in (UPPER_EDGE, LOWER_EDGE))
    middle, high = (above + below) / 2, place[:, 1]
    inside = (place[:, 0] > first) & (place[:, 0] < last) & (clear > -_INSIDE / 3) & (np.abs(high - middle) < 12)
    column = np.floor((place[:, 0] - first) / _COLUMN).astype(int)
    pairs = []
    for number in np.unique(column[inside]):
        mine = np.flatnonzero(inside & (column == number))
        over, under = mine[high[mine] > middle[mine]], mine[high[mine] <= middle[mine]]
        if len(over) and len(under):
            pairs.append((over[high[over].argmin()], under[high[under].argmax()]))
    pairs = [(a, b) for a, b in pairs if high[a] - high[b] > _LEAST]
    if len(pairs) < 3:
        return None
    upper, lower = np.array(pairs).T
    x = (place[upper, 0] + place[lower, 0]) / 2
    along = np.stack([np.interp(place[:, 0], x, row) for row in np.identity(len(x))], 1)
    beyond = np.maximum(np.maximum(x[0] - place[:, 0], place[:, 0] - x[-1]), 0)
    rim = (np.interp(place[:, 0], x, high[upper]), np.interp(place[:, 0], x, high[lower]))
    is_upper = high > (rim[0] + rim[1]) / 2
    away = np.where(is_upper, np.maximum(high - rim[0], 0), np.maximum(rim[1] - high, 0))
    share = np.where(is_upper, -_UPPER, 1 - _UPPER) * np.exp(-((away / _FADING) ** 2) - (beyond / _COLUMN) ** 2)
    share[np.linalg.norm(place - lids.mean(0), axis=1) > 25] = 0
    return Edges(upper, lower, high[upper] - high[lower], share[:, None] * along)


def edge(points: np.ndarray, lid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares (k,4) of the landmarks of one lid (4,3) at the x of points (k,3), and the height (k,) of its edge."""
    order = np.argsort(lid[:, 0])
    rows = np.identity(4)[order]
    shares = np.stack([np.interp(points[:, 0], lid[order, 0], column) for column in rows.T], 1)
    return shares, shares @ lid[:, 1]


def _surface(points: np.ndarray, centre: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
    """(...) z of the ball's front at x and y of points (...,3), mm; a cone goes on around it."""
    share = np.linalg.norm((points - centre)[..., :2], axis=-1) / radius
    inner = np.minimum(share, _CONE)
    return centre[..., 2] + radius * (np.sqrt(1 - inner**2) - (share - inner) * _CONE / np.sqrt(1 - _CONE**2))
