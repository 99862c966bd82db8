"""FBX by Blender's exporter, with all pictures in it as they are shown."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy

from .. import compat
from . import pictures

#: How files of a format end where not as Blender calls it.
_ENDINGS = {
    "JPEG": "jpg",
    "JPEG2000": "jp2",
    "TIFF": "tif",
    "OPEN_EXR": "exr",
    "OPEN_EXR_MULTILAYER": "exr",
    "TARGA": "tga",
    "TARGA_RAW": "tga",
    "CINEON": "cin",
    "IRIS": "rgb",
}


def write(path: Path, items: Iterable[bpy.types.Object], selected: bool) -> None:
    """The scene's visible objects, or the selected ones, which `items` are, with shape keys and their curves.

    Their pictures are in it, those in tiles apart. The exporter writes the files that they are loaded from, and of a
    name only one.
    """
    images = [image for image in pictures.shown(items) if image.source != "TILED"]
    with TemporaryDirectory() as folder:
        named = pictures.named_by_content(images, Path(folder), partial(_give_file, Path(folder)))
        with named, _packed_as_painted(images):
            _export(path, selected)


def _export(path: Path, selected: bool) -> None:
    # With NLA strips or all actions on, the exporter drops shape-key curves without a word; simplifying thins them.
    bpy.ops.export_scene.fbx(
        filepath=str(path),
        use_visible=True,
        use_selection=selected,
        object_types={"EMPTY", "ARMATURE", "MESH", "OTHER"},
        use_mesh_modifiers=False,
        mesh_smooth_type="FACE",
        add_leaf_bones=False,
        bake_anim=True,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_simplify_factor=0.0,
        path_mode="COPY",
        embed_textures=True,
    )


def _give_file(folder: Path, image: bpy.types.Image, mark: str) -> None:
    """What Blender alone holds lies in a folder, under a name with that mark; what is packed is only called so."""
    ending = _ENDINGS.get(image.file_format, image.file_format.lower())
    name = Path(image.filepath.replace("\\", "/")).stem or bpy.path.clean_name(image.name)
    file = folder / f"{pictures.short(name)}{mark}.{ending}"
    if image.is_dirty or not len(image.packed_files):
        compat.save_copy(image, file)
    image.filepath_raw = str(file)


@contextmanager
def _packed_as_painted(images: Iterable[bpy.types.Image]) -> Iterator[None]:
    """What was painted on since it was packed is packed as its file has it: the exporter takes what is packed."""
    painted = [image for image in images if image.is_dirty and len(image.packed_files) == 1]
    before = [(image, image.packed_file.data, image.packed_files[0].filepath) for image in painted]
    try:
        for image in painted:
            _pack(image, Path(image.filepath_raw).read_bytes())
        yield
    finally:
        for image, data, name in before:
            _pack(image, data)
            image.packed_files[0].filepath = name


def _pack(image: bpy.types.Image, data: bytes) -> None:
    image.pack(data=data, data_len=len(data))
