"""Everything that Blender is told about when the add-on is enabled, and taken back when it is disabled."""

import bpy
from bpy.props import PointerProperty

from . import operators, panel, properties

CLASSES = (*properties.CLASSES, *operators.CLASSES, *panel.CLASSES)
_commands: list = []


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.freetalk = PointerProperty(type=properties.FREETALK_PG_settings)
    _commands.append(bpy.utils.register_cli_command("freetalk", _command))


def unregister() -> None:
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    del bpy.types.Scene.freetalk
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)


def _command(words: list[str]) -> int:
    from .. import cli

    return cli.main(words)
