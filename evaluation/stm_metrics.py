"""What a dense motion is judged by: regions that any mesh has, and errors in millimetres on them.

Lengths are canonical; millimetres are those of a face whose outer eye corners are 90 mm apart.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from freetalk_blender.core import raster, spectral
from freetalk_blender.core.frame import EYE_DISTANCE_MM

#: Yaw and pitch (degrees) of the views from which skin counts as visible.
_VIEWS = ((0, 0), (-45, 0), (45, 0), (0, 35), (0, -35))
#: The front of the face reaches this far above the brows (canonical units).
FOREHEAD = 0.2
#: A vertex is at rest when it truly moves less than this (mm).
_REST_MM = 0.01


@dataclass(frozen=True)
class Regions:
    """Boolean masks (V,): front of the face, lips (vermilion), lids; area (V,) of each vertex, canonical units²."""

    front: np.ndarray
    lips: np.ndarray
    lids: np.ndarray
    area: np.ndarray


@dataclass(frozen=True)
class Scores:
    """Per frame (T,): area-weighted mean error (mm) of front, lips, lids; 95th percentile of the front; worst squared
    lip error (mm², its mean over frames is the LVE); largest motion (mm) of what should not move."""

    front: np.ndarray
    lips: np.ndarray
    lids: np.ndarray
    p95: np.ndarray
    worst_lip: np.ndarray
    far: np.ndarray

    def row(self) -> dict[str, float]:
        """The numbers of a table."""
        return {
            "front": float(self.front.mean()),
            "p95": float(self.p95.mean()),
            "lips": float(self.lips.mean()),
            "lids": float(self.lids.mean()),
            "LVE": float(self.worst_lip.mean()),
            "far": float(self.far.max()),
        }


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
    plane, depth = vertices[:, :2], vertices[:, 2]
    forehead = points[17:27, :2] + [0, FOREHEAD]
    front = seen & _inside(plane, np.concatenate([points[:, :2], forehead])) & (depth > points[:17, 2].min())
    outer = points[48:60]
    lips = seen & _inside(plane, _grown(outer[:, :2], 1.1)) & (depth > outer[:, 2].min() - 0.05)
    lids = np.zeros(len(vertices), bool)
    for eye in (points[36:42], points[42:48]):
        lids |= seen & _inside(plane, _grown(eye[:, :2], 1.5)) & (depth > eye[:, 2].min() - 0.06)
    _, area = spectral.laplacian(vertices, triangles)
    return Regions(front, lips, lids, area)


def scores(found: np.ndarray, truth: np.ndarray, where: Regions, real: np.ndarray | None = None) -> Scores:
    """Compare displacements (T,V,3); `real` (V,) masks vertices whose truth is known."""
    known = np.ones(truth.shape[1], bool) if real is None else real
    distance = np.linalg.norm(found - truth, axis=2) * EYE_DISTANCE_MM

    def mean(mask: np.ndarray) -> np.ndarray:
        mask = mask & known
        return distance[:, mask] @ where.area[mask] / where.area[mask].sum()

    rest = (np.linalg.norm(truth, axis=2).max(0) * EYE_DISTANCE_MM < _REST_MM) & ~where.front
    still = np.linalg.norm(found[:, rest], axis=2) * EYE_DISTANCE_MM
    return Scores(
        mean(where.front),
        mean(where.lips),
        mean(where.lids),
        np.percentile(distance[:, where.front & known], 95, axis=1),
        distance[:, where.lips & known].max(1) ** 2,
        still.max(1, initial=0.0),
    )


def joined(parts: list[Scores]) -> Scores:
    """Frames of several faces one after the other."""
    return Scores(*(np.concatenate([getattr(part, field) for part in parts]) for field in Scores.__dataclass_fields__))
