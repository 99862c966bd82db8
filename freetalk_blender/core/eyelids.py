"""What corrects the finished motion of eyes: lids that slide over balls, skin that stays until a lid comes over it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from .compress import ShapeKeys, changed, factors, in_blocks


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
    """Shape keys that correct the eyes, with a few more where they must; the dense sequence is never made.

    keys.shapes (K,V,3) for the vertices that `lids` was made for; tolerance: largest error of what is added, mesh
    units; error: that of `keys` away from the lips, where lids are.
    """
    own, lost = keys.shapes[:, lids.vertices], tolerance / 10
    changes = (lids.correction(np.tensordot(block, own, 1)) for block in in_blocks(keys.weights))
    code, shapes = factors(changes, len(lids.vertices), lost)
    if not len(shapes):
        return keys
    answer = changed(replace(keys, max_error=error), lids.vertices, code, shapes, tolerance - lost)
    return replace(answer, max_error=max(keys.max_error, answer.max_error + lost))
