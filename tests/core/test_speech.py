"""Speech features: Whisper's spectrogram to the letter, windows without seams, any length."""

import numpy as np
import pytest

from freetalk_blender.core.voice import speech


def test_mel_filters_are_whispers() -> None:
    """Landmarks of librosa.filters.mel(sr=16000, n_fft=400, n_mels=80), the matrix that Whisper ships."""
    filters = speech.mel_filters().toarray()
    assert filters.shape == (80, 201)
    assert filters[0, 1] == pytest.approx(0.02486259, abs=1e-6)
    assert filters[0, 0] == 0.0 and filters[79, 200] == pytest.approx(0.0, abs=1e-6)
    assert np.allclose(filters.sum(1)[40:] * 40, 1.0, atol=0.1)  # area-normalised, 40 Hz bins


def test_a_tone_sounds_in_its_own_band() -> None:
    times = np.arange(speech.SPEECH_RATE) / speech.SPEECH_RATE
    energy = speech.log_mel_energy(np.sin(2 * np.pi * 1000 * times).astype(np.float32))
    assert energy.shape == (80, 100)
    assert set(energy[:, 10:90].argmax(0)) <= {24, 25, 26}  # 1000 Hz is mel 15 of 0..45.2 in 81 steps


@pytest.mark.parametrize("samples", [1, 160, 319, 320, 321, 4800, 16000])
def test_frames_are_a_fiftieth_of_a_second(samples: int, spoken: np.ndarray) -> None:
    features = speech.features(spoken[:samples], "cpu")
    assert features.shape == (-(-samples // 320), speech.FEATURES)
    assert np.isfinite(features).all()


@pytest.mark.parametrize("frames", [1, 499, 500, 501, 925, 2500, 12345])
def test_every_frame_is_heard_at_up_to_four_places_and_weights_do_not_step(frames: int) -> None:
    total, heard = np.zeros(frames), np.zeros(frames)
    shares = []
    for start, stop in speech.windows(frames):
        assert 0 < stop - start <= 500
        shares.append(np.zeros(frames))
        shares[-1][start:stop] = speech._weight(start, stop, frames)
        heard[start:stop] += 1
        total += shares[-1]
    assert total.min() > 0.4 and heard.min() >= 1
    assert np.all(heard[500:-500] == 4)
    assert np.abs(np.diff(np.array(shares) / total)).max(initial=0.0) < 0.02


def test_loudness_and_direct_current_change_nothing(spoken: np.ndarray) -> None:
    reference = speech.features(spoken, "cpu")
    quieter = speech.features(spoken * 0.05 + 0.3, "cpu")
    assert np.abs(quieter - reference).mean() < 0.01 * np.abs(reference).mean()


@pytest.mark.parametrize("hiss", [0.0, 1e-5])
def test_silence_around_speech_changes_neither_its_level_nor_where_it_begins(spoken: np.ndarray, hiss: float) -> None:
    """A line in its place in a film's sound: most of that is silence."""
    line = np.concatenate([np.zeros(8000, np.float32), spoken[8000:40000]])
    track = np.pad(line, (0, 200 * len(line)))
    track += np.random.default_rng(0).normal(0, hiss, len(track)).astype(np.float32)
    assert speech.gain(track) == pytest.approx(speech.gain(line), rel=0.01)
    assert speech.lead(track) == speech.lead(line) >= 0.5


def test_silence_has_finite_features() -> None:
    assert np.isfinite(speech.features(np.zeros(3200, np.float32), "cpu")).all()


def test_hiss_alone_is_heard_as_silence() -> None:
    hiss = np.random.default_rng(0).normal(0, 1e-6, 16000).astype(np.float32)
    assert np.abs(speech.features(hiss, "cpu") - speech.features(0 * hiss, "cpu")).max() < 0.01
