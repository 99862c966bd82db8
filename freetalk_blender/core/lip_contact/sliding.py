"""The skin of a cut mouth's lips over each other, wherever it has slid to.

Along a cut the two rims meet, but lips slide: skin in front of one rim comes to lie over skin of the other lip, and a
crease that a scanner folded lies in it at rest. Points of each lip are looked for on the other lip's triangles: each
place below a point, seen from above, is taken back to where that skin was at rest, and a chart tells which triangles
lie around it there.

A correction raises and lowers points and moves none of them aside. So a point stays over its triangle, and what holds
the lips apart is found in several looks at heights alone (`Slid.over`, then `Crossing.at`). Frames come last here, so
that one vertex's heights lie side by side.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import maximum_filter1d
from scipy.spatial import cKDTree

from ..ramp import smooth_step
from .facing import NOTHING

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
#: Width (mm) of the strips across the mouth in which the highest skin is looked for, and how many lips slide over.
_STRIP, _SLIDE = 1.0, 5
#: Width of a chart's cells (mm), and how often a place is taken back to rest.
_CELL, _BACK = 0.25, 3
#: A lip may climb so far (mm) from the coarse vertex that is nearest to a point to below the point, and over the
#: highest one of a strip.
_CLIMB, _RISE = 1.0, 0.5
#: Triangles looked at around a cell, at first and where none of them lies below. Those whose area seen from above is
#: less than this share of it are too steep to lie on; outside of all the others, by this share of a triangle, a point
#: no longer counts.
_FIRST, _TRIANGLES, _STEEP, _BEYOND = 6, 16, 0.2, 0.25


@dataclass(frozen=True)
class Chart:
    """What of a lip at rest lies around each place, seen from above, in C square cells.

    start: the place (x + iz, mm) of the middle of the first cell; deep: cells of one x; nearest (C,): the coarse vertex
    nearest to each; corners (3,K,C): the triangles near it, the nearest first; level (K,C): twice the area, seen from
    above, from which each is one to lie on, mm².
    """

    start: complex
    deep: int
    nearest: np.ndarray
    corners: np.ndarray
    level: np.ndarray

    def cell(self, plan: np.ndarray) -> np.ndarray:
        """(n,) the cell of each place (n,), x + iz; of one outside of the chart, that nearest to it."""
        cell = plan - np.complex64(self.start)
        cell *= np.float32(1 / _CELL)
        row = np.rint(cell.real).clip(0, len(self.nearest) // self.deep - 1)
        row *= self.deep
        row += np.rint(cell.imag).clip(0, self.deep - 1)
        return row.astype(np.intp)


@dataclass(frozen=True)
class Slid:
    """P points of one lip of a cut mouth over the other lip's skin, by the place on the rims that each lies beside.

    rest (M,): the vertices of both lips at rest, x + iz in canonical mm. upright: 1 for points of the upper lip, -1 for
    the lower one's. points (P,): rows of vertices, and coarse (L,) of the other lip: some that tell what is near. strip
    (P,), strips (L,): which strip across the mouth points and coarse vertices lie in; the latter rise. chart: of the
    other lip. rim (S,): rows of its rim in their order; beside (W,P): which of these lie near each point. place (P,):
    each point's place; allowed (P,): how deep it may lie in the other lip, mm: as deep as it does at rest when drawn
    apart.
    """

    rest: np.ndarray
    upright: int
    points: np.ndarray
    coarse: np.ndarray
    strip: np.ndarray
    strips: np.ndarray
    chart: Chart
    rim: np.ndarray
    beside: np.ndarray
    place: np.ndarray
    allowed: np.ndarray

    def over(self, plan: np.ndarray, height: np.ndarray, drawn: np.ndarray) -> "Crossing":
        """What may lie in the other lip; plan (M,T): x + iz, height (M,T): y of the vertices, canonical mm, with each
        of the rims' R places drawn apart by drawn (R,T) mm."""
        reach = drawn[self.place] - self.allowed[:, None]
        point, frame = np.nonzero(self.within(height, reach))
        cell = self._cell(plan, point, frame)
        above = self.upright * (height[self.points[point], frame] - height[self.chart.nearest[cell], frame])
        near = np.flatnonzero(above < reach[point, frame] + _CLIMB)
        point, frame, cell = point[near], frame[near], cell[near]
        # Behind the other rim there is no skin to lie in.
        counts = np.clip((self.ahead(plan, point, frame) - _AHEAD[0]) / (_AHEAD[1] - _AHEAD[0]), 0, 1)
        near = np.flatnonzero(counts > 0)
        # The entries of one place in one frame side by side.
        near = near[np.argsort(self.place[point[near]] * plan.shape[1] + frame[near], kind="stable")]
        return self._crossing(plan, point[near], frame[near], counts[near], cell[near])

    def within(self, height: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """(P,T) which points may lie less than `reach` (P,T) mm over the other lip; height (M,T) mm."""
        height = self.upright * height
        used, starts = np.unique(self.strips, return_index=True)
        highest = np.full((1 + max(self.strip.max(), used[-1]), height.shape[1]), -np.inf, np.float32)
        highest[used] = np.maximum.reduceat(height[self.coarse], starts)
        highest = maximum_filter1d(highest, 2 * _SLIDE + 1, axis=0)
        return height[self.points] - highest[self.strip] < reach + _RISE

    def _cell(self, plan: np.ndarray, point: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """(n,) where at rest the skin was that each point (n,) lies over in its frame (n,): a cell of the chart;
        plan (M,T): x + iz."""
        own = plan[self.points[point], frame]
        cell = self.chart.cell(self.rest[self.points[point]])
        for _ in range(_BACK):
            nearest = np.take(self.chart.nearest, cell)
            cell = self.chart.cell(own - (plan[nearest, frame] - self.rest[nearest]))  # if it moved as that vertex did
        return cell

    def _triangles(
        self, plan: np.ndarray, point: np.ndarray, frame: np.ndarray, cell: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What points (n,) in frames (n,) lie over, near cells (n,): (3,n) where its corners stand in arrays (M,T),
        (3,n) the share of each in the point, and (n,) the least share, at most 0: by how much of its triangle a point
        lies outside of it."""
        found = self._among(_FIRST, plan, point, frame, cell)
        beside = np.flatnonzero(found[2] < 0)
        again = self._among(_TRIANGLES, plan, point[beside], frame[beside], cell[beside])
        for whole, part in zip(found, again, strict=True):
            whole[..., beside] = part
        return found

    def _among(
        self, count: int, plan: np.ndarray, point: np.ndarray, frame: np.ndarray, cell: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`_triangles` of the first few around each cell."""
        where = _entries(self.chart.corners[:, :count], cell, frame, plan.shape[1])
        offset = np.take(plan, where)
        offset -= plan[self.points[point], frame]
        x, z = offset.real, offset.imag
        # Twice the area of the triangles that the point makes with each side, seen from above.
        share = np.empty(x.shape, np.float32)
        for k in range(3):
            np.multiply(z[k - 2], x[k - 1], out=share[k])
            share[k] -= x[k - 2] * z[k - 1]
        share *= self.upright
        total, level = share.sum(0), np.take(self.chart.level[:count], cell, 1)
        steep = total < level
        np.maximum(total, level, out=total)
        inside = np.minimum(share.min(0), 0)
        inside /= total
        inside[steep] = -np.inf
        best = inside.argmax(0), np.arange(len(point))
        corner = (slice(None), *best)
        return where[corner], share[corner] / total[best], inside[best]

    def _crossing(
        self, plan: np.ndarray, point: np.ndarray, frame: np.ndarray, counts: np.ndarray, cell: np.ndarray
    ) -> "Crossing":
        """What points (n,) in frames (n,) lie over, near cells (n,); counts (n,): how much each does."""
        frames = plan.shape[1]
        below, share, inside = self._triangles(plan, point, frame, cell)
        key = self.place[point] * frames + frame
        return Crossing(
            own=self.points[point] * frames + frame,
            below=below,
            share=self.upright * share,
            upright=self.upright,
            allowed=self.allowed[point],
            counts=(counts * (1 - smooth_step(-inside / _BEYOND))).astype(np.float32),
            key=key,
            starts=np.flatnonzero(np.diff(key, prepend=-1)),
        )

    def ahead(self, plan: np.ndarray, point: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """(n,) mm by which points (n,) in frames (n,) lie in front of the other rim, seen from above, wherever along it
        they have slid to; plan (M,T): x + iz."""
        rim = plan[self.rim]
        out = np.gradient(rim, axis=0) * 1j
        out /= np.maximum(np.abs(out), np.float32(1e-6))
        beside = _entries(self.beside, point, frame, plan.shape[1])
        offset = np.take(rim, beside)
        offset -= plan[self.points[point], frame]
        near = offset.real**2
        near += offset.imag**2
        near -= near.min(0)
        near *= np.float32(-1 / _RIM**2)
        np.exp(np.maximum(near, NOTHING, out=near), out=near)
        offset *= np.take(out, beside).conj()
        return -np.einsum("kn,kn->n", near, offset.real) / near.sum(0)

    def allowing(self, plan: np.ndarray, height: np.ndarray) -> "Slid":
        """The same, for lips that may lie in each other as they do in one frame; plan, height (M,1)."""
        point = np.arange(len(self.points))
        frame = np.zeros_like(point)
        crossing = self._crossing(plan, point, frame, np.ones(len(point)), self._cell(plan, point, frame))
        gap = crossing.gap(height)
        return replace(self, allowed=np.maximum(-gap * (crossing.counts > 0), np.float32(_GIVE)))


@dataclass(frozen=True)
class Crossing:
    """How far points of one lip lie in the other lip's skin, as long as nothing moves aside: n points in frames.

    own (n,) and below (3,n): where a point and the corners of what lies below it stand in heights (M,T) of the
    vertices; share (3,n): of each in the height there, turned over with upright; allowed (n,): see Slid; counts (n,) in
    [0,1]: how much each point does; key (n,): where it counts among the rims' places (R,T); starts (k,): where each of
    these begins.
    """

    own: np.ndarray
    below: np.ndarray
    share: np.ndarray
    upright: int
    allowed: np.ndarray
    counts: np.ndarray
    key: np.ndarray
    starts: np.ndarray

    def gap(self, height: np.ndarray) -> np.ndarray:
        """(n,) mm of each point over the other lip; height (M,T)."""
        return self.upright * np.take(height, self.own) - np.einsum("kn,kn->n", self.share, np.take(height, self.below))

    def at(self, height: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """(R,T) mm by which the lips would cross at each of the rims' R places if they were not drawn apart by `drawn`
        (R,T) there; height (M,T) mm of the vertices, with what draws them apart."""
        found = np.zeros(drawn.shape, np.float32)
        if len(self.key):
            deep = -self.gap(height)
            deep -= self.allowed
            deep *= np.where(deep > 0, np.float32(_EAGER), 1)
            deep += np.take(drawn, self.key)
            deep *= self.counts
            found.reshape(-1)[self.key[self.starts]] = np.maximum(np.maximum.reduceat(deep, self.starts), 0)
        return found


def over_skin(
    points: np.ndarray,
    coarse: np.ndarray,
    triangles: np.ndarray,
    rims: tuple[np.ndarray, np.ndarray],
    place: np.ndarray,
    upright: int,
) -> Slid:
    """Points of one lip over the other one's skin, nowhere allowed to lie in it; upright: 1 for the upper lip's.

    points (P,), coarse (L,): vertices of the one lip, and of the other one, of which these tell what is near. triangles
    (F,3): the other lip's. rims (R,) and (S,): of the points' lip and of the other one. place (M,3): of all vertices,
    canonical mm.
    """
    owner = cKDTree(place[rims[0]]).query(place[points])[1]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(place[rims[1]], axis=0), axis=1))])
    few = np.unique(np.rint(length / _ALONG), return_index=True)[1]
    count = min(_BESIDE, len(few))
    first = np.searchsorted(length[few], length[owner]) - count // 2
    coarse = coarse[np.argsort(place[coarse, 0])]
    strip = np.rint(place[:, 0] / _STRIP).astype(int)
    strip -= strip.min()
    return Slid(
        rest=(place[:, 0] + 1j * place[:, 2]).astype(np.complex64),
        upright=upright,
        points=points,
        coarse=coarse,
        strip=strip[points],
        strips=strip[coarse],
        chart=_chart(coarse, triangles, place, upright),
        rim=rims[1][few],
        beside=np.clip(first, 0, len(few) - count) + np.arange(count)[:, None],
        place=owner,
        allowed=np.full(len(points), _GIVE, np.float32),
    )


def _chart(coarse: np.ndarray, triangles: np.ndarray, place: np.ndarray, upright: int) -> Chart:
    """Of one lip's coarse vertices (L,) and triangles (F,3); place (M,3) of all vertices, canonical mm."""
    plan = place[coarse][:, [0, 2]]
    start = plan.min(0)
    axes = [low + np.arange(0, high - low + _CELL, _CELL) for low, high in zip(start, plan.max(0), strict=True)]
    x, z = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    nearest = coarse[cKDTree(plan).query(np.stack([x, z], 1))[1]]
    corner = place[triangles.T]
    normal = np.cross(corner[1] - corner[0], corner[2] - corner[0])
    to_lie_on = upright * normal[:, 1] > 0
    triangles, normal = triangles[to_lie_on], normal[to_lie_on]
    few = np.arange(1, min(_TRIANGLES, len(triangles)) + 1)
    around = cKDTree(place[triangles].mean(1)).query(np.stack([x, place[nearest, 1], z], 1), few)[1].T
    corners = np.ascontiguousarray(np.moveaxis(triangles[around], 2, 0))
    level = (_STEEP * np.linalg.norm(normal, axis=1)).astype(np.float32)
    return Chart(complex(*start), len(axes[1]), nearest, corners, level[around])


def _entries(rows: np.ndarray, which: np.ndarray, frame: np.ndarray, frames: int) -> np.ndarray:
    """(...,n) where in arrays (M,T) of so many frames the rows (...,N) stand of `which` (n,) in frames (n,)."""
    entries = np.take(rows, which, -1)
    entries *= frames
    entries += frame
    return entries
