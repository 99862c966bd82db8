"""Takes: actions of a talking copy's shape keys, each kept on a muted NLA track, one of them playing.

A take is a copy of the animation that the person's own shape keys have, plus FreeTalk's curves; it may hold several
lines (the speech of one sound each), one after the other.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager

import bpy
import numpy as np

from . import compat, curve_keys, spoken
from .marks import ORIGINAL, PREFIX, PREVIEW, TAKE, blocks_of, driven_blocks, own_blocks, spoken_before
from .spoken import Line


def listed(item: bpy.types.Object) -> list[bpy.types.Action]:
    """The takes of a talking copy, in the order of their tracks."""
    return [strip.action for strip in _strips(item)]


def _animation(item: bpy.types.Object) -> bpy.types.AnimData | None:
    """What animates an object's shape keys; None where it has none, or nothing does."""
    key = item.data.shape_keys if item.type == "MESH" else None
    return None if key is None else key.animation_data


def _strips(item: bpy.types.Object) -> list[bpy.types.NlaStrip]:
    own = [strip for strip in compat.nla_strips(_animation(item)) if strip.action is not None and TAKE in strip.action]
    return [*{strip.action: strip for strip in own}.values()]  # a take that was pushed down has two


def current(item: bpy.types.Object) -> bpy.types.Action | None:
    """The take that plays; None where none does."""
    data = _animation(item)
    action = data.action if data else None
    return action if action is not None and TAKE in action else None


def why_locked(item: bpy.types.Object) -> str:
    """Why an object's takes cannot be changed, in a few words; empty where they can."""
    data = _animation(item)
    return f"Leave the NLA's tweak mode of {item.name} first (Tab there)" if data and data.use_tweak_mode else ""


def create(item: bpy.types.Object) -> bpy.types.Action:
    """A new, empty take, which plays from now on. The person's own animation goes on in it; what the face said before
    it was exported and came back does not."""
    original = item.get(ORIGINAL) or item
    taken = {action.name for action in bpy.data.actions}
    number = next(n for n in range(1, len(taken) + 2) if f"{original.name} take {n}" not in taken)
    source, known = original.data.shape_keys or item.data.shape_keys, own_names(item)
    name = f"{original.name} take {number}"
    if _plays_as_it_is(source):
        action = compat.copy_action(item.data.shape_keys, source, name)
    else:  # `detach` has made a strip of it, or nobody sees it
        action = compat.new_action(item.data.shape_keys, name)
    spoken.keep(action, [])
    before = spoken_before(original) if original != item else []
    for name in before:
        item.data.shape_keys.key_blocks[name].value = 0.0
    _drop(compat.fcurves(item.data.shape_keys), before)
    for name in known:
        _fill(item, name, _at_rest([1.0]), None)
    _stash(item, action)
    return action


def own_names(item: bpy.types.Object) -> list[str]:
    """Names of the keys that are FreeTalk's to move and that some take's curve drives."""
    paths = {curve.data_path for curves in _curves_of_takes(item).values() for curve in curves}
    return [block.name for block in driven(item) if _path(block.name) in paths]


