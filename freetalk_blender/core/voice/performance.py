"""A voice becomes a performance: the motion of 68 landmarks at the scene's frame rate."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from .. import frame, models
from ..errors import AudioError, FreeTalkError
from ..landmarks import LID_PAIRS
from ..series import sample
from . import ats, lips, liveliness, prosody, speech, sustained
from . import audio as sound
from . import emotion as emotions
from . import tongue as tongues
from .style import AS_PERFORMED, Style, StyleError

#: What was heard is kept, so that a moved slider runs the small network alone (bytes, recordings).
_cache_bytes = 256 * 2**20
_CACHE_ENTRIES = 8
_cache: OrderedDict[tuple[bytes, str, Path], "Heard"] = OrderedDict()
#: Somebody speaks where that is more probable. A recording begins without speech that has none in these frames; a noise
#: from its first sample on, which sounds like a consonant after silence, is none then.
_SPOKEN, _BEGIN = 0.5, slice(10, 20)
#: Jobs and previews hear in threads, the panel asks in another; networks run without it.
_lock = threading.Lock()


@dataclass(frozen=True)
class Heard:
    """A recording as the networks hear it, at 50 Hz: features (T + 28, 384), of the silence around it, too, speech
    probability (T,), accents (A,2), tongue (T,3); seconds of silence that it begins with."""

    features: np.ndarray
    speech: np.ndarray
    accents: np.ndarray
    tongue: np.ndarray
    lead: float


def limit_cache(size: int) -> None:
    """Keep at most so many bytes of encoder output."""
    global _cache_bytes
    with _lock:
        _cache_bytes = size
        _trim()


def cache_size() -> int:
    """Bytes of encoder output kept."""
    with _lock:
        return _bytes()


def clear_cache() -> None:
    """Forget all encoder output."""
    with _lock:
        _cache.clear()


def _bytes() -> int:
    return sum(entry.features.nbytes for entry in _cache.values())


def _trim() -> None:
    while len(_cache) > _CACHE_ENTRIES or _bytes() > _cache_bytes:
        _cache.popitem(last=False)


@dataclass(frozen=True, eq=False)
class Performance:
    """displacement (T,68,3) of neutral (68,3), canonical units; frame i is second i / fps; emotion (T,8); tongue (T,3)
    as tongue.CHANNELS names it, 0 to 1; turns (T,5) of head and eyes as turns.KEYS names them (radians); spoken: was
    speech heard at all?"""

    displacement: np.ndarray
    neutral: np.ndarray
    fps: float
    emotion: np.ndarray
    tongue: np.ndarray
    turns: np.ndarray
    spoken: bool = True

    def notes(self, sound: str) -> tuple[str, ...]:
        """What to tell of a performance of the sound of that name."""
        if self.spoken:
            return ()
        return (f"No speech was heard in {sound}, so the mouth stays still; check that the right sound is chosen.",)

    def scaled(self, strength: float | np.ndarray) -> "Performance":
        """So many times the motion, throughout or frame by frame (T,); the tongue goes no further than it is."""
        share = _column(strength)
        tongue = np.clip(share, 0, 1) * self.tongue
        moved = share[..., None] * self.displacement
        return replace(self, displacement=moved, tongue=tongue, turns=share * self.turns)


def frame_count(samples: int, sample_rate: float, fps: float) -> int:
    """Frames of a performance: ceil(duration * fps) + 1, so that the last lies on the sound's end or just after."""
    return ceil(round(samples / sample_rate * fps, 6)) + 1


