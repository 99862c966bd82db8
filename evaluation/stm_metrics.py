"""What a dense motion is judged by: errors in millimetres on regions that any mesh has.

Lengths are canonical; millimetres are those of a face whose outer eye corners are 90 mm apart.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy.sparse.csgraph import connected_components

from freetalk_blender.core import face_regions
from freetalk_blender.core.binding import handles
from freetalk_blender.core.face_regions import NAMES
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.surface import spectral

#: Ears and skull lie this far behind the ends of the jaw line, above the base of the nose (canonical units).
BACK = 0.15
#: A vertex is at rest when it truly moves less than this (mm).
_REST_MM = 0.01
#: Normals and edges are compared in every so many-th frame.
SOME = 4


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


def regions(vertices: np.ndarray, triangles: np.ndarray, landmark_vertices: np.ndarray) -> Regions:
    """Regions of a neutral mesh (V,3), (F,3) in canonical units, from its 68 landmarks and what can be seen of it."""
    points = vertices[landmark_vertices]
    depth, height = vertices[:, 2], vertices[:, 1]
    masks = face_regions.masks(vertices, triangles, points)
    front = masks[NAMES.index("front")]
    graph = handles.edge_graph(vertices, triangles)
    part = connected_components(graph, directed=False)[1]
    behind = (depth < points[[0, 16], 2].min() - BACK) & (height > points[33, 1])
    _, area = spectral.laplacian(vertices, triangles)
    edges = np.stack(graph.nonzero(), 1)
    return Regions(
        masks,
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
