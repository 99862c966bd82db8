"""Is what was baked still what is wanted? What a bake is made from, in words that are quickly compared: sliders, which
part of which sound, the set of shape keys and their tolerance, the face's landmarks and options."""

import json
from collections.abc import Iterator

import bpy
import numpy as np

from ...core import key_sets
from ...core.landmarks import by_network
from .. import compat, curve_keys, placed, session, sound, spoken, takes
from ..marks import BAKED, KEY_SET, MADE, TOLERANCE, original_of
from . import chosen, request
from .properties import EMOTION_SLIDERS, PERFORMANCE_SLIDERS

#: Settings of a curve's modifier that do nothing to the curve.
_OF_PANELS = ("rna_type", "name", "active", "show_expanded")


def asked(current: bpy.types.Scene) -> tuple[str, str]:
    """What is written on a copy that is baked from this: `key`, and `said` as JSON."""
    return key(current), json.dumps(said(current))


def is_stale(context: bpy.types.Context) -> bool:
    """Is the chosen line to be baked again? It is where takes of the chosen face have it, but none with these sliders;
    where its sound was moved or plays at another speed than in the take that plays, or the line before it there ends
    in another emotion now; and where the last bake had other shape keys, another tolerance, other landmarks or options
    of the face."""
    copy, current = chosen.talking(context), context.scene
    if copy is None or BAKED not in copy:
        return False
    source, playing = chosen.line_source(current), takes.current(copy)
    told = {take: spoken.lines(take) for take in takes.listed(copy)}
    known = {line.sliders for each in told.values() for line in each if line.is_of(source)}
    playing_lines = told.get(playing, [])
    mine = [line for line in playing_lines if line.is_of(source)]
    is_moved = any(_is_moved(line, said(current)) or spoken.is_rejoined(playing_lines, line) for line in mine)
    is_other = has_other_keys(current, copy) or _has_other_tolerance(current, copy) or has_other_face(current, copy)
    return is_moved or is_other or (bool(known) and key(current) not in known)


def _is_moved(line: spoken.Line, now: tuple) -> bool:
    """Was another part of the same sound baked, elsewhere or at another frame rate? now: as far as `said` tells."""
    then, here = json.loads(line.said), json.loads(json.dumps(now))
    return then[0] == here[0] and then[: len(here)] != here


def moved_lines(context: bpy.types.Context) -> list[str]:
    """Names of the other lines of the take that plays that no longer fit: of strips that were moved or trimmed since,
    of all that was baked at another frame rate, and of what goes on from a line that ends in another emotion now."""
    copy, current = chosen.talking(context), context.scene
    take = takes.current(copy) if copy is not None else None
    if take is None:
        return []
    source, told = chosen.line_source(current), spoken.lines(take)
    others = _followed(current, [line for line in told if not line.is_of(source)])
    return [name for line, name, moved in others if moved or spoken.is_rejoined(told, line)]


def off_time(current: bpy.types.Scene, take: bpy.types.Action) -> list[str]:
    """Names of all lines of a take that are not spoken where, or as fast as, their sound plays now."""
    return [name for _, name, moved in _followed(current, spoken.lines(take)) if moved]


def _followed(current: bpy.types.Scene, said: list[spoken.Line]) -> Iterator[tuple[spoken.Line, str, bool]]:
    """Those of some lines that files and strips of a scene say, what these are called now, and whether a line was baked
    before its strip was moved or trimmed, or the frame rate changed."""
    strips = {f"strip {name}": (strip, name) for strip, name in sound.identities(current).items()}
    for line in said:
        if line.source in strips:
            strip, name = strips[line.source]
            yield line, strip.name, _is_moved(line, _part(current, strip, name))
        elif line.is_file:
            yield line, line.told, json.loads(line.said)[2] != sound.scene_fps(current)


def has_other_keys(current: bpy.types.Scene, copy: bpy.types.Object) -> bool:
    """Were other shape keys baked than are wanted now?"""
    return copy.get(KEY_SET, key_sets.AUTO) != str(request.wanted_keys(current))


