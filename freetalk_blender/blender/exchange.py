"""Triangles put in the place of some polygons of a Blender mesh, by whole arrays.

bmesh would do it too, but reads and writes all of a mesh at once: seconds of a heavy scan in which Blender's window
stands still. Here each attribute is a step of its own, and the arithmetic runs beside.
"""

from collections.abc import Callable
from dataclasses import dataclass

import bpy
import numpy as np

from ..core.surface import rows
from ..core.surface.edges import edges_of
from . import compat, meshes, steps
from .steps import Steps

#: Attribute data types, with the property that holds the values, its width and their kind.
_LAYOUT = {
    "FLOAT": ("value", 1, np.float32),
    "FLOAT2": ("vector", 2, np.float32),
    "FLOAT_VECTOR": ("vector", 3, np.float32),
    "FLOAT4": ("vector", 4, np.float32),
    "FLOAT_COLOR": ("color", 4, np.float32),
    "BYTE_COLOR": ("color", 4, np.float32),
    "QUATERNION": ("value", 4, np.float32),
    "FLOAT4X4": ("value", 16, np.float32),
    "INT": ("value", 1, np.int32),
    "INT8": ("value", 1, np.int32),
    "INT16_2D": ("value", 2, np.int32),
    "INT32_2D": ("value", 2, np.int32),
    "BOOLEAN": ("value", 1, bool),
    "STRING": ("value", 1, object),
}
#: Those that can be blended; the others are copied as they are.
_BLENDED = {"FLOAT", "FLOAT2", "FLOAT_VECTOR", "FLOAT4", "FLOAT_COLOR", "BYTE_COLOR"}
#: What the elements themselves are, which the exchange makes anew.
_STRUCTURE = {"position", ".edge_verts", ".corner_vert", ".corner_edge"}
_DOMAINS = ("POINT", "EDGE", "FACE", "CORNER")
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

    kept: domain -> numbers of the elements that stay; fresh (M,2): ends of the new edges; topology: all of it.
    """

    kept: dict[str, np.ndarray]
    fresh: np.ndarray
    topology: Topology

    def places(self, domain: str) -> np.ndarray:
        """Numbers of the new elements."""
        new = self.topology
        count = {"EDGE": len(new.ends), "FACE": len(new.start), "CORNER": len(new.corner_vertex)}[domain]
        return np.arange(len(self.kept[domain]), count)


def read(mesh: bpy.types.Mesh) -> Topology:
    """The polygons and edges of a mesh."""
    start = np.arange(0, len(mesh.loops), 3, dtype=np.int32)
    if not meshes.is_triangulated(mesh):
        start = meshes.of_each(mesh.polygons, "loop_start", kind=np.int32)
    edge = meshes.of_each(mesh.attributes[".corner_edge"].data, "value", kind=np.int32)
    ends = meshes.of_each(mesh.attributes[".edge_verts"].data, "value", 2, np.int32)
    return Topology(meshes.corner_vertices(mesh), edge, start, ends)


def planned(before: Topology, hit: np.ndarray, triangles: np.ndarray) -> Exchange:
    """Triangles (n,3) in place of the polygons `hit` (P,) bool."""
    gone = np.repeat(hit, np.diff(before.start, append=len(before.corner_vertex)))
    freed, used = np.zeros((2, len(before.ends)), bool)
    freed[before.corner_edge[gone]] = True
    kept_corners = np.flatnonzero(~gone)
    used[before.corner_edge[kept_corners]] = True
    fresh, of_corner = edges_of(triangles)
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
    return Exchange(kept, fresh, after)


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
    """All that the elements of a mesh carry, but their places and how they hang together; vertex groups apart."""
    found: Values = {domain: {} for domain in _DOMAINS}
    for name in [attribute.name for attribute in mesh.attributes]:
        attribute = mesh.attributes[name]
        if name not in _STRUCTURE and attribute.domain in found and attribute.data_type in _LAYOUT:
            found[attribute.domain][name] = values(attribute)
            yield
    return found


def values(attribute: bpy.types.Attribute) -> np.ndarray:
    """(n, width) what an attribute holds."""
    name, width, kind = _LAYOUT[attribute.data_type]
    if attribute.data_type == "STRING":
        return np.array([[entry.value] for entry in attribute.data], object).reshape(-1, 1)
    return meshes.of_each(attribute.data, name, width, kind).reshape(-1, width)


def write(attribute: bpy.types.Attribute, found: np.ndarray) -> None:
    """Let an attribute hold these (n, width)."""
    if attribute.data_type == "STRING":
        for entry, value in zip(attribute.data, found.ravel(), strict=True):
            entry.value = value
    else:
        attribute.data.foreach_set(_LAYOUT[attribute.data_type][0], np.ascontiguousarray(found).ravel())


def is_blended(mesh: bpy.types.Mesh, name: str) -> bool:
    """Has this attribute's value between two others a meaning?"""
    return mesh.attributes[name].data_type in _BLENDED


