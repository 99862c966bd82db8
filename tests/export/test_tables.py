"""Tables that are committed are written whole or not at all (training environment)."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pymeshlab", reason="needs the training environment")
pytest.importorskip("fast_simplification", reason="needs the training environment")

from export import arkit_shapes, articulation, ict, landmark_prior, mean_landmarks
from freetalk_blender.core import arkit


@pytest.fixture(autouse=True)
def model(monkeypatch) -> None:
    """An empty one, and faces made up."""
    monkeypatch.setattr(ict, "load", lambda _: SimpleNamespace(expression_names=(), landmark_vertices=()))
    faces = np.random.default_rng(0).normal(size=(landmark_prior.FACES, 68, 3))
    monkeypatch.setattr(mean_landmarks, "mean_landmarks", lambda _: np.zeros((68, 3)))
    monkeypatch.setattr(articulation, "basis", lambda *_: np.zeros((len(arkit.NAMES), 68, 3)))
    monkeypatch.setattr(landmark_prior, "aligned_faces", lambda *_: faces)


@pytest.mark.parametrize(
    ("command", "place", "writer"),
    [
        (mean_landmarks, (mean_landmarks, "OUTPUT"), "savetxt"),
        (landmark_prior, (landmark_prior, "OUTPUT"), "savez"),
        (arkit_shapes, (arkit, "FILE"), "savez_compressed"),
    ],
)
def test_one_whose_writing_ends_halfway_is_the_one_before(command, place, writer, tmp_path, monkeypatch) -> None:
    table = tmp_path / "table"
    table.write_text("whole")
    monkeypatch.setattr(*place, table)
    monkeypatch.setattr(sys, "argv", ["write", "--data", "/nowhere"])

    def cut_off(path, *_, **__) -> None:
        path.write_text("ha")
        raise OSError

    monkeypatch.setattr(np, writer, cut_off)
    with pytest.raises(OSError):
        command.main()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]
