"""How objects move frame by frame, and curves through it."""

from itertools import pairwise

import bpy
import numpy as np
from mathutils import Matrix, Quaternion, Vector

from .. import compat
from ..curve_keys import LINEAR, read
from ..movers import with_parents


def sampled(items: list[bpy.types.Object], frames: np.ndarray) -> np.ndarray:
    """(N,T,4,4) what the own place, turn and scale of each object have to be in each frame for it to be where it is,
    from a scene that holds these objects, and what they hang on, alone."""
    stage = bpy.data.scenes.new("stage")
    found = np.empty((len(items), len(frames), 4, 4))
    try:
        for item in with_parents(items):
            stage.collection.objects.link(item)
        for number, frame in enumerate(frames):
            stage.frame_set(int(frame))
            graph = stage.view_layers[0].depsgraph
            for each, item in enumerate(items):
                found[each, number] = _own(item.evaluated_get(graph))
    finally:
        bpy.data.scenes.remove(stage)
    return found


def _own(item: bpy.types.Object) -> np.ndarray:
    if item.parent is None:
        return np.array(item.matrix_world)
    return np.array((item.parent.matrix_world @ item.matrix_parent_inverse).inverted() @ item.matrix_world)


def key(item: bpy.types.Object, poses: np.ndarray, frames: np.ndarray) -> None:
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


def turn(item: bpy.types.Object, by: Matrix) -> None:
    """An object without a parent is turned about the scene's origin, and so are the curves that `key` gave it."""
    item.matrix_world = by @ item.matrix_world
    for name, kind in (("location", Vector), ("rotation_quaternion", Quaternion)):
        axes = sorted((c for c in compat.existing_curves(item) if c.data_path == name), key=lambda c: c.array_index)
        keys = [read(curve, "co")["co"] for curve in axes]
        turned = [by.to_quaternion() @ kind(values) for values in zip(*(key[:, 1] for key in keys), strict=True)]
        for curve, key, values in zip(axes, keys, zip(*turned, strict=True), strict=True):
            key[:, 1] = values
            curve.keyframe_points.foreach_set("co", key.ravel())
            curve.update()