def driven(item: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """The shape keys that an object's takes may move, whatever the person calls them."""
    return [*driven_blocks(item), *renamed(item)]


def made(item: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """FreeTalk's shape keys among the object's, whatever the person calls them."""
    return [*own_blocks(item), *renamed(item)]


def renamed(item: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """FreeTalk's shape keys that the person gave other names: those that the original lacks and that some take keys on
    every frame of a line, as only `write` does."""
    original, keys = item.get(ORIGINAL), item.data.shape_keys
    if original is None or keys is None:
        return []
    known = {block.name for block in driven_blocks(item)} | {PREVIEW}
    known |= {*blocks_of(original).keys()}
    others = {_path(block.name): block for block in keys.key_blocks[1:] if block.name not in known}
    found = {}
    for take, curves in _curves_of_takes(item).items() if others else ():
        for curve in curves:
            if curve.data_path in others and any(_says(curve, line) for line in spoken.lines(take)):
                found[curve.data_path] = others[curve.data_path]
    return [*found.values()]


def _says(curve: bpy.types.FCurve, line: Line) -> bool:
    """Has the curve a key on every frame of a line, linear or as those at rest are?"""
    keys = curve_keys.read(curve, "co", "interpolation")
    ours = np.isin(keys["interpolation"], (curve_keys.LINEAR, curve_keys.EASED))
    return bool(np.isin(_frames(line), keys["co"][ours, 0]).all())


def _frames(line: Line) -> np.ndarray:
    """(T,) the scene frames of a line, as a curve holds them."""
    return (line.start + np.arange(line.frames)).astype(np.float32)


def moved_names(item: bpy.types.Object, line: Line | None = None) -> set[str]:
    """Names of the keys that some take moves away from zero; line: beside what it replaces in the take that plays."""
    names = {_path(block.name): block.name for block in item.data.shape_keys.key_blocks}
    moved = set()
    for take, curves in _curves_of_takes(item).items():
        gone = spoken.replaced(take, line) if line and take == current(item) else []
        for curve in curves:
            at, values = curve_keys.read(curve, "co")["co"].T
            if curve.data_path in names and np.abs(values[_outside(at, gone)]).max(initial=0) > 1e-6:
                moved.add(names[curve.data_path])
    return moved


def detach(copy: bpy.types.Object) -> None:
    """A fresh copy of an object has none of its takes, and nothing in its NLA silences or weakens those to come: what
    plays there goes on."""
    if current(copy) is not None:
        compat.assign(copy.data.shape_keys, None, None)
    _unstash(copy, listed(copy))
    data, key = _animation(copy), copy.data.shape_keys
    if data is None:
        return
    if any(track.is_solo for track in data.nla_tracks):
        for track in data.nla_tracks:
            track.mute = not track.is_solo
        for track in data.nla_tracks:
            track.is_solo = False
    elif data.action is not None and not _plays_as_it_is(key):
        _push_down(key)
    data.action_influence, data.action_blend_type, data.action_extrapolation = 1.0, "REPLACE", "HOLD"


def _plays_as_it_is(owner: bpy.types.ID) -> bool:
    """Does nothing in the owner's NLA silence, weaken or blend its action? Where no track plays, none of it counts."""
    data = owner.animation_data
    if data is None or not data.use_nla:
        return True
    if any(track.is_solo for track in data.nla_tracks):
        return False
    alone = not any(track.strips and not track.mute for track in data.nla_tracks)
    return alone or (data.action_influence == 1 and data.action_blend_type == "REPLACE")


def _push_down(owner: bpy.types.ID) -> None:
    """The owner's action as a strip on a track of its own, which plays as the action did."""
    data = owner.animation_data
    compat.stash(owner, data.action.name, data.action, compat.slot(owner))
    track = data.nla_tracks[-1]
    strip, track.mute = track.strips[0], False
    strip.blend_type, strip.extrapolation = data.action_blend_type, data.action_extrapolation
    strip.use_animated_influence = True
    strip.fcurves.find("influence").keyframe_points[0].co.y = data.action_influence
    compat.assign(owner, None, None)


def own(item: bpy.types.Object) -> None:
    """What will be written into a talking copy's takes is written into no other's: a duplicate shares them where the
    preferences say so, and keeps what it shares."""
    written = {*listed(item), *filter(None, [current(item)])}
    for take, users in (bpy.data.user_map(subset=written) if written else {}).items():
        if any(isinstance(user, bpy.types.Key) and user != item.data.shape_keys for user in users):
            mine, name = take.copy(), take.name
            for holder in [holder for holder in compat.holders(_animation(item)) if holder.action == take]:
                compat.replace_action(holder, mine)
            if take.library is None:
                take.name, mine.name = f"{name}.001", name


def choose(item: bpy.types.Object, take: bpy.types.Action) -> None:
    """Let a take play."""
    strip = next(strip for strip in _strips(item) if strip.action == take)
    compat.assign(item.data.shape_keys, take, compat.held_slot(strip))


def delete(item: bpy.types.Object, take: bpy.types.Action) -> None:
    """Throw a take away; the one before it plays."""
    _unstash(item, [take])
    if current(item) == take:
        compat.assign(item.data.shape_keys, None, None)
        left = listed(item)
        if left:
            choose(item, left[-1])
    if take.users <= int(take.use_fake_user):
        bpy.data.actions.remove(take)


def write(item: bpy.types.Object, take: bpy.types.Action, names: list[str], weights: np.ndarray, line: Line) -> None:
    """Put a line into the take that plays: one curve for each key, weights (T,K), in place of the lines it replaces.

    What other lines and hands have keyed outside of it stays; keys that other lines and takes do not use rest there.
    The face rests between lines, where these leave room; what leads there and back is eased.
    """
    others, gone = spoken.kept(take, line), spoken.replaced(take, line)
    rests = _at_rest(spoken.rests([*others, line]))
    beside = sorted({at for other in others for at in _ends_beside(other, line)})
    points = np.empty((line.frames, 2), np.float32)
    points[:, 0] = _frames(line)
    leading = [*rests[:, 0], *([line.end] if line.after else [])]
    known = own_names(item)
    for name, values in zip(names, weights.T, strict=True):
        points[:, 1] = values
        if name in known:
            held = _held(item, name, beside, gone)
            _fill(item, name, np.concatenate([points, rests, held]), gone, leading)
        else:
            _fill(item, name, np.concatenate([points, rests, _at_rest(beside)]), None, leading)
    _rest_elsewhere(item, take, [name for name in names if name not in known])
    replaced = [told for told in spoken.lines(take) if told not in others]
    spoken.keep(take, [*spoken.torn(others, replaced, line), line])
    _stash(item, take)


def _ends_beside(other: Line, line: Line) -> list[float]:
    """The first and last frames of what is left of a line before and after another one."""
    before = [other.start, min(other.end, line.start - 1)] if other.start < line.start else []
    return before + ([max(other.start, line.end + 1), other.end] if other.end > line.end else [])


def _held(item: bpy.types.Object, name: str, frames: list[float], gone: list[tuple[float, float]]) -> np.ndarray:
    """(N,2) keys for those frames that lack one in a key's curve, or lose it with spans that go: what it is there."""
    curve = compat.fcurves(item.data.shape_keys).find(_path(name))
    if curve is None:
        return _at_rest(frames)
    at = curve_keys.read(curve, "co")["co"][:, 0]
    keyed = at[_outside(at, gone)]
    lacking = [frame for frame in frames if np.abs(keyed - frame).min(initial=1) > 1e-3]
    return np.array([(frame, curve.evaluate(frame)) for frame in lacking], np.float32).reshape(-1, 2)


def silence(item: bpy.types.Object, take: bpy.types.Action, gone: Container[Line]) -> None:
    """Take some of its lines out of the take that plays: between the others the face rests."""
    said = spoken.lines(take)
    left = [line for line in said if line not in gone]
    rests = _at_rest(spoken.rests(left) if left else [said[0].start])
    found = compat.fcurves(item.data.shape_keys)
    for name in own_names(item):
        curve = found.find(_path(name))
        if curve is not None:
            goes = _goes(curve_keys.read(curve, "co")["co"][:, 0], said, gone)
            curve_keys.merge(curve, ~goes, rests, np.ones(len(rests), bool))
    spoken.keep(take, spoken.torn(left, [line for line in said if line in gone]))
    _stash(item, take)


def _goes(at: np.ndarray, said: list[Line], gone: Container[Line]) -> np.ndarray:
    """(n,) bool: which keys at these frames go: those of lines that are gone, and all at rest beside lines. Of frames
    that lines share, the keys are of the one that was written last."""
    goes = ~_outside(at, [(frame, frame) for line in said for frame in line.reach])
    for line in said:
        goes[~_outside(at, [(line.start, line.end)])] = line in gone
    return goes


def _outside(at: np.ndarray, spans: list[tuple[float, float]]) -> np.ndarray:
    """(n,) bool: which frames lie in none of the spans."""
    inside = [(at > first - 1e-3) & (at < last + 1e-3) for first, last in spans]
    return ~np.any(inside, 0) if spans else np.ones(len(at), bool)


def _at_rest(frames: list[float]) -> np.ndarray:
    """(N,2) keys of value 0."""
    return np.array([(at, 0.0) for at in frames], np.float32).reshape(-1, 2)


def forget(item: bpy.types.Object, names: list[str]) -> None:
    """Take the curves of these keys out of every take."""
    for curves in _curves_of_takes(item).values():
        _drop(curves, names)


def _drop(curves: bpy.types.bpy_prop_collection, names: list[str]) -> None:
    paths = {_path(name) for name in names}
    for curve in [curve for curve in curves if curve.data_path in paths]:
        curves.remove(curve)


def _rest_elsewhere(item: bpy.types.Object, take: bpy.types.Action, names: list[str]) -> None:
    """New keys stay at zero in the other takes."""
    for strip in _strips(item):
        if strip.action != take:
            found = _curves(strip)
            for name in names:
                rest = found.new(_path(name)).keyframe_points.insert(strip.action.frame_range[0], 0.0)
                rest.interpolation = "LINEAR"


def _curves_of_takes(item: bpy.types.Object) -> dict[bpy.types.Action, bpy.types.bpy_prop_collection]:
    """Each take's curves; those of the one that plays, too, where the person took its track away."""
    found = {strip.action: _curves(strip) for strip in _strips(item)}
    playing = current(item)
    if playing is not None and playing not in found:
        found[playing] = compat.fcurves(item.data.shape_keys)
    return found


def _curves(strip: bpy.types.NlaStrip) -> bpy.types.bpy_prop_collection:
    return compat.curves(strip.action, compat.held_slot(strip))


def _stash(item: bpy.types.Object, take: bpy.types.Action) -> None:
    """The take's track, made anew so that its strip is as long as the take."""
    key = item.data.shape_keys
    _unstash(item, [take])
    compat.stash(key, f"{PREFIX} {take.name}", take, compat.slot(key))


def _unstash(item: bpy.types.Object, taken: list[bpy.types.Action]) -> None:
    """Without the tracks of these takes."""
    if not taken:
        return
    tracks = item.data.shape_keys.animation_data.nla_tracks
    for track in [track for track in tracks if any(strip.action in taken for strip in track.strips)]:
        tracks.remove(track)


def _path(name: str) -> str:
    return f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'


def _fill(
    item: bpy.types.Object,
    name: str,
    points: np.ndarray,
    gone: list[tuple[float, float]] | None,
    leading: Sequence[float] = (),
) -> None:
    """Points (T,2), linear between them, in a key's curve; gone: spans whose older keys go, None for all of them;
    leading: frames from which the curve is eased."""
    found = compat.fcurves(item.data.shape_keys)
    curve = found.find(_path(name)) or found.new(_path(name))
    at = curve_keys.read(curve, "co")["co"][:, 0]
    stay = np.zeros(len(at), bool) if gone is None else _outside(at, gone)
    curve_keys.merge(curve, stay, points, np.isin(points[:, 0], np.asarray(leading, np.float32)))


@contextmanager
def linear(items: Iterable[bpy.types.Object]) -> Iterator[None]:
    """While one exports to what has no eased curves: those of the takes that play have linear keys, one a frame."""
    playing = [item.data.shape_keys for item in items if current(item) is not None]
    before = [(curve, curve_keys.read(curve)) for keys in playing for curve in compat.existing_curves(keys)]
    eased = [(curve, keys) for curve, keys in before if (keys["interpolation"] == curve_keys.EASED).any()]
    try:
        for curve, keys in eased:
            curve_keys.put(curve, curve_keys.unrolled(curve, keys))
        yield
    finally:
        for curve, keys in eased:
            curve_keys.put(curve, keys)
