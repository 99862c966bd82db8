"""Fused lips cut apart along the lip line: each point of the seam becomes two, one for each lip, and the triangles
under it are split between them; then the seam is evened, smoothed and sunk a little.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from ..surface import raster
from .lip_line import LipLine
from .mouth_patch import Patch

#: Seam points closer than this are merged (mm).
STEP = 0.7
#: Rounds of smoothing along the seam, how far they may move it, and how deep it is sunk between the lips (mm).
SMOOTHING, SMOOTHING_REACH, SUNK = 10, 0.5, 0.4


@dataclass(frozen=True)
class Cut:
    """A patch cut along its lip line.

    points, triangles, source, weights: as in Patch, with the seam's n points (upper lip and both corners) and then the
    lower lip's n-2 after the patch's. upper, lower (n,): the seam. strip_source (n-1,): the mesh's triangle under each
    step. beside_upper, beside_lower (n,): a patch point beside each seam point on that lip, on the same triangles.
    """

    points: np.ndarray
    triangles: np.ndarray
    source: np.ndarray
    weights: sparse.csr_matrix
    upper: np.ndarray
    lower: np.ndarray
    strip_source: np.ndarray
    beside_upper: np.ndarray
    beside_lower: np.ndarray

    @property
    def outward(self) -> bool:
        """The skin faces outward: the upper lip's triangles run along the seam from right corner to left."""
        step = self.triangles[:, :, None] == self.upper[1]
        following = self.triangles[step.any((1, 2))]
        ahead = np.roll(following, -1, 1)[following == self.upper[1]]
        return bool((ahead == self.upper[2]).any())


def cut_along(patch: Patch, line: LipLine) -> Cut:
    """Duplicate the seam and split the triangles under it; a loop over the few hundred of them."""
    count, steps = len(patch.points), len(line.triangles)
    upper = count + np.arange(steps + 1)
    lower = np.concatenate([upper[:1], upper[-1] + 1 + np.arange(steps - 1), upper[-1:]])
    seam = line.points(patch)
    points = np.concatenate([patch.points, seam, seam[1:-1]])
    ends = [sparse.csr_matrix(line.corners[k]) @ patch.weights[patch.triangles[line.triangles[k]]] for k in (0, -1)]
    inner = sparse.diags(1 - line.fraction) @ patch.weights[line.edges[:, 0]]
    inner = inner + sparse.diags(line.fraction) @ patch.weights[line.edges[:, 1]]
    weights = sparse.vstack([patch.weights, ends[0], inner, ends[1], inner], "csr")
    pieces: list[tuple[int, ...]] = []
    owner: list[int] = []
    for step, row in enumerate(line.triangles.tolist()):
        corners = patch.triangles[row].tolist()
        if step == 0:
            split = _slit(corners, line.edges[0], upper[1], lower[1], upper[0])
        elif step == steps - 1:
            split = _slit(corners, line.edges[-1], upper[-2], lower[-2], upper[-1])
        else:
            pair = slice(step, step + 2)
            split = _halves(corners, line.edges[step - 1 : step + 1], upper[pair], lower[pair], points)
        pieces += split
        owner += [row] * len(split)
    untouched = np.ones(len(patch.triangles), bool)
    untouched[line.triangles] = False
    cut = Cut(
        points,
        np.concatenate([patch.triangles[untouched], np.array(pieces)]),
        np.concatenate([patch.source[untouched], patch.source[owner]]),
        weights,
        upper,
        lower,
        patch.source[line.triangles],
        np.concatenate([upper[:1], line.edges[:, 0], upper[-1:]]),
        np.concatenate([lower[:1], line.edges[:, 1], lower[-1:]]),
    )
    return _smoothed(_evened(cut))


