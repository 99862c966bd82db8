"""What lies between the lids of open eyes that are one skin with their balls, as scanners leave them.

A blink squeezes that skin, iris and all, and interpolated motion lets it fold and come to the front as rags. Here it
stays where it is, as a ball does, until the edge of a lid comes over it and pushes it along: what the lid covers is
gathered under its edge. The nearer the eye is to shut, the more evenly it is squeezed, in order and a little deeper,
like a pleat; in eyes torn open it stretches. At rest nothing moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..frame import Similarity
from ..ramp import smooth_step
from .lids import LOWER_EDGE, UPPER_EDGE, edge

#: It stays as far as it can in eyes that are open by this share of what they are at rest or more, and less in eyes that
#: are nearer to shut, or wider open, up to the second share.
OPEN, WIDE = 0.5, 1.5
#: How sharply skin that is pushed ends at skin that stays: the power of a smooth minimum.
SHARP = 5.0
#: The pleat in the middle of shut lids (mm).
PLEAT = 0.75
#: The eye is no lower than this where it is held, and what is divided by is no smaller (mm).
_LEAST, _TINY = 0.5, 1e-3
#: Skin further than this behind the lids, or in front of them, is not between them (mm).
_OFF = 8.0
#: What is looked at around the middle of an eye, to all sides (mm).
_NEAR = 30.0


@dataclass(frozen=True)
class Front:
    """The skin between the lids of one eye, and the landmarks of its lids.

    vertices (M,): of the mesh, both; inside (E,), marks (6,): which of these are the skin, which the landmarks; above,
    below (E,4): shares of the landmarks of the upper and of the lower edge over and under a vertex of the skin; height
    (E,): mm over the lower edge; opening (E,): mm between the edges; frame: from canonical mm to the mesh.
    """

    vertices: np.ndarray
    inside: np.ndarray
    marks: np.ndarray
    above: np.ndarray
    below: np.ndarray
    height: np.ndarray
    opening: np.ndarray
    frame: Similarity

    def correction(self, displacement: np.ndarray, _: np.ndarray) -> np.ndarray:
        """(T,M,3) what holds the skin; displacement (T,M,3) of `vertices`, mesh units."""
        motion = self.frame.vectors_to_canonical(displacement)
        over, under = self.above @ motion[:, self.marks[UPPER_EDGE]], self.below @ motion[:, self.marks[LOWER_EDGE]]
        room = np.maximum(self.opening + over[..., 1] - under[..., 1], 0)
        open_by = room / self.opening
        still = smooth_step(open_by / OPEN) * smooth_step((WIDE - open_by) / (WIDE - 1))
        wanted = (1 - still[..., None]) * self._even(over, under, room)
        wanted[..., 1] += still * self._pushed(under[..., 1], room)
        change = np.zeros_like(motion)
        change[:, self.inside] = wanted - motion[:, self.inside]
        return self.frame.vectors_to_mesh(change)

    def _pushed(self, under: np.ndarray, room: np.ndarray) -> np.ndarray:
        """(T,E) mm upwards of skin that only the edges push, of which the lower one moves by under (T,E) mm upwards and
        leaves `room` (T,E) beneath the other."""
        top = np.maximum(under + room, 0)
        down = _drop(self.height, self.opening, top)
        return _drop(np.maximum(top - self.height + down, 0), top, room) - down

    def _even(self, over: np.ndarray, under: np.ndarray, room: np.ndarray) -> np.ndarray:
        """(T,E,3) mm of skin that is evenly squeezed, and pleated, or stretched, as its edges go by over and under."""
        share = self.height / self.opening
        motion = under + share[:, None] * (over - under)
        motion[..., 1] = under[..., 1] + share * room - self.height
        motion[..., 2] -= PLEAT * np.sqrt(4 * share * (1 - share)) * np.clip(1 - room / self.opening, 0, 1)
        return motion


def of_eyes(skin: np.ndarray, used: np.ndarray, eyes: Sequence[np.ndarray], frame: Similarity) -> tuple[Front, ...]:
    """The fronts of eyes that are one skin with their lids.

    skin (V,3): vertices, mesh units; used (k,): those that its surface has; eyes: landmarks (6,3) of the lids of each,
    canonical mm; frame: from canonical mm to the mesh.
    """
    if not eyes:
        return ()
    points = frame.to_canonical(skin[used].astype(float))
    found = []
    for lids in eyes:
        near = np.flatnonzero((np.abs(points - lids.mean(0)) < _NEAR).all(1))
        found.append(_front(points[near], used[near], lids, frame) if len(near) else None)
    return tuple(one for one in found if one is not None)


def _front(points: np.ndarray, used: np.ndarray, lids: np.ndarray, frame: Similarity) -> Front | None:
    """points (k,3), mm, of vertices `used`; lids (6,3): landmarks of one eye."""
    above, top = edge(points, lids[UPPER_EDGE])
    below, bottom = edge(points, lids[LOWER_EDGE])
    corners = np.sort(lids[[0, 3], 0])
    high = points[:, 1]
    inside = (high > bottom) & (high < top) & (points[:, 0] > corners[0]) & (points[:, 0] < corners[1])
    inside &= (top - bottom > _LEAST) & (np.abs(points[:, 2] - lids[:, 2].mean()) < _OFF)
    rows = np.flatnonzero(inside)
    if not len(rows):
        return None
    nearest = np.linalg.norm(points[:, None] - lids, axis=2).argmin(0)
    both, place = np.unique(np.concatenate([rows, nearest]), return_inverse=True)
    skin, marks = place[:-6], place[-6:]
    opening, height = (top - bottom)[rows], (high - bottom)[rows]
    return Front(used[both], skin, marks, above[rows], below[rows], height, opening, frame)


def _drop(height: np.ndarray, opening: np.ndarray, room: np.ndarray) -> np.ndarray:
    """(T,E) mm by which skin `height` over one edge is pushed down, once the other edge went from `opening` to `room`.

    What is left of its height is a smooth minimum of height and room: room for skin at the other edge itself, and the
    height as it is where that stays. All mm, height from 0 to opening.
    """
    close, far = height / np.maximum(room, _TINY), height / np.maximum(opening, _TINY)
    return height * (1 - (1 + (close**SHARP - far**SHARP)) ** (-1 / SHARP))
