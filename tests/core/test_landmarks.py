"""Landmark files come back as written, and wrong ones are told apart in a sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from freetalk_blender.core import frame, landmarks
from freetalk_blender.core.errors import LandmarkError
from freetalk_blender.core.landmarks import Landmarks

#: A mesh of 68 vertices that has all of them on its surface.
STRIP = np.arange(66)[:, None] + np.arange(3)
REAL = sorted((Path(__file__).parents[1] / "landmarks").glob("*.json"))


def test_a_file_comes_back_as_written(tmp_path):
    rng = np.random.default_rng(0)
    given = Landmarks(rng.normal(size=(68, 3)), rng.integers(0, 9, 68), rng.random(68))
    landmarks.write(tmp_path / "face.json", given)
    found = landmarks.read(tmp_path / "face.json")
    assert found.points == pytest.approx(given.points, abs=1e-7)
    assert np.array_equal(found.vertices, given.vertices)
    assert found.confidence == pytest.approx(given.confidence, abs=1e-7)


@pytest.mark.parametrize("millimetre", [1e3, 1.0, 1e-3, 1e-7, 1e-12])
def test_files_keep_a_face_in_any_unit_and_are_not_longer_in_usual_ones(tmp_path, millimetre):
    points = landmarks.read(REAL[0]).points
    points = points / np.linalg.norm(points[45] - points[36]) * frame.EYE_DISTANCE_MM * millimetre
    landmarks.write(tmp_path / "face.json", Landmarks(points))
    found = landmarks.read(tmp_path / "face.json").points
    assert np.abs(found - points).max() < 1e-4 * millimetre
    if millimetre >= 1e-3:
        assert np.array_equal(found, np.round(points, 7))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_that_windows_wrote_is_read(tmp_path, encoding):
    saved = tmp_path / "face.json"
    saved.write_text(REAL[0].read_text(encoding="utf-8"), encoding=encoding)
    assert np.array_equal(landmarks.read(saved).points, landmarks.read(REAL[0]).points)


@pytest.mark.parametrize("file", REAL, ids=lambda file: file.stem)
def test_hand_placed_landmarks_of_real_scans_are_faces(file):
    points = landmarks.read(file).points
    assert landmarks.on_mesh(points, points, STRIP) == pytest.approx(points)


def test_mirroring_twice_is_the_face_itself():
    assert np.array_equal(landmarks.MIRRORED[landmarks.MIRRORED], np.arange(68))
    average = frame.mean_landmarks()
    assert average[landmarks.MIRRORED] * [-1, 1, 1] == pytest.approx(average, abs=0.01)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("no json", "is not valid JSON"),
        ("[]", "does not say"),
        ('{"format": "other"}', "does not say"),
        ('{"format": "freetalk-landmarks", "version": 9}', "has version 9"),
        ('{"format": "freetalk-landmarks", "version": 1, "points": [[1, 2]]}', 'needs "points"'),
        (json.dumps({"format": "freetalk-landmarks", "version": 1, "points": [[0, 0, None]] * 68}), 'needs "points"'),
        (json.dumps({"format": "freetalk-landmarks", "version": 1, "points": [[0, 0, 10**400]] * 68}), "all finite"),
        pytest.param(200_000 * "[", "is not valid JSON", id="nested without end"),
        (
            json.dumps({"format": "freetalk-landmarks", "version": 1, "points": [[0, 0, 0]] * 68, "vertices": [1]}),
            '"vertices"',
        ),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(tmp_path, content, says):
    file = tmp_path / "wrong.json"
    file.write_text(content)
    with pytest.raises(LandmarkError, match=says):
        landmarks.read(file)


def test_a_missing_file_is_told_in_a_sentence(tmp_path):
    with pytest.raises(LandmarkError, match="cannot be read"):
        landmarks.read(tmp_path / "nowhere.json")


def test_indices_are_points_of_the_mesh():
    average = frame.mean_landmarks()
    order = np.random.default_rng(1).permutation(68)
    shuffled = np.empty_like(average)
    shuffled[order] = average
    assert landmarks.on_mesh(order, shuffled, STRIP) == pytest.approx(average)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (frame.mean_landmarks()[:67], r"shape \(67, 3\)"),
        (np.arange(68) + 1, "names vertex 68"),
        (np.arange(68) - 1, "names vertex -1"),
        (frame.mean_landmarks() * [-1, 1, 1], "mirror"),
        (frame.mean_landmarks()[::-1].copy(), "do not form a face"),
        (frame.mean_landmarks() + 9, "off the mesh"),
        (frame.mean_landmarks() * 1000, "off the mesh"),
        (np.full((68, 3), np.nan), "not finite"),
    ],
)
def test_landmarks_of_something_else_are_told_in_a_sentence(given, says):
    with pytest.raises(LandmarkError, match=says):
        landmarks.on_mesh(given, frame.mean_landmarks(), STRIP)


def test_a_landmark_may_lie_off_the_mesh_by_what_a_found_one_does_and_not_by_what_a_wrong_one_does():
    average = frame.mean_landmarks()
    for millimetres in (20, 35):
        given = average.copy()
        given[8, 1] -= millimetres / frame.EYE_DISTANCE_MM
        if millimetres == 20:
            assert landmarks.on_mesh(given, average, STRIP) == pytest.approx(given)
        else:
            with pytest.raises(LandmarkError, match=r"Landmark 8 lies 3\d mm off the mesh"):
                landmarks.on_mesh(given, average, STRIP)


def test_points_amid_large_triangles_are_on_the_mesh():
    square = np.array([[-9, -9, 0], [9, -9, 0], [9, 9, 0], [-9, 9, 0]], float)
    flat = frame.mean_landmarks() * [1, 1, 0.15]
    assert landmarks.on_mesh(flat, square, np.array([[0, 1, 2], [0, 2, 3]])) == pytest.approx(flat)


@pytest.mark.parametrize("spread", [0.01, 0.3, 40.0])
def test_the_nearest_of_many_vertices_is_the_nearest_of_all(spread):
    rng = np.random.default_rng(6)
    vertices = rng.normal(0, 1, (50_000, 3)).astype(np.float32)
    points = rng.normal(0, 1, 3) + spread * rng.normal(0, 1, (9, 3))
    wanted = [np.linalg.norm(vertices - point, axis=1).argmin() for point in points]
    assert landmarks.nearest_vertices(points, vertices).tolist() == wanted
    assert landmarks.nearest_vertices(vertices[7:8].astype(float), vertices).tolist() == [7]
    assert len(landmarks.nearest_vertices(np.empty((0, 3)), vertices)) == 0
