"""The inner wall of a hollow scan, as it is made for printing or thickened: it turns its back to the face."""

import numpy as np
from scipy.spatial import cKDTree

from ..binding import handles
from ..landmarks import LIPS
from ..surface import raster
from ..surface.mesh import connected_components, weld

#: An inner wall is at least so much of the mouth's and of the face's width and height.
_AS_LARGE = 0.8
#: What is nearest to places so far ahead of the lips is skin (mm): landmarks are less off, microphones further away.
_AHEAD = 3.0
#: Of a wall that is joined to the skin so much goes, along the surface from the mouth (mm): what could come through a
#: face that moves. Farther away, holes are short cuts from one wall to the other.
_FAR = 135.0


def find(points: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Triangles (w,) of the wall; none where there is no wall.

    points (V,3), triangles (F,3), landmarks (68,3), canonical mm; rows: triangles around the mouth. Where both walls
    are one surface, joined at a neck, a mask's edge or a hole, each is what is nearer, along the surface, to its own
    place at the mouth.
    """
    none = np.empty(0, int)
    corners = points[triangles[rows]]
    normal, middle = raster.triangle_normals(corners)[:, 2], corners.mean(1)
    mouth = landmarks[LIPS]
    ahead = normal * normal[cKDTree(middle).query(mouth + [0, 0, _AHEAD])[1]].sum() > 0
    within = ((middle > mouth.min(0)) & (middle < mouth.max(0)))[:, :2].all(1)
    seen = np.abs(normal[within & ~ahead]).sum() / 2
    if seen < _AS_LARGE * np.prod(np.ptp(mouth[:, :2], axis=0)) or not (within & ahead).any():
        return none
    sound = np.flatnonzero(np.isfinite(points[triangles]).all((1, 2)))
    joined = triangles.copy()
    joined[sound] = weld(points, triangles[sound])[triangles[sound]]
    graph = handles.edge_graph(points, joined[sound])
    skin, wall = (handles.edge_distance(graph, joined[rows[within & side]], np.inf) for side in (ahead, ~ahead))
    found = sound[((wall < skin) & ((wall < _FAR) | np.isinf(skin)))[joined[sound]].all(1)]
    piece = connected_components(joined[found], len(points))[joined[found, 0]]
    order = np.argsort(piece, kind="stable")
    parts = np.split(found[order], np.flatnonzero(np.diff(piece[order])) + 1)
    return np.concatenate([none, *(part for part in parts if _large(points[triangles[part]], landmarks))])


def _large(corners: np.ndarray, landmarks: np.ndarray) -> bool:
    """Whether triangles with corners (f,3,3) reach as far up and down, left and right as a face."""
    reach = np.ptp(corners.reshape(-1, 3)[:, :2], axis=0) if len(corners) else np.zeros(2)
    return bool((reach > np.ptp(landmarks[:, :2], axis=0) * _AS_LARGE).all())
