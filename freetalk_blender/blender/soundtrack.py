"""What is heard while a scene is rendered, and nothing else that its sequencer and its keys hold."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from . import compat
from .sound import file_of, is_muted, origin, scene_fps, sound_strips, span

#: How the paths begin of what is animated in a scene's sound.
_OF_SOUND = ("sequence_editor.", "audio_volume")
#: Suffixes of sounds that Blender plays up to 25 ms beside their time while it reads them bit by bit, and how long one
#: may be (s) to be read at once: ten minutes take 200 MB.
_LOOSE, _LONGEST = frozenset((".mp3", ".ogg", ".oga", ".opus", ".webm")), 600


def keep_sound(scene: bpy.types.Scene) -> None:
    """Take all pictures out of a scene's sequencer, which sounds as before; meta strips come apart, for Blender takes
    them for pictures whatever is in them."""
    began = {strip.name: origin(strip) for strip in sound_strips(scene)}
    heard = {strip.name: (is_muted(strip), *span(strip)) for strip in compat.all_strips(scene)}
    while others := [strip for strip in compat.strips(scene) if strip.type != "SOUND"]:
        if others[0].type == "META":
            others[0].separate()
        else:
            compat.strips(scene).remove(others[0])
    for strip in compat.strips(scene):
        muted, first, end = heard[strip.name]
        strip.mute = muted or first == end
        if not strip.mute and (first, end) != (strip.frame_final_start, strip.frame_final_end):
            strip.frame_final_start, strip.frame_final_end = first, end
        late = origin(strip) - began.get(strip.name, origin(strip))
        if late and hasattr(strip, "sound_offset") and not len(strip.retiming_keys):
            # Fractions of frames, which are counted otherwise now.
            strip.sound_offset -= late / scene_fps(scene)
    for channel in scene.sequence_editor.channels if scene.sequence_editor else ():
        channel.mute = False


@contextmanager
def on_time(scene: bpy.types.Scene) -> Iterator[None]:
    """While a scene is rendered, its sounds are read at once where Blender else plays them beside their time."""
    fps, heard = scene_fps(scene), [strip for strip in sound_strips(scene) if not is_muted(strip)]
    loose = [strip for strip in heard if file_of(strip).suffix.lower() in _LOOSE]
    short = dict.fromkeys(strip.sound for strip in loose if strip.frame_duration <= _LONGEST * fps)
    read = [each for each in short if not each.use_memory_cache]
    for each in read:
        each.use_memory_cache = True
    try:
        yield
    finally:
        for each in read:
            each.use_memory_cache = False


@contextmanager
def alone_animated(scene: bpy.types.Scene) -> Iterator[None]:
    """Nothing that is keyed or driven in a copy of a scene moves but its sound: fades to black and the like. Actions
    are shared with the scene, so copies of them play meanwhile."""
    data = scene.animation_data
    if data is None:
        yield
        return
    data.use_tweak_mode = False
    holders = compat.holders(data)
    made = [holder.action.copy() for holder in holders]
    try:
        for holder, action in zip(holders, made, strict=True):
            compat.replace_action(holder, action)
        for curves in (data.drivers, *(compat.held_curves(holder) for holder in holders)):
            for curve in [each for each in curves if not each.data_path.startswith(_OF_SOUND)]:
                curves.remove(curve)
        yield
    finally:
        for action in made:
            bpy.data.actions.remove(action)
