"""Shape keys and their curves on a copy of the person's object.

The copy stands where the original stood, with everything that it had (modifiers, materials, groups, UVs, its own shape
keys and their animation); the original is hidden, not touched. One undo step takes all of it back, and `remove` does.
"""

import bpy
import numpy as np

from ..core.compress import ShapeKeys
from . import compat, meshes

#: Names of the baked keys and the take, and the custom property of a talking copy that points to its original.
PREFIX = "FreeTalk"
ORIGINAL = "freetalk_original"
_LINEAR = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["LINEAR"].value


def original_of(item: bpy.types.Object) -> bpy.types.Object:
    """The person's own object behind a talking copy; the object itself where it is no copy."""
    return item.get(ORIGINAL) or item


def copies_of(original: bpy.types.Object) -> list[bpy.types.Object]:
    """The talking copies of an object."""
    return [item for item in bpy.data.objects if item.get(ORIGINAL) == original]


def duplicate(original: bpy.types.Object) -> bpy.types.Object:
    """A copy with a mesh of its own, in the original's place and collections; the original is hidden."""
    copy = original.copy()
    copy.data = original.data.copy()
    copy.name = f"{original.name} {PREFIX}"
    copy[ORIGINAL] = original
    for collection in original.users_collection:
        collection.objects.link(copy)
    copy.hide_render = False
    _hide(original, True)
    return copy


def remove(original: bpy.types.Object) -> None:
    """Delete the object's talking copies with their meshes and actions, and show the original again."""
    for copy in copies_of(original):
        mesh, key = copy.data, copy.data.shape_keys
        action = key.animation_data.action if key and key.animation_data else None
        bpy.data.objects.remove(copy)
        if mesh.users == 0:
            bpy.data.meshes.remove(mesh)
        if action and action.users == 0:
            bpy.data.actions.remove(action)
    _hide(original, False)


def bake(item: bpy.types.Object, keys: ShapeKeys, start: float) -> list[str]:
    """Add the shapes to the object's mesh and one curve for each, a key a frame from scene frame `start` on.

    keys.shapes: (K,V,3) for the object's V vertices, in its own axes and unit. Existing shape keys and their curves
    stay. Answers the new keys' names. Raises MeshError where the object cannot take shape keys.
    """
    meshes.check(item)
    if item.data.shape_keys is None:
        item.shape_key_add(name="Basis", from_mix=False)
    names = _add_shapes(item, keys.shapes)
    compat.own_action(item.data.shape_keys, f"{item.name} speech")
    _add_curves(item.data.shape_keys, names, keys.weights, start)
    item.data.update()
    return names


def _add_shapes(item: bpy.types.Object, shapes: np.ndarray) -> list[str]:
    basis = meshes.vertices(item.data)
    reference = item.data.shape_keys.reference_key
    names = []
    for number, shape in enumerate(shapes, 1):
        block = item.shape_key_add(name=f"{PREFIX} {number:02d}", from_mix=False)
        block.relative_key = reference
        block.slider_min, block.slider_max = -1.0, 1.0
        block.points.foreach_set("co", (basis + shape).ravel())
        names.append(block.name)
    return names


def _add_curves(key: bpy.types.Key, names: list[str], weights: np.ndarray, start: float) -> None:
    curves = compat.fcurves(key)
    points = np.empty((len(weights), 2), np.float32)
    points[:, 0] = start + np.arange(len(weights))
    linear = np.full(len(weights), _LINEAR, np.int32)
    for name, values in zip(names, weights.T, strict=True):
        curve = curves.new(f'key_blocks["{bpy.utils.escape_identifier(name)}"].value')
        curve.keyframe_points.add(len(points))
        points[:, 1] = values
        curve.keyframe_points.foreach_set("co", points.ravel())
        curve.keyframe_points.foreach_set("interpolation", linear)
        curve.update()


def _hide(item: bpy.types.Object, hidden: bool) -> None:
    item.hide_render = hidden
    bpy.context.view_layer.update()  # a layer that has not seen its new objects yet cannot hide them
    if item.name in bpy.context.view_layer.objects:
        item.hide_set(hidden)
