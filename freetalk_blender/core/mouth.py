"""Opening a mouth that the scanner fused: the cut along the lip line, and the bag behind it.

`state` tells whether the lips are one surface; `open_lips` cuts them apart and closes the cut from behind, so that an
opening mouth shows lips with thickness and darkness between them instead of a stretched membrane. Nothing that the
caller had is moved or renumbered: the input's vertices stay 0..V-1.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from . import lip_line, mesh, mouth_bag, mouth_curve, mouth_patch
from .errors import LandmarkError, MeshError
from .lip_line import LipLine
from .mouth_bag import Bag
from .mouth_patch import Patch
from .opened_mouth import (
    BAG,
    LIP,
    LOWER,
    NEITHER,
    SKIN,
    UPPER,
    OpenedMouth,
    barycentric_weights,
    spread_columns,
)

#: Seam points closer than this are merged (mm).
STEP = 0.7
#: Rounds of smoothing along the seam, how far they may move it, and how deep it is sunk between the lips (mm).
SMOOTHING, SMOOTHING_REACH, SUNK = 10, 0.5, 0.4
#: How far from the seam a vertex still counts as that lip's (mm).
LIP_REACH = 12.0


@dataclass(frozen=True)
class MouthState:
    """fused: the upper and lower lip are one surface. gap: mm between the inner lips (landmarks 62, 66) of a face whose
    outer eye corners are 90 mm apart."""

    fused: bool
    gap: float


def state(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> MouthState:
    """Are the lips one surface? vertices (V,3), triangles (F,3), landmarks (68,3), one unit for all.

    Fused means that a path leads over the front of the lips from the upper to the lower one without going round a mouth
    corner. Raises LandmarkError and MeshError where there is no mouth at the landmarks.
    """
    landmarks, points = _in_mm(vertices, landmarks)
    curve = mouth_curve.mouth_curve(landmarks)
    patch = mouth_patch.mouth_patch(points, triangles, landmarks)
    inset = 0.12 * (curve.x[-1] - curve.x[0])
    height = curve.above(patch.points)
    reach = np.abs(landmarks[mouth_curve.OUTER_UPPER, 1].mean() - landmarks[mouth_curve.OUTER_LOWER, 1].mean()) + 4
    allowed = curve.between_corners(patch.points, -inset) & (curve.in_front(patch.points) > -mouth_patch.DEPTH)
    allowed &= np.abs(height) < reach
    labels = mesh.connected_parts(patch.triangles[allowed[patch.triangles].all(1)], len(patch.points))
    gap = float(np.linalg.norm(landmarks[62] - landmarks[66]))
    upper, lower = allowed & (height > gap / 2 + 3), allowed & (height < -gap / 2 - 3)
    fused = bool(np.intersect1d(labels[upper], labels[lower]).size)
    return MouthState(fused, gap)


def open_lips(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> OpenedMouth:
    """Cut fused lips apart along the lip line and put a mouth bag behind them.

    vertices (V,3), any unit and pose; triangles (F,3), consistently oriented around the mouth; landmarks (68,3).
    Only the mouth's neighbourhood is worked on. Raises MeshError where the mouth is already open or the surface cannot
    be cut, LandmarkError where no lip line is found.
    """
    triangles = np.asarray(triangles)
    if not state(vertices, triangles, landmarks).fused:
        raise MeshError("The lips of this mesh are already apart; there is nothing to cut.")
    in_mm, points = _in_mm(vertices, landmarks)
    patch = mouth_patch.mouth_patch(points, triangles, in_mm)
    patch = mouth_patch.refine(patch, mouth_curve.mouth_curve(in_mm))
    line = lip_line.find(patch, in_mm)
    cut = _cut(patch, line)
    bag = mouth_bag.build(cut.points[cut.upper], cut.points, cut.triangles, cut.outward)
    return _assembled(np.asarray(vertices), triangles, np.asarray(landmarks, float), patch, line, cut, bag)


def _in_mm(vertices: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (68,3) and vertices (V,3) in canonical millimetres."""
    landmarks = np.asarray(landmarks, float)
    if landmarks.shape != (68, 3):
        raise LandmarkError(f"Opening the mouth needs 68 landmark points (68, 3); got shape {landmarks.shape}.")
    frame = mouth_curve.frame_in_mm(landmarks)
    return frame.to_canonical(landmarks), frame.to_canonical(np.asarray(vertices, float))


# The cut --------------------------------------------------------------------------------------------------------------


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


def _cut(patch: Patch, line: LipLine) -> Cut:
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
    before = _normals(cut.points, triangles)
    for _ in range(8):
        points = cut.points.copy()
        points[cut.upper] += move
        points[cut.lower[1:-1]] = points[cut.upper[1:-1]]
        turned = np.isin(np.arange(len(points)), triangles[(_normals(points, triangles) * before).sum(1) < 0.3])
        bad = turned[cut.upper] | turned[cut.lower]
        if not bad.any():
            break
        move[bad] *= 0.5
    return replace(cut, points=points)


def _normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    corner = points[triangles]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


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
    old, new = (np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]) for c in (before, after))
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


# Putting it together --------------------------------------------------------------------------------------------------


