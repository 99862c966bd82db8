"""What phones ask of lips: other languages' sounds, other voices' timing, heights of vowels."""

import numpy as np
import pytest

pytest.importorskip("pocketsphinx", reason="the training environment aligns speech")

from export import aligned, articulation, dubbing, postures
from export.phones import Phone, words
from export.pronounce import arpabet

RATE = 50


def spoken(*phones: tuple[str, float]) -> list[Phone]:
    """Phones of given lengths, one after another from second 0.5."""
    ends = 0.5 + np.cumsum([length for _, length in phones])
    return [Phone(name, end - length, end) for (name, length), end in zip(phones, ends, strict=True)]


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("t͡ʃˈɜːt͡ʃ", ("CH", "ER", "CH")),
        ("hˈa͡ʊ", ("HH", "AW")),
        ("bˈɔ̃", ("B", "AO")),
        ("wˈeβo", ("W", "EY", "V", "OW")),
        ("", ()),
    ],
)
def test_sounds_of_other_languages_become_the_nearest_english_ones(ipa: str, phones: tuple[str, ...]) -> None:
    assert arpabet(ipa) == phones


def test_numbers_and_accents_are_words() -> None:
    assert words("Don't press 12, señor - à l'été!") == ["don't", "press", "12", "señor", "à", "l'été"]


def test_dubbed_lips_keep_their_place_in_the_phones() -> None:
    real = spoken(("B", 0.1), ("IY", 0.2), ("N", 0.1))
    slow = spoken(("B", 0.2), ("IY", 0.2), ("N", 0.4))
    times = np.array([0.3, 0.5, 0.6, 0.8, 1.1, 1.5])
    moments = dubbing.warp(real, slow, times)
    assert moments is not None
    assert np.allclose(moments, [0.3, 0.5, 0.55, 0.7, 0.85, 1.1])


def test_a_sentence_said_otherwise_is_not_dubbed() -> None:
    real = spoken(("B", 0.1), ("IY", 0.2), ("N", 0.1))
    assert dubbing.warp(real, spoken(("B", 0.1), ("IY", 0.2)), np.zeros(3)) is None
    assert dubbing.warp(real, spoken(("P", 0.1), ("AA", 0.2), ("N", 0.1)), np.zeros(3)) is None


def test_vowels_open_by_their_height_and_bilabials_close() -> None:
    frames = 100
    controls = np.zeros((frames, len(articulation.SPEECH_CONTROLS)))
    jaw = list(articulation.SPEECH_CONTROLS).index("jawOpen")
    controls[:, jaw] = 0.2
    rest = {names: np.zeros(controls.shape[1]) for names in postures.DEMANDS}

    def opened(name: str) -> float:
        phones = spoken(("T", 0.2), (name, 0.3), ("T", 0.2))
        return float(postures.correct(controls, phones, rest)[round(0.85 * RATE), jaw])

    heights = [opened(name) for name in ("AA", "EH", "IY", "M")]
    assert heights[0] > heights[1] > heights[2] > heights[3] == 0.0


def test_a_phone_that_is_too_long_is_not_believed_nor_its_surroundings() -> None:
    phones = spoken(("T", 0.1), ("AA", 1.0), ("T", 0.1), ("IY", 0.1))
    trust = aligned.trusted(phones, 200)
    assert trust[round(1.0 * RATE)] == 0 and trust[round(1.8 * RATE)] == 0 and trust[round(2.2 * RATE)] == 1
    assert aligned.trusted(spoken(("T", 0.1), ("AA", 0.2)), 100).all()


@pytest.mark.parametrize("before", ["SIL", "AA"])
def test_a_closure_lasts_70_ms_where_the_aligner_heard_a_burst_alone(before: str) -> None:
    phones = spoken((before, 0.3), ("P", 0.03), ("AA", 0.3))
    labels, trust = postures.events(phones, 75)
    closed = np.flatnonzero(labels[:, 1])
    assert len(closed) >= 3
    assert trust[closed, 1].max() == 1.0
    earlier = phones[1].start - closed[0] / RATE
    assert earlier == pytest.approx(0.05 if before == "SIL" else 0.02, abs=0.011)
