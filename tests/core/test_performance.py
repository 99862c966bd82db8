"""From a voice to landmark motion at the scene's frame rate."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from freetalk_blender.core import frame, models
from freetalk_blender.core.errors import AudioError, FreeTalkError
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, LID_PAIRS, gaps
from freetalk_blender.core.voice import audio, lips, performance, speech
from freetalk_blender.core.voice.performance import Performance
from freetalk_blender.core.voice.style import Style, StyleError
from freetalk_blender.core.voice.utterance import Utterance

RATE = audio.SPEECH_RATE
LIPS = slice(48, 68)


def perform(samples: np.ndarray, rate: float = RATE, emotion=None, fps: float = 50, **options) -> np.ndarray:
    return performance.perform(samples, rate, emotion, fps, device="cpu", **options).displacement


def test_a_sound_of_whole_frames_has_one_more_and_no_other() -> None:
    assert performance.frame_count(4480, RATE, 25) == 8, "4480 / 16000 * 25 is 7.000000000000001"
    assert performance.frame_count(4481, RATE, 25) == 9


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 60, 23.976])
def test_frame_i_is_second_i_over_fps_at_any_rate(spoken: np.ndarray, fps: float) -> None:
    reference = perform(spoken)
    moved = perform(spoken, fps=fps)
    assert len(moved) == performance.frame_count(len(spoken), RATE, fps)
    assert (len(moved) - 1) / fps >= len(spoken) / RATE - 1e-9
    seconds = np.arange(len(moved)) / fps
    shown = lips.shown(reference, 50, len(moved), fps)
    for times, frames in ((seconds, np.flatnonzero(shown == seconds)), (shown, np.arange(len(moved)))):
        assert len(frames) >= 0.95 * len(moved)
        for point, axis in ((66, 1), (8, 1), (48, 0)):
            expected = np.interp(times[frames], np.arange(len(reference)) / 50, reference[:, point, axis])
            assert np.abs(moved[frames, point, axis] - expected).max() < 1e-6


def eyes(moved: np.ndarray) -> np.ndarray:
    """(T,4) how open eyes are, of what they are at rest."""
    return 1 + gaps(moved, LID_PAIRS) / gaps(frame.mean_landmarks(), LID_PAIRS)


@pytest.mark.parametrize("fps", [12, 24])
def test_a_blink_shuts_the_eyes_at_low_rates_too(spoken: np.ndarray, fps: float) -> None:
    fine, moved = (eyes(perform(np.tile(spoken, 4), fps=rate)).mean(1) for rate in (50, fps))
    deepest = np.flatnonzero((fine[1:-1] < 0.2) & (fine[1:-1] <= fine[:-2]) & (fine[1:-1] < fine[2:])) + 1
    assert len(deepest) > 3
    for instant in deepest:
        near = np.abs(np.arange(len(moved)) / fps - instant / 50) <= 0.5 / fps + 0.02
        assert moved[near].min() < fine[instant] + 0.05


@pytest.mark.parametrize(("upper", "intensity"), [(2.0, 1.5), (1.5, 1.5), (2.0, 1.0)])
def test_no_feeling_shuts_the_eyes_but_blinks_do(spoken: np.ndarray, upper: float, intensity: float) -> None:
    open_by = eyes(perform(spoken, emotion={"happy": intensity}, style=Style(upper_face=upper)))
    assert np.median(open_by, axis=0).min() > 0.2 and np.median(open_by) < 0.5
    assert np.abs(open_by.mean(1).min()) < 0.1


@pytest.mark.parametrize("fps", [12, 24, 25, 30, 60, 120])
def test_a_frame_shows_lips_that_are_shut_for_a_moment_between_two(fps: float) -> None:
    gap = np.full(200, 0.1)
    gap[[20, 41, 62, 83, 104, 105]] = 0.0, 0.002, 0.0, 0.0, 0.0, 0.0
    gap[127] = 0.02  # narrow, and no closure
    motion = np.tensordot(gap, lips.parting().sum(0), 0)
    frames = performance.frame_count(200, 50, fps)
    shown = lips.shown(motion, 50, frames, fps)
    seen = np.interp(shown, np.arange(200) / 50, gap)
    for instant in (20, 41, 62, 83, 104):
        near = np.abs(np.arange(frames) / fps - instant / 50) <= 0.5 / fps + 1 / 50 + 1e-9
        assert seen[near].min() <= gap[instant] + 1e-6
    moved = shown != np.arange(frames) / fps
    assert moved.sum() <= 5 and (np.diff(shown) > 0).all()
    assert not moved[np.abs(np.arange(frames) / fps - 127 / 50) < 1 / 50].any()
    assert np.abs(shown - np.arange(frames) / fps).max() <= 0.5 / fps + 1e-6


def test_of_two_frames_as_near_the_earlier_one_shows_shut_lips_and_of_frames_far_away_none_does() -> None:
    gap = np.full(100, 0.1)
    gap[[10, 41]] = 0.0
    motion = np.tensordot(gap, lips.parting().sum(0), 0)
    wanted = np.arange(50) / 25
    wanted[20] = 41 / 50
    assert lips.shown(motion, 50, 50, 25) == pytest.approx(wanted)
    assert lips.shown(motion, 50, 4, 2) == pytest.approx([0, 0.5, 1, 1.5]), "lips 0.2 s away are another moment's"
    motion[41] = np.tensordot([0.1, 0.1, 0.0], lips.parting(), 1)
    assert lips.shown(motion, 50, 50, 25) == pytest.approx(np.arange(50) / 25), "one corner alone is no closure"


@pytest.mark.parametrize("seconds", [1 / RATE, 0.02, 0.3, 1.0])
def test_short_sounds_perform(spoken: np.ndarray, seconds: float) -> None:
    samples = spoken[: max(1, int(seconds * RATE))]
    result = performance.perform(samples, RATE, fps=30, device="cpu")
    assert result.displacement.shape == (performance.frame_count(len(samples), RATE, 30), 68, 3)
    assert np.isfinite(result.displacement).all()
    assert result.emotion.shape == (len(result.displacement), 8) and result.neutral.shape == (68, 3)


def test_rate_and_channels_do_not_change_the_performance(spoken: np.ndarray) -> None:
    reference = perform(spoken)
    stereo = np.repeat(audio.resample(spoken, RATE, 96000)[:, None], 2, 1)
    moved = perform(stereo, 96000)[: len(reference)]
    assert np.abs(moved[: len(reference)] - reference)[:, LIPS].max() < 0.05 * np.ptp(reference[:, 66, 1])


def test_eight_bits_are_enough(spoken: np.ndarray) -> None:
    coarse = np.rint(np.clip(spoken, -1, 1) * 127 + 128).astype(np.uint8)
    curves = [x[:, 62, 1] - x[:, 66, 1] for x in (perform(coarse), perform(spoken))]
    assert np.corrcoef(curves)[0, 1] > 0.9


@pytest.mark.parametrize("sound", ["silence", "direct current", "hiss", "noise"])
def test_where_nobody_speaks_the_face_is_still_and_shut(spoken: np.ndarray, sound: str) -> None:
    random = np.random.default_rng(0)
    samples = {
        "silence": np.zeros(3 * RATE),
        "direct current": np.full(3 * RATE, 0.5),
        "hiss": random.normal(0, 1e-3, 3 * RATE),
        "noise": random.normal(0, 0.05, 3 * RATE),
    }[sound]
    still, speaking = perform(samples), perform(spoken)
    assert np.abs(np.diff(still, axis=0)).mean() < 0.02 * np.abs(np.diff(speaking, axis=0)).mean()
    assert np.abs(still[:, 62, 1] - still[:, 66, 1]).max() < 0.005
    (told,) = performance.perform(samples, RATE, device="cpu").notes("a.wav")
    assert "No speech was heard in a.wav" in told


def test_a_single_faint_word_in_long_silence_is_heard(spoken: np.ndarray) -> None:
    sound = np.zeros(10 * RATE, np.float32)
    sound[5 * RATE : 5 * RATE + RATE // 4] = 1e-3 * spoken[RATE : RATE + RATE // 4]
    assert performance.perform(sound, RATE, device="cpu").notes("a.wav") == ()


def test_not_a_number_is_silence_and_only_that_is_an_error(spoken: np.ndarray) -> None:
    broken = spoken.copy()
    broken[: RATE // 2] = np.nan
    assert np.isfinite(perform(broken)).all()
    with pytest.raises(AudioError):
        perform(np.full(RATE, np.nan))


def test_less_than_a_sample_of_what_the_networks_hear_is_an_error() -> None:
    with pytest.raises(AudioError, match="too short"):
        performance.perform(np.ones(1), 48000)


def test_music_like_sound_stays_finite_and_within_the_face() -> None:
    times = np.arange(4 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * times) for hertz in (220, 277, 330, 440)) * (times % 0.5 < 0.4)
    assert np.abs(perform(chord)).max() < 0.5


@pytest.fixture
def each_window_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The speech encoder answers from memory where it hears a window again."""
    load, known = models.session, {}

    def run(outputs: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        window = given["log_mel"].tobytes()
        if window not in known:
            known[window] = load("speech_encoder", "cpu").run(outputs, given)
        return known[window]

    remembering = SimpleNamespace(run=run)
    monkeypatch.setattr(models, "session", lambda *of: remembering if of[0] == "speech_encoder" else load(*of))


def test_windows_of_long_speech_meet_without_a_seam(
    spoken: np.ndarray, monkeypatch: pytest.MonkeyPatch, each_window_once: None
) -> None:
    """Where windows cross-fade, no frame steps by 1 % of the range more than in every window's own curve."""
    whole = np.tile(spoken, int(22 * RATE / len(spoken)) + 1)[: 22 * RATE]

    def gap() -> np.ndarray:
        performance.clear_cache()
        moved = perform(whole)
        return moved[:, 62, 1] - moved[:, 66, 1]

    def only(first: int) -> np.ndarray:
        """The curve by every fourth window, which do not overlap."""

        def hard(start: int, stop: int, frames: int) -> np.ndarray:
            return np.full(stop - start, 1.0 if start // speech.STEP % 4 == first else 1e-6, np.float32)

        with monkeypatch.context() as patch:
            patch.setattr(speech, "_weight", hard)
            return gap()

    blended, singles = gap(), np.stack([only(first) for first in range(4)])
    inner = slice(500, 600)
    steps, others = np.diff(blended)[inner], np.diff(singles)[:, inner]
    beyond = np.maximum(steps - others.max(0), others.min(0) - steps)
    assert min(np.abs(singles[a] - singles[b])[inner].max() for a in range(4) for b in range(a)) > 0.0
    assert beyond.max() < 0.01 * np.ptp(blended)


def test_a_seed_gives_one_performance(spoken: np.ndarray) -> None:
    assert np.array_equal(perform(spoken, seed=5), perform(spoken, seed=5))


def test_emotion_may_be_a_curve_and_neutral_is_exact(spoken: np.ndarray) -> None:
    frames = performance.frame_count(len(spoken), RATE, 50)
    ramp = np.zeros((frames, 8), np.float32)
    ramp[:, 1] = np.linspace(0, 1, frames)
    neutral, moved = perform(spoken), perform(spoken, emotion=ramp)
    assert np.array_equal(neutral, perform(spoken, emotion={"happy": 0.0}))
    assert np.allclose(neutral[0], moved[0], atol=1e-6)
    assert (moved - neutral)[-1, 54, 1] > 0.02  # a smile lifts the corner


def test_a_new_emotion_runs_the_small_network_alone(spoken: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = perform(spoken)
    monkeypatch.setattr(speech, "surrounded", None)  # the encoder is not to be asked again
    assert not np.array_equal(calm, perform(spoken, emotion={"angry": 1.0}))
    with pytest.raises(TypeError):
        perform(spoken[: RATE // 2])


def test_a_line_that_is_cut_close_moves_at_its_ends_as_it_does_within_more_speech(spoken: np.ndarray) -> None:
    whole, missed = perform(spoken), []
    for first, end in ((1.3, 2.2), (2.9, 4.3), (4.5, 5.3), (5.0, 5.9), (0.2, 1.0), (3.5, 4.1)):
        cut = perform(spoken[round(first * RATE) : round(end * RATE)])
        moved = cut - whole[round(first * 50) :][: len(cut)]
        missed += list(moved[[0, 1, 2, -4, -3, -2], 62, 1] - moved[[0, 1, 2, -4, -3, -2], 66, 1])
    assert frame.EYE_DISTANCE_MM * np.abs(missed).mean() < 1.4


@pytest.mark.parametrize("lead", [0.1, 0.2, 0.4])
def test_a_recording_that_begins_in_silence_begins_at_rest(spoken: np.ndarray, lead: float) -> None:
    """Breath before a phrase would part the lips by millimetres in the first frame."""
    sounds = spoken[round(3.5 * RATE) :]
    first = round(speech.lead(sounds) * RATE)
    alone = np.concatenate([np.zeros(round(lead * RATE), np.float32), sounds[first:]])
    moved, within = perform(alone), perform(np.concatenate([np.zeros(RATE, np.float32), alone]))[50:]
    assert speech.lead(alone) == pytest.approx(lead)
    assert frame.EYE_DISTANCE_MM * np.abs(gaps(within, INNER_LIP_PAIRS)[0]).max() > 1 or lead == 0.4
    assert frame.EYE_DISTANCE_MM * np.abs(moved[0, LIPS]).max() < 0.1
    assert frame.EYE_DISTANCE_MM * np.abs(moved - within)[round(lead * 50) - 2 :, LIPS].mean() < 0.3


def test_half_an_hour_performs(spoken: np.ndarray, each_window_once: None) -> None:
    """Nearly all of it silence, of which each window is the same."""
    long = np.zeros(30 * 60 * RATE, np.float32)
    long[: len(spoken)] = spoken
    long[-len(spoken) :] = spoken
    result = performance.perform(long, RATE, fps=24, device="cpu").displacement
    assert len(result) == 30 * 60 * 24 + 1
    opening = result[:, 62, 1] - result[:, 66, 1]
    assert opening[:100].max() > 0.03 and opening[-100:].max() > 0.03
    assert np.abs(opening[1000:-1000]).max() < 0.005


@pytest.mark.parametrize("fps", [0, -1, np.nan, 1e6, "30"])
def test_impossible_frame_rates_are_told(fps: object) -> None:
    with pytest.raises(FreeTalkError, match="frame rate"):
        perform(np.zeros(100), fps=fps)


def test_curves_shorter_or_longer_than_the_recording_hold_their_last_value_or_are_cut(spoken: np.ndarray) -> None:
    """Curves are drawn for as many frames as the sound's header promises."""
    samples = spoken[:RATE]
    frames = performance.frame_count(len(samples), RATE, 25)
    rising = np.linspace(0, 1, frames + 4)
    cut = np.where(np.arange(frames + 4) < frames - 6, rising, rising[frames - 7])

    def uttered(curve: np.ndarray) -> Performance:
        felt = np.outer(curve, np.eye(8)[1])
        return Utterance(samples, RATE, 25, felt, style=Style(lips=curve), strength=curve).perform("cpu")

    long, short, whole = uttered(rising), uttered(cut[: frames - 6]), uttered(cut[:frames])
    for one, other in ((long, uttered(rising[:frames])), (short, whole)):
        assert len(one.displacement) == frames
        assert np.array_equal(one.emotion, other.emotion) and np.array_equal(one.displacement, other.displacement)


def test_another_seed_blinks_at_another_time(spoken: np.ndarray) -> None:
    one, other = (Utterance(spoken, RATE, 25, seed=seed).perform("cpu").displacement for seed in (0, 1))
    assert not np.array_equal(one[:, 36:48], other[:, 36:48])


def test_rates_are_any_number_and_a_style_may_be_a_list(spoken: np.ndarray) -> None:
    film = performance.perform(spoken, RATE, fps=Fraction(24000, 1001))
    mumbled = performance.perform(spoken, RATE, fps=24000 / 1001, style=Style(jaw=[1.0] * len(film.displacement)))
    assert np.array_equal(film.displacement, mumbled.displacement)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"seed": -1}, "-1 is not a valid seed"),
        ({"seed": 1.5}, "1.5 is not a valid seed"),
        ({"style": {"jaw": 1}}, "is not a style"),
        ({"emotion": {"happy": 1.0}, "seed": None}, "None is not a valid seed"),
    ],
)
def test_what_is_no_seed_or_style_is_told(spoken: np.ndarray, asked: dict, told: str) -> None:
    with pytest.raises(FreeTalkError, match=told):
        performance.perform(spoken, RATE, **asked)


def test_a_factor_that_is_no_number_is_told() -> None:
    with pytest.raises(StyleError, match="jaw is 'much'; it must be a number"):
        Style(jaw="much")  # type: ignore[arg-type]
