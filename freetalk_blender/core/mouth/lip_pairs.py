"""Which points of two lips meet: the pairs that contact.py corrects, and what lies below them.

Points of the upper lip are paired with what lies below them on the lower one: along a cut with the other rim, on lips
that were modelled apart with the lower lip's surface.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from ..binding import handles
from ..errors import LandmarkError
from ..frame import Similarity, frame_in_mm
from ..landmarks import LIPS, nearest_vertices
from ..lip_contact import facing, sliding
from ..lip_contact.contact import Contact
from ..surface import raster, rows
from ..surface.edges import edges_of, split
from ..surface.rows import numbered, renumbered
from . import mouth_curve
from .opened_mouth import LOWER, NEITHER, UPPER, OpenedMouth

#: A push at one pair holds its neighbours along the lip to this scale, short enough that it does not part them: on lips
#: that were modelled apart, along a cut. How it fades into the lip's skin (mm).
ALONG, ALONG_CUT, FADING = 1.0, 0.4, 5.0
#: On lips that were never fused: how near, seen from above and in height, two points must lie at rest to make a pair;
#: how much further in height where the lips stand open by that; how far around the lip line they are looked for (mm).
_PAIRED, _CLOSE, _OPEN, _APART = 1.5, 3.0, 2.0, 8.0
#: On fine meshes one point of the upper lip in so many mm stands for its neighbours; on coarse ones edges longer than
#: so many mm are halved, so many times at most.
_GRID, _LONG, _HALVINGS = 0.9, 1.2, 5
#: Skin so near to a cut's rims (mm), whose normal leans so far down on the upper lip or up on the lower one, may come
#: to lie on the other lip; beside the rims, of fine meshes one vertex in so many mm. One vertex in so many mm tells
#: where on the other lip that is.
_AROUND, _LEAN, _SPARSE, _COARSE = 7.0, 0.2, 0.3, 1.0
#: A pair does not hold or move what it would take less of than this.
_LEAST = 0.02


def of_opened(opened: OpenedMouth, landmarks: np.ndarray) -> Contact:
    """The contact of a mouth that was cut open: its two rims meet, vertex by vertex. landmarks (68,3), mesh units."""
    frame = frame_in_mm(landmarks)
    points = frame.to_canonical(opened.skin_vertices.astype(float))
    upper, lower = opened.upper_rim[1:-1], opened.lower_rim[1:-1]
    side = opened.side[: opened.skin_count]
    each = sparse.identity(len(points), format="csr")
    lips = _contact(points, side, each[upper], each[lower], frame, ALONG_CUT)
    triangles = opened.skin_triangles
    lean = raster.vertex_normals(points, triangles[(side[triangles] != NEITHER).any(1)])[:, 1] * side
    place, row = points[lips.vertices], numbered(lips.vertices, len(points))
    reached = cKDTree(points[upper])
    leaning = (lean[lips.vertices] < -_LEAN) & (reached.query(place)[0] < _AROUND)
    leaning[row[upper]] = leaning[row[lower]] = False
    triangles = row[triangles]
    triangles = triangles[(triangles >= 0).all(1)]
    triangles = triangles[reached.query(place[triangles].mean(1))[0] < _AROUND]
    side, slid = side[lips.vertices], []
    for sign, own, other in ((UPPER, row[upper], row[lower]), (LOWER, row[lower], row[upper])):
        skin, over = (np.flatnonzero(leaning & (side == lip)) for lip in (sign, -sign))
        skin, over = np.append(own, skin[facing.thinned(-sign * place[skin], _SPARSE)]), np.append(over, other)
        over = over[facing.thinned(sign * place[over], _COARSE)]
        skins = triangles[(side[triangles] == -sign).all(1)]
        lip = sliding.over_skin(skin, over, skins, (own, other), place, sign)
        if lip.chart.corners.size:
            slid.append(lip)
    return replace(lips, slid=tuple(slid)).unfolded()


def of_open_lips(
    vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, shutting: np.ndarray | None = None
) -> Contact:
    """The contact of lips that are modelled apart: vertices of the upper one over the surface of the lower one.

    vertices (V,3), triangles (F,3), landmarks (68,3), mesh units; shutting (V,3): displacement that shuts a mouth which
    stands open. LandmarkError where no lips face each other.
    """
    frame = frame_in_mm(landmarks)
    rest = frame.to_canonical(np.asarray(vertices, float))
    marks = frame.to_canonical(np.asarray(landmarks, float))
    side, points = _sides(rest, triangles, marks), rest
    if shutting is not None:  # the lips are looked for where they meet, which is far from where they stand open
        used = rows.present(triangles, len(rest))
        moved = frame.vectors_to_canonical(shutting)
        points, marks = rest + moved, marks + moved[used[nearest_vertices(marks, rest[used])]]
    curve = mouth_curve.mouth_curve(marks)

    def beside(points: np.ndarray) -> np.ndarray:
        away = np.stack([curve.in_front(points), curve.above(points)])
        return curve.between_corners(points, -1) & (np.abs(away) < _APART).all(0)

    samples = _samples(points, triangles, beside)
    place, lip = samples @ points, np.trunc(samples @ side.astype(float))
    near = beside(place) & (samples @ raster.vertex_normals(points, triangles)[:, 1] * lip < -_LEAN)
    upper, lower = np.flatnonzero(near & (lip == UPPER)), np.flatnonzero(near & (lip == LOWER))
    if len(upper) < 4 or len(lower) < 4:
        raise LandmarkError("No facing lips were found between the mouth corners; check the lip landmarks.")
    upper = upper[facing.thinned(-place[upper], _GRID)]
    distance, index = cKDTree(place[lower][:, [0, 2]]).query(place[upper][:, [0, 2]], 3)
    weights = 1 / np.maximum(distance, 1e-3) ** 2
    weights /= weights.sum(1, keepdims=True)
    under = (weights * place[lower, 1][index]).sum(1)
    below, height = distance[:, 0] < _PAIRED, np.abs(place[upper, 1] - under)
    least = facing.columns(place[upper, 0]).least(np.where(below, height, _OPEN)[:, None])[:, 0]
    paired = below & (height < _CLOSE + np.minimum(least, _OPEN))
    weights = weights[paired]
    count = np.count_nonzero(paired)
    if count < 4:
        raise LandmarkError("The lips do not face each other; check the lip landmarks.")
    pair = np.repeat(np.arange(count), 3)
    below = sparse.csr_matrix((weights.ravel(), (pair, index[paired].ravel())), (count, len(lower))) @ samples[lower]
    above = samples[upper[paired]]
    lips = _contact(points, side, above, below, frame, ALONG)
    beyond = np.ones(len(points))
    beyond[lips.vertices] = 0
    lower = lower[samples[lower] @ beyond == 0]
    slid = facing.of_lips(above[:, lips.vertices], samples[lower][:, lips.vertices], points[lips.vertices])
    return replace(lips, place=rest[lips.vertices].astype(np.float32), facing=slid)


def _samples(
    points: np.ndarray, triangles: np.ndarray, beside: Callable[[np.ndarray], np.ndarray]
) -> sparse.csr_matrix:
    """(S,V) points of a surface (V,3), (F,3) as shares of its vertices, which come first: on its edges, and on those of
    their halves, so that they lie densely where `beside` says of points (n,3) that they (n,) are wanted."""
    samples = sparse.identity(len(points), format="csr")
    for _ in range(_HALVINGS):
        place = samples @ points
        triangles = triangles[beside(place)[triangles].any(1)]
        edges, sides = edges_of(triangles)
        long = np.linalg.norm(place[edges[:, 0]] - place[edges[:, 1]], axis=1) > _LONG
        if not long.any():
            break
        triangles, _ = split(place, triangles, edges, sides, long)
        samples = sparse.vstack([samples, (samples[edges[long, 0]] + samples[edges[long, 1]]) / 2], "csr")
    return samples


def _sides(points: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(V,) UPPER or LOWER for vertices within reach of a lip, by the way along the surface from the outer lips."""
    close = np.linalg.norm(points - landmarks[LIPS].mean(0), axis=1) < 45
    used, local = renumbered(triangles[close[triangles].all(1)], len(points))
    if not len(used):
        raise LandmarkError("There is no surface around the lip landmarks; are they those of this mesh?")
    graph = handles.edge_graph(points[used], local)
    tree = cKDTree(points[used])
    ways = [
        handles.edge_distance(graph, tree.query(landmarks[outer])[1], 40.0)
        for outer in (mouth_curve.OUTER_UPPER[1:-1], mouth_curve.OUTER_LOWER[1:-1])
    ]
    side = np.zeros(len(points), np.int8)
    side[used] = np.where(ways[0] < ways[1], UPPER, np.where(ways[1] < ways[0], LOWER, 0))
    return side