def is_colour(mesh: bpy.types.Mesh, name: str) -> bool:
    """Does this attribute hold colours?"""
    return mesh.attributes[name].data_type in ("FLOAT_COLOR", "BYTE_COLOR")


# The mesh -------------------------------------------------------------------------------------------------------------


def exchanging(
    mesh: bpy.types.Mesh,
    plan: Exchange,
    before: Values,
    new_points: np.ndarray,
    filled: Callable[[str, str, np.ndarray], np.ndarray],
) -> Steps[None]:
    """The mesh becomes what is planned, with new vertices (N,3) after its own.

    before: its attributes; filled(domain, name, values before) -> values (n, width) of the new elements. The vertex
    groups go, and shape keys have as many points as before: both are the caller's. The mesh is of no use before the
    end.
    """
    points = np.concatenate([values(mesh.attributes["position"]), new_points])
    kinds = {attribute.name: attribute.data_type for attribute in mesh.attributes}
    layers, attributes = mesh.uv_layers, mesh.attributes
    maps = [(layer.name, layer.active, layer.active_render, layer.active_clone) for layer in layers]
    colours, drawn = (attributes.active_color_name, attributes.default_color_name), _freestyle(mesh)
    yield
    mesh.clear_geometry()  # 5.2 crashes where edges, corners or polygons are added to others
    yield
    yield from _built(mesh, points, plan.topology)
    # 5.0 keeps numbers where edges are selected, of meshes whose edges it worked out itself.
    made = {attribute.name for attribute in attributes if attribute.data_type != kinds.get(attribute.name)}
    for domain in _DOMAINS:
        kept = plan.kept.get(domain)
        for name, old in before[domain].items():
            if name in made:
                continue
            attribute = attributes.get(name) or attributes.new(name, kinds[name], domain)
            new = np.concatenate([old if kept is None else old[kept], filled(domain, name, old)])
            write(attribute, new.astype(old.dtype))
            yield
    for domain, marked in drawn.items():
        new = np.zeros(len(_elements(mesh, domain)), bool)
        new[: len(plan.kept[domain])] = marked[plan.kept[domain]]
        _elements(mesh, domain).foreach_set(compat.FREESTYLE, new)
        yield
    for name in made:  # Blender selects what it adds
        attributes.remove(attributes[name])
    for name, *marks in maps:
        for mark, on in zip(("active", "active_render", "active_clone"), marks, strict=True):
            if on:
                setattr(layers[name], mark, True)
    attributes.active_color_name, attributes.default_color_name = colours


def _freestyle(mesh: bpy.types.Mesh) -> dict[str, np.ndarray]:
    """domain -> (n,) bool which edges or polygons are marked for Freestyle, where any is and no attribute says so."""
    found = {
        domain: meshes.of_each(_elements(mesh, domain), compat.FREESTYLE, kind=bool)
        for domain in compat.FREESTYLE_DOMAINS
    }
    return {domain: marks for domain, marks in found.items() if marks.any()}


def _elements(mesh: bpy.types.Mesh, domain: str) -> bpy.types.bpy_prop_collection:
    return mesh.edges if domain == "EDGE" else mesh.polygons


def _built(mesh: bpy.types.Mesh, points: np.ndarray, topology: Topology) -> Steps[None]:
    """Vertices (V,3), edges and polygons of an empty mesh."""
    for elements, content in (
        (mesh.vertices, points),
        (mesh.edges, topology.ends),
        (mesh.loops, topology.corner_vertex),
        (mesh.polygons, topology.start),
    ):
        elements.add(len(content))
        yield
    for name, content in (
        ("position", points),
        (".edge_verts", topology.ends),
        (".corner_vert", topology.corner_vertex),
        (".corner_edge", topology.corner_edge),
    ):
        write(mesh.attributes[name], content)
        yield
    mesh.polygons.foreach_set("loop_start", topology.start)
    yield


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
    own = Topology(*(part.astype(np.int32) for part in (corner_vertex, corner_edge, start, ends)))
    steps.run(_built(found, values(mesh.attributes["position"])[vertices], own))
    for name, domain, rows_of in (("sharp_edge", "EDGE", edges), ("sharp_face", "FACE", np.flatnonzero(polygons))):
        if name in mesh.attributes:
            attribute = found.attributes.get(name) or found.attributes.new(name, "BOOLEAN", domain)
            write(attribute, values(mesh.attributes[name])[rows_of])
    found.update(calc_edges_loose=True)
    return found, edges
