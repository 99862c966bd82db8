"""A network that cares less where in the encoder's window a sound lies.

The frozen encoder knows the place of a frame in its window and attends to all of the window, so that the same sound
has other features where it comes later: that is noise, and what it looks like is measured here by hearing the same
speech at several places. Features are then filtered by what explains a frame's signal best in least squares (Wiener
1949, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series", over the channels of a frame): a matrix,
which goes into the network's first weights and costs nothing in use.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from export import aligned, ats_data, ats_network
from freetalk_blender.core.voice import audio, speech

#: Recordings by voices of training that are heard together, and how many such groups.
_TOGETHER, _GROUPS = 8, 8
#: How much of a group is heard, piece by piece, each at so many places: after at most so many seconds of silence. A
#: piece and its silence fit into one of the encoder's windows, as short recordings do: there no places average.
_PIECES, _SECONDS, _PLACES, _LATEST = 16, 4.0, 3, 5.0
#: How many times the measured noise is filtered for: 0 does nothing; more steadies little more and stills the lips.
STRENGTH = 2.0


@dataclass(frozen=True)
class Noise:
    """Covariance (C,C) of standardised features, and of what the place in the window adds to them."""

    all: np.ndarray
    place: np.ndarray

    @property
    def share(self) -> float:
        """How much of the variance is the place's."""
        return float(np.trace(self.place) / np.trace(self.all))


def measure(data: Path, trunk: ats_network.Trunk) -> Noise:
    """What the place in the window does to the features of LibriSpeech's training voices."""
    people = [
        recording.path
        for recording in aligned.recordings(data)
        if recording.voice not in (aligned.GRID_VOICE, "dc_tts_voice") and not ats_data.held_out(recording.voice)
    ]
    random = np.random.default_rng(0)
    chosen = random.permutation(len(people))[: _TOGETHER * _GROUPS].reshape(_GROUPS, _TOGETHER)
    size = speech.FEATURES
    covariances = np.zeros((2, size, size))
    frames = 0
    for group in chosen:
        sounds = [audio.load(people[i])[0] for i in group]
        whole = np.concatenate([sound * speech.gain(sound) for sound in sounds])
        length = round(_SECONDS * audio.SPEECH_RATE)
        pieces = whole[: _PIECES * length].reshape(-1, length)
        places = random.uniform(0.0, _LATEST, (len(pieces), _PLACES))
        later = [[_later(piece, seconds) for seconds in here] for piece, here in zip(pieces, places, strict=True)]
        heard = np.concatenate(later, axis=1)
        standard = (heard - trunk.mean.numpy()) / trunk.deviation.numpy()
        varied = (standard - standard.mean(0)).reshape(-1, size)
        centred = standard[0] - standard[0].mean(0)
        covariances += np.stack([centred.T @ centred, varied.T @ varied / (_PLACES - 1)])
        frames += len(centred)
    return Noise(*(covariances / frames))


def _later(samples: np.ndarray, seconds: float) -> np.ndarray:
    """(T,384) features of the samples, heard after so many seconds of silence."""
    ahead, frames = round(seconds * speech.FEATURE_RATE), len(samples) // speech.HOP
    silence = np.zeros(ahead * speech.HOP, np.float32)
    return speech.features(np.concatenate([silence, samples]), "cpu")[ahead : ahead + frames]


def steady(trunk: ats_network.Trunk, noise: Noise) -> None:
    """Put the filter into the trunk's first weights."""
    filter_ = torch.from_numpy((noise.all @ np.linalg.inv(noise.all + STRENGTH * noise.place)).astype(np.float32))
    with torch.no_grad():
        for layer in (trunk.body.enter[1], trunk.ears.enter[1]):
            layer.weight.copy_(layer.weight @ filter_)
        trunk.straight.weight.copy_(torch.einsum("kct,cd->kdt", trunk.straight.weight, filter_))
