"""Classical ways from 68 landmarks to a mesh, as weights (V,68): displacement = weights @ landmark displacement."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from scipy.interpolate import RBFInterpolator
from scipy.sparse.csgraph import connected_components

from freetalk_blender.core.binding import handles as core_handles
from freetalk_blender.core.binding.interpolant import REACH
from freetalk_blender.core.surface import spectral

#: A sliver's vertex has at least this share of the mean area: beyond it biharmonic is not definite in double precision.
_LEAST_MASS = 1e-6

Method = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _radial(kernel: str) -> Method:
    def weights(vertices: np.ndarray, triangles: np.ndarray, landmark_vertices: np.ndarray) -> np.ndarray:
        # Landmarks at one place, as on lips that were cut apart, are one to a method that knows only places.
        places, owner, count = np.unique(vertices[landmark_vertices], axis=0, return_inverse=True, return_counts=True)
        found = RBFInterpolator(places, np.identity(len(places)), kernel=kernel)(vertices)
        return found[:, owner] / count[owner]

    return weights


def nearest(vertices: np.ndarray, triangles: np.ndarray, landmark_vertices: np.ndarray) -> np.ndarray:
    """Each vertex moves with the landmark next to it."""
    distance = np.linalg.norm(vertices[:, None] - vertices[landmark_vertices][None], axis=2)
    return (distance.argmin(1)[:, None] == np.arange(len(landmark_vertices))).astype(float)


def _solved(order: int, held: bool = False) -> Method:
    """Harmonic (order 1) or biharmonic (2) with the landmarks as handles; parts without a landmark rest, and if
    `held` whatever is further than REACH from every landmark along the edges."""

    def weights(vertices: np.ndarray, triangles: np.ndarray, landmark_vertices: np.ndarray) -> np.ndarray:
        stiffness, mass = spectral.laplacian(vertices, triangles)
        mass = np.maximum(mass, _LEAST_MASS * mass.mean())
        energy = stiffness if order == 1 else stiffness @ sp.diags(1 / mass) @ stiffness
        handles, owner, count = np.unique(landmark_vertices, return_inverse=True, return_counts=True)
        _, part = connected_components(stiffness, directed=False)
        free = np.isin(part, part[handles])
        if held:
            free &= core_handles.edge_distance(core_handles.edge_graph(vertices, triangles), handles, REACH) < REACH
        free[handles] = False
        unknown = np.flatnonzero(free)
        rows = energy.tocsr()[unknown]
        result = np.zeros((len(vertices), len(handles)))
        result[unknown] = spectral.factor(rows[:, unknown])(-rows[:, handles].toarray())
        result[handles] = np.identity(len(handles))
        return result[:, owner] / count[owner]

    return weights


METHODS: dict[str, Method] = {
    "nearest landmark": nearest,
    "RBF linear": _radial("linear"),
    "RBF thin-plate": _radial("thin_plate_spline"),
    "harmonic": _solved(1),
    "biharmonic": _solved(2),
    "biharmonic, back held": _solved(2, held=True),
}
