"""What corrects the finished motion of eyes: lids that slide over balls, skin between lids that keeps its order."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from .compress import ShapeKeys, compress, with_more

_FRAMES_AT_ONCE = 1024


class Part(Protocol):
    """Vertices (M,) of a mesh, each once, and what their displacement (T,M,3), mesh units, needs; nothing at rest."""

    @property
    def vertices(self) -> np.ndarray: ...

    def correction(self, displacement: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Eyelids:
    """All that corrects the eyes of one face."""

    parts: tuple[Part, ...]

    @cached_property
    def vertices(self) -> np.ndarray:
        """(M,) vertices of all parts."""
        return np.unique(np.concatenate([part.vertices for part in self.parts]))

    def correction(self, displacement: np.ndarray) -> np.ndarray:
        """(T,M,3) the sum of what the parts add; displacement (T,M,3) of `vertices`, mesh units."""
        change = np.zeros_like(displacement)
        for part in self.parts:
            rows = np.searchsorted(self.vertices, part.vertices)
            change[:, rows] += part.correction(displacement[:, rows])
        return change

    def correct(self, motion: np.ndarray) -> None:
        """Change a motion (T,V,3) of the mesh, mesh units, so that its eyes are right."""
        change = self.correction(motion[:, self.vertices])
        if change.any():
            motion[:, self.vertices] += change


def met(keys: ShapeKeys, lids: Eyelids, tolerance: float, error: float) -> ShapeKeys:
    """Shape keys with a few more that correct the eyes.

    keys.shapes (K,V,3) for the vertices that `lids` was made for; tolerance: largest error of what is added, mesh
    units; error: that of `keys` away from the lips, where lids are.
    """
    shapes = keys.shapes[:, lids.vertices]
    starts = range(0, len(keys.weights), _FRAMES_AT_ONCE)
    blocks = [np.tensordot(keys.weights[start : start + _FRAMES_AT_ONCE], shapes, 1) for start in starts]
    change = [lids.correction(block).astype(np.float32) for block in blocks]
    largest = np.concatenate([np.linalg.norm(one, axis=2).max(1, initial=0) for one in change] or [np.zeros(0)])
    busy = np.flatnonzero(largest > tolerance / 2)
    if not len(busy):
        return keys
    added = compress(np.concatenate(change)[busy], tolerance)
    weights = np.zeros((len(keys.weights), len(added.shapes)), np.float32)
    weights[busy] = added.weights
    largest_error = max(keys.max_error, error + max(added.max_error, tolerance / 2))
    return with_more(keys, lids.vertices, added.shapes, weights, largest_error)
