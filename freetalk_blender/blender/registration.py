"""Everything that Blender is told about when the add-on is enabled, and taken back when it is disabled."""

import bpy
from bpy.props import PointerProperty

from . import animate, compat, export, handlers, job, landmarks, panel, preferences, properties, result, session

CLASSES = (
    *properties.CLASSES,
    *preferences.CLASSES,
    *landmarks.CLASSES,
    *animate.CLASSES,
    *result.CLASSES,
    *export.CLASSES,
    *panel.CLASSES,
)
_commands: list = []


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.freetalk = PointerProperty(type=properties.FREETALK_PG_settings)
    compat.strip_type().freetalk = PointerProperty(type=properties.FREETALK_PG_strip)
    _commands.append(bpy.utils.register_cli_command("freetalk", _command))
    handlers.add()


def unregister() -> None:
    handlers.remove()
    job.stop()
    session.clear()
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    del compat.strip_type().freetalk
    del bpy.types.Scene.freetalk
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)


def _command(words: list[str]) -> int:
    from .. import cli

    return cli.main(words)
