"""What is said and how: the speech of one take, and its performance."""

from dataclasses import dataclass

import numpy as np

from . import performance
from .performance import Performance, frame_count
from .style import AS_PERFORMED, Style


@dataclass(frozen=True)
class Utterance:
    """samples (N,) mono at `rate`; emotion: None, (8,) or (T,8) weights; strength: how much of the motion is made, a
    number or (T,)."""

    samples: np.ndarray
    rate: float
    fps: float
    emotion: np.ndarray | None = None
    seed: int = 0
    style: Style = AS_PERFORMED
    strength: float | np.ndarray = 1.0

    def perform(self, device: str) -> Performance:
        """The motion of the average face that says it; device: a key of models.DEVICES. Raises as
        `performance.perform` does."""
        frames = frame_count(len(self.samples), self.rate, self.fps)

        def fitted(curve: np.ndarray) -> np.ndarray:
            """(T,...) for as many frames; a header may promise a few more or fewer than the recording has."""
            return curve[np.minimum(np.arange(frames), len(curve) - 1)]

        emotion = self.emotion
        if emotion is not None and emotion.ndim == 2:
            emotion = fitted(emotion)
        strength, style = fitted(np.atleast_1d(self.strength)), self.style.each(fitted)
        take = performance.perform(
            self.samples, self.rate, emotion, self.fps, style=style, device=device, seed=self.seed
        )
        return take.scaled(strength)
