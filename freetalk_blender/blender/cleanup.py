"""Everything that FreeTalk wrote into a .blend: listed, and taken back."""

import math
from collections.abc import Iterator

import bpy

from . import bake, compat, heard, landmark_points, placed, spoken, takes
from .marks import MOTION, OWN, PREFIX, RANGE, STRIP, TAKE, all_copies, copy_of

#: Kinds of data that may hold something of FreeTalk's.
_KINDS = (
    *("objects", "meshes", "hair_curves", "materials", "collections", "actions", "images", "textures", "texts"),
    "scenes",
)


def remove(context: bpy.types.Context, original: bpy.types.Object) -> None:
    """Take back a face's talking copies and landmarks; with the last one, the settings and everything else."""
    layer = context.view_layer.objects
    copy = copy_of(original)
    scenes = (context.scene, *(copy or original).users_scene)
    active = copy is not None and layer.active == copy
    selected = copy is not None and copy.name in layer and copy.select_get()
    _restore_range(context.scene, copy)
    landmark_points.discard(original)
    bake.remove(original)
    placed.forget(original)
    heard.tune(*scenes)
    if original.name in layer:
        if active:
            layer.active = original
        if selected and original.visible_get():
            original.select_set(True)
    if not all_copies():
        forget_settings()
        _drop_unused()


def forget_settings() -> None:
    """The settings of all scenes, as if FreeTalk had never been there."""
    landmark_points.sweep()
    for scene in bpy.data.scenes:
        heard.tune(scene)
        for strip in compat.all_strips(scene):
            strip.pop(STRIP, None)
        _drop_curves(scene)
        scene.property_unset(OWN)
        scene.pop(OWN, None)  # 5.x keeps what a file of 4.x had there beside its own


def _drop_curves(scene: bpy.types.Scene) -> None:
    """The curves and drivers of FreeTalk's sliders; an action that holds nothing else goes with them."""
    data = scene.animation_data
    if data is None:
        return
    for driver in [driver for driver in data.drivers if _is_own_path(driver.data_path)]:
        data.drivers.remove(driver)
    action, curves = data.action, compat.existing_curves(scene)
    own = [curve for curve in curves if _is_own_path(curve.data_path)]
    for curve in own:
        curves.remove(curve)
    if own and not len(curves) and action.users == 1:
        bpy.data.actions.remove(action)


def _is_own_path(path: str) -> bool:
    return path.startswith(f"{OWN}.") or f".{OWN}." in path


def found() -> Iterator[str]:
    """The name of each thing in this file that is FreeTalk's."""
    for kind in _KINDS:
        for block in getattr(bpy.data, kind):
            if block.name.startswith(PREFIX) or block.name.endswith(f" {PREFIX}"):
                yield f"{kind}: {block.name}"
            yield from (f"{kind}: {block.name}[{name}]" for name in (*block.keys(),) if name.startswith(OWN))
            yield from (f"{kind}: {block.name}.{OWN}.{name}" for name in _set_by_somebody(block))
    for scene in bpy.data.scenes:
        for strip in compat.all_strips(scene):
            yield from (f"strips: {strip.name}[{name}]" for name in (*strip.keys(),) if name.startswith(OWN))
        curves = compat.existing_curves(scene)
        yield from (f"curves: {curve.data_path}" for curve in curves if _is_own_path(curve.data_path))
    for key in bpy.data.shape_keys:
        yield from (f"shape keys: {block.name}" for block in key.key_blocks if block.name.startswith(PREFIX))
        tracks = key.animation_data.nla_tracks if key.animation_data else ()
        yield from (f"tracks: {track.name}" for track in tracks if track.name.startswith(PREFIX))


def _set_by_somebody(block: bpy.types.ID) -> Iterator[str]:
    """The settings of a scene that differ from none being there; 5.x makes an empty group as soon as a panel looks."""
    if isinstance(block, bpy.types.Scene) and block.is_property_set(OWN):
        group = getattr(block, OWN)
        for prop in group.bl_rna.properties:
            name = prop.identifier
            empty = name == "rna_type" or (prop.type == "POINTER" and getattr(group, name) is None)
            if group.is_property_set(name) and not empty:
                yield name


def _restore_range(scene: bpy.types.Scene, copy: bpy.types.Object | None) -> None:
    """The scene ends where it did before the take, but not before other faces have spoken, nor where the person has set
    another end since."""
    if copy is None or RANGE not in copy:
        return
    before, after = copy[RANGE]
    if scene.frame_end == after:
        playing = filter(None, (takes.current(other) for other in all_copies() if other != copy))
        said = [math.ceil(line.reach[1]) for take in playing for line in spoken.lines(take)]
        scene.frame_end = max([before, *(end for end in said if end <= after)])


def _drop_unused() -> None:
    for blocks in (bpy.data.materials, bpy.data.collections):
        for block in [block for block in blocks if block.name.startswith(PREFIX) and block.users == 0]:
            blocks.remove(block)
    own = [action for action in bpy.data.actions if TAKE in action or MOTION in action]
    for action in [action for action in own if action.users == 0]:
        bpy.data.actions.remove(action)
