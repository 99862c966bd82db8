"""What moves an object: what it hangs on, armatures, and whether more than curves of its shape keys does."""

from collections.abc import Iterable

import bpy

from . import compat
from .marks import MOTION


def with_parents(items: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    """The objects and all that they hang on."""
    found = dict.fromkeys(items)
    for item in [*found]:
        while item.parent is not None:
            item = item.parent
            found[item] = None
    return list(found)


def armatures(item: bpy.types.Object) -> list[bpy.types.Object]:
    """Those that deform an object or that it hangs on."""
    found = [modifier.object for modifier in item.modifiers if modifier.type == "ARMATURE" and modifier.object]
    return found + [parent for parent in with_parents([item])[1:] if parent.type == "ARMATURE"]


def by_more_than_shape_keys(items: Iterable[bpy.types.Object]) -> bool:
    """Is any of the objects, or what they hang on, or their armatures, moved by more than curves of its shape keys as
    they are keyed: by curves of its own or of bones, by constraints, drivers, strips of the NLA, or what modifies or
    mutes the curves?"""
    movers = with_parents(each for item in items for each in (item, *armatures(item)))
    keys = [item.data.shape_keys for item in movers if getattr(item.data, "shape_keys", None)]
    return (
        any(compat.existing_curves(item) for item in movers)
        or any(_has_more(owner) for owner in (*movers, *keys))
        or any(not each.mute for item in movers for each in constraints(item))
    )


def own(copy: bpy.types.Object, before: bpy.types.Object | None) -> None:
    """What moves a copy of an object, takes apart, moves that copy alone from now on: as the object is moved, or as the
    talking copy before it was edited to be. Another file's actions, which nobody edits here, are shared."""
    mine = {action[MOTION]: action for action in owned(before)} if before is not None else {}
    if copy.animation_data is not None:
        copy.animation_data.use_tweak_mode = False
    for holder in _holders(copy):
        action = holder.action
        if action.library is None:
            if action not in mine:
                mine[action] = action.copy()
                mine[action][MOTION] = action
            compat.replace_action(holder, mine[action])


def owned(copy: bpy.types.Object) -> list[bpy.types.Action]:
    """The actions that move a talking copy in place of its original's."""
    return [*dict.fromkeys(holder.action for holder in _holders(copy) if MOTION in holder.action)]


def _holders(item: bpy.types.Object) -> list[compat.Holder]:
    """What plays the actions that move an object, and strips of its shape keys'."""
    keys = item.data.shape_keys
    strips = compat.nla_strips(keys.animation_data) if keys is not None else []
    return [*compat.holders(item.animation_data), *(strip for strip in strips if strip.action is not None)]


def constraints(item: bpy.types.Object) -> list[bpy.types.Constraint]:
    """Those of an object and of its bones."""
    owners = [item, *(item.pose.bones if item.pose else ())]
    return [each for owner in owners for each in owner.constraints]


def _has_more(owner: bpy.types.ID) -> bool:
    data = owner.animation_data
    if data is None:
        return False
    modified = any(map(_is_modified, compat.existing_curves(owner)))
    return bool(compat.playing_strips(owner)) or any(not driver.mute for driver in data.drivers) or modified


def _is_modified(curve: bpy.types.FCurve) -> bool:
    """Does a curve something else than to go through its keys and rest beyond them?"""
    muted = curve.mute or (curve.group is not None and curve.group.mute)
    return muted or curve.extrapolation == "LINEAR" or any(not modifier.mute for modifier in curve.modifiers)