def perform(
    audio: np.ndarray,
    sample_rate: float,
    emotion: Mapping[str, float] | np.ndarray | None = None,
    fps: float = 30,
    *,
    style: Style = AS_PERFORMED,
    device: str = "auto",
    seed: int = 0,
) -> Performance:
    """Speech (N,) or (N, channels) at any rate, and emotion, as landmark motion at fps.

    emotion: None (neutral), name -> weight, (8,), or (T,8) with T = frame_count(N, sample_rate, fps), and so style.
    Frame i is second i / fps; lips and lids that shut between two frames alone are shown by the nearer one
    (`lips.shown`).
    Deterministic for a seed. Raises AudioError, EmotionError, StyleError, ModelError, and FreeTalkError where fps is
    not 1 to 1000 or the seed no whole number from 0 on, each one sentence.
    """
    if not (isinstance(fps, Real) and 1 <= fps <= 1000):
        raise FreeTalkError(f"{fps} is not a valid frame rate; choose one between 1 and 1000.")
    if not (isinstance(seed, Integral) and seed >= 0):
        raise FreeTalkError(f"{seed} is not a valid seed; choose a whole number from 0 on.")
    if not isinstance(style, Style):
        raise StyleError(f"{style!r} is not a style; give Style(jaw=1.2), say.")
    fps = float(fps)
    samples = sound.resample(sound.mono(audio), sample_rate)
    if not len(samples):
        raise AudioError("The audio is too short to hear anything in it; choose a recording with speech in it.")
    heard = hear(samples, device)
    frames = frame_count(len(audio), sample_rate, fps)
    weights = emotions.curve(emotion, frames)
    style.check(frames)
    clock = np.arange(len(heard.speech)) / speech.FEATURE_RATE
    felt = emotions.eased(sample(weights, fps, clock), speech.FEATURE_RATE)
    acted = style.each(lambda curve: sample(curve, fps, clock))
    lids = liveliness.blinks(heard.speech, heard.accents, seed, acted.blinks)
    brows = liveliness.beats(heard.accents, len(clock), seed)
    spoken = lips.relaxed(replace(acted, articulation=acted.articulation * lips.begun(heard.lead, clock)))
    motion = ats.predict(heard.features, felt, lids, brows, style=spoken, device=device)
    neutral = frame.mean_landmarks()
    motion = liveliness.with_open_eyes(motion, neutral, lids)
    times, shown = np.arange(frames) / fps, lips.shown(motion, speech.FEATURE_RATE, frames, fps)
    displacement = lips.corrected(sample(motion, speech.FEATURE_RATE, shown), style.contact, fps)
    blinking, blinked = np.ravel(LID_PAIRS), liveliness.shown(lids, frames, fps)
    displacement[:, blinking] = sample(motion[:, blinking], speech.FEATURE_RATE, blinked)
    tongue = sample(heard.tongue, speech.FEATURE_RATE, shown) * np.minimum(_column(style.articulation), 1)
    head = liveliness.head(heard.speech, heard.accents, felt, seed) * _column(acted.head)
    eyes = liveliness.gaze(heard.speech, heard.accents, head, seed, acted.gaze)
    looks = sample(eyes, speech.FEATURE_RATE, times)
    displacement = liveliness.with_lids(displacement, neutral, looks[:, 0])
    turns = np.concatenate([sample(head, speech.FEATURE_RATE, times), looks], 1)
    anybody = bool((heard.speech > _SPOKEN).any())
    return Performance(displacement, neutral, fps, weights, tongue, turns, anybody)


def _column(factor: float | np.ndarray) -> np.ndarray:
    """A number or (T,) as float32 beside rows of a curve."""
    return np.float32(factor).reshape(-1, 1)


def hear(samples: np.ndarray, device: str = "auto") -> Heard:
    """(N,) float32 at 16 kHz as features, speech and accents; remembered by content and networks. Raises ModelError."""
    content = hashlib.blake2b(np.ascontiguousarray(samples).data, digest_size=16).digest()
    key = content, device, models.folder()
    with _lock:
        if key in _cache:
            _cache.move_to_end(key)
            return _cache[key]
    features = speech.surrounded(samples, device)
    speaks = _speech(features, device)
    held = sustained.find(samples, speaks)
    if len(held):
        features = speech.surrounded(sustained.shortened(samples, held), device)
        features = sustained.stretched(features, held + speech.CONTEXT)
        speaks = _speech(features, device)
    if not (speaks[min(_BEGIN.start, 2 * len(speaks) // 3) : _BEGIN.stop] > _SPOKEN).any():
        features[: speech.CONTEXT] = speech.silence(device)
        speaks = _speech(features, device)
    accents, tongue = prosody.accents(samples, speaks), tongues.predict(features, device=device)
    result = Heard(features, speaks, accents, tongue, speech.lead(samples))
    with _lock:
        if features.nbytes <= _cache_bytes:
            _cache[key] = result
        _trim()
    return result


def _speech(features: np.ndarray, device: str) -> np.ndarray:
    """(T,) how probable speech is in features (T + 28, 384)."""
    return ats.events(features, device=device)[:, ats.EVENTS.index("speech")]
