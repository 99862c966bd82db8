"""What lies between the lids of open eyes that are one skin with their balls, as scanners leave them.

A blink squeezes that skin to nothing, and interpolated motion lets it fold and come to the front as rags. Here it keeps
its order instead: as far between the moved edges as it is between them at rest, and a little deeper the less room they
leave, like a pleat. At rest nothing moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .frame import Similarity
from .lids import LOWER_EDGE, UPPER_EDGE, edge
from .ramp import smooth_step

#: Share of an eye's opening that is closed where skin begins to keep its order, and where it does so wholly.
BEGIN, WHOLE = 0.2, 0.7
#: The pleat in the middle of shut lids (mm).
PLEAT = 0.75
#: The eye is no lower than this where it is held (mm).
_LEAST = 0.5
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

    def correction(self, displacement: np.ndarray) -> np.ndarray:
        """(T,M,3) what keeps the skin in order; displacement (T,M,3) of `vertices`, mesh units."""
        motion = self.frame.vectors_to_canonical(displacement)
        over, under = self.above @ motion[:, self.marks[UPPER_EDGE]], self.below @ motion[:, self.marks[LOWER_EDGE]]
        left = np.maximum(self.opening + over[..., 1] - under[..., 1], 0)
        share = self.height / self.opening
        between = under + share[:, None] * (over - under)
        between[..., 1] = under[..., 1] + share * left - self.height
        held = smooth_step((1 - left / self.opening - BEGIN) / (WHOLE - BEGIN))
        change = np.zeros_like(motion)
        change[:, self.inside] = held[..., None] * (between - motion[:, self.inside])
        change[:, self.inside, 2] -= PLEAT * held * np.sqrt(4 * share * (1 - share))
        return self.frame.vectors_to_mesh(change)


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
