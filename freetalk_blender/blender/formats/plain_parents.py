"""What hangs on vertices, for exporters: in glTF and USD it rests, and in FBX it is anywhere."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from .. import hanging, movers
from ..marks import PREFIX
from . import poses


@contextmanager
def keyed(items: Iterable[bpy.types.Object]) -> Iterator[list[bpy.types.Object]]:
    """While one exports these objects: what hangs on vertices, of them and of what they hang on, hangs on an empty, one
    of those that are given, which curves move as the vertices are moved in each frame of the scene."""
    above = movers.with_parents(items)
    held = [item for item in above if item.parent is not None and item.parent_type in ("VERTEX", "VERTEX_3")]
    before, scene = {item: hanging.hung(item) for item in held}, bpy.context.scene
    frames = np.arange(scene.frame_start, scene.frame_end + 1)
    empties: list[bpy.types.Object] = []
    try:
        empties += map(_following, held)
        for item, empty, found in zip(held, empties, poses.sampled(empties, frames) if held else (), strict=True):
            empty.parent_type = "OBJECT"
            poses.key(empty, found, frames)
            hanging.hang(item, empty, "OBJECT", "", before[item][-1])
        yield empties
    finally:
        for item in held:
            hanging.hang(item, *before[item])
        for empty in empties:
            action = empty.animation_data.action if empty.animation_data else None
            bpy.data.objects.remove(empty)
            if action is not None:
                bpy.data.actions.remove(action)


def _following(item: bpy.types.Object) -> bpy.types.Object:
    """An empty where the vertices are on which an object hangs."""
    empty = bpy.data.objects.new(f"{item.name} {PREFIX}", None)
    bpy.context.scene.collection.objects.link(empty)
    empty.parent, empty.parent_type = item.parent, item.parent_type
    empty.parent_vertices = item.parent_vertices
    return empty
