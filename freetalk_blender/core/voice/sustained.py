"""Sounds that are held: a long "aaah", a sung note.

The encoder takes what goes on unchanged for something else than speech, and the mouth would sink shut in the middle of
it. So it hears such a sound shortened, and its features there are stretched to their true length again.
"""

from collections.abc import Iterator

import numpy as np
from scipy.fft import dct
from scipy.ndimage import uniform_filter1d

from ..series import runs, sample
from .speech import FEATURE_RATE, HOP, MEL_BANDS, log_mel_energy

#: What stays of a held sound at its beginning and end, and the least that is left out (frames).
_FIRST, _LAST, _LEAST = 14, 10, 4
#: Cepstral coefficients that tell vowels apart, frames that are averaged and compared, and by how much a held sound may
#: differ on the average and for a moment (dB).
_COEFFICIENTS, _AVERAGED, _BESIDE, _STEADY, _WAVERS = slice(1, 7), 7, 4, 26.0, 52.0
#: A held sound lies at most this far below the loudest speech (dB), and its low bands (up to 1 kHz) at most so far
#: below its high ones (from 3 kHz on): hiss is none. Bands count down to so far below a frame's loudest.
_QUIETER, _TILT, _RANGE = 20.0, -5.0, 60.0
_LOW, _HIGH = slice(0, 25), slice(50, MEL_BANDS)
#: It begins as speech where that is once as probable, so many frames before what is left out (a vowel alone is heard
#: early, and is none any more once it sounds); ends of the recording are like nothing (dB).
_SPEECH, _BEGINS, _UNLIKE = 0.5, 40, 1e3
#: What was left out is faded over (samples, 10 ms), and frames that are described at once.
_FADE = 160
_BLOCK = 60 * FEATURE_RATE


def find(samples: np.ndarray, speaks: np.ndarray) -> np.ndarray:
    """(H,2) first frame and end of what can be left out of held sounds that begin as speech.

    samples (N,) float32 at 16 kHz; speaks (T,): probability of speech at 50 Hz. A sound is held where its mel-frequency
    cepstrum (Davis and Mermelstein 1980) changes little.
    """
    spoken = speaks[: len(samples) // HOP] > _SPEECH
    if len(spoken) < _FIRST + _LAST + _LEAST or not spoken.any():
        return np.empty((0, 2), int)
    centre = np.float32(np.mean(samples, dtype=np.float64))
    cepstra, level, tilt = (np.concatenate(parts) for parts in zip(*_described(samples, centre), strict=True))
    smooth = uniform_filter1d(cepstra, _AVERAGED, axis=0)
    change = np.full(len(level), _UNLIKE)
    change[_BESIDE:-_BESIDE] = np.linalg.norm(smooth[2 * _BESIDE :] - smooth[: -2 * _BESIDE], axis=1)
    loud = uniform_filter1d(level, _AVERAGED) > np.percentile(level[spoken], 95) - _QUIETER
    steady = (change < _WAVERS) & (uniform_filter1d(change, _AVERAGED) < _STEADY) & loud & (tilt > _TILT)
    places = runs(steady) + (_FIRST, -_LAST)
    places = places[places[:, 1] - places[:, 0] >= _LEAST]
    return places[[speaks[max(first - _BEGINS, 0) : first].max() > _SPEECH for first in places[:, 0]]]


def _described(samples: np.ndarray, centre: np.float32) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of (T,6) cepstra, (T,) level and (T,) tilt, dB, of all frames of the samples less their mean; a frame's
    neighbours in other blocks are heard."""
    frames = len(samples) // HOP
    for start in range(0, frames, _BLOCK):
        stop = min(start + _BLOCK, frames)
        first, last = max(start - 1, 0), min(stop + 1, frames)
        energy = log_mel_energy(samples[first * HOP : last * HOP] - centre)
        bands = 10 * energy.reshape(MEL_BANDS, -1, 2).mean(2).T
        bands = np.maximum(bands, bands.max(1, keepdims=True) - _RANGE)[start - first :][: stop - start]
        tilt = _decibel(bands[:, _LOW]) - _decibel(bands[:, _HIGH])
        yield dct(bands, norm="ortho", axis=1)[:, _COEFFICIENTS], _decibel(bands), tilt


def _decibel(bands: np.ndarray) -> np.ndarray:
    """(T,) of the mean energy of (T,B) bands, dB."""
    return 10 * np.log10((10 ** (bands / 10)).mean(1))


def shortened(samples: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The sound without these places (H,2), which are faded over."""
    rising = np.sqrt(np.linspace(0, 1, _FADE, dtype=np.float32))
    parts, at = [], 0
    for first, end in places * HOP:
        part = samples[at:first].copy()
        part[-_FADE:] = part[-_FADE:] * rising[::-1] + samples[end - _FADE : end] * rising
        parts.append(part)
        at = end
    return np.concatenate([*parts, samples[at:]])


def stretched(features: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Features (T,C) of the shortened sound as those of the whole one: at each place they go from what is before it to
    what is after it."""
    left_out = places[:, 1] - places[:, 0]
    joints = places[:, 0] - (np.cumsum(left_out) - left_out)
    frames = len(features) + int(left_out.sum())
    whole = np.concatenate([[0], (places + (-1, 0)).ravel(), [frames - 1]])
    short = np.concatenate([[0], (joints[:, None] + (-1, 0)).ravel(), [len(features) - 1]])
    return sample(features, 1, np.interp(np.arange(frames), whole, short))
