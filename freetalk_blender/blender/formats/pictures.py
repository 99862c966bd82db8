"""Pictures that the materials of objects show: which they are, where their files lie, and which are missing."""

from collections.abc import Iterable
from pathlib import Path

import bpy

from ...core import wording


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
    if image.source == "GENERATED" or image.is_dirty or len(image.packed_files):
        return []
    name = bpy.path.abspath(image.filepath, library=image.library).replace("\\", "/")
    numbers = [str(tile.number) for tile in image.tiles] if image.source == "TILED" else [""]
    return [Path(name.replace("<UDIM>", number)) for number in numbers]


def missing(items: Iterable[bpy.types.Object]) -> list[Path]:
    """Files of the objects' pictures that are not there."""
    return [path for image in shown(items) for path in paths(image) if not path.is_file()]


def notes(item: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of an object's pictures that are not there."""
    gone = [str(path) for path in missing([item])]
    if not gone:
        return ()
    return ("; ".join(wording.without_pictures(f"Pictures of {item.name}", wording.named(gone))) + ".",)
