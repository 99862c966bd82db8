"""What a killed run leaves does not stop the next one."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from freetalk_blender.core import json_lines


def test_half_a_line_is_left_out_and_the_next_begins_a_line_of_its_own(tmp_path) -> None:
    path = tmp_path / "work" / "aligned.jsonl"
    with json_lines.adding(path) as add:
        add({"name": "one"})
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"name": "tw')
    assert json_lines.read(path) == [{"name": "one"}]
    with json_lines.adding(path) as add:
        add({"name": "two"})
    assert json_lines.read(path) == [{"name": "one"}, {"name": "two"}]


@pytest.fixture()
def interrupted(monkeypatch):
    """Ctrl C in the middle of what numpy or a path writes, within the context that is returned."""

    def half(where, *_, **__) -> None:
        Path(where).write_bytes(b"half")
        raise KeyboardInterrupt

    @contextmanager
    def context():
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            for owner, name in ((np, "save"), (np, "savez"), (Path, "write_text")):
                patch.setattr(owner, name, half)
            yield

    return context


def test_what_is_kept_of_a_landmark_table_is_whole_or_not_there(tmp_path, interrupted) -> None:
    pytest.importorskip("pymeshlab", reason="needs the training environment")
    from evaluation import landmarks

    part = landmarks.Part(tmp_path, 1, keep=tmp_path)
    with interrupted():
        part.kept("table", lambda: {"a": np.ones(3)})
    assert list(tmp_path.iterdir()) == []
    assert part.kept("table", lambda: {"a": np.ones(3)})["a"].sum() == 3
    assert part.kept("table", dict)["a"].sum() == 3


def test_what_a_synthetic_voice_says_is_told_whole_or_not_at_all(tmp_path, interrupted, monkeypatch) -> None:
    pytest.importorskip("pocketsphinx", reason="needs the training environment")
    from export import voices

    def speak(_voice, _text, wav, _packages):
        soundfile.write(wav, np.sin(np.arange(1600) / 9), 16000)
        return [voices.Phone("AA", 0.0, 0.1)]

    monkeypatch.setitem(voices.ENGINES, "flite", speak)
    said = [("one", "a")], tmp_path, tmp_path, voices.Voice("flite", "rms", False)
    with interrupted():
        list(voices.synthesise(*said))
    (recording,) = voices.synthesise(*said)
    assert [phone.name for phone in recording.told] == ["AA"]


def test_what_the_teacher_hears_is_kept_whole_or_not_at_all(tmp_path, interrupted, monkeypatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("pocketsphinx", reason="needs the training environment")
    from export import aligned, train_ats

    monkeypatch.setattr(train_ats.audio, "load", lambda _: (np.zeros(1600, np.float32), 16000))
    monkeypatch.setattr(train_ats.speech, "features", lambda *_: np.zeros((5, 384), np.float32))
    with interrupted():
        train_ats.teach(None, [aligned.Aligned("one", "somebody", tmp_path, [])], {}, tmp_path / "heard")
    assert list((tmp_path / "heard").iterdir()) == []


def test_a_training_whose_speech_is_not_aligned_asks_for_the_wheel(tmp_path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("pocketsphinx", reason="needs the training environment")
    from export import train_ats
    from freetalk_blender.core.errors import FreeTalkError

    with pytest.raises(FreeTalkError, match=r"aligned\.jsonl is not there yet; give --wheel"):
        train_ats.from_nothing(tmp_path, None, tmp_path, [], np.zeros(0), np.zeros(0))


def test_a_mouth_is_not_trained_on_from_a_checkpoint_of_other_speech(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("pocketsphinx", reason="needs the training environment")
    from export import ats_data, ats_training
    from freetalk_blender.core.errors import FreeTalkError

    random, frames = np.random.default_rng(0), 16 * 150 + 200

    def heard(loudness: float) -> ats_data.Streams:
        columns = {"controls": 4, "control_trust": 4, "events": 4, "event_trust": 4}
        labels = {name: np.full((frames, width), loudness, np.float32) for name, width in columns.items()}
        return ats_data.Streams(
            random.normal(size=(frames, 384)).astype(np.float16), **labels, stream=np.zeros(frames, int)
        )

    path, shapes = tmp_path / "checkpoint.pt", random.normal(size=(4, 68, 3))
    weights = ats_training.train(heard(0.5), shapes, path, 1).state_dict()
    again = ats_training.train(heard(0.5), shapes, path, 1).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in weights.items())
    for data, epochs, why in (
        (heard(0.4), 1, "synthetic.jsonl is not what it was"),
        (heard(0.5), 2, "epochs 1, now 2"),
    ):
        with pytest.raises(FreeTalkError, match=f"{why}.*delete it to begin anew"):
            ats_training.train(data, shapes, path, epochs)
