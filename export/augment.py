"""Other rooms, microphones and voices: augmentation of 16 kHz speech, seeded, with the time axis it leaves behind."""

import numpy as np
import soxr
from scipy.signal import ShortTimeFFT, fftconvolve

from freetalk_blender.core.voice.audio import SPEECH_RATE

#: The frame that formants are moved in, and the cepstral coefficients that hold them.
_FRAME, _LIFTER = 512, 40
#: Samples of a grain of what is held, of half of it, and of the search for the next one to either side.
_GRAIN, _HOP, _SEARCH = 800, 400, 200


def change_voice(samples: np.ndarray, factor: float) -> np.ndarray:
    """Played `factor` times faster: pitch, formants and tempo together, as another, smaller or larger, speaker."""
    return soxr.resample(samples, SPEECH_RATE * factor, SPEECH_RATE)


def change_formants(samples: np.ndarray, factor: float) -> np.ndarray:
    """Resonances `factor` times higher, as from a shorter vocal tract; pitch and time stay.

    In frames of 32 ms the spectrum's envelope (the first 40 cepstral coefficients: 2.5 ms, under any voice's period)
    is stretched along frequency, and the fine structure is left as it is.
    """
    if len(samples) < _FRAME:
        return samples
    transform = ShortTimeFFT(np.hanning(_FRAME + 1)[:-1], _FRAME // 4, SPEECH_RATE)
    spectrum = transform.stft(samples)
    power = np.log(np.abs(spectrum) + 1e-5)
    cepstrum = np.fft.irfft(power, _FRAME, axis=0)
    cepstrum[_LIFTER : _FRAME - _LIFTER + 1] = 0.0
    envelope = np.fft.rfft(cepstrum, axis=0).real
    source = np.minimum(np.arange(len(envelope)) / factor, len(envelope) - 1.0)
    before = np.floor(source).astype(int)
    share = (source - before)[:, None]
    after = np.minimum(before + 1, len(envelope) - 1)
    moved = envelope[before] * (1.0 - share) + envelope[after] * share
    return transform.istft(spectrum * np.exp(np.clip(moved - envelope, -5.0, 5.0)), k1=len(samples))


def hold(samples: np.ndarray, first: int, end: int, length: int) -> np.ndarray:
    """The sound with samples[first:end] stretched to `length` samples by waveform similarity, which leaves pitch and
    timbre as they are (Verhelst and Roelands 1993, WSOLA)."""
    window = np.hanning(_GRAIN + 1)[:-1].astype(np.float32)
    longer, at = np.zeros(length + _GRAIN, np.float32), first
    for place in range(0, length, _HOP):
        target = first + (end - first) * place // length
        places = np.arange(target - _SEARCH, target + _SEARCH)
        follows = samples[at + _HOP : at + _HOP + _GRAIN]
        likeness = [samples[start : start + _GRAIN] @ follows for start in places]
        at = int(places[np.argmax(likeness)]) if place else first
        longer[place : place + _GRAIN] += window * samples[at : at + _GRAIN]
    return np.concatenate([samples[: first + _HOP], longer[_HOP:length], samples[end:]])


def colour(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A smooth random frequency response of up to +-9 dB, sometimes a telephone's band."""
    spectrum = np.fft.rfft(samples)
    hertz = np.linspace(0.0, SPEECH_RATE / 2, len(spectrum))
    knots = np.array([0, 150, 400, 900, 1800, 3200, 5200, 8000.0])
    decibel = np.interp(hertz, knots, random.uniform(-9, 9, len(knots)))
    if random.random() < 0.15:
        decibel = np.where((hertz < 300) | (hertz > 3400), -40.0, decibel)
    return np.fft.irfft(spectrum * 10 ** (decibel / 20), len(samples))


def room(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The direct sound and an exponentially decaying tail of noise (reverberation time 0.1 to 0.6 s)."""
    decay = random.uniform(0.1, 0.6)
    times = np.arange(int(decay * SPEECH_RATE)) / SPEECH_RATE
    tail = random.normal(size=len(times)) * 10 ** (-3 * times / decay)
    tail *= random.uniform(0.1, 0.6) / np.linalg.norm(tail)
    tail[0] = 1.0
    return fftconvolve(samples, tail)[: len(samples)]


def noise(length: int, random: np.random.Generator) -> np.ndarray:
    """(length,) unit-variance noise between white and brown, sometimes with a hum or a chord."""
    spectrum = np.fft.rfft(random.normal(size=length))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1.0) ** random.uniform(0.0, 1.0)
    result = np.fft.irfft(spectrum, length)
    result /= result.std() + 1e-9
    if random.random() < 0.3:
        times = np.arange(length) / SPEECH_RATE
        for tone in random.uniform(50, 900, random.integers(1, 4)):
            result += random.uniform(0.2, 1.0) * np.sin(2 * np.pi * tone * times)
    return result / (result.std() + 1e-9)


def disturb(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Colour, room, noise at 5 to 45 dB below the speech, clipping: each by chance. The time axis stays."""
    result = samples.astype(np.float64)
    if random.random() < 0.7:
        result = colour(result, random)
    if random.random() < 0.35:
        result = room(result, random)
    level = result.std() + 1e-9
    result = result + noise(len(result), random) * level * 10 ** (-random.uniform(5, 45) / 20)
    if random.random() < 0.1:
        limit = np.percentile(np.abs(result), 99)
        result = np.clip(result, -limit, limit)
    return result.astype(np.float32)
