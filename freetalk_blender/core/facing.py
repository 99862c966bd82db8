"""What lies below a point of the upper lip, or above one of the lower, wherever the lips have slid to.

Lips slide over each other by millimetres: pursed lips roll out, the jaw pulls the lower one back. A point of the upper
lip is therefore measured against the part of the lower one that lies below it now, not against what did at rest: a
plane through the lower lip's vertices near it, each counted by its distance in plan (moving least squares; Lancaster &
Salkauskas 1981, Mathematics of Computation 37), so that the gap is a smooth function of the motion.

A correction raises and lowers points and moves none of them aside. So a plane's height is the same sum of heights
before it and after: that sum is worked out once (`Facing.over`), for points that may touch at all. Frames come last
here, so that one vertex's heights lie side by side.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from .ramp import smooth_step

#: Mean square distance (mm²) from the middle of a plane's fit below which it is held level.
_LEVEL = 0.05
#: Lips face each other where the nearest vertex of the lower one counts for more than this.
_BELOW = 0.3
#: Exponent of what counts for nothing: below it, numbers become so small that a processor is slow with them.
_NOTHING = -30.0
#: How far in depth a vertex of the lower lip may lie to come under a point (mm).
_DEEP = 5.0
#: A plane may rise so far above the highest vertex that it goes through (mm), where it counts.
_RISE = 0.5
#: Distance of points from what was not looked at, since it lies far away (mm).
FAR = 1e3
#: How deep skin that has slid is let into the other lip, since planes are not quite the surface (mm).
_GIVE = 0.03
#: From the first to the second distance in front of the other rim (mm) a point counts more and more as over its skin:
#: beside the rim it does, since rims that have slid along each other meet no longer where they slope.
_AHEAD = (-0.15, 0.05)
#: One vertex of that rim in so many mm stands for its neighbours; how many are looked at for each point; scale (mm) of
#: their shares.
_ALONG, _BESIDE, _RIM = 1.0, 9, 0.7
#: At an edge of skin all of it lies to one side: from the first to the second mean distance aside (mm) a point counts
#: less and less as over it.
_EDGE = (0.4, 0.6)


@dataclass(frozen=True)
class Facing:
    """P points of one lip over the other one, "upper" and "below" being the other way round for the lower lip's points.

    vertices (N,): of the mesh, that follow. rest (N,3): they at rest, canonical mm. upper (P,): the points among them.
    below (P,K): those that may come to lie under each; known (P,K): which of them are any. upright: 1 for points of the
    upper lip, -1 for the lower one's. scale: of the planes' fit, mm.
    """

    vertices: np.ndarray
    rest: np.ndarray
    upper: np.ndarray
    below: np.ndarray
    known: np.ndarray
    upright: int = 1
    scale: float = 1.0

    @cached_property
    def _under(self) -> np.ndarray:
        """(K,P) `below`, with those that are not any made the first one."""
        return np.ascontiguousarray(np.where(self.known, self.below, self.below[:, :1]).T)

    def moved(self, displacement: np.ndarray) -> np.ndarray:
        """(3,N,T) places of `vertices`; displacement (3,N,T), canonical mm."""
        return self.rest.T[:, :, None].astype(np.float32) + displacement

    def within(self, height: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """(P,T) which points may lie less than `reach` (P or 1,T or 1) mm over the other lip; height (N,T) mm."""
        height = self.upright * height
        highest = np.take(height, self._under, 0).max(0)
        return (height[self.upper] - highest < reach + _RISE) & self.known.any(1)[:, None]

    def over(self, place: np.ndarray, where: np.ndarray) -> "Over":
        """The planes under some points (P,T) bool; place (3,N,T) of `vertices`."""
        point, frame = np.nonzero(where)
        frames = where.shape[1]
        own = self.upper[point] * frames + frame
        below = np.take(self._under * frames, point, 1)
        below += frame
        x, z = (np.take(axis, below) for axis in (place[0], place[2]))
        x -= np.take(place[0], own)
        z -= np.take(place[2], own)
        weight = x * x
        weight += z * z
        weight *= np.float32(-1 / self.scale**2)
        np.exp(np.maximum(weight, np.float32(_NOTHING), out=weight), out=weight)
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
        return Over(where, near, np.hypot(mx, mz), own, below, weight, self.upright)

    def gap(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P,T) mm of each point over the other lip, negative where they cross, and (P,T) in [0,1]: how surely that
        lies under it; place (3,N,T) of `vertices`."""
        over = self.over(place, np.ones((len(self.upper), place.shape[2]), bool))
        return over.gap(place[1]), over.spread(over.near)


