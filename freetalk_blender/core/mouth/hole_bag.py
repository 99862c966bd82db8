"""A closed bag behind lips that are modelled apart with nothing behind them but a hole in the surface.

Masks, many sculpts and registered heads end at the lips or a little inside: through an opening mouth the world behind
the head would show. The border of that hole is found, and the bag of `mouth_bag` is put there, vertex by vertex.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..frame import frame_in_mm
from ..surface import mesh, raster
from ..surface.boundary import boundary_edges, filled, loops
from ..surface.edges import edges_of
from ..surface.rows import renumbered
from . import mouth_bag, mouth_curve
from .mouth_curve import MouthCurve
from .mouth_hollow import DARK
from .opened_mouth import (
    BAG,
    LIP,
    LOWER,
    NEITHER,
    SKIN,
    UPPER,
    Addition,
    OpenedMouth,
    barycentric_weights,
    spread_columns,
    with_added,
)

#: Where the border of the hole may lie: beyond the mouth's corners, in front of and behind the lip line, above and
#: below it (mm), and the least share of the mouth's width that it spans.
_BESIDE, _FRONT, _BACK, _AWAY, _SPAN = 8.0, 8.0, 45.0, 30.0, 0.5
#: Share of the mouth's width, about its middle, in which the bag begins with the colour of the lips.
_LIPS = 0.6
#: How far around the lips skin matters to the bag (mm).
_NEAR = 60.0


@dataclass(frozen=True)
class Hole:
    """A hole behind the lips. vertices (n,): of the mesh, around it, each step as the surface's own triangle goes;
    owner (n,): the triangle at the step that begins there."""

    vertices: np.ndarray
    owner: np.ndarray


def find(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> Hole | None:
    """The longest open border that rings the mouth behind the lips; None where there is none.

    vertices (V,3), triangles (F,3), landmarks (68,3), one unit. LandmarkError where the landmarks are no mouth.
    """
    frame = frame_in_mm(landmarks)
    curve = mouth_curve.mouth_curve(frame.to_canonical(np.asarray(landmarks, float)))
    cleaned = mesh.clean(vertices, triangles)
    welded = cleaned.source[triangles]
    rows = np.flatnonzero((welded >= 0).all(1) & (np.diff(np.sort(welded, 1), axis=1) > 0).all(1))
    sides = edges_of(welded[rows])[1]
    open_side = np.bincount(sides.ravel())[sides] == 1
    points = frame.to_canonical(cleaned.vertices.astype(float))
    place = {}
    for row, corner in np.argwhere(open_side & _near(points, curve)[welded[rows]]).tolist():
        place[int(welded[rows[row], corner])] = (int(triangles[rows[row], corner]), int(rows[row]))
    links = [(a, b) for a, b in boundary_edges(welded[rows]).tolist() if a in place and b in place]
    rings = [ring for ring in loops(links) if _encloses(points[ring], curve)]
    if not rings:
        return None
    longest = max(rings, key=lambda ring: _length(points[ring]))
    own, owner = np.array([place[vertex] for vertex in longest]).T
    return Hole(own, owner)


def _near(points: np.ndarray, curve: MouthCurve) -> np.ndarray:
    """(V,) bool: where the border may lie."""
    front, above = curve.in_front(points), curve.above(points)
    return curve.between_corners(points, _BESIDE) & (front < _FRONT) & (front > -_BACK) & (np.abs(above) < _AWAY)


def _encloses(ring: np.ndarray, curve: MouthCurve) -> bool:
    """The ring (n,3) goes around the mouth: wide enough, with an upper and a lower half."""
    if len(ring) < 8 or np.ptp(ring[:, 0]) < _SPAN * (curve.x[-1] - curve.x[0]):
        return False
    upper, lower = _halves(ring)
    return bool(upper.sum() > 1 and lower.sum() > 1 and ring[upper, 1].mean() > ring[lower, 1].mean())


def _halves(ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool each: the ring's vertices above and below its corners, which are the ends in x."""
    right, left = int(ring[:, 0].argmin()), int(ring[:, 0].argmax())
    forward = (np.arange(len(ring)) - right) % len(ring)
    ahead = (forward > 0) & (forward < (left - right) % len(ring))
    back = forward > (left - right) % len(ring)
    if not ahead.any() or not back.any():
        return ahead, back
    return (ahead, back) if ring[ahead, 1].mean() > ring[back, 1].mean() else (back, ahead)


