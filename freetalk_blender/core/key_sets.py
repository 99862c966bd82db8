"""Which shape keys a performance becomes: as few as its accuracy needs, ARKit's, or so many at most."""

from collections.abc import Mapping
from numbers import Integral

import numpy as np

from . import arkit, movement
from .compress import ShapeKeys, limited, with_named
from .face import Face
from .mouth import inner_mouth
from .turns import with_turns
from .voice.performance import Performance

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

    wanted: AUTO, ARKIT, or how many there may be at most, whatever the error; sculpted: shapes that the face has
    itself, displacement (n,3), mesh units, of the caller's first n vertices: ARKit's, which that set then moves, and
    those of a tongue that was made here once.
    """
    sculpted = sculpted or {}
    if wanted == ARKIT:
        own = {name: shape for name, shape in sculpted.items() if name in arkit.NAMES}
        keys = arkit.shape_keys(face, take.displacement, tolerance, take.tongue, own)
    else:
        keys = movement.shape_keys(face, take.displacement, tolerance, tongue=take.tongue)
    if not set(inner_mouth.KEYS) - set(sculpted) and not set(inner_mouth.KEYS) & set(keys.names):
        tongue = np.stack([sculpted[name] for name in inner_mouth.KEYS])
        weights = inner_mouth.risen(take.tongue, movement.landmark_motion(face, take.displacement))
        keys = with_named(keys, slice(tongue.shape[1]), tongue, weights, inner_mouth.KEYS)
    keys = with_turns(keys, face, take.turns)
    return limited(keys, int(wanted)) if isinstance(wanted, Integral) else keys
