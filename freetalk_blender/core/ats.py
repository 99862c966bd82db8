"""Audio-To-Sparse: speech features and emotion to the motion of 68 landmarks, 50 frames a second.

The network (onnx_models/ats.onnx, model card beside it) says how the lips and the jaw move, where lips must touch and
where somebody speaks; emotion and lids are laid over it inside the same graph. Blinks come from a seed.
"""

from functools import lru_cache

import numpy as np

from . import models
from .emotion import EMOTIONS
from .speech import FEATURE_RATE, FEATURES

#: What the network detects beside motion, in the order of its output `events`.
EVENTS = ("speech", "bilabial", "labiodental", "rounding")
#: Frames that the network sees to either side of the one it answers for (280 ms), and frames run at once.
CONTEXT = 14
_CHUNK = 3000
#: Blinks: 26 a minute in conversation (Bentivoglio et al. 1997, "Analysis of blink rate patterns in normal subjects"),
#: intervals spread log-normally; a lid falls in 80 ms and rises in 180 (VanderWerf et al. 2003, "Eyelid movements").
_BLINK_INTERVAL = 60.0 / 26.0
_BLINK_SPREAD = 0.5
_BLINK_FALL, _BLINK_RISE = 0.08, 0.18
#: A blink waits for the nearest end of a phrase within this time, and nobody blinks further than this from speech (s):
#: silence is left still for the animator.
_BLINK_WAIT, _BLINK_REACH = 0.5, 3.0


def predict(features: np.ndarray, emotion: np.ndarray, *, device: str = "auto", seed: int = 0) -> np.ndarray:
    """features (T,384) and emotion (T,8) at 50 Hz -> landmark displacement (T,68,3) float32, canonical units.

    Deterministic for a seed. Raises ModelError where the network is missing, ValueError for shapes that do not fit.
    """
    blinks = blink_curve(events(features, device=device)[:, 0], seed)
    return _run(features, emotion, blinks, "displacement", device)


def events(features: np.ndarray, *, device: str = "auto") -> np.ndarray:
    """features (T,384) -> (T,4) probabilities of EVENTS: somebody speaks, lips together, lip on teeth, lips rounded."""
    silent = np.zeros((len(features), len(EMOTIONS)), np.float32)
    return _run(features, silent, np.zeros(len(features), np.float32), "events", device)


def blink_curve(speech: np.ndarray, seed: int) -> np.ndarray:
    """Speech probability (T,) at 50 Hz -> how far the lids are shut (T,), 0 to 1."""
    random = np.random.default_rng(seed)
    talking = speech > 0.5
    spoken = np.flatnonzero(talking)
    curve = np.zeros(len(speech), np.float32)
    if len(spoken) == 0:
        return curve
    ends = np.flatnonzero(talking[:-1] & ~talking[1:]) / FEATURE_RATE
    times = np.arange(len(speech)) / FEATURE_RATE
    for moment in _blink_times(len(speech) / FEATURE_RATE, ends, random):
        nearest = np.abs(spoken / FEATURE_RATE - moment).min()
        if nearest <= _BLINK_REACH:
            first, last = np.searchsorted(times, (moment, moment + _BLINK_FALL + _BLINK_RISE))
            curve[first:last] = np.maximum(curve[first:last], _blink(times[first:last] - moment))
    return curve


def _blink_times(duration: float, ends: np.ndarray, random: np.random.Generator) -> list[float]:
    """Moments at which a lid begins to fall, drawn to the ends of phrases."""
    moments: list[float] = []
    moment = _BLINK_INTERVAL * random.uniform(0.3, 1.0)
    while moment < duration:
        nearest = ends[np.abs(ends - moment).argmin()] if len(ends) else np.inf
        drawn = float(nearest) if abs(nearest - moment) < _BLINK_WAIT else moment
        if not moments or drawn - moments[-1] > _BLINK_FALL + _BLINK_RISE:
            moments.append(drawn)
        moment += _BLINK_INTERVAL * random.lognormal(-0.5 * _BLINK_SPREAD**2, _BLINK_SPREAD)
    return moments


def _blink(since: np.ndarray) -> np.ndarray:
    """Seconds since the lid began to fall -> 0..1: smooth down, slower smooth up."""
    phase = np.where(since < _BLINK_FALL, since / _BLINK_FALL, 1.0 - (since - _BLINK_FALL) / _BLINK_RISE)
    clipped = np.clip(phase, 0.0, 1.0)
    return clipped * clipped * (3.0 - 2.0 * clipped)


def _run(features: np.ndarray, emotion: np.ndarray, blinks: np.ndarray, output: str, device: str) -> np.ndarray:
    """One output of the network over any length: pieces with exactly the context that a frame needs, so no seams."""
    frames = len(features)
    if features.shape != (frames, FEATURES) or emotion.shape != (frames, len(EMOTIONS)) or blinks.shape != (frames,):
        raise ValueError(
            f"features, emotion and blinks must be (T,{FEATURES}), (T,{len(EMOTIONS)}) and (T,), "
            f"not {features.shape}, {emotion.shape} and {blinks.shape}"
        )
    session = models.session("ats", device)
    pieces = []
    for start in range(0, frames, _CHUNK):
        stop = min(start + _CHUNK, frames)
        inputs = {
            "features": _surrounded(features, start - CONTEXT, stop + CONTEXT, _silence(device)),
            "emotion": emotion[start:stop],
            "blink": blinks[start:stop, None],
        }
        fed = {name: np.ascontiguousarray(array[None], np.float32) for name, array in inputs.items()}
        pieces.append(session.run([output], fed)[0][0])
    return np.concatenate(pieces)


def _surrounded(features: np.ndarray, start: int, stop: int, silence: np.ndarray) -> np.ndarray:
    """features[start:stop] with silence (1,384) where that reaches over either end."""
    before = np.repeat(silence, max(0, -start), 0)
    after = np.repeat(silence, max(0, stop - len(features)), 0)
    return np.concatenate([before, features[max(0, start) : stop], after])


@lru_cache(maxsize=4)
def _silence(device: str) -> np.ndarray:
    """(1,384) features of digital silence, which surrounds every recording."""
    from .speech import features

    return features(np.zeros(16000, np.float32), device)[25:26]
