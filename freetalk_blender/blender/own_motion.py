"""Shape keys of its own that go on moving a talking copy's face beside what is said."""

import re

import bpy
import numpy as np

from ..core import arkit, wording
from ..core.frame import canonical_frame
from ..core.landmarks import LIPS
from . import compat, curve_keys, meshes, takes
from .marks import LANDMARKS

#: What moves no landmark of the lips by more than this leaves the mouth to what is said (mm).
_LEAST = 0.5


def notes(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of ARKit's shapes that are animated, and of whatever else moves the mouth."""
    keys, known = copy.data.shape_keys, {block.name for block in takes.driven(copy)}
    keyed, driven = _keyed(keys), _driven(keys)
    swings = {name: swing for name, swing in {**keyed, **driven}.items() if name not in known}
    shapes = {*arkit.meant(swings).values()}
    theirs = [name for name, swing in swings.items() if name in shapes or _moves_mouth(copy, name, swing)]
    if not theirs:
        return ()
    lends = shapes.issuperset(theirs) and driven.keys().isdisjoint(theirs)
    or_else = "choose ARKit's shape keys" if lends else "mute them"
    return (
        f"Shape keys of its own are animated and move the face too: {wording.named(theirs)}; delete their keys if they "
        f"should not, or {or_else}.",
    )


def _keyed(keys: bpy.types.Key) -> dict[str, float]:
    """Name of each shape key that a curve moves -> how far the values of its keys lie apart."""
    curves, found = _curves(keys), {}
    for block in keys.key_blocks:
        path = block.path_from_id("value")
        spans = [np.ptp(curve_keys.read(curve, "co")["co"][:, 1]) for curve in curves if curve.data_path == path]
        if spans:
            found[block.name] = float(max(spans))
    return found


def _driven(keys: bpy.types.Key) -> dict[str, float]:
    """Name of each shape key that a driver moves with what is animated itself -> 1."""
    drivers = keys.animation_data.drivers if keys.animation_data else []
    paths = {driver.data_path for driver in drivers if not driver.mute and _reads_moving(driver.driver)}
    return {block.name: 1.0 for block in keys.key_blocks if block.path_from_id("value") in paths}


def _reads_moving(driver: bpy.types.Driver) -> bool:
    """What follows other shape keys does as these do, and is as wanted."""
    read = [(variable.type, target) for variable in driver.variables for target in variable.targets if target.id]
    return any(_is_animated(target, kind) for kind, target in read if "key_blocks" not in target.data_path)


def _is_animated(target: bpy.types.DriverTarget, kind: str) -> bool:
    bone = f'pose.bones["{bpy.utils.escape_identifier(target.bone_target)}"]' if target.bone_target else ""
    path = re.sub(r"\[\d+\]$", "", target.data_path) if kind == "SINGLE_PROP" else bone
    return any(curve.data_path.startswith(path) for curve in _curves(target.id))


def _curves(owner: bpy.types.ID) -> list[bpy.types.FCurve]:
    """Those of its action, and of strips that play."""
    strips = compat.curves_of_strips(owner) if owner.animation_data else []
    return [*compat.existing_curves(owner), *strips]


def _moves_mouth(copy: bpy.types.Object, name: str, swing: float) -> bool:
    """Does a shape key that goes so far move the lips?"""
    block, landmarks = copy.data.shape_keys.key_blocks[name], np.array(copy[LANDMARKS]).reshape(-1, 3)
    lips = meshes.nearest(meshes.vertices(copy.data), landmarks[LIPS])
    moved = meshes.places(block)[lips] - meshes.places(block.relative_key)[lips]
    reach = swing * np.linalg.norm(moved, axis=1).max()
    return not block.mute and bool(reach > _LEAST * canonical_frame(landmarks).units_per_mm)
