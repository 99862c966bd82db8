"""What lies below a point of the upper lip, wherever the lips have slid to.

Lips slide over each other by millimetres: pursed lips roll out, the jaw pulls the lower one back. A point of the upper
lip is therefore measured against the part of the lower one that lies below it now, not against what did at rest: a
plane through the lower lip's vertices near it, each counted by its distance in plan (moving least squares; Lancaster &
Salkauskas 1981, Mathematics of Computation 37), so that the gap is a smooth function of the motion.

A correction raises and lowers points and moves none of them aside. So a plane's height is the same sum of heights
before it and after: that sum is worked out once (`Facing.over`), for points that may touch at all. Frames come last
here, so that one vertex's heights lie side by side.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from ..ramp import smooth_step

#: On fine meshes one vertex of the lower lip in so many mm stands for its neighbours; scale of the planes' fit (mm).
_SCALE = 1.0
#: How far along the mouth and in depth a vertex may lie to come under a point (mm).
_REACH = (2.0, 5.0)
#: Width of a column of points (mm).
_COLUMN = 1.5
#: Mean square distance (mm²) from the middle of a plane's fit below which it is held level.
_LEVEL = 0.05
#: Lips face each other where the nearest vertex of the lower one counts for more than this.
_BELOW = 0.3
#: Exponent of what counts for nothing: below it, numbers become so small that a processor is slow with them.
NOTHING = -30.0
#: A plane may rise so far above the highest vertex that it goes through (mm), where it counts.
_RISE = 0.5
#: Distance of points from what was not looked at, since it lies far away (mm).
FAR = 1e3


@dataclass(frozen=True)
class Columns:
    """P points in columns from right to left, since several lie behind each other.

    order (P,): of the points; starts (C,): where each column begins in it; blend (P,C): from values of the columns to
    the points, linear between their middles.
    """

    order: np.ndarray
    starts: np.ndarray
    blend: np.ndarray

    def least(self, values: np.ndarray) -> np.ndarray:
        """(P,T) the least of values (P,T) in and beside each point's column."""
        lowest = np.minimum.reduceat(values[self.order], self.starts, axis=0)
        wide = np.pad(lowest, ((1, 1), (0, 0)), mode="edge")
        return self.blend @ np.minimum(np.minimum(wide[:-2], wide[2:]), lowest)


