"""Faces whose features are reshaped keep their skin whole and the rest of the head where it was."""

import numpy as np
import pytest

from export import reshaping
from freetalk_blender.core import landmarks
from freetalk_blender.core.frame import canonical_frame
from freetalk_blender.core.landmarks import LIDS, LIPS, MIRRORED
from freetalk_blender.core.surface import scan_file

#: Centimetres of a canonical face (eye distances).
CM = 9.0


@pytest.fixture(scope="module")
def face(head, head_landmarks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sample upright and towards +z, in cm: vertices, triangles, landmarks."""
    vertices, triangles = scan_file.read(head)
    points = landmarks.read(head_landmarks).points
    frame = canonical_frame(points)
    return CM * frame.to_canonical(vertices), triangles, CM * frame.to_canonical(points)


def normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    return np.cross(b - a, c - a)


def test_skin_keeps_facing_as_it_did(face) -> None:
    vertices, triangles, points = face
    before = normals(vertices, triangles)
    for seed in range(20):
        after = normals(reshaping.reshaped(vertices, points, np.random.default_rng(seed)), triangles)
        assert ((before * after).sum(1) > 0).mean() > 0.998


def test_features_change_by_millimetres_and_the_back_of_the_head_stays(face) -> None:
    vertices, _, points = face
    moves = [
        reshaping.reshaped(np.concatenate([points, vertices]), points, np.random.default_rng(seed))
        - np.concatenate([points, vertices])
        for seed in range(20)
    ]
    size = np.linalg.norm(moves, axis=2)
    assert 0.1 < size[:, :68][:, LIDS].mean() < 0.4 and 0.1 < size[:, :68][:, LIPS].mean() < 0.5
    assert size.max() < 2
    behind = np.flatnonzero(vertices[:, 2] < points[:, 2].min() - 3)
    assert len(behind) and size[:, 68 + behind].max() < 1e-4


def test_both_eyes_change_nearly_alike(face, monkeypatch) -> None:
    _, _, points = face
    alike = (points + points[MIRRORED] * [-1, 1, 1]) / 2
    monkeypatch.setattr(reshaping, "UNLIKE", 0.0)
    changed = reshaping.reshaped(alike, alike, np.random.default_rng(1))
    assert np.abs(changed - changed[MIRRORED] * [-1, 1, 1]).max() < 1e-5
    monkeypatch.undo()
    crooked = reshaping.reshaped(alike, alike, np.random.default_rng(1))
    assert 1e-3 < np.abs(crooked - crooked[MIRRORED] * [-1, 1, 1]).mean() < 0.3
