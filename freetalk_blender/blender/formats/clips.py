"""Clips of a scan file: which of them play while the face talks, and what to tell of the others."""

from pathlib import Path

import bpy

from ...core import wording
from .. import compat, curve_keys


def play_together() -> None:
    """Let clips of a glTF play beside its first, which alone does after import, where they move only objects that
    stand still, the file's earlier clips before its later ones. A clip that moves shape keys stays still: those may be
    the face's, which shall talk."""
    moved: dict[str, list[tuple[bpy.types.ID, bpy.types.NlaStrip]]] = {}
    for owner in _animated():
        for track in reversed(owner.animation_data.nla_tracks):  # the importer leaves the file's last clip first
            moved.setdefault(track.name, []).extend((owner, strip) for strip in track.strips)
    for clip in moved.values():
        if all(isinstance(owner, bpy.types.Object) and owner.animation_data.action is None for owner, _ in clip):
            for owner, strip in clip:
                compat.assign(owner, strip.action, compat.held_slot(strip))


def in_time(render: bpy.types.RenderSettings) -> None:
    """After an FBX was read into an empty scene: Blender's importer takes fps for the frame rate, which is
    fps / fps_base, so that at 29.97 frames a second keys come 0.1 % late."""
    for curve in [each for action in bpy.data.actions for each in compat.all_curves(action) if render.fps_base != 1]:
        keys = curve_keys.read(curve)
        for field in ("co", "handle_left", "handle_right"):
            keys[field][:, 0] /= render.fps_base
        curve_keys.put(curve, keys)


def left_out(path: Path) -> tuple[str, ...]:
    """What to tell of clips of the file that was just read into an empty scene, and that do not play."""
    playing = {owner.animation_data.action for owner in _animated()}
    still = [action.name for action in bpy.data.actions if action not in playing]
    if not still:
        return ()
    return (
        f"{path.name} has more clips than can play at once, and these are in no output but .blend: "
        f"{wording.named(still)}; let the clip that shall play be the file's first.",
    )


def unclamp() -> None:
    """Let sliders of shape keys reach as far as their curves go: Blender clamps weights at a slider's ends, and its
    importers of glTF and USD leave ends that curves go beyond."""
    for keys in [owner for owner in _animated() if isinstance(owner, bpy.types.Key)]:
        blocks = {block.path_from_id("value"): block for block in keys.key_blocks}
        for curves in map(compat.held_curves, compat.holders(keys.animation_data)):
            for curve in [curve for curve in curves if curve.data_path in blocks and len(curve.keyframe_points)]:
                block, values = blocks[curve.data_path], curve_keys.read(curve, "co")["co"][:, 1]
                block.slider_max = max(block.slider_max, float(values.max()))
                block.slider_min = min(block.slider_min, float(values.min()))


def _animated() -> list[bpy.types.ID]:
    """What may have clips, and has some."""
    data = bpy.data
    trees = [material.node_tree for material in data.materials if material.node_tree]
    owners = [*data.objects, *data.shape_keys, *data.materials, *trees, *data.cameras, *data.lights]
    return [owner for owner in owners if owner.animation_data is not None]
