"""Hair on a face: curves are rooted in its talking copy while there is one, and follow its skin; of particles, which
Blender spreads anew over a mesh whose mouth was opened, it is told."""

import bpy

from .marks import GROWS_ON, original_of


def root_in(copy: bpy.types.Object, original: bpy.types.Object) -> None:
    """What grows on the original grows on its talking copy from now on. Another file's curves cannot be changed."""
    for curves in bpy.data.hair_curves:
        if curves.surface == original and curves.library is None:
            curves[GROWS_ON], curves.surface = original, copy


def root_back(original: bpy.types.Object) -> None:
    """What grew on the original before grows there again."""
    for curves in bpy.data.hair_curves:
        if curves.get(GROWS_ON) == original:
            curves.surface = original
            del curves[GROWS_ON]


def spread_anew(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell where particle hair grows on a talking copy whose faces are not its original's."""
    original = original_of(copy)
    hairy = any(system.settings.type == "HAIR" for system in copy.particle_systems)
    if not hairy or len(copy.data.polygons) == len(original.data.polygons):
        return ()
    return (
        f"The particle hair of {original.name} is redistributed over the talking copy, because its mouth was "
        "opened; make it hair curves that grow on the face, or animate with Open Mouth off.",
    )
