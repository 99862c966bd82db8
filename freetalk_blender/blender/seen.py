"""Objects that are seen or hidden, in the viewport and in renders."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest

import bpy
from bpy.app.handlers import persistent

from . import compat
from .marks import BEFORE, PART_OF, all_copies, copy_of, original_of

#: What may show a collection where it is not linked to: instances by an object or a modifier, particles, nodes.
_SHOWING = (bpy.types.Object, bpy.types.ParticleSettings, bpy.types.NodeTree)
#: How many objects each view layer had at the last look, and which of those that a talking copy shows were in which
#: (name of the scene, of the layer, session_uid); None where another file was opened since.
_sizes: list[int] | None = None
_present: set[tuple[str, str, int]] = set()


@contextmanager
def beyond_local_view() -> Iterator[None]:
    """What is visible is so in the scene, whatever a viewport's local view leaves out."""
    with bpy.context.temp_override(area=None, region=None):
        yield


@beyond_local_view()
def is_seen(item: bpy.types.Object) -> bool:
    return item.visible_get()


@beyond_local_view()
def is_seen_in(item: bpy.types.Object, scene: bpy.types.Scene) -> bool:
    """Is it in any view layer of a scene, which need not be the one at hand?"""
    return any(item.visible_get(view_layer=layer) for layer in scene.view_layers)


@beyond_local_view()
def others(copy: bpy.types.Object) -> list[bpy.types.Object]:
    """What is seen in the scene beside a talking copy."""
    return [item for item in bpy.context.scene.objects if item != copy and item.visible_get()]


def state(item: bpy.types.Object) -> list[int]:
    """Whether the person hid it, as a custom property holds it: in the viewport's view layer, in renders (1) or on the
    screen (2) or both (3), and in each view layer of its scenes."""
    layers = [_is_hidden(item, layer) for layer in _layers(item)]
    everywhere = item.hide_render + 2 * item.hide_viewport
    return [int(_is_hidden(item, bpy.context.view_layer)), everywhere, *map(int, layers)]


def restore(item: bpy.types.Object, before: Sequence[int]) -> None:
    """Show or hide it as it was in a `state`; in view layers that are newer, as in the viewport's."""
    hidden, everywhere, *known = before
    item.hide_render, item.hide_viewport = bool(everywhere & 1), bool(everywhere & 2)
    layers = _layers(item)
    for layer, as_known in zip_longest(layers, known[: len(layers)], fillvalue=hidden):
        _hide(item, layer, bool(as_known))


def show(item: bpy.types.Object, shown: bool) -> None:
    """Show or hide an object, in the viewport, in every view layer of its scenes, and in renders. What an instance
    shows no view layer hides, but the screen does."""
    item.hide_render = not shown
    item.hide_viewport = item.hide_viewport or (not shown and _is_instanced(item))
    for layer in _layers(item):
        _hide(item, layer, not shown)


def _is_instanced(item: bpy.types.Object) -> bool:
    """Do other objects, particles or nodes show a collection of this file that it is in, or that one in it is in?"""
    around = {each for each in bpy.data.collections if each.library is None and item.name in each.all_objects}
    users = {user for each in bpy.data.user_map(subset=around).values() for user in each} if around else set()
    return any(isinstance(user, _SHOWING) for user in users)


def _layers(item: bpy.types.Object) -> list[bpy.types.ViewLayer]:
    """Those of the scenes that the object is in."""
    return [layer for scene in item.users_scene for layer in scene.view_layers]


def reveal(item: bpy.types.Object) -> None:
    """Show an object in the viewport's view layer, whatever hides it: the eye, the screen, its collections."""
    item.hide_viewport = False
    _hide(item, bpy.context.view_layer, False)
    if not item.visible_get():
        bpy.context.scene.collection.objects.link(item)
        _hide(item, bpy.context.view_layer, False)
    bpy.context.view_layer.update()


def work_out_place(item: bpy.types.Object) -> None:
    """Let Blender work out where an object is that nothing shows: of one that was excluded or disabled as its file was
    opened it does not know, and takes it to lie unscaled at the origin."""
    if is_seen(item):
        return
    everything, screen = bpy.context.scene.collection.objects, item.hide_viewport
    linked = item.name in everything
    if not linked:
        everything.link(item)
    try:
        item.hide_viewport = False
        bpy.context.view_layer.update()
    finally:
        item.hide_viewport = screen
        if not linked:
            everything.unlink(item)


def _is_hidden(item: bpy.types.Object, layer: bpy.types.ViewLayer) -> bool:
    return item.hide_get(view_layer=layer) and item.name in layer.objects


def _hide(item: bpy.types.Object, layer: bpy.types.ViewLayer, hidden: bool) -> None:
    item.hide_get(view_layer=layer)  # it looks for new objects, which else it cannot hide
    if item.name in layer.objects:
        item.hide_set(hidden, view_layer=layer)


def notes(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of an original that cannot be kept hidden in renders, or of a copy that is hidden, there or here."""
    original = original_of(copy)
    if all(collection.hide_render for collection in copy.users_collection):
        return (f"{copy.name} is in a collection that is disabled in renders; move it into another (M).",)
    if not is_seen(copy):
        return (f"{copy.name} is not seen; show it in the outliner, or its collection.",)
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
    driven = item.animation_data is not None and item.animation_data.drivers.find("hide_render") is not None
    return driven or compat.playing_curve(item, "hide_render") is not None


@persistent
def hidden_again(*_: object) -> None:
    """A file was opened or linked from, and those of the originals that are another file's are as they are there. Where
    the talking copy is that file's too, no view layer of this one hides what it stands for: the screen (monitor icon)
    does."""
    for copy in all_copies():
        original = original_of(copy)
        if original.library is not None and original != copy:
            original.hide_render = True
            original.hide_viewport = original.hide_viewport or copy.library is not None
    for item in bpy.data.objects:
        if item.library is not None and PART_OF in item:
            item.hide_viewport = True


@persistent
def hidden_where_new(*_: object) -> None:
    """After an update: a view layer forgets what was hidden in it when that is excluded, and a new one hides nothing.
    Where what a talking copy shows has come into a view layer beside that copy, it is hidden there as in the others."""
    global _sizes, _present
    layers = [(scene, layer) for scene in bpy.data.scenes for layer in scene.view_layers]
    before, _sizes = _sizes, [len(layer.objects) for _, layer in layers]
    if before == _sizes:
        return
    known, _present = _present, set()
    for item in [item for item in bpy.data.objects if BEFORE in item]:
        for scene, layer in layers:
            if item.name in layer.objects:
                place = (scene.name, layer.name, item.session_uid)
                _present.add(place)
                if before is not None and place not in known and _stands_beside_copy(item, layer):
                    _hide(item, layer, True)


@beyond_local_view()
def _stands_beside_copy(item: bpy.types.Object, layer: bpy.types.ViewLayer) -> bool:
    """Is the object, a part of a face or its original, seen in a view layer where the talking copy is seen too?"""
    original = item.get(PART_OF, item)
    copy = copy_of(original) if original is not None else None
    return copy is not None and item.visible_get(view_layer=layer) and copy.visible_get(view_layer=layer)


@persistent
def look_anew(*_: object) -> None:
    """Another file was opened: what is seen in it was so when it was saved."""
    global _sizes
    _sizes = None
    hidden_where_new()
