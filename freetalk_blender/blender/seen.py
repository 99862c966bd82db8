"""Objects that are seen or hidden, in the viewport and in renders."""

from collections.abc import Sequence

import bpy
from bpy.app.handlers import persistent

from . import compat
from .marks import all_copies, original_of


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


def notes(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of an original that cannot be kept hidden in renders, or of a copy that is hidden there with it."""
    original = original_of(copy)
    if all(collection.hide_render for collection in copy.users_collection):
        return (f"{copy.name} is in a collection that is disabled in renders; move it into another (M).",)
    if all(collection.hide_render for collection in original.users_collection):
        return ()
    if _is_animated(original):
        why = "its visibility in renders is animated"
    elif original.library is not None:
        why = "it is linked from another file, and a Blender without FreeTalk shows it again"
    else:
        return ()
    return (
        f"{original.name} may be rendered beside its talking copy, for {why}; move it into a collection of its own (M) "
        "and disable that in renders.",
    )


def _is_animated(item: bpy.types.Object) -> bool:
    curve = compat.find_curve(item, "hide_render")
    driven = item.animation_data is not None and item.animation_data.drivers.find("hide_render") is not None
    return driven or (curve is not None and not curve.mute)


@persistent
def hidden_again(*_: object) -> None:
    """A file was opened, and those of the originals that are another file's are as they are there."""
    for original in map(original_of, all_copies()):
        if original.library is not None:
            original.hide_render = True
