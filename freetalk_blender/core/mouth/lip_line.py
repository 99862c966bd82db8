"""The lip line of a scan whose lips the scanner fused: a smooth curve on the surface from mouth corner to mouth corner.

The skin around the mouth (mouth_patch.py) is split into an upper and a lower lip by a random walker (Grady 2006,
"Random walks for image segmentation") on its vertices: a walk started at a vertex hardly ever steps across a concave
crease, so the level set at which it is as likely to reach the upper lip as the lower one runs along the crease, and
where there is none along the landmarks. Vertices of a coarse scan lie in the crease itself; which lip such a one
belongs to is told by the way it faces, and by which of the lips overhangs the other.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import spsolve

from ..errors import LandmarkError, MeshError
from ..surface import raster
from ..surface.edges import edges_of
from .mouth_curve import LEFT_CORNER, RIGHT_CORNER, MouthCurve, mouth_curve
from .mouth_patch import BANDS, DEPTH, Patch

#: Scale at which concavity is measured (mm): finer is scanner noise, coarser is the shape of the lips.
CREASE_SCALE = 0.8
#: A fold deeper than this behind the landmarks' line is no lip line (mm).
WEB = 2.0
#: How firmly the line is held halfway between the lips where no crease leads it.
PULL = 0.1
#: How firmly on the landmarks' line where the scan has no crease at all.
HOLD = 20.0
#: Scale below which the seam is straightened (mm).
SMOOTH = 1.5
#: How soon the walker, and the way the skin faces, are sure of a lip before the seam is straightened.
SURE = 3.0
#: The two lips face ways this different at least (squared distance of their mean normals) where that is to tell them.
APART = 0.5
#: Scale of heights over the line (mm) at which skin counts for the way a lip faces.
FACE = 3.0
#: Where both lips together face further up or down than LEVEL (radians), one overhangs the other. Each radian more adds
#: OVERHANG, all of them no more than MOST, to the lean of the skin towards the lip that lies behind; less in the last
#: CORNER mm before the corners, where the lips lie side by side.
LEVEL, OVERHANG, MOST, CORNER = 0.3, 3.0, 0.7, 6.0
#: How much rarer a step across the deepest crease is than one on flat skin: exp(-CREASE).
CREASE = 5.0
#: A crease shallower than this (1/mm) is none: fused ICT-FaceKit heads have 0.18 and more, an MRI's smooth head 0.01.
SHALLOWEST = 0.1
#: The line ends this far within its triangle, as a share of the triangle's heights, but for scale.
_INSIDE = 0.2


@dataclass(frozen=True)
class LipLine:
    """Where the patch is to be cut: a path of n points on it, from the subject's right mouth corner to the left one.

    triangles (n-1,): patch triangle of each step. edges (n-2,2): the patch edge that each inner point splits, the upper
    lip's end first. fraction (n-2,): how far along. corners (2,3): where the path begins and ends in its first and last
    triangle, barycentric. field (P,): > 0 on the upper lip's side.
    """

    triangles: np.ndarray
    edges: np.ndarray
    fraction: np.ndarray
    corners: np.ndarray
    field: np.ndarray

    def points(self, patch: Patch) -> np.ndarray:
        """(n,3) the path, mm."""
        upper, lower = patch.points[self.edges[:, 0]], patch.points[self.edges[:, 1]]
        inner = upper + self.fraction[:, None] * (lower - upper)
        ends = np.einsum("ec,ecd->ed", self.corners, patch.points[patch.triangles[self.triangles[[0, -1]]]])
        return np.concatenate([ends[:1], inner, ends[1:]])


# The field whose zero is the lip line ---------------------------------------------------------------------------------


def _edge_graph(edges: np.ndarray, values: np.ndarray, count: int) -> sparse.csr_matrix:
    graph = sparse.coo_matrix((values, (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    return graph + graph.T


def concavity(points: np.ndarray, triangles: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(e,) how sharply the surface bends inward along each edge at CREASE_SCALE, 1/mm, 0 where it is flat or convex."""
    count = len(points)
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    graph = _edge_graph(edges, np.ones(len(edges)), count)
    mean = sparse.diags(1 / np.maximum(np.asarray(graph.sum(1)).ravel(), 1)) @ graph
    smooth = 0.5 * sparse.identity(count) + 0.5 * mean
    steps = int(np.clip(round(2 * (CREASE_SCALE / max(np.median(length), 1e-6)) ** 2), 0, 40))
    for _ in range(steps):
        points = smooth @ points
    normals = raster.vertex_normals(points, triangles)
    along = points[edges[:, 1]] - points[edges[:, 0]]
    bend = ((normals[edges[:, 1]] - normals[edges[:, 0]]) * along).sum(1) / np.maximum((along**2).sum(1), 1e-6)
    return np.maximum(-bend, 0)


