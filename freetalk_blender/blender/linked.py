"""FreeTalk's marks on other files' objects, linked or overridden here: Blender saves none of them, so this file's scene
holds them while it is saved."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from bpy.app.handlers import persistent

from .marks import KEPT, OWN


@persistent
def keep(*_: object) -> None:
    """Before the file is saved."""
    blocks = [*bpy.data.objects, *bpy.data.hair_curves]
    marked = [(block, _marks(block)) for block in blocks if block.library or block.override_library]
    kept = {str(number): {"block": block, **marks} for number, (block, marks) in enumerate(marked) if marks}
    if kept:
        bpy.context.scene[KEPT] = kept


@persistent
def let_go(*_: object) -> None:
    """After it was saved."""
    for scene in bpy.data.scenes:
        scene.pop(KEPT, None)


@persistent
def give_back(*_: object) -> None:
    """After a file was opened: the objects have their marks again."""
    for scene in bpy.data.scenes:
        for entry in scene.get(KEPT, {}).values():
            block = entry.get("block")
            for name, value in entry.items() if block is not None else ():
                if name != "block" and name not in block:
                    block[name] = _plain(value)
    let_go()


@contextmanager
def kept() -> Iterator[None]:
    """While the file is saved; where the add-on is enabled its handlers do the same."""
    keep()
    try:
        yield
    finally:
        let_go()


def _marks(block: bpy.types.ID) -> dict:
    return {name: _plain(block[name]) for name in [*block.keys()] if name.startswith(OWN)}


def _plain(value: object) -> object:
    return value.to_list() if hasattr(value, "to_list") else value
