"""Where speech is stressed and how strongly: pitch and loudness of a voice, and its accents.

A pitch accent is a syllable that stands out of its surroundings in pitch and in energy. Brows rise with some of them
(Cave et al. 1996, "About the relationship between eyebrow movements and F0 variations"; Flecha-Garcia 2010, "Eyebrow
raises in dialogue and their relation to discourse structure, utterance function and pitch accents in English").
"""

import numpy as np
from scipy import fft

from .audio import SPEECH_RATE
from .speech import FEATURE_RATE, HOP, gain

#: Voices lie between these pitches (Hz).
PITCH_RANGE = (70.0, 420.0)
#: Pitch is sought at half the rate. Frames of 50 ms hold three periods of the lowest voices; a block of them is
#: analysed at once, for memory's sake.
_RATE = SPEECH_RATE // 2
_HOP = HOP // 2
_FRAME = _RATE // 20
_BLOCK = 2000
#: A frame is voiced where its autocorrelation at the pitch is at least this share of its energy.
_VOICED = 0.45
#: A syllable's surroundings (s), and the shortest time between two accents (s).
_SURROUNDINGS = 1.5
_APART = 0.5
#: What counts as a full accent: an excursion of 4 semitones ('t Hart 1981, "Differential sensitivity to pitch
#: distance": 3 are needed to stand out) together with 6 dB.
_SEMITONES, _DECIBEL = 4.0, 6.0


def pitch_and_level(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float32 at 16 kHz -> at 50 Hz: pitch in semitones above 100 Hz, NaN where unvoiced, and level in dB.

    Pitch: the highest peak of the autocorrelation, freed of the window's own (Boersma 1993, "Accurate short-term
    analysis of the fundamental frequency").
    """
    frames = -(-len(samples) // HOP)
    samples = np.pad(samples, (0, len(samples) % 2)).astype(np.float32).reshape(-1, 2).mean(1)
    pitch, level = np.empty(frames, np.float32), np.empty(frames, np.float32)
    for start in range(0, frames, _BLOCK):
        stop = min(start + _BLOCK, frames)
        pitch[start:stop], level[start:stop] = _analyse(_frames(samples, start, stop))
    return pitch, level


def _frames(samples: np.ndarray, start: int, stop: int) -> np.ndarray:
    """(stop - start, _FRAME) samples around the moments of feature frames, silence beyond the ends."""
    first, last = start * _HOP - _FRAME // 2, (stop - 1) * _HOP + _FRAME // 2
    inside = samples[max(first, 0) : min(last, len(samples))]
    padded = np.pad(inside, (max(-first, 0), max(last - max(len(samples), first), 0)))
    return np.lib.stride_tricks.sliding_window_view(padded[: last - first], _FRAME)[::_HOP]


def _analyse(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    window = np.hanning(_FRAME).astype(np.float32)
    centred = frames - frames.mean(1, keepdims=True)
    level = 10.0 * np.log10((centred**2).mean(1) + 1e-10)
    own = _autocorrelation(window[None])
    correlation = _autocorrelation(centred * window) / np.maximum(own / own[:, :1], 1e-3)
    correlation /= np.maximum(correlation[:, :1], 1e-9)
    lags = np.arange(int(_RATE / PITCH_RANGE[1]), int(_RATE / PITCH_RANGE[0]) + 1)
    # of equal peaks the earliest: a period, not its multiple
    strength = correlation[:, lags] - 0.02 * np.log2(lags / lags[0])
    best, rows = strength.argmax(1), np.arange(len(strength))
    left, middle, right = (correlation[rows, lags[best] + shift] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    peak = lags[best] + np.where(bend < -1e-6, np.clip(0.5 * (left - right) / np.minimum(bend, -1e-6), -0.5, 0.5), 0.0)
    return np.where(strength[rows, best] > _VOICED, 12.0 * np.log2(_RATE / peak / 100.0), np.nan), level


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """(N, frame) -> (N, frame / 2), unnormalised, lags 0 and up."""
    spectrum = fft.rfft(frames, _FRAME + _FRAME // 2)
    return fft.irfft(spectrum * spectrum.conj(), _FRAME + _FRAME // 2)[:, : _FRAME // 2]


def accents(samples: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """16 kHz samples (N,) and speech probability (T,) -> (A,2): second and strength (0 to 1) of each pitch accent,
    however loud the recording is."""
    centre = float(np.mean(samples, dtype=np.float64))
    heard = (samples - np.float32(centre)) * np.float32(gain(samples, centre))
    pitch, level = (curve[: len(speech)] for curve in pitch_and_level(heard))
    voiced = np.isfinite(pitch) & (speech[: len(pitch)] > 0.5)
    if voiced.sum() < FEATURE_RATE // 5:
        return np.zeros((0, 2))
    prominence = _above(pitch, voiced) / _SEMITONES + _above(level, voiced) / _DECIBEL
    smooth = np.convolve(np.where(voiced, prominence, 0.0), np.hanning(9)[1:-1] / np.hanning(9).sum(), "same")
    peaks = np.flatnonzero((smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:]) & (smooth[1:-1] > 0.4)) + 1
    chosen: list[int] = []
    for peak in peaks[np.argsort(-smooth[peaks], kind="stable")]:
        if all(abs(peak - other) >= _APART * FEATURE_RATE for other in chosen):
            chosen.append(int(peak))
    chosen.sort()
    return np.stack([np.array(chosen) / FEATURE_RATE, np.clip(smooth[chosen] / 2.0, 0.0, 1.0)], 1).reshape(-1, 2)


def _above(curve: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """How far a curve lies above the mean of its voiced surroundings; 0 where unvoiced."""
    width = int(_SURROUNDINGS * FEATURE_RATE) | 1
    kernel = np.ones(min(width, 2 * len(curve) - 1))
    known = np.where(voiced, np.nan_to_num(curve), 0.0)
    mean = np.convolve(known, kernel, "same")[: len(curve)] / np.maximum(
        np.convolve(voiced.astype(float), kernel, "same")[: len(curve)], 1.0
    )
    return np.where(voiced, known - mean, 0.0)
