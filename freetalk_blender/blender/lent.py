"""Shape keys that a face has itself and lends: ARKit's, as many characters have them, and those of head and eyes of a
face that talked before. A talking copy is moved by these instead of by made ones."""

from dataclasses import dataclass, field

import bpy
import numpy as np

from ..core import arkit, turns
from ..core.errors import FreeTalkError
from ..core.mouth import inner_mouth
from . import meshes
from .marks import copy_of, named_keys, spoken_before


@dataclass(frozen=True)
class Lent:
    """names: name of a key -> name of the object's shape key; shapes: of ARKit's and the tongue's, displacement (V,3)
    in the axes of its true shape."""

    names: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def of_arkit(self) -> int:
        """How many are ARKit's."""
        return sum(name in arkit.NAMES for name in self.names)


def read(item: bpy.types.Object, by_arkit: bool) -> Lent:
    """What an object can lend: shape keys that act on all of it, and that nothing else drives; ARKit's where wanted.

    Raises FreeTalkError where its talking copy was made before it had them.
    """
    keys = item.data.shape_keys
    if keys is None:
        return Lent()
    driven = {driver.data_path for driver in keys.animation_data.drivers} if keys.animation_data else set()
    free = [block.name for block in keys.key_blocks if _is_free(block, keys.reference_key, driven)]
    names = arkit.meant(free) if by_arkit else {}
    if spoken_before(item):
        names |= {name: name for name in (*inner_mouth.KEYS, *turns.KEYS) if name in free}
    copy = copy_of(item)
    if copy is not None:
        there = set(copy.data.shape_keys.key_blocks.keys() if copy.data.shape_keys else ()) - {*named_keys(copy)}
        new = [name for name in names.values() if name not in there]
        if new:
            raise FreeTalkError(
                f"{item.name} has shape keys that its talking copy lacks ({new[0]}); press Remove first."
            )
    rest, shape = meshes.vertices(item.data), meshes.to_true_shape(item).T
    moved = {
        meaning: meshes.places(keys.key_blocks[name]) - rest
        for meaning, name in names.items()
        if meaning not in turns.KEYS
    }
    return Lent(names, {meaning: (places @ shape).astype(np.float32) for meaning, places in moved.items()})


def _is_free(block: bpy.types.ShapeKey, rest: bpy.types.ShapeKey, driven: set[str]) -> bool:
    plain = block != rest and block.relative_key == rest and not block.mute and not block.vertex_group
    return plain and block.path_from_id("value") not in driven
