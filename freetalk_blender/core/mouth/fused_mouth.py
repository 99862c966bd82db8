"""Opening a mouth that the scanner fused: the cut along the lip line, and the bag behind it.

`state` tells whether the lips are one surface; `open_lips` cuts them apart and closes the cut from behind, so that an
opening mouth shows lips with thickness and darkness between them instead of a stretched membrane. Nothing that the
caller had is moved or renumbered: the input's vertices stay 0..V-1.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from ..errors import MeshError
from ..frame import frame_in_mm
from ..landmarks import nearest_vertices
from ..surface import mesh, rows
from . import lip_line, mouth_bag, mouth_curve, mouth_patch
from .lip_cut import Cut, cut_along
from .lip_line import LipLine
from .mouth_bag import Bag
from .mouth_patch import Patch
from .opened_mouth import BAG, LIP, LOWER, NEITHER, SKIN, UPPER, OpenedMouth, barycentric_weights, spread_columns

#: How far from the seam a vertex still counts as that lip's (mm).
LIP_REACH = 12.0


@dataclass(frozen=True)
class MouthState:
    """fused: the upper and lower lip are one surface. gap: mm between the inner lips (landmarks 62, 66) of a face whose
    outer eye corners are 90 mm apart. patch: the skin around the mouth, refined."""

    fused: bool
    gap: float
    patch: Patch = field(repr=False)


def state(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> MouthState:
    """Are the lips one surface? vertices (V,3), triangles (F,3), landmarks (68,3), one unit for all.

    Fused means that a path leads over the front of the lips from the upper to the lower one without going round a mouth
    corner. Raises LandmarkError and MeshError where there is no mouth there.
    """
    frame = frame_in_mm(landmarks)
    landmarks = frame.to_canonical(np.asarray(landmarks, float))
    curve = mouth_curve.mouth_curve(landmarks)
    patch = mouth_patch.mouth_patch(frame.to_canonical(np.asarray(vertices, float)), triangles, landmarks)
    patch = mouth_patch.refine(patch, curve)
    inset = 0.12 * (curve.x[-1] - curve.x[0])
    height = curve.above(patch.points)
    reach = np.abs(landmarks[mouth_curve.OUTER_UPPER, 1].mean() - landmarks[mouth_curve.OUTER_LOWER, 1].mean()) + 4
    allowed = curve.between_corners(patch.points, -inset) & (curve.in_front(patch.points) > -mouth_patch.DEPTH)
    allowed &= np.abs(height) < reach
    labels = mesh.connected_components(patch.triangles[allowed[patch.triangles].all(1)], len(patch.points))
    gap = float(np.linalg.norm(landmarks[62] - landmarks[66]))
    upper, lower = allowed & (height > gap / 2 + 3), allowed & (height < -gap / 2 - 3)
    fused = bool(np.intersect1d(labels[upper], labels[lower]).size)
    return MouthState(fused, gap, patch)


def open_lips(
    vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, found: MouthState | None = None
) -> OpenedMouth:
    """Cut fused lips apart along the lip line and put a mouth bag behind them.

    vertices (V,3), any unit and pose; triangles (F,3), consistently oriented around the mouth; landmarks (68,3); found:
    what `state` answered for these, where that is known. Only the mouth's neighbourhood is worked on. Raises MeshError
    where the mouth is already open or the surface cannot be cut, LandmarkError where no lip line is found.
    """
    vertices, triangles, landmarks = np.asarray(vertices), np.asarray(triangles), np.asarray(landmarks, float)
    found = found or state(vertices, triangles, landmarks)
    if not found.fused:
        raise MeshError("The lips of this mesh are already apart; there is nothing to cut.")
    in_mm = frame_in_mm(landmarks).to_canonical(landmarks)
    line = lip_line.find(found.patch, in_mm)
    cut = cut_along(found.patch, line)
    bag = mouth_bag.build(cut.points[cut.upper], cut.points, cut.triangles, cut.outward)
    return _assembled(vertices, triangles, landmarks, found.patch, line, cut, bag)


def _assembled(
    vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, patch: Patch, line: LipLine, cut: Cut, bag: Bag
) -> OpenedMouth:
    """The patch, cut, back into the mesh with the bag behind it; landmarks (68,3) in mesh units."""
    own, count = len(patch.origin), len(vertices)
    frame = frame_in_mm(landmarks)
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
    surface = rows.present(np.concatenate([triangles[kept], skin[changed]]), skin_count)
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
        carry=spread_columns(bag.follow, np.concatenate([upper, lower]), skin_count),
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
    for which, candidates in (
        (np.arange(68), skin),
        (np.array([60]), upper[:1]),
        (np.array([64]), upper[-1:]),
        (np.array([61, 62, 63]), upper[1:-1]),
        (np.array([65, 66, 67]), lower[1:-1]),
        (np.arange(49, 54), skin[side[skin] != LOWER]),
        (np.arange(55, 60), skin[side[skin] != UPPER]),
    ):
        chosen[which] = candidates[nearest_vertices(landmarks[which], vertices[candidates])]
    return chosen
