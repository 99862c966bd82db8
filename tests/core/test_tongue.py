"""The tongue's network on the sample: "Bob and Mary put five blue plums by the pool, and a farmer's mother ..."."""

import numpy as np
import pytest

from freetalk_blender.core.voice import audio, performance, speech, tongue
from freetalk_blender.core.voice.style import Style

#: Middles of phones (s), as the aligner has them.
RIDGE = {"blue": 1.75, "plums": 2.03, "to": 4.74, "barn": 5.23, "moon": 5.81}
TEETH = {"the pool": 2.48, "mother": 4.10}
LOW = {"Bob": 0.28, "five": 1.40, "barn": 5.02, "up": 6.18}


@pytest.fixture(scope="module")
def heard(features: np.ndarray) -> np.ndarray:
    return tongue.predict(features, device="cpu")


def around(curve: np.ndarray, second: float) -> np.ndarray:
    return curve[round(second * 50) - 2 : round(second * 50) + 3]


def test_the_tip_rises_in_l_n_and_d_goes_to_the_teeth_in_th_and_is_low_in_open_vowels(heard: np.ndarray) -> None:
    up, out, _ = heard.T
    assert all(around(up, second).max() > 0.6 for second in RIDGE.values())
    assert all(around(out, second).max() > 0.4 for second in TEETH.values())
    assert all(around(up, second).min() < 0.3 and around(out, second).min() < 0.2 for second in LOW.values())


def test_the_body_is_high_in_ee_and_low_in_ah(heard: np.ndarray) -> None:
    body = heard[:, 2]
    assert around(body, 0.85).max() > 0.6 > 0.3 > around(body, 0.29).min()  # Mary, Bob


def test_values_are_shares_and_the_answer_does_not_depend_on_how_much_is_run_at_once(
    features: np.ndarray, heard: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert heard.shape == (len(features) - 2 * speech.CONTEXT, 3) and heard.min() >= 0 and heard.max() <= 1
    monkeypatch.setattr(tongue, "_CHUNK", 37)
    assert np.abs(tongue.predict(features, device="cpu") - heard).max() < 1e-5
    assert tongue.predict(features[: 2 * speech.CONTEXT], device="cpu").shape == (0, 3)
    with pytest.raises(ValueError, match="features must be"):
        tongue.predict(features[:, :5], device="cpu")


def test_the_tongue_rests_in_silence_and_noise() -> None:
    noise = np.random.default_rng(0).normal(size=48000).astype(np.float32)
    for level in (0.0, 0.001, 0.1):
        assert tongue.predict(speech.surrounded(level * noise, "cpu"), device="cpu").max() < 0.15


def test_a_performance_has_a_tongue_on_time_that_follows_articulation_and_strength(
    spoken: np.ndarray, heard: np.ndarray
) -> None:
    take = performance.perform(spoken, audio.SPEECH_RATE, fps=50, device="cpu")
    assert take.tongue.shape == (len(take.displacement), 3)
    assert np.abs(take.tongue[: len(heard)] - heard).max() < 1e-6
    quiet = performance.perform(spoken, audio.SPEECH_RATE, fps=50, device="cpu", style=Style(articulation=0.0))
    loud = performance.perform(spoken, audio.SPEECH_RATE, fps=50, device="cpu", style=Style(articulation=1.5))
    assert not quiet.tongue.any() and np.array_equal(loud.tongue, take.tongue)
    assert np.allclose(take.scaled(0.5).tongue, 0.5 * take.tongue) and take.scaled(2.0).tongue.max() <= 1
