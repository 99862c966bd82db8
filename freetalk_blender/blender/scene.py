"""A take in the scene: landmarks on an object, a talking copy from shape keys, and where to find it again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import bpy
import numpy as np
from scipy.spatial import cKDTree

from ..core.compress import ShapeKeys
from ..core.errors import FreeTalkError, LandmarkError
from ..core.face import Face
from ..core.frame import EYE_DISTANCE_MM, transformed
from ..core.landmarks import COUNT, FAR, MIRRORED
from . import bake, meshes, mouth, session, sound, spoken, takes
from .formats import files
from .marks import FACE, LANDMARKS, SHAPE, copy_of
from .steps import Steps

#: Seconds in which a face comes to rest between lines: sounds end in words and blinks, too.
EASE = 0.4
#: So much of its size a copy may be stretched or turned by on the whole, as sculpting does, and still fit its keys.
_SCULPTED = 0.03


def read_face(item: bpy.types.Object, landmarks: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(vertices, triangles, landmarks) for core.prepare; landmarks (68,3) in the object's own axes, or None.

    Raises MeshError where the object has no surface or cannot take shape keys.
    """
    meshes.check(item)
    shape, (vertices, triangles) = meshes.to_true_shape(item), meshes.surface(item.data)
    if not _is_identity(shape):
        vertices = (vertices @ shape.T).astype(np.float32)
    return vertices, triangles, None if landmarks is None else landmarks @ shape.T


def talking(
    original: bpy.types.Object,
    face: Face,
    keys: ShapeKeys,
    start: float,
    *,
    source: str = "speech",
    fingerprint: str = "",
    tolerance: float = 0.1,
    joined: tuple[str, ...] = (),
    lent: Mapping[str, str] | None = None,
    ease: float = 0.0,
) -> Steps[bpy.types.Object]:
    """The talking copy of an object: mouth opened, keys baked from scene frame `start` on.

    face, keys: as prepared from `read_face` of this object; joined: other objects that are of the face (parts.py);
    lent: name of a key -> name of the object's own shape key that is moved instead; ease: seconds in which the face
    comes from rest before the line, and to rest after one that ends in a word or a blink. A copy made of the same face
    (fingerprint, where given) stays, and its takes with it: the line goes into the take that plays. Any other copy
    gives way to a new one. Nothing of it is seen before the last step, and closed before, it leaves nothing behind.
    """
    here = copy_of(original)
    shape = meshes.to_true_shape(original)
    own = _in_own_axes(keys, shape)
    materials = set(bpy.data.materials)
    same = here is not None and _is_of(here, fingerprint)
    copy = here if here is not None and same else bake.copied(original, joined)
    line = _line(here, source, start, len(keys.weights), ease)
    try:
        if same:
            _check_unedited(copy, original, keys)
        else:
            yield
            yield from _opening(copy, face, shape)
        shaped = yield from bake.shaping(copy, own, line, tolerance / 4 * face.frame.units_per_mm, lent)
    except BaseException:
        if not same:
            bake.discard(copy)
            for material in set(bpy.data.materials) - materials:
                bpy.data.materials.remove(material)
        raise
    if not same:
        bake.remove(original, copy)
        copy[FACE], copy[SHAPE] = fingerprint, shape.ravel().tolist()
        copy[LANDMARKS] = (np.asarray(face.landmarks, float) @ np.linalg.inv(shape).T).ravel().tolist()
    bake.finish(copy, shaped)
    if not same:
        bake.put(copy, original, joined)
    return copy


def _line(copy: bpy.types.Object | None, source: str, start: float, frames: int, ease: float) -> spoken.Line:
    """A line that goes back to rest, and comes from it where anything is before it: frames of the scene, other lines;
    not from before frame 0, which exports do not have. ease in seconds."""
    ease = round(ease * sound.scene_fps(bpy.context.scene))
    line = spoken.Line(source, start, frames, max(0.0, min(ease, start)), ease)
    take = takes.current(copy) if copy is not None else None
    if take is not None and spoken.kept(take, line):
        return line
    return replace(line, before=max(0.0, min(ease, start - bpy.context.scene.frame_start)))


def _check_unedited(copy: bpy.types.Object, original: bpy.types.Object, keys: ShapeKeys) -> None:
    """FreeTalkError where shape keys made for a talking copy no longer fit it. What was sculpted a little fits."""
    count, made = len(copy.data.vertices), keys.shapes.shape[1]
    if count != made:
        done = f"has {count:,} vertices, not the {made:,} that it was made with"
    else:
        rest = meshes.vertices(original.data).astype(float)
        rest = np.column_stack([rest, np.ones(len(rest))])
        now = meshes.vertices(copy.data)[: len(rest)]
        finite = np.isfinite(rest).all(1) & np.isfinite(now).all(1)
        linear = np.linalg.lstsq(rest[finite], now[finite], rcond=None)[0][:3]
        if np.abs(linear - np.identity(3)).max() < _SCULPTED:
            return
        done = "was scaled or turned (Apply)"
    raise FreeTalkError(
        f"The mesh of {copy.name} {done}; undo that, or delete {copy.name} and animate {original.name} again."
    )


