"""What else is seen around a face, meshes or not, and where: as boxes."""

from collections.abc import Iterator

import bpy
import numpy as np

from ..core.frame import transformed
from . import meshes

#: Types of objects that are seen whatever they hold, and of those that are seen where they have faces: curves are often
#: paths, or handles of a rig.
_SOLID, _DRAWN = {"MESH", "META", "CURVES", "POINTCLOUD"}, {"CURVE", "SURFACE", "FONT"}


def is_solid(item: bpy.types.Object) -> bool:
    """Is anything of it seen in renders?"""
    return item.type in _SOLID or _instanced(item) is not None or (item.type in _DRAWN and _has_faces(item))


def _instanced(item: bpy.types.Object) -> bpy.types.Collection | None:
    return item.instance_collection if item.instance_type == "COLLECTION" else None


def _has_faces(item: bpy.types.Object) -> bool:
    shown = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = shown.to_mesh()
    try:
        return mesh is not None and len(mesh.polygons) > 0
    finally:
        shown.to_mesh_clear()


def corners(item: bpy.types.Object) -> np.ndarray:
    """(8n,3) corners of an object's box in the world, or of the boxes of all that it is an instance of."""
    found = [*_corners(item, meshes.world(item))]
    return np.concatenate(found) if found else np.empty((0, 3))


def _corners(item: bpy.types.Object, world: np.ndarray) -> Iterator[np.ndarray]:
    collection = _instanced(item)
    if collection is not None:
        within = world.copy()
        within[:3, 3] -= world[:3, :3] @ np.array(collection.instance_offset)
        for each in collection.all_objects:
            yield from _corners(each, within @ meshes.world(each))
    elif item.type in _SOLID | _DRAWN:
        yield transformed(world, np.array(item.bound_box, float))
