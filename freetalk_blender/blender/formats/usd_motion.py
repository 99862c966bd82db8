"""Motion that Blender's importer leaves in a USD file, brought into the scene where it can be.

What moves an object as a whole becomes curves, for the constraint that reads it looks for the stage that the file was
read through, which is gone then. What moves a surface point by point goes on being read from the file itself.
"""

from math import ceil, floor
from pathlib import Path

import bpy
import numpy as np

from ...core import wording
from ..sound import scene_fps
from . import poses

#: The stage plays at the scene's rate; of a file with fewer time codes a second than this the end is not looked at.
_SLOWEST = 12


def take_over(path: Path) -> None:
    """After the file was imported through a stage of our own, and while that stage is there."""
    moved = [item for item in bpy.context.scene.objects if _constraints(item)]
    if moved:
        first, last = _range(path)
        rate = scene_fps(bpy.context.scene) / _SLOWEST
        _bake(moved, np.arange(floor(min(first, 0) * rate), ceil(max(last, 0) * rate) + 1))
    for cache in bpy.data.cache_files:
        cache.filepath = str(path)


def left_out(path: Path) -> tuple[str, ...]:
    """What to tell of motion that some outputs cannot hold."""
    names = [item.name for item in bpy.context.scene.objects if _is_moved_by_points(item)]
    if not names:
        return ()
    return (
        f"{path.name} moves surfaces point by point, which glTF and FBX cannot hold: there these rest: "
        f"{wording.named(names)}; write .blend, and keep {path.name} where it is.",
    )


def _is_moved_by_points(item: bpy.types.Object) -> bool:
    return any(modifier.type == "MESH_SEQUENCE_CACHE" for modifier in item.modifiers)


def _constraints(item: bpy.types.Object) -> list[bpy.types.Constraint]:
    return [constraint for constraint in item.constraints if constraint.type == "TRANSFORM_CACHE"]


def _range(path: Path) -> tuple[int, int]:
    """The first and the last frame of a USD file; nothing else of it is read."""
    scene = bpy.context.scene
    before = scene.frame_start, scene.frame_end
    bpy.ops.wm.usd_import(filepath=str(path), set_frame_range=True, prim_path_mask="/nothing")
    found = scene.frame_start, scene.frame_end
    scene.frame_start, scene.frame_end = before
    return found


def _bake(moved: list[bpy.types.Object], frames: np.ndarray) -> None:
    """Curves in the place of the constraints."""
    found = poses.sampled(moved, frames)
    for item, pose in zip(moved, found, strict=True):
        for constraint in _constraints(item):
            item.constraints.remove(constraint)
        poses.key(item, pose, frames)
