"""Emotion that changes over time, from a file: a CSV whose header names the time and the emotions it draws.

    time,happy,surprised
    0.0,0.2,0
    1.5,0.9,0.4

Seconds and weights, one row a key, linear between keys and held at both ends.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .emotion import EMOTIONS, EmotionError


@dataclass(frozen=True)
class EmotionCurve:
    """times (K,) s, ascending; weights (K,8) in the order of EMOTIONS."""

    times: np.ndarray
    weights: np.ndarray

    def at(self, frames: int, fps: float) -> np.ndarray:
        """(frames,8) float32 weights at second i / fps."""
        clock = np.arange(frames) / fps
        return np.stack([np.interp(clock, self.times, column) for column in self.weights.T], 1).astype(np.float32)


def read(path: Path) -> EmotionCurve:
    """An emotion file; EmotionError in one sentence where it is missing, misses a column, or holds no numbers."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise EmotionError(f"The emotion file {path} cannot be read ({reason}); check the path.") from error
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    unknown = [name for name in names[1:] if name not in EMOTIONS]
    if names[:1] != ["time"] or len(names) < 2 or unknown or len(set(names)) < len(names):
        raise EmotionError(
            f"The emotion file {path} must begin with a line like time,happy,sad; known are {', '.join(EMOTIONS)}."
        )
    try:
        values = np.array(rows[1:], np.float64).reshape(-1, len(names))
    except ValueError as error:
        raise EmotionError(f"The emotion file {path} holds a row that is not {len(names)} numbers.") from error
    if (
        not len(values)
        or not np.isfinite(values).all()
        or (np.diff(values[:, 0]) <= 0).any()
        or values[:, 1:].min() < 0
    ):
        raise EmotionError(f"The emotion file {path} needs rows of ascending times and weights of 0 or more.")
    weights = np.zeros((len(values), len(EMOTIONS)))
    weights[:, [EMOTIONS.index(name) for name in names[1:]]] = values[:, 1:]
    return EmotionCurve(values[:, 0], weights)
