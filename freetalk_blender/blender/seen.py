"""Objects that are seen or hidden, in the viewport and in renders."""

from collections.abc import Sequence

import bpy


def state(item: bpy.types.Object) -> list[int]:
    """Whether the person hid it, in the viewport and in renders, as a custom property holds it."""
    hidden = item.hide_get() and item.name in bpy.context.view_layer.objects
    return [int(hidden), int(item.hide_render)]


def restore(item: bpy.types.Object, before: Sequence[int]) -> None:
    """Show or hide it as it was in a `state`."""
    show(item, not before[0])
    item.hide_render = bool(before[1])


def show(item: bpy.types.Object, shown: bool) -> None:
    """Show or hide an object, in the viewport and in renders."""
    item.hide_render = not shown
    item.hide_get()  # the layer looks for new objects, which else it cannot hide
    if item.name in bpy.context.view_layer.objects:
        item.hide_set(not shown)
