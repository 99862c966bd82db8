"""A few corrupted meshes; `python -m evaluation.fuzz` judges thousands."""

from pathlib import Path

import numpy as np
import pytest

from evaluation import fuzz
from freetalk_blender.core.errors import FreeTalkError


@pytest.fixture(scope="module")
def whole(head: Path, head_landmarks: Path) -> list:
    return [fuzz.thinned(head, head_landmarks, 600)]


@pytest.mark.parametrize("damage", fuzz.DAMAGE, ids=lambda damage: damage.__name__)
def test_every_kind_of_damage_gets_an_answer_or_a_sentence(damage, whole):
    vertices, triangles, points = (array.copy() for array in whole[0])
    index = fuzz.landmarks.nearest_vertices(points, vertices)
    with np.errstate(all="ignore"):
        vertices, triangles = damage(vertices, triangles, np.random.default_rng(3))
        assert fuzz.in_core(vertices, triangles, index)


def test_a_failure_is_logged_with_its_case(whole):
    def broken(*_: object) -> str:
        raise ZeroDivisionError("as a bug would")

    line = fuzz.judge(broken, 1, 7, whole)
    assert line["case"] == 7 and line["damage"] and not line["good"] and "as a bug would" in line["outcome"]
    assert "1 failures" in fuzz.summary([line, line | {"good": True, "outcome": "answer"}])


def test_cases_depend_on_their_number_alone(whole):
    once, again, other = (fuzz.case(1, number, whole) for number in (5, 5, 6))
    assert once[0] == again[0] and all(np.array_equal(a, b) for a, b in zip(once[1:3], again[1:3], strict=True))
    assert once[0] != other[0] or not np.array_equal(once[1], other[1])


def test_a_log_of_other_options_is_not_gone_on_with(tmp_path, monkeypatch):
    log = tmp_path / "log.jsonl"
    words = ["fuzz", "--log", str(log), "--cases", "1"]
    monkeypatch.setattr("sys.argv", words)
    monkeypatch.setattr(fuzz, "_worker", lambda *_: (Worker(), Worker()))
    monkeypatch.setattr(fuzz, "faces", lambda _: [])
    fuzz.main()
    fuzz.main()
    assert len(log.read_text().splitlines()) == 1
    for other in (["--seed", "3"], ["--blender"]):
        monkeypatch.setattr("sys.argv", [*words, *other])
        monkeypatch.setattr("importlib.util.find_spec", lambda _: "here")
        with pytest.raises(FreeTalkError, match="holds cases of other options"):
            fuzz.main()


def test_without_blender_nothing_is_said_to_go_through_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["fuzz", "--blender", "--log", str(tmp_path / "log.jsonl")])
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(FreeTalkError, match="needs Blender as a module"):
        fuzz.main()


class Worker:
    """A process, and the pipe to it, that answers every case at once."""

    def send(self, number: int) -> None:
        self.line = {"case": number, "damage": [], "good": True, "outcome": "answer", "seconds": 0.0}

    def poll(self, _seconds: float) -> bool:
        return True

    def recv(self) -> dict:
        return self.line

    def kill(self) -> None:
        pass
