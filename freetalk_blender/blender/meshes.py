"""Blender objects as arrays."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from ..core.errors import MeshError
from ..core.landmarks import nearest_vertices
from ..core.surface.mesh import put_apart, touching
from .marks import SHAPE, copy_of, original_of


def of_each(elements: bpy.types.bpy_prop_collection, name: str, width: int = 1, kind: type = np.float32) -> np.ndarray:
    """(n,) or (n, width): a property of so many numbers of each of the elements, read all at once."""
    found: np.ndarray = np.empty(width * len(elements), kind)
    elements.foreach_get(name, found)
    return found if width == 1 else found.reshape(-1, width)


def pixels(image: bpy.types.Image) -> np.ndarray:
    """(4 width height,) float32 what an image shows, row by row from below."""
    found = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(found)
    return found


def vertices(mesh: bpy.types.Mesh) -> np.ndarray:
    """(V,3) float32 neutral positions in the object's own axes: the basis shape where there are shape keys."""
    return places(mesh.shape_keys.reference_key) if mesh.shape_keys else _positions(mesh)


def _positions(mesh: bpy.types.Mesh) -> np.ndarray:
    return of_each(mesh.attributes["position"].data, "vector", 3)


@contextmanager
def evaluated(item: bpy.types.Object) -> Iterator[bpy.types.Mesh]:
    """The mesh that the object's modifiers make in this frame, in its own axes."""
    found = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    try:
        yield found.to_mesh()
    finally:
        found.to_mesh_clear()


def posed(item: bpy.types.Object) -> np.ndarray:
    """(N,3) float32 vertices as the object's modifiers make them in this frame, in its own axes."""
    with evaluated(item) as mesh:
        return _positions(mesh)


def nearest(vertices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P,) the vertex (V,3) nearest to each point (P,3), of those whose places are finite."""
    finite = np.flatnonzero(np.isfinite(vertices).all(1))
    return finite[nearest_vertices(points, vertices[finite])]


def surface(mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray]:
    """vertices (V,3) and triangles (F,3), with lips that touch at rest apart where the mesh's shape keys part them."""
    points, faces = vertices(mesh), triangles(mesh)
    if not mesh.shape_keys:
        return points, faces
    border, pairs = touching(points, faces)
    if not len(pairs):
        return points, faces
    moved = (places(block)[border] - places(block.relative_key)[border] for block in mesh.shape_keys.key_blocks)
    return put_apart(points, faces, border, pairs, moved), faces


def places(block: bpy.types.ShapeKey) -> np.ndarray:
    """(V,3) float32 vertices of a shape key."""
    return of_each(block.points, "co", 3)


def triangles(mesh: bpy.types.Mesh) -> np.ndarray:
    """(F,3) int32 corners of the polygons' triangles."""
    return corner_vertices(mesh)[triangle_corners(mesh)]


def corner_vertices(mesh: bpy.types.Mesh) -> np.ndarray:
    """(C,) int32 vertex of each corner of a polygon."""
    return of_each(mesh.attributes[".corner_vert"].data, "value", kind=np.int32)


def triangle_corners(mesh: bpy.types.Mesh) -> np.ndarray:
    """(F,3) int32 corners (loops) of the polygons' triangles, in the order of Blender's own loop_triangles."""
    if is_triangulated(mesh):
        return np.arange(len(mesh.loops), dtype=np.int32).reshape(-1, 3)
    mesh.calc_loop_triangles()
    return of_each(mesh.loop_triangles, "loops", 3, np.int32)


def triangle_uvs(mesh: bpy.types.Mesh) -> np.ndarray | None:
    """(F,3,2) float32 texture coordinates of those triangles' corners in the active UV map; None without one."""
    if mesh.uv_layers.active is None:
        return None
    return of_each(mesh.uv_layers.active.uv, "vector", 2)[triangle_corners(mesh)]


def triangle_polygons(mesh: bpy.types.Mesh) -> np.ndarray:
    """(F,) int32 polygon of each of those triangles."""
    if is_triangulated(mesh):
        return np.arange(len(mesh.polygons), dtype=np.int32)
    mesh.calc_loop_triangles()
    return of_each(mesh.loop_triangles, "polygon_index", kind=np.int32)


def is_triangulated(mesh: bpy.types.Mesh) -> bool:
    """Is every polygon a triangle (none has fewer corners), as scans are? Then nothing has to be worked out."""
    return len(mesh.loops) == 3 * len(mesh.polygons)


def selected(mesh: bpy.types.Mesh) -> np.ndarray:
    """(V,) bool: vertices that edit mode left selected."""
    kept = mesh.attributes.get(".select_vert")
    return np.zeros(len(mesh.vertices), bool) if kept is None else of_each(kept.data, "value", kind=bool)


def smooth(mesh: bpy.types.Mesh) -> None:
    """Shade smoothly what came without normals: facets are no part of a scan, and they triple the size of a glTF."""
    flat = mesh.attributes.get("sharp_face")
    if mesh.has_custom_normals or flat is None or flat.domain != "FACE":
        return
    if of_each(flat.data, "value", kind=bool).all():
        mesh.shade_smooth()


def world(item: bpy.types.Object) -> np.ndarray:
    """(4,4) object to world, float64."""
    return np.array(item.matrix_world, dtype=np.float64)


def to_true_shape(item: bpy.types.Object) -> np.ndarray:
    """(3,3) from the object's own axes to axes in which the face has the proportions that the person sees.

    Those of a talking copy are as they were when it was made, and those of its original, too, as long as both are
    stretched alike: an animation may stretch them otherwise in each frame.
    """
    copy, now = copy_of(original_of(item)), _stretch(item)
    if copy is None or SHAPE not in copy:
        return now
    is_alike = item == copy or np.allclose(now, _stretch(copy), rtol=0, atol=1e-3 * np.abs(now).max())
    return np.array(copy[SHAPE]).reshape(3, 3) if is_alike else now


def _stretch(item: bpy.types.Object) -> np.ndarray:
    """(3,3) identity, unless the object is scaled unevenly: then the stretch of its transform, which no turn changes
    (the symmetric factor of the polar decomposition), rounded, so that it is the same wherever an animation takes it.
    """
    linear = world(item)[:3, :3]
    squares, axes = np.linalg.eigh(linear.T @ linear)
    stretch = np.sqrt(squares)
    if np.ptp(stretch) <= 1e-4 * stretch.max():
        return np.identity(3)
    return np.round((axes * stretch) @ axes.T, 4 - math.floor(math.log10(stretch.max()))) + 0.0  # no -0.0


def check(item: bpy.types.Object) -> None:
    """MeshError where the object cannot be read or take relative shape keys, or has half of its surface from a
    modifier."""
    if item is None or item.type != "MESH":
        raise MeshError("Choose a mesh object; this one has no mesh.")
    if item.data.is_editmode:
        raise MeshError(f"The mesh of {item.name} is in Edit Mode; leave that first (Tab).")
    if not len(item.data.polygons):
        raise MeshError(f"The object {item.name} has no faces; choose a mesh with a surface.")
    if item.data.shape_keys and not item.data.shape_keys.use_relative:
        raise MeshError(
            f"The object {item.name} uses absolute shape keys, which cannot be added to; tick Relative there."
        )
    if any(modifier.type == "MIRROR" and modifier.show_viewport for modifier in item.modifiers):
        raise MeshError(f"The object {item.name} has a Mirror modifier; apply it or remove it first.")
