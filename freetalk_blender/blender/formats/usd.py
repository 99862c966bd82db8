"""USD by Blender's exporter, with pictures that no other file's can be taken for."""

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy

from ...core import atomic
from ...core.errors import FreeTalkError
from .. import compat
from . import pictures

#: The folder of pictures beside a file, as Blender's exporter calls it.
_FOLDER = "textures"
#: So much of a name of Blender's, which has 63 bytes, is kept before the hash of what is in a picture.
_LONGEST = 16


def write(path: Path, items: Iterable[bpy.types.Object], selected: bool) -> None:
    """The scene's visible objects, or the selected ones, which `items` are, with shape keys and their curves.

    Their pictures go into the folder *textures* beside the file, under names that say what is in them: so files of one
    folder share the same pictures and none another's, also where several are written at a time.
    """
    operator = bpy.ops.wm.usd_export
    if not compat.exists(operator):
        raise FreeTalkError(f"{path.name} needs a Blender with USD, and this one is built without; write glTF or FBX.")
    options = compat.known_options(
        operator,
        export_animation=True,
        export_shapekeys=True,
        export_hair=True,
        export_custom_properties=False,
        visible_objects_only=True,
        selected_objects_only=selected,
        export_cameras=False,
        export_lights=False,
        convert_world_material=False,
    )
    with atomic.folder(path.parent) as folder:
        made = folder / path.name
        with TemporaryDirectory() as renamed, pictures.named_by_content(pictures.shown(items), Path(renamed), _name):
            operator(filepath=str(made), **options)
        for picture in (made.parent / _FOLDER).glob("*"):
            there = path.parent / _FOLDER / picture.name
            there.parent.mkdir(exist_ok=True)
            if not there.is_file():
                os.replace(picture, there)
        os.replace(made, path)


def _name(image: bpy.types.Image, mark: str) -> None:
    """The exporter calls what Blender alone holds as Blender does, but its file by a path it has. What a library holds
    keeps its name."""
    if image.library is None:
        image.name = image.name[:_LONGEST] + mark
    image.filepath_raw = ""
