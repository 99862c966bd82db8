"""Sounds that are held: what is made longer, and what the network is told to answer."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pocketsphinx", reason="the training environment aligns speech")

from export import holding
from export.aligned import Aligned
from export.ats_data import CONTROLS, Piece
from export.phones import Phone
from freetalk_blender.core.voice.speech import CONTEXT, FEATURE_RATE, HOP

FRAMES = 200


@pytest.fixture()
def piece() -> Piece:
    """Four seconds of a tone whose pitch rises, its controls and events a ramp."""
    ramp = np.arange(FRAMES, dtype=np.float32)[:, None]
    columns = {"controls": np.repeat(ramp, len(CONTROLS), 1), "events": np.repeat(ramp, 4, 1)}
    samples = np.sin(2 * np.pi * np.cumsum(np.linspace(100, 200, FRAMES * HOP)) / 16000).astype(np.float32)
    return Piece(samples, control_trust=np.ones_like(columns["controls"]), event_trust=np.ones((FRAMES, 4)), **columns)


def test_a_held_vowel_lasts_and_what_is_around_it_stays(piece) -> None:
    held = holding.hold(piece, Phone("AA", 1.9, 2.1), 100)
    assert len(held.samples) == len(held.controls) * HOP == (FRAMES - 8 + 100) * HOP
    np.testing.assert_array_equal(held.samples[: 96 * HOP], piece.samples[: 96 * HOP])
    np.testing.assert_array_equal(held.samples[196 * HOP :], piece.samples[104 * HOP :])
    assert held.controls[95, 0] == 95 and held.controls[196, 0] == 104
    assert (np.diff(held.controls[96:196, 0]) >= 0).all()
    assert held.controls[96:196, 0].min() >= 96 and held.controls[96:196, 0].max() < 104
    whole = np.fft.rfft(held.samples[110 * HOP : 186 * HOP])
    hertz = np.abs(whole).argmax() * FEATURE_RATE / 76
    assert hertz == pytest.approx(150, abs=3)


@pytest.mark.parametrize(
    ("name", "start", "end", "held"),
    [("AA", 1.9, 2.1, 1), ("M", 1.9, 2.1, 1), ("S", 1.9, 2.1, 0), ("AA", 1.9, 1.95, 0), ("AA", 0.1, 0.4, 0)],
)
def test_vowels_and_hums_are_held_that_are_long_enough_and_not_at_the_edge(piece, name, start, end, held) -> None:
    recording = Aligned("one", "somebody", Path(), [Phone(name, start, end)])
    assert len(holding.pieces([recording], [piece], 0)) == held


def test_what_is_not_believed_is_not_held(piece) -> None:
    piece.control_trust[:] = 0
    recording = Aligned("one", "somebody", Path(), [Phone("AA", 1.9, 2.1)])
    assert holding.pieces([recording], [piece], 0) == []


def test_what_is_kept_of_held_sounds_is_read_again(piece, tmp_path, monkeypatch) -> None:
    held = holding.hold(piece, Phone("AA", 1.9, 2.1), 100)
    heard = np.ones((len(held.controls) + 2 * CONTEXT, 384), np.float32)
    monkeypatch.setattr(holding.speech, "surrounded", lambda *_: heard)
    monkeypatch.setattr(holding.sustained, "find", lambda *_: np.empty((0, 2), int))
    first = holding.streams([held, held], tmp_path / "held.npy")
    monkeypatch.undo()
    again = holding.streams([held, held], tmp_path / "held.npy")
    np.testing.assert_array_equal(first.features, again.features)
    assert len(first.features) == len(first.controls) == len(first.stream) == 2 * len(heard)
