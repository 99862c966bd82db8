"""Keys of F-curves as arrays: read, written and merged many at a time.

A curve's keys are one array for each of FIELDS: places and handles (n,2), and how the curve goes on from each (n,).
"""

import bpy
import numpy as np

from . import meshes


def _value(field: str, name: str) -> int:
    """What foreach_set takes for a field's name."""
    return int(bpy.types.Keyframe.bl_rna.properties[field].enum_items[name].value)


#: How a curve goes on from a key: straight, and slowly at both ends.
LINEAR, EASED = _value("interpolation", "LINEAR"), _value("interpolation", "SINE")
#: What makes a key: of which type, and how many numbers.
FIELDS: dict[str, tuple[type, int]] = {
    **dict.fromkeys(("interpolation", "easing", "handle_left_type", "handle_right_type", "type"), (np.int32, 1)),
    **dict.fromkeys(("back", "amplitude", "period"), (np.float32, 1)),
    **dict.fromkeys(("co", "handle_left", "handle_right"), (np.float32, 2)),
}
#: What those of a new key are that are neither places nor nought.
_PLAIN = {
    **{side: _value(side, "AUTO_CLAMPED") for side in ("handle_left_type", "handle_right_type")},
    "easing": _value("easing", "EASE_IN_OUT"),
}


def read(curve: bpy.types.FCurve, *wanted: str) -> dict[str, np.ndarray]:
    """A curve's keys; wanted: these fields alone, if any."""
    asked = {field: FIELDS[field] for field in wanted or FIELDS}
    return {field: meshes.of_each(curve.keyframe_points, field, width, kind) for field, (kind, width) in asked.items()}


def put(curve: bpy.types.FCurve, keys: dict[str, np.ndarray]) -> None:
    """These keys, of every field, and no others."""
    curve.keyframe_points.clear()
    curve.keyframe_points.add(len(keys["co"]))
    for field, values in keys.items():
        curve.keyframe_points.foreach_set(field, values.ravel())
    curve.update()


def merge(curve: bpy.types.FCurve, stay: np.ndarray, points: np.ndarray, eased: np.ndarray) -> None:
    """New keys at points (m,2) beside those of a curve that stay (n,) bool; from those that are eased (m,) bool it goes
    on slowly."""
    own = {field: values[stay] for field, values in read(curve).items()}
    new: dict[str, np.ndarray] = {
        field: np.full(len(points), _PLAIN.get(field, 0), kind) for field, (kind, width) in FIELDS.items() if width == 1
    }
    new |= {"co": points, "handle_left": points - (0.3, 0), "handle_right": points + (0.3, 0)}
    new |= {"interpolation": np.where(eased, EASED, LINEAR)}
    order = np.argsort(np.concatenate([own["co"][:, 0], points[:, 0]]), kind="stable")
    both = {field: np.concatenate([own[field], new[field].astype(kind)]) for field, (kind, _) in FIELDS.items()}
    put(curve, {field: values[order] for field, values in both.items()})


def unrolled(curve: bpy.types.FCurve, keys: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A curve's keys, with a linear one on each frame that an eased one leads over."""
    at, eased = keys["co"][:, 0], keys["interpolation"] == EASED
    frames = [
        [first, *(np.arange(np.floor(first) + 1, last) if leads else ())]
        for first, last, leads in zip(at, [*at[1:], at[-1]], eased, strict=True)
    ]
    more = {field: np.repeat(values, [len(each) for each in frames], axis=0) for field, values in keys.items()}
    co = np.array([(frame, curve.evaluate(frame)) for each in frames for frame in each], np.float32)
    moved = co - more["co"]
    more |= {field: more[field] + moved for field in ("co", "handle_left", "handle_right")}
    return more | {"interpolation": np.where(more["interpolation"] == EASED, LINEAR, more["interpolation"])}
