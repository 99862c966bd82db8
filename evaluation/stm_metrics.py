"""What a dense motion is judged by: regions that any mesh has, and errors in millimetres on them.

Lengths are canonical; millimetres are those of a face whose outer eye corners are 90 mm apart.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

from freetalk_blender.core import handles, raster, spectral
from freetalk_blender.core.frame import EYE_DISTANCE_MM

#: Yaw and pitch (degrees) of the views from which skin counts as visible.
_VIEWS = ((0, 0), (-45, 0), (45, 0), (0, 35), (0, -35))
#: The front of the face reaches this far above the brows (canonical units).
FOREHEAD = 0.2
#: Ears and skull lie this far behind the ends of the jaw line, above the base of the nose (canonical units).
BACK = 0.15
#: A vertex is at rest when it truly moves less than this (mm).
_REST_MM = 0.01
#: Normals and edges are compared in every so many-th frame.
SOME = 4
#: Regions, in the order of `Scores.mean`.
NAMES = ("front", "lips", "eyelids", "brows", "cheeks", "jaw", "neck and beyond")


@dataclass(frozen=True)
class Regions:
    """masks (R,V) bool, one row for each of NAMES; still (V,) bool: ears, skull, clothes; area (V,) of each vertex,
    canonical units²; edges (E,2) and triangles (F,3) of the front."""

    masks: np.ndarray
    still: np.ndarray
    area: np.ndarray
    edges: np.ndarray
    triangles: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.masks[NAMES.index(name)]


@dataclass(frozen=True)
class Scores:
    """Per frame, T frames. mean, p95, motion (T,R): area-weighted mean and 95th percentile of the error and mean true
    motion (mm) of each region, NaN where a mesh has none of it. everywhere (T,): mean error of all vertices (its mean
    is the MVE); worst_lip (T,): worst squared lip error (mm², its mean is the LVE). normal, stretch (T / SOME,): mean
    angle (degrees) between found and true normals of the front's triangles, and 99th percentile of |log(found / true
    length)| of its edges. resting, still (T,): largest motion (mm) of whatever truly rests outside the front, and of
    ears, skull and clothes, whatever their truth is."""

    mean: np.ndarray
    p95: np.ndarray
    motion: np.ndarray
    everywhere: np.ndarray
    worst_lip: np.ndarray
    normal: np.ndarray
    stretch: np.ndarray
    resting: np.ndarray
    still: np.ndarray

    def of(self, name: str) -> np.ndarray:
        """(T,) mean error of one region."""
        return self.mean[:, NAMES.index(name)]

    def row(self) -> dict[str, float]:
        """The numbers of a table."""
        return {
            "front": float(np.nanmean(self.of("front"))),
            "p95": float(np.nanmean(self.p95[:, 0])),
            "lips": float(np.nanmean(self.of("lips"))),
            "lids": float(np.nanmean(self.of("eyelids"))),
            "LVE": float(self.worst_lip.mean()),
            "MVE": float(self.everywhere.mean()),
            "normal": float(self.normal.mean()),
            "stretch": float(self.stretch.mean()),
            "resting": float(self.resting.max()),
            "still": float(self.still.max()),
        }

    def regions(self) -> list[tuple[str, float, float, float]]:
        """Name, mean error (mm), 95th percentile (mm) and error as a share of the motion of every region."""
        return [
            (
                name,
                float(np.nanmean(self.mean[:, k])),
                float(np.nanmean(self.p95[:, k])),
                float(np.nansum(self.mean[:, k]) / np.nansum(self.motion[:, k])),
            )
            for k, name in enumerate(NAMES)
        ]


def _inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(P,) bool: points (P,2) inside the convex hull of polygon (N,2)."""
    hull = ConvexHull(polygon)
    return (points @ hull.equations[:, :2].T + hull.equations[:, 2] <= 0).all(1)


def _grown(points: np.ndarray, factor: float) -> np.ndarray:
    centre = points.mean(0)
    return centre + factor * (points - centre)


def visible(vertices: np.ndarray, triangles: np.ndarray, size: int = 500) -> np.ndarray:
    """(V,) bool: corners of triangles that are seen from in front, from the sides, from above or below."""
    seen = np.zeros(len(vertices), bool)
    for yaw, pitch in np.radians(_VIEWS):
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        moved = (vertices - [0, -0.2, 0]) @ (nod @ turn).T / 1.6
        inside = (np.abs(moved[triangles][..., :2]) < 1).all((1, 2))
        chosen = np.flatnonzero(inside)
        image = raster.render(moved.astype(np.float32), triangles[chosen], size)
        seen[triangles[chosen[np.unique(image.triangle[image.seen])]]] = True
    return seen


