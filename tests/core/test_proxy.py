"""Heavy scans move as if they had been bound themselves."""

import numpy as np
import pytest

from freetalk_blender.core.binding import proxy, stm
from freetalk_blender.core.binding.interpolant import interpolant
from freetalk_blender.core.surface import mesh, raster
from tests.core.grids import squares
from tests.core.test_stm import MM, head, speech


@pytest.fixture(scope="module")
def by_itself() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A head, its landmark vertices, and its motion when it is bound itself."""
    fine = head(12000)
    return *fine, stm.bind(*fine, device="cpu").displace(speech())


@pytest.fixture
def bound_itself(by_itself, monkeypatch) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The same; from now on such heads are heavy."""
    monkeypatch.setattr(stm, "HEAVY", 5000)
    monkeypatch.setattr(stm, "LIGHT", 6000)
    return by_itself


def test_a_stand_in_moves_the_scan_as_the_scan_itself(bound_itself):
    vertices, triangles, landmarks, itself = bound_itself
    bound = stm.bind(vertices, triangles, landmarks, device="cpu")
    moved = bound.displace(speech())
    assert bound.proxy is not None and moved.shape == itself.shape
    assert np.linalg.norm(moved - itself, axis=2).mean() < 0.1 * MM
    codes = bound.codes(speech())
    spread = bound.spread(bound.matrix.reshape(codes.shape[1], -1, 3))
    np.testing.assert_allclose(np.tensordot(codes, spread, 1), moved, atol=1e-3 * MM)


def test_a_floor_takes_nothing_of_the_stand_in_and_stays(bound_itself):
    vertices, triangles, landmarks, itself = bound_itself
    x, z = (axis.ravel() for axis in np.meshgrid(np.linspace(-30, 30, 200), np.linspace(-30, 30, 200)))
    floor = squares(200, 200) + len(vertices)
    level = np.stack([x, np.full(len(x), vertices[:, 1].min()), z], 1)
    bound = stm.bind(np.concatenate([vertices, level]), np.concatenate([triangles, floor]), landmarks, device="cpu")
    moved = bound.displace(speech())
    assert np.linalg.norm(moved[:, : len(vertices)] - itself, axis=2).mean() < 0.1 * MM
    assert not moved[:, len(vertices) :].any()


def test_skin_that_is_fine_in_one_place_is_not_worn_down_elsewhere():
    vertices, triangles, landmarks = head(3000)
    fine = mesh.CleanMesh(vertices, triangles, np.arange(len(vertices)))
    mouth = vertices[landmarks[48:]].mean(0)
    for _ in range(4):
        fine = mesh.subdivided(fine, lambda ends: np.linalg.norm(ends.mean(1) - mouth, axis=1) < 0.4)
    assert len(fine.vertices) > 6 * 3000
    light = proxy.simplify(fine.vertices, fine.triangles, 6000, landmarks)
    assert np.quantile(off_by(light, fine.vertices), 0.999) < 0.1


def test_junk_scattered_far_around_leaves_the_face_its_stand_in(bound_itself):
    vertices, triangles, landmarks, itself = bound_itself
    junk = np.random.default_rng(4).normal(0, 6, (45000, 3))
    more = len(vertices) + np.arange(45000).reshape(-1, 3)
    bound = stm.bind(np.concatenate([vertices, junk]), np.concatenate([triangles, more]), landmarks, device="cpu")
    moved = bound.displace(speech())[:, : len(vertices)]
    assert np.linalg.norm(moved - itself, axis=2).mean() < 0.15 * MM


@pytest.mark.parametrize("count", [6000, 24000])  # collapsed edge by edge; clustered first
def test_every_vertex_lies_where_its_place_on_the_stand_in_says(count):
    vertices, triangles, landmarks = head(count)
    light = proxy.simplify(vertices, triangles, 3000, landmarks)
    assert 2500 < len(light.vertices) < 3600
    distance = np.linalg.norm(light.carry(light.vertices) - vertices, axis=1)
    assert np.quantile(distance, 0.99) < 1.0 * MM
    np.testing.assert_allclose(light.shares.sum(1), 1, atol=1e-5)


def test_a_scan_is_clustered_to_about_as_many_vertices_as_are_wanted():
    """To collapse millions edge by edge would take minutes."""
    vertices, triangles, _ = head(24000)
    for count in (2000, 5000):
        points, faces, label = proxy._clustered(vertices.astype(np.float32), triangles, count)
        assert 0.7 * count < len(points) <= 1.1 * count and len(np.unique(np.sort(faces, 1), axis=0)) == len(faces)
        assert len(label) == len(vertices) and np.linalg.norm(points[label] - vertices, axis=1).max() < 12 * MM


@pytest.mark.parametrize("count", [4000, 1000])  # collapsed edge by edge; clustered first
def test_sheets_that_touch_do_not_mix(count):
    vertices, triangles, _ = head(4000)
    inner = vertices * 0.999
    both = np.concatenate([vertices, inner])
    light = proxy.simplify(both, np.concatenate([triangles, triangles + len(vertices)]), count, np.zeros(0, int))
    outer_faces = np.zeros(len(light.vertices), bool)
    outer_faces[light.merged[: len(vertices)]] = True
    mixed = light.carry(outer_faces[:, None].astype(np.float32))[:, 0]
    np.testing.assert_allclose(mixed, np.repeat([1.0, 0.0], len(vertices)), atol=1e-5)


