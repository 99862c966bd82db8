"""Copies and bakes in one call, of shapes that no face was bound for."""

import bpy

from freetalk_blender.blender import bake, steps
from freetalk_blender.core.compress import ShapeKeys


def duplicate(original: bpy.types.Object) -> bpy.types.Object:
    """A copy in the place of the original, which is hidden; Blender has seen it."""
    copy = bake.copied(original)
    bake.put(copy, original)
    bpy.context.view_layer.update()
    return copy


def baked(item: bpy.types.Object, keys: ShapeKeys, start: float) -> None:
    """The keys as a line of the object's current take."""
    bake.finish(item, steps.run(bake.shaping(item, keys, "speech", 0.0)), start, "speech")
