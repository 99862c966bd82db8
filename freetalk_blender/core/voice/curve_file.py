"""Emotion or style that changes over time, from a file: a CSV whose header names the time and what its columns draw.

    time,happy,surprised
    0.0,0.2,0
    1.5,0.9,0.4

Seconds and values, one row a key, linear between keys and held at both ends.
"""

import csv
from pathlib import Path

import numpy as np

from .. import readable
from ..errors import FreeTalkError
from .emotion import EMOTIONS, EmotionError
from .style import STYLES, StyleError, limits


def emotion(path: Path, frames: int, fps: float) -> np.ndarray:
    """(frames,8) float32 weights of EMOTIONS at second i / fps, each 0 or more; EmotionError in one sentence where the
    file is missing or is none."""
    curves = _read(path, "emotion", dict.fromkeys(EMOTIONS, (0.0, np.inf)), EmotionError, np.arange(frames) / fps)
    none = np.zeros(frames, np.float32)
    return np.stack([curves.get(name, none) for name in EMOTIONS], 1)


def style(path: Path, frames: int, fps: float) -> dict[str, np.ndarray]:
    """Fields of Style that the file draws -> (frames,) float32 at second i / fps; StyleError in one sentence where the
    file is missing or is none."""
    return _read(path, "style", {name: limits(name) for name in STYLES}, StyleError, np.arange(frames) / fps)


def _read(
    path: Path, what: str, known: dict[str, tuple[float, float]], error: type[FreeTalkError], clock: np.ndarray
) -> dict[str, np.ndarray]:
    """Name of each column -> its values (T,) at `clock` (T,), seconds; known: names, and between what each lies."""
    try:
        lines = readable.text(Path(path)).splitlines()
        rows = [row for row in csv.reader(lines) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        told = getattr(reason, "strerror", None) or reason
        raise error(f"The {what} file {path} cannot be read ({told}); check the path.") from reason
    names = [cell.strip().lower().replace("-", "_") for cell in rows[0]] if rows else []
    if names[:1] != ["time"] or len(names) < 2 or set(names[1:]) - set(known) or len(set(names)) < len(names):
        example = ",".join(["time", *list(known)[1:3]])
        raise error(f"The {what} file {path} must begin with a line like {example}; known are {', '.join(known)}.")
    try:
        times, *columns = np.array(rows[1:], np.float64).reshape(len(rows) - 1, len(names)).T
    except ValueError as reason:
        raise error(f"The {what} file {path} holds a row that is not {len(names)} numbers.") from reason
    if not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise error(f"The {what} file {path} needs rows of ascending times.")
    drawn = {}
    for name, column in zip(names[1:], columns, strict=True):
        low, high = known[name]
        if not np.isfinite(column).all() or column.min() < low or column.max() > high:
            between = f"be {low:g} or more" if np.isinf(high) else f"lie between {low:g} and {high:g}"
            raise error(f"In the {what} file {path}, {name} must {between} in every row.")
        drawn[name] = np.interp(clock, times, column).astype(np.float32)
    return drawn
