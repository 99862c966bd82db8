"""What a scanner does to a face, and that the truth follows (training environment only)."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pymeshlab", reason="needs the training environment")
pytest.importorskip("fast_simplification", reason="needs the training environment")

import scipy.sparse as sparse
from scipy.spatial import cKDTree

from export import dressing, fusing, remeshing, scanner, scanning
from freetalk_blender.core.surface import mesh


def tube(rows: int = 40, columns: int = 60) -> scanning.Scan:
    """An open cylinder, 2 cm wide and 6 cm high, every vertex its own registered one."""
    turn, height = np.meshgrid(np.linspace(0, 2 * np.pi, columns, endpoint=False), np.linspace(0, 6, rows))
    points = np.stack([2 * np.cos(turn), height, 2 * np.sin(turn)], -1).reshape(-1, 3)
    return scanning.registered(points, dressing.grid(rows, columns, closed=True).astype(np.int32))


@pytest.mark.parametrize("style", ["quadric", "even"])
def test_a_remeshed_surface_carries_its_places(style: str) -> None:
    start = tube()
    scan = remeshing.remesh(start, 600, np.random.default_rng(0), style)
    assert 300 < len(scan.vertices) < 900
    assert scan.real.all()
    np.testing.assert_allclose(np.asarray(scan.carry.sum(1))[:, 0], 1, atol=1e-4)
    # The carried place is the vertex itself, up to what collapsing lifts it off the flat triangles.
    assert np.linalg.norm(scan.transfer(start.vertices) - scan.vertices, axis=1).max() < 0.08


def test_truth_of_many_frames_is_transferred_at_once() -> None:
    start = tube()
    scan = remeshing.subdivide(start)
    field = np.stack([start.vertices, 2 * start.vertices + 1])
    moved = scan.transfer(field)
    assert moved.shape == (2, len(scan.vertices), 3)
    np.testing.assert_allclose(moved[1], 2 * moved[0] + 1, atol=1e-5)
    np.testing.assert_allclose(moved[0], scan.vertices, atol=1e-5)


def test_invented_surface_carries_nothing() -> None:
    start = tube()
    scan = scanning.add(start, *dressing.tube(np.array([[0, 0, 9.0], [0, 3, 9], [0, 6, 9]]), 0.3))
    assert scan.real[: len(start.vertices)].all() and not scan.real[len(start.vertices) :].any()
    assert not scan.transfer(np.ones((len(start.vertices), 1)))[len(start.vertices) :].any()
    assert mesh.connected_components(scan.triangles, len(scan.vertices)).max() == 1


def test_sealing_closes_a_rim_without_new_vertices() -> None:
    start = tube()
    sealed = fusing.seal(start, (0,))
    assert len(sealed.vertices) == len(start.vertices)
    assert len(fusing.boundary_loops(start.triangles)) == 2
    assert len(fusing.boundary_loops(sealed.triangles)) == 1


def test_holes_leave_what_is_spared_and_spikes_lose_their_truth() -> None:
    start, rng = tube(), np.random.default_rng(1)
    spare = start.vertices[[100]]
    holed = scanner.holes(start, rng, 12, 0.8, spare)
    assert len(holed.triangles) < len(start.triangles)
    assert np.linalg.norm(holed.vertices - spare, axis=1).min() == 0
    thrown = scanner.spikes(start, rng, 7, 1.0)
    assert (~thrown.real).sum() == 7


def rough_sheet() -> tuple[scanning.Scan, np.ndarray]:
    """A flat face with creases of 2 mm, 16 cm wide, and where its landmarks (68, 3) are: lids and lips on it."""
    x, y = np.meshgrid(np.linspace(-8, 8, 161), np.linspace(-8, 8, 161))
    points = np.stack([x, y, 0.1 * np.cos(40 * x)], -1).reshape(-1, 3)
    landmarks = np.full((68, 3), [0.0, 0.0, 0.0])
    for first, middle in ((36, -3.0), (42, 3.0)):
        turn = np.pi - np.arange(6) * np.pi / 3
        landmarks[first : first + 6, :2] = np.stack([middle + 1.3 * np.cos(turn), 3 + 0.4 * np.sin(turn)], 1)
    landmarks[48:, 0], landmarks[48:, 1] = np.linspace(-2, 2, 20), -4.0
    return scanning.registered(points, dressing.grid(161, 161).astype(np.int32)), landmarks


def bends(scan: scanning.Scan, x: float, y: float) -> float:
    """How sharply a rough sheet's rows are bent within 3 mm of a place (cm a step)."""
    rows = scan.vertices.reshape(161, 161, 3)
    near = np.linalg.norm(rows[:, 1:-1, :2] - [x, y], axis=2) < 0.3
    return float(np.abs(np.diff(rows[..., 2], 2, axis=1))[near].mean())


