"""A sound file that is said, heard when the face plays: as a strip that FreeTalk puts into the scene's sequencer."""

from pathlib import Path

import bpy

from . import bake, compat, seen, sound, spoken, takes
from .marks import HEARD, PREFIX, SEQUENCER, VOICE, all_copies, original_of
from .sound import Source


def hear(scene: bpy.types.Scene, source: Source, said: str) -> None:
    """Let the file of a line be heard where it is said, unless the person's own strips let it be heard there already.

    said: the line's source, as takes name it.
    """
    if not isinstance(source.content, Path) or not compat.can_make_sound():
        return
    there = [strip for strip in sound.sound_strips(scene) if sound.file_of(strip) == source.content]
    there = [strip for strip in there if sound.origin(strip) == int(source.start)]
    persons = [strip for strip in there if _heard_in(strip) is None]
    if any(_heard_in(strip) == said for strip in there) or _are_whole(persons, int(source.start)):
        return
    for strip in [strip for strip in own(scene) if strip[HEARD] == said]:
        _drop(strip)
    _make_room(scene)
    sound.new_strip(scene, f"{PREFIX} {source.name}", source.content, int(source.start))[HEARD] = said


def _are_whole(strips: list[bpy.types.ID], start: int) -> bool:
    """Do strips of one file that begins in that frame let all of it be heard, one piece after the other?"""
    reached = start
    for strip in sorted(strips, key=sound.span):
        first, end = sound.span(strip)
        if first <= reached and not len(strip.retiming_keys):
            if strip.frame_offset_end < 1 and end == strip.frame_final_end:
                return True
            reached = max(reached, end)
    return False


def let_speak(scene: bpy.types.Scene, path: Path, start: int, said: str) -> None:
    """Let the sound of a line that a command has just written be heard from a frame on, packed, in place of what the
    line's face said before; said: what takes call the line."""
    for strip in [strip for strip in _placed(scene) if _heard_in(strip) == said]:
        _drop(strip)
    _make_room(scene)
    strip = sound.add_strip(scene, path, start)
    if strip is not None:
        strip[VOICE] = said
    tune(scene)


def leave(scene: bpy.types.Scene, strip: bpy.types.ID, copy: bpy.types.Object) -> None:
    """A strip that was put there for a line is said by itself, by a talking copy: it is the person's own from now on,
    and so are other pieces that it was cut into. Where no other strip lets that line be heard, it is not spoken any
    more."""
    said = _heard_in(strip)
    if said is None:
        return
    others = [other for other in _placed(scene) if other != strip and _heard_in(other) == said]
    for each in (strip, *filter(_is_changed, others)):
        each.mute = False
        for name in (HEARD, VOICE):
            each.pop(name, None)
    take = takes.current(copy)
    unheard = [line for line in spoken.lines(take) if line.source == said and not _let_hear(others, line)]
    if unheard:
        takes.silence(copy, take, unheard)
        bake.prune(copy)


def tune(*scenes: bpy.types.Scene) -> None:
    """What takes that play in a scene say is heard there, what others say is mute, and what none says any more is gone.
    Takes play in all scenes that their face is in."""
    for scene in dict.fromkeys(scenes):
        copies = [copy for copy in all_copies() if scene in copy.users_scene]
        # A duplicate that is hidden says nothing.
        there = [copy for copy in copies if original_of(copy) != copy or seen.is_seen_in(copy, scene)]
        playing = {line.source for take in filter(None, map(takes.current, there)) for line in spoken.lines(take)}
        said = {line.source for copy in copies for take in takes.listed(copy) for line in spoken.lines(take)}
        for strip in _placed(scene):
            if _heard_in(strip) in said:
                strip.mute = _heard_in(strip) not in playing
            else:
                _drop(strip)
        if SEQUENCER in scene and not _placed(scene):
            if not len(compat.strips(scene)):
                scene.sequence_editor_clear()
            del scene[SEQUENCER]


def lost(take: bpy.types.Action) -> list[spoken.Line]:
    """The lines of a take that sound strips said of which no scene of this file has any more."""
    said = [line for line in spoken.lines(take) if line.is_strip]
    there = {f"strip {name}" for scene in bpy.data.scenes if said for name in sound.identities(scene).values()}
    return [line for line in said if line.source not in there]


def moved(scene: bpy.types.Scene, take: bpy.types.Action) -> list[str]:
    """Names of the strips that were put there for lines of a take, and that the person moved, trimmed or gave another
    speed since."""
    lines: dict[str | None, spoken.Line] = {line.source: line for line in spoken.lines(take)}
    placed = [strip for strip in _placed(scene) if _heard_in(strip) in lines]
    return [strip.name for strip in placed if not _let_hear([strip], lines[_heard_in(strip)])]


def _let_hear(strips: list[bpy.types.ID], line: spoken.Line) -> bool:
    """Does any of these strips let all of a line be heard where it is said?"""
    return any(sound.origin(strip) == int(line.start) and not _is_changed(strip) for strip in strips)


def _is_changed(strip: bpy.types.ID) -> bool:
    """Is not all of its sound heard, or not as fast as it was spoken?"""
    return strip.frame_offset_start > 0 or strip.frame_offset_end > 0 or len(strip.retiming_keys) > 0


def own(scene: bpy.types.Scene) -> list[bpy.types.ID]:
    """FreeTalk's own sound strips in a scene."""
    return [strip for strip in sound.sound_strips(scene) if HEARD in strip]


def _placed(scene: bpy.types.Scene) -> list[bpy.types.ID]:
    """Those, and the ones that commands put there."""
    return [strip for strip in sound.sound_strips(scene) if _heard_in(strip) is not None]


def _heard_in(strip: bpy.types.ID) -> str | None:
    """What takes call the line that a strip was put there for; None for a person's own."""
    return strip.get(HEARD, strip.get(VOICE))


def _make_room(scene: bpy.types.Scene) -> None:
    """The scene is to have a sequencer, which goes with the last strip where it had none."""
    if scene.sequence_editor is None:
        scene[SEQUENCER] = True


def _drop(strip: bpy.types.ID) -> None:
    data = strip.sound
    compat.strips_around(strip).remove(strip)
    if data.users == 0:
        bpy.data.sounds.remove(data)
