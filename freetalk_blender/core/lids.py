"""Lids that slide over an eyeball: a correction of a finished motion, frame by frame, as `contact` is for lips.

A blink carries the upper lid down by about ten millimetres over a ball whose front bulges by as much, and a lid that
moves straight cuts through it. Skin in front of a ball is brought forward to where it does not; at rest nothing moves.
"""

from dataclasses import dataclass

import numpy as np

from .compress import ShapeKeys, compress, with_more
from .frame import Similarity

#: Skin keeps the distance from the ball that it has at rest, but no more than this (mm): a lid is about as thick.
KEPT = 0.8
#: Skin that lies deeper in the ball than this at rest is no lid (mm).
_INSIDE = 3.0
#: Nothing is pushed further than this (mm).
LARGEST = 6.0
#: Beyond this share of its radius the ball counts as a cone, and skin is looked after up to the second share.
_CONE, _REACH = 0.85, 1.4
_FRAMES_AT_ONCE = 1024


@dataclass(frozen=True)
class Lids:
    """M vertices of skin in front of eyeballs. vertices (M,): of the mesh; place (M,3): at rest; centre (M,3) and
    radius (M,): of the ball behind each; kept (M,): distance in front of it, all in canonical mm; frame: from
    canonical mm to the mesh."""

    vertices: np.ndarray
    place: np.ndarray
    centre: np.ndarray
    radius: np.ndarray
    kept: np.ndarray
    frame: Similarity

    def clearance(self, displacement: np.ndarray) -> np.ndarray:
        """(T,M) mm in front of the ball, negative inside; displacement (T,M,3) of `vertices`, mesh units."""
        moved = self.place + self.frame.vectors_to_canonical(displacement)
        return moved[..., 2] - _surface(moved, self.centre, self.radius)

    def amount(self, displacement: np.ndarray) -> np.ndarray:
        """(T,M) mm by which each vertex is to be brought forward; displacement (T,M,3) of `vertices`, mesh units."""
        return np.clip(self.kept - self.clearance(displacement), 0, LARGEST)

    @property
    def forward(self) -> np.ndarray:
        """(3,) one millimetre out of the face, mesh units."""
        return self.frame.vectors_to_mesh(np.array([0.0, 0.0, 1.0]))

    def corrected(self, displacement: np.ndarray) -> np.ndarray:
        """(T,V,3) the motion with lids that stay in front of the ball; displacement (T,V,3), mesh units."""
        amount = self.amount(displacement[:, self.vertices])
        if not amount.any():
            return displacement
        answer = displacement.copy()
        answer[:, self.vertices] += (amount[..., None] * self.forward).astype(answer.dtype)
        return answer


def of_balls(
    skin: np.ndarray, used: np.ndarray, balls: list[tuple[np.ndarray, float]], frame: Similarity
) -> Lids | None:
    """The lids of some balls; None where none has skin in front of it.

    skin (V,3): vertices of the skin, mesh units; used (k,): those that the skin's surface has; balls: centre (3,) and
    radius, canonical mm; frame: from canonical mm to the mesh.
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
    return Lids(used[rows], points[rows], centres, radii, kept, frame) if len(rows) else None


def _surface(points: np.ndarray, centre: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
    """(...) z of the ball's front at x and y of points (...,3), mm; a cone goes on around it."""
    share = np.linalg.norm((points - centre)[..., :2], axis=-1) / radius
    inner = np.minimum(share, _CONE)
    return centre[..., 2] + radius * (np.sqrt(1 - inner**2) - (share - inner) * _CONE / np.sqrt(1 - _CONE**2))


def met(keys: ShapeKeys, lids: Lids, tolerance: float) -> ShapeKeys:
    """Shape keys with a few more that keep the lids off the balls.

    keys.shapes (K,V,3) for the vertices `lids` was made for; tolerance: largest error of what is added, mesh units. The
    error told is that of `keys`: room for this one is left in it where lips meet, and lids are no lips.
    """
    shapes = keys.shapes[:, lids.vertices]
    starts = range(0, len(keys.weights), _FRAMES_AT_ONCE)
    blocks = [np.tensordot(keys.weights[start : start + _FRAMES_AT_ONCE], shapes, 1) for start in starts]
    amount = np.concatenate([lids.amount(block) for block in blocks] or [np.zeros((0, 1))])
    size = float(np.linalg.norm(lids.forward))
    busy = np.flatnonzero(amount.max(1, initial=0) * size > tolerance / 2)
    if not len(busy):
        return keys
    added = compress(amount[busy, :, None] * lids.forward, tolerance)
    weights = np.zeros((len(keys.weights), len(added.shapes)), np.float32)
    weights[busy] = added.weights
    return with_more(keys, lids.vertices, added.shapes, weights, keys.max_error + max(added.max_error, tolerance / 2))