@dataclass(frozen=True)
class Over:
    """Planes under n points, as long as nothing moves aside.

    where (P,T): which points in which frames; near (n,) in [0,1]: how surely the other lip lies under each; aside (n,)
    mm: from each to the middle of what lies below it, seen from above; own (n,) and below (K,n): places of a point and
    of what lies below it in heights (N,T); share (K,n): of each in the plane.
    """

    where: np.ndarray
    near: np.ndarray
    aside: np.ndarray
    own: np.ndarray
    below: np.ndarray
    share: np.ndarray
    upright: int

    def gap(self, height: np.ndarray) -> np.ndarray:
        """(P,T) mm of each point over the other lip, FAR where none was looked at; height (N,T)."""
        gap = np.take(height, self.own) - _product(self.share, np.take(height, self.below))
        return self.spread(self.upright * gap, FAR)

    def spread(self, values: np.ndarray, empty: float = 0.0) -> np.ndarray:
        """(P,T) of values (n,)."""
        found = np.full(self.where.shape, empty, np.float32)
        found[self.where] = values
        return found


def _product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n,) sums over the first axis of first * second (K,n)."""
    return np.einsum("kn,kn->n", first, second)


def of_lips(
    upper: np.ndarray,
    lower: np.ndarray,
    shut: np.ndarray,
    place: np.ndarray,
    upright: int = 1,
    scale: float = 1.0,
    aside: float = 2.0,
) -> Facing:
    """Points of the upper lip, upper (P,), over vertices of the lower one, lower (L,), of which on fine meshes one in
    `scale` mm stands for its neighbours; upright, scale: see Facing; aside: how far along the mouth a vertex may lie to
    come under a point, mm.

    shut (M,3): all vertices where the mouth is shut, place (M,3): at rest; canonical mm.
    """
    lower = lower[thinned(upright * shut[lower], scale)]
    offset = shut[lower][None] - shut[upper][:, None]
    inside = (np.abs(offset[..., 0]) < aside) & (np.abs(offset[..., 2]) < _DEEP)
    order = np.argsort(~inside, axis=1, kind="stable")[:, : max(inside.sum(1).max(initial=0), 1)]
    vertices = np.concatenate([upper, lower])
    below, known = len(upper) + order, np.take_along_axis(inside, order, 1)
    return Facing(vertices, place[vertices], np.arange(len(upper)), below, known, upright, scale)


def thinned(points: np.ndarray, step: float) -> np.ndarray:
    """Rows of the highest points (n,3) in each square of `step`, seen from above."""
    down = np.argsort(-points[:, 1], kind="stable")
    return down[np.unique(np.rint(points[down][:, [0, 2]] / step), axis=0, return_index=True)[1]]


@dataclass(frozen=True)
class Slid:
    """Points of one lip of a cut mouth over the other lip's skin, by the place on the rims that each lies beside.

    place (P,): each point's; beside (W,P): which of the other rim's vertices, the facing's last ones, lie near it in
    their order; allowed (P,): how deep it may lie in the other lip, mm: as deep as it does at rest when drawn apart,
    and a little; order (P,): the points by their place; rim (R,): places that have any; starts (R,): where each begins
    in order.
    """

    facing: Facing
    place: np.ndarray
    beside: np.ndarray
    allowed: np.ndarray
    order: np.ndarray
    rim: np.ndarray
    starts: np.ndarray

    def over(self, place: np.ndarray, drawn: np.ndarray) -> "Crossing":
        """What may lie in the other lip; place (3,N,T) of the facing's vertices, with each of the rims' R places drawn
        apart by drawn (R,T) mm."""
        # Behind the other rim there is no skin to lie in.
        ahead = np.clip((self.ahead(place) - np.float32(_AHEAD[0])) / np.float32(_AHEAD[1] - _AHEAD[0]), 0, 1)
        where = self.facing.within(place[1], drawn[self.place] - self.allowed[:, None]) & (ahead > 0)
        over = self.facing.over(place, where)
        inside = 1 - smooth_step((over.aside - _EDGE[0]) / (_EDGE[1] - _EDGE[0]))
        return Crossing(self, over, over.spread(over.near * inside) * ahead)

    def ahead(self, place: np.ndarray) -> np.ndarray:
        """(P,T) mm by which each point lies in front of the other rim, seen from above, wherever along it the point has
        slid to; place (3,N,T) of the facing's vertices."""
        rim = place[::2, -(self.beside.max() + 1) :]
        along = np.gradient(rim, axis=1)
        out = np.stack([-along[1], along[0]]) / np.maximum(np.hypot(*along), np.float32(1e-6))
        x, z = (np.take(axis, self.beside, 0) for axis in rim)
        x -= place[0][self.facing.upper]
        z -= place[2][self.facing.upper]
        near = x * x
        near += z * z
        near -= near.min(0)
        np.exp(near * np.float32(-1 / _RIM**2), out=near)
        x *= np.take(out[0], self.beside, 0)
        z *= np.take(out[1], self.beside, 0)
        x += z
        return -np.einsum("kpt,kpt->pt", near, x) / near.sum(0)

    def allowing(self, place: np.ndarray) -> "Slid":
        """The same, for lips that may lie in each other as they do in one frame, place (3,N,1)."""
        gap, near = (rows[:, 0] for rows in self.facing.gap(place))
        return replace(self, allowed=np.maximum(-gap * (near > 0), 0) + np.float32(_GIVE))


