"""The lip line of a scan whose lips the scanner fused: a smooth curve on the surface from mouth corner to mouth corner.

The skin around the mouth is cut out as a small patch in millimetres, refined where it is coarse, and split into an
upper and a lower lip by a random walker (Grady 2006, "Random walks for image segmentation") on its vertices: a walk
started at a vertex hardly ever steps across a concave crease, so the level set at which it is as likely to reach the
upper lip as the lower one runs along the crease, and where there is none along the landmarks.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy.sparse as sparse
from scipy.interpolate import PchipInterpolator
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from .borders import border_edges, edges_of, filled, loops
from .errors import LandmarkError, MeshError
from .frame import EYE_DISTANCE_MM, Similarity, canonical_frame
from .mesh import connected_parts

INNER_UPPER, INNER_LOWER = np.array([61, 62, 63]), np.array([67, 66, 65])
OUTER_UPPER, OUTER_LOWER = np.array([49, 50, 51, 52, 53]), np.array([59, 58, 57, 56, 55])
RIGHT_CORNER, LEFT_CORNER = 60, 64
LIPS, OUTER_LIPS = np.arange(48, 68), np.arange(48, 60)

#: How far the patch reaches beyond the lip landmarks: sideways, up and down, backward and forward (mm).
MARGIN = np.array([12.0, 14.0, 25.0])
#: Border vertices closer than this are one point of the surface (mm).
WELD = 1e-3
#: Surfaces further behind the lips than this belong to a mouth cavity, teeth or the back of the head (mm).
DEPTH = 14.0
#: Longest edge on the lip line (mm); it may grow by SLOPE for each millimetre away from the line.
EDGE, SLOPE = 1.5, 0.5
#: Half-width of the band in which the crease is looked for, first round and after re-centring (mm).
BANDS = (5.0, 3.0)
#: Scale at which concavity is measured (mm): finer is scanner noise, coarser is the shape of the lips.
CREASE_SCALE = 0.8
#: A fold deeper than this behind the landmarks' line is no lip line (mm).
WEB = 2.0
#: How firmly the line is held halfway between the lips where no crease leads it.
PULL = 0.1
#: Scale below which the seam is straightened (mm).
SMOOTH = 1.5
#: How much rarer a step across the deepest crease is than one on flat skin: exp(-CREASE).
CREASE = 5.0


@dataclass(frozen=True)
class MouthCurve:
    """The mouth as the landmarks draw it, in canonical millimetres: y and z of the lip line as functions of x, and how
    far up and down from it the red of the lips reaches."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    up: float
    down: float

    def _at(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        inside = np.clip(x, self.x[0], self.x[-1])
        slopes = np.diff(values) / np.diff(self.x)
        beyond = np.where(x < inside, slopes[0], slopes[-1]) * 0.5 * (x - inside)
        return PchipInterpolator(self.x, values)(inside) + beyond

    def above(self, points: np.ndarray) -> np.ndarray:
        """(N,) height of points (N,3) over the curve at their x, mm."""
        return points[:, 1] - self._at(self.y, points[:, 0])

    def in_front(self, points: np.ndarray) -> np.ndarray:
        """(N,) distance of points (N,3) in front of the curve at their x, mm; beyond the corners, of the corner."""
        return points[:, 2] - PchipInterpolator(self.x, self.z)(np.clip(points[:, 0], self.x[0], self.x[-1]))

    def between_corners(self, points: np.ndarray, margin: float) -> np.ndarray:
        """(N,) bool: x at most `margin` mm beyond the corners."""
        return (points[:, 0] > self.x[0] - margin) & (points[:, 0] < self.x[-1] + margin)


@dataclass(frozen=True)
class Patch:
    """The skin around the mouth in canonical millimetres.

    points (P,3); triangles (f,3) into points; source (f,) the mesh's triangle each lies in; origin (O,) the mesh's
    vertices that the first O points are; weights (P,O) sparse, points = weights @ points[:O]. welded (V,): the first of
    the mesh's vertices at each one's place, where exporters split a surface along texture seams. spare (s,): triangles
    of the mesh that were left out since they repeat others or hang on an edge of two others.
    """

    points: np.ndarray
    triangles: np.ndarray
    source: np.ndarray
    origin: np.ndarray
    weights: sparse.csr_matrix
    welded: np.ndarray
    spare: np.ndarray


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


def frame_in_mm(landmarks: np.ndarray) -> Similarity:
    """The face's canonical frame with one unit = 1 mm of a face of eye distance 90 mm."""
    frame = canonical_frame(landmarks)
    return replace(frame, scale=frame.scale / EYE_DISTANCE_MM)


def mouth_curve(landmarks: np.ndarray) -> MouthCurve:
    """The lip line that landmarks (68,3) in mm draw; LandmarkError where they are no mouth."""
    inner = (landmarks[INNER_UPPER] + landmarks[INNER_LOWER]) / 2
    points = np.concatenate([landmarks[[RIGHT_CORNER]], inner, landmarks[[LEFT_CORNER]]])
    width = points[-1, 0] - points[0, 0]
    upright = landmarks[OUTER_UPPER, 1].mean() > landmarks[OUTER_LOWER, 1].mean()
    if not np.isfinite(landmarks).all() or width < 15 or not upright or (np.diff(points[:, 0]) < 0.05 * width).any():
        raise LandmarkError(
            "The lip landmarks (48-67) do not follow a mouth from corner to corner; place them on the face again."
        )
    up = landmarks[OUTER_UPPER[1:-1], 1].mean() - inner[:, 1].mean()
    down = inner[:, 1].mean() - landmarks[OUTER_LOWER[1:-1], 1].mean()
    return MouthCurve(points[:, 0], points[:, 1], points[:, 2], max(up, 0.0), max(down, 0.0))


def _compact(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used, index = np.unique(triangles, return_inverse=True)
    return used, index.reshape(-1, 3)


def mouth_patch(points: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> Patch:
    """The component of the skin that carries the mouth, cut out around it, without holes in the lips; all in mm.

    points (V,3), triangles (F,3), landmarks (68,3). MeshError where there is no skin at the mouth or the corners lie on
    different pieces.
    """
    mouth = landmarks[LIPS]
    near = ((points > mouth.min(0) - MARGIN) & (points < mouth.max(0) + MARGIN)).all(1)
    touching = np.flatnonzero(near[triangles].any(1))
    touching = touching[np.isfinite(points[triangles[touching]]).all((1, 2))]
    welded = _welded(points, triangles[touching])
    around = welded[triangles[touching]]
    distinct = (np.diff(np.sort(around, 1), axis=1) > 0).all(1)
    touching, around = touching[distinct], around[distinct]
    inner = near[around].all(1)
    spare = np.zeros(len(inner), bool)
    spare[inner] = _spare(around[inner])
    inner &= ~spare
    rows = touching[inner]
    if not len(rows):
        raise MeshError("There is no surface at the lip landmarks; are the landmarks those of this mesh?")
    used, local = _compact(around[inner])
    labels = connected_parts(local, len(used))
    # The outer lips choose the piece: a bubble that the scanner made inside the mouth is nearer to the inner ones.
    label = np.bincount(labels[cKDTree(points[used]).query(landmarks[OUTER_LIPS])[1]]).argmax()
    distance = cKDTree(points[used[labels == label]]).query(mouth)[0]
    if np.median(distance) > 12:
        raise MeshError("The lip landmarks do not lie on the surface; place them on the face again.")
    if distance[[RIGHT_CORNER - 48, LEFT_CORNER - 48]].max() > 15:
        raise MeshError("The two mouth corners lie on different pieces of the mesh; join the pieces of the face first.")
    keep = labels[local[:, 0]] == label
    inside, compact = _compact(local[keep])
    origin = used[inside]
    whole = sparse.identity(len(origin), format="csr")
    patch = Patch(points[origin], compact, rows[keep], origin, whole, welded, touching[spare])
    return _without_holes(patch, border_edges(around[~spare]), mouth_curve(landmarks))


def _spare(triangles: np.ndarray) -> np.ndarray:
    """(f,) bool: triangles that repeat another, and flaps that hang on an edge which two others share already."""
    spare = np.ones(len(triangles), bool)
    spare[np.unique(np.sort(triangles, 1), axis=0, return_index=True)[1]] = False
    for _ in range(2):
        sides = edges_of(triangles[~spare])[1]
        uses = np.bincount(sides.ravel())[sides]
        spare[~spare] = (uses > 2).any(1) & (uses == 1).any(1)
    return spare


def _welded(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V,) the first vertex at each vertex's place, on the borders of these triangles."""
    welded = np.arange(len(points))
    border = np.unique(border_edges(triangles))
    if len(border):
        pairs = cKDTree(points[border]).query_pairs(WELD, output_type="ndarray")
        graph = sparse.coo_matrix((np.ones(len(pairs), bool), tuple(pairs.T)), (len(border),) * 2)
        labels = connected_components(graph, directed=False)[1]
        welded[border] = border[np.unique(labels, return_index=True)[1]][labels]
    return welded


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
        if at_line.any() and length < 2.5 * (curve.x[-1] - curve.x[0]):
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
    middle = np.full(len(edges), -1)
    middle[marked] = len(patch.points) + np.arange(np.count_nonzero(marked))
    ends = edges[marked]
    points = np.concatenate([patch.points, patch.points[ends].mean(1)])
    weights = sparse.vstack([patch.weights, (patch.weights[ends[:, 0]] + patch.weights[ends[:, 1]]) * 0.5], "csr")
    triangles, source = [], []

    def emit(rows: np.ndarray, *corners: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        for corner in corners:
            triangles.append(np.stack(corner, 1))
            source.append(patch.source[rows])

    split = middle[sides]
    count = (split >= 0).sum(1)
    emit(np.flatnonzero(count == 0), tuple(patch.triangles[count == 0].T))
    for number in (1, 2, 3):
        rows = np.flatnonzero(count == number)
        # Turn each triangle so that its one split edge, or the first of its two, is edge 0-1.
        first = (split[rows] >= 0).argmax(1) if number == 1 else (np.argmin(split[rows] >= 0, 1) + 1) % 3
        turn = (first[:, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(patch.triangles[rows], turn, 1).T
        ab, bc, ca = np.take_along_axis(split[rows], turn, 1).T
        if number == 1:
            emit(rows, (a, ab, c), (ab, b, c))
        elif number == 2:
            emit(rows, (ab, b, bc))
            short = np.linalg.norm(points[a] - points[bc], axis=1) < np.linalg.norm(points[ab] - points[c], axis=1)
            emit(rows[short], *[tuple(x[short] for x in t) for t in ((a, ab, bc), (a, bc, c))])
            emit(rows[~short], *[tuple(x[~short] for x in t) for t in ((a, ab, c), (ab, bc, c))])
        else:
            emit(rows, (a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    return replace(
        patch, points=points, triangles=np.concatenate(triangles), source=np.concatenate(source), weights=weights
    )


def refine(patch: Patch, curve: MouthCurve, rounds: int = 6) -> Patch:
    """Halve edges near the curve until the seam can be smooth: EDGE mm on it, longer with the distance from it."""
    for _ in range(rounds):
        edges, sides = edges_of(patch.triangles)
        ends = patch.points[edges]
        length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
        heights = np.stack([curve.above(ends[:, 0]), curve.above(ends[:, 1])])
        crossing = heights[0] * heights[1] < 0
        away = np.where(crossing, 0, np.abs(heights).min(0))
        middle = ends.mean(1)
        beyond = np.maximum(np.maximum(curve.x[0] - middle[:, 0], middle[:, 0] - curve.x[-1]) - length / 2, 0)
        near = (away < BANDS[0] + 3) & (beyond < 6) & (np.abs(curve.in_front(middle)) < DEPTH)
        marked = near & (length > EDGE + SLOPE * np.maximum(away, beyond))
        if not marked.any():
            break
        patch = split_edges(patch, marked, edges, sides)
    return patch


# The field whose zero is the lip line ---------------------------------------------------------------------------------


def _edge_graph(edges: np.ndarray, values: np.ndarray, count: int) -> sparse.csr_matrix:
    graph = sparse.coo_matrix((values, (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    return graph + graph.T


def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(P,3) unit normals, area-weighted; zero where a vertex has no area."""
    corner = points[triangles]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    rows = triangles.ravel()
    total = np.stack([np.bincount(rows, np.repeat(normal[:, k], 3), len(points)) for k in range(3)], 1)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


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
    normals = vertex_normals(points, triangles)
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
    # A band of one height: the deepest crease in it is the lip line, however shallow the scanner left it.
    deepest = np.quantile(bend[between[edges].all(1)], 0.95) if between[edges].all(1).any() else 1.0
    # Far behind the lips a fold is where a scanner's web across the open mouth begins, and no lip line.
    depth = -curve.in_front(patch.points)[edges].mean(1)
    shallow = np.clip((WEB + 2 - depth) / 2, 0, 1)
    ease = np.exp(-CREASE * np.minimum(bend / max(deepest, 0.02), 1.0) * shallow)
    steps = _cotangents(patch.points, patch.triangles, sides, len(edges)) * ease
    graph = _edge_graph(edges, steps, count)
    corner = patch.points[patch.triangles]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1) / 2
    mass = np.bincount(patch.triangles.ravel(), np.repeat(area / 3, 3), count)
    prior = _halfway(patch.points, edges, np.where(in_band, 0, np.sign(height)))
    firm = PULL * np.where(front < -WEB, 20, 1)
    walker = _settled(graph, firm * mass / band**2, prior, in_band)
    # The crease of a scan is a zigzag of its edges: diffuse the two lips into each other to straighten the border.
    flat = _edge_graph(edges, _cotangents(patch.points, patch.triangles, sides, len(edges)), count)
    return _settled(flat, mass / SMOOTH**2, np.clip(4 * walker, -1, 1), in_band)


def _halfway(points: np.ndarray, edges: np.ndarray, lip: np.ndarray) -> np.ndarray:
    """(P,) in [-1,1]: 1 on the upper lip (lip > 0), -1 on the lower, between them by the way along the surface."""
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    graph = _edge_graph(edges, np.maximum(length, 1e-6), len(points))
    if not (lip > 0).any() or not (lip < 0).any():
        raise LandmarkError("The lip landmarks lie at the very edge of the surface; place them on the face again.")
    below, above = (dijkstra(graph, False, np.flatnonzero(lip == sign), min_only=True) for sign in (-1, 1))
    reached = np.isfinite(below) & np.isfinite(above)
    return np.divide(below - above, below + above, out=np.sign(lip).astype(float), where=reached)


def _settled(graph: sparse.csr_matrix, pull: np.ndarray, towards: np.ndarray, free: np.ndarray) -> np.ndarray:
    """(P,) values that differ least along the graph's edges while pulled `towards`; kept there where not `free`."""
    system = (sparse.diags(np.asarray(graph.sum(1)).ravel() + pull) - graph).tocsr()[free]
    values = towards.copy()
    right = pull[free] * towards[free] - system[:, ~free] @ towards[~free]
    values[free] = spsolve(system[:, free].tocsc(), right)
    return values


# The zero level set as a path -----------------------------------------------------------------------------------------


def _walk(links: np.ndarray, count: int) -> list[np.ndarray]:
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
    for chain in _walk(links, len(edges)):
        on = _crossings(patch, ordered[chain], fraction[chain])
        inside = curve.between_corners(on, 0) & (np.abs(curve.in_front(on)) < DEPTH)
        covered = np.ptp(on[inside, 0]) if inside.sum() > 1 else 0.0
        if covered > span:
            best, span = chain, covered
    if span < 0.85 * (curve.x[-1] - curve.x[0]):
        raise LandmarkError(
            "No lip line runs from one mouth corner to the other; check the lip landmarks and close holes at the mouth."
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
        raise LandmarkError("The mouth corners (landmarks 60 and 64) fall together; place them on the face again.")
    triangles = _triangle_between(patch, edges)
    ends = []
    for segment, t in ((first, t_first), (last, t_last)):
        corners = patch.triangles[triangles[segment]]
        start = _barycentric(corners, edges[segment], fraction[segment])
        end = _barycentric(corners, edges[segment + 1], fraction[segment + 1])
        ends.append((1 - t) * start + t * end)
    inner = slice(first + 1, last + 1)
    return LipLine(triangles[first : last + 1], edges[inner], fraction[inner], np.array(ends), field)
