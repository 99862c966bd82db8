"""Other objects that belong to a face: teeth and a tongue in its mouth, lashes and brows on its skin, eyeballs.

What moves with the face becomes a part of the talking copy, where it goes as loose parts of a mesh do; the person's own
are hidden with the original. What cannot be joined without a loss stays as it is, and where it lies in the mouth, or on
a head that turns, that is told. Eyeballs stay what they are, and lids close over them, unless head or eyes shall turn.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import bpy
import numpy as np

from ..core import attached, turns
from ..core.frame import transformed
from . import exchange, meshes, seen
from .marks import BEFORE, ORIGINAL, PART_OF

#: Objects with more vertices are no lashes or teeth.
_MOST = 300_000
#: Modifiers that make an object's surface out of itself, or lay it on another. What they make can be taken as it is.
_SHAPING = {
    *("ARRAY", "BEVEL", "CAST", "CORRECTIVE_SMOOTH", "DATA_TRANSFER", "DECIMATE", "DISPLACE", "EDGE_SPLIT"),
    *("LAPLACIANSMOOTH", "MASK", "MIRROR", "MULTIRES", "NODES", "NORMAL_EDIT", "REMESH", "SCREW", "SHRINKWRAP"),
    *("SIMPLE_DEFORM", "SKIN", "SMOOTH", "SOLIDIFY", "SUBSURF", "TRIANGULATE", "UV_PROJECT", "UV_WARP"),
    *("WEIGHTED_NORMAL", "WELD", "WIREFRAME"),
}


@dataclass(frozen=True, eq=False)
class Part:
    """Another object's surface, in the axes in which the face is read: vertices (V,3), triangles (F,3); joinable:
    nothing would be lost if it were of the face's mesh."""

    name: str
    vertices: np.ndarray
    triangles: np.ndarray
    joinable: bool

    @property
    def surface(self) -> tuple[np.ndarray, np.ndarray]:
        return self.vertices, self.triangles


def around(original: bpy.types.Object) -> tuple[Part, ...]:
    """The objects that lie within a face's bounds."""
    found, shape = [], meshes.to_true_shape(original)
    for item in _others(original):
        into = np.linalg.inv(meshes.world(original)) @ meshes.world(item)
        if _is_within(item, original, into):
            with _surface(item, original) as mesh:
                points = transformed(into, meshes.vertices(mesh)) @ shape.T
                triangles = meshes.triangles(mesh)
            if len(triangles) and len(points) < _MOST:
                found.append(Part(item.name, points.astype(np.float32), triangles, _can_join(item, original)))
    return tuple(found)


def told_apart(
    vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray | None, parts: Sequence[Part], turning: bool
) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Those of the parts that are to move with a face (V,3), (F,3) with these landmarks (68,3), and the others; all in
    one frame. turning: all that lies on the head moves. Without landmarks none does."""
    can = [part for part in parts if part.joinable]
    if landmarks is None or not can:
        return (), tuple(parts)
    moves = attached.moves_with(vertices, triangles, landmarks, [part.surface for part in can])
    on_head = [turning and turns.on_head(part.vertices, landmarks) for part in can]
    mine = tuple(part for part, moving, on in zip(can, moves, on_head, strict=True) if moving or on)
    return mine, tuple(part for part in parts if part not in mine)


def join(copy: bpy.types.Object, original: bpy.types.Object, names: Sequence[str]) -> None:
    """Copies of other objects become a part of a face's talking copy that nobody sees yet, after its own vertices."""
    copies = [bpy.data.objects[name].copy() for name in names]
    made, surfaces = [item.name for item in copies], []
    chosen = [copy, *copies]
    try:
        for item, name in zip(copies, names, strict=True):
            with _surface(bpy.data.objects[name], original) as mesh:
                item.data = mesh.copy()
            surfaces.append(item.data)
            _share_colours(item.data, copy.data)
            _share_uv(item.data, copy.data)
        _share_rest([copy.data, *surfaces])
        for item in chosen:  # before 4.5, what has no slot gets the others' material
            if not len(item.data.materials):
                item.data.materials.append(None)
        with bpy.context.temp_override(active_object=copy, object=copy, selected_editable_objects=chosen):
            bpy.ops.object.join()
    finally:
        for name in filter(bpy.data.objects.get, made):
            bpy.data.objects.remove(bpy.data.objects[name])
        for surface in surfaces:
            bpy.data.meshes.remove(surface)


def _share_rest(surfaces: Sequence[bpy.types.Mesh]) -> None:
    """The shape that each has at rest under one name, for it is called otherwise in every language, and shape keys are
    joined by their names."""
    keyed = [mesh.shape_keys for mesh in surfaces if mesh.shape_keys]
    for keys in keyed[1:]:
        keys.reference_key.name = keyed[0].reference_key.name


def _share_colours(data: bpy.types.Mesh, face: bpy.types.Mesh) -> None:
    """A part's own colours in the face's colour attributes, or white: some Blenders join what has none as black."""
    active = data.color_attributes.active_color
    own = {active.domain: exchange.values(active)} if active else {}
    for attribute in [*data.color_attributes]:
        data.color_attributes.remove(attribute)
    for attribute in face.color_attributes:
        new = data.color_attributes.new(attribute.name, attribute.data_type, attribute.domain)
        exchange.write(new, own.get(new.domain, np.ones((len(new.data), 4), np.float32)))


