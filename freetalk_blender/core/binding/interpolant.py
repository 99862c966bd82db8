"""How a surface follows its landmarks when nothing is known about faces: the smoothest field through 68 handles.

The field u minimises  ∫ |Δu|² + TENSION |∇u|² + SCREEN |u|²  over the surface with u given at the landmarks and u = 0
further than REACH along the surface; then it fades on ears and skull. So the back of the head, shirts and loose parts
are still by construction. u is the posterior mean of a Gaussian process on the surface; `covariance` is that process at
the landmarks. Sources: Botsch & Kobbelt 2004, "An Intuitive Framework for Real-Time Freeform Modeling" (bending and
tension); Jacobson et al. 2011, "Bounded Biharmonic Weights" (handles on the surface).
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..ramp import smooth_step
from ..surface import spectral
from .handles import edge_distance, edge_graph

#: Weights of |∇u|² (1/unit²) and |u|² (1/unit⁴): motion fades about 0.2 eye distances from the last landmark.
#: Chosen on ICT-FaceKit's mean face.
TENSION, SCREEN = 20.0, 1000.0
#: Beyond this distance along the edges from every landmark nothing moves (canonical units); the learned part of the
#: motion starts to fade at FADE.
REACH, FADE = 0.8, 0.6
#: Ears and skull lie behind the ends of the jaw line (landmarks 0 and 16) and above the base of the nose (landmark 33).
#: Motion fades from the first to the second distance behind and height above (canonical units), but not in front of the
#: landmark that is furthest back, and then over at least _EDGE.
_BEHIND, _ABOVE, _EDGE = (0.02, 0.14), (-0.2, 0.0), 0.02


@dataclass(frozen=True)
class Interpolant:
    """What follows from mesh and landmarks alone; N vertices lie within reach.

    vertices (N,) int: their indices. weights (N,68) float64: share of each landmark's displacement. gate (N,): 1 near
    the landmarks, 0 at REACH and on ears and skull, smooth between. covariance (68,68): of the smooth process at the
    landmarks. stiffness (N,N) sparse Laplacian and mass (N,) of the part within reach. rows (68,): row of each landmark
    in `vertices`.
    """

    vertices: np.ndarray
    weights: np.ndarray
    gate: np.ndarray
    covariance: np.ndarray
    stiffness: sp.csc_matrix
    mass: np.ndarray
    rows: np.ndarray


def interpolant(vertices: np.ndarray, triangles: np.ndarray, landmark_vertices: np.ndarray) -> Interpolant:
    """Solve for the weights on a mesh in canonical units: vertices (V,3), triangles (F,3), landmark_vertices (68,).

    Landmarks that share a vertex share its weights equally. Raises MeshError for wrong shapes.
    """
    vertices, triangles = spectral.finite_mesh(vertices, triangles)
    stiffness, mass = spectral.laplacian(vertices, triangles)
    distance = edge_distance(edge_graph(vertices, triangles), landmark_vertices, REACH)
    near = np.flatnonzero(distance < REACH)
    inside, area = stiffness[near][:, near].tocsc(), mass[near]
    # Rows of vertices just outside still weigh on those inside: |Δu|² is integrated over them too, with u = 0 there.
    gradient = stiffness[:, near].tocsc()
    energy = (gradient.T @ sp.diags(1 / mass) @ gradient + TENSION * inside + sp.diags(SCREEN * area)).tocsc()
    rows = np.searchsorted(near, landmark_vertices)
    handles, owner, shared = np.unique(rows, return_inverse=True, return_counts=True)
    green = spectral.factor(energy)(columns(handles, len(near)))
    covariance = green[handles]
    weights = np.linalg.solve(covariance, green.T).T[:, owner] / shared[owner]
    weights[handles] = (owner[None] == np.arange(len(handles))[:, None]) / shared[owner]
    loose = _loose(vertices[near], vertices[landmark_vertices])
    weights *= loose[:, None]
    gate = loose * smooth_step((REACH - distance[near]) / (REACH - FADE))
    return Interpolant(near, weights, gate, covariance[np.ix_(owner, owner)], inside, area, rows)


def _loose(vertices: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(N,) 0 on ears and skull, 1 on skin that moves; vertices (N,3), landmarks (68,3)."""
    ends = landmarks[[0, 16], 2].min()
    start = max(_BEHIND[0], ends - landmarks[:, 2].min())
    behind = (start, max(_BEHIND[1], start + _EDGE))
    far, high = (
        (x - low) / (top - low)
        for x, (low, top) in ((ends - vertices[:, 2], behind), (vertices[:, 1] - landmarks[33, 1], _ABOVE))
    )
    return 1.0 - smooth_step(far) * smooth_step(high)


def columns(rows: np.ndarray, count: int) -> np.ndarray:
    """(count,R) 1 in each of rows (R,), in a column of its own."""
    identity = np.zeros((count, len(rows)))
    identity[rows, np.arange(len(rows))] = 1.0
    return identity
