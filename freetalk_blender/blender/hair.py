"""Hair on a face: curves are rooted in its talking copy while there is one, and follow its skin, as the geometry nodes
do that grow more of them there; of particles, which Blender spreads anew over a mesh whose mouth was opened, it is
told."""

import json

import bpy

from . import compat, seen
from .marks import GROWS_ON, INPUTS, ORIGINAL, original_of


def root_in(copy: bpy.types.Object, original: bpy.types.Object) -> None:
    """What grows on the original grows on its talking copy from now on. Another file's curves cannot be changed."""
    for curves in bpy.data.hair_curves:
        if curves.surface == original and curves.library is None:
            curves[GROWS_ON], curves.surface = original, copy
    for item in bpy.data.objects:
        if item.type == "CURVES" and item.data.get(GROWS_ON) == original and item.library is None:
            _hand_over(item, copy, original)


def _hand_over(item: bpy.types.Object, copy: bpy.types.Object, original: bpy.types.Object) -> None:
    """Geometry nodes of hair get the talking copy where they got its original."""
    nodes = [modifier for modifier in item.modifiers if modifier.type == "NODES"]
    given = [(each, name) for each in nodes for name, got in compat.object_inputs(each).items() if got == original]
    for modifier, name in given:
        compat.set_object_input(modifier, name, copy)
    if given:
        item[GROWS_ON], item[INPUTS] = original, json.dumps([(modifier.name, name) for modifier, name in given])


def root_back(original: bpy.types.Object) -> None:
    """What grew on the original before grows there again."""
    for curves in bpy.data.hair_curves:
        if curves.get(GROWS_ON) == original:
            curves.surface = original
            del curves[GROWS_ON]
    for item in bpy.data.objects:
        if INPUTS in item and item.get(GROWS_ON) == original:
            _hand_back(item, original)


def _hand_back(item: bpy.types.Object, original: bpy.types.Object) -> None:
    """Where the talking copy was handed over, and nothing else since, its original is again."""
    for modifier, name in json.loads(item[INPUTS]):
        nodes = item.modifiers.get(modifier)
        inputs = compat.object_inputs(nodes) if nodes is not None and nodes.type == "NODES" else {}
        got = inputs.get(name, original)
        if got is None or got.get(ORIGINAL) == original:
            compat.set_object_input(nodes, name, original)
    del item[INPUTS], item[GROWS_ON]


def grown_on(copy: bpy.types.Object) -> list[str]:
    """Names of the hair curves that are seen and grow on a talking copy, and of its particle hair."""
    curves = [item.name for item in seen.others(copy) if item.type == "CURVES" and item.data.surface == copy]
    return curves + _particles(copy)


def _particles(copy: bpy.types.Object) -> list[str]:
    return [system.name for system in copy.particle_systems if system.settings.type == "HAIR"]


def spread_anew(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell where particle hair grows on a talking copy whose faces are not its original's."""
    original = original_of(copy)
    if not _particles(copy) or len(copy.data.polygons) == len(original.data.polygons):
        return ()
    return (
        f"The particle hair of {original.name} is redistributed over the talking copy, because its mouth was "
        "opened; make it hair curves that grow on the face, or animate with Open Mouth off.",
    )