@pytest.mark.parametrize("seed", range(4))
def test_melted_lids_lose_their_creases_and_what_is_far_keeps_them(seed: int) -> None:
    start, landmarks = rough_sheet()
    melted = scanner.melted(start, landmarks, np.random.default_rng(seed))
    for x, y, _ in landmarks[36:48]:
        assert bends(melted, x, y) < 0.8 * bends(start, x, y)
    far = np.linalg.norm(start.vertices[:, None] - landmarks[36:][None], axis=2).min(1) > 2.5
    np.testing.assert_allclose(melted.vertices[far], start.vertices[far], atol=1e-3)
    assert melted.triangles is start.triangles and melted.carry is start.carry


def test_a_wet_eye_is_hollow_between_its_lids_alone() -> None:
    start, landmarks = rough_sheet()
    moved = scanner._hollow(start.vertices, landmarks, -0.2)
    assert not moved[:, :2].any()
    deep = moved[:, 2].reshape(161, 161)
    assert deep.min() == pytest.approx(-0.2, abs=0.01)
    for x in (-3.0, 3.0):
        assert deep[110, round((x + 8) * 10)] == pytest.approx(-0.2, abs=0.02)
        assert abs(deep[118, round((x + 8) * 10)]) < 0.01, "8 mm above the middle the skin stays"


def test_a_pose_keeps_shape_and_takes_points_along() -> None:
    start = tube()
    posed, move = scanning.pose(start, np.random.default_rng(2))
    np.testing.assert_allclose(move.to_canonical(posed.vertices), start.vertices, atol=1e-3)
    assert np.linalg.det(move.rotation) == pytest.approx(1)


def test_the_same_seed_gives_the_same_scan() -> None:
    one, other = (scanner.defects(tube(), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.triangles, other.triangles)


def test_the_nearest_place_on_a_triangle() -> None:
    a, b, c = (np.array([corner], float) for corner in ([0, 0, 0], [1, 0, 0], [0, 1, 0]))
    for point, place in (([0.2, 0.2, 5], [0.2, 0.2, 0]), ([2, -1, 0], [1, 0, 0]), ([0.5, -3, 1], [0.5, 0, 0])):
        weights, _ = scanning.closest(np.array([point], float), a, b, c)
        np.testing.assert_allclose(weights[0] @ np.concatenate([a, b, c]), place, atol=1e-6)


def test_the_committed_sample_is_one_head_and_one_shirt() -> None:
    words = [line.split() for line in (Path(__file__).parents[2] / "examples/head.obj").read_text().splitlines()]
    triangles = np.array([word[1:] for word in words if word[0] == "f"], np.int32) - 1
    count = sum(word[0] == "v" for word in words)
    sizes = sorted(np.bincount(mesh.connected_components(triangles, count)))
    assert len(sizes) == 2 and sizes[0] > 1_500 and sizes[1] > 9_000


def test_what_lies_between_two_lips_is_neither() -> None:
    """Two sheets that nearly touch, joined at one end only, as lips are at a corner; a vertex carried half by each."""
    rows, columns = 20, 8
    x, y = np.meshgrid(np.arange(columns) / 4, np.arange(rows) / 4)
    folded = np.where(y < 2.4, y, 4.75 - y)
    points = np.stack([x, folded, np.where(y < 2.4, 0, 0.05)], -1).reshape(-1, 3)
    sheet = scanning.registered(points, dressing.grid(rows, columns).astype(np.int32))
    lower, upper, beside = 2 * columns + 3, 17 * columns + 3, 2 * columns + 4
    rows_of = sparse.csr_matrix(([0.5, 0.5, 0.5, 0.5, 1.0], ([0, 0, 1, 1, 2], [lower, upper, lower, beside, upper])),
                                (4, len(points)), dtype=np.float32)  # fmt: skip
    scan = scanning.Scan(np.zeros((4, 3), np.float32), np.array([[0, 1, 2]], np.int32), rows_of)
    assert np.linalg.norm(points[lower] - points[upper]) < 0.1
    kept = fusing.unblended(scan, points, sheet.triangles, 0.5)
    assert kept.real.tolist() == [False, True, True, False]
    np.testing.assert_array_equal(kept.carry[1:3].toarray(), rows_of[1:3].toarray())


def test_the_web_between_two_lips_is_neither_lip_whatever_it_carries() -> None:
    """Two sheets 1 cm apart that are joined at one end; vertices in the middle between them, nearer to one, at one, and
    beside the fold, where they are one lip."""
    rows, columns = 40, 8
    x, s = np.meshgrid(np.arange(columns) / 4, np.arange(rows) / 4)
    folded = np.where(s < 4.5, s, np.where(s < 5.5, 4.5, 10 - s))
    points = np.stack([x, folded, np.clip(s - 4.5, 0, 1)], -1).reshape(-1, 3)
    places = np.array([[1, 1, 0.5], [1, 1, 0.4], [1, 1, 0.1], [1, 4.4, 0.5]], np.float32)
    owner = cKDTree(points).query(places - [0, 0, 0.1])[1]
    carry = sparse.csr_matrix((np.ones(4), (np.arange(4), owner)), (4, len(points)), dtype=np.float32)
    scan = scanning.Scan(places, np.array([[0, 1, 2]], np.int32), carry)
    web = fusing.on_web(scan, np.arange(4), points, dressing.grid(rows, columns).astype(np.int32), 3.0, 0.3)
    assert web.tolist() == [True, True, False, False]
