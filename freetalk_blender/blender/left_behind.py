"""Other objects that do not move with a talking copy: in its mouth, as teeth lie, or around a head that turns."""

from collections.abc import Iterator

import bpy
import numpy as np

from ..core import turns, wording
from ..core.frame import frame_in_mm, transformed
from ..core.mouth import jaw
from . import hanging, meshes, scene, seen
from .marks import meant_keys

#: Types of objects that are seen whatever they hold, and of those that are seen where they have faces: curves are often
#: paths, or handles of a rig.
_SOLID, _DRAWN = {"MESH", "META", "CURVES", "POINTCLOUD"}, {"CURVE", "SURFACE", "FONT"}


def notes(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of other objects that do not move with a talking copy: in its mouth, as teeth lie, or around a head
    that turns."""
    turning = turns.KEYS[0] in meant_keys(copy)
    others = [item for item in seen.others(copy) if item.type == "MESH" or (turning and _stays(item, copy))]
    if not others:  # where modifiers take the landmarks costs an evaluation
        return ()
    landmarks = scene.world_landmarks(copy)
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(landmarks)
    in_mouth, on_head, no_mesh = list[str](), list[str](), list[str]()
    for item in others:
        corners = frame.to_canonical(_corners(item))
        if item.type == "MESH" and jaw.lies_inside(corners, placed):
            in_mouth.append(item.name)
        elif turning and len(corners) and turns.on_head(corners, placed):
            (on_head if item.type == "MESH" else no_mesh).append(item.name)
    told = []
    if in_mouth:
        told.append(
            f"Other objects lie in the mouth, and the jaw does not move them: {wording.named(in_mouth)}; join them to "
            "the face (Ctrl J) and animate it again: then lower teeth and tongue turn with the jaw."
        )
    if on_head:
        told.append(
            f"Other objects do not turn with the head: {wording.named(on_head)}; join them to the face (Ctrl J) and "
            "animate it again, or leave the head at 0."
        )
    if no_mesh:
        told.append(
            f"Other objects, which are no meshes, do not turn with the head: {wording.named(no_mesh)}; make meshes of "
            f"them and animate the face again, or parent them to vertices of {copy.name} (Ctrl P)."
        )
    return tuple(told)


def _stays(item: bpy.types.Object, copy: bpy.types.Object) -> bool:
    """Is it something that is seen, and does it neither hang on a talking copy nor grow on it?"""
    grows = item.type == "CURVES" and item.data.surface == copy
    return not grows and not hanging.hangs_on(item, copy) and _is_solid(item)


def _is_solid(item: bpy.types.Object) -> bool:
    """Is anything of it seen in renders?"""
    return item.type in _SOLID or _instanced(item) is not None or (item.type in _DRAWN and _has_faces(item))


def _instanced(item: bpy.types.Object) -> bpy.types.Collection | None:
    return item.instance_collection if item.instance_type == "COLLECTION" else None


def _has_faces(item: bpy.types.Object) -> bool:
    with meshes.evaluated(item) as mesh:
        return mesh is not None and len(mesh.polygons) > 0


def _corners(item: bpy.types.Object) -> np.ndarray:
    """(8n,3) corners of an object's box in the world, or of the boxes of all that it is an instance of."""
    found = [*_boxes(item, meshes.world(item))]
    return np.concatenate(found) if found else np.empty((0, 3))


def _boxes(item: bpy.types.Object, world: np.ndarray) -> Iterator[np.ndarray]:
    collection = _instanced(item)
    if collection is not None:
        within = world.copy()
        within[:3, 3] -= world[:3, :3] @ np.array(collection.instance_offset)
        for each in collection.all_objects:
            yield from _boxes(each, within @ meshes.world(each))
    elif item.type in _SOLID | _DRAWN:
        yield transformed(world, np.array(item.bound_box, float))