@dataclass(frozen=True)
class Facing:
    """P points of the upper lip over the lower one.

    vertices (n,): of the mesh, that follow; shares (N,n) sparse: points of the lips by them, those of the upper lip
    first, and their columns. below (P,K): those that may come to lie under each; known (P,K): which of them are any.
    """

    vertices: np.ndarray
    shares: sparse.csr_matrix
    columns: Columns
    below: np.ndarray
    known: np.ndarray

    @cached_property
    def under(self) -> np.ndarray:
        """(K,P) `below`, with those that are not any made the first one."""
        return np.ascontiguousarray(np.where(self.known, self.below, self.below[:, :1]).T)

    def within(self, height: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """(P,T) which points may lie less than `reach` (P or 1,T or 1) mm over the other lip; height (N,T) mm."""
        highest = np.take(height, self.under, 0).max(0)
        return (height[: len(self.below)] - highest < reach + _RISE) & self.known.any(1)[:, None]

    def over(self, place: np.ndarray, where: np.ndarray) -> "Over":
        """The planes under some points (P,T) bool; place (3,N,T)."""
        point, frame = np.nonzero(where)
        frames = where.shape[1]
        own = point * frames + frame
        below = np.take(self.under * frames, point, 1)
        below += frame
        x, z = (np.take(axis, below) for axis in (place[0], place[2]))
        x -= np.take(place[0], own)
        z -= np.take(place[2], own)
        weight = x * x
        weight += z * z
        weight *= np.float32(-1 / _SCALE**2)
        np.exp(np.maximum(weight, np.float32(NOTHING), out=weight), out=weight)
        weight *= np.take(self.known.T, point, 1)
        near = smooth_step(weight.max(0, initial=0) / _BELOW)
        # Moments of the points below about the point above; the plane's height there is a sum of their heights.
        total = weight.sum(0) + np.float32(1e-9)
        wx, wz = weight * x, weight * z
        mx, mz = wx.sum(0) / total, wz.sum(0) / total
        xx, zz = _product(wx, x) / total - mx * mx + _LEVEL, _product(wz, z) / total - mz * mz + _LEVEL
        xz = _product(wx, z) / total - mx * mz
        size = (xx * zz - xz * xz) * total
        aside, deep = (zz * mx - xz * mz) / size, (xx * mz - xz * mx) / size
        weight *= 1 / total + aside * mx + deep * mz
        wx *= aside
        wz *= deep
        weight -= wx
        weight -= wz
        return Over(where, near, own, below, weight)

    def gap(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P,T) mm of each point over the other lip, negative where they cross, and (P,T) in [0,1]: how surely that
        lies under it; place (3,N,T)."""
        over = self.over(place, np.ones((len(self.below), place.shape[2]), bool))
        return over.gap(place[1]), over.spread(over.near)


@dataclass(frozen=True)
class Over:
    """Planes under n points, as long as nothing moves aside.

    where (P,T): which points in which frames; near (n,) in [0,1]: how surely the other lip lies under each; own (n,)
    and below (K,n): places of a point and of what lies below it in heights (N,T); share (K,n): of each in the plane.
    """

    where: np.ndarray
    near: np.ndarray
    own: np.ndarray
    below: np.ndarray
    share: np.ndarray

    def gap(self, height: np.ndarray) -> np.ndarray:
        """(P,T) mm of each point over the other lip, FAR where none was looked at; height (N,T)."""
        gap = np.take(height, self.own) - _product(self.share, np.take(height, self.below))
        return self.spread(gap, FAR)

    def spread(self, values: np.ndarray, empty: float = 0.0) -> np.ndarray:
        """(P,T) of values (n,)."""
        found = np.full(self.where.shape, empty, np.float32)
        found[self.where] = values
        return found


def _product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n,) sums over the first axis of first * second (K,n)."""
    return np.einsum("kn,kn->n", first, second)


def of_lips(upper: sparse.csr_matrix, lower: sparse.csr_matrix, shut: np.ndarray) -> Facing:
    """Points of the upper lip, upper (P,M), over points of the lower one, lower (L,M), of which on fine meshes one in
    _SCALE mm stands for its neighbours; both as shares of the M vertices. shut (M,3): these where the mouth is shut,
    canonical mm."""
    lower = lower[thinned(lower @ shut, _SCALE)]
    above = upper @ shut
    offset = (lower @ shut)[None] - above[:, None]
    inside = (np.abs(offset[..., 0]) < _REACH[0]) & (np.abs(offset[..., 2]) < _REACH[1])
    order = np.argsort(~inside, axis=1, kind="stable")[:, : max(inside.sum(1).max(initial=0), 1)]
    below, known = upper.shape[0] + order, np.take_along_axis(inside, order, 1)
    shares = sparse.vstack([upper, lower], "csr").astype(np.float32)
    used = np.unique(shares.indices)
    return Facing(used, shares[:, used], columns(above[:, 0]), below, known)


def columns(x: np.ndarray) -> Columns:
    """Points at x (P,), mm, in columns of _COLUMN."""
    number = np.floor((x - x.min()) / _COLUMN).astype(int)
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    middle = np.add.reduceat(x[order], starts) / np.diff(np.append(starts, len(x)))
    blend = np.stack([np.interp(x, middle, row) for row in np.identity(len(middle))], 1)
    return Columns(order, starts, blend.astype(np.float32))


def thinned(points: np.ndarray, step: float) -> np.ndarray:
    """Rows of the highest points (n,3) in each square of `step`, seen from above."""
    down = np.argsort(-points[:, 1], kind="stable")
    return down[np.unique(np.rint(points[down][:, [0, 2]] / step), axis=0, return_index=True)[1]]
