"""The motion of a cut mouth's edges without kinks: each rim drawn as one stroke, the skin around the corners rounded.

A cut ends in a point, around which the motion of a surface has the steepest slope there is; vertices of a scan sample
it by chance, and the edge of an opening lip gets a kink, or a triangle at its end turns over. Each rim's motion is
smoothed along its length, corners held, and the skin beside it follows; then that of the skin around either corner is
smoothed as a whole. Both are linear, so they go into the binding's matrix.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from ..binding.stm import Binding
from ..surface import rows, spectral

#: Scale of the smoothing along the rim, and of how far into the lip the correction reaches (eye distances; 4 and 5 mm).
ALONG, ACROSS = 0.045, 0.055
#: Scale of the smoothing around a corner, how far from it the skin is smoothed, and how much further it is looked at
#: (eye distances; 1.5, 5 and 5 mm).
AROUND, REACH, _BEYOND = 0.0167, 0.055, 0.055
#: Steps of a rim shorter than this share of its mean step count as that long.
_SHORT = 0.1


def evened(
    binding: Binding, points: np.ndarray, rims: tuple[np.ndarray, ...], sides: tuple[np.ndarray, ...]
) -> Binding:
    """The binding with smooth rims; as it was where a stand-in is bound.

    points (V,3) of the bound mesh, canonical; rims: (n,) vertices of each from corner to corner; sides: (V,) bool,
    which vertices the lip has that belongs to each.
    """
    row = rows.numbered(binding.vertices, binding.bound_count)
    if binding.proxy is not None or any((row[rim] < 0).any() for rim in rims):
        return binding  # smoothing the coarse rims of a stand-in makes errors at the corners an eighth larger
    matrix = binding.matrix.reshape(len(binding.matrix), -1, 3).copy()
    for rim, side in zip(rims, sides, strict=True):
        change = _smoothing(points[rim]) - np.identity(len(rim))
        near = np.setdiff1d(np.flatnonzero(side & (row >= 0)), rim[[0, -1]])
        distance, nearest = cKDTree(points[rim]).query(points[near], distance_upper_bound=3 * ACROSS)
        near, nearest, distance = (values[distance < np.inf] for values in (near, nearest, distance))
        share = np.exp(-((distance / ACROSS) ** 2))[:, None] * change[nearest]
        moved = matrix[:, row[rim]].transpose(1, 0, 2).reshape(len(rim), -1)
        added = (share @ moved).reshape(len(near), len(matrix), 3).transpose(1, 0, 2)
        matrix[:, row[near]] += added.astype(matrix.dtype)
    return replace(binding, matrix=matrix.reshape(len(matrix), -1))


def rounded(binding: Binding, points: np.ndarray, triangles: np.ndarray, corners: np.ndarray) -> Binding:
    """The binding with smooth motion around the ends of a cut.

    points (V,3), triangles (F,3) of the bound mesh, canonical; corners (2,): its vertices where the cut ends. Where a
    stand-in is bound, its motion is smoothed.
    """
    row = rows.numbered(binding.vertices, binding.bound_count)
    if binding.proxy is not None:
        points, triangles = binding.proxy.vertices, binding.proxy.triangles
        corners = binding.proxy.merged[corners]
    if (row[corners] < 0).any():
        return binding
    matrix = binding.matrix.reshape(len(binding.matrix), -1, 3).copy()
    moving = triangles[(row[triangles] >= 0).all(1)]
    for corner in corners:
        free, near, change = _rounding(points, moving, corner)
        matrix[:, row[free]] += np.einsum("mn,rnc->rmc", change, matrix[:, row[near]], optimize=True)
    return replace(binding, matrix=matrix.reshape(len(matrix), -1))


def _rounding(points: np.ndarray, triangles: np.ndarray, corner: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (m,) within REACH of a corner, vertices (n,) around it, and (m,n): values of these -> what is to be
    added to those for the minimum of |u - v|² + AROUND⁴ |Laplacian of u|², held beyond REACH.

    What is affine around the corner is left out: along the rims the Laplacian would flatten a mere slope.
    """
    distance = np.linalg.norm(points - points[corner], axis=1)
    near, local = rows.renumbered(triangles[(distance[triangles] < REACH + _BEYOND).any(1)], len(points))
    stiffness, mass = spectral.laplacian(points[near], local)
    free = distance[near] < REACH
    bending = (AROUND**4 * stiffness @ sp.diags(1 / mass) @ stiffness).tocsr()[free]
    affine = np.column_stack([np.ones(len(near)), points[near] - points[corner]])
    bent = bending.toarray() - (bending @ affine) @ np.linalg.pinv(affine)
    change = -np.linalg.solve(bending[:, free].toarray() + np.diag(mass[free]), bent)
    return near[free], near, change.astype(np.float32)


def _smoothing(points: np.ndarray) -> np.ndarray:
    """(n,n): values along a polyline (n,3) -> the minimum of |u - v|² + ALONG⁴ |u''|², its ends held.

    Source: Reinsch 1967, "Smoothing by Spline Functions". A bow stays a bow; slopes would make it flatter.
    """
    step = np.linalg.norm(np.diff(points, axis=0), axis=1)
    step = np.maximum(step, _SHORT * step.mean())
    mass, between = np.convolve(step, [0.5, 0.5]), (step[1:] + step[:-1]) / 2
    slope = np.diff(np.identity(len(points)), axis=0) / step[:, None]
    bend = np.diff(slope, axis=0) / between[:, None]
    system, right = np.diag(mass) + ALONG**4 * bend.T @ (between[:, None] * bend), np.diag(mass)
    system[[0, -1]] = right[[0, -1]] = np.identity(len(points))[[0, -1]]
    return np.linalg.solve(system, right)
