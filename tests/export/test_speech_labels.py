"""What phones ask of lips: other languages' sounds, other voices' timing, heights of vowels."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pocketsphinx", reason="the training environment aligns speech")

from evaluation.ats_phones import Spoken
from export import (
    aligned,
    articulation,
    ats_data,
    ats_training,
    dubbing,
    espeak,
    postures,
    synthesisers,
    voices,
)
from export.phones import Phone, words
from export.pronounce import arpabet
from freetalk_blender.core.voice import speech

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
        ("lʲˈʉʃɨ", ("L", "Y", "UW", "SH", "IH")),
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


def test_dubbed_lips_keep_their_place_where_a_phone_is_called_otherwise_or_missing() -> None:
    real = spoken(("B", 0.1), ("IH", 0.1), ("N", 0.1), ("B", 0.1), ("L", 0.1), ("UW", 0.1))
    other = spoken(("B", 0.2), ("IY", 0.2), ("N", 0.2), ("B", 0.2), ("L", 0.2), ("UW", 0.2))
    short = [phone for phone in other if phone.name != "IY"]
    for dubbed in (other, short):
        moments = dubbing.warp(real, dubbed, np.array([0.6, 0.8, 1.2, 1.6]))
        assert moments is not None
        assert np.allclose(moments, [0.55, 0.65, 0.85, 1.05])


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


def test_espeak_tells_whole_diphthongs_and_an_n_where_spanish_bites() -> None:
    events = [(0.0, "t͡ʃ"), (0.1, "a͡ɪ"), (0.3, "m"), (0.4, "f"), (0.5, "")]
    english = list(espeak.phones(events, 0.6, english=True))
    spanish = list(espeak.phones(events, 0.6, english=False))
    assert [phone.name for phone in english] == ["CH", "AY", "M", "F", "SIL"]
    assert [phone.name for phone in spanish] == ["CH", "AY", "N", "F", "SIL"]
    assert (english[1].start, english[1].end, english[-1].end) == (0.1, 0.3, 0.6)


def test_consonants_leave_lips_apart_unless_a_neighbour_closes_them() -> None:
    phones = spoken(("D", 0.1), ("AA", 0.1), ("G", 0.1), ("IY", 0.1), ("T", 0.04), ("AA", 0.1), ("N", 0.1), ("B", 0.1))
    curve = np.zeros(100)
    assert [phone.name for phone in Spoken("any", phones, curve, curve).left_apart()] == ["G"]


def test_held_out_voices_say_what_no_voice_of_training_says() -> None:
    held_out = {voice.language for voice in voices.VOICES if voice.held_out}
    for language in held_out:
        voice = next(v for v in voices.VOICES if v.held_out and v.language == language)
        judged = {text for _, text in voices.texts(Path(), voice)}
        assert len(judged) >= 10
        assert not judged & {*voices.SENTENCES.get(language, ())}


def test_a_program_s_own_segments_are_the_aligner_s_phones() -> None:
    found = synthesisers._in_a_row([("pau", 0.2), ("b", 0.3), ("ax", 0.35)])
    assert found == [Phone("SIL", 0.0, 0.2), Phone("B", 0.2, 0.3), Phone("AH", 0.3, 0.35)]


def test_segments_of_other_languages_are_the_aligner_s_phones_too() -> None:
    found = synthesisers._foreign([("#", 0.2), ("c", 0.4), ("a:", 0.5), ("b", 0.6), ("r~", 0.7)], "cs")
    assert [phone.name for phone in found] == ["SIL", "T", "S", "AA", "B", "ZH"]
    assert [phone.start for phone in found] == pytest.approx([0.0, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_the_crowd_speaks_or_counts_in_many_languages_and_holds_no_held_out_voice() -> None:
    crowd = voices.crowd()
    said = {voice: [text for _, text in voices.crowd_texts(voice, place)] for place, voice in enumerate(crowd)}
    assert not {voice.title for voice in crowd} & {voice.title for voice in voices.VOICES if voice.held_out}
    assert len({voice.language for voice in crowd}) > 60
    for voice, texts in said.items():
        counts = all(char.isdigit() or char in ", " for text in texts for char in text)
        assert texts and counts == (voice.language not in voices.SENTENCES)


def test_streams_are_long_or_lie_in_one_window_of_the_encoder() -> None:
    random = np.random.default_rng(0)
    cuts = [ats_data._cut(int(random.integers(100, 1200)), random) for _ in range(300)]
    assert {len(cut) == 1 for cut in cuts if sum(cut) > ats_data.SHORT[0]} == {True, False}
    short = [length for cut in cuts if len(cut) > 1 for length in cut]
    assert max(short) <= ats_data.SHORT[0] and min(short) >= ats_data.SHORT[1]
    with_margins = ats_data.SHORT[0] + 2 * speech._MARGIN
    assert list(speech.windows(with_margins)) == [(0, with_margins)]
    assert len(list(speech.windows(with_margins + 1))) > 1


def test_windows_of_training_lie_within_their_stream_and_short_streams_are_heard() -> None:
    lengths = [900, 100, 225, 450]
    stream = np.repeat(np.arange(4), lengths)
    heard = set()
    for seed in range(20):
        for start in ats_training.starts(stream, np.random.default_rng(seed)):
            first, last = start - ats_training.CONTEXT, start + ats_training.LENGTH + ats_training.CONTEXT - 1
            assert stream[first] == stream[last]
            heard.add(int(stream[start]))
    assert heard == {0, 2, 3}


def test_who_describes_stamps_teaches_ears_alone_and_no_silence() -> None:
    phones = [Phone("SIL", 0.0, 0.5), *spoken(("M", 0.1), ("AA", 0.3)), Phone("SIL", 0.9, 1.5)]
    events, trust = postures.events(phones, 75)
    controls = np.zeros((75, len(articulation.SPEECH_CONTROLS)), np.float32)
    piece = ats_data.Piece(np.zeros(75 * speech.HOP, np.float32), controls, np.ones_like(controls), events, trust)
    taught = ats_data.heard_alone(piece, phones)
    assert not taught.control_trust.any()
    speaks, bilabial = ats_data.EVENTS.index("speech"), ats_data.EVENTS.index("bilabial")
    believed = taught.event_trust[:, speaks] > 0
    assert believed[round(0.7 * RATE)] and not believed[: round(0.48 * RATE)].any() and not believed[47:].any()
    np.testing.assert_array_equal(taught.event_trust[:, bilabial], trust[:, bilabial])
