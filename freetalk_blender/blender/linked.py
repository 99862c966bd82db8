"""FreeTalk's marks on other files' objects, linked or overridden here: Blender saves none of them, and makes these
objects anew where their file is read again, so this file's scene holds them meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from bpy.app.handlers import persistent

from . import seen
from .marks import KEPT, OWN

#: Is other files' content being read?
_importing = False


@persistent
def keep(*_: object) -> None:
    """Before the file is saved."""
    let_go()  # undo may have brought some back
    marked = [(block, _marks(block)) for block in _blocks() if block.library or block.override_library]
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


@persistent
def importing(*_: object) -> None:
    """Before something is linked or appended, or a library is read again (Reload)."""
    global _importing
    keep()
    _importing = True


@persistent
def imported(*_: object) -> None:
    """After it, or at the next update, for Blender 4.5 does not tell of the end of a reload."""
    global _importing
    if _importing:
        _importing = False
        give_back()
        seen.hidden_again()


@contextmanager
def kept() -> Iterator[None]:
    """While the file is saved; where the add-on is enabled its handlers do the same."""
    keep()
    try:
        yield
    finally:
        let_go()


def _blocks() -> list[bpy.types.ID]:
    """What may have marks; scenes hold objects whose library is read again just now, and bpy.data does not."""
    shown = [item for scene in bpy.data.scenes for item in scene.collection.all_objects]
    items = [*dict.fromkeys([*bpy.data.objects, *shown])]
    hair = [item.data for item in items if item.type == "CURVES" and item.data is not None]
    return [*items, *dict.fromkeys([*bpy.data.hair_curves, *hair])]


def _marks(block: bpy.types.ID) -> dict:
    return {name: _plain(block[name]) for name in [*block.keys()] if name.startswith(OWN)}


def _plain(value: object) -> object:
    return value.to_list() if hasattr(value, "to_list") else value
