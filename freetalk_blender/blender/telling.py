"""What to tell of a talking copy once it is there: each module knows its own."""

import bpy

from . import hair, hanging, left_behind, lent, modifiers, own_motion, seen, sound
from .formats import pictures


def notes(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of its teeth, head, hair, shape keys, modifiers and pictures, of its original, and of the scene's
    time."""
    moved = left_behind.notes(copy) + hair.spread_anew(copy) + own_motion.notes(copy) + modifiers.notes(copy)
    moved += lent.notes(copy)
    shown = hanging.notes(copy) + pictures.notes(copy) + seen.notes(copy)
    return moved + shown + sound.notes(bpy.context.scene)
