"""Copies and bakes in one call, of shapes that no face was bound for, and of a face; objects that are other files'."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from freetalk_blender.blender import bake, compat, marks, meshes, steps
from freetalk_blender.blender.spoken import Line
from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.frame import canonical_frame


def teeth_behind(item: bpy.types.Object, points: np.ndarray, name: str) -> bpy.types.Object:
    """A ball behind the lower lip of a face with these landmarks (68,3) in its own axes, as an object of its own."""
    return ball_at(item, points, points[57], np.array([0, 0.02, -0.15]), 0.06, name)


def ball_at(
    item: bpy.types.Object, points: np.ndarray, place: np.ndarray, off: np.ndarray, radius: float, name: str
) -> bpy.types.Object:
    """A ball of a radius (eye distances), so far off a place (eye distances, the face's axes), as an object of its own;
    points (68,3): the face's landmarks in its own axes."""
    face = canonical_frame(points)
    middle = item.matrix_world @ Vector(face.to_mesh(face.to_canonical(place) + off))
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2, radius=radius * face.scale, location=middle)
    bpy.context.object.name = name
    return bpy.context.object


def from_library(items: list[bpy.types.Object], file: Path) -> bpy.types.Collection:
    """A collection "hero" of these objects as it comes linked from another file, where they are now."""
    kept = bpy.data.collections.new("hero")
    for item in items:
        kept.objects.link(item)
    bpy.data.libraries.write(str(file), {kept})
    for item in items:
        bpy.data.objects.remove(item)
    bpy.data.collections.remove(kept)
    with bpy.data.libraries.load(str(file), link=True) as (there, here):
        here.collections = there.collections
    return bpy.data.collections["hero"]


def override(character: bpy.types.Collection) -> None:
    """What *Make Library Override* does; Blender 5.3 overrides only what is in a scene."""
    scene = bpy.context.scene
    scene.collection.children.link(character)
    character.override_hierarchy_create(scene, bpy.context.view_layer, do_fully_editable=True)
    scene.collection.children.unlink(character)


def animate(face: bpy.types.Object) -> bpy.types.Object:
    """The face's talking copy after Animate."""
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    copy = marks.copy_of(face)
    assert copy is not None
    return copy


def duplicate(original: bpy.types.Object) -> bpy.types.Object:
    """A copy in the place of the original, which is hidden; Blender has seen it."""
    copy = bake.copied(original)
    bake.put(copy, original)
    bpy.context.view_layer.update()
    return copy


def talking(face: bpy.types.Object) -> bpy.types.Object:
    """`duplicate` of a face, which knows its landmarks."""
    copy = duplicate(face)
    copy[marks.LANDMARKS] = face[marks.LANDMARKS]
    return copy


def baked(item: bpy.types.Object, keys: ShapeKeys, start: float, source: str = "speech", ease: float = 0.0) -> None:
    """The keys as a line of the object's current take; ease: frames from rest before it and to rest after it."""
    line = Line(source, start, len(keys.weights), ease, ease)
    bake.finish(item, steps.run(bake.shaping(item, keys, line, 0.0)))


def weights(copy: bpy.types.Object, frame: float) -> np.ndarray:
    """(K,) of its shape keys in a frame of the take that plays."""
    return np.array([curve.evaluate(frame) for curve in compat.fcurves(copy.data.shape_keys)])


def shapes_of(item: bpy.types.Object) -> np.ndarray:
    """(K,V,3) displacement of FreeTalk's shape keys at weight 1."""
    return np.stack([meshes.places(block) for block in bake.own_blocks(item)]) - meshes.vertices(item.data)


def motion(copy: bpy.types.Object, first: int = 1, frames: int = 51) -> np.ndarray:
    """(T,V,3) what the take that plays makes of FreeTalk's shape keys from a frame on, by its curves."""
    curves = compat.fcurves(copy.data.shape_keys)
    found = [curves.find(f'key_blocks["{block.name}"].value') for block in bake.own_blocks(copy)]
    keyed = np.array([[curve.evaluate(first + frame) for curve in found] for frame in range(frames)])
    return np.tensordot(keyed, shapes_of(copy), 1)


def rigged(face: bpy.types.Object, bone: str, collection: bpy.types.Collection) -> bpy.types.Object:
    """An armature of one bone, which moves the whole face, in a collection of the scene."""
    armature = bpy.data.objects.new("rig", bpy.data.armatures.new("rig"))
    collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    armature.data.edit_bones.new(bone).tail = (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    face.vertex_groups.new(name=bone).add(list(range(len(face.data.vertices))), 1.0, "REPLACE")
    face.modifiers.new("rig", "ARMATURE").object = armature
    return armature
