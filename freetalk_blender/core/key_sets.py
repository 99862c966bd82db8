"""Which shape keys a performance becomes: as few as its accuracy needs, ARKit's, or so many at most."""

from collections.abc import Mapping

import numpy as np

from . import arkit, movement
from .compress import ShapeKeys, limited
from .face import Face
from .performance import Performance
from .turns import with_turns

#: What may be wanted besides a number.
AUTO, ARKIT = "auto", "arkit"


def shape_keys(
    face: Face,
    take: Performance,
    wanted: str | int = AUTO,
    tolerance: float = 0.1,
    sculpted: Mapping[str, np.ndarray] | None = None,
) -> ShapeKeys:
    """The performance as shape keys, as `movement.shape_keys` and `arkit.shape_keys` make them, and those of its
    turns.

    wanted: AUTO, ARKIT, or how many there may be at most, whatever the error; sculpted: ARKit's shapes that the face
    has itself.
    """
    if wanted == ARKIT:
        keys = arkit.shape_keys(face, take.displacement, tolerance, take.tongue, sculpted)
    else:
        keys = movement.shape_keys(face, take.displacement, tolerance, tongue=take.tongue)
    keys = with_turns(keys, face, take.turns)
    return limited(keys, wanted) if isinstance(wanted, int) else keys
