"""A sound file that is said, heard when the face plays: as a strip of FreeTalk's own in the scene's sequencer."""

from pathlib import Path

import bpy

from . import compat, seen, sound, spoken, takes
from .marks import HEARD, PREFIX, SEQUENCER, all_copies, original_of
from .sound import Source


def hear(scene: bpy.types.Scene, source: Source, said: str) -> None:
    """Let the file of a line be heard where it is said, unless the person's own strips let it be heard there already.

    said: the line's source, as takes name it.
    """
    if not isinstance(source.content, Path) or not compat.can_make_sound():
        return
    for strip in sound.sound_strips(scene):
        if sound.file_of(strip) != source.content or strip.frame_start != int(source.start):
            continue
        if HEARD not in strip or strip[HEARD] == said:
            return
    for strip in [strip for strip in own(scene) if strip[HEARD] == said]:
        _drop(scene, strip)
    if scene.sequence_editor is None:
        scene[SEQUENCER] = True
    sound.new_strip(scene, f"{PREFIX} {source.name}", source.content, int(source.start))[HEARD] = said


@seen.beyond_local_view()
def tune(scene: bpy.types.Scene) -> None:
    """What takes that play in the scene say is heard, what others say is mute, and what none says any more is gone."""
    copies = [copy for copy in all_copies() if scene in copy.users_scene]
    there = [copy for copy in copies if original_of(copy) != copy or copy.visible_get()]  # no hidden duplicate
    playing = {line.source for take in filter(None, map(takes.current, there)) for line in spoken.lines(take)}
    said = {line.source for copy in copies for take in takes.listed(copy) for line in spoken.lines(take)}
    for strip in own(scene):
        if strip[HEARD] in said:
            strip.mute = strip[HEARD] not in playing
        else:
            _drop(scene, strip)
    if SEQUENCER in scene and not len(compat.strips(scene)):
        scene.sequence_editor_clear()
        del scene[SEQUENCER]


def own(scene: bpy.types.Scene) -> list[bpy.types.ID]:
    """FreeTalk's own sound strips in a scene."""
    return [strip for strip in sound.sound_strips(scene) if HEARD in strip]


def _drop(scene: bpy.types.Scene, strip: bpy.types.ID) -> None:
    data = strip.sound
    compat.strips(scene).remove(strip)
    if data.users == 0:
        bpy.data.sounds.remove(data)
