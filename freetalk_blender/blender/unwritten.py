"""What files for other programs lack of a talking copy: what its modifiers, armatures aside, make of its surface, and
pictures in tiles."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from ..core import wording
from . import meshes, spoken, takes
from .formats import pictures, saving
from .marks import original_of
from .scene import subdivided

#: Places that differ by less, beside the size of the face, are the same.
_SAME = 1e-5


def notes(copy: bpy.types.Object, written: Iterable[Path]) -> tuple[str, ...]:
    """What to tell of a talking copy's modifiers and pictures where one of these files cannot hold them."""
    suffixes = {path.suffix.lower() for path in written}
    told: tuple[str, ...] = ()
    if suffixes & (saving.EXPORTS - {".blend"}):
        told += _of_modifiers(copy)
    if ".fbx" in suffixes:
        told += _of_tiles(copy)
    return told


def _of_tiles(copy: bpy.types.Object) -> tuple[str, ...]:
    tiled = [image.name for image in pictures.shown([copy]) if image.source == "TILED"]
    if not tiled:
        return ()
    return (f"FBX holds no pictures in tiles, as {copy.name} shows them: {wording.named(tiled)}; write glTF or USD.",)


def _of_modifiers(copy: bpy.types.Object) -> tuple[str, ...]:
    lost = _that_shape(copy)
    if not lost:
        return ()
    return (
        f"No glTF, FBX or USD holds what modifiers make of {copy.name}: {wording.named(lost)}; apply them to "
        f"{original_of(copy).name} and animate it again, or add them again where the file is used.",
    )


def _that_shape(copy: bpy.types.Object) -> list[str]:
    """Names of the modifiers, armatures aside, that are on, in the viewport or in renders, and change the surface in
    the middle of what is said."""
    others = [each for each in copy.modifiers if each.type != "ARMATURE" and (each.show_viewport or each.show_render)]
    if not others:
        return []
    shaping, near = [], _SAME * np.ptp(meshes.vertices(copy.data), 0).max()
    with _switched_off(others), _while_it_speaks(copy), subdivided(copy, 1):
        before = meshes.posed(copy)
        for modifier in others:
            modifier.show_viewport = True
            after = meshes.posed(copy)
            if len(after) != len(before) or np.abs(after - before).max(initial=0) > near:
                shaping.append(modifier.name)
            before = after
    return shaping


@contextmanager
def _switched_off(modifiers: list[bpy.types.Modifier]) -> Iterator[None]:
    before = [modifier.show_viewport for modifier in modifiers]
    try:
        for modifier in modifiers:
            modifier.show_viewport = False
        yield
    finally:
        for modifier, shown in zip(modifiers, before, strict=True):
            modifier.show_viewport = shown


@contextmanager
def _while_it_speaks(copy: bpy.types.Object) -> Iterator[None]:
    """The frame in the middle of the first line of the take that plays: at rest some modifiers do nothing."""
    scene, take = bpy.context.scene, takes.current(copy)
    before = scene.frame_current, scene.frame_subframe
    try:
        for line in spoken.lines(take)[:1] if take else ():
            scene.frame_set(round((line.start + line.end) / 2))
        yield
    finally:
        scene.frame_set(before[0], subframe=before[1])
