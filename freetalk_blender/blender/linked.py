"""FreeTalk's marks on other files' objects, linked or overridden here: Blender saves none of them, and makes these
objects anew where their file is read again, so this file's scene, or a talking copy, holds them meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from bpy.app.handlers import persistent

from . import seen
from .marks import BEFORE, GROWS_ON, KEPT, ORIGINAL, OWN, PART_OF, POINTS, all_copies, copy_of, is_deleted

#: Is other files' content being read?
_importing = False


@persistent
def keep(*_: object) -> None:
    """Before the file is saved."""
    let_go()  # undo may have brought some back
    kept = _entries(_blocks())
    if kept:
        bpy.context.scene[KEPT] = kept


def remember(original: bpy.types.Object) -> None:
    """What a talking copy knows of its original, and of what goes with it, or the scene before there is one: Blender
    makes these anew without telling, where an override is resynced."""
    let_go()
    copy = copy_of(original)
    if copy is None or copy.library is not None:
        return
    of_it = [block for block in _blocks() if original in (block, block.get(PART_OF), block.get(GROWS_ON))]
    copy[KEPT] = _entries(of_it)
    if not copy[KEPT]:
        del copy[KEPT]


@persistent
def let_go(*_: object) -> None:
    """After it was saved: the scene holds on to faces alone of which no talking copy does."""
    for scene in bpy.data.scenes:
        scene.pop(KEPT, None)
    waiting = _entries([item for item in _blocks() if POINTS in item and copy_of(item) is None])
    if waiting:
        bpy.context.scene[KEPT] = waiting


@persistent
def give_back(*_: object) -> None:
    """After a file was opened: the objects have their marks again."""
    for scene in bpy.data.scenes:
        _mark(scene)
    let_go()


@persistent
def found_anew(_scene: bpy.types.Scene, graph: bpy.types.Depsgraph) -> None:
    """After an update: what Blender made anew has its marks again, and what a talking copy shows is hidden again."""
    if not bpy.data.libraries or not graph.id_type_updated("OBJECT"):
        return
    for scene in bpy.data.scenes:
        _mark(scene)
    for copy in all_copies():
        if KEPT in copy and copy[ORIGINAL] is not None and BEFORE not in copy[ORIGINAL] and not is_deleted(copy):
            for item in _mark(copy):
                if BEFORE in item:
                    seen.show(item, False)


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


def _entries(blocks: list[bpy.types.ID]) -> dict[str, dict]:
    """The marks of those that are other files', as a custom property holds them."""
    marked = [(block, _marks(block)) for block in blocks if block.library or block.override_library]
    return {str(number): {"block": block, **marks} for number, (block, marks) in enumerate(marked) if marks}


def _mark(owner: bpy.types.ID) -> list[bpy.types.ID]:
    """Give the marks back that a scene or a talking copy keeps, where their objects lack them; these objects."""
    entries = [entry for entry in owner.get(KEPT, {}).values() if entry.get("block") is not None]
    for entry in entries:
        block = entry["block"]
        for name, value in entry.items():
            if name != "block" and name not in block:
                block[name] = _plain(value)
    return [entry["block"] for entry in entries]


def _marks(block: bpy.types.ID) -> dict:
    return {name: _plain(block[name]) for name in [*block.keys()] if name.startswith(OWN) and name != KEPT}


def _plain(value: object) -> object:
    return value.to_list() if hasattr(value, "to_list") else value
