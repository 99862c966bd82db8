"""The skin around the mouth of a scan, cut out as a small patch in millimetres: one sheet without holes in the lips,
refined where it is coarse.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from ..errors import MeshError
from ..landmarks import LIPS, OUTER_LIPS
from ..surface import raster
from ..surface.boundary import boundary_edges, filled, loops
from ..surface.edges import edges_of, fans, split
from ..surface.mesh import connected_components, weld
from ..surface.rows import renumbered
from . import inner_wall
from .mouth_curve import LEFT_CORNER, RIGHT_CORNER, MouthCurve, mouth_curve

#: How far the patch reaches beyond the lip landmarks: sideways, up and down, backward and forward (mm).
MARGIN = np.array([12.0, 14.0, 25.0])
#: Triangles with an edge longer than the first (mm) belong to the patch when a corner of them does, for they reach far;
#: with one longer than the second they are damage.
COARSE, SPIKE = 6.0, 60.0
#: Mouth corners further than this from all vertices of the face's piece lie on another one, or between the corners of
#: triangles whose edges are longer (mm).
APART = 15.0
#: Border vertices closer than this are one point of the surface (mm).
WELD = 1e-3
#: Surfaces further behind the lips than this belong to a mouth cavity, teeth or the back of the head (mm).
DEPTH = 14.0
#: Longest edge on the lip line (mm); it may grow by SLOPE for each millimetre away from the line.
EDGE, SLOPE = 1.5, 0.5
#: Edges are halved at most so many times.
_ROUNDS = 6
#: Half-width of the band in which the crease is looked for, first round and after re-centring (mm).
BANDS = (5.0, 3.0)
#: A hole wider than this share of the mouth is the mouth's own opening.
_OPENING = 0.6


@dataclass(frozen=True)
class Patch:
    """The skin around the mouth in canonical millimetres.

    points (P,3); triangles (f,3) into points; source (f,) the mesh's triangle each lies in; origin (O,) the mesh's
    vertices that the first O points are; weights (P,O) sparse, points = weights @ points[:O]. welded (V,): the first of
    the mesh's vertices at each one's place, where exporters split a surface along texture seams. spare (s,): triangles
    of the mesh that were left out since they repeat others or hang on an edge of two others. voids (v,): those of
    bubbles in the flesh behind the lips, and of the inner wall of a hollow scan.
    """

    points: np.ndarray
    triangles: np.ndarray
    source: np.ndarray
    origin: np.ndarray
    weights: sparse.csr_matrix
    welded: np.ndarray
    spare: np.ndarray
    voids: np.ndarray


def mouth_patch(points: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> Patch:
    """The component of the skin that carries the mouth, cut out around it, without holes in the lips; all in mm.

    points (V,3), triangles (F,3), landmarks (68,3). MeshError where there is no skin at the mouth, too coarse a one, or
    the corners lie on different pieces.
    """
    mouth = landmarks[LIPS]
    near = ((points > mouth.min(0) - MARGIN) & (points < mouth.max(0) + MARGIN)).all(1)
    beside = triangles[near[triangles].any(1)]
    longest = np.linalg.norm(points[beside] - points[np.roll(beside, 1, 1)], axis=2).max(1)
    near[beside[(longest > COARSE) & (longest < SPIKE)]] = True
    touching = np.flatnonzero(near[triangles].any(1))
    touching = touching[np.isfinite(points[triangles[touching]]).all((1, 2))]
    welded = weld(points, triangles[touching], tolerance=WELD)
    around = welded[triangles[touching]]
    distinct = (np.diff(np.sort(around, 1), axis=1) > 0).all(1)
    touching, around = touching[distinct], around[distinct]
    inner = near[around].all(1)
    spare = np.zeros(len(inner), bool)
    spare[inner] = _spare(around[inner])
    inner &= ~spare
    if not inner.any():
        raise MeshError("There is no surface at the lip landmarks; are the landmarks those of this mesh?")
    wall = inner_wall.find(points, triangles, landmarks, touching[inner])
    within_wall = np.isin(touching, wall)
    inner &= ~within_wall
    rows = touching[inner]
    used, local = renumbered(around[inner], len(points))
    whole = sparse.identity(len(used), format="csr")
    patch = Patch(points[used], local, rows, used, whole, welded, touching[spare], np.empty(0, int))
    sheet = _sheet(patch, mouth)
    sheet = replace(sheet, voids=np.union1d(sheet.voids, wall))
    return _without_holes(sheet, boundary_edges(around[~spare & ~within_wall]), mouth_curve(landmarks))


def _sheet(patch: Patch, mouth: np.ndarray) -> Patch:
    """The piece of the surface that carries the mouth (20,3); it may touch other pieces, or itself."""
    edges, sides = edges_of(patch.triangles)
    length = np.linalg.norm(np.diff(patch.points[edges], axis=1), axis=2)
    patch = split_edges(patch, np.bincount(sides.ravel(), minlength=len(edges)) == 4, edges, sides)
    corner = fans(patch.points, patch.triangles)
    vertex = np.empty(corner.max() + 1, int)
    vertex[corner] = patch.triangles
    piece = connected_components(corner, len(vertex))
    # The outer lips choose the piece: a bubble that the scanner made inside the mouth is nearer to the inner ones.
    label = int(
        np.bincount(piece[cKDTree(patch.points[vertex]).query(mouth[: OUTER_LIPS.stop - LIPS.start])[1]]).argmax()
    )
    distance = cKDTree(patch.points[vertex[piece == label]]).query(mouth)[0]
    off = np.median(distance) > 12
    apart = distance[[RIGHT_CORNER - LIPS.start, LEFT_CORNER - LIPS.start]].max() > APART
    if (off or apart) and np.median(length) > APART:
        raise MeshError("The mesh has too few vertices around the mouth; subdivide it, or take a finer scan.")
    if off:
        raise MeshError("The lip landmarks do not lie on the surface; place them on the face again.")
    if apart:
        raise MeshError("The two mouth corners lie on different pieces of the mesh; join the pieces of the face first.")
    of = piece[corner[:, 0]]
    voids = np.unique(patch.source[_hollow(patch.points[vertex], corner, of, label)])
    kept, local = renumbered(corner[of == label], len(vertex))
    # The first fan around a vertex of the mesh keeps that vertex, others get one of their own at the same place.
    own = np.zeros(len(kept), bool)
    own[np.unique(vertex[kept], return_index=True)[1]] = True
    own &= vertex[kept] < len(patch.origin)
    order = np.argsort(~own, kind="stable")
    at = vertex[kept[order]]
    origin = at[: np.count_nonzero(own)]
    return replace(
        patch,
        points=patch.points[at],
        triangles=np.argsort(order)[local],
        source=patch.source[of == label],
        origin=patch.origin[origin],
        weights=patch.weights[at][:, origin],
        voids=voids,
    )


def _hollow(points: np.ndarray, triangles: np.ndarray, piece: np.ndarray, face: int) -> np.ndarray:
    """(f,) bool: triangles of closed pieces (f,) that enclose a void rather than a body; the face's piece is `face`."""
    corner = points[triangles]
    normal = raster.triangle_normals(corner)
    outward = np.sign(normal[piece == face, 2].sum())  # the face looks ahead
    volume = np.bincount(piece, outward * (normal * (corner[:, 0] - points.mean(0))).sum(1))
    sides = edges_of(triangles)[1]
    is_open = np.bincount(piece, (np.bincount(sides.ravel())[sides] == 1).any(1)) > 0
    return ((volume < 0) & ~is_open & (np.arange(len(volume)) != face))[piece]


