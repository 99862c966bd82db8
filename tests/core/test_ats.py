"""The ATS network: stillness, closed lips, emotion that moves along its own direction, blinks from the seed."""

from pathlib import Path

import numpy as np
import pytest

from freetalk_blender.core import ats, audio, models, speech
from freetalk_blender.core.emotion import EMOTIONS

SPEECH = Path(__file__).parents[2] / "examples" / "speech.flac"
LIPS = slice(48, 68)


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return speech.features(audio.load(SPEECH)[0], "cpu")


def condition(name: str, intensity: float, frames: int) -> np.ndarray:
    weights = np.zeros((frames, len(EMOTIONS)), np.float32)
    weights[:, EMOTIONS.index(name)] = intensity
    return weights


def predict(features: np.ndarray, name: str = "neutral", intensity: float = 0.0, seed: int = 0) -> np.ndarray:
    return ats.predict(features, condition(name, intensity, len(features)), device="cpu", seed=seed)


def gap(moved: np.ndarray) -> np.ndarray:
    """How much further apart than at rest the inner lips' middles are (T,)."""
    return moved[:, 62, 1] - moved[:, 66, 1]


def test_speech_opens_and_closes_the_mouth(features: np.ndarray) -> None:
    opening = gap(predict(features))
    assert opening.max() > 0.06
    assert (opening < 0.01).mean() > 0.05
    assert opening.min() >= -0.0041  # lips do not pass through each other


def test_the_answer_does_not_depend_on_how_much_is_run_at_once(
    features: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = predict(features)
    monkeypatch.setattr(ats, "_CHUNK", 37)
    assert np.abs(predict(features) - whole).max() < 1e-5


def test_silence_is_still_with_closed_lips(features: np.ndarray) -> None:
    quiet = predict(speech.features(np.zeros(48000, np.float32), "cpu"))
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


def test_every_emotion_looks_different(features: np.ndarray) -> None:
    means = [predict(features, name, 1.0).mean(0).ravel() for name in EMOTIONS]
    apart = [np.linalg.norm(means[i] - means[j]) for i in range(8) for j in range(i)]
    assert min(apart) > 0.05


@pytest.mark.parametrize("name", EMOTIONS)
def test_where_lips_must_touch_they_do_under_every_emotion(features: np.ndarray, name: str) -> None:
    heard = ats.events(features, device="cpu")
    certain = (heard[:, 1] > 0.65) & (heard[:, 0] > 0.6)
    assert certain.sum() > 3
    assert gap(predict(features, name, 1.0))[certain].max() < 0.001


def test_blinks_follow_the_seed_and_silence_has_none(features: np.ndarray) -> None:
    talking = np.zeros(1500)
    talking[100:900] = 1.0
    first, again, other = (ats.blink_curve(talking, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.max() == pytest.approx(1.0, abs=0.05) and first.min() == 0.0
    assert not first[1100:].any()
    assert not ats.blink_curve(np.zeros(1500), 1).any()
    assert np.array_equal(predict(features, seed=3), predict(features, seed=3))


def test_shapes_that_do_not_fit_are_told(features: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be"):
        ats.predict(features[:, :10], condition("neutral", 0.0, len(features)), device="cpu")


def test_the_model_says_what_it_is() -> None:
    assert {"version", "unit", "licence", "training data"} <= set(models.metadata("ats"))
    assert models.path("ats").stat().st_size < 4 * 2**20
