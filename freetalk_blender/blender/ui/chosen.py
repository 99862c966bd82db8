"""What the panel's choices come to: which face, which sound, and why a step cannot be taken yet."""

from dataclasses import replace
from typing import TypeAlias

import bpy

from ...core import wording
from ...core.errors import FreeTalkError
from .. import landmark_points, sound, takes
from ..marks import HEARD, copy_of, is_deleted, original_of
from ..sound import Source
from . import feeling

#: What is told where another mode is in the way.
OBJECT_MODE = "Switch to Object Mode first"
#: What shows a scene in one of its view layers.
View: TypeAlias = bpy.types.Context | bpy.types.Window


def explained(operator: type, reason: str) -> bool:
    """What an operator's `poll` answers: it can run where there is no reason why not, which Blender else shows."""
    if reason:
        operator.poll_message_set(reason)  # type: ignore[attr-defined]
    return not reason


def face(context: View) -> bpy.types.Object | None:
    """The person's own object that is to talk: the one picked, else the active mesh; None where there is neither."""
    picked = landmark_points.editing() or context.scene.freetalk.face
    original = original_of(picked) if picked is not None else None
    if original is not None and not is_deleted(original):
        return original
    active = context.view_layer.objects.active
    return original_of(active) if active is not None and active.type == "MESH" else None


def selected_beside(context: bpy.types.Context) -> bpy.types.Object | None:
    """The active and selected mesh where another one was picked as the face; else None."""
    active = context.view_layer.objects.active
    if active is None or active.type != "MESH" or not active.select_get() or landmark_points.editing() is not None:
        return None
    return active if face(context) not in (active, original_of(active)) else None


def face_or_error(context: bpy.types.Context) -> bpy.types.Object:
    """The same; FreeTalkError where there is none."""
    found = face(context)
    if found is None:
        raise FreeTalkError("Choose the face: a mesh object.")
    return found


def talking(context: View) -> bpy.types.Object | None:
    """The chosen face's talking copy; None where it has none."""
    original = face(context)
    return copy_of(original) if original is not None else None


def strip(scene: bpy.types.Scene) -> bpy.types.ID | None:
    """The sound strip that is said: the one named, or, where none is (nor a file), the first one, of those that are not
    muted if there are any; None for a file."""
    settings = scene.freetalk
    if settings.sound == "FILE" and settings.sound_file:
        return None
    if settings.sound == "STRIP" and settings.strip:
        return sound.find_strip(scene, settings.strip)
    own = _strips(scene)
    return next((found for found in own if not sound.is_muted(found)), own[0] if own else None)


def sliders(scene: bpy.types.Scene) -> bpy.types.PropertyGroup:
    """The emotion's sliders that count for what is said; the strip is looked for only where any has its own."""
    return feeling.group_of(scene, strip(scene)) if scene.freetalk.strips else scene.freetalk


def _strips(scene: bpy.types.Scene) -> list[bpy.types.ID]:
    """The person's own sound strips in a scene, the earliest first."""
    return [found for found in sound.sound_strips(scene) if HEARD not in found]


def source(scene: bpy.types.Scene) -> Source:
    """The sound that is said; AudioError where there is none or its file is gone."""
    found, settings = strip(scene), scene.freetalk
    if found is not None:
        whole = sound.from_strip(scene, found)
    else:
        whole = sound.from_file(settings.sound_file if settings.sound == "FILE" else "", float(scene.frame_start))
    return replace(whole, channel=settings.channel or None)


def line_source(scene: bpy.types.Scene) -> str:
    """What takes call the sound that is said."""
    found = strip(scene)
    return f"file {scene.freetalk.sound_file}" if found is None else f"strip {sound.identity(scene, found)}"


def why_no_face(context: bpy.types.Context) -> str:
    """Why the face cannot be worked on, in a few words; empty where it can."""
    if context.mode != "OBJECT":
        return OBJECT_MODE
    picked = context.scene.freetalk.face
    if picked is not None and picked.type != "MESH":
        return "Choose a mesh as the face"
    original = face(context)
    if original is None:
        return "Choose the face"
    if original.name not in context.scene.objects:
        return f"{original.name} is not in this scene; choose another face"
    if not len(original.data.polygons):
        return f"{original.name} has no faces; choose a mesh with a surface"
    copy = copy_of(original)
    return takes.why_locked(original) or (takes.why_locked(copy) if copy is not None else "")


def why_no_sound(scene: bpy.types.Scene) -> str:
    """Why there is nothing to say; empty where there is."""
    settings = scene.freetalk
    if strip(scene) is not None:
        return ""
    if settings.sound == "FILE":
        return "" if settings.sound_file else "Choose a sound file"
    if sound.sound_strips(scene):
        return "Choose a sound strip of the sequencer"
    others = [other.name for other in bpy.data.scenes if other != scene and _strips(other)]
    if others:
        return f"The sound is in the sequencer of {wording.named(others)}: copy its strip into that of {scene.name}"
    return "The sequencer has no sound"
