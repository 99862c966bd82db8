"""What files for other programs lack of a talking copy: what its modifiers, armatures aside, make of its surface,
its shading, UV maps and materials, pictures in tiles, its size, its hair, and how modifiers move others with it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..core import wording
from . import compat, hair, hanging, meshes, spoken, takes
from .formats import pictures, saving
from .marks import original_of
from .scene import subdivided

#: Places that differ by less, beside the size of the face or of a UV map, are the same.
_SAME = 1e-5
#: Normals of length 1 that differ by less are the same: 3 degrees.
_SAME_SHADE = 0.05
#: Modifiers that may subdivide otherwise in renders.
_WITH_LEVELS = ("SUBSURF", "MULTIRES")


def notes(copy: bpy.types.Object, written: Iterable[Path]) -> tuple[str, ...]:
    """What to tell of a talking copy's modifiers, pictures and size where one of these files cannot hold them."""
    suffixes = {path.suffix.lower() for path in written}
    told: tuple[str, ...] = ()
    if suffixes & (saving.EXPORTS - {".blend"}):
        told += _of_modifiers(copy)
    if suffixes & {".glb", ".fbx"}:
        told += _of_others(copy) + _of_hair(copy)
    if ".fbx" in suffixes:
        told += _of_tiles(copy)
    return told + _of_size(copy, suffixes)


def _of_size(copy: bpy.types.Object, suffixes: set[str]) -> tuple[str, ...]:
    """Blender's exporters of glTF and USD take its unit for a metre, whatever the scene does, but for 4.2's of USD."""
    scale = bpy.context.scene.unit_settings.scale_length
    alone = compat.usd_keeps_units()
    if scale == 1 or not suffixes & ({".glb"} if alone else saving.EXPORTS - {".blend", ".fbx"}):
        return ()
    return (
        f"{'glTF holds' if alone else 'glTF and USD hold'} {copy.name} {1 / scale:g} times as large as it is here, "
        f"where Unit Scale is {scale:g} and a unit there is a metre; scale it where the file is used, or write FBX.",
    )


def _of_tiles(copy: bpy.types.Object) -> tuple[str, ...]:
    tiled = [image.name for image in pictures.shown([copy]) if image.source == "TILED"]
    if not tiled:
        return ()
    return (f"FBX holds no pictures in tiles, as {copy.name} shows them: {wording.named(tiled)}; write glTF or USD.",)


def _of_others(copy: bpy.types.Object) -> tuple[str, ...]:
    """What is bound to a talking copy rests in files without modifiers; Blender's exporter of USD works it out."""
    names = hanging.by_modifiers(copy)
    if not names:
        return ()
    return (
        f"No glTF or FBX holds how modifiers move other objects with {copy.name}: {wording.named(names)}; write USD, "
        f"or join them to {original_of(copy).name} and animate it again.",
    )


def _of_hair(copy: bpy.types.Object) -> tuple[str, ...]:
    names = hair.grown_on(copy)
    if not names:
        return ()
    return (
        f"No glTF or FBX holds the hair of {copy.name}: {wording.named(names)}; write USD, or give it hair of mesh.",
    )


def _of_modifiers(copy: bpy.types.Object) -> tuple[str, ...]:
    lost = _that_act(copy)
    if not lost:
        return ()
    return (
        f"No glTF, FBX or USD holds what modifiers make of {copy.name}: {wording.named(lost)}; apply them to "
        f"{original_of(copy).name} and animate it again, or add them again where the file is used.",
    )


def _that_act(copy: bpy.types.Object) -> list[str]:
    """Names of the modifiers, armatures aside, that are on, in the viewport or in renders, and change what is seen in
    the middle of what is said."""
    others = [each for each in copy.modifiers if each.type != "ARMATURE" and (each.show_viewport or each.show_render)]
    if not others:
        return []
    acting, near = [], _SAME * np.ptp(meshes.vertices(copy.data), 0).max()
    with _switched_off(others), _while_it_speaks(copy), subdivided(copy, 1):
        before = _look(copy)
        for modifier in others:
            modifier.show_viewport = True
            after = _look(copy)
            if _differ(before, after, near):
                acting.append(modifier.name)
            before = after
    return acting


@dataclass(frozen=True)
class _Look:
    """What is seen of a mesh: places (V,3) and materials (P,) of its vertices and polygons; of their corners the
    normals (C,3) and where they are in each UV map (C,2)."""

    places: np.ndarray
    materials: np.ndarray
    normals: np.ndarray
    maps: dict[str, np.ndarray]


def _look(copy: bpy.types.Object) -> _Look:
    with meshes.evaluated(copy) as mesh:
        slots = np.array([hash(material and material.name_full) for material in mesh.materials or [None]])
        used = meshes.of_each(mesh.polygons, "material_index", kind=np.int32)
        return _Look(
            meshes.of_each(mesh.vertices, "co", 3),
            slots[used.clip(max=len(slots) - 1)],
            meshes.of_each(mesh.corner_normals, "vector", 3),
            {layer.name: meshes.of_each(layer.uv, "vector", 2) for layer in mesh.uv_layers},
        )


def _differ(one: _Look, other: _Look, near: float) -> bool:
    """Is one mesh seen otherwise than the other? Normals count where no place differs: they follow these."""
    if len(one.places) != len(other.places) or np.abs(one.places - other.places).max(initial=0) > near:
        return True
    if len(one.normals) != len(other.normals) or len(one.materials) != len(other.materials):
        return False  # other polygons of the same surface
    shaded = (one.places == other.places).all() and np.abs(one.normals - other.normals).max(initial=0) > _SAME_SHADE
    shared = one.maps.keys() & other.maps.keys()
    moved = any(np.abs(one.maps[name] - other.maps[name]).max(initial=0) > _SAME for name in shared)
    return bool(shaded or moved or (one.materials != other.materials).any())


@contextmanager
def _switched_off(modifiers: list[bpy.types.Modifier]) -> Iterator[None]:
    """They are off, and those that subdivide, in the viewport or in renders, would do it once: deeper levels take their
    time also where a scene's simplification leaves them out."""
    before = [(modifier, "show_viewport", modifier.show_viewport) for modifier in modifiers]
    before += [(modifier, "levels", modifier.levels) for modifier in modifiers if modifier.type in _WITH_LEVELS]
    try:
        for modifier in modifiers:
            modifier.show_viewport = False
            if modifier.type in _WITH_LEVELS:
                modifier.levels = min(1, max(modifier.levels, modifier.render_levels))
        yield
    finally:
        for modifier, name, value in before:
            setattr(modifier, name, value)


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
