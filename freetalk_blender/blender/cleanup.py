"""Everything that FreeTalk wrote into a .blend: listed, and taken back."""

from collections.abc import Iterator

import bpy

from . import bake, compat, landmark_points, placed
from .marks import PREFIX, RANGE, TAKE, all_copies, copies_of

_OWN = "freetalk"


def remove(context: bpy.types.Context, original: bpy.types.Object) -> None:
    """Take back a face's talking copies and landmarks; with the last one, the settings and everything else."""
    layer = context.view_layer.objects
    copies = copies_of(original)
    active, selected = layer.active in copies, any(_is_selected(copy) for copy in copies)
    _restore_range(context.scene, copies)
    landmark_points.discard(original)
    bake.remove(original)
    placed.forget(original)
    if original.name in layer:
        if active:
            layer.active = original
        if selected and original.visible_get():
            original.select_set(True)
    if not all_copies():
        forget_settings()
        _drop_unused()


def forget_settings() -> None:
    """The settings of all scenes and strips, as if FreeTalk had never been there."""
    for scene in bpy.data.scenes:
        for strip in compat.all_strips(scene):
            strip.property_unset(_OWN)
        scene.property_unset(_OWN)


def found() -> Iterator[str]:
    """The name of each thing in this file that is FreeTalk's."""
    for kind in ("objects", "meshes", "materials", "collections", "actions", "images", "textures", "texts", "scenes"):
        for block in getattr(bpy.data, kind):
            if block.name.startswith(PREFIX) or block.name.endswith(f" {PREFIX}"):
                yield f"{kind}: {block.name}"
            yield from (f"{kind}: {block.name}[{name}]" for name in (*block.keys(),) if name.startswith(_OWN))
            if isinstance(block, bpy.types.Scene) and block.is_property_set(_OWN):
                yield f"{kind}: {block.name}.{_OWN}"
    for key in bpy.data.shape_keys:
        yield from (f"shape keys: {block.name}" for block in key.key_blocks if block.name.startswith(PREFIX))
        tracks = key.animation_data.nla_tracks if key.animation_data else ()
        yield from (f"tracks: {track.name}" for track in tracks if track.name.startswith(PREFIX))
    for scene in bpy.data.scenes:
        for strip in compat.all_strips(scene):
            if strip.is_property_set(_OWN):
                yield f"strips: {strip.name}.{_OWN}"


def _is_selected(item: bpy.types.Object) -> bool:
    return item.name in bpy.context.view_layer.objects and item.select_get()


def _restore_range(scene: bpy.types.Scene, copies: list[bpy.types.Object]) -> None:
    """The scene ends where it did before the take, unless the person has set another end since."""
    for copy in copies:
        before, after = copy.get(RANGE, (None, None))
        if after is not None and scene.frame_end == after:
            scene.frame_end = before


def _drop_unused() -> None:
    for blocks in (bpy.data.materials, bpy.data.collections):
        for block in [block for block in blocks if block.name.startswith(PREFIX) and block.users == 0]:
            blocks.remove(block)
    for action in [action for action in bpy.data.actions if TAKE in action and action.users == 0]:
        bpy.data.actions.remove(action)
