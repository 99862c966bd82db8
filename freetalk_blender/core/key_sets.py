"""Which shape keys a performance becomes: as few as its accuracy needs, ARKit's, or so many at most."""

import numpy as np

from . import arkit, movement
from .compress import ShapeKeys, limited
from .face import Face

#: What may be wanted besides a number.
AUTO, ARKIT = "auto", "arkit"


def shape_keys(face: Face, displacement: np.ndarray, wanted: str | int = AUTO, tolerance: float = 0.1) -> ShapeKeys:
    """The motion (T,68,3) as shape keys, as `movement.shape_keys` and `arkit.shape_keys` make them.

    wanted: AUTO, ARKIT, or how many there may be at most, whatever the error.
    """
    if wanted == ARKIT:
        return arkit.shape_keys(face, displacement, tolerance)
    keys = movement.shape_keys(face, displacement, tolerance)
    return limited(keys, wanted) if isinstance(wanted, int) else keys
