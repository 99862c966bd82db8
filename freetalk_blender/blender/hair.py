"""Hair curves that grow on a face: while it talks they are rooted in its talking copy, whose skin they follow."""

import bpy

from .marks import GROWS_ON


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
