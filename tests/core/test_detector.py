"""A face is found wherever it is, and only where it is."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from freetalk_blender.core import frame, landmarks
from freetalk_blender.core.detection import detector, face_placing, face_search, face_view, landmark_preview
from freetalk_blender.core.errors import LandmarkError, MeshError
from freetalk_blender.core.frame import Similarity
from freetalk_blender.core.surface import raster
from tests.core.grids import squares


def millimetres(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.linalg.norm(found - truth, axis=1) / np.linalg.norm(truth[45] - truth[36]) * frame.EYE_DISTANCE_MM


def test_the_sample_head_is_found_as_it_is(scan) -> None:
    vertices, triangles, truth = scan
    found = detector.detect(vertices, triangles)
    error = millimetres(found.points, truth)
    assert error.mean() < 3.0
    assert error[48:].mean() < 3.0
    assert found.vertices is not None and found.confidence is not None
    assert np.linalg.norm(vertices[found.vertices] - found.points, axis=1).max() < 8
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


@pytest.mark.parametrize("turn, scale", [((180, 0, 0), 1e-3), ((90, 30, -100), 25.4), ((-60, 200, 45), 1e4)])
def test_pose_and_unit_do_not_matter(scan, turn, scale) -> None:
    vertices, triangles, truth = scan
    rotation = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    move = Similarity(scale, rotation, scale * np.array([500.0, -90.0, 7.0]))
    found = detector.detect(move.to_mesh(vertices), triangles)
    assert millimetres(found.points, move.to_mesh(truth)).mean() < 3.5


def test_points_beyond_the_edge_of_a_scan_stay_near_it_and_are_not_trusted(scan) -> None:
    vertices, triangles, truth = scan
    face = frame.canonical_frame(truth)
    kept = face.to_canonical(vertices)[:, 0] < 0.55
    left = triangles[kept[triangles].all(1)]
    found = detector.detect(vertices, left)
    landmarks.on_mesh(found, *face_view.compact(vertices, left))
    there = face.to_canonical(truth)[:, 0] < 0.45
    assert millimetres(found.points, truth)[there].mean() < 4.0
    assert found.confidence is not None
    assert found.confidence[[14, 15, 16]].max() < 0.2 < found.confidence[there].min()


def test_a_head_in_a_large_room_is_found(scan) -> None:
    vertices, triangles, truth = scan
    corners = vertices.mean(0) + 6000 * (np.array(list(np.ndindex(2, 2, 2))) - 0.5)
    walls = np.array([[0, 1, 3], [0, 3, 2], [0, 4, 5], [0, 5, 1], [0, 2, 6], [0, 6, 4]]) + len(vertices)
    found = detector.detect(np.concatenate([vertices, corners]), np.concatenate([triangles, walls]))
    assert millimetres(found.points, truth).mean() < 3.5


def test_a_mirrored_mesh_is_refused_in_a_sentence(scan) -> None:
    vertices, triangles, _ = scan
    with pytest.raises(LandmarkError, match="inside out"):
        detector.detect(vertices * [-1, 1, 1], triangles)


def test_of_two_faces_one_must_be_chosen(scan) -> None:
    vertices, triangles, truth = scan
    twice = np.concatenate([vertices, vertices + [420.0, 0, 0]])
    both = np.concatenate([triangles, triangles + len(vertices)])
    with pytest.raises(LandmarkError, match=r"2 faces.*--near="):
        detector.detect(twice, both)
    chosen = detector.detect(twice, both, near=truth.mean(0) + [300.0, 0, 0])
    assert millimetres(chosen.points, truth + [420.0, 0, 0]).mean() < 3.5


def test_the_back_of_a_head_is_no_face(scan) -> None:
    vertices, triangles, truth = scan
    front = np.linalg.norm(vertices - truth[27:].mean(0), axis=1) < 85
    with pytest.raises(LandmarkError, match="No face"):
        detector.detect(vertices, triangles[~front[triangles].any(1)])


def test_a_ball_is_no_face() -> None:
    down, around = np.meshgrid(np.linspace(0, np.pi, 40), np.linspace(0, 2 * np.pi, 60), indexing="ij")
    ball = np.stack([np.sin(down) * np.cos(around), np.cos(down), np.sin(down) * np.sin(around)], -1).reshape(-1, 3)
    with pytest.raises(LandmarkError, match="No face"):
        detector.detect(ball, squares(60, 40))


@pytest.mark.parametrize(
    "vertices, triangles, error, words",
    [
        (np.zeros((5, 3)), np.zeros((1, 3), int), LandmarkError, "too few"),
        (np.zeros((5, 2)), np.zeros((1, 3), int), MeshError, r"\(5, 2\)"),
        (np.zeros((5, 3)), np.zeros((1, 3)), MeshError, "must be integers"),
        (np.zeros((5, 3)), np.zeros((200, 3), int), LandmarkError, "no extent"),
        (np.full((5, 3), np.nan), np.zeros((200, 3), int), LandmarkError, "too few"),
    ],
)
def test_what_is_no_mesh_is_told_so(vertices, triangles, error, words) -> None:
    with pytest.raises(error, match=words):
        detector.detect(vertices, triangles)


def test_every_direction_is_near_one_that_the_search_looks_from() -> None:
    first, further = face_search.directions()
    anywhere = np.random.default_rng(0).normal(size=(5000, 3))
    anywhere /= np.linalg.norm(anywhere, axis=1, keepdims=True)
    for looks, degrees in ((first, 38), (np.concatenate([first, further]), 23)):
        assert (anywhere @ looks.T).max(1).min() > np.cos(np.radians(degrees))


def test_a_landmark_names_the_nearest_vertex_that_is_part_of_the_surface() -> None:
    rng = np.random.default_rng(4)
    vertices, points = rng.normal(size=(60_000, 3)), rng.normal(0, 0.2, (68, 3))
    triangles = rng.permutation(50_000)[:45_000].reshape(-1, 3)  # the last vertices belong to no triangle
    vertices[50_000:50_068], vertices[-1] = points, np.inf
    used = np.unique(triangles)
    gap = np.linalg.norm(vertices[used] - points[:, None], axis=-1)
    np.testing.assert_array_equal(detector.nearest(vertices, triangles, points), used[gap.argmin(1)])


def nothing_seen() -> raster.Image:
    return raster.render(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]]), 4)


def test_rays_that_meet_give_their_point() -> None:
    truth = frame.mean_landmarks()
    face = Similarity(37.0, Rotation.from_euler("xyz", [10, 200, -70], degrees=True).as_matrix(), np.array([5.0, 6, 7]))
    cameras = [face_placing.face_camera(face, yaw, pitch) for yaw, pitch in face_placing.VIEWS]
    views = [
        face_placing.View(
            camera, camera.to_picture(face.to_mesh(truth))[:, :2], np.full(68, 0.005), 3.0, nothing_seen()
        )
        for camera in cameras
    ]
    views[0].place[8] += 0.5  # one view is wrong about the chin
    points, _, _ = face_placing.triangulate(views, face)
    gap = np.linalg.norm(face.to_canonical(points) - truth, axis=1)
    assert gap.max() < 0.01


def test_a_point_that_leaves_the_face_is_brought_back_and_the_others_stay() -> None:
    truth = frame.mean_landmarks()
    wrong = truth.copy()
    wrong[30] += [0, 0, 0.5]
    right, _ = face_placing.regularise(wrong, np.full(68, 0.01))
    gap = np.linalg.norm(right - truth, axis=1)
    assert gap[30] < 0.1
    assert np.delete(gap, 30).max() < 0.02


def test_a_heavy_mesh_is_simplified_in_place(scan) -> None:
    vertices, triangles, _ = scan
    many = np.concatenate([triangles] * 5)
    points, fewer = face_view.cluster_vertices(vertices.astype(float), many, 4.0)
    assert len(points) < len(vertices) and fewer.max() < len(points)
    assert np.abs(points.mean(0) - vertices.mean(0)).max() < 20


def test_preview_is_a_picture(scan, tmp_path) -> None:
    vertices, triangles, truth = scan
    landmark_preview.preview(vertices, triangles, landmarks.Landmarks(truth), tmp_path / "preview.png", 128)
    assert (tmp_path / "preview.png").stat().st_size > 5_000