def _cotangents(points: np.ndarray, triangles: np.ndarray, sides: np.ndarray, count: int) -> np.ndarray:
    """(e,) half the sum of the cotangents opposite to each edge, kept positive so that the walker stays a walk."""
    corner = points[triangles]
    total = np.zeros(count)
    for k in range(3):
        u, v = corner[:, k] - corner[:, (k + 2) % 3], corner[:, (k + 1) % 3] - corner[:, (k + 2) % 3]
        area = np.linalg.norm(np.cross(u, v), axis=1)
        np.add.at(total, sides[:, k], 0.5 * (u * v).sum(1) / np.maximum(area, 1e-9))
    return np.clip(total, 0.05, 3.0)


def lip_field(patch: Patch, curve: MouthCurve, band: float) -> np.ndarray:
    """(P,) in [-1,1]: > 0 on the upper lip, < 0 on the lower one; its zero follows the crease inside the band (mm)."""
    edges, sides = edges_of(patch.triangles)
    count = len(patch.points)
    height = curve.above(patch.points)
    front = curve.in_front(patch.points)
    in_band = (np.abs(height) < band) & (np.abs(front) < DEPTH)
    # Behind the lips height tells nothing: a web that a scanner spanned across an open mouth is higher than the lips.
    in_band |= (front < -WEB) & (front > -DEPTH) & (height < 0.8 * curve.up) & (height > -0.8 * curve.down)
    between = in_band & curve.between_corners(patch.points, 0)
    bend = concavity(patch.points, patch.triangles, edges)
    # A band of one height: the deepest crease in it is the lip line; where there is none, the landmarks' line is.
    deepest = np.quantile(bend[between[edges].all(1)], 0.95) if between[edges].all(1).any() else 1.0
    # Far behind the lips a fold is where a scanner's web across the open mouth begins, and no lip line.
    depth = -curve.in_front(patch.points)[edges].mean(1)
    shallow = np.clip((WEB + 2 - depth) / 2, 0, 1)
    creased = min(deepest / SHALLOWEST, 1.0)
    ease = np.exp(-CREASE * np.minimum(bend / max(deepest, SHALLOWEST), 1.0) * shallow)
    steps = _cotangents(patch.points, patch.triangles, sides, len(edges)) * ease
    graph = _edge_graph(edges, steps, count)
    area = np.linalg.norm(raster.triangle_normals(patch.points[patch.triangles]), axis=1) / 2
    mass = np.bincount(patch.triangles.ravel(), np.repeat(area / 3, 3), count)
    prior = creased * _halfway(patch.points, edges, np.where(in_band, 0, np.sign(height)))
    prior += (1 - creased) * np.clip(height / band, -1, 1)
    firm = PULL * np.where(front < -WEB, 20, 1) + HOLD * (1 - creased)
    walker = settled(graph, firm * mass / band**2, prior, in_band)
    # The crease of a scan is a zigzag of its edges: diffuse the two lips into each other to straighten the border.
    flat = _edge_graph(edges, _cotangents(patch.points, patch.triangles, sides, len(edges)), count)
    lean = _lean(patch, curve, walker, mass * np.exp(-0.5 * (height / FACE) ** 2))
    lean *= between * np.clip((WEB + 2 + front) / 2, 0, 1)
    return settled(flat, mass / SMOOTH**2, np.clip(SURE * (walker + lean), -1, 1), in_band)


