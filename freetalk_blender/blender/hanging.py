"""What hangs on a face's surface or reads its shape keys, and stays at rest with it while the talking copy moves: a
sentence for each kind, and for what is bound to a talking copy that gives way to another. In files it goes with the
copy where it can."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager

import bpy
from mathutils import Matrix

from ..core import arkit, wording
from . import compat, drivers, movers, seen
from .marks import lent_keys, original_of

#: Types of modifiers that are bound to another object, of which they know the number of vertices and faces, and what
#: names that.
_BOUND = {"SURFACE_DEFORM": "target", "MESH_DEFORM": "object"}
#: Those that lay an object on another one's surface.
_LAYING = {**_BOUND, "SHRINKWRAP": "target"}
#: A shape key that a driver reads, in the path to it.
_KEY = re.compile(r"""key_blocks\[(["'])(.+?)\1\]\.value""")


def notes(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of objects, nodes and drivers that go by a talking copy's original."""
    others, original = seen.others(copy), original_of(copy)
    return (
        _told(
            f"Other objects hang on the surface of {original.name}, which rests",
            [item.name for item in others if hangs_on(item, original)],
            f"bind or parent them to {copy.name} instead",
        )
        + _told(
            f"Geometry nodes of other objects read {original.name}, which rests",
            [item.name for item in others if _is_made_of(item, original)],
            f"choose {copy.name} there instead",
        )
        + _told(
            f"Geometry nodes of other objects show {original.name}, which rests, as one of a collection",
            [item.name for item in others if _picks(item, original)],
            f"move {original.name} into a collection of its own (M)",
        )
        + _told(
            f"Particles of other objects show {original.name}, which rests",
            [item.name for item in others if _strews(item, original)],
            f"choose {copy.name} there instead",
        )
        + _told(
            f"Objects are instanced on vertices or faces of {original.name}, which is hidden",
            [child.name for child in original.children if original.instance_type in ("VERTS", "FACES")],
            f"parent them to {copy.name} instead",
        )
        + _driven(copy, original)
    )


def _told(what: str, names: list[str], mend: str) -> tuple[str, ...]:
    return (f"{what}: {wording.named(names)}; {mend}.",) if names else ()


def hangs_on(item: bpy.types.Object, face: bpy.types.Object) -> bool:
    """Does an object, or do bones of it, follow single vertices of a face's surface, and not its place alone?"""
    if item.parent == face and item.parent_type in ("VERTEX", "VERTEX_3"):
        return True
    constraints = movers.constraints(item)
    held = [each.target for each in constraints if each.type == "SHRINKWRAP" or getattr(each, "subtarget", "")]
    return face in held or _is_laid_on(item, face)


def by_modifiers(copy: bpy.types.Object) -> list[str]:
    """Names of the other meshes that are seen and that modifiers lay on a talking copy, or make of it."""
    meshes = [item for item in seen.others(copy) if item.type == "MESH"]
    return [item.name for item in meshes if _is_laid_on(item, copy) or _is_made_of(item, copy)]


def _is_laid_on(item: bpy.types.Object, face: bpy.types.Object) -> bool:
    return any(getattr(each, _LAYING[each.type]) == face for each in item.modifiers if each.type in _LAYING)


def _is_made_of(item: bpy.types.Object, face: bpy.types.Object) -> bool:
    """Do its geometry nodes read a face, as an input or in a node?"""
    return any(face in compat.object_inputs(each).values() or _names(each.node_group, face) for each in _nodes(item))


def _nodes(item: bpy.types.Object) -> list[bpy.types.NodesModifier]:
    return [each for each in item.modifiers if each.type == "NODES" and each.show_viewport and each.node_group]


def _names(tree: bpy.types.NodeTree, face: bpy.types.Object) -> bool:
    """Does it, or a group in it, have a node with this object in it?"""
    given = [socket for node in _used(tree) for socket in node.inputs if socket.type == "OBJECT"]
    return any(socket.default_value == face for socket in given if not socket.is_linked)


def _picks(item: bpy.types.Object, face: bpy.types.Object) -> bool:
    """Do its geometry nodes show the objects of a collection one by one, hidden or not, and this face is among them?"""
    shown: list[bpy.types.ID | None] = []
    for each in _nodes(item):
        infos = [node for node in _used(each.node_group) if node.bl_idname == "GeometryNodeCollectionInfo"]
        apart = [node.inputs["Collection"] for node in infos if node.inputs["Separate Children"].default_value]
        shown += [socket.default_value for socket in apart if not socket.is_linked]
        if any(socket.is_linked for socket in apart):
            shown += compat.object_inputs(each, "Collection").values()
    return any(
        face.name in collection.all_objects for collection in shown if isinstance(collection, bpy.types.Collection)
    )


def _strews(item: bpy.types.Object, face: bpy.types.Object) -> bool:
    """Do its particles show a face?"""
    strewn = [each.settings for each in item.particle_systems]
    return any(each.render_type == "OBJECT" and each.instance_object == face for each in strewn)


def _used(tree: bpy.types.NodeTree) -> list[bpy.types.Node]:
    """Its nodes that are not mute, and those of groups in it."""
    known, waiting, found = {tree}, [tree], []
    for each in waiting:
        used = [node for node in each.nodes if not node.mute]
        inner = {node.node_tree for node in used if node.type == "GROUP" and node.node_tree} - known
        known |= inner
        waiting += inner
        found += used
    return found


def _driven(copy: bpy.types.Object, original: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of drivers that read shape keys of the original by ARKit's names."""
    keys = original.data.shape_keys
    if keys is None:
        return ()
    own, lent = [original, *drivers.data_of(original)], {*lent_keys(copy)}
    speaking = lent | {*arkit.meant(keys.key_blocks.keys()).values()}
    found, read = set[str](), set[str]()
    for owner, target in drivers.reading({*own}):
        names = {name for _, name in _KEY.findall(target.data_path)} & speaking
        if names and owner not in own:
            found.update(_users(owner))
            read.update(names)
    return _told(
        f"Drivers read shape keys of {original.name}, which rest",
        sorted(found),
        f"let them read those of {copy.name}" + (", and choose ARKit's shape keys" if read - lent else ""),
    )


def _users(owner: bpy.types.ID) -> list[str]:
    """By what name the owner of a driver is known: its objects' in this scene, or its own where it is of none."""
    items = bpy.context.scene.objects
    users = [item.name for item in items if owner in (item, item.data, getattr(item.data, "shape_keys", None))]
    return users or ([] if isinstance(owner, bpy.types.Object | bpy.types.Key) else [owner.name])


def bound_to(copy: bpy.types.Object | None) -> dict[str, tuple[int, int]]:
    """Name of each object that is bound to a talking copy, if there is one -> how many vertices and faces that has."""
    if copy is None:
        return {}
    return {item.name: _size(copy) for item in bpy.context.scene.objects if _is_bound_to(item, copy)}


def loosened(bound: dict[str, tuple[int, int]], copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of objects that were bound (`bound_to`) to the one whose place a talking copy has taken."""
    return _told(
        "Other objects were bound to the talking copy that this one replaces, and rest now",
        [name for name, size in bound.items() if size != _size(copy)],
        f"bind them to {copy.name} anew",
    )


def parented(copy: bpy.types.Object) -> tuple[str, ...]:
    """What to tell of meshes that hang on a talking copy's original by its place: they stay where the copy is moved,
    though files hold them on it (`carried`)."""
    original = original_of(copy)
    children = [item for child in _by_place(original, copy) for item in (child, *child.children_recursive)]
    return _told(
        f"Other objects are parented to {original.name}, which stays where it is when {copy.name} is moved",
        [item.name for item in seen.others(copy) if item.type == "MESH" and item in children],
        f"parent them to {copy.name} instead",
    )


def hand_back(copy: bpy.types.Object, original: bpy.types.Object) -> None:
    """What the person parented to a talking copy, which goes, hangs on its original."""
    above = movers.with_parents([original])
    for child in [child for child in copy.children if child not in above]:
        hang(child, original, *hung(child)[1:])
    bpy.context.view_layer.update()


def hung(item: bpy.types.Object) -> tuple[bpy.types.Object | None, str, str, Matrix]:
    """On what an object hangs, how, on which bone, and off it by how much."""
    return item.parent, item.parent_type, item.parent_bone, item.matrix_parent_inverse.copy()


def hang(item: bpy.types.Object, parent: bpy.types.Object | None, kind: str, bone: str, offset: Matrix) -> None:
    item.parent = parent
    item.parent_type, item.parent_bone = kind, bone
    item.matrix_parent_inverse = offset  # another parent clears it


@contextmanager
def carried(written: Iterable[bpy.types.Object], on_bones: bool) -> Iterator[None]:
    """What is parented to faces hangs on their talking copies for as long as these are written: in a file that lacks
    the face it would stand beside the head. on_bones: what else hangs through objects that are not written on a bone
    hangs on that itself, for glTF's exporter fails there."""
    items = {*written}
    faces = [(original_of(copy), copy) for copy in items if original_of(copy) not in items]
    moved = {child: copy for face, copy in faces for child in _by_place(face, copy)}
    before = {item: hung(item) for item in (*moved, *items)}
    held: dict[bpy.types.Object, bpy.types.PoseBone] = {}
    try:
        for child, copy in moved.items():
            hang(child, copy, *before[child][1:])
        held = {item: bone for item in items if on_bones and (bone := _bone_above(item, items))}
        _hang_on_bones(held)
        yield
    finally:
        for item in (*moved, *held):
            hang(item, *before[item])
        bpy.context.view_layer.update()


def _bone_above(item: bpy.types.Object, items: Container[bpy.types.Object]) -> bpy.types.PoseBone | None:
    """The bone on which an object hangs through others that are none of these; None where there is none."""
    above = item.parent
    while above is not None and above not in items and above.type != "ARMATURE":
        if above.parent_type == "BONE":
            return above.parent.pose.bones.get(above.parent_bone)
        above = above.parent
    return None


def _hang_on_bones(wanted: Mapping[bpy.types.Object, bpy.types.PoseBone]) -> None:
    """Each object on a bone, at the place that it has in this frame."""
    bpy.context.view_layer.update()
    places = {item: item.matrix_world.copy() for item in wanted}
    for item, bone in wanted.items():
        hang(item, bone.id_data, "BONE", bone.name, Matrix())
    bpy.context.view_layer.update()
    for item, bone in wanted.items():
        rest = bone.bone.matrix_local.inverted()
        end = bone.id_data.matrix_world @ bone.matrix
        end @= rest if bone.bone.use_relative_parent else Matrix.Translation((0, bone.length, 0))
        item.matrix_parent_inverse = end.inverted_safe() @ places[item] @ item.matrix_world.inverted_safe() @ end
    bpy.context.view_layer.update()


def _by_place(face: bpy.types.Object, copy: bpy.types.Object) -> list[bpy.types.Object]:
    """Children of a face that follow its place alone, and that its talking copy does not follow in turn. Not of skin
    that armatures move: its place moves nothing, and USD loses it where something hangs on it."""
    if face.instance_type in ("VERTS", "FACES") or any(each.type == "ARMATURE" for each in face.modifiers):
        return []
    followed = _followed(copy)
    return [child for child in face.children if child.parent_type == "OBJECT" and child not in followed]


def _followed(item: bpy.types.Object) -> list[bpy.types.Object]:
    """What an object hangs on and what its constraints and drivers look at, with all that these hang on."""
    curves = item.animation_data.drivers if item.animation_data else ()
    read = [target.id for curve in curves for target in drivers.targets(curve.driver)]
    seen_by = [*read, *(getattr(each, "target", None) for each in item.constraints)]
    return movers.with_parents([item, *(each for each in seen_by if isinstance(each, bpy.types.Object))])


def _is_bound_to(item: bpy.types.Object, copy: bpy.types.Object) -> bool:
    bound = [each for each in item.modifiers if each.type in _BOUND and each.is_bound]
    return any(getattr(each, _BOUND[each.type]) == copy for each in bound)


def _size(item: bpy.types.Object) -> tuple[int, int]:
    return len(item.data.vertices), len(item.data.polygons)
