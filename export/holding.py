"""Sounds that are held: speech in which one vowel or hum is made longer, heard as in use.

Nobody in the recordings holds a vowel, and the encoder takes a long one for something else than speech. So in use it
hears a held sound shortened and its features are stretched again (core/voice/sustained.py); here the network learns
from features that were made so what it shall answer: the posture of the sound, for as long as it is held.
"""

from pathlib import Path

import numpy as np

from export import augment
from export.aligned import Aligned
from export.ats_data import LABELS, Piece, Streams, kept
from export.phones import Phone
from export.postures import HEIGHTS, ROUNDED, SPREAD
from freetalk_blender.core.series import sample
from freetalk_blender.core.voice import speech, sustained
from freetalk_blender.core.voice.speech import CONTEXT, FEATURE_RATE, HOP

#: What people hold: vowels, and hums. How long (s), and the shortest phone that is taken for one (s).
_HELD = {*ROUNDED, *SPREAD, *sum(HEIGHTS, ()), "EY", "ER", "M", "N"} - {"W"}
_SECONDS, _SHORTEST = (0.4, 3.0), 0.08
#: At most so many frames in the middle of a phone are stretched; what is kept on either side of them, and the least.
_MIDDLE, _AROUND, _LEAST = 8, 100, 25


def pieces(recordings: list[Aligned], heard: list[Piece], seed: int) -> list[Piece]:
    """One held sound of each recording that has one that is believed, half of them disturbed."""
    random, found = np.random.default_rng(seed), []
    for recording, piece in zip(recordings, heard, strict=True):
        able = [phone for phone in recording.phones if _can_be_held(phone, piece)]
        if able:
            phone, seconds = able[int(random.integers(len(able)))], np.exp(random.uniform(*np.log(_SECONDS)))
            disturbing = random if random.random() < 0.5 else None
            found.append(hold(piece, phone, round(seconds * FEATURE_RATE), disturbing))
    return found


def streams(held: list[Piece], path: Path) -> Streams:
    """Each piece as a stream of its own; `path` keeps the features."""
    known = kept(path, lambda: np.concatenate([_hear(piece) for piece in held]))
    ends = ((CONTEXT, CONTEXT), (0, 0))
    columns = {name: np.concatenate([np.pad(getattr(x, name), ends, mode="edge") for x in held]) for name in LABELS}
    index = np.repeat(np.arange(len(held)), [len(piece.controls) + 2 * CONTEXT for piece in held])
    return Streams(features=known, **columns, stream=index)


def _can_be_held(phone: Phone, piece: Piece) -> bool:
    """Is it a vowel or a hum that is believed, with speech enough on either side?"""
    middle = round((phone.start + phone.end) / 2 * FEATURE_RATE)
    inside = _LEAST + _MIDDLE <= middle < len(piece.controls) - _LEAST - _MIDDLE
    long = phone.end - phone.start >= _SHORTEST
    return phone.name in _HELD and long and inside and bool(piece.control_trust[middle].min() > 0)


def hold(piece: Piece, phone: Phone, frames: int, random: np.random.Generator | None = None) -> Piece:
    """What is around a phone whose middle lasts for so many frames; disturbed where there is chance."""
    middle = round((phone.start + phone.end) / 2 * FEATURE_RATE)
    half = min(_MIDDLE, int((phone.end - phone.start) * FEATURE_RATE)) // 2
    start, stop = max(0, middle - half - _AROUND), min(len(piece.controls), middle + half + _AROUND)
    first, end = middle - half - start, middle + half - start
    sound = augment.hold(piece.samples[start * HOP : stop * HOP], first * HOP, end * HOP, frames * HOP)
    if random is not None:
        sound = augment.disturb(sound, random)
    inside = np.linspace(middle - half, middle + half, frames, endpoint=False)
    places = np.concatenate([np.arange(start, middle - half), inside, np.arange(middle + half, stop)])
    nearest = np.rint(places).astype(int)
    others = {name: getattr(piece, name)[nearest] for name in LABELS if name != "controls"}
    return Piece(samples=sound, controls=sample(piece.controls, 1, places).astype(np.float32), **others)


def _hear(piece: Piece) -> np.ndarray:
    """(T + 28, 384) features, a held sound heard shortened where it is found to be held."""
    places = sustained.find(piece.samples, piece.events[:, 0])
    if not len(places):
        return speech.surrounded(piece.samples, "cpu")
    return sustained.stretched(speech.surrounded(sustained.shortened(piece.samples, places), "cpu"), places + CONTEXT)
