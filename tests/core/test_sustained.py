"""Held vowels: heard shortened, so that the mouth stays open as long as they sound."""

import numpy as np
import pytest
from scipy.signal import lfilter

from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, gaps
from freetalk_blender.core.voice import ats, audio, performance, speech, sustained

RATE = audio.SPEECH_RATE


def vowel(seconds: float, formants: tuple[float, float], to: tuple[float, float] | None = None) -> np.ndarray:
    """A voice of 110 Hz through two resonances, which move to others or stay."""
    samples = np.zeros(round(seconds * RATE), np.float32)
    samples[:: RATE // 110] = 1
    steps = np.array_split(samples, 50)
    for number in range(2):
        state, parts = np.zeros(2), []
        for share, step in zip(np.linspace(0, 1, len(steps)), steps, strict=True):
            centre = formants[number] + share * ((to or formants)[number] - formants[number])
            radius = np.exp(-np.pi * 80 / RATE)
            poles = [1, -2 * radius * np.cos(2 * np.pi * centre / RATE), radius**2]
            part, state = lfilter([1], poles, step, zi=state)
            parts.append(part)
        steps = parts
    whole = np.concatenate(steps)
    return (0.3 * whole / np.abs(whole).max()).astype(np.float32)


def between_words(sound: np.ndarray) -> np.ndarray:
    """A sound with the pause of a second before it and after it."""
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    return np.concatenate([quiet, sound, quiet])


def found(samples: np.ndarray, speaks: float = 1.0) -> list[list[int]]:
    return sustained.find(samples, np.full(len(samples) // speech.HOP + 1, speaks)).tolist()


def test_a_held_vowel_is_found_between_its_ends() -> None:
    (place,) = found(between_words(vowel(2.0, (700, 1200))))
    assert 50 + 10 <= place[0] <= 50 + 25 and 150 - 25 <= place[1] <= 150 - 5


@pytest.mark.parametrize(
    "sound",
    [
        vowel(0.4, (700, 1200)),
        vowel(1.0, (800, 1200), (300, 2300)),
        (0.1 * np.diff(np.random.default_rng(1).standard_normal(2 * RATE))).astype(np.float32),
    ],
    ids=["short", "gliding", "hiss"],
)
def test_what_is_short_or_changes_or_hisses_is_not_held(sound: np.ndarray) -> None:
    assert found(between_words(sound)) == []
    assert found(between_words(sound) + np.float32(0.3)) == [], "with a direct current"


def test_what_does_not_begin_as_speech_is_left_alone() -> None:
    assert found(between_words(vowel(2.0, (700, 1200))), 0.3) == []
    assert found(np.zeros(10, np.float32)) == []


def test_a_vowel_that_is_not_heard_as_speech_while_it_is_held_is_found() -> None:
    samples = between_words(vowel(2.0, (700, 1200)))
    speaks = np.zeros(len(samples) // speech.HOP + 1)
    speaks[40:48] = speaks[140:150] = 1
    assert sustained.find(samples, speaks).tolist() == found(samples)
    speaks[:60] = 0
    assert sustained.find(samples, speaks).tolist() == []


def test_what_is_left_out_is_worth_it() -> None:
    """Vowels that grow by a frame: the first of which something is left out loses 80 ms."""
    places = [found(between_words(vowel(frames / 50, (700, 1200)))) for frames in range(35, 46)]
    assert [end - start for place in places for start, end in place][:2] == [4, 5]


def test_where_blocks_meet_sounds_are_described_as_within_them(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = vowel(1.0, (800, 1200), (300, 2300))

    def described() -> list[np.ndarray]:
        return [np.concatenate(parts) for parts in zip(*sustained._described(samples, np.float32(0)), strict=True)]

    whole = described()
    monkeypatch.setattr(sustained, "_BLOCK", 7)
    for one, other in zip(whole, described(), strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_silence_is_not_held_however_long_it_is() -> None:
    samples = np.concatenate([between_words(vowel(0.4, (700, 1200))), np.zeros(60 * RATE, np.float32)])
    speaks = np.zeros(len(samples) // speech.HOP + 1)
    speaks[45:130] = 1
    assert sustained.find(samples, speaks).tolist() == []


def test_time_is_whole_again() -> None:
    samples = np.arange(40 * speech.HOP + 7, dtype=np.float32)
    places = np.array([(14, 20), (30, 31)])
    shorter = sustained.shortened(samples, places)
    assert len(samples) - len(shorter) == 7 * speech.HOP
    frames = np.delete(np.arange(41.0), [*range(14, 20), 30])[:, None]
    again = sustained.stretched(frames, places)[:, 0]
    assert np.allclose(again, np.arange(41.0), atol=1e-4)


def test_lips_stay_open_in_a_held_vowel(spoken: np.ndarray) -> None:
    spoken = spoken[: 3 * RATE]
    heard = performance.hear(spoken, "cpu").features
    widest = int(gap(heard)[20:-20].argmax()) + 20
    start = (widest - 2) * speech.HOP
    part = spoken[start : start + 800]
    likeness = np.correlate(part, part, "full")[len(part) :]
    period = 64 + int(likeness[63:320].argmax())
    held = np.tile(part[:period], 2 * RATE // period)
    whole = np.concatenate([spoken[:start], held, spoken[start + period :]])
    inside = slice(widest + 20, widest + 80)
    performed = gap(performance.hear(whole, "cpu").features)[inside].mean()
    plain = speech.surrounded(whole, "cpu")
    assert performed > 0.08 and performed > gap(plain)[inside].mean()
    assert len(performance.hear(whole, "cpu").features) == len(plain)


def gap(features: np.ndarray) -> np.ndarray:
    """(T,) between the middles of the lips, canonical units."""
    still = np.zeros((len(features) - 2 * speech.CONTEXT, len(ats.EMOTIONS)), np.float32)
    return gaps(ats.predict(features, still, device="cpu"), INNER_LIP_PAIRS)[:, 1]
