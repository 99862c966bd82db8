"""Files as Blender's own importers read them."""

from pathlib import Path

import bpy

from freetalk_blender.blender.formats import files


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
