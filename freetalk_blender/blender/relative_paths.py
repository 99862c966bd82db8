"""Files that are named from the .blend's folder (//): saved into another folder, it names the same ones, as Blender has
it for its own."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from . import heard, spoken
from .marks import HEARD, TAKE

_SETTINGS = ("sound_file", "landmarks")
#: What takes back what `moving` changed, until it is known whether this file is the saved one.
_back: list[Callable[[], None]] = []


@persistent
def moving(path: str, *_: object) -> None:
    """Before the file is saved there."""
    _back.clear()
    folder = os.path.dirname(path)
    if not bpy.data.filepath or not path or Path(folder) == Path(bpy.data.filepath).parent:
        return
    named = partial(_from, folder)
    for scene in [scene for scene in bpy.data.scenes if scene.library is None]:
        for name in _SETTINGS:
            value = getattr(scene.freetalk, name)
            if value.startswith("//"):
                _back.append(partial(setattr, scene.freetalk, name, value))
                setattr(scene.freetalk, name, named(value))
        for strip in heard.own(scene):
            _back.append(partial(strip.__setitem__, HEARD, strip[HEARD]))
            strip[HEARD] = spoken.file_named(strip[HEARD], named)
    for take in [action for action in bpy.data.actions if TAKE in action and action.library is None]:
        _back.append(partial(take.__setitem__, TAKE, take[TAKE]))
        spoken.name_files(take, named)


def _from(folder: str, path: str) -> str:
    """A path from the .blend's folder as it is from another folder."""
    if not path.startswith("//"):
        return path
    whole = bpy.path.abspath(path)
    try:
        return bpy.path.relpath(whole, start=folder)
    except ValueError:  # on another drive
        return whole


@persistent
def moved(path: str, *_: object) -> None:
    """After that: where a copy was saved, or none could be, this file is where it was."""
    if not bpy.data.filepath or Path(bpy.data.filepath) != Path(path):
        for put_back in _back:
            put_back()
    _back.clear()
