"""Modifiers that a talking copy cannot take over, or that hold its face: a sentence each."""

from collections.abc import Callable

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
    """What to tell of modifiers that hold a face where it is."""
    wrap = _on_mouth(copy, "SHRINKWRAP", _holds)
    return _to_apply(copy, wrap, f"holds the face on {wrap.target.name}, so that it hardly moves") if wrap else ()


def _holds(wrap: bpy.types.ShrinkwrapModifier) -> bool:
    """Does it lay every vertex on its target, and not those alone that are on one side of it?"""
    return bool(wrap.target) and (wrap.wrap_method == "NEAREST_VERTEX" or wrap.wrap_mode not in ("INSIDE", "OUTSIDE"))


def _flickering(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of modifiers that choose other vertices of a face in each of its postures."""
    thinned = _on_mouth(copy, "DECIMATE", _goes_by_shape)
    told = "decimates the face anew in each frame, so that its surface may flicker"
    return _to_apply(copy, thinned, told) if thinned else ()


def _goes_by_shape(thinned: bpy.types.DecimateModifier) -> bool:
    """Does it leave any vertex out, and does where they lie tell which?"""
    return thinned.decimate_type == "DISSOLVE" or (thinned.decimate_type == "COLLAPSE" and thinned.ratio < 1)


def _on_mouth(
    copy: bpy.types.Object, kind: str, acts: Callable[[bpy.types.Modifier], bool]
) -> bpy.types.Modifier | None:
    """The first modifier of a type that is shown, acts so and reaches the mouth; None without."""
    shown = (each for each in copy.modifiers if each.type == kind and each.show_viewport)
    return next((each for each in shown if acts(each) and _covers_mouth(copy, each)), None)


def _to_apply(copy: bpy.types.Object, modifier: bpy.types.Modifier, told: str) -> tuple[str, ...]:
    """A sentence that says what it does, and how to be rid of it."""
    return (
        f"The modifier {modifier.name} {told}; apply it to {original_of(copy).name} and animate again, or switch it "
        f"off for {copy.name}.",
    )


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
