"""Regions of a face that any mesh has: lips, eyelids, brows, cheeks, jaw, told by its landmarks and by what is seen.

Motion is judged on them. Lengths are canonical (frame.py).
"""

import numpy as np
from scipy.spatial import ConvexHull

from .surface import raster

#: The rows of `masks`.
NAMES = ("front", "lips", "eyelids", "brows", "cheeks", "jaw", "neck and beyond")
#: Yaw and pitch (degrees) of the views from which skin counts as visible, and the pixels of each.
_VIEWS, _SIZE = ((0, 0), (-45, 0), (45, 0), (0, 35), (0, -35)), 500
#: The front of the face reaches this far above the brows (canonical units).
FOREHEAD = 0.2


def masks(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(R,V) bool, a row for each of NAMES: regions of a neutral mesh (V,3), (F,3), from its landmarks (68,3)."""
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
    return np.stack([front, lips, lids, brows, cheeks, jaw, ~front & ~lips & ~lids])


def visible(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V,) bool: corners of triangles that are seen from in front, from the sides, from above or below."""
    seen = np.zeros(len(vertices), bool)
    for yaw, pitch in np.radians(_VIEWS):
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        moved = (vertices - [0, -0.2, 0]) @ (nod @ turn).T / 1.6
        inside = (np.abs(moved[triangles][..., :2]) < 1).all((1, 2))
        chosen = np.flatnonzero(inside)
        image = raster.render(moved.astype(np.float32), triangles[chosen], _SIZE)
        seen[triangles[chosen[np.unique(image.triangle[image.seen])]]] = True
    return seen


def _inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(P,) bool: points (P,2) inside the convex hull of polygon (N,2)."""
    hull = ConvexHull(polygon)
    return (points @ hull.equations[:, :2].T + hull.equations[:, 2] <= 0).all(1)


def _grown(points: np.ndarray, factor: float) -> np.ndarray:
    centre = points.mean(0)
    return centre + factor * (points - centre)
