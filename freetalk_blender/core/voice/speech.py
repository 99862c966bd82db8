"""Speech features: level, Whisper's log-mel spectrogram, and the frozen speech encoder in overlapping windows.

Source: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", and its public `audio.py`
(25 ms Hann windows every 10 ms, 80 mel bands after Slaney). Here the level is set by the speech in the recording and
the floor lies at a fixed place, so that every frame depends on its neighbourhood alone and a recording of any length
can be cut into windows.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.sparse as sparse

from .. import cancel, models
from .audio import SPEECH_RATE

#: Feature frames in a second and values in a frame.
FEATURE_RATE = 50
FEATURES = 384
#: Frames that the networks hear to either side of one (280 ms): of the silence around a recording at its ends.
CONTEXT = 14
#: Audio samples in a feature frame.
HOP = SPEECH_RATE // FEATURE_RATE
MEL_BANDS = 80
_FFT = 400
_MEL_HOP = 160
#: log10 mel energy of the loudest speech at the level below, and the dynamic range that Whisper keeps beneath it.
_LOUDEST = 1.5
_RANGE = 8.0
#: Speech is brought to this root mean square (full scale 1), with at most this gain.
_LEVEL = 0.07
_MAX_GAIN = 100.0
#: Encoder windows (frames): silence around the recording, window, and from one window's start to the next one's.
_MARGIN = 25
WINDOW = 500
STEP = 125


@lru_cache(maxsize=1)
def mel_filters() -> sparse.csr_matrix:
    """(80, 201) triangular filters over 0-8000 Hz, area-normalised (Slaney's Auditory Toolbox, as in librosa).

    Sparse not for the few products it saves: the threads of a dense product would go on turning in the encoder's time.
    """
    linear_step, break_hz = 200.0 / 3.0, 1000.0
    break_mel, log_step = break_hz / linear_step, np.log(6.4) / 27.0
    top = break_mel + np.log(SPEECH_RATE / 2 / break_hz) / log_step
    mels = np.linspace(0.0, top, MEL_BANDS + 2)
    edges = np.where(mels < break_mel, mels * linear_step, break_hz * np.exp(log_step * (mels - break_mel)))
    bins = np.fft.rfftfreq(_FFT, 1.0 / SPEECH_RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    return sparse.csr_matrix((np.maximum(0.0, np.minimum(rising, falling)) * area[:, None]).astype(np.float32))


def log_mel_energy(samples: np.ndarray) -> np.ndarray:
    """(N,) float32 at 16 kHz, N a multiple of 160 -> (80, N / 160) log10 mel energies, centred frames."""
    frames = len(samples) // _MEL_HOP
    padded = np.pad(samples, _FFT // 2, mode="reflect")
    window = np.hanning(_FFT + 1)[:-1].astype(np.float32)
    strided = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_MEL_HOP][:frames]
    power = np.abs(np.fft.rfft(strided * window)).astype(np.float32) ** 2
    return np.log10(np.maximum(mel_filters() @ power.T, 1e-10))


def gain(samples: np.ndarray, centre: float = 0.0) -> float:
    """The factor that brings the speech in a recording (less its mean, `centre`) to a fixed level."""
    power = _power(samples, centre)
    level = float(np.sqrt(power[_active(power)].mean()))
    return min(_LEVEL / level, _MAX_GAIN) if level > 0 else 1.0


def lead(samples: np.ndarray) -> float:
    """Seconds before the first sound in (N,) float32 at 16 kHz that is as loud as speech in it; 0 in silence."""
    power = _power(samples, float(np.mean(samples, dtype=np.float64)))
    return float(np.argmax(_active(power))) / FEATURE_RATE


def _active(power: np.ndarray) -> np.ndarray:
    """(T,) where somebody speaks: within 30 dB of the 95th percentile of the energy in 20 ms, as in ITU-T P.56's active
    level. What is 60 dB below the loudest is silence, of which a recording may hold any amount."""
    return power >= 1e-3 * np.percentile(power[power >= 1e-6 * power.max()], 95)


def _power(samples: np.ndarray, centre: float) -> np.ndarray:
    """(frames,) mean square in 20 ms, of the whole where it is shorter; a block at a time, for memory's sake."""
    hop = min(HOP, len(samples))
    step = 4096 * hop
    whole = len(samples) // hop * hop
    blocks = (samples[start : min(start + step, whole)] - np.float32(centre) for start in range(0, whole, step))
    return np.concatenate([np.mean(block.reshape(-1, hop) ** 2, axis=1) for block in blocks])


def features(samples: np.ndarray, device: str = "auto") -> np.ndarray:
    """(N,) float32 mono at 16 kHz -> (ceil(N / 320), 384) float32 features; frame i is centred on second i / 50. Raises
    ModelError where the encoder is missing."""
    return surrounded(samples, device)[CONTEXT:-CONTEXT]


def surrounded(samples: np.ndarray, device: str = "auto") -> np.ndarray:
    """(N,) float32 mono at 16 kHz -> (ceil(N / 320) + 2 CONTEXT, 384) float32 features, of the silence around it, too:
    frame CONTEXT + i is centred on second i / 50.

    The encoder hears a frame otherwise where it lies elsewhere in its window. So windows of 10 s follow each other
    every 2.5 s, and a frame counts the more the nearer it lies to the middle: four places average, and no frame steps.
    The encoder hears half a second of silence on either side. Memory beyond the result hardly grows with the recording.
    Raises ModelError where the encoder is missing.
    """
    session = models.session("speech_encoder", device)
    frames = -(-len(samples) // HOP)
    centre = float(np.mean(samples, dtype=np.float64))
    scale = gain(samples, centre)
    result = np.zeros((frames + 2 * _MARGIN, FEATURES), np.float32)
    total = np.zeros((len(result), 1), np.float32)
    for start, stop in windows(len(result)):
        cancel.check()
        heard = _slice(samples, (start - _MARGIN) * HOP, (stop - _MARGIN) * HOP, centre) * scale
        energy = log_mel_energy(heard)
        log_mel = (np.maximum(energy, _LOUDEST - _RANGE) + 4.0) / 4.0
        encoded = session.run(["features"], {"log_mel": log_mel[None].astype(np.float32)})[0][0]
        weight = _weight(start, stop, len(result))[:, None]
        result[start:stop] += weight * encoded
        total[start:stop] += weight
    result /= total
    return result[_MARGIN - CONTEXT : frames + _MARGIN + CONTEXT]


def silence(device: str = "auto") -> np.ndarray:
    """(384,) features of digital silence."""
    return _silence(device, models.folder())


@lru_cache(maxsize=4)
def _silence(device: str, _networks: Path) -> np.ndarray:
    return features(np.zeros(SPEECH_RATE, np.float32), device)[FEATURE_RATE // 2]


def windows(frames: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of the encoder's windows over `frames` feature frames; all but the last are of one length."""
    start = 0
    while start + WINDOW < frames:
        yield start, start + WINDOW
        start += STEP
    yield start, frames


def _weight(start: int, stop: int, frames: int) -> np.ndarray:
    """(stop - start,) how much a window's frames count: a raised cosine, level from where no other window follows."""
    place = (np.arange(stop - start) + 0.5) / WINDOW
    if start == 0:
        place = np.maximum(place, 0.5)
    if stop == frames:
        place = np.minimum(place, 0.5)
    return (np.sin(np.pi * place) ** 2).astype(np.float32)


def _slice(samples: np.ndarray, start: int, stop: int, centre: float) -> np.ndarray:
    """samples[start:stop] less their mean, with silence where that reaches over either end."""
    inside = samples[max(start, 0) : max(min(stop, len(samples)), 0)] - np.float32(centre)
    return np.pad(inside, (max(-start, 0), stop - max(start, 0) - len(inside)))
