"""Emotions: what a person may write, and where a point of valence, arousal and dominance leads."""

import numpy as np
import pytest

from freetalk_blender.core.voice import emotion
from freetalk_blender.core.voice.emotion import EMOTIONS, EmotionError


def test_text_becomes_weights_in_the_fixed_order() -> None:
    weights = emotion.parse(" happy=0.8, surprised=0.2 ")
    assert weights.tolist() == pytest.approx([0, 0.8, 0, 0, 0, 0, 0.2, 0])
    assert emotion.parse("sad").tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert not emotion.parse("").any()


@pytest.mark.parametrize("text", ["hapy=1", "happy=x", "happy=-1", "happy=2", "happy=nan"])
def test_what_is_no_emotion_is_told(text: str) -> None:
    with pytest.raises(EmotionError):
        emotion.parse(text)


@pytest.mark.parametrize("name", EMOTIONS)
def test_the_centre_of_each_emotion_is_named_after_it(name: str) -> None:
    weights = emotion.from_vad(*emotion.VAD[name][0])
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert EMOTIONS[int(np.argmax(weights))] == name


def test_points_outside_the_cube_are_told() -> None:
    with pytest.raises(EmotionError):
        emotion.from_vad(2.0, 0.0, 0.0)


def test_a_curve_is_limited_to_exaggeration_and_keeps_its_blend() -> None:
    curve = emotion.curve(np.array([0, 2, 0, 0, 0, 0, 1, 0.0]), 3)
    assert curve.shape == (3, 8)
    assert curve.sum(1) == pytest.approx([1.5] * 3)
    assert curve[0, 1] == pytest.approx(2 * curve[0, 6])


@pytest.mark.parametrize(
    "weights",
    [np.zeros(7), np.zeros((4, 8)), -np.ones(8), np.full(8, np.nan), "happy", {"happy": "much"}, [[1], [1, 2]]],
)
def test_curves_that_do_not_fit_are_told(weights: object) -> None:
    with pytest.raises(EmotionError):
        emotion.curve(weights, 3)


def test_a_change_of_emotion_takes_half_a_second_and_keeps_its_time() -> None:
    step = np.zeros((200, 8), np.float32)
    step[100:, 1] = 1.0
    eased = emotion.eased(step, 50)[:, 1]
    assert np.all(np.diff(eased) >= -1e-6) and eased[0] == 0.0 and eased[-1] == pytest.approx(1.0)
    assert eased[86] == pytest.approx(0.0, abs=1e-6) and eased[113] == pytest.approx(1.0, abs=1e-6)
    assert eased[99] + eased[100] == pytest.approx(1.0, abs=1e-5)


def test_a_line_goes_on_from_another_emotion_and_ends_in_its_own() -> None:
    happy, sad = (emotion.parse(name) for name in ("happy", "sad"))
    assert emotion.going_on(sad, sad, 80, 25) is sad, "nothing changes where it begins so already"
    felt = emotion.eased(np.repeat(emotion.going_on(sad, happy, 80, 25), 2, 0), 50)
    assert np.allclose(felt[0], happy, atol=1e-6) and np.allclose(felt[[30, -1]], sad, atol=1e-6)
    assert np.abs(np.diff(felt, axis=0)).max() < 0.1
    brief = emotion.eased(np.repeat(emotion.going_on(sad, happy, 6, 25), 2, 0), 50)
    assert np.allclose(brief[[0, -1]], [happy, sad], atol=1e-6), "in less time, where it is shorter"


def test_a_curve_of_a_few_frames_does_not_fall_below_0() -> None:
    weights = np.zeros((6, 8), np.float32)
    weights[2:5, 1] = 1.5
    assert emotion.eased(weights, 50).min() == 0.0


@pytest.mark.parametrize("frames", [1, 2, 5, 300])
def test_easing_is_linear_and_stays_between_the_extremes(frames: int) -> None:
    random = np.random.default_rng(frames)
    one, other = (random.uniform(0, 0.18, (frames, 8)).astype(np.float32) for _ in range(2))
    eased = emotion.eased(0.5 * one + 0.5 * other, 50)
    assert np.allclose(eased, 0.5 * emotion.eased(one, 50) + 0.5 * emotion.eased(other, 50), atol=1e-6)
    assert eased.min() >= -1e-6 and eased.sum(1).max() <= 1.5
    steady = np.full((frames, 8), 0.1, np.float32)
    assert np.array_equal(emotion.eased(steady, 50), steady)
