"""What is said and how: the speech of one take."""

from dataclasses import dataclass

import numpy as np

from ..core import performance
from ..core.performance import Performance
from ..core.style import AS_PERFORMED, Style


@dataclass(frozen=True)
class Speech:
    """samples (N,) mono at `rate`; emotion: None, or weights (8,) or (T,8)."""

    samples: np.ndarray
    rate: float
    fps: float
    emotion: np.ndarray | None = None
    seed: int = 0
    style: Style = AS_PERFORMED

    def perform(self, device: str) -> Performance:
        return performance.perform(
            self.samples, self.rate, self.emotion, self.fps, style=self.style, device=device, seed=self.seed
        )
