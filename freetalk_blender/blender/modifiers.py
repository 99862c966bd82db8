"""Modifiers that a talking copy cannot take over, or that hold its face: a sentence each."""

import bpy
import numpy as np

from ..core import wording
from ..core.landmarks import OUTER_LIPS
from . import meshes
from .marks import LANDMARKS, original_of

#: Types of modifiers that remember the mesh they were bound to, and what says whether they were.
_BOUND = {
    "SURFACE_DEFORM": "is_bound",
    "MESH_DEFORM": "is_bound",
    "LAPLACIANDEFORM": "is_bind",
    "CORRECTIVE_SMOOTH": "is_bind",
}


def notes(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of a talking copy's modifiers."""
    return _holding(copy) + _flickering(copy) + _outgrown(copy) + _merging(copy)


def _holding(copy: bpy.types.Object) -> tuple[str, ...]:
    wraps = [each for each in copy.modifiers if each.type == "SHRINKWRAP" and each.show_viewport and each.target]
    for wrap in wraps:
        if _holds(wrap) and _covers_mouth(copy, wrap):
            return (
                f"The modifier {wrap.name} holds the face on {wrap.target.name}, so that it hardly moves; apply it to "
                f"{original_of(copy).name} and animate again, or switch it off for {copy.name}.",
            )
    return ()


def _holds(wrap: bpy.types.ShrinkwrapModifier) -> bool:
    """Does it lay every vertex on its target, and not those alone that are on one side of it?"""
    return wrap.wrap_method == "NEAREST_VERTEX" or wrap.wrap_mode not in ("INSIDE", "OUTSIDE")


def _flickering(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of modifiers that choose other vertices of a face in each of its postures."""
    shown = [each for each in copy.modifiers if each.type == "DECIMATE" and each.show_viewport]
    for thinned in shown:
        if _goes_by_shape(thinned) and _covers_mouth(copy, thinned):
            return (
                f"The modifier {thinned.name} decimates the face anew in each frame, so that its surface may flicker; "
                f"apply it to {original_of(copy).name} and animate again, or switch it off for {copy.name}.",
            )
    return ()


def _goes_by_shape(thinned: bpy.types.DecimateModifier) -> bool:
    """Does it leave any vertex out, and does where they lie tell which?"""
    return thinned.decimate_type == "DISSOLVE" or (thinned.decimate_type == "COLLAPSE" and thinned.ratio < 1)


def _covers_mouth(copy: bpy.types.Object, modifier: bpy.types.ShrinkwrapModifier | bpy.types.DecimateModifier) -> bool:
    group = copy.vertex_groups.get(modifier.vertex_group)
    if group is None:
        return True
    lips = np.array(copy[LANDMARKS]).reshape(-1, 3)[OUTER_LIPS]
    vertices = meshes.nearest(meshes.vertices(copy.data), lips)
    of_each = [copy.data.vertices[vertex].groups for vertex in vertices]
    weight = sum(entry.weight for groups in of_each for entry in groups if entry.group == group.index) / len(vertices)
    return (weight > 0.5) != modifier.invert_vertex_group


def _outgrown(copy: bpy.types.Object) -> tuple[str, ...]:
    original = original_of(copy)
    bound = [each.name for each in copy.modifiers if each.show_viewport and _is_bound(each)]
    if not bound or len(copy.data.vertices) == len(original.data.vertices):
        return ()
    return (
        f"Modifiers of {copy.name} no longer work, for they were bound before its mouth was opened: "
        f"{wording.named(bound)}; bind them there anew, or animate with Open Mouth off.",
    )


def _merging(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of geometry nodes that may close an opened mouth again."""
    if len(copy.data.vertices) == len(original_of(copy).data.vertices):
        return ()
    nodes = [each for each in copy.modifiers if each.type == "NODES" and each.show_viewport and each.node_group]
    merging = [each.name for each in nodes if _merges(each.node_group)]
    if not merging:
        return ()
    return (
        f"Geometry nodes of {copy.name} merge by distance, which closes lips that were cut if it reaches the face: "
        f"{wording.named(merging)}; switch that off or leave the mouth out of its selection.",
    )


def _merges(tree: bpy.types.NodeTree) -> bool:
    """Does it, or a group in it, merge what lies together?"""
    used = [node for node in tree.nodes if not node.mute]
    inner = {node.node_tree for node in used if node.type == "GROUP" and node.node_tree}
    return any(node.bl_idname == "GeometryNodeMergeByDistance" for node in used) or any(map(_merges, inner))


def _is_bound(modifier: bpy.types.Modifier) -> bool:
    bound = modifier.type in _BOUND and getattr(modifier, _BOUND[modifier.type])
    return bound and getattr(modifier, "rest_source", "BIND") == "BIND"
