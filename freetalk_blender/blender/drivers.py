"""What drivers read, and those, wherever they are, that read an object's shape keys."""

from collections.abc import Iterator

import bpy


def reading(blocks: set[bpy.types.ID]) -> Iterator[tuple[bpy.types.ID, bpy.types.DriverTarget]]:
    """What reads one of these data-blocks in a driver, nodes counting as what they are of; and each of its targets."""
    for owner in {owner for owners in bpy.data.user_map(subset=blocks).values() for owner in owners}:
        holders = owner, getattr(owner, "node_tree", None)
        animations = [getattr(each, "animation_data", None) for each in holders]
        drivers = [curve.driver for data in animations if data is not None for curve in data.drivers]
        yield from ((owner, target) for driver in drivers for target in targets(driver) if target.id in blocks)


def targets(driver: bpy.types.Driver) -> list[bpy.types.DriverTarget]:
    """What a driver reads."""
    return [target for variable in driver.variables for target in variable.targets]


def data_of(item: bpy.types.Object) -> list[bpy.types.ID]:
    """An object's mesh and shape keys."""
    return [item.data, *([item.data.shape_keys] if item.data.shape_keys else [])]


def follow(before: bpy.types.Object, after: bpy.types.Object) -> None:
    """What reads one object's mesh or shape keys in a driver reads another's from now on."""
    instead = dict(zip(data_of(before), data_of(after), strict=False))
    for _, target in [*reading({*instead})]:
        target.id = instead[target.id]
