"""The skin of a cut mouth's lips over each other, wherever it has slid to.

Along a cut the two rims meet, but lips slide: skin in front of one rim comes to lie over skin of the other lip, and a
crease that a scanner folded lies in it at rest. Points of each lip are looked for on the other lip's triangles: under
each, seen from above, one of those near the coarse vertex that is nearest to it.

A correction raises and lowers points and moves none of them aside. So a point stays over its triangle, and what holds
the lips apart is found in several looks at heights alone (`Slid.over`, then `Crossing.at`). Frames come last here, so
that one vertex's heights lie side by side.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from .facing import Facing
from .ramp import smooth_step

#: How deep skin that has slid is let into the other lip (mm): what holds one fold apart would else part its neighbours.
_GIVE = 0.09
#: Skin in front of a rim follows it in part: what is left of a crossing is pushed apart by so much more.
_EAGER = 1.75
#: From the first to the second distance in front of the other rim (mm) a point counts more and more as over its skin:
#: beside the rim it does, since rims that have slid along each other meet no longer where they slope.
_AHEAD = (-0.15, 0.05)
#: One vertex of that rim in so many mm stands for its neighbours; how many are looked at for each point; scale (mm) of
#: their shares.
_ALONG, _BESIDE, _RIM = 1.0, 9, 0.7
#: A lip may climb so far (mm) from the coarse vertex that is nearest to a point to below the point.
_CLIMB = 1.0
#: Triangles looked at around that vertex. Those whose area seen from above is less than this share of it are too steep
#: to lie on; outside of all the others, by this share of a triangle, a point no longer counts.
_TRIANGLES, _STEEP, _BEYOND = 24, 0.2, 0.25


@dataclass(frozen=True)
class Slid:
    """Points of one lip of a cut mouth over the other lip's skin, by the place on the rims that each lies beside.

    corners (3,L,N): the other lip's triangles near each coarse vertex that may come to lie under a point, rows of the
    facing's vertices; level (L,N): twice the area, seen from above, from which each is one to lie on, mm². place (P,):
    each point's place; beside (W,P): which of the other rim's vertices, the facing's last ones, lie near it in their
    order; allowed (P,): how deep it may lie in the other lip, mm: as deep as it does at rest when drawn apart.
    """

    facing: Facing
    corners: np.ndarray
    level: np.ndarray
    place: np.ndarray
    beside: np.ndarray
    allowed: np.ndarray

    def over(self, place: np.ndarray, drawn: np.ndarray) -> "Crossing":
        """What may lie in the other lip; place (3,N,T) of the facing's vertices, with each of the rims' R places drawn
        apart by drawn (R,T) mm."""
        reach = drawn[self.place] - self.allowed[:, None]
        point, frame = np.nonzero(self.facing.within(place[1], reach))
        plan = place[0] + 1j * place[2]
        # Behind the other rim there is no skin to lie in.
        counts = np.clip((self.ahead(plan, point, frame) - _AHEAD[0]) / (_AHEAD[1] - _AHEAD[0]), 0, 1)
        near = np.flatnonzero(counts > 0)
        # The entries of one place in one frame side by side.
        near = near[np.argsort(self.place[point[near]] * plan.shape[1] + frame[near], kind="stable")]
        point, frame, counts = point[near], frame[near], counts[near]
        nearest = self._nearest(plan, point, frame)
        height = self.facing.upright * (place[1, self.facing.upper[point], frame] - place[1, nearest, frame])
        near = np.flatnonzero(height < reach[point, frame] + _CLIMB)
        return self._crossing(plan, point[near], frame[near], counts[near], nearest[near])

    def _nearest(self, plan: np.ndarray, point: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """(n,) the coarse vertex that is nearest to each point (n,) in its frame (n,); plan (N,T): x + iz."""
        where = np.take(self.facing.under, point, 1)
        where *= plan.shape[1]
        where += frame
        offset = np.take(plan, where)
        offset -= plan[self.facing.upper[point], frame]
        distance = offset.real**2
        distance += offset.imag**2
        return where[distance.argmin(0), np.arange(len(point))] // plan.shape[1]

    def _triangles(
        self, plan: np.ndarray, point: np.ndarray, frame: np.ndarray, nearest: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What points (n,) in frames (n,) lie over, near coarse vertices (n,): (3,n) corners, (3,n) the share of each
        in the point, and (n,) the least share, at most 0: by how much of its triangle a point lies outside of it."""
        frames, nearest = plan.shape[1], nearest - len(self.facing.upper)
        where = np.take(self.corners, nearest, 2)
        where *= frames
        where += frame
        offset = np.take(plan, where)
        offset -= plan[self.facing.upper[point], frame]
        x, z = offset.real, offset.imag
        # Twice the area of the triangles that the point makes with each side, seen from above.
        share = np.empty(x.shape, np.float32)
        for k in range(3):
            np.multiply(z[k - 2], x[k - 1], out=share[k])
            share[k] -= x[k - 2] * z[k - 1]
        share *= self.facing.upright
        total, level = share.sum(0), np.take(self.level, nearest, 1)
        steep = total < level
        np.maximum(total, level, out=total)
        inside = np.minimum(share.min(0), 0)
        inside /= total
        inside[steep] = -np.inf
        best = inside.argmax(0), np.arange(len(point))
        corner = (slice(None), *best)
        return where[corner] // frames, share[corner] / total[best], inside[best]

    def _crossing(
        self, plan: np.ndarray, point: np.ndarray, frame: np.ndarray, counts: np.ndarray, nearest: np.ndarray
    ) -> "Crossing":
        """What points (n,) in frames (n,) lie over, near coarse vertices (n,); counts (n,): how much each does."""
        frames, upper = plan.shape[1], self.facing.upper
        below, share, inside = self._triangles(plan, point, frame, nearest)
        needed = np.zeros(len(plan), bool)
        needed[upper[point]] = needed[below] = True
        row = np.cumsum(needed) - 1
        key = self.place[point] * frames + frame
        return Crossing(
            rows=np.flatnonzero(needed),
            own=row[upper[point]] * frames + frame,
            below=row[below] * frames + frame,
            share=self.facing.upright * share,
            upright=self.facing.upright,
            allowed=self.allowed[point],
            counts=(counts * (1 - smooth_step(-inside / _BEYOND))).astype(np.float32),
            key=key,
            starts=np.flatnonzero(np.diff(key, prepend=-1)),
        )

    def ahead(self, plan: np.ndarray, point: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """(n,) mm by which points (n,) in frames (n,) lie in front of the other rim, seen from above, wherever along it
        they have slid to; plan (N,T): x + iz of the facing's vertices."""
        frames, count = plan.shape[1], self.beside.max() + 1
        rim = plan[-count:]
        out = np.gradient(rim, axis=0) * 1j
        out /= np.maximum(np.abs(out), np.float32(1e-6))
        beside = np.take(self.beside, point, 1)
        beside *= frames
        beside += frame
        offset = np.take(rim, beside)
        offset -= plan[self.facing.upper[point], frame]
        near = offset.real**2
        near += offset.imag**2
        near -= near.min(0)
        np.exp(near * np.float32(-1 / _RIM**2), out=near)
        offset *= np.take(out, beside).conj()
        return -np.einsum("kn,kn->n", near, offset.real) / near.sum(0)

    def allowing(self, place: np.ndarray) -> "Slid":
        """The same, for lips that may lie in each other as they do in one frame, place (3,N,1)."""
        point = np.arange(len(self.place))
        frame = np.zeros_like(point)
        plan = place[0] + 1j * place[2]
        crossing = self._crossing(plan, point, frame, np.ones(len(point)), self._nearest(plan, point, frame))
        gap = crossing.gap(place[1, crossing.rows])
        return replace(self, allowed=np.maximum(-gap * (crossing.counts > 0), np.float32(_GIVE)))


@dataclass(frozen=True)
class Crossing:
    """How far points of one lip lie in the other lip's skin, as long as nothing moves aside: n points in frames.

    rows (m,): which of the facing's vertices tell; own (n,) and below (3,n): places of a point and of the corners of
    what lies below it in heights (m,T); share (3,n): of each in the height there, turned over with upright; allowed
    (n,): see Slid; counts (n,) in [0,1]: how much each point does; key (n,): where it counts among the rims' places
    (R,T); starts (k,): where each of these begins.
    """

    rows: np.ndarray
    own: np.ndarray
    below: np.ndarray
    share: np.ndarray
    upright: int
    allowed: np.ndarray
    counts: np.ndarray
    key: np.ndarray
    starts: np.ndarray

    def gap(self, height: np.ndarray) -> np.ndarray:
        """(n,) mm of each point over the other lip; height (m,T) of `rows`."""
        return self.upright * np.take(height, self.own) - np.einsum("kn,kn->n", self.share, np.take(height, self.below))

    def at(self, height: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """(R,T) mm by which the lips would cross at each of the rims' R places if they were not drawn apart by `drawn`
        (R,T) there; height (m,T) of `rows`, with what draws them apart."""
        found = np.zeros(drawn.shape, np.float32)
        if len(self.key):
            deep = -self.gap(height)
            deep -= self.allowed
            deep *= np.where(deep > 0, np.float32(_EAGER), 1)
            deep += np.take(drawn, self.key)
            deep *= self.counts
            found.reshape(-1)[self.key[self.starts]] = np.maximum(np.maximum.reduceat(deep, self.starts), 0)
        return found


def over_rim(facing: Facing, corners: np.ndarray, own: np.ndarray, other: np.ndarray, place: np.ndarray) -> Slid:
    """Points of one lip over the other one's skin, nowhere allowed to lie in it.

    corners (F,3): the other lip's triangles; own, other (R,): vertices of the points' rim and of the other one; place
    (M,3): of all vertices, canonical mm.
    """
    owner = cKDTree(place[own]).query(facing.rest[facing.upper])[1]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(place[other], axis=0), axis=1))])
    few = np.unique(np.rint(length / _ALONG), return_index=True)[1]
    count = min(_BESIDE, len(few))
    first = np.searchsorted(length[few], length[owner]) - count // 2
    beside = np.clip(first, 0, len(few) - count) + np.arange(count)[:, None]
    first, second, third = place[corners.T]
    normal = np.cross(second - first, third - first)
    to_lie_on = facing.upright * normal[:, 1] > 0
    corners = corners[to_lie_on]
    level = (_STEEP * np.linalg.norm(normal[to_lie_on], axis=1)).astype(np.float32)
    coarse = facing.rest[len(facing.upper) :]
    around = cKDTree(place[corners].mean(1)).query(coarse, np.arange(1, min(_TRIANGLES, len(corners)) + 1))[1].T
    used, corners = np.unique(corners, return_inverse=True)
    corners = np.ascontiguousarray(np.moveaxis(len(facing.vertices) + corners.reshape(-1, 3)[around], 2, 0))
    vertices = np.concatenate([facing.vertices, used, other[few]])
    facing = replace(facing, vertices=vertices, rest=place[vertices])
    allowed = np.full(len(owner), _GIVE, np.float32)
    return Slid(facing, corners, level[around], owner, beside, allowed)