def _opening(copy: bpy.types.Object, face: Face, shape: np.ndarray) -> Steps[None]:
    """The mouth opened, where the face has it so."""
    opened = face.opened
    if opened is None:
        return
    if not _is_identity(shape):
        opened = replace(opened, vertices=(opened.vertices @ np.linalg.inv(shape).T).astype(np.float32))
    yield from mouth.applying(copy, opened)


def _in_own_axes(keys: ShapeKeys, shape: np.ndarray) -> ShapeKeys:
    """Shape keys of the true shape in the object's own axes."""
    if _is_identity(shape):
        return keys
    return replace(keys, shapes=keys.shapes @ np.linalg.inv(shape).T.astype(np.float32))


def _is_identity(shape: np.ndarray) -> bool:
    return np.array_equal(shape, np.identity(3))


def _is_of(copy: bpy.types.Object, fingerprint: str) -> bool:
    """A talking copy was made of the face with this fingerprint."""
    return bool(fingerprint) and copy.get(FACE) == fingerprint


def takes_given_up(original: bpy.types.Object, fingerprint: str) -> int:
    """How many takes go with a copy that `talking` would replace, as its face had other landmarks or another mouth."""
    copy = copy_of(original)
    return 0 if copy is None or _is_of(copy, fingerprint) else len(takes.listed(copy))


def remembered(copy: bpy.types.Object) -> Face | None:
    """The bound face behind a talking copy; None where this session has not bound it."""
    return session.face(copy.get(FACE, ""))


def up(item: bpy.types.Object, face: Face) -> np.ndarray:
    """(3,) the face's own up in the world, of a face prepared from `read_face` of this object."""
    own = np.linalg.inv(meshes.to_true_shape(item)) @ face.frame.rotation[:, 1]
    return meshes.world(item)[:3, :3] @ own


def talking_object() -> bpy.types.Object:
    """The scene's talking copy; FreeTalkError where there is none."""
    found = [item for item in bpy.context.scene.objects if LANDMARKS in item and copy_of(item) is None]
    if not found:
        raise FreeTalkError("No object in this scene was animated by FreeTalk; animate one first.")
    return found[0]


def world_landmarks(item: bpy.types.Object) -> np.ndarray:
    """(68,3) landmarks of a talking copy in the world, where its modifiers take them in this frame.

    Where a negative scale mirrors the face, right and left are those of the face that is seen.
    """
    points = np.array(item[LANDMARKS]).reshape(COUNT, 3)
    world = meshes.world(item)
    placed = transformed(world, points + _posed(item, points))
    return placed[MIRRORED] if np.linalg.det(world[:3, :3]) < 0 else placed


def _posed(item: bpy.types.Object, points: np.ndarray) -> np.ndarray:
    """(P,3) how far modifiers move points of the resting mesh; nothing where they make other vertices than a
    subdivision's."""
    if not len(item.modifiers):
        return np.zeros_like(points)
    rest = meshes.vertices(item.data)
    with subdivided(item, 0):
        moved = meshes.posed(item)
    if len(moved) != len(rest):
        return np.zeros_like(points)
    nearest = meshes.nearest(rest, points)
    return moved[nearest] - rest[nearest]


@contextmanager
def subdivided(item: bpy.types.Object, times: int, where: bpy.types.Scene | None = None) -> Iterator[None]:
    """While one looks or renders: subdivision modifiers of a scene (None: the one at hand) divide so many times at
    most, and the object's quickly.

    A limit surface is prepared anew for each picture, seconds long, and looks the same.
    """
    render = (where or bpy.context.scene).render
    names = ("use_simplify", "simplify_subdivision", "simplify_subdivision_render")
    before = {name: getattr(render, name) for name in names}
    limited = [each for each in item.modifiers if each.type == "SUBSURF" and each.use_limit_surface]
    for name in names[1:]:
        setattr(render, name, min(times, before[name]) if render.use_simplify else times)
    render.use_simplify = True
    for modifier in limited:
        modifier.use_limit_surface = False
    try:
        yield
    finally:
        for modifier in limited:
            modifier.use_limit_surface = True
        for name, value in before.items():
            setattr(render, name, value)


def extend_range(first: int, last: int) -> None:
    """The scene plays and renders these frames too."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = min(scene.frame_start, first), max(scene.frame_end, last)


def landmarks_on(item: bpy.types.Object, points: np.ndarray) -> np.ndarray:
    """(68,3) points of a landmark file in the object's own axes.

    The file speaks its scan's coordinates, and importers turn them: the reading that lies on the mesh is taken, among
    the object's own axes (OBJ, PLY, STL), glTF's turned to Blender's, and the scene's. LandmarkError where none does.
    """
    into = np.linalg.inv(meshes.world(item))
    turns = (np.identity(4), into @ files.Y_UP, into, files.Y_UP)
    readings = [transformed(turn, points) for turn in turns]
    vertices = meshes.vertices(item.data)
    tree = cKDTree(vertices[np.isfinite(vertices).all(1)])
    distance = [float(tree.query(reading)[0].max() / np.linalg.norm(reading[45] - reading[36])) for reading in readings]
    best = int(np.argmin(distance))
    if distance[best] > FAR:
        raise LandmarkError(
            f"The landmarks lie {distance[best] * EYE_DISTANCE_MM:.0f} mm off {item.name} (eye distance taken as "
            f"{EYE_DISTANCE_MM:.0f} mm); they belong to another scan."
        )
    return readings[best]