@dataclass(frozen=True)
class Crossing:
    """How far points of one lip lie in the other lip's skin, as long as nothing moves aside; counts (P,T) in [0,1]: how
    much each point does."""

    slid: Slid
    over: Over
    counts: np.ndarray

    def at(self, height: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """(R,T) mm by which the lips would cross at each of the rims' R places if they were not drawn apart by `drawn`
        (R,T) there; height (N,T) of the facing's vertices, with what draws them apart."""
        slid = self.slid
        deep = np.maximum(drawn[slid.place] - self.over.gap(height) - slid.allowed[:, None], 0) * self.counts
        found = np.zeros(drawn.shape, np.float32)
        if len(slid.rim):
            found[slid.rim] = np.maximum.reduceat(deep[slid.order], slid.starts, axis=0)
        return found


def over_rim(facing: Facing, own: np.ndarray, other: np.ndarray, place: np.ndarray) -> Slid:
    """Points of one lip over the other one's skin, nowhere allowed to lie in it.

    own, other (R,): vertices of the points' rim and of the other one; place (M,3): of all vertices, canonical mm.
    """
    owner = cKDTree(place[own]).query(facing.rest[facing.upper])[1]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(place[other], axis=0), axis=1))])
    few = np.unique(np.rint(length / _ALONG), return_index=True)[1]
    count = min(_BESIDE, len(few))
    first = np.searchsorted(length[few], length[owner]) - count // 2
    beside = np.clip(first, 0, len(few) - count) + np.arange(count)[:, None]
    vertices = np.concatenate([facing.vertices, other[few]])
    facing = replace(facing, vertices=vertices, rest=place[vertices])
    order = np.argsort(owner, kind="stable")
    places, starts = np.unique(owner[order], return_index=True)
    return Slid(facing, owner, beside, np.full(len(owner), _GIVE, np.float32), order, places, starts)
