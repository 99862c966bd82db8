"""Motion that Blender's importer leaves in a USD file, brought into the scene where it can be.

What moves an object as a whole becomes curves, for the constraint that reads it looks for the stage that the file was
read through, which is gone then. What moves a surface point by point goes on being read from the file itself.
"""

from itertools import pairwise
from math import ceil, floor
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ...core import wording
from .. import compat
from ..curve_keys import LINEAR
from ..movers import with_parents
from ..sound import scene_fps

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
    """Curves in the place of the constraints, from a scene that holds these objects alone."""
    stage = bpy.data.scenes.new("stage")
    poses = np.empty((len(moved), len(frames), 4, 4))
    try:
        for item in with_parents(moved):
            stage.collection.objects.link(item)
        for number, frame in enumerate(frames):
            stage.frame_set(int(frame))
            graph = stage.view_layers[0].depsgraph
            for each, item in enumerate(moved):
                poses[each, number] = _own_pose(item.evaluated_get(graph))
    finally:
        bpy.data.scenes.remove(stage)
    for item, pose in zip(moved, poses, strict=True):
        for constraint in _constraints(item):
            item.constraints.remove(constraint)
        _key(item, pose, frames)


def _own_pose(item: bpy.types.Object) -> np.ndarray:
    """(4,4) what the object's own place, turn and scale have to be for it to be where it is."""
    if item.parent is None:
        return np.array(item.matrix_world)
    return np.array((item.parent.matrix_world @ item.matrix_parent_inverse).inverted() @ item.matrix_world)


def _key(item: bpy.types.Object, poses: np.ndarray, frames: np.ndarray) -> None:
    """Curves, linear between frames, through poses (T,4,4); just the pose where it is always the same."""
    item.matrix_basis = Matrix(poses[0].tolist())
    steps = np.flatnonzero(np.abs(np.diff(poses, axis=0)).max((1, 2)) > 1e-9)
    if not len(steps):
        return
    used = slice(steps[0], steps[-1] + 2)
    item.rotation_mode = "QUATERNION"
    placed = [Matrix(pose.tolist()).decompose() for pose in poses[used]]
    for before, after in pairwise(placed):
        after[1].make_compatible(before[1])
    compat.new_action(item, item.name)
    curves = compat.fcurves(item)
    for name, values in zip(("location", "rotation_quaternion", "scale"), zip(*placed, strict=True), strict=True):
        for axis, value in enumerate(np.array(values).T):
            points = curves.new(name, index=axis).keyframe_points
            points.add(len(value))
            points.foreach_set("co", np.stack([frames[used], value], 1).astype(np.float32).ravel())
            points.foreach_set("interpolation", np.full(len(value), LINEAR, np.int32))
    for curve in curves:
        curve.update()
