"""Shape keys and their curves on a copy of the person's object.

The copy stands where the original stood, with everything that it had (modifiers, materials, groups, UVs, its own shape
keys and their animation); the original is hidden, not touched. One undo step takes all of it back, and `remove` does.
"""

import bpy
import numpy as np

from ..core.compress import ShapeKeys, extend
from . import meshes, takes
from .marks import BEFORE, ORIGINAL, PREFIX, PREVIEW, copies_of
from .takes import Line


def duplicate(original: bpy.types.Object) -> bpy.types.Object:
    """A copy with a mesh of its own, in the original's place and collections; the original is hidden."""
    copy = original.copy()
    copy.data = original.data.copy()
    meshes.smooth(copy.data)
    copy.name = f"{original.name} {PREFIX}"
    copy[ORIGINAL] = original
    copy[BEFORE] = [int(_is_hidden(original)), int(original.hide_render)]
    for collection in original.users_collection:
        collection.objects.link(copy)
    copy.hide_render = False
    show_original(original, False)
    return copy


def remove(original: bpy.types.Object) -> None:
    """Delete the object's talking copies with their meshes and takes, and show the original as it was."""
    copies = copies_of(original)
    hidden, hide_render = copies[0].get(BEFORE, (0, 0)) if copies else (0, 0)
    for copy in copies:
        mesh, actions = copy.data, _own_actions(copy)
        bpy.data.objects.remove(copy)
        if mesh.users == 0:
            bpy.data.meshes.remove(mesh)
        for action in actions:
            if action.users <= int(action.use_fake_user):
                bpy.data.actions.remove(action)
    if copies:
        show_original(original, not hidden)
        original.hide_render = bool(hide_render)


def _own_actions(copy: bpy.types.Object) -> list[bpy.types.Action]:
    """The copy's takes, and the action that versions before takes gave it."""
    key = copy.data.shape_keys
    action = key.animation_data.action if key and key.animation_data else None
    older = action is not None and action.name.startswith(f"{copy.name} speech")
    return list({*takes.listed(copy), *([action] if older else [])})


def show_original(item: bpy.types.Object, shown: bool) -> None:
    """Show or hide an object, in the viewport and in renders."""
    item.hide_render = not shown
    bpy.context.view_layer.update()  # a layer that has not seen its new objects yet cannot hide them
    if item.name in bpy.context.view_layer.objects:
        item.hide_set(not shown)


def _is_hidden(item: bpy.types.Object) -> bool:
    return item.name in bpy.context.view_layer.objects and item.hide_get()


def bake(
    item: bpy.types.Object, keys: ShapeKeys, start: float, source: str = "speech", tolerance: float = 0.0
) -> list[str]:
    """Put a line of speech into the object's current take: shapes, and curves with a key a frame from `start` on.

    keys.shapes: (K,V,3) for the object's V vertices, in its own axes and unit; source names the sound: the same source
    again replaces its line. Existing shape keys and their curves stay. Shapes of other lines and takes are used again,
    and what they lack is added within `tolerance`. Answers the names of FreeTalk's keys. Raises MeshError where the
    object cannot take shape keys.
    """
    meshes.check(item)
    if item.data.shape_keys is None:
        item.shape_key_add(name="Basis", from_mix=False)
    take = takes.current(item)
    if take is None or _is_only_line(item, take, source):
        _drop_shapes(item, [block.name for block in own_blocks(item)])
    have = own_blocks(item)
    names, weights = [block.name for block in have], keys.weights
    if have:
        weights, keys = extend(shapes_of(item), keys, tolerance)
        names_added = _add_shapes(item, keys.shapes)
        weights, names = np.concatenate([weights, keys.weights], 1), names + names_added
        _widen(item, names, weights)
    else:
        names = _add_shapes(item, keys.shapes)
    if take is None:
        take = takes.create(item)
    takes.write(item, take, names, weights, Line(source, start, len(weights)))
    item.data.update()
    return names


def rename(item: bpy.types.Object, names: tuple[str, ...]) -> None:
    """Give FreeTalk's shape keys names that mean something elsewhere, and weights from 0 up; curves follow.

    Only for a finished file: the sidebar knows its keys by their own names.
    """
    for block, name in zip(own_blocks(item), names, strict=True):
        block.name, block.slider_min = name, 0.0


def own_blocks(item: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """FreeTalk's shape keys among the object's."""
    if item.data.shape_keys is None:
        return []
    original = item.get(ORIGINAL)
    before = original.data.shape_keys.key_blocks if original and original.data.shape_keys else {}
    blocks = item.data.shape_keys.key_blocks
    own = [block for block in blocks if block.name.startswith(f"{PREFIX} ") and block.name != PREVIEW]
    return [block for block in own if block.name not in before]


def shapes_of(item: bpy.types.Object) -> np.ndarray:
    """(K,V,3) float32 displacement of FreeTalk's shape keys at weight 1."""
    blocks = own_blocks(item)
    points = np.empty((len(blocks), 3 * len(item.data.vertices)), np.float32)
    for row, block in zip(points, blocks, strict=True):
        block.points.foreach_get("co", row)
    return points.reshape(len(blocks), -1, 3) - meshes.vertices(item.data)


def prune(item: bpy.types.Object) -> None:
    """Take out FreeTalk's shape keys that no take moves."""
    moved = takes.moved_names(item)
    _drop_shapes(item, [block.name for block in own_blocks(item) if block.name not in moved])


def _is_only_line(item: bpy.types.Object, take: bpy.types.Action, source: str) -> bool:
    """Would a line of this source leave nothing of what FreeTalk baked before?"""
    others = [line for line in takes.lines(take) if line.source != source]
    return not others and takes.listed(item) == [take]


def _add_shapes(item: bpy.types.Object, shapes: np.ndarray) -> list[str]:
    basis = meshes.vertices(item.data)
    reference = item.data.shape_keys.reference_key
    number = len(own_blocks(item))
    names = []
    for shape in shapes:
        number += 1
        block = item.shape_key_add(name=f"{PREFIX} {number:02d}", from_mix=False)
        block.relative_key = reference
        block.slider_min, block.slider_max = -1.0, 1.0
        block.points.foreach_set("co", (basis + shape).ravel())
        names.append(block.name)
    return names


def _drop_shapes(item: bpy.types.Object, names: list[str]) -> None:
    takes.forget(item, names)
    for name in names:
        item.shape_key_remove(item.data.shape_keys.key_blocks[name])


def _widen(item: bpy.types.Object, names: list[str], weights: np.ndarray) -> None:
    """Another line may need more of a shape than the one it was made for: Blender clamps at a slider's ends."""
    for name, peak in zip(names, np.abs(weights).max(0, initial=0), strict=True):
        block = item.data.shape_keys.key_blocks[name]
        block.slider_max = max(block.slider_max, float(np.ceil(peak * 10) / 10))
        block.slider_min = min(block.slider_min, -block.slider_max)
