"""The rims of a cut mouth drawn as one stroke: the motion along each lip's edge without kinks at the corners.

A cut ends in a point, around which the motion of a surface has the steepest slope there is; vertices of a scan sample
it by chance, and the edge of an opening lip gets a kink. Each rim's motion is smoothed along its length, corners held,
and the skin beside it follows. It is linear, so it goes into the binding's matrix.
"""

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from .stm import Binding

#: Scale of the smoothing along the rim, and of how far into the lip the correction reaches (eye distances; 4 and 5 mm).
ALONG, ACROSS = 0.045, 0.055
#: Steps of a rim shorter than this share of its mean step count as that long.
_SHORT = 0.1


def evened(
    binding: Binding, points: np.ndarray, rims: tuple[np.ndarray, ...], sides: tuple[np.ndarray, ...]
) -> Binding:
    """The binding with smooth rims; as it was where a stand-in is bound.

    points (V,3) of the bound mesh, canonical; rims: (n,) vertices of each from corner to corner; sides: (k,) vertices
    of the lip that belongs to each.
    """
    row = np.full(binding.count, -1)
    row[binding.vertices] = np.arange(len(binding.vertices))
    if binding.proxy is not None or any((row[rim] < 0).any() for rim in rims):
        return binding
    matrix = binding.matrix.reshape(len(binding.matrix), -1, 3).copy()
    for rim, side in zip(rims, sides, strict=True):
        change = _smoothing(points[rim]) - np.identity(len(rim))
        near = np.setdiff1d(side[row[side] >= 0], rim[[0, -1]])
        distance, nearest = cKDTree(points[rim]).query(points[near], distance_upper_bound=3 * ACROSS)
        near, nearest, distance = (values[distance < np.inf] for values in (near, nearest, distance))
        share = np.exp(-((distance / ACROSS) ** 2))[:, None] * change[nearest]
        moved = matrix[:, row[rim]].transpose(1, 0, 2).reshape(len(rim), -1)
        added = (share @ moved).reshape(len(near), len(matrix), 3).transpose(1, 0, 2)
        matrix[:, row[near]] += added.astype(matrix.dtype)
    return replace(binding, matrix=matrix.reshape(len(matrix), -1))


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
