"""Shape keys that a face has itself and lends: ARKit's, as many characters have them, and those of head and eyes of a
face that talked before. A talking copy is moved by these instead of by made ones."""

from dataclasses import dataclass, field

import bpy
import numpy as np

from ..core import arkit, turns, wording
from ..core.errors import FreeTalkError
from ..core.mouth import inner_mouth
from . import meshes
from .marks import blocks_of, copy_of, meant_keys, spoken_before


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

    Raises FreeTalkError where its talking copy was made before it had them, or before nothing else drove them.
    """
    keys = item.data.shape_keys
    if keys is None:
        return Lent()
    driven = _driven(keys)
    free = [block.name for block in keys.key_blocks if _is_free(block, keys.reference_key, driven)]
    names = arkit.meant(free) if by_arkit else {}
    if spoken_before(item):
        names |= {name: name for name in (*inner_mouth.KEYS, *turns.KEYS) if name in free}
    copy = copy_of(item)
    if copy is not None:
        _check_copy(copy, item, names)
    rest, shape = meshes.vertices(item.data), meshes.to_true_shape(item).T
    moved = {
        meaning: meshes.places(keys.key_blocks[name]) - rest
        for meaning, name in names.items()
        if meaning not in turns.KEYS
    }
    return Lent(names, {meaning: (places @ shape).astype(np.float32) for meaning, places in moved.items()})


def _check_copy(copy: bpy.types.Object, item: bpy.types.Object, names: dict[str, str]) -> None:
    """FreeTalkError where a talking copy cannot be moved by these keys, for it was made before they could be lent."""
    there, made = blocks_of(copy), _made(copy)
    anew = f"delete {copy.name} and animate again"
    new = [name for name in names.values() if name not in there or name in made.values()]
    if new:
        raise FreeTalkError(f"{item.name} has shape keys that its talking copy lacks ({new[0]}); {anew}.")
    driven = _driven(copy.data.shape_keys) if names else set()
    freed = [name for meaning, name in names.items() if meaning in made or _path(there[name]) in driven]
    if freed:
        raise FreeTalkError(
            f"{item.name} has shape keys that on its talking copy are driven, muted or limited ({freed[0]}); {anew}."
        )


def _made(copy: bpy.types.Object) -> dict[str, str]:
    """Meaning of a talking copy's made keys, as far as they are there -> their names."""
    return {meaning: name for meaning, name in meant_keys(copy).items() if name in blocks_of(copy)}


def notes(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of its own shape keys that could not be lent, and keep their names from those that speech moves."""
    instead = {meaning: name for meaning, name in _made(copy).items() if name != meaning}
    if not instead:
        return ()
    own, made = wording.named([*instead]), wording.named([*instead.values()])
    return (
        f"Shape keys of its own are driven, muted or limited, so speech does not move them: {own}; it moves {made} "
        "instead. Free or rename yours, and animate the scan anew.",
    )


def _driven(keys: bpy.types.Key) -> set[str]:
    """The paths that drivers move."""
    return {driver.data_path for driver in keys.animation_data.drivers} if keys.animation_data else set()


def _path(block: bpy.types.ShapeKey) -> str:
    return block.path_from_id("value")


def _is_free(block: bpy.types.ShapeKey, rest: bpy.types.ShapeKey, driven: set[str]) -> bool:
    plain = block != rest and block.relative_key == rest and not block.mute and not block.vertex_group
    return plain and _path(block) not in driven
