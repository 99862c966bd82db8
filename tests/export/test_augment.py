"""Other voices: formants move, pitch and time do not."""

import numpy as np
import pytest

pytest.importorskip("soxr")

from export import augment

RATE = 16000


def vowel(pitch: float, formants: tuple[float, ...]) -> np.ndarray:
    """A second of a buzz with resonances."""
    times = np.arange(RATE) / RATE
    tones = np.arange(pitch, 4000, pitch)
    level = sum(np.exp(-(((tones - formant) / 120.0) ** 2)) for formant in formants) + 0.01
    return np.sin(2 * np.pi * tones[:, None] * times).T @ level


def strongest(samples: np.ndarray, low: float, high: float) -> float:
    """Hz of the largest partial between two frequencies."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    inside = (hertz > low) & (hertz < high)
    return float(hertz[inside][power[inside].argmax()])


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_formants_move_and_pitch_and_length_stay(factor: float) -> None:
    original = vowel(100.0, (700.0, 2000.0))
    changed = augment.change_formants(original, factor)
    assert len(changed) == len(original)
    assert strongest(changed, 300, 1200) == pytest.approx(700 * factor, abs=110)
    assert strongest(changed, 1400, 2800) == pytest.approx(2000 * factor, abs=160)
    assert strongest(changed, 300, 1200) % 100 == pytest.approx(0, abs=3) or strongest(changed, 300, 1200) % 100 > 97


def test_nothing_changes_with_factor_one_and_a_click_is_left_alone() -> None:
    original = vowel(150.0, (500.0, 1500.0))
    assert np.abs(augment.change_formants(original, 1.0) - original).max() < 1e-6 * np.abs(original).max()
    assert np.array_equal(augment.change_formants(original[:100], 1.2), original[:100])
