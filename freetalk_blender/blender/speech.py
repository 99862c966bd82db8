"""What is said and how: the speech of one take."""

from dataclasses import dataclass

import numpy as np

from ..core import performance
from ..core.performance import Performance, frame_count
from ..core.style import AS_PERFORMED, Style


@dataclass(frozen=True)
class Speech:
    """samples (N,) mono at `rate`; emotion: None, (8,) or (T,8) weights; strength: how much of the motion is made."""

    samples: np.ndarray
    rate: float
    fps: float
    emotion: np.ndarray | None = None
    seed: int = 0
    style: Style = AS_PERFORMED
    strength: float = 1.0

    def perform(self, device: str) -> Performance:
        emotion = self.emotion
        if emotion is not None and emotion.ndim == 2:
            emotion = _fitted(emotion, frame_count(len(self.samples), self.rate, self.fps))
        take = performance.perform(
            self.samples, self.rate, emotion, self.fps, style=self.style, device=device, seed=self.seed
        )
        return take.scaled(self.strength)


def _fitted(curve: np.ndarray, frames: int) -> np.ndarray:
    """(T,8) for as many frames; a header may promise a few more or fewer than the recording has."""
    return np.pad(curve[:frames], ((0, max(0, frames - len(curve))), (0, 0)), mode="edge")