def closed(opened: OpenedMouth, hole: Hole, triangles: np.ndarray, landmarks: np.ndarray) -> OpenedMouth:
    """The mesh with a bag that closes the hole behind its lips.

    opened: without a bag of its own; hole: of its vertices and triangles; triangles (F,3): of the input that `opened`
    was made of; landmarks (68,3), in its unit.
    """
    frame = frame_in_mm(landmarks)
    curve = mouth_curve.mouth_curve(frame.to_canonical(np.asarray(landmarks, float)))
    skin = frame.to_canonical(opened.vertices.astype(float))
    rim, count, rings = skin[hole.vertices], len(hole.vertices), len(mouth_bag.INWARD)
    ring, column = np.repeat(np.arange(rings), count), np.tile(np.arange(count), rings)
    upper, lower = _halves(rim)
    half = upper.astype(np.int8) - lower
    along = _along(rim, upper, lower)
    near = np.linalg.norm(skin - rim.mean(0), axis=1) < _NEAR
    used, local = renumbered(opened.triangles[(opened.part == SKIN) & near[opened.triangles].all(1)], len(skin))
    points = mouth_bag.fitted(
        rim, along, ring, column, half[column], skin[used], local, _faces_outward(skin[used], local, curve)
    )
    faces, row, step = _faces(count, rings, points)
    number = np.concatenate([hole.vertices, len(skin) + np.arange(len(points))])
    source = opened.source[hole.vertices[column]]
    owner = opened.triangle_source[hole.owner[step]]
    new = number[faces]
    looks = sparse.csr_matrix(sparse.vstack([opened.source, source]))
    follow = mouth_bag.follow(along, half, along[column], ring, half[column])
    reached = np.append(mouth_bag.INWARD, np.inf)[row] - curve.in_front(rim)[step]
    # The corners of an open mouth are dark.
    is_lip = (row < mouth_bag.LIP_RINGS) & (reached < DARK) & (np.abs(along[step] - 0.5) < _LIPS / 2)
    inputs = opened.vertices[: opened.source.shape[1]].astype(float)
    return with_added(
        opened,
        Addition(
            frame.to_mesh(points),
            new,
            np.where(is_lip, LIP, BAG),
            np.select([half[column] > 0, half[column] < 0], [UPPER, LOWER], NEITHER),
            source,
            spread_columns(follow, hole.vertices, opened.skin_count),
            owner,
            barycentric_weights(looks, inputs, new, triangles[owner]),
        ),
    )


def _along(rim: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """(n,) share of the way from the right corner to the left one along its own half."""
    right, left = int(rim[:, 0].argmin()), int(rim[:, 0].argmax())
    along = np.zeros(len(rim))
    along[left] = 1.0
    for half in (upper, lower):
        forward = (np.arange(len(rim)) - right) % len(rim)
        rows = np.flatnonzero(half)[np.argsort(forward[half])]
        rows = rows if forward[rows[0]] == 1 else rows[::-1]
        path = np.concatenate([[right], rows, [left]])
        along[rows] = mouth_bag.way_along(rim[path])[1:-1]
    return along


def _faces_outward(points: np.ndarray, triangles: np.ndarray, curve: MouthCurve) -> bool:
    """The skin around the lips, points (P,3), triangles (f,3), faces forward."""
    corner = points[triangles]
    normal = raster.triangle_normals(corner)
    return bool(normal[np.abs(curve.in_front(corner.mean(1))) < _AWAY, 2].sum() >= 0)


def _faces(count: int, rings: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles (g,3), the row of each (0 at the rim) and its step along the rim.

    0..count-1 are the rim's vertices, then the bag's, points (B,3), ring by ring.
    """
    here, ahead = np.arange(count), (np.arange(count) + 1) % count
    triangles, row, step = [], [], []
    for number in range(rings):
        a, b = number * count + here, number * count + ahead
        triangles += [np.stack([b, a, a + count], 1), np.stack([b, a + count, b + count], 1)]
        row += [np.full(count, number)] * 2
        step += [here] * 2
    last = [rings * count + vertex for vertex in range(count)]
    lid = np.array(filled(last, np.concatenate([np.zeros((count, 3)), points])))
    return (
        np.concatenate([*triangles, lid]),
        np.concatenate([*row, np.full(len(lid), rings)]),
        np.concatenate([*step, lid[:, 0] % count]),
    )


def _length(ring: np.ndarray) -> float:
    """Length of a closed ring (n,3)."""
    return float(np.linalg.norm(ring - np.roll(ring, 1, 0), axis=1).sum())
