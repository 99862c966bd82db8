"""Triangles put in the place of some polygons of a Blender mesh, by whole arrays.

bmesh would do it too, but reads and writes all of a mesh at once: seconds of a heavy scan in which Blender's window
stands still. Here each attribute is a step of its own, and the arithmetic runs beside.
"""

from collections.abc import Callable
from dataclasses import dataclass

import bmesh
import bpy
import numpy as np

from ..core import rows
from . import meshes
from .steps import Steps

#: Attribute data types that can be blended, with the property that holds the values and its width.
BLENDED = {
    "FLOAT": ("value", 1),
    "FLOAT2": ("vector", 2),
    "FLOAT_VECTOR": ("vector", 3),
    "FLOAT_COLOR": ("color", 4),
    "BYTE_COLOR": ("color", 4),
}
#: The others are copied as they are.
_COPIED = {
    "INT": ("value", 1),
    "INT8": ("value", 1),
    "INT16_2D": ("value", 2),
    "INT32_2D": ("value", 2),
    "BOOLEAN": ("value", 1),
    "QUATERNION": ("value", 4),
    "FLOAT4X4": ("value", 16),
    "STRING": ("value", 1),
}
_KINDS = {"BOOLEAN": bool, "STRING": object} | dict.fromkeys((*BLENDED, "QUATERNION", "FLOAT4X4"), np.float32)
#: What the elements themselves are, which the exchange makes anew.
_STRUCTURE = {"position", ".edge_verts", ".corner_vert", ".corner_edge"}
DOMAINS = ("POINT", "EDGE", "FACE", "CORNER")
#: domain -> name -> (n, width) values.
Values = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Topology:
    """Corners of polygons: vertex and edge (C,), first one of each polygon (P,); ends of the edges (E,2)."""

    corner_vertex: np.ndarray
    corner_edge: np.ndarray
    start: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Exchange:
    """A mesh to be: after what is kept of each domain, in its order, come n triangles and the edges they lack.

    kept: domain -> numbers of the elements that stay; bare: edges (B,) that no polygon has any more; fresh (M,2): ends
    of the new edges; topology: all of it.
    """

    kept: dict[str, np.ndarray]
    bare: np.ndarray
    fresh: np.ndarray
    topology: Topology

    def places(self, domain: str) -> np.ndarray:
        """Numbers of the new elements."""
        new = self.topology
        count = {"EDGE": len(new.ends), "FACE": len(new.start), "CORNER": len(new.corner_vertex)}[domain]
        return np.arange(len(self.kept[domain]), count)


def read(mesh: bpy.types.Mesh) -> Topology:
    """The polygons and edges of a mesh."""
    found = {}
    for name, width in ((".corner_vert", 1), (".corner_edge", 1), (".edge_verts", 2)):
        data = mesh.attributes[name].data
        found[name] = np.empty(len(data) * width, np.int32)
        data.foreach_get("value", found[name])
    start = np.arange(0, len(mesh.loops), 3, dtype=np.int32)
    if not meshes.is_triangulated(mesh):
        mesh.polygons.foreach_get("loop_start", start := np.empty(len(mesh.polygons), np.int32))
    return Topology(found[".corner_vert"], found[".corner_edge"], start, found[".edge_verts"].reshape(-1, 2))


def planned(before: Topology, hit: np.ndarray, triangles: np.ndarray) -> Exchange:
    """Triangles (n,3) in place of the polygons `hit` (P,) bool."""
    gone = np.repeat(hit, np.diff(before.start, append=len(before.corner_vertex)))
    freed, used = np.zeros((2, len(before.ends)), bool)
    freed[before.corner_edge[gone]] = True
    kept_corners = np.flatnonzero(~gone)
    used[before.corner_edge[kept_corners]] = True
    ends = np.stack([triangles, np.roll(triangles, -1, axis=1)], 2).reshape(-1, 2)
    distinct, of_corner = np.unique(rows.keys(np.sort(ends, axis=1)), return_index=True, return_inverse=True)[1:]
    fresh = np.sort(ends[distinct], axis=1)
    known = find_edges(before.ends, fresh)
    used[known[known >= 0]] = True
    kept_edges = np.flatnonzero(used | ~freed)
    number = np.full(len(before.ends), -1, np.int32)
    number[kept_edges] = np.arange(len(kept_edges))
    fresh = fresh[known < 0]
    edge = np.empty(len(known), np.int32)
    edge[known >= 0] = number[known[known >= 0]]
    edge[known < 0] = len(kept_edges) + np.arange(len(fresh))
    kept_polygons = np.flatnonzero(~hit)
    sizes = np.diff(before.start, append=len(before.corner_vertex))[kept_polygons]
    sizes = np.concatenate([[0], sizes, np.full(len(triangles), 3)])[:-1]
    after = Topology(
        np.concatenate([before.corner_vertex[kept_corners], triangles.ravel()]).astype(np.int32),
        np.concatenate([number[before.corner_edge[kept_corners]], edge[of_corner.ravel()]]),
        np.cumsum(sizes).astype(np.int32),
        np.concatenate([before.ends[kept_edges], fresh]).astype(np.int32),
    )
    kept = {"EDGE": kept_edges, "FACE": kept_polygons, "CORNER": kept_corners}
    return Exchange(kept, np.flatnonzero(freed & ~used), fresh, after)