def _lean(patch: Patch, curve: MouthCurve, walker: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """(P,) in [-1,1]: 1 where the skin faces as the upper lip does around there, -1 as the lower one.

    A lip that overhangs the other is round before it reaches it, and reconstruction bridges the rest of the way: the
    corner between its underside and the other's front is the other's, though it faces with both. walker (P,): the lips
    as far as they are known; mass (P,): what a point counts for in a lip's mean normal. Normals are weighted by angles
    (Thürmer & Wüthrich 1998, "Computing vertex normals from polygonal facets"): refining the patch does not turn them.
    """
    normals = raster.unit(
        patch.weights @ raster.angle_normals(patch.points, patch.triangles)[: len(patch.origin)], 1e-12
    )
    knots = np.linspace(curve.x[0], curve.x[-1], 9)
    near = mass * np.exp(-0.5 * ((patch.points[:, 0] - knots[:, None]) / (knots[2] - knots[1])) ** 2)
    lips = []
    for of_lip in (walker > 0.5, walker < -0.5):
        mean = (near * of_lip) @ normals / np.maximum((near * of_lip).sum(1, keepdims=True), 1e-9)
        lips.append(np.stack([np.interp(patch.points[:, 0], knots, column) for column in mean.T], 1))
    across, middle = lips[0] - lips[1], (lips[0] + lips[1]) / 2
    apart = (across**2).sum(1)
    lean = 2 * ((normals - middle) * across).sum(1) / np.maximum(apart, APART / 5)
    tilt = np.arctan2(middle[:, 1], middle[:, 2])
    behind = np.clip(OVERHANG * (tilt - np.clip(tilt, -LEVEL, LEVEL)), -MOST, MOST)
    inside = np.minimum(patch.points[:, 0] - curve.x[0], curve.x[-1] - patch.points[:, 0])
    lean = np.clip(lean, -1, 1) + behind * np.clip(inside / CORNER, 0, 1)
    return np.clip(lean, -1, 1) * np.minimum(apart / APART, 1)


def _halfway(points: np.ndarray, edges: np.ndarray, lip: np.ndarray) -> np.ndarray:
    """(P,) in [-1,1]: 1 on the upper lip (lip > 0), -1 on the lower, between them by the way along the surface."""
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    graph = _edge_graph(edges, np.maximum(length, 1e-6), len(points))
    if not (lip > 0).any() or not (lip < 0).any():
        raise LandmarkError("The lip landmarks lie at the very edge of the surface; place them on the face again.")
    below, above = (dijkstra(graph, False, np.flatnonzero(lip == sign), min_only=True) for sign in (-1, 1))
    reached = np.isfinite(below) & np.isfinite(above)
    return np.divide(below - above, below + above, out=np.sign(lip).astype(float), where=reached)


def settled(graph: sparse.csr_matrix, pull: np.ndarray, towards: np.ndarray, free: np.ndarray) -> np.ndarray:
    """(P,) values that differ least along the graph's edges while pulled `towards`; kept there where not `free`."""
    system = (sparse.diags(np.asarray(graph.sum(1)).ravel() + pull) - graph).tocsr()[free]
    values = towards.copy()
    right = pull[free] * towards[free] - system[:, ~free] @ towards[~free]
    values[free] = spsolve(system[:, free].tocsc(), right)
    return values


# The zero level set as a path -----------------------------------------------------------------------------------------


def _walk(links: np.ndarray) -> list[np.ndarray]:
    """Open chains of node indices through links (s,2), each node in at most two of them."""
    neighbours: dict[int, list[int]] = {}
    for a, b in links.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    chains, seen = [], set()
    for start in (node for node, near in neighbours.items() if len(near) == 1):
        if start in seen:
            continue
        chain, node = [start], start
        seen.add(start)
        while following := [near for near in neighbours[node] if near not in seen]:
            node = following[0]
            seen.add(node)
            chain.append(node)
        chains.append(np.array(chain))
    return chains


def level_chain(patch: Patch, field: np.ndarray, curve: MouthCurve) -> tuple[np.ndarray, np.ndarray]:
    """The zero level set's chain through the mouth: its edges (m,2), upper end first, and the fraction along each (m,).

    LandmarkError where no chain runs from corner to corner.
    """
    edges, sides = edges_of(patch.triangles)
    sign = field > 0
    crossing = sign[edges[:, 0]] != sign[edges[:, 1]]
    crossed = crossing[sides]
    links = sides[crossed.any(1)][crossed[crossed.any(1)]].reshape(-1, 2)
    ordered = np.where(sign[edges[:, 0]][:, None], edges, edges[:, ::-1])
    value = field[ordered]
    fraction = value[:, 0] / np.maximum(value[:, 0] - value[:, 1], 1e-12)
    best, span = np.empty(0, int), 0.0
    for chain in _walk(links):
        on = _crossings(patch, ordered[chain], fraction[chain])
        inside = curve.between_corners(on, 0) & (np.abs(curve.in_front(on)) < DEPTH)
        covered = np.ptp(on[inside, 0]) if inside.sum() > 1 else 0.0
        if covered > span:
            best, span = chain, covered
    if span < 0.85 * (curve.x[-1] - curve.x[0]):
        raise LandmarkError(
            "No lip line runs from one mouth corner to the other; check the lip landmarks, cut off what the lips hold, "
            "and close holes at the mouth."
        )
    if np.bincount(links.ravel(), minlength=len(edges))[best].max() > 2:
        raise MeshError("More than two faces share an edge on the lip line; remove the extra face first.")
    on = _crossings(patch, ordered[best], fraction[best])
    if on[0, 0] > on[-1, 0]:
        best = best[::-1]
    return ordered[best], fraction[best]


def _crossings(patch: Patch, edges: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    upper, lower = patch.points[edges[:, 0]], patch.points[edges[:, 1]]
    return upper + fraction[:, None] * (lower - upper)


def recentred(curve: MouthCurve, points: np.ndarray) -> MouthCurve:
    """The curve moved onto a chain (m,3): the chain's mean height at and around each of the curve's inner knots."""
    spread = (curve.x[-1] - curve.x[0]) / 12
    weight = np.exp(-0.5 * ((points[None, :, 0] - curve.x[:, None]) / spread) ** 2)
    y = weight @ points[:, 1] / np.maximum(weight.sum(1), 1e-9)
    reached = weight.sum(1) > 1e-3
    return replace(curve, y=np.where(reached, y, curve.y))


def _nearest_on_chain(points: np.ndarray, target: np.ndarray) -> tuple[int, float]:
    """Segment and fraction of the polyline's point nearest to the target; at least one segment from either end."""
    along = np.diff(points, axis=0)
    t = np.clip(((target - points[:-1]) * along).sum(1) / np.maximum((along**2).sum(1), 1e-12), 0, 1)
    distance = np.linalg.norm(points[:-1] + t[:, None] * along - target, axis=1)
    segment = int(distance[1:-1].argmin()) + 1
    return segment, float(np.clip(t[segment], 0.25, 0.75))


def _triangle_between(patch: Patch, edges: np.ndarray) -> np.ndarray:
    """(m-1,) the triangle that holds both of two consecutive edges (m,2) of a chain."""
    around: dict[tuple[int, int], list[int]] = {}
    on_chain = np.zeros(len(patch.points), bool)
    on_chain[edges] = True
    for row in np.flatnonzero(on_chain[patch.triangles].sum(1) >= 2).tolist():
        a, b, c = patch.triangles[row].tolist()
        for pair in ((a, b), (b, c), (c, a)):
            around.setdefault((min(pair), max(pair)), []).append(row)
    keys = [tuple(sorted(edge)) for edge in edges.tolist()]
    return np.array([next(iter(set(around[a]) & set(around[b]))) for a, b in pairwise(keys)])


def _barycentric(triangle: np.ndarray, edge: np.ndarray, fraction: float) -> np.ndarray:
    return np.where(triangle == edge[0], 1 - fraction, 0.0) + np.where(triangle == edge[1], fraction, 0.0)


def find(patch: Patch, landmarks: np.ndarray) -> LipLine:
    """The lip line on a refined patch; landmarks (68,3) in mm. LandmarkError where there is none."""
    curve = mouth_curve(landmarks)
    for band in BANDS:
        field = lip_field(patch, curve, band)
        edges, fraction = level_chain(patch, field, curve)
        curve = recentred(curve, _crossings(patch, edges, fraction))
    # A crossing close to a vertex would leave a sliver of a triangle that shades badly.
    fraction = np.clip(fraction, 0.12, 0.88)
    points = _crossings(patch, edges, fraction)
    first, t_first = _nearest_on_chain(points, landmarks[RIGHT_CORNER])
    last, t_last = _nearest_on_chain(points, landmarks[LEFT_CORNER])
    if last - first < 4:
        raise LandmarkError(
            "The mouth corners (landmarks 60 and 64) lie at the same point; place them on the face again."
        )
    triangles = _triangle_between(patch, edges)
    ends = []
    for segment, t in ((first, t_first), (last, t_last)):
        corners = patch.triangles[triangles[segment]]
        start = _barycentric(corners, edges[segment], fraction[segment])
        end = _barycentric(corners, edges[segment + 1], fraction[segment + 1])
        place = np.maximum((1 - t) * start + t * end, _INSIDE)  # a sliver at the corner turns over as the lips part
        ends.append(place / place.sum())
    inner = slice(first + 1, last + 1)
    return LipLine(triangles[first : last + 1], edges[inner], fraction[inner], np.array(ends), field)