def _share_uv(data: bpy.types.Mesh, face: bpy.types.Mesh) -> None:
    """A part's own texture coordinates under the name that the face's have, too: materials ask for the active ones."""
    if not face.uv_layers or not data.uv_layers or face.uv_layers.active.name in data.uv_layers:
        return
    active, name = data.uv_layers.active, face.uv_layers.active.name
    if data.uv_layers.new(name=name) is None:  # else it begins as the active ones; Blender lets it have so many alone
        active.name = name


def hide(original: bpy.types.Object, names: Sequence[str]) -> None:
    """These objects are seen as a part of the talking copy from now on."""
    for name in names:
        item = bpy.data.objects[name]
        if PART_OF not in item:
            item[BEFORE] = seen.state(item)
        item[PART_OF] = original
        seen.show(item, False)


def show(original: bpy.types.Object) -> None:
    """The objects that were a part of a face's talking copy as they were before."""
    for item in [each for each in bpy.data.objects if each.get(PART_OF) == original]:
        seen.restore(item, item[BEFORE])
        del item[PART_OF], item[BEFORE]


@seen.beyond_local_view()
def _others(original: bpy.types.Object) -> list[bpy.types.Object]:
    """The other meshes that are seen, and those that are hidden because they are a part of the talking copy."""
    surfaces = [item for item in bpy.context.scene.objects if item.type == "MESH" and item.data.polygons]
    others = [item for item in surfaces if item != original and item.get(ORIGINAL) != original]
    return [item for item in others if item.visible_get() or item.get(PART_OF) == original]


def _is_within(item: bpy.types.Object, original: bpy.types.Object, into: np.ndarray) -> bool:
    """Could it be a part of the face, from its size? Looks at boxes alone, and is quick."""
    box = np.array(original.bound_box, float)
    corners = transformed(into, np.array(item.bound_box, float))
    low, high = box.min(0), box.max(0)
    inside = (corners.mean(0) > low).all() and (corners.mean(0) < high).all()
    return bool(inside and (np.ptp(corners, 0) < np.ptp(box, 0)).all()) and len(item.data.vertices) < _MOST


def _can_join(item: bpy.types.Object, original: bpy.types.Object) -> bool:
    """Nothing that the object does would be lost in the face's mesh: no animation or constraints of its own, no shapes
    but resting ones, which join the face's by name, no bone that the face has not, and no modifiers but those that the
    face has or, on what has no shapes, that can be taken as they are. Another file's objects cannot be hidden for
    good."""
    on_bone = item.parent_type == "BONE" and _bone(item) != _bone(original)
    if _is_animated(item) or len(item.constraints) or on_bone or item.library is not None:
        return False
    own = _own_modifiers(item, original)
    if item.data.shape_keys is not None:
        return _rests(item.data.shape_keys) and not own
    return all(modifier.type in _SHAPING for modifier in own)


def _rests(keys: bpy.types.Key) -> bool:
    """Are shape keys neither used nor moved by anything?"""
    used = any(block.value for block in keys.key_blocks if block != keys.reference_key)
    return keys.use_relative and not used and not _is_animated(keys)


def _is_animated(owner: bpy.types.ID) -> bool:
    data = owner.animation_data
    return data is not None and bool(data.action is not None or len(data.drivers) or len(data.nla_tracks))


def _own_modifiers(item: bpy.types.Object, original: bpy.types.Object) -> list[bpy.types.Modifier]:
    """Those that act on the object and not on the face: what the face has acts on its talking copy."""
    has = {_kind(modifier) for modifier in original.modifiers}
    return [modifier for modifier in item.modifiers if modifier.show_viewport and _kind(modifier) not in has]


@contextmanager
def _surface(item: bpy.types.Object, original: bpy.types.Object) -> Iterator[bpy.types.Mesh]:
    """The object's mesh as modifiers of its own make it, in the object's own axes; with its faces turned where a
    negative scale mirrors the one and not the other, for in the face's axes they would look inwards."""
    with _shaped(item, original) as mesh:
        if np.linalg.det(meshes.world(item)[:3, :3]) * np.linalg.det(meshes.world(original)[:3, :3]) >= 0:
            yield mesh
            return
        turned = mesh.copy()
        try:
            turned.flip_normals()
            yield turned
        finally:
            bpy.data.meshes.remove(turned)


@contextmanager
def _shaped(item: bpy.types.Object, original: bpy.types.Object) -> Iterator[bpy.types.Mesh]:
    """The mesh itself."""
    own = [modifier.name for modifier in _own_modifiers(item, original)]
    if not own or not _can_join(item, original):
        yield item.data
        return
    stand_in = item.copy()  # the object itself may be hidden, and is not worked out then
    try:
        for modifier in [each for each in stand_in.modifiers if each.name not in own]:
            stand_in.modifiers.remove(modifier)
        bpy.context.scene.collection.objects.link(stand_in)
        stand_in.hide_viewport = False
        graph = bpy.context.evaluated_depsgraph_get()
        posed = stand_in.evaluated_get(graph)
        made = bpy.data.meshes.new_from_object(posed, preserve_all_data_layers=True, depsgraph=graph)
    finally:
        bpy.data.objects.remove(stand_in)
    try:
        yield made
    finally:
        bpy.data.meshes.remove(made)


def _bone(item: bpy.types.Object) -> tuple[str, bpy.types.Object | None, str]:
    return item.parent_type, item.parent, item.parent_bone


def _kind(modifier: bpy.types.Modifier) -> tuple[str, bpy.types.ID | None]:
    return modifier.type, getattr(modifier, "object", None) or getattr(modifier, "node_group", None)
