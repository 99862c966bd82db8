"""The Laplacian and its eigenbasis, on the shapes that scans come in."""

import numpy as np
import pytest

from freetalk_blender.core.errors import MeshError
from freetalk_blender.core.surface import spectral


def sphere(rings: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """A unit sphere of latitude rings and two poles."""
    polar = np.linspace(0, np.pi, rings + 2)[1:-1]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    p, a = (grid.ravel() for grid in np.meshgrid(polar, around, indexing="ij"))
    points = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], 1)
    vertices = np.concatenate([points, [[0, 0, 1], [0, 0, -1]]])
    triangles = []
    for r in range(rings - 1):
        for c in range(columns):
            d = (c + 1) % columns
            a0, a1, b0, b1 = r * columns + c, r * columns + d, (r + 1) * columns + c, (r + 1) * columns + d
            triangles += [(a0, b0, a1), (a1, b0, b1)]
    north, south, last = rings * columns, rings * columns + 1, (rings - 1) * columns
    for c in range(columns):
        d = (c + 1) % columns
        triangles += [(north, c, d), (south, last + d, last + c)]
    return vertices, np.array(triangles, np.int32)


@pytest.fixture(scope="module")
def ball():
    return sphere(30, 60)


def test_a_constant_has_no_gradient_and_areas_add_up_to_the_sphere(ball):
    stiffness, mass = spectral.laplacian(*ball)
    assert np.abs(stiffness @ np.ones(len(mass))).max() < 1e-9
    assert mass.sum() == pytest.approx(4 * np.pi, rel=0.01)


def test_eigenvalues_of_the_sphere_are_l_times_l_plus_one(ball):
    values = spectral.eigenbasis(*ball, k=16).values
    expected = [degree * (degree + 1) for degree in range(4) for _ in range(2 * degree + 1)]
    np.testing.assert_allclose(values, expected, atol=0.25)


def test_vectors_are_orthonormal_under_the_mass(ball):
    basis = spectral.eigenbasis(*ball, k=32)
    gram = basis.vectors.T @ (basis.mass[:, None] * basis.vectors)
    np.testing.assert_allclose(gram, np.identity(32), atol=1e-4)
    assert basis.vectors.dtype == np.float32


def test_the_same_mesh_gives_the_same_bits(ball):
    one, two = spectral.eigenbasis(*ball, k=24), spectral.eigenbasis(*ball, k=24)
    assert np.array_equal(one.vectors, two.vectors) and np.array_equal(one.values, two.values)


def test_sparse_and_dense_solvers_agree(ball, monkeypatch):
    sparse = spectral.eigenbasis(*ball, k=16)
    monkeypatch.setattr(spectral, "_DENSE", 10**9)
    np.testing.assert_allclose(spectral.eigenbasis(*ball, k=16).values, sparse.values, rtol=1e-4, atol=1e-5)


def test_superlu_stands_in_where_cholespy_is_missing(ball, monkeypatch):
    first = spectral.eigenbasis(*ball, k=16).values
    monkeypatch.setattr(spectral, "cholespy", None)
    np.testing.assert_allclose(spectral.eigenbasis(*ball, k=16).values, first, rtol=1e-5, atol=1e-6)


def test_each_component_adds_one_constant():
    vertices, triangles = sphere(14, 28)
    shifted = np.concatenate([vertices + [4.0 * i, 0, 0] for i in range(3)])
    several = np.concatenate([triangles + i * len(vertices) for i in range(3)])
    values = spectral.eigenbasis(shifted, several, k=10).values
    assert (values[:3] < 1e-4).all() and values[3] > 0.1


def test_a_mesh_smaller_than_the_basis_gives_all_it_has():
    vertices, triangles = sphere(4, 6)
    assert spectral.eigenbasis(vertices, triangles, k=128).vectors.shape == (26, 26)


def test_unreferenced_vertices_change_nothing_for_the_others(ball):
    vertices, triangles = ball
    loose = np.concatenate([vertices, [[9.0, 9, 9]]])
    stiffness, mass = spectral.laplacian(loose, triangles)
    plain, areas = spectral.laplacian(vertices, triangles)
    assert np.abs(stiffness[:-1, :-1] - plain).max() == 0 and np.array_equal(mass[:-1], areas)
    assert mass[-1] > 0 and stiffness[-1].nnz == 0


def test_slivers_and_non_manifold_edges_are_taken(ball):
    vertices, triangles = ball
    odd = np.concatenate([triangles, [[0, 1, 900]], [[0, 1, 700]]])
    squashed = vertices * [1, 1, 1e-6]
    stiffness, mass = spectral.laplacian(squashed, odd)
    assert np.isfinite(stiffness.data).all() and (mass > 0).all()


@pytest.mark.parametrize(
    ("vertices", "triangles", "words"),
    [
        (np.zeros((5, 2)), np.zeros((3, 3), int), "(V, 3)"),
        (np.zeros((5, 3)), np.zeros((3, 4), int), "(F, 3)"),
        (np.zeros((5, 3)), np.zeros((3, 3)), "integers"),
        (np.zeros((5, 3)), np.full((3, 3), 9), "names vertex 9"),
        (np.full((5, 3), np.nan), np.zeros((3, 3), int), "finite"),
        (np.zeros((0, 3)), np.zeros((0, 3), int), "0 vertices"),
    ],
)
def test_a_wrong_mesh_is_one_sentence(vertices, triangles, words):
    with pytest.raises(MeshError) as caught:
        spectral.laplacian(vertices, triangles)
    assert words in str(caught.value) and "\n" not in str(caught.value)
