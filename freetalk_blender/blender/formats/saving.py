"""What Blender holds into files: a talking face, or all of the scene, with its animation.

A file appears whole or not at all, and what has to be changed for an exporter is put back.
"""

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ...core import atomic, wording
from ...core.errors import FreeTalkError
from .. import hanging, linked, log, movers, seen, spoken, takes
from . import fbx, gltf, plain_keys, plain_parents, plain_skin, usd


@seen.beyond_local_view()
def save(path: Path, only: list[bpy.types.Object] | None = None) -> None:
    """Write the scene's visible objects, or only some, with their shape-key animation, in the format of the suffix.

    Armatures that move them are written too where they are hidden. The file appears whole or not at all; a .blend holds
    everything. Raises FreeTalkError where it cannot be written.
    """
    writer = _WRITERS[path.suffix.lower()]
    items = [] if writer is _write_blend else only or _seen()
    said, pace, kept = _with_all_lines(items, path), _unstretched(items), plain_parents.keyed(items)
    with atomic.output(path) as temporary, said, pace, kept as empties:
        written = [*items, *empties]
        rigs = dict.fromkeys(rig for item in written for rig in movers.armatures(item))
        carried = hanging.carried(written, on_bones=writer is gltf.write)
        keys, skin = plain_keys.written(written), plain_skin.worn(written, coloured=writer is not usd.write)
        with _shown(rigs), carried, _selected([*only, *empties] if only else None), _pictures_found(), keys, skin:
            try:
                writer(temporary, written if only else [*written, *rigs], only is not None)
            except RuntimeError as error:
                if "KeyboardInterrupt" in str(error):
                    raise KeyboardInterrupt from error
                raise FreeTalkError(f"{path} could not be written ({log.reported(error)}).") from error


def _seen() -> list[bpy.types.Object]:
    return [item for item in bpy.context.view_layer.objects if item.visible_get()]


@contextmanager
def _with_all_lines(items: Iterable[bpy.types.Object], path: Path) -> Iterator[None]:
    """The scene begins early and ends late enough for what these objects say, for as long as they are written.

    Raises FreeTalkError where something is said before frame 0: a scene cannot begin there, nor do times in glTF.
    """
    scene, found = bpy.context.scene, [(item, takes.current(item)) for item in items]
    said = [(line, item.name) for item, take in found if take for line in spoken.lines(take)]
    for line, name in said:
        if line.start < 0:
            raise FreeTalkError(
                f"{name} speaks from frame {line.start:g} on, and {path.name} cannot hold what is before frame 0; move "
                "its sound (or the scene) to later frames and animate it again."
            )
    first, last = scene.frame_start, scene.frame_end
    scene.frame_start = max(0, min([first, *(math.floor(line.reach[0]) for line, _ in said)]))
    scene.frame_end = max([last, *(math.ceil(line.reach[1]) for line, _ in said)])
    try:
        yield
    finally:
        scene.frame_start, scene.frame_end = first, last


@contextmanager
def _unstretched(items: Collection[bpy.types.Object]) -> Iterator[None]:
    """The scene stretches no time for as long as objects are written: no Blender stretches sound."""
    scene, render = bpy.context.scene, bpy.context.scene.render
    old, new = render.frame_map_old, render.frame_map_new
    if not items or old == new:
        yield
        return
    render.frame_map_old = render.frame_map_new = 100
    try:
        yield
    finally:
        render.frame_map_old, render.frame_map_new = old, new
        scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)


@contextmanager
def _shown(wanted: Iterable[bpy.types.Object]) -> Iterator[None]:
    """These objects are seen for as long as they are written, whatever hides them: collections, the eye, the screen."""
    scene, hidden = bpy.context.scene, [item for item in wanted if not item.visible_get()]
    linked = [item for item in hidden if item.name not in scene.collection.objects]
    for item in linked:
        scene.collection.objects.link(item)
    before = [(item, item.hide_get(), item.hide_viewport) for item in hidden]
    try:
        for item in hidden:
            item.hide_set(False)
            item.hide_viewport = False
        yield
    finally:
        for item, eye, screen in before:
            item.hide_set(eye)
            item.hide_viewport = screen
        for item in linked:
            scene.collection.objects.unlink(item)


@contextmanager
def _selected(only: list[bpy.types.Object] | None) -> Iterator[None]:
    """These objects alone are selected for as long as they are written; None changes nothing.

    Raises FreeTalkError where one of them cannot be.
    """
    if only is None:
        yield
        return
    layer = bpy.context.view_layer.objects
    active, selected = layer.active, [item for item in layer if item.select_get()]
    with _selectable(only):
        try:
            _select(only)
            if left := [item.name for item in only if not item.select_get()]:
                raise FreeTalkError(
                    f"Blender cannot select {wording.named(left)}, as Only This Face needs; show what is hidden, or "
                    "turn that off."
                )
            layer.active = only[0]
            yield
        finally:
            _select(selected)
            layer.active = active


@contextmanager
def _selectable(items: Iterable[bpy.types.Object]) -> Iterator[None]:
    """Nothing disables the selection of these objects for as long as they are written, nor do their collections."""
    collections = bpy.context.scene.collection.children_recursive
    locked = [owner for owner in (*items, *collections) if owner.hide_select]
    try:
        for owner in locked:
            owner.hide_select = False
        yield
    finally:
        for owner in locked:
            owner.hide_select = True


def _select(wanted: list[bpy.types.Object]) -> None:
    for item in bpy.context.view_layer.objects:
        if item.select_get() != (item in wanted):
            item.select_set(item in wanted)


@contextmanager
def _pictures_found() -> Iterator[None]:
    """Pictures that are named as Windows does are found by exporters elsewhere too: Blender reads "a\\b.png", Python
    does not."""
    named = [(image, image.filepath) for image in bpy.data.images if "\\" in image.filepath and os.sep == "/"]
    try:
        for image, name in named:
            image.filepath_raw = name.replace("\\", "/")  # unlike filepath, it keeps what was painted
        yield
    finally:
        for image, name in named:
            image.filepath_raw = name


def _write_blend(path: Path, _items: list[bpy.types.Object], _selected: bool) -> None:
    path.unlink()  # Blender would keep the empty file that stands there as a backup
    with linked.kept():
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, compress=True)


#: Each takes a path, the objects that are written, and whether these are the selected ones or all that are seen.
_WRITERS: dict[str, Callable[[Path, list[bpy.types.Object], bool], None]] = {
    ".glb": gltf.write,
    ".fbx": fbx.write,
    ".usd": usd.write,
    ".usda": usd.write,
    ".usdc": usd.write,
    ".blend": _write_blend,
}
EXPORTS = frozenset(_WRITERS)
