"""Pictures that the materials of objects show: which they are, where their files lie, which are missing, and names for
them that no other's can be taken for."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from ...core import wording
from ...core.readable import is_readable
from .. import meshes

#: So many letters of a hash tell pictures of one name apart.
_LETTERS = 10
#: So many bytes of a file's name are kept.
_LONGEST = 200


def shown(items: Iterable[bpy.types.Object]) -> list[bpy.types.Image]:
    """Images that the materials of objects show, also within groups of nodes."""
    materials = {slot.material for item in items for slot in item.material_slots if slot.material}
    trees, found = [material.node_tree for material in materials if material.node_tree], {}
    for tree in trees:
        for node in tree.nodes:
            if node.type == "TEX_IMAGE" and node.image:
                found[node.image.name_full] = node.image
            elif node.type == "GROUP" and node.node_tree and node.node_tree not in trees:
                trees.append(node.node_tree)
    return [found[name] for name in sorted(found)]


def paths(image: bpy.types.Image) -> list[Path]:
    """Where an image's file lies, or the files of its tiles; none where Blender makes it, and where it was painted on
    since or is packed."""
    return [] if image.source == "GENERATED" or image.is_dirty or len(image.packed_files) else named(image)


def named(image: bpy.types.Image) -> list[Path]:
    """The file that an image names, or those of its tiles."""
    name = bpy.path.abspath(image.filepath, library=image.library).replace("\\", "/")
    numbers = [str(tile.number) for tile in image.tiles] if image.source == "TILED" else [""]
    return [Path(name.replace("<UDIM>", number)) for number in numbers]


def missing(items: Iterable[bpy.types.Object]) -> list[Path]:
    """Files of the objects' pictures that are not there, or that nobody may read."""
    return [path for image in shown(items) for path in paths(image) if not is_readable(path)]


def notes(item: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of an object's pictures that are not there."""
    gone = [str(path) for path in missing([item])]
    if not gone:
        return ()
    return ("; ".join(wording.without_pictures(f"Pictures of {item.name}", wording.named(gone))) + ".",)


@contextmanager
def named_by_content(
    images: Iterable[bpy.types.Image], folder: Path, name_held: Callable[[bpy.types.Image, str], None]
) -> Iterator[None]:
    """In an export images have a hash of what is in them in their names, and their files so called lie in a folder.
    name_held(image, mark) does it for one that Blender alone holds as it is; one whose file is `missing` is left."""
    before: list[tuple[Any, str, str]] = []
    try:
        for image in images:
            files = paths(image)
            if not all(map(is_readable, files)):
                continue
            before += [(image, "name", image.name), (image, "filepath_raw", image.filepath_raw)]
            mark = f"-{_hash(image, files)}"
            if image.is_dirty or not image.filepath:
                name_held(image, mark)
            else:
                before += [(packed, "filepath", packed.filepath) for packed in image.packed_files]
                _lay(image, files, folder, mark)
        yield
    finally:
        for owner, name, value in before:
            if getattr(owner, name) != value:
                setattr(owner, name, value)


def short(name: str) -> str:
    """So much of a file's name, which has 255 bytes at most, that more may stand behind it."""
    return name.encode()[:_LONGEST].decode(errors="ignore")


def _hash(image: bpy.types.Image, files: list[Path]) -> str:
    content = hashlib.sha256()
    for part in [file.read_bytes() for file in files] or _held(image):
        content.update(part)
    return content.hexdigest()[:_LETTERS]


def _held(image: bpy.types.Image) -> list[bytes]:
    """What an image without a file of its own consists of."""
    if len(image.packed_files) and not image.is_dirty:
        return [packed.packed_file.data for packed in image.packed_files]
    return [meshes.pixels(image).tobytes()]


def _lay(image: bpy.types.Image, files: list[Path], folder: Path, mark: str) -> None:
    """Copies of an image's files lie in a folder, under a name with that mark; packed ones are only called so."""
    first, dot, rest = bpy.path.basename(image.filepath.replace("\\", "/")).partition(".")
    image.filepath_raw = str(folder / f"{short(first)}{mark}{dot}{rest}")
    for packed in image.packed_files:
        packed.filepath = image.filepath_raw.replace("<UDIM>", str(packed.tile_number))
    for file, copy in zip(files, paths(image), strict=True):
        shutil.copyfile(file, copy)
