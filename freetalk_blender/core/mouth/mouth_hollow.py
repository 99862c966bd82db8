"""The hollow that a scan has behind lips that are modelled apart, found and told from the skin.

A loop through the inner-lip landmarks, along the shortest edges, parts the surface into the face and what lies behind
the lips. There it is painted dark from a smooth line inside the lips on: the triangles under that line are split, so
that the edge does not follow the mesh.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import dijkstra

from ..binding import handles
from ..errors import MeshError
from ..frame import frame_in_mm
from ..landmarks import LIPS, nearest_vertices
from ..surface import mesh
from ..surface.boundary import boundary_vertices
from . import jaw, mouth_curve
from .opened_mouth import HOLLOW, NEITHER, SKIN, OpenedMouth

#: The inner lips, once around.
_LOOP = (60, 61, 62, 63, 64, 65, 66, 67, 60)
#: A hollow is at least so deep; dark begins so far behind the lips; nothing of a mouth lies further away (mm).
DEEP, DARK, _FAR = 12.0, 5.0, 70.0
#: A split keeps this share of an edge on either side: no slivers.
_SHARE = 0.08


@dataclass(frozen=True)
class Hollow:
    """behind (V,) bool: the mesh's vertices behind the lips; depth (V,): mm behind the lip line, for all; deepest: of
    those behind, mm; open_behind: the surface ends there in a hole; parts: loose parts inside, such as teeth."""

    behind: np.ndarray
    depth: np.ndarray
    deepest: float
    open_behind: bool
    parts: int

    @property
    def own(self) -> bool:
        """A cavity of its own that nothing fills yet; a scanner, or a program that decimates, may have torn it."""
        return self.deepest > DEEP and not self.parts


def find(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> Hollow:
    """What lies behind lips that are apart. vertices (V,3), triangles (F,3) with finite corners, landmarks (68,3).

    Raises LandmarkError and MeshError where there is no mouth at the landmarks.
    """
    cleaned = mesh.clean(vertices, triangles)
    frame = frame_in_mm(landmarks)
    points = frame.to_canonical(cleaned.vertices.astype(float))
    placed = frame.to_canonical(np.asarray(landmarks, float))
    curve = mouth_curve.mouth_curve(placed)
    depth = -curve.in_front(points)
    rim = _rim(points, cleaned.triangles, handles.landmark_vertices(landmarks, cleaned.vertices, cleaned.triangles))
    free = ~np.isin(cleaned.triangles, rim).any(1)
    labels = mesh.connected_components(cleaned.triangles[free], len(points))
    at_rim = np.unique(labels[cleaned.triangles[~free]])
    face = np.bincount(labels[np.setdiff1d(nearest_vertices(placed[:48], points), rim)]).argmax()
    size = np.bincount(labels)
    behind = np.isin(labels, [label for label in at_rim if label != face and size[label] > 3])
    behind[rim] = False
    inside = behind & (np.linalg.norm(points - placed[LIPS].mean(0), axis=1) < _FAR)
    border = boundary_vertices(cleaned.triangles)
    deepest = float(depth[inside].max(initial=0.0))
    return Hollow(
        cleaned.to_caller(behind[:, None])[:, 0],
        cleaned.to_caller(depth[:, None])[:, 0],
        deepest,
        bool(np.isin(border, np.flatnonzero(inside)).any()),
        len(jaw.parts_inside(points, cleaned, placed)),
    )


def _rim(points: np.ndarray, triangles: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Vertices of the shortest loop along edges through the inner-lip landmarks' vertices; MeshError where torn."""
    near = np.linalg.norm(points - points[chosen[60:68]].mean(0), axis=1) < _FAR
    graph = handles.edge_graph(points, triangles[near[triangles].all(1)])
    rim = [int(chosen[60])]
    for start, end in pairwise(chosen[list(_LOOP)].tolist()):
        before = dijkstra(graph, False, start, return_predecessors=True, limit=_FAR)[1]
        leg = [end]
        while leg[-1] != start:
            leg.append(int(before[leg[-1]]))
            if leg[-1] < 0:
                raise MeshError("The lips lie on different pieces of the mesh; join the pieces of the face first.")
        rim += leg[::-1][1:]
    return np.unique(rim)


