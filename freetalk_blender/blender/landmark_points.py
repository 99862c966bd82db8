"""The 68 landmarks as points to drag: empties that a constraint holds on the surface, mirrored where that is wanted.

They are ordinary objects, so G, box selection, undo and saving work as everywhere in Blender. Landmarks lie on the
resting mesh: where modifiers or shape keys may show another, it is seen at rest, by an object that stands in for it.
"""

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..core.frame import canonical_frame, transformed
from ..core.landmarks import COUNT, MIRRORED, Landmarks
from . import meshes, placed
from .marks import BEFORE, PREFIX, copy_of

COLLECTION = f"{PREFIX} Landmarks"
#: Custom property of a point: its number.
NUMBER = "freetalk_landmark"
#: Custom properties of the collection: the face, what stands in for it, where the points began, how the scene was.
_FACE, _AT_REST, _START, _SELECTED, _ACTIVE, _STATE = (
    f"freetalk_{name}" for name in ("face", "at_rest", "start", "selected", "active", "state")
)
#: Radius of a point (eye distances).
_SIZE = 0.016

#: (68,3) locations at the last look; None where what changes next is not to be mirrored (undo, a new edit).
_seen: np.ndarray | None = None


def editing() -> bpy.types.Object | None:
    """The face whose points are being dragged; None where none is."""
    collection = bpy.data.collections.get(COLLECTION)
    return collection.get(_FACE) if collection is not None else None


def begin(context: bpy.types.Context, original: bpy.types.Object) -> None:
    """Put points on the face's landmarks, which must be known; the talking copy is hidden meanwhile."""
    global _seen
    known = placed.points(original)
    assert known is not None
    sweep()
    context.view_layer.update()
    points = transformed(meshes.world(original), known)
    layer, copy = context.view_layer.objects, copy_of(original)
    collection = bpy.data.collections.new(COLLECTION)
    context.scene.collection.children.link(collection)
    collection[_FACE] = original
    collection[_START] = points.ravel().tolist()
    collection[_SELECTED] = "\n".join(item.name for item in layer if item.select_get())
    collection[_ACTIVE] = layer.active.name if layer.active else ""
    collection[_STATE] = [int(original.hide_get()), int(original.hide_select), int(copy.hide_get()) if copy else 0]
    surface = _resting(collection, original) if _may_be_deformed(original) else original
    original.hide_set(surface != original)
    original.hide_select = True
    if copy is not None:
        copy.hide_set(True)
    _deselect(context)
    doubtful = set(placed.doubtful(original))
    size = _SIZE * float(np.linalg.norm(points[45] - points[36]))
    for number, place in enumerate(points.tolist()):
        collection.objects.link(_point(number, place, surface, size * (1.5 if number in doubtful else 1)))
        collection.objects[-1].show_name = number in doubtful
    _seen = None
    context.view_layer.update()


def _may_be_deformed(original: bpy.types.Object) -> bool:
    """May the face be shown otherwise than `meshes.vertices` reads it, in this frame or another?"""
    by_parent = original.parent is not None and original.parent_type in ("ARMATURE", "LATTICE")
    return by_parent or original.data.shape_keys is not None or any(each.show_viewport for each in original.modifiers)


def _resting(collection: bpy.types.Collection, original: bpy.types.Object) -> bpy.types.Object:
    """A new object in the face's place, whatever moves that, with its resting mesh and nothing that deforms it."""
    mesh = original.data.copy()
    if mesh.override_library:
        mesh.make_local(clear_liboverride=True)
    mesh.name = f"{PREFIX} at rest"
    item = bpy.data.objects.new(mesh.name, mesh)
    item.show_only_shape_key, item.active_shape_key_index = True, 0
    for own, theirs in zip(item.material_slots, original.material_slots, strict=False):
        own.link, own.material = theirs.link, theirs.material
    item.constraints.new("COPY_TRANSFORMS").target = original
    item.hide_select = item.hide_render = True
    collection.objects.link(item)
    collection[_AT_REST] = item
    return item


def _point(number: int, place: list[float], surface: bpy.types.Object, size: float) -> bpy.types.Object:
    point = bpy.data.objects.new(f"{PREFIX} {number:02d}", None)
    point[NUMBER] = number
    point.empty_display_type, point.empty_display_size = "SPHERE", size
    point.show_in_front = True
    point.location = place  # in the world: a parent would draw a line to each point
    point.lock_rotation = point.lock_scale = (True, True, True)
    hold = point.constraints.new("SHRINKWRAP")
    hold.target, hold.shrinkwrap_type, hold.show_expanded = surface, "NEAREST_SURFACE", False
    return point


def points() -> list[bpy.types.Object]:
    """The points being dragged, by their numbers; those that were deleted are missing."""
    collection = bpy.data.collections.get(COLLECTION)
    found = [item for item in collection.objects if NUMBER in item] if collection is not None else []
    return sorted(found, key=lambda item: item[NUMBER])