def _spare(triangles: np.ndarray) -> np.ndarray:
    """(f,) bool: triangles that repeat another, and flaps that hang on an edge which two others share already."""
    spare = np.ones(len(triangles), bool)
    spare[np.unique(np.sort(triangles, 1), axis=0, return_index=True)[1]] = False
    for _ in range(2):
        sides = edges_of(triangles[~spare])[1]
        uses = np.bincount(sides.ravel())[sides]
        spare[~spare] = (uses > 2).any(1) & (uses == 1).any(1)
    return spare


# Holes in the lips ----------------------------------------------------------------------------------------------------


def _without_holes(patch: Patch, border: np.ndarray, curve: MouthCurve) -> Patch:
    """Fill the holes that the lip line would run into: those that reach the band around the curve.

    border: the mesh's border edges in its own numbers; the patch's rim, where it was cut out, is none.
    """
    number = {vertex: k for k, vertex in enumerate(patch.origin.tolist())}
    links = [(number[a], number[b]) for a, b in border.tolist() if a in number and b in number]
    triangles, source = [patch.triangles], [patch.source]
    owner = _owners(patch, links)
    for loop in loops(links):
        points = patch.points[loop]
        at_line = curve.between_corners(points, 3) & (np.abs(curve.above(points)) < BANDS[0])
        length = np.linalg.norm(points - np.roll(points, 1, 0), axis=1).sum()
        width = curve.x[-1] - curve.x[0]
        # One that is as wide as the mouth is the mouth's own: lips that are apart end in it, as on a mask.
        if at_line.any() and length < 2.5 * width and np.ptp(points[:, 0]) < _OPENING * width:
            lid = np.array(filled(loop, patch.points))
            triangles.append(lid)
            source.append(np.full(len(lid), owner[loop[0]]))
    return replace(patch, triangles=np.concatenate(triangles), source=np.concatenate(source))


