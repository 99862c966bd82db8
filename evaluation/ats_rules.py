"""What a talker's lips do when nothing but the phones is known: the oracle among the baselines, for it knows the words.

Every phone asks for the mean posture that the real talker took in it; postures blend by dominance (Cohen & Massaro
1993, "Modeling coarticulation in synthetic visual speech").
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import aligned, ats_data, grid, phones
from export.phones import SILENCE, Phone
from freetalk_blender.core.voice.speech import FEATURE_RATE

#: GRID's grammar: the letters of a clip's name, in order.
_GRAMMAR = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvwxyz"},
    {"z": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven",
     "8": "eight", "9": "nine"},
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)  # fmt: skip
#: A phone's dominance falls to nothing this far beyond its borders (s).
_FLANK = 0.08

Speaker = Callable[[np.ndarray], list[Phone]]
"""16 kHz samples -> the phones that are said; the oracle."""


@dataclass(frozen=True)
class Rules:
    """postures: phone -> controls (K,), the mean over the real talker's clips; other: for phones that he never says."""

    postures: dict[str, np.ndarray]
    other: np.ndarray

    def track(self, spoken: list[Phone], frames: int) -> np.ndarray:
        """(frames,K) controls at 50 Hz."""
        times = np.arange(frames) / FEATURE_RATE
        total, weight = np.zeros((frames, len(self.other))), np.full((frames, 1), 1e-6)
        for phone in spoken:
            away = np.maximum(np.maximum(phone.start - times, times - phone.end), 0.0) / _FLANK
            dominance = (0.5 + 0.5 * np.cos(np.pi * np.clip(away, 0.0, 1.0)))[:, None]
            posture = 0 * self.other if phone.name == SILENCE else self.postures.get(phone.name, self.other)
            total += dominance * posture
            weight += dominance
        return total / weight


def learn(clips: list[grid.Clip], controls: np.ndarray, found: dict[str, list[Phone]]) -> Rules:
    """Mean postures at the middles of phones, over the clips that training may see."""
    rows: dict[str, list[np.ndarray]] = {}
    for clip, weights in zip(clips, controls, strict=True):
        for phone in found.get(clip.name, []):
            middle = round((phone.start + phone.end) / 2 * FEATURE_RATE)
            if not ats_data.held_out(clip.name) and middle < len(weights):
                rows.setdefault(phone.name, []).append(weights[middle])
    every = [row for name, phone_rows in rows.items() if name != SILENCE for row in phone_rows]
    return Rules({name: np.mean(phone_rows, 0) for name, phone_rows in rows.items()}, np.mean(every, 0))


def sentence(name: str) -> str:
    """bbaf2n -> bin blue at f two now."""
    return " ".join(words[letter] for letter, words in zip(name, _GRAMMAR, strict=True))


def oracle(takes: dict[str, np.ndarray], file: Path) -> Speaker:
    """The phones of GRID takes (name -> samples): from the alignment file where it has them, else aligned here."""
    known = {recording.name: recording.phones for recording in aligned.read(file)}
    aligner = phones.Aligner(file.parent)
    said = {
        samples.tobytes(): known.get(name) or aligner.align(samples, sentence(name)) or []
        for name, samples in takes.items()
    }
    return lambda samples: said[samples.tobytes()]
