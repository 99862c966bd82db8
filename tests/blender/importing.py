"""A solid in files of every format, and files as Blender's own importers read them."""

from pathlib import Path

import bpy
import numpy as np

from freetalk_blender.blender import meshes
from freetalk_blender.blender.formats import files, saving
from freetalk_blender.core.frame import transformed

#: A tetrahedron without symmetry, so that any turn or mirror shows.
POINTS = np.array([[0, 0, 0], [3, 0, 0], [0, 2, 0], [0, 0, 1]], np.float64)
TRIANGLES = [(0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)]


def write_with_blender(path: Path) -> np.ndarray:
    """Write the tetrahedron from a turned, scaled, moved object; its world coordinates (4,3) in Blender."""
    files.empty_scene()
    mesh = bpy.data.meshes.new("solid")
    mesh.from_pydata(POINTS.tolist(), [], TRIANGLES)
    item = bpy.data.objects.new("solid", mesh)
    bpy.context.scene.collection.objects.link(item)
    item.location, item.rotation_euler, item.scale = (5, -2, 1), (0.3, 0.5, -0.7), (1, 2, 0.5)
    bpy.context.view_layer.update()
    saving.save(path)
    return transformed(meshes.world(item), POINTS)


def opened(path: Path, fps: int) -> bpy.types.Object:
    """The mesh of a .glb, .fbx or USD file in an empty scene of so many frames a second."""
    files.empty_scene()
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = fps, 1.0
    if path.suffix == ".glb":
        bpy.ops.import_scene.gltf(filepath=str(path))
    elif path.suffix == ".fbx":
        bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=0)
    else:
        bpy.ops.wm.usd_import(filepath=str(path))
    return next(item for item in bpy.context.scene.objects if item.type == "MESH")
