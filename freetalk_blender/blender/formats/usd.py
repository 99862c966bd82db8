"""USD by Blender's exporter, with pictures that no other file's can be taken for."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bpy
import numpy as np

from ...core.errors import FreeTalkError
from .. import compat
from . import pictures

#: The folder of pictures beside a file, as Blender's exporter calls it.
_FOLDER = "textures"
#: So many letters of a hash tell pictures of one name apart.
_LETTERS = 10
#: So much of a name of Blender's, which has 63 bytes, is kept before it.
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
        export_custom_properties=False,
        visible_objects_only=True,
        selected_objects_only=selected,
        export_cameras=False,
        export_lights=False,
        convert_world_material=False,
    )
    with TemporaryDirectory(prefix=".freetalk-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        with TemporaryDirectory() as renamed, _named_by_content(pictures.shown(items), Path(renamed)):
            operator(filepath=str(made), **options)
        for picture in (made.parent / _FOLDER).glob("*"):
            there = path.parent / _FOLDER / picture.name
            there.parent.mkdir(exist_ok=True)
            if not there.is_file():
                os.replace(picture, there)
        os.replace(made, path)


@contextmanager
def _named_by_content(images: Iterable[bpy.types.Image], folder: Path) -> Iterator[None]:
    """While one exports: images lie in a folder, under names with a hash of what is in them. One whose file is missing
    stays what it is."""
    before: list[tuple[Any, str, str]] = []
    try:
        for image in images:
            files = pictures.paths(image)
            if all(file.is_file() for file in files):
                before += [(image, "name", image.name), (image, "filepath_raw", image.filepath_raw)]
                before += [(packed, "filepath", packed.filepath) for packed in image.packed_files]
                _rename(image, files, folder)
        yield
    finally:
        for owner, name, value in before:
            if getattr(owner, name) != value:
                setattr(owner, name, value)


def _rename(image: bpy.types.Image, files: list[Path], folder: Path) -> None:
    content = hashlib.sha256()
    for part in [file.read_bytes() for file in files] or _held(image):
        content.update(part)
    mark = f"-{content.hexdigest()[:_LETTERS]}"
    if image.is_dirty or not image.filepath:  # the exporter calls it as Blender does, but its file by a path it has
        image.name, image.filepath_raw = image.name[:_LONGEST] + mark, ""
        return
    first, dot, rest = bpy.path.basename(image.filepath.replace("\\", "/")).partition(".")
    image.filepath_raw = str(folder / f"{first}{mark}{dot}{rest}")
    for packed in image.packed_files:
        packed.filepath = image.filepath_raw.replace("<UDIM>", str(packed.tile_number))
    for file, copy in zip(files, pictures.paths(image), strict=True):
        shutil.copyfile(file, copy)


def _held(image: bpy.types.Image) -> list[bytes]:
    """What an image without a file of its own consists of."""
    if len(image.packed_files) and not image.is_dirty:
        return [packed.packed_file.data for packed in image.packed_files]
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return [pixels.tobytes()]