def _has_other_tolerance(current: bpy.types.Scene, copy: bpy.types.Object) -> bool:
    return copy.get(TOLERANCE, current.freetalk.tolerance) != current.freetalk.tolerance


def has_other_face(current: bpy.types.Scene, copy: bpy.types.Object) -> bool:
    """Are other landmarks or options of the face wanted than those that a talking copy was made with, as far as it
    knows them? A bake makes another copy then."""
    if MADE not in copy:
        return False
    (file, *options, marks), (named, *now) = json.loads(copy[MADE]), face_asked(current)
    return options != now or (named != file if named else marks != _marks(original_of(copy)))


def face_asked(current: bpy.types.Scene) -> list:
    """The landmark file that is named, by its name alone, for folders move; and the options of the face."""
    settings = current.freetalk
    return [bpy.path.basename(settings.landmarks), settings.open_mouth, settings.inner_mouth, settings.eyeballs]


def keep_face(copy: bpy.types.Object, asked: list) -> None:
    """A talking copy was baked from the landmarks that its original has now; asked: what was `face_asked` then."""
    copy[MADE] = json.dumps([*asked, _marks(original_of(copy))])


def _marks(original: bpy.types.Object) -> str:
    """A hash of a face's landmarks, as what tells it from others counts them."""
    known = placed.landmarks(original)
    points = None if known is None else known.points.astype(np.float32)
    return session.fingerprint(points, known is not None and by_network(known))


def said(current: bpy.types.Scene) -> tuple:
    """Which part of which sound is spoken, the sound first; cheaply: equal as long as it is the same."""
    strip, channel = chosen.strip(current), current.freetalk.channel
    if strip is None:
        file = str(sound.named(current.freetalk.sound_file))
        return (file, current.frame_start, sound.scene_fps(current), channel)
    return (*_part(current, strip, sound.identity(current, strip)), channel)


def _part(current: bpy.types.Scene, strip: bpy.types.ID, name: str) -> tuple:
    """The same of a strip by its identity, in all channels."""
    keys = tuple(key.timeline_frame for key in strip.retiming_keys)
    times = (*sound.span(strip), sound.origin(strip))
    return (name, bpy.path.basename(strip.sound.filepath), *times, keys, sound.scene_fps(current))


def sliders(current: bpy.types.Scene) -> tuple:
    """All that shapes the performance: values, and curves where a slider is animated."""
    settings = current.freetalk
    group = chosen.sliders(current)
    style = tuple(_slider(current, settings, name) for name in PERFORMANCE_SLIDERS)
    emotion = tuple(_slider(current, group, name) for name in EMOTION_SLIDERS)
    return (style, settings.seed, group.emotion_mode, emotion)


def key(current: bpy.types.Scene) -> str:
    """A hash of `sliders`."""
    return session.fingerprint(*map(repr, sliders(current)))


def _slider(current: bpy.types.Scene, group: bpy.types.PropertyGroup, name: str) -> object:
    path = group.path_from_id(name)
    if compat.is_driven(current, path):
        return "driven"  # it is another in each frame, and none of them asks for anything
    curve = compat.playing_curve(current, path)
    if curve is None:
        return getattr(group, name)
    modifiers = (_settings(modifier) for modifier in curve.modifiers if not modifier.mute)
    return curve.extrapolation, *(values.tobytes() for values in curve_keys.read(curve).values()), *modifiers


def _settings(modifier: bpy.types.bpy_struct) -> tuple:
    """All that a curve's modifier, or one of its control points, does."""
    names = [prop.identifier for prop in modifier.bl_rna.properties if prop.identifier not in _OF_PANELS]
    return tuple((name, _plain(getattr(modifier, name))) for name in names)


def _plain(value: object) -> object:
    """A setting as `repr` tells all of it."""
    if isinstance(value, bpy.types.bpy_prop_collection):
        return tuple(map(_settings, value))
    return tuple(value) if isinstance(value, bpy.types.bpy_prop_array) else value