def test_loose_vertices_stay_where_they_are():
    vertices, triangles, _ = head(3000)
    light = proxy.simplify(np.concatenate([vertices, [[5, 5, 5]]]), triangles, 1000, np.zeros(0, int))
    assert not light.carry(np.ones((2, len(light.vertices), 3), np.float32))[:, -1].any()


def subdivided(times: int) -> tuple[mesh.CleanMesh, np.ndarray]:
    """A coarse head, flat within each of its first triangles, and its landmarks."""
    vertices, triangles, landmarks = head(1500)
    fine = mesh.CleanMesh(vertices, triangles, np.arange(len(vertices)))
    for _ in range(times):
        fine = mesh.subdivided(fine)
    return fine, landmarks


def off_by(light: proxy.Proxy, vertices: np.ndarray) -> np.ndarray:
    """(V,) mm between each vertex and its place on the stand-in."""
    return np.linalg.norm(light.carry(light.vertices) - vertices, axis=1) / MM


def test_vertices_are_carried_from_where_they_lie_even_far_from_the_one_that_they_went_into():
    fine, landmarks = subdivided(2)
    light = proxy.simplify(fine.vertices, fine.triangles, 6000, landmarks)
    assert np.quantile(off_by(light, fine.vertices), 0.999) < 0.6


def test_points_that_are_put_back_exactly_do_not_fold_the_stand_in():
    fine, _ = subdivided(2)
    used = np.unique(fine.triangles)
    exact = used[:: len(used) // 68]
    light = proxy.simplify(fine.vertices, fine.triangles, 6000, exact)
    back = np.linalg.norm(light.vertices[light.merged[exact]] - fine.vertices[exact], axis=1)
    assert (back < 1e-5 * MM).mean() > 0.95 and back.max() < 2 * MM
    outward = np.zeros((len(light.vertices), 3))
    np.add.at(outward, light.merged, raster.vertex_normals(fine.vertices.astype(float), fine.triangles))
    a, b, c = np.moveaxis(light.vertices[light.triangles].astype(float), 1, 0)
    folded = (np.cross(b - a, c - a) * outward[light.triangles].sum(1)).sum(1) < 0
    assert folded.sum() < 15  # 5 without any such points, mostly where the mouth bag starts


def test_a_lip_is_not_carried_by_a_triangle_of_the_other_that_lies_nearer():
    corner, upper, lower = [0, 0, 0], [[2, 1, 0], [2, 0.2, 0]], [[2, 0.1, 0], [2, -1, 0]]
    vertices, triangles = np.array([corner, *upper, *lower], float), np.array([[0, 2, 1], [0, 4, 3]])
    point = np.array([[1.0, 0.04, 0.0]])
    assert proxy.places(point, np.zeros(1, int), vertices, triangles)[0] == 1
    for lip, row in ((1, 0), (-1, 1), (0, 1)):
        lips = np.array([lip]), np.array([1, -1])
        assert proxy.places(point, np.zeros(1, int), vertices, triangles, lips)[0] == row


def test_triangles_at_the_corner_of_the_mouth_are_of_the_lip_that_their_vertices_are_of():
    side, merged = np.array([1, -1, 0, 1, -1, 0]), np.array([0, 0, 0, 1, 2, 3])
    triangles = np.array([[0, 1, 3], [0, 2, 3], [1, 2, 3], [0, 0, 3]])
    assert proxy._sides(side, merged, triangles, 4).tolist() == [1, -1, 0, 0]


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_noisy_scan_that_is_clustered_first_keeps_all_its_vertices(noise):
    fine, landmarks = subdivided(3)
    vertices = fine.vertices + np.random.default_rng(1).normal(0, noise * MM, fine.vertices.shape)
    light = proxy.simplify(vertices, fine.triangles, 1500, landmarks)
    assert (light.merged >= 0).all()
    assert np.quantile(off_by(light, vertices), 0.99) < 2.5
    np.testing.assert_allclose(light.shares[np.unique(fine.triangles)].sum(1), 1, atol=1e-5)


def test_specks_too_small_for_the_stand_in_stay_where_they_are_and_may_be_landmarks():
    vertices, triangles, landmarks = head(6000)
    rng = np.random.default_rng(2)
    speck = vertices[landmarks[8]] + rng.normal(0, 0.3 * MM, (1000, 1, 3)) + rng.normal(0, 0.01 * MM, (1000, 3, 3))
    count = len(vertices)
    vertices = np.concatenate([vertices, speck.reshape(-1, 3)])
    triangles = np.concatenate([triangles, count + np.arange(3000).reshape(-1, 3)])
    landmarks = np.concatenate([landmarks, [count + 5]])
    light = proxy.simplify(vertices, triangles, 1000, landmarks)
    rest = light.shares[count:].sum(1) == 0
    assert rest.sum() > 2000
    assert (light.shares[:count].sum(1) > 0.99).all()
    chin = light.vertices[light.merged[landmarks[-1]]]
    assert np.linalg.norm(chin - vertices[landmarks[8]]) < 8 * MM


def test_the_stand_in_of_a_subdivided_sculpt_has_no_vanishing_edges():
    fine, landmarks = subdivided(2)
    light = proxy.simplify(fine.vertices, fine.triangles, 6000, landmarks)
    corners = light.vertices[light.triangles]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    assert edges.min() > 0.02 * np.median(edges)
    assert (light.vertices[light.merged[landmarks]] == fine.vertices[landmarks].astype(np.float32)).all()
    interpolant(light.vertices.astype(np.float64), light.triangles, light.merged[landmarks])
