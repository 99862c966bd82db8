"""A face that talks, sliders that are moved, and what Blender shows then."""

import bpy
import numpy as np

from freetalk_blender.blender import meshes
from freetalk_blender.blender.ui import chosen, live


def evaluated(item: bpy.types.Object) -> np.ndarray:
    """(V,3) the object's vertices as Blender shows them."""
    bpy.context.view_layer.update()
    mesh = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    return meshes.of_each(mesh.vertices, "co", 3)


def move(name: str, value: float) -> None:
    setattr(bpy.context.scene.freetalk, name, value)
    live.watch(bpy.context)


def talking() -> bpy.types.Object:
    """The chosen face's copy, at a frame in which it speaks."""
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    bpy.context.scene.frame_set(30)
    return chosen.talking(bpy.context)
