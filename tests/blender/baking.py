"""Copies and bakes in one call, of shapes that no face was bound for; teeth that are another object."""

import bpy
import numpy as np
from mathutils import Vector

from freetalk_blender.blender import bake, steps
from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.frame import canonical_frame


def teeth_behind(item: bpy.types.Object, points: np.ndarray, name: str) -> bpy.types.Object:
    """A ball behind the lower lip of a face with these landmarks (68,3) in its own axes, as an object of its own."""
    face = canonical_frame(points)
    behind = face.to_mesh(face.to_canonical(points[57]) + [0, 0.02, -0.15])
    place = item.matrix_world @ Vector(behind)
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2, radius=0.06 * face.scale, location=place)
    bpy.context.object.name = name
    return bpy.context.object


def duplicate(original: bpy.types.Object) -> bpy.types.Object:
    """A copy in the place of the original, which is hidden; Blender has seen it."""
    copy = bake.copied(original)
    bake.put(copy, original)
    bpy.context.view_layer.update()
    return copy


def baked(item: bpy.types.Object, keys: ShapeKeys, start: float) -> None:
    """The keys as a line of the object's current take."""
    bake.finish(item, steps.run(bake.shaping(item, keys, "speech", 0.0)), start, "speech")