def darkened(vertices: np.ndarray, triangles: np.ndarray, hollow: Hollow) -> OpenedMouth:
    """The mesh with the inside of its own mouth told apart (HOLLOW) by a smooth line DARK behind the lips."""
    level = np.where(hollow.behind, hollow.depth - DARK, np.minimum(hollow.depth - DARK, -0.5))
    return split_at(vertices, triangles, level, hollow.behind)


def split_at(vertices: np.ndarray, triangles: np.ndarray, level: np.ndarray, where: np.ndarray) -> OpenedMouth:
    """The mesh (V,3), (F,3) with its triangles split along level 0: HOLLOW where `level` (V,) is above, SKIN below.

    where (V,) bool: triangles with a corner there may be split, and are HOLLOW where all corners are.
    """
    level = np.where(level == 0, 1e-6, level)
    faces = np.asarray(triangles)
    crossed = (np.ptp(np.sign(level[faces]), axis=1) > 0) & where[faces].any(1)
    dark = (level[faces] > 0).all(1) & where[faces].all(1)
    edges, share, pieces, owner, part = _split(faces, np.flatnonzero(crossed), level)
    kept = np.flatnonzero(~crossed)
    count, added = len(vertices), len(edges)
    rows = np.repeat(np.arange(added), 2)
    weights = np.stack([1 - share, share], 1).ravel()
    local = sparse.csr_matrix((weights, (rows, edges.ravel())), (added, count))
    source = sparse.vstack([sparse.identity(count, format="csr"), local], "csr")
    finite = np.where(np.isfinite(vertices), vertices, 0).astype(float)
    places = np.concatenate([np.asarray(vertices, np.float32), (local @ finite).astype(np.float32)])
    return OpenedMouth(
        vertices=places,
        triangles=np.concatenate([faces[kept], pieces]).astype(np.int32),
        kept=len(kept),
        triangle_source=np.concatenate([kept, owner]).astype(np.int32),
        corner_weights=_corner_weights(faces[owner], pieces, edges, share, count),
        source=source,
        part=np.concatenate([np.where(dark[kept], HOLLOW, SKIN), part]).astype(np.int8),
        side=np.full(count + added, NEITHER, np.int8),
        upper_rim=np.empty(0, int),
        lower_rim=np.empty(0, int),
        skin_count=count + added,
        carry=sparse.csr_matrix((0, count + added)),
        landmark_vertices=np.empty(0, np.int32),
    )


def _split(
    faces: np.ndarray, rows: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The triangles `rows` split where the level is 0.

    Edges (N,2) that get a vertex, numbered on from the old ones, and the share (N,) along each; triangles (g,3), the
    row (g,) of each and its part (g,). A loop over the hundred or so around the lips.
    """
    number: dict[tuple[int, int], int] = {}
    pieces: list[tuple[int, ...]] = []
    owner: list[int] = []
    part: list[int] = []

    def at(a: int, b: int) -> int:
        return number.setdefault((min(a, b), max(a, b)), len(level) + len(number))

    for row in rows.tolist():
        corners = faces[row].tolist()
        alone = next(k for k in range(3) if sum((level[corners[k]] > 0) == (level[c] > 0) for c in corners) == 1)
        a, b, c = (corners[(alone + k) % 3] for k in range(3))
        p, q = at(a, b), at(a, c)
        pieces += [(a, p, q), (p, b, c), (p, c, q)]
        owner += [row] * 3
        tip = level[a] > 0
        part += [HOLLOW if tip else SKIN, *[SKIN if tip else HOLLOW] * 2]
    edges = np.array(list(number), int).reshape(-1, 2)
    ends = level[edges]
    share = np.clip(ends[:, 0] / (ends[:, 0] - ends[:, 1]), _SHARE, 1 - _SHARE)
    return edges, share, np.array(pieces, int).reshape(-1, 3), np.array(owner, int), np.array(part, int)


def _corner_weights(
    sources: np.ndarray, pieces: np.ndarray, edges: np.ndarray, share: np.ndarray, count: int
) -> np.ndarray:
    """(g,3,3) barycentric weights of the corners of `pieces` in their source triangles (g,3)."""
    new = pieces >= count
    edge = np.where(new, pieces - count, 0)
    ends = np.where(new[..., None], edges[edge], pieces[..., None])
    part = np.where(new, share[edge], 0.0)
    weights = np.zeros((*pieces.shape, 3))
    for k in range(3):
        weights[..., k] += (1 - part) * (ends[..., 0] == sources[:, None, k])
        weights[..., k] += part * (ends[..., 1] == sources[:, None, k])
    return weights