def regions(vertices: np.ndarray, triangles: np.ndarray, landmark_vertices: np.ndarray) -> Regions:
    """Regions of a neutral mesh (V,3), (F,3) in canonical units, from its 68 landmarks and what can be seen of it."""
    points = vertices[landmark_vertices]
    seen = visible(vertices, triangles)
    plane, height, depth = vertices[:, :2], vertices[:, 1], vertices[:, 2]
    brow = points[17:27, :2]
    front = seen & _inside(plane, np.concatenate([points[:, :2], brow + [0, FOREHEAD]]))
    front &= depth > points[:17, 2].min()
    outer = points[48:60]
    lips = seen & _inside(plane, _grown(outer[:, :2], 1.1)) & (depth > outer[:, 2].min() - 0.05)
    lids = np.zeros(len(vertices), bool)
    for eye in (points[36:42], points[42:48]):
        lids |= seen & _inside(plane, _grown(eye[:, :2], 1.5)) & (depth > eye[:, 2].min() - 0.06)
    mouth, eyes = points[[48, 54], 1].mean(), points[36:48, 1].min()
    nose = _inside(plane, _grown(points[27:36, :2], 1.3))
    brows = front & ~lids & _inside(plane, np.concatenate([brow + [0, 0.1], brow - [0, 0.06]]))
    cheeks = front & ~lids & ~lips & ~nose & (height > mouth) & (height < eyes)
    jaw = front & ~lips & (height <= mouth)
    graph = handles.edge_graph(vertices, triangles)
    part = connected_components(graph, directed=False)[1]
    behind = (depth < points[[0, 16], 2].min() - BACK) & (height > points[33, 1])
    _, area = spectral.laplacian(vertices, triangles)
    edges = np.stack(graph.nonzero(), 1)
    return Regions(
        np.stack([front, lips, lids, brows, cheeks, jaw, ~front & ~lips & ~lids]),
        behind | ~np.isin(part, part[landmark_vertices]),
        area,
        edges[front[edges].all(1)],
        triangles[front[triangles].all(1)],
    )


def scores(
    found: np.ndarray, truth: np.ndarray, neutral: np.ndarray, where: Regions, real: np.ndarray | None = None
) -> Scores:
    """Compare displacements (T,V,3) of a neutral mesh (V,3); `real` (V,) masks vertices whose truth is known."""
    known = np.ones(truth.shape[1], bool) if real is None else real
    distance = np.linalg.norm(found - truth, axis=2) * EYE_DISTANCE_MM
    size = np.linalg.norm(truth, axis=2) * EYE_DISTANCE_MM
    share = where.masks * known * where.area
    with np.errstate(invalid="ignore"):
        share = (share / share.sum(1, keepdims=True)).T
    p95 = [_percentile(distance[:, mask & known]) for mask in where.masks]
    rest = (size.max(0) < _REST_MM) & ~where["front"] & (known | where.still)
    moved = np.linalg.norm(found, axis=2) * EYE_DISTANCE_MM
    edges = where.edges[known[where.edges].all(1)]
    triangles = where.triangles[known[where.triangles].all(1)]
    some = range(0, len(truth), SOME)
    compared = [_compare(neutral + found[k], neutral + truth[k], edges, triangles) for k in some]
    normal, stretch = np.array(compared).T
    return Scores(
        distance @ share,
        np.stack(p95, 1),
        size @ share,
        distance[:, known].mean(1),
        distance[:, where["lips"] & known].max(1) ** 2,
        normal,
        stretch,
        moved[:, rest].max(1, initial=0.0),
        moved[:, where.still].max(1, initial=0.0),
    )


def _percentile(distance: np.ndarray) -> np.ndarray:
    return np.percentile(distance, 95, axis=1) if distance.shape[1] else np.full(len(distance), np.nan)


def _compare(found: np.ndarray, true: np.ndarray, edges: np.ndarray, triangles: np.ndarray) -> tuple[float, float]:
    """`normal` and `stretch` of one frame; found and true (V,3)."""
    cosine = (_normals(found[triangles]) * _normals(true[triangles])).sum(1)
    length = [np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1) for points in (found, true)]
    ratio = np.maximum(length[0], 1e-6) / np.maximum(length[1], 1e-6)
    return float(np.degrees(np.arccos(cosine.clip(-1, 1))).mean()), float(np.percentile(np.abs(np.log(ratio)), 99))


def _normals(corners: np.ndarray) -> np.ndarray:
    """(F,3) unit normals of corners (F,3,3)."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


def joined(parts: list[Scores]) -> Scores:
    """Frames of several faces one after the other."""
    return Scores(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Scores)))
