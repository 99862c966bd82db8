"""How deep lips lie in each other, on their surfaces: every vertex of a lip against the triangles of the other."""

import numpy as np
from scipy.spatial import cKDTree

from freetalk_blender.core.surface import raster

#: Triangles looked at around each vertex; beyond so many mm above or below a vertex a surface is another fold.
_NEAR, _FAR = 24, 5.0
#: Skin faces the other lip where its normal leans up or down by more than this.
_FACING = 0.2


def clearance(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, up: float) -> np.ndarray:
    """(N,) distance of points (N,3) from the surface straight below (up 1) or above (up -1) them, measured along that
    surface's normal, negative where they lie within the lip; inf where there is no surface.

    vertices (V,3), triangles (F,3): the other lip, y up.
    """
    found = np.full(len(points), np.inf)
    corners = vertices[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1)
    lean = normal[:, 1] / np.maximum(length, 1e-12)
    corners, lean = corners[lean * up > _FACING], np.abs(lean[lean * up > _FACING])
    if not len(corners) or not len(points):
        return found
    plan = corners[:, :, [0, 2]]
    _, near = cKDTree(plan.mean(1)).query(points[:, [0, 2]], min(_NEAR, len(corners)))
    near = near.reshape(len(points), -1)
    first, along, across = plan[near, 0], plan[near, 1] - plan[near, 0], plan[near, 2] - plan[near, 0]
    offset = points[:, None, [0, 2]] - first
    area = along[..., 0] * across[..., 1] - along[..., 1] * across[..., 0]
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    v = (offset[..., 0] * across[..., 1] - offset[..., 1] * across[..., 0]) / area
    w = (along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0]) / area
    height = corners[near, :, 1]
    height = height[..., 0] + v * (height[..., 1] - height[..., 0]) + w * (height[..., 2] - height[..., 0])
    gap = up * (points[:, None, 1] - height)
    gap[(np.minimum(np.minimum(v, w), 1 - v - w) < -1e-6) | (np.abs(gap) > _FAR)] = np.inf
    nearest = np.abs(gap).argmin(1)
    rows = np.arange(len(points))
    return gap[rows, nearest] * lean[near[rows, nearest]]


def lip_clearance(
    vertices: np.ndarray, triangles: np.ndarray, side: np.ndarray, edge: np.ndarray | None = None
) -> np.ndarray:
    """(V,) clearance of every lip vertex that faces the other lip from it, in the unit of vertices (V,3), y up; inf
    elsewhere.

    triangles (F,3): the skin; side (V,): +1 upper lip, -1 lower; edge (n,): vertices at the end of a lip's skin, which
    meet the other lip whichever way they face.
    """
    lean = raster.vertex_normals(vertices, triangles)[:, 1] * side
    if edge is not None:
        lean[edge] = -1
    found = np.full(len(vertices), np.inf)
    for sign in (1, -1):
        mine = np.flatnonzero((side == sign) & (lean < -_FACING))
        other = triangles[(side[triangles] == -sign).all(1)]
        found[mine] = clearance(vertices[mine], vertices, other, float(sign))
    return found
