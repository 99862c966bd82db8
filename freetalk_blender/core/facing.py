"""What lies below a point of the upper lip, or above one of the lower, wherever the lips have slid to.

Lips slide over each other by millimetres: pursed lips roll out, the jaw pulls the lower one back. A point of the upper
lip is therefore measured against the part of the lower one that lies below it now, not against what did at rest: a
plane through the lower lip's vertices near it, each counted by its distance in plan (moving least squares; Lancaster &
Salkauskas 1981, Mathematics of Computation 37), so that the gap is a smooth function of the motion.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from .ramp import smooth_step

#: Scale of the plane's fit (mm), and the mean square distance (mm²) from its middle below which it is held level.
_SCALE, _LEVEL = 1.0, 0.05
#: Lips face each other where the nearest vertex of the lower one counts for more than this.
_BELOW = 0.3
#: How far aside and in depth a vertex of the lower lip may lie to come under a point (mm).
_ASIDE, _DEEP = 2.0, 5.0
#: On fine meshes one vertex in so many mm stands for its neighbours.
_APART = 1.0
#: How deep skin that has slid is let into the other lip, since planes are not quite the surface (mm).
_GIVE = 0.03
#: So far in front of the other rim a point may lie on its skin (mm).
_AHEAD = 0.4
_FRAMES_AT_ONCE = 32


@dataclass(frozen=True)
class Facing:
    """P points of one lip over the other one, "upper" and "below" being the other way round for the lower lip's points.

    vertices (N,): of the mesh, that follow. place (N,3): they at rest, canonical mm. upper (P,): the points among them.
    below (P,K): those that may come to lie under each; known (P,K): which of them are any. upright: 1 for points of the
    upper lip, -1 for the lower one's.
    """

    vertices: np.ndarray
    place: np.ndarray
    upper: np.ndarray
    below: np.ndarray
    known: np.ndarray
    upright: int = 1

    def gap(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T,P) mm of each point over the lower lip, negative where they cross, and (T,P) in [0,1]: how surely the
        lower lip lies under it; displacement (T,N,3) of `vertices`, canonical mm."""
        gap = np.empty((len(displacement), len(self.upper)), np.float32)
        near = np.empty_like(gap)
        for start in range(0, len(gap), _FRAMES_AT_ONCE):
            block = slice(start, start + _FRAMES_AT_ONCE)
            gap[block], near[block] = self._of(displacement[block])
        return gap, near

    def _of(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved = np.ascontiguousarray((self.place + displacement).astype(np.float32).transpose(2, 0, 1))
        x, y, z = (np.take(axis, self.below, 1) for axis in moved)
        for near_by, axis in zip((x, y, z), moved, strict=True):
            near_by -= axis[:, self.upper, None]
        weight = x * x
        weight += z * z
        weight *= np.float32(-1 / _SCALE**2)
        np.exp(weight, out=weight)
        weight *= self.known
        near = smooth_step(weight.max(2, initial=0) / _BELOW)

        # Sums of weight times 1, x, y, z and their products, over the points below.
        total = weight.sum(2) + np.float32(1e-9)
        wx, wz = weight * x, weight * z
        mx, my, mz = wx.sum(2) / total, _product(weight, y) / total, wz.sum(2) / total
        xx, zz = _product(wx, x) / total - mx * mx + _LEVEL, _product(wz, z) / total - mz * mz + _LEVEL
        xz, xy = _product(wx, z) / total - mx * mz, _product(wx, y) / total - mx * my
        zy = _product(wz, y) / total - mz * my
        aside, deep = xy * zz - zy * xz, zy * xx - xy * xz
        gap = (aside * mx + deep * mz) / (xx * zz - xz * xz) - my
        return self.upright * gap, near


def _product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(T,P) sums over the last axis of first * second (T,P,K)."""
    return np.einsum("tpk,tpk->tp", first, second)


def of_lips(upper: np.ndarray, lower: np.ndarray, shut: np.ndarray, place: np.ndarray, upright: int = 1) -> Facing:
    """Points of the upper lip, upper (P,), over vertices of the lower one, lower (L,); upright: see Facing.

    shut (M,3): all vertices where the mouth is shut, place (M,3): at rest; canonical mm.
    """
    lower = lower[thinned(upright * shut[lower], _APART)]
    offset = shut[lower][None] - shut[upper][:, None]
    inside = (np.abs(offset[..., 0]) < _ASIDE) & (np.abs(offset[..., 2]) < _DEEP)
    order = np.argsort(~inside, axis=1, kind="stable")[:, : inside.sum(1).max()]
    vertices = np.concatenate([upper, lower])
    below, known = len(upper) + order, np.take_along_axis(inside, order, 1)
    return Facing(vertices, place[vertices], np.arange(len(upper)), below, known, upright)


def thinned(points: np.ndarray, step: float) -> np.ndarray:
    """Rows of the highest points (n,3) in each square of `step`, seen from above."""
    down = np.argsort(-points[:, 1], kind="stable")
    return down[np.unique(np.rint(points[down][:, [0, 2]] / step), axis=0, return_index=True)[1]]


@dataclass(frozen=True)
class Slid:
    """Points of one lip of a cut mouth over the other lip's skin, by the place on the rims that each lies beside.

    place (P,): each point's; behind (P,): vertex of the other rim there, among the facing's; allowed (P,): how deep it
    may lie in the other lip, mm: as deep as it does at rest when drawn apart, and a little; order (P,): the points by
    their place; rim (R,): places that have any; starts (R,): where each begins in order.
    """

    facing: Facing
    place: np.ndarray
    behind: np.ndarray
    allowed: np.ndarray
    order: np.ndarray
    rim: np.ndarray
    starts: np.ndarray

    def crossing(self, displacement: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """(T,R) mm by which the lips would cross at each of the rim's R places if they were not drawn apart by
        `drawn` (T,R) there; displacement as in Facing.gap, with what draws them apart."""
        gap, near = self.facing.gap(displacement)
        deep = np.maximum(drawn[:, self.place] - gap - self.allowed, 0) * near
        # Behind the other rim there is no skin to lie in; beside it the rims themselves meet.
        ahead = (self.facing.place[:, 2] + displacement[..., 2])[:, np.stack([self.facing.upper, self.behind])]
        deep *= np.clip((ahead[:, 0] - ahead[:, 1]) / _AHEAD, 0, 1)
        found = np.zeros(drawn.shape, np.float32)
        if len(self.rim):
            found[:, self.rim] = np.maximum.reduceat(deep[:, self.order], self.starts, axis=1)
        return found

    def allowing(self, displacement: np.ndarray) -> "Slid":
        """The same, for lips that may lie in each other as they do in one frame (1,N,3)."""
        gap, near = (rows[0] for rows in self.facing.gap(displacement))
        return replace(self, allowed=np.maximum(-gap * (near > 0), 0) + _GIVE)


def over_rim(facing: Facing, own: np.ndarray, other: np.ndarray, place: np.ndarray) -> Slid:
    """Points of one lip over the other one's skin, nowhere allowed to lie in it.

    own, other (R,): vertices of the points' rim and of the other one; place (M,3): of all vertices, canonical mm.
    """
    owner = cKDTree(place[own]).query(facing.place[facing.upper])[1]
    behind = len(facing.vertices) + owner
    vertices = np.concatenate([facing.vertices, other])
    facing = replace(facing, vertices=vertices, place=place[vertices])
    order = np.argsort(owner, kind="stable")
    places, starts = np.unique(owner[order], return_index=True)
    return Slid(facing, owner, behind, np.full(len(owner), _GIVE), order, places, starts)