def _smoothed(cut: Cut) -> Cut:
    """The seam as a smooth curve, sunk a little as lips are where they meet; never so far that a triangle turns over.

    Seam points are no vertices of the input, so they may leave the surface by a fraction of a millimetre.
    """
    seam = cut.points[cut.upper]
    smooth = seam.copy()
    for _ in range(SMOOTHING):
        smooth[1:-1] += 0.5 * ((smooth[:-2] + smooth[2:]) / 2 - smooth[1:-1])
    along = np.gradient(smooth, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    move = smooth - seam
    move -= (move * along).sum(1, keepdims=True) * along
    move *= np.minimum(1, SMOOTHING_REACH / np.maximum(np.linalg.norm(move, axis=1, keepdims=True), 1e-9))
    ends = np.minimum(np.arange(len(seam)), np.arange(len(seam))[::-1])
    move[:, 2] -= SUNK * np.minimum(1, ends / 4)
    beside = np.isin(cut.triangles, np.concatenate([cut.upper, cut.lower])).any(1)
    triangles = cut.triangles[beside]
    before = raster.unit(raster.triangle_normals(cut.points[triangles]), 1e-12)
    for _ in range(8):
        points = cut.points.copy()
        points[cut.upper] += move
        points[cut.lower[1:-1]] = points[cut.upper[1:-1]]
        after = raster.unit(raster.triangle_normals(points[triangles]), 1e-12)
        turned = np.isin(np.arange(len(points)), triangles[(after * before).sum(1) < 0.3])
        bad = turned[cut.upper] | turned[cut.lower]
        if not bad.any():
            break
        move[bad] *= 0.5
    return replace(cut, points=points)


def _evened(cut: Cut) -> Cut:
    """Merge seam points that lie closer than STEP, on both lips alike, wherever no triangle turns over by it."""
    triangles = cut.triangles.tolist()
    seam = np.zeros(len(cut.points), bool)
    seam[cut.upper] = seam[cut.lower] = True
    around: dict[int, set[int]] = {int(vertex): set() for vertex in np.flatnonzero(seam)}
    for row in np.flatnonzero(seam[cut.triangles].any(1)).tolist():
        for corner in triangles[row]:
            if corner in around:
                around[corner].add(row)
    keep = [0]
    for column in range(1, len(cut.upper) - 1):
        sides = [(int(rim[column]), int(rim[keep[-1]])) for rim in (cut.upper, cut.lower)]
        close = np.linalg.norm(cut.points[sides[0][0]] - cut.points[sides[0][1]]) < STEP
        if close and all(_may_merge(gone, into, triangles, around, cut.points) for gone, into in sides):
            for gone, into in sides:
                _merge(gone, into, triangles, around)
        else:
            keep.append(column)
    keep.append(len(cut.upper) - 1)
    used = [row for row, corners in enumerate(triangles) if corners]
    kept_points = np.ones(len(cut.points), bool)
    kept_points[
        np.setdiff1d(np.concatenate([cut.upper, cut.lower]), np.concatenate([cut.upper[keep], cut.lower[keep]]))
    ] = False
    number = np.cumsum(kept_points) - 1
    return Cut(
        cut.points[kept_points],
        number[np.array([triangles[row] for row in used])],
        cut.source[used],
        cut.weights[kept_points],
        number[cut.upper[keep]],
        number[cut.lower[keep]],
        cut.strip_source[keep[:-1]],
        number[cut.beside_upper[keep]],
        number[cut.beside_lower[keep]],
    )


def _may_merge(gone: int, into: int, triangles: list, around: dict[int, set[int]], points: np.ndarray) -> bool:
    """A border edge may be collapsed if its ends share one neighbour only and the rest keeps facing its way."""
    shared = around[gone] & around[into]
    near = [{c for row in around[v] for c in triangles[row]} - {gone, into} for v in (gone, into)]
    if len(shared) != 1 or len(near[0] & near[1]) != 1:
        return False
    rest = np.array([triangles[row] for row in around[gone] - shared])
    if not len(rest):
        return False
    before = points[rest]
    after = points[np.where(rest == gone, into, rest)]
    old, new = raster.triangle_normals(before), raster.triangle_normals(after)
    size = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
    longest = np.linalg.norm(after - np.roll(after, 1, 1), axis=2).max(1)
    return bool((((old * new).sum(1) > 0.5 * size) & (np.linalg.norm(new, axis=1) > 0.1 * longest**2)).all())


def _merge(gone: int, into: int, triangles: list, around: dict[int, set[int]]) -> None:
    for row in around.pop(gone):
        if into in triangles[row]:
            for corner in triangles[row]:
                if corner in around:
                    around[corner].discard(row)
            triangles[row] = None
        else:
            triangles[row] = [into if corner == gone else corner for corner in triangles[row]]
            around[into].add(row)


def _slit(corners: list[int], edge: np.ndarray, upper: int, lower: int, end: int) -> list[tuple[int, ...]]:
    """A triangle with a slit from its edge, split at (upper, lower), to a point inside it, the mouth corner."""
    opposite = next(k for k, corner in enumerate(corners) if corner not in edge)
    c, a, b = corners[opposite], corners[(opposite + 1) % 3], corners[(opposite + 2) % 3]
    first, second = (upper, lower) if a == edge[0] else (lower, upper)
    return [(a, first, end), (second, b, end), (b, c, end), (c, a, end)]


def _halves(
    corners: list[int], edges: np.ndarray, upper: np.ndarray, lower: np.ndarray, points: np.ndarray
) -> list[tuple[int, ...]]:
    """A triangle cut across two edges (2,2), at (upper, lower) each: a tip on one lip, two triangles on the other."""
    shared = next(k for k, corner in enumerate(corners) if (edges == corner).any(1).all())
    a, b, c = corners[shared], corners[(shared + 1) % 3], corners[(shared + 2) % 3]
    order = [0, 1] if b in edges[0] else [1, 0]
    tip, rest = (upper[order], lower[order]) if a == edges[0, 0] else (lower[order], upper[order])
    p, q = rest
    if np.linalg.norm(points[p] - points[c]) < np.linalg.norm(points[b] - points[q]):
        return [(a, *tip), (p, b, c), (p, c, q)]
    return [(a, *tip), (p, b, q), (b, c, q)]
