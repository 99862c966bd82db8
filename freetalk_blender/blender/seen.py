"""Objects that are seen or hidden, in the viewport and in renders."""

import bpy


def is_hidden(item: bpy.types.Object) -> bool:
    """Did the person hide it in the viewport?"""
    return item.hide_get() and item.name in bpy.context.view_layer.objects


def show(item: bpy.types.Object, shown: bool) -> None:
    """Show or hide an object, in the viewport and in renders."""
    item.hide_render = not shown
    item.hide_get()  # the layer looks for new objects, which else it cannot hide
    if item.name in bpy.context.view_layer.objects:
        item.hide_set(not shown)
