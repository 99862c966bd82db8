"""The Laplacian of a surface and its lowest eigenfunctions.

The Laplacian is the intrinsic Delaunay, mollified one of Sharp & Crane 2020, "A Laplacian for Nonmanifold Triangle
Meshes": it accepts what scanners write (slivers, non-manifold edges, borders, several components).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import robust_laplacian
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, eigsh, splu

from .. import cancel
from ..errors import MeshError
from . import mesh, rows

try:
    import cholespy
except ImportError:  # no wheel for this system: SuperLU gives the same numbers, about half as fast
    cholespy = None

#: Below this many vertices the dense solver is faster and finds every eigenvector of a many-component mesh.
_DENSE = 600


@dataclass(frozen=True)
class Eigenbasis:
    """mass (V,) vertex areas; values (k,) ascending, >= 0; vectors (V,k), orthonormal under the mass. float32."""

    mass: np.ndarray
    values: np.ndarray
    vectors: np.ndarray


def finite_mesh(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V,3) float64 and (F,3) int64; MeshError on what is no mesh, and on vertices that are not finite."""
    vertices, triangles = mesh.validated(vertices, triangles)
    if not np.isfinite(vertices).all():
        raise MeshError("Some vertices are not finite numbers; clean the mesh first.")
    return vertices, triangles


def laplacian(vertices: np.ndarray, triangles: np.ndarray) -> tuple[sp.csc_matrix, np.ndarray]:
    """Positive semi-definite Laplacian (V,V) and vertex areas (V,), both float64.

    Unreferenced vertices have an empty row and the smallest area of the others, so that areas can be divided by.
    Raises MeshError for wrong shapes and non-finite vertices.
    """
    vertices, triangles = finite_mesh(vertices, triangles)
    used, corners = rows.renumbered(triangles, len(vertices))
    stiffness, mass = robust_laplacian.mesh_laplacian(vertices[used], corners)
    areas = np.asarray(mass.diagonal(), np.float64)
    smallest = max(float(areas[areas > 0].min(initial=1.0)), 1e-12 * float(areas.sum()))
    full = np.full(len(vertices), smallest)
    full[used] = np.maximum(areas, smallest)
    coo = sp.coo_matrix(stiffness)
    matrix = sp.csc_matrix((coo.data, (used[coo.row], used[coo.col])), shape=(len(vertices), len(vertices)))
    return (matrix + matrix.T) * 0.5, full


_BROKEN = (
    "The face's triangles are too thin or too coarse in their coordinates to calculate with; move the mesh near its "
    "origin, merge vertices by distance, or remesh it."
)


def factor(matrix: sp.spmatrix) -> Callable[[np.ndarray], np.ndarray]:
    """Solver of a symmetric positive definite float64 matrix (N,N): right-hand sides (N,) or (N,C) -> solutions.

    Raises MeshError where the matrix, and so the surface that it comes from, is not definite to machine precision.
    """
    cancel.check()
    matrix = sp.csc_matrix(matrix)
    if cholespy is None:
        return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}).solve
    lower = sp.tril(matrix).tocoo()
    try:
        solver = cholespy.CholeskySolverD(
            matrix.shape[0], lower.row.astype(np.int32), lower.col.astype(np.int32), lower.data, cholespy.MatrixType.COO
        )
    except ValueError as error:
        raise MeshError(_BROKEN) from error

    def solve(right: np.ndarray) -> np.ndarray:
        result = np.empty_like(right, order="C")
        if right.ndim == 1:
            solver.solve(np.ascontiguousarray(right), result)
            return result
        for start in range(0, right.shape[1], 64):  # the library takes at most 128 columns at once
            cancel.check()
            block = np.ascontiguousarray(right[:, start : start + 64])
            solved = np.empty_like(block)
            solver.solve(block, solved)
            result[:, start : start + 64] = solved
        return result

    return solve


def _decompose(stiffness: sp.csc_matrix, mass: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """k lowest generalised eigenpairs, shift-invert about a slightly negative shift so that the matrix is definite."""
    count = len(mass)
    root = np.sqrt(mass)
    scaled = sp.diags(1 / root) @ stiffness @ sp.diags(1 / root)  # a standard problem: symmetric, orthonormal vectors
    if count <= max(_DENSE, 2 * k):
        values, vectors = scipy.linalg.eigh(scaled.toarray(), subset_by_index=[0, k - 1])
    else:
        shift = -1e-2 / mass.sum()
        solve = factor(scaled - shift * sp.identity(count))
        start = np.random.default_rng(0).standard_normal(count)
        inverse = LinearOperator((count, count), matvec=solve, dtype=np.float64)
        values, vectors = eigsh(scaled, k=k, sigma=shift, OPinv=inverse, v0=start)
    order = np.argsort(values)
    return np.maximum(values[order], 0.0), vectors[:, order] / root[:, None]


def _fix_signs(vectors: np.ndarray) -> np.ndarray:
    """Each vector's entry of largest magnitude is positive."""
    peak = np.abs(vectors).argmax(0)
    return vectors * np.where(vectors[peak, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)


def eigenbasis(vertices: np.ndarray, triangles: np.ndarray, k: int = 128) -> Eigenbasis:
    """The k lowest eigenfunctions of the mesh (V,3), (F,3); fewer where the mesh has fewer vertices.

    The same input gives the same bits out: the start vector and the signs are fixed. Raises MeshError for wrong shapes
    and non-finite vertices.
    """
    stiffness, mass = laplacian(vertices, triangles)
    values, vectors = _decompose(stiffness, mass, min(k, len(mass)))
    return Eigenbasis(*(a.astype(np.float32) for a in (mass, values, _fix_signs(vectors))))
