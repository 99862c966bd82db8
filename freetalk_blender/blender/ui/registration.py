"""Everything that Blender is told about when the add-on is enabled, and taken back when it is disabled.

Blender as a module may end without disabling it: then it is taken back as Python ends, or 4.2 and 4.5 would crash.
"""

import atexit

import bpy
from bpy.props import PointerProperty

from .. import log, session
from . import (
    animate,
    export,
    handlers,
    job,
    landmarks,
    lip_keys,
    panel,
    panel_face,
    panel_result,
    panel_speech,
    preferences,
    presets,
    properties,
    result,
    waveform,
)

CLASSES = (
    *properties.CLASSES,
    *preferences.CLASSES,
    *landmarks.CLASSES,
    *presets.CLASSES,
    *lip_keys.CLASSES,
    *animate.CLASSES,
    *result.CLASSES,
    *export.CLASSES,
    *panel.CLASSES,
    *panel_face.CLASSES,
    *panel_speech.CLASSES,
    *panel_result.CLASSES,
)
#: Of all that is read in the interface, which is in English: Blender's own translations are of other words, such as of
#: a mesh's faces.
CONTEXT = "FreeTalk"
_commands: list = []


def register() -> None:
    for cls in CLASSES:
        _keep_english(cls)
        bpy.utils.register_class(cls)
    bpy.types.Scene.freetalk = PointerProperty(type=properties.FREETALK_PG_settings)
    _commands.append(bpy.utils.register_cli_command("freetalk", _command))
    handlers.add()
    atexit.register(unregister)


def _keep_english(cls: type) -> None:
    """Its name, and those of its properties, are not translated; labels say so themselves."""
    if issubclass(cls, bpy.types.Panel | bpy.types.Operator):
        cls.bl_translation_context = CONTEXT  # type: ignore[attr-defined]
    for base in cls.__mro__:
        for prop in getattr(base, "__annotations__", {}).values():
            if hasattr(prop, "keywords"):
                prop.keywords["translation_context"] = CONTEXT


def unregister() -> None:
    if not hasattr(bpy.types.Scene, "freetalk"):
        return  # as Python ended; Blender then disables its add-ons, this one again
    atexit.unregister(unregister)
    handlers.remove()
    log.silence()
    job.stop()
    session.clear()
    waveform.forget()
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    del bpy.types.Scene.freetalk
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)


def _command(words: list[str]) -> int:
    from ... import cli

    return cli.main(words)
