"""The ATS network: stillness, closed lips, emotion that moves along its own direction, style that is obeyed."""

import numpy as np
import pytest

from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.voice import ats, speech
from freetalk_blender.core.voice.emotion import EMOTIONS
from freetalk_blender.core.voice.style import Style, StyleError

LIPS = slice(48, 68)


def condition(name: str, intensity: float, frames: int) -> np.ndarray:
    weights = np.zeros((frames, len(EMOTIONS)), np.float32)
    weights[:, EMOTIONS.index(name)] = intensity
    return weights


def predict(features: np.ndarray, name: str = "neutral", intensity: float = 0.0, **options) -> np.ndarray:
    return ats.predict(
        features, condition(name, intensity, len(features) - 2 * speech.CONTEXT), device="cpu", **options
    )


def gap(moved: np.ndarray) -> np.ndarray:
    """How much further apart than at rest the inner lips' middles are (T,)."""
    return moved[:, 62, 1] - moved[:, 66, 1]


def test_speech_opens_and_closes_the_mouth(features: np.ndarray) -> None:
    opening = gap(predict(features))
    assert opening.max() > 0.06
    assert (opening < 0.01).mean() > 0.05
    assert opening.min() >= -0.0041  # lips do not pass through each other


@pytest.mark.parametrize("chunk", [28, 37, 49, 53])
def test_the_answer_does_not_depend_on_how_much_is_run_at_once(
    features: np.ndarray, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """The pieces that begin with 98, 112 and 53 begin beside a contact of the lips."""
    whole = predict(features)
    monkeypatch.setattr(ats, "_CHUNK", chunk)
    assert np.abs(predict(features) - whole).max() < 1e-5


def test_silence_is_still_with_closed_lips(features: np.ndarray) -> None:
    quiet = predict(speech.surrounded(np.zeros(48000, np.float32), "cpu"))
    speed = [np.abs(np.diff(moved[:, LIPS], axis=0)).mean() for moved in (quiet, predict(features))]
    assert speed[0] < 0.02 * speed[1]
    assert np.abs(gap(quiet)).max() < 0.005


def test_neutral_changes_nothing_whatever_its_weight(features: np.ndarray) -> None:
    assert np.array_equal(predict(features, "neutral", 1.0), predict(features))


@pytest.mark.parametrize("name", EMOTIONS[1:])
def test_intensity_moves_each_emotion_monotonically_along_its_own_direction(features: np.ndarray, name: str) -> None:
    neutral = predict(features)
    upper = slice(17, 48)
    direction = (predict(features, name, 1.0) - neutral)[:, upper].mean(0)
    steps = [
        float(((predict(features, name, intensity) - neutral)[:, upper].mean(0) * direction).sum())
        for intensity in (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
    ]
    assert steps[0] == 0.0
    assert np.all(np.diff(steps) > 0)


def test_a_blend_lies_between_its_parents(features: np.ndarray) -> None:
    upper = slice(17, 48)
    frames = len(features) - 2 * speech.CONTEXT
    blend = 0.5 * condition("happy", 1.0, frames) + 0.5 * condition("surprised", 1.0, frames)
    parents = [predict(features, name, 1.0)[:, upper] for name in ("happy", "surprised")]
    moved = ats.predict(features, blend, device="cpu")[:, upper]
    assert np.abs(moved - 0.5 * (parents[0] + parents[1])).max() < 1e-3


def test_the_network_looks_300_ms_ahead_and_no_further(features: np.ndarray) -> None:
    changed = features.copy()
    changed[150 + speech.CONTEXT :] = features[:1]
    before, after = predict(features), predict(changed)
    reach = speech.CONTEXT + ats.BESIDE
    assert reach * 20 <= 300
    assert np.array_equal(before[: 150 - reach], after[: 150 - reach])
    assert not np.allclose(before[149], after[149], atol=1e-4)


def test_every_emotion_looks_different(features: np.ndarray) -> None:
    means = [predict(features, name, 1.0).mean(0).ravel() for name in EMOTIONS]
    apart = [np.linalg.norm(means[i] - means[j]) for i in range(8) for j in range(i)]
    assert min(apart) > 0.05


@pytest.mark.parametrize("name", EMOTIONS)
def test_where_lips_must_touch_they_do_under_every_emotion(features: np.ndarray, name: str) -> None:
    heard = ats.events(features, device="cpu")
    certain = (heard[:, 1] > 0.71) & (heard[:, 0] > 0.6)
    assert certain.sum() > 3
    assert gap(predict(features, name, 1.0))[certain].max() < 0.001


def test_lips_are_rounded_where_that_is_heard(features: np.ndarray) -> None:
    rounding, moved = ats.events(features, device="cpu")[:, 3], EYE_DISTANCE_MM * predict(features)
    width, forward = moved[:, 54, 0] - moved[:, 48, 0], moved[:, [51, 57], 2].mean(1)
    assert np.median(width[rounding > 0.9]) < -5 and np.median(width[rounding < 0.1]) > -2
    assert np.median(forward[rounding > 0.9]) > 3 > 1 > np.median(forward[rounding < 0.1])


@pytest.mark.parametrize("name", ["sad", "angry"])
def test_lips_that_speech_opens_stay_apart_under_emotions_that_press_them(features: np.ndarray, name: str) -> None:
    neutral, felt = gap(predict(features)), gap(predict(features, name, 1.0))
    apart = neutral > 0.02
    assert apart.sum() > 50
    assert (felt[apart] / neutral[apart]).min() > 0.35


def travel(moved: np.ndarray, points: slice | list[int]) -> float:
    """Root mean square of velocity."""
    return float(np.sqrt((np.diff(moved[:, points], axis=0) ** 2).sum(-1).mean()))


@pytest.mark.parametrize("factor", ["articulation", "jaw", "lips"])
def test_more_of_a_style_moves_the_mouth_more(features: np.ndarray, factor: str) -> None:
    points = {"articulation": LIPS, "jaw": [6, 7, 8, 9, 10], "lips": [48, 51, 54]}[factor]
    steps = [travel(predict(features, style=Style(**{factor: x})), points) for x in (0, 0.5, 1, 1.5, 2)]
    assert np.all(np.diff(steps) > 0)
    assert np.array_equal(predict(features, style=Style()), predict(features))


def test_jaw_and_lips_are_scaled_apart(features: np.ndarray) -> None:
    plain, jawless, lipless = (predict(features, style=Style(**x)) for x in ({}, {"jaw": 0.0}, {"lips": 0.0}))
    chin = [np.ptp(moved[:, 8, 1]) for moved in (plain, jawless, lipless)]
    assert chin[1] < 0.6 * chin[0] and chin[2] > 0.6 * chin[0]
    width = [np.std(moved[:, 54, 0] - moved[:, 48, 0]) for moved in (plain, jawless, lipless)]
    assert width[2] < 0.5 * width[0]


@pytest.mark.parametrize("strength", [0.4, 1.6, 2.0])
def test_lips_meet_and_do_not_cross_in_every_style(features: np.ndarray, strength: float) -> None:
    heard = ats.events(features, device="cpu")
    certain = (heard[:, 1] > 0.71) & (heard[:, 0] > 0.6)
    for style in (Style(articulation=strength), Style(jaw=strength), Style(lips=strength)):
        opening = gap(predict(features, style=style))
        assert opening[certain].max() < 0.001 and opening.min() >= -0.0041


def test_the_upper_face_has_a_style_of_its_own(features: np.ndarray) -> None:
    brows = np.ones(len(features) - 2 * speech.CONTEXT, np.float32)
    raised = [predict(features, "surprised", 0.5, brows=brows, style=Style(upper_face=x)) for x in (0, 0.5, 1, 2)]
    assert np.all(np.diff([moved[:, 19, 1].mean() for moved in raised]) > 0)
    assert np.abs(raised[0][:, 17:48] - predict(features)[:, 17:48]).max() < 3e-3
    assert np.abs(raised[0][:, LIPS] - raised[3][:, LIPS]).max() < 1e-6


@pytest.mark.parametrize("value", [-0.1, 2.1, np.nan])
def test_impossible_styles_are_told(value: float) -> None:
    with pytest.raises(StyleError, match="upper face"):
        Style(upper_face=value)


def test_shapes_that_do_not_fit_are_told(features: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be"):
        ats.predict(features[:, :10], condition("neutral", 0.0, len(features)), device="cpu")