def _assembled(
    vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, patch: Patch, line: LipLine, cut: Cut, bag: Bag
) -> OpenedMouth:
    """The patch, cut, back into the mesh with the bag behind it; landmarks (68,3) in mesh units."""
    own, count = len(patch.origin), len(vertices)
    frame = mouth_curve.frame_in_mm(landmarks)
    added = np.concatenate([cut.points[own:], bag.points])
    number = np.concatenate([patch.origin, count + np.arange(len(added))])
    skin_count = count + len(cut.points) - own

    local = sparse.vstack([cut.weights, _bag_weights(cut, bag)], "csr")[own:]
    source = sparse.vstack([sparse.identity(count, format="csr"), spread_columns(local, patch.origin, count)], "csr")

    skin = _as_split(number[cut.triangles], triangles[cut.source], patch.welded)
    changed = ~(skin == triangles[cut.source]).all(1)
    replaced = np.zeros(len(triangles), bool)
    replaced[cut.source[changed]] = True
    replaced[cut.source[~changed]] = False  # it lends its looks to a filled hole, and stays
    # A triangle that was left out and spans the seam would hold the lips together: it goes.
    at_seam = np.isin(patch.welded[triangles[patch.spare]], patch.welded[triangles[cut.strip_source]])
    replaced[patch.spare[at_seam.sum(1) > 1]] = True
    replaced[patch.voids] = True
    kept = np.flatnonzero(~replaced)
    seam_and_bag = np.concatenate([len(cut.points) + np.arange(len(bag.points)), cut.upper, cut.lower])
    surface = np.unique(np.concatenate([triangles[kept], skin[changed]]))
    new = np.concatenate([skin[changed], number[seam_and_bag[bag.triangles]]])
    new_source = np.concatenate([cut.source[changed], cut.strip_source[bag.step]])
    part = np.concatenate([np.full(len(kept) + changed.sum(), SKIN), np.where(bag.is_lip, LIP, BAG)])

    side = np.zeros(count + len(added), np.int8)
    side[number[: len(patch.points)]] = _sides(patch, line)
    side[number[cut.upper]], side[number[cut.lower]] = UPPER, LOWER
    side[number[cut.upper[[0, -1]]]] = NEITHER
    side[skin_count:] = bag.side

    out = np.concatenate([vertices.astype(np.float32), frame.to_mesh(added).astype(np.float32)])
    surface = surface[np.isfinite(out[surface]).all(1)]
    upper, lower = number[cut.upper], number[cut.lower]
    follow = spread_columns(bag.follow, np.concatenate([upper, lower]), skin_count)
    return OpenedMouth(
        vertices=out,
        triangles=np.concatenate([triangles[kept], new]).astype(np.int32),
        kept=len(kept),
        triangle_source=np.concatenate([kept, new_source]).astype(np.int32),
        corner_weights=barycentric_weights(source, vertices.astype(float), new, triangles[new_source]),
        source=source,
        part=part.astype(np.int8),
        side=side,
        upper_rim=upper,
        lower_rim=lower,
        skin_count=skin_count,
        carry=sparse.vstack([sparse.identity(skin_count, format="csr"), follow], "csr"),
        landmark_vertices=_landmark_vertices(landmarks, out, surface, side, upper, lower),
    )


def _as_split(triangles: np.ndarray, source_triangles: np.ndarray, welded: np.ndarray) -> np.ndarray:
    """Triangles (G,3) of welded vertices, with each corner that its source triangle has as that triangle names it."""
    answer = triangles.copy()
    for k in range(3):
        named = source_triangles[:, [k]]
        answer = np.where(triangles == welded[named], named, answer)
    return answer


def _bag_weights(cut: Cut, bag: Bag) -> sparse.csr_matrix:
    """(B,O) what each bag vertex looks like: the seam in front of it, or the lip beside the seam if on a lip."""
    blend = np.append(mouth_bag.COLOUR, 1.0)[np.minimum(bag.ring, len(mouth_bag.COLOUR))]
    seam = np.where(bag.side < 0, cut.lower[bag.column], cut.upper[bag.column])
    beside = np.where(bag.side < 0, cut.beside_lower[bag.column], cut.beside_upper[bag.column])
    return sparse.csr_matrix(sparse.diags(1 - blend) @ cut.weights[seam] + sparse.diags(blend) @ cut.weights[beside])


def _sides(patch: Patch, line: LipLine) -> np.ndarray:
    """(P,) UPPER or LOWER for the patch's points on the lips, NEITHER around them."""
    seam = line.points(patch)
    near = (patch.points[:, 0] > seam[0, 0]) & (patch.points[:, 0] < seam[-1, 0])
    near &= cKDTree(seam).query(patch.points)[0] < LIP_REACH
    return np.where(near, np.where(line.field > 0, UPPER, LOWER), NEITHER)


def _landmark_vertices(
    landmarks: np.ndarray,
    vertices: np.ndarray,
    skin: np.ndarray,
    side: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
) -> np.ndarray:
    """(68,) of the skin's vertices: inner lips on the rim, other lip landmarks on their own lip, the rest nearest."""
    chosen = np.empty(len(landmarks), np.int32)
    for rows, candidates in (
        (np.arange(68), skin),
        (np.array([60]), upper[:1]),
        (np.array([64]), upper[-1:]),
        (np.array([61, 62, 63]), upper[1:-1]),
        (np.array([65, 66, 67]), lower[1:-1]),
        (np.arange(49, 54), skin[side[skin] != LOWER]),
        (np.arange(55, 60), skin[side[skin] != UPPER]),
    ):
        chosen[rows] = candidates[cKDTree(vertices[candidates]).query(landmarks[rows])[1]]
    return chosen