def places() -> np.ndarray:
    """(68,3) where the points lie on the surface, in the face's own axes; deleted ones where they began."""
    answer = _start()
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    for item in points():
        answer[item[NUMBER]] = item.evaluated_get(graph).matrix_world.translation
    return transformed(np.linalg.inv(meshes.world(editing())), answer)


def _start() -> np.ndarray:
    """(68,3) where the points began, in the world."""
    return np.array(bpy.data.collections[COLLECTION][_START], float).reshape(COUNT, 3)


def keep(context: bpy.types.Context) -> None:
    """Write down where the points are that were moved and put all away; where none was, a person has seen that they
    fit."""
    original, found, start = editing(), places(), _start().astype(np.float32)
    known = placed.landmarks(original)
    moved = [item[NUMBER] for item in points() if not np.array_equal(item.location, start[item[NUMBER]])]
    end(context)
    if moved:
        kept = found if known is None else known.points.copy()
        kept[moved] = found[moved]
        placed.keep(original, Landmarks(kept))
    elif known is not None and known.confidence is not None:
        placed.keep(original, Landmarks(known.points, confidence=np.ones(COUNT)))


def reset(context: bpy.types.Context) -> None:
    """The selected points, or all where none is selected, go back to where they began, with their counterparts where
    these are moved as in a mirror."""
    global _seen
    start, there = _start(), points()
    numbers = {item[NUMBER] for item in there if item.select_get()} or {item[NUMBER] for item in there}
    if context.scene.freetalk.mirror:
        numbers |= {int(MIRRORED[number]) for number in numbers}
    back = [item for item in there if item[NUMBER] in numbers]
    _drop_keys(back)
    for item in back:
        item.location = start[item[NUMBER]].tolist()
    _seen = None
    context.view_layer.update()


def end(context: bpy.types.Context) -> None:
    """Put the points away; visibility and selection are as they were before, but a face is seen whose copy is gone."""
    collection, original = bpy.data.collections[COLLECTION], editing()
    hidden, hide_select, copy_hidden = collection[_STATE]
    selected, active = collection[_SELECTED].split("\n"), collection[_ACTIVE]
    _delete(collection)
    if original is not None:
        original.hide_select = bool(hide_select)
        copy = copy_of(original)
        _hide(context, original, bool(hidden) and (copy is not None or BEFORE not in original))
        if copy is not None:
            _hide(context, copy, bool(copy_hidden))
    layer = context.view_layer.objects
    _deselect(context)
    for name in selected:
        if name in layer and layer[name].visible_get():
            layer[name].select_set(True)
    layer.active = layer.get(active)


def discard(original: bpy.types.Object) -> None:
    """Put the points of this face away, if it is being edited."""
    if editing() == original:
        end(bpy.context)


def sweep() -> None:
    """Put away points whose face was deleted while they were being dragged."""
    collection = bpy.data.collections.get(COLLECTION)
    if collection is not None and editing() is None:
        _delete(collection)


def _delete(collection: bpy.types.Collection) -> None:
    at_rest = collection.get(_AT_REST)
    if at_rest is not None:
        bpy.data.meshes.remove(at_rest.data)  # and the object with it
    dragged = points()
    _drop_keys(dragged)
    for item in dragged:
        bpy.data.objects.remove(item)
    bpy.data.collections.remove(collection)


def _drop_keys(dragged: list[bpy.types.Object]) -> None:
    """Without what Auto Keying has keyed of points that were dragged."""
    keyed = {item.animation_data.action for item in dragged if item.animation_data} - {None}
    for item in dragged:
        item.animation_data_clear()
    for action in keyed:
        if not action.users:
            bpy.data.actions.remove(action)


def _hide(context: bpy.types.Context, item: bpy.types.Object, hidden: bool) -> None:
    if item.name in context.view_layer.objects:
        item.hide_set(hidden)


def _deselect(context: bpy.types.Context) -> None:
    for item in context.view_layer.objects:
        if item.select_get():
            item.select_set(False)


@persistent
def follow(scene: bpy.types.Scene, _graph: bpy.types.Depsgraph | None = None) -> None:
    """After an update: the counterpart of a point that was moved by hand moves as in a mirror."""
    global _seen
    if COLLECTION not in bpy.data.collections:
        return
    found = {item[NUMBER]: item for item in points()}
    now = np.full((COUNT, 3), np.nan)  # of those that were deleted, which move nothing
    for number, item in found.items():
        now[number] = item.location
    before, _seen = _seen, now
    if before is None or not scene.freetalk.mirror:
        return
    moved = np.abs(now - before).max(1) > 0
    lead = moved & ~moved[MIRRORED]
    if lead.any():
        turn = canonical_frame(_start()).rotation
        across = turn @ np.diag([-1.0, 1.0, 1.0]) @ turn.T
        for number in np.flatnonzero(lead):
            other = int(MIRRORED[number])
            if other in found:
                now[other] += across @ (now[number] - before[number])
                found[other].location = now[other].tolist()


@persistent
def forget(*_: object) -> None:
    """Before undo and redo, and on opening a file: what changes next was moved by no hand."""
    global _seen
    _seen = None
