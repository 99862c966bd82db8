"""Where Blender 4.2, 4.5 and 5.x differ, and nothing else."""

from typing import Any

import bpy


def known_options(operator: Any, **options) -> dict:
    """The options that this Blender's operator has; newer and older ones name theirs differently."""
    properties = operator.get_rna_type().properties
    return {name: value for name, value in options.items() if name in properties}


def new_action(owner: bpy.types.ID, name: str) -> bpy.types.Action:
    """An empty action that drives `owner` (4.4 and later: through a slot of its own)."""
    data = owner.animation_data_create()
    data.action = bpy.data.actions.new(name)
    if hasattr(data.action, "slots"):
        data.action_slot = data.action.slots.new(id_type=owner.id_type, name=owner.name)
    return data.action


def own_action(owner: bpy.types.ID, name: str) -> bpy.types.Action:
    """An action of the owner's own: a copy of what it shares with others, or a new one."""
    data = owner.animation_data_create()
    if data.action is None:
        return new_action(owner, name)
    slot = data.action_slot.identifier if getattr(data, "action_slot", None) else None
    data.action = data.action.copy()
    if slot is not None:
        data.action_slot = data.action.slots[slot]
    elif hasattr(data.action, "slots"):
        data.action_slot = data.action.slots.new(id_type=owner.id_type, name=owner.name)
    return data.action


def fcurves(owner: bpy.types.ID) -> bpy.types.bpy_prop_collection:
    """The curves that drive `owner`, in its action (5.x: in the channel bag of its slot, made where missing)."""
    data = owner.animation_data
    if not hasattr(data.action, "slots"):
        return data.action.fcurves
    layer = data.action.layers[0] if data.action.layers else data.action.layers.new("FreeTalk")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(data.action_slot, ensure=True).fcurves


def strips(scene: bpy.types.Scene) -> bpy.types.bpy_prop_collection | list:
    """The top-level strips of the scene's sequencer; an empty list where it has none."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def ensure_strips(scene: bpy.types.Scene) -> bpy.types.bpy_prop_collection:
    """The same, with the sequencer made where the scene has none."""
    scene.sequence_editor_create()
    return strips(scene)


def use_video(settings: bpy.types.ImageFormatSettings) -> None:
    """Choose a movie as the render's output (5.x asks for the medium first)."""
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"


def use_png(settings: bpy.types.ImageFormatSettings) -> None:
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"


def can_make_sound() -> bool:
    """False in the 4.2 wheel, which is built without the audio library."""
    try:
        import aud  # noqa: F401
    except ImportError:
        return False
    return True
