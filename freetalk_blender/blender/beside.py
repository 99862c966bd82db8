"""Files that are named from the .blend's folder (//): saved into another folder, it names the same ones, as Blender has
it for its own."""

import os
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

_SETTINGS = ("sound_file", "landmarks")
#: (scene, setting, value) of what `moving` changed, until it is known whether this file is the saved one.
_before: list[tuple[str, str, str]] = []


@persistent
def moving(path: str, *_: object) -> None:
    """Before the file is saved there."""
    _before.clear()
    folder = os.path.dirname(path)
    if not bpy.data.filepath or not path or Path(folder) == Path(bpy.data.filepath).parent:
        return
    for scene in bpy.data.scenes:
        for name in _SETTINGS if scene.library is None else ():
            value = getattr(scene.freetalk, name)
            if value.startswith("//"):
                _before.append((scene.name, name, value))
                setattr(scene.freetalk, name, _from(folder, bpy.path.abspath(value)))


def _from(folder: str, path: str) -> str:
    try:
        return bpy.path.relpath(path, start=folder)
    except ValueError:  # on another drive
        return path


@persistent
def moved(path: str, *_: object) -> None:
    """After that: where a copy was saved, or none could be, this file is where it was."""
    if not bpy.data.filepath or Path(bpy.data.filepath) != Path(path):
        for scene, name, value in _before:
            setattr(bpy.data.scenes[scene].freetalk, name, value)
    _before.clear()