def find_edges(ends: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(M,) number of the edge among (E,2) that has the ends `wanted` (M,2), lower one first; -1 where none has."""
    touched = np.zeros(max(int(ends.max(initial=-1)), int(wanted.max(initial=-1))) + 1, bool)
    touched[wanted] = True
    near = np.flatnonzero(touched[ends].all(1))
    found = np.full(len(wanted), -1)
    if len(near) and len(wanted):
        keys = rows.keys(np.concatenate([np.sort(ends[near], axis=1), wanted]))
        order = np.argsort(keys[: len(near)], kind="stable")
        at = order[np.searchsorted(keys[: len(near)][order], keys[len(near) :]).clip(max=len(near) - 1)]
        same = keys[at] == keys[len(near) :]
        found[same] = near[at[same]]
    return found


# Attributes -----------------------------------------------------------------------------------------------------------


def attributes(mesh: bpy.types.Mesh) -> Steps[Values]:
    """All that the elements of a mesh carry, but their places and how they hang together."""
    found: Values = {domain: {} for domain in DOMAINS}
    for name in [attribute.name for attribute in mesh.attributes]:
        attribute = mesh.attributes[name]
        if name not in _STRUCTURE and attribute.domain in found and attribute.data_type in BLENDED | _COPIED:
            found[attribute.domain][name] = values(attribute)
            yield
    return found


def values(attribute: bpy.types.Attribute) -> np.ndarray:
    """(n, width) what an attribute holds."""
    name, width = (BLENDED | _COPIED)[attribute.data_type]
    if attribute.data_type == "STRING":
        return np.array([[entry.value] for entry in attribute.data], object).reshape(-1, 1)
    found = np.empty(len(attribute.data) * width, np.dtype(_KINDS.get(attribute.data_type, np.int32)))
    attribute.data.foreach_get(name, found)
    return found.reshape(-1, width)


def write(attribute: bpy.types.Attribute, found: np.ndarray) -> None:
    """Let an attribute hold these (n, width)."""
    if attribute.data_type == "STRING":
        for entry, value in zip(attribute.data, found.ravel(), strict=True):
            entry.value = value
    else:
        attribute.data.foreach_set((BLENDED | _COPIED)[attribute.data_type][0], np.ascontiguousarray(found).ravel())


def is_blended(mesh: bpy.types.Mesh, name: str) -> bool:
    """Has this attribute's value between two others a meaning?"""
    return mesh.attributes[name].data_type in BLENDED


# The mesh -------------------------------------------------------------------------------------------------------------


def exchanging(
    item: bpy.types.Object,
    plan: Exchange,
    before: Values,
    new_points: np.ndarray,
    filled: Callable[[str, str, np.ndarray], np.ndarray],
) -> Steps[None]:
    """The object's mesh becomes what is planned, with new vertices (N,3) after its own.

    before: its attributes; filled(domain, name, values before) -> values (n, width) of the new elements. Vertex groups
    and shape keys of the new vertices are the caller's. The mesh is of no use before the end.
    """
    mesh, count = item.data, len(item.data.vertices)
    positions = np.empty(3 * count, np.float32)
    mesh.attributes["position"].data.foreach_get("vector", positions)
    after = plan.topology
    if _is_shorter(mesh, plan) or any(modifier.type == "MULTIRES" for modifier in item.modifiers):
        _shorten(mesh, plan)
        yield
    for elements, length in (
        (mesh.vertices, count + len(new_points)),
        (mesh.edges, len(after.ends)),
        (mesh.loops, len(after.corner_vertex)),
        (mesh.polygons, len(after.start)),
    ):
        elements.add(length - len(elements))
        yield
    mesh.attributes["position"].data.foreach_set("vector", np.concatenate([positions, new_points.ravel()]))
    mesh.attributes[".edge_verts"].data.foreach_set("value", after.ends.ravel())
    mesh.attributes[".corner_vert"].data.foreach_set("value", after.corner_vertex)
    yield
    mesh.attributes[".corner_edge"].data.foreach_set("value", after.corner_edge)
    yield
    mesh.polygons.foreach_set("loop_start", after.start)
    yield
    for domain in DOMAINS:
        kept = plan.kept.get(domain)
        for name, old in before[domain].items():
            if name not in mesh.attributes:  # bmesh leaves out what is false everywhere
                continue
            new = np.concatenate([old if kept is None else old[kept], filled(domain, name, old)])
            write(mesh.attributes[name], new.astype(old.dtype))
            yield
    made = [a.name for a in mesh.attributes if a.name.startswith(".select_") and a.name not in before[a.domain]]
    for name in made:  # Blender selects what it adds
        mesh.attributes.remove(mesh.attributes[name])


def piece(mesh: bpy.types.Mesh, topology: Topology, polygons: np.ndarray) -> tuple[bpy.types.Mesh, np.ndarray]:
    """Some polygons (P,) bool of a mesh as a mesh of their own, in their order, as sharp as they are.

    topology: the whole mesh's. The second answer: the numbers there of the piece's edges.
    """
    sizes = np.diff(topology.start, append=len(topology.corner_vertex))
    corners = np.flatnonzero(np.repeat(polygons, sizes))
    vertices, corner_vertex = np.unique(topology.corner_vertex[corners], return_inverse=True)
    edges, corner_edge = np.unique(topology.corner_edge[corners], return_inverse=True)
    ends = np.searchsorted(vertices, topology.ends[edges])
    start = np.concatenate([[0], np.cumsum(sizes[polygons])[:-1]])
    found = bpy.data.meshes.new(mesh.name)
    found.vertices.add(len(vertices))
    found.edges.add(len(edges))
    found.loops.add(len(corners))
    found.polygons.add(len(start))
    write(found.attributes["position"], values(mesh.attributes["position"])[vertices])
    for name, numbers in ((".edge_verts", ends), (".corner_vert", corner_vertex), (".corner_edge", corner_edge)):
        write(found.attributes[name], numbers.astype(np.int32))
    found.polygons.foreach_set("loop_start", start.astype(np.int32))
    for name, domain, rows_of in (("sharp_edge", "EDGE", edges), ("sharp_face", "FACE", np.flatnonzero(polygons))):
        if name in mesh.attributes:
            own = found.attributes.get(name) or found.attributes.new(name, "BOOLEAN", domain)
            write(own, values(mesh.attributes[name])[rows_of])
    found.update(calc_edges_loose=True)
    return found, edges


def _is_shorter(mesh: bpy.types.Mesh, plan: Exchange) -> bool:
    after = plan.topology
    now = len(mesh.edges), len(mesh.loops), len(mesh.polygons)
    return any(np.array(now) > (len(after.ends), len(after.corner_vertex), len(after.start)))


def _shorten(mesh: bpy.types.Mesh, plan: Exchange) -> None:
    """Take out what goes: Blender has arrays of a mesh grow only, and those of multires are seen by bmesh alone."""
    bm = bmesh.new()
    try:
        bm.from_mesh(mesh, face_normals=False, vertex_normals=False)
        bm.faces.ensure_lookup_table()
        bm.edges.ensure_lookup_table()
        gone = np.setdiff1d(np.arange(len(bm.faces)), plan.kept["FACE"])
        bare = [bm.edges[number] for number in plan.bare.tolist()]
        bmesh.ops.delete(bm, geom=[bm.faces[number] for number in gone.tolist()], context="FACES_ONLY")
        bmesh.ops.delete(bm, geom=bare, context="EDGES_FACES")  # their vertices stay: they keep the numbers right
        bm.to_mesh(mesh)
    finally:
        bm.free()