def _contact(
    points: np.ndarray,
    side: np.ndarray,
    upper: sparse.csr_matrix,
    lower: sparse.csr_matrix,
    frame: Similarity,
    along: float,
) -> Contact:
    """Pairs and their influence; points (V,3) in canonical mm, upper and lower (P,V); along: see ALONG."""
    above, below = upper @ points, lower @ points
    blocks, vertices = [], []
    for sign, rim in ((UPPER, above), (LOWER, below)):
        tree = cKDTree(rim)
        mine = np.flatnonzero(side == sign)
        mine = mine[tree.query(points[mine], distance_upper_bound=3 * FADING)[0] < 2 * FADING]
        distance = np.linalg.norm(points[mine][:, None] - rim[None], axis=2)
        nearest = distance.min(1, keepdims=True)
        # Beside the rim a vertex follows its own pair; further away, the pairs around it.
        scale = 0.2 + 0.5 * nearest
        share = np.exp(-(((distance - nearest) / scale) ** 2) - (distance / (8 * FADING)) ** 2)
        share[share < _LEAST] = 0
        share *= 0.5 * sign * np.exp(-((nearest / FADING) ** 2)) / share.sum(1, keepdims=True)
        blocks.append(share)
        vertices.append(mine)
    order = np.concatenate(vertices)
    middle = (above + below) / 2
    firm = np.exp(-((np.linalg.norm(middle[:, None] - middle[None], axis=2) / along) ** 2)).astype(np.float32)
    neighbours = np.argsort(-firm, axis=1)[:, : (firm > _LEAST).sum(1).max()]
    return Contact(
        vertices=order,
        place=points[order].astype(np.float32),
        upper=upper[:, order],
        lower=lower[:, order],
        spread=np.concatenate(blocks).astype(np.float32),
        neighbours=neighbours,
        envelope=np.take_along_axis(firm, neighbours, 1),
        frame=frame,
    )