def _owners(patch: Patch, links: list[tuple[int, int]]) -> dict[int, int]:
    """The mesh's triangle at each border vertex, from which a filled hole takes its looks."""
    on_border = np.zeros(len(patch.points), bool)
    on_border[[vertex for link in links for vertex in link]] = True
    rows = np.flatnonzero(on_border[patch.triangles].any(1))
    return {v: int(s) for t, s in zip(patch.triangles[rows].tolist(), patch.source[rows], strict=True) for v in t}


# Refinement -----------------------------------------------------------------------------------------------------------


def split_edges(patch: Patch, marked: np.ndarray, edges: np.ndarray, sides: np.ndarray) -> Patch:
    """Split the marked edges (e,) in the middle, and every triangle beside one, without leaving a gap."""
    if not marked.any():
        return patch
    ends = edges[marked]
    triangles, rows = split(patch.points, patch.triangles, edges, sides, marked)
    weights = (patch.weights[ends[:, 0]] + patch.weights[ends[:, 1]]) * 0.5
    return replace(
        patch,
        points=np.concatenate([patch.points, patch.points[ends].mean(1)]),
        triangles=triangles,
        source=patch.source[rows],
        weights=sparse.vstack([patch.weights, weights], "csr"),
    )


def refine(patch: Patch, curve: MouthCurve) -> Patch:
    """Halve edges near the curve until the seam can be smooth: EDGE mm on it, longer with the distance from it.

    Those at the patch's end stay, for the mesh around it has them too.
    """
    for _ in range(_ROUNDS):
        edges, sides = edges_of(patch.triangles)
        within = np.bincount(sides.ravel(), minlength=len(edges)) > 1
        ends = patch.points[edges]
        length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
        heights = np.stack([curve.above(ends[:, 0]), curve.above(ends[:, 1])])
        crossing = heights[0] * heights[1] < 0
        away = np.where(crossing, 0, np.abs(heights).min(0))
        middle = ends.mean(1)
        beyond = np.maximum(np.maximum(curve.x[0] - middle[:, 0], middle[:, 0] - curve.x[-1]) - length / 2, 0)
        near = (away < BANDS[0] + 3) & (beyond < 6) & (np.abs(curve.in_front(middle)) < DEPTH)
        marked = near & within & (length > EDGE + SLOPE * np.maximum(away, beyond))
        if not marked.any():
            break
        patch = split_edges(patch, marked, edges, sides)
    return patch
