"""A cut mouth put into a Blender mesh, with everything that the mesh carries.

bmesh makes the topology, so vertex groups, face maps, seams and existing shape keys stay where they are; attributes of
the new vertices and corners are then blended by the weights that `core.mouth` gives for each.
"""

from collections.abc import Iterator

import bmesh
import bpy
import numpy as np

from ..core import rows
from ..core.opened_mouth import BAG, GUM, HOLLOW, IRIS, PUPIL, SCLERA, SKIN, TONGUE, TOOTH, OpenedMouth
from . import meshes, steps
from .steps import Steps

#: Materials of what lies behind the lips and lids: name, colour, roughness and the parts that have it. The mouth's are
#: as dark as a mouth is, for few viewers cast shadows into it.
MATERIAL = "FreeTalk mouth"
MATERIALS = (
    (MATERIAL, (0.012, 0.003, 0.003, 1.0), 1.0, (BAG, HOLLOW)),
    ("FreeTalk teeth", (0.42, 0.38, 0.31, 1.0), 0.35, (TOOTH,)),
    ("FreeTalk gums and tongue", (0.11, 0.022, 0.02, 1.0), 0.6, (GUM, TONGUE)),
    ("FreeTalk eye white", (0.62, 0.57, 0.53, 1.0), 0.25, (SCLERA,)),
    ("FreeTalk iris", (0.09, 0.05, 0.025, 1.0), 0.2, (IRIS,)),
    ("FreeTalk pupil", (0.002, 0.002, 0.002, 1.0), 0.15, (PUPIL,)),
)
#: Attribute data types that can be blended, with the property that holds the values and its width.
_BLENDED = {
    "FLOAT": ("value", 1),
    "FLOAT2": ("vector", 2),
    "FLOAT_VECTOR": ("vector", 3),
    "FLOAT_COLOR": ("color", 4),
    "BYTE_COLOR": ("color", 4),
}
#: The others take the value of the heaviest corner or vertex.
_COPIED = {"INT": ("value", 1), "INT8": ("value", 1), "BOOLEAN": ("value", 1), "INT32_2D": ("value", 2)}
_FACE, _CORNER = "freetalk_face", "freetalk_corner"


def apply(item: bpy.types.Object, opened: OpenedMouth) -> None:
    """Open the mouth of the object's mesh, in place.

    opened: what core.mouth.open_lips answers for meshes.vertices and meshes.triangles of this mesh. The mesh's vertices
    keep their numbers. The object must own its mesh (one user) and be out of edit mode.
    """
    steps.run(applying(item, opened))


def applying(item: bpy.types.Object, opened: OpenedMouth) -> Steps[None]:
    """The same, step by step; closed before its end, it leaves a mesh that is of no use any more."""
    mesh = item.data
    corners, polygons = meshes.triangle_corners(mesh), meshes.triangle_polygons(mesh)
    hit, hollow = _changed_polygons(mesh, polygons, opened), _hollow_polygons(polygons, opened)
    added = np.arange(len(opened.triangles)) >= opened.kept
    faces = _without_twins(opened.triangles, added | hit[polygons[opened.triangle_source]])
    before = {domain: dict(_read(mesh, domain)) for domain in ("POINT", "CORNER")}
    normals = _corner_normals(mesh) if mesh.has_custom_normals else None
    _number(mesh, _FACE, "FACE", len(mesh.polygons))
    _number(mesh, _CORNER, "CORNER", len(mesh.loops))
    yield
    yield from _rebuilding(mesh, opened, faces, polygons, np.flatnonzero(hit))

    new_polygons, new_corners, old_corners, from_corner = _places(mesh, len(faces))
    weights = _corner_weights(opened, faces)
    sources = corners[opened.triangle_source[faces]]
    yield
    _blend_corners(mesh, before["CORNER"], new_corners, sources, weights)
    yield
    _blend_points(mesh, before["POINT"], opened)
    yield
    _paint(mesh, opened.part[faces], new_polygons, hollow)
    if normals is not None:
        yield
        _restore_normals(mesh, normals, opened, faces, (new_corners, old_corners, from_corner), sources, weights)
    for name in (_FACE, _CORNER):
        mesh.attributes.remove(mesh.attributes[name])
    yield
    mesh.update()


# What is there before -------------------------------------------------------------------------------------------------


def _without_twins(triangles: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Rows of the triangles (G,3) that are `new` (G,), without those whose three corners another one has already:
    Blender takes a face once."""
    near = np.isin(triangles, triangles[new]).all(1)
    order = np.concatenate([np.flatnonzero(near & ~new), np.flatnonzero(new)])
    kept = np.sort(order[rows.first(np.sort(triangles[order], axis=1))])
    return kept[new[kept]]


def _changed_polygons(mesh: bpy.types.Mesh, polygons: np.ndarray, opened: OpenedMouth) -> np.ndarray:
    """(P,) bool: polygons with a triangle that was cut or taken out; polygons (F,): the one of each triangle."""
    changed = np.ones(len(polygons), bool)
    changed[opened.triangle_source[: opened.kept]] = False
    hit = np.zeros(len(mesh.polygons), bool)
    hit[polygons[changed]] = True
    return hit


def _hollow_polygons(polygons: np.ndarray, opened: OpenedMouth) -> np.ndarray:
    """Polygons with a triangle inside the scan's own mouth."""
    inside = opened.triangle_source[: opened.kept][opened.part[: opened.kept] == HOLLOW]
    return np.unique(polygons[inside])


def _read(mesh: bpy.types.Mesh, domain: str) -> Iterator[tuple[str, np.ndarray]]:
    """Name and values (n, width) of the attributes of one domain that new elements have to be given."""
    for attribute in mesh.attributes:
        kind = (_BLENDED | _COPIED).get(attribute.data_type)
        if attribute.domain == domain and kind and not attribute.name.startswith(".") and attribute.name != "position":
            yield attribute.name, _values(attribute)[0]


def _corner_normals(mesh: bpy.types.Mesh) -> np.ndarray:
    normals = np.empty(3 * len(mesh.loops), np.float32)
    mesh.corner_normals.foreach_get("vector", normals)
    return normals.reshape(-1, 3)


def _number(mesh: bpy.types.Mesh, name: str, domain: str, count: int) -> None:
    attribute = mesh.attributes.new(name, "INT", domain)
    attribute.data.foreach_set("value", np.arange(1, count + 1, dtype=np.int32))


# The new topology -----------------------------------------------------------------------------------------------------


def _rebuilding(
    mesh: bpy.types.Mesh, opened: OpenedMouth, faces: np.ndarray, polygons: np.ndarray, hit: np.ndarray
) -> Steps[None]:
    """Exchange the changed polygons `hit` for new faces; the loops here are over the mouth alone.

    polygons (F,): the one of each old triangle.
    """
    shapes = _shapes(mesh, opened)
    yield
    bm = bmesh.new()
    try:
        bm.from_mesh(mesh, face_normals=False, vertex_normals=False)
        yield
        _exchange(bm, opened, faces, polygons, hit.tolist(), len(mesh.vertices), shapes)
        yield
        bm.to_mesh(mesh)
    finally:
        bm.free()
    yield


def _exchange(
    bm: bmesh.types.BMesh,
    opened: OpenedMouth,
    faces: np.ndarray,
    polygons: np.ndarray,
    hit: list[int],
    count: int,
    shapes: dict[str, np.ndarray],
) -> None:
    """The new faces in place of the old ones; count: vertices that were there before."""
    bm.verts.ensure_lookup_table()
    bm.faces.ensure_lookup_table()
    source = opened.source[count:].tocsr()
    wanted = np.unique(np.concatenate([opened.triangles[faces].ravel(), source.indices]))
    verts = {number: bm.verts[number] for number in wanted[wanted < count].tolist()}
    old_faces = [bm.faces[number] for number in hit]
    examples = [bm.faces[number] for number in polygons[opened.triangle_source[faces]].tolist()]
    new = _new_vertices(bm, verts, opened, count)
    verts |= dict(enumerate(new, count))
    for name, moved in shapes.items():
        layer = bm.verts.layers.shape[name]
        for vertex, place in zip(new, moved.tolist(), strict=True):
            vertex[layer] = place
    number = bm.faces.layers.int[_FACE]
    old_edges = {edge for face in old_faces for edge in face.edges}
    # Old faces go first: a new face may have the same three corners as one of them.
    looks = [(face.material_index, face.smooth, face.hide) for face in examples]
    layers = _face_layers(bm, examples)
    bmesh.ops.delete(bm, geom=old_faces, context="FACES_ONLY")
    is_skin = np.isin(opened.part[faces], (SKIN, HOLLOW)).tolist()
    for row, (corners, look, skin) in enumerate(zip(opened.triangles[faces].tolist(), looks, is_skin, strict=True)):
        face = bm.faces.new([verts[corner] for corner in corners])
        face.material_index, face.smooth, face.hide = look[0], look[1] or not skin, look[2]
        for layer, values in layers:
            face[layer] = values[row]
        face[number] = -(row + 1)
    _inherit_edges(new, old_edges, opened)
    bare = [edge for edge in old_edges if edge.is_valid and not edge.link_faces]
    bmesh.ops.delete(bm, geom=bare, context="EDGES_FACES")  # their vertices stay: they keep the numbers right


def _shapes(mesh: bpy.types.Mesh, opened: OpenedMouth) -> dict[str, np.ndarray]:
    """Name and places (N,3) of the new vertices in each existing shape key: they move as the skin around them does."""
    if not mesh.shape_keys:
        return {}
    count = len(mesh.vertices)
    basis = np.empty(3 * count, np.float32)
    mesh.shape_keys.reference_key.points.foreach_get("co", basis)
    answer = {}
    for block in mesh.shape_keys.key_blocks:
        shape = np.empty(3 * count, np.float32)
        block.points.foreach_get("co", shape)
        moved = opened.carried((opened.source[: opened.skin_count] @ (shape - basis).reshape(-1, 3))[None])
        answer[block.name] = opened.vertices[count:] + moved[0, count:]
    return answer


def _new_vertices(bm: bmesh.types.BMesh, old: dict, opened: OpenedMouth, count: int) -> list:
    """The new vertices, with the vertex groups of the two heaviest vertices that each comes from."""
    source = opened.source[count:].tocsr()
    new = []
    for row, place in enumerate(opened.vertices[count:].tolist()):
        span = slice(source.indptr[row], source.indptr[row + 1])
        order = np.argsort(-source.data[span])[:2]
        parents, weights = source.indices[span][order], source.data[span][order]
        vertex = bm.verts.new(place, old[parents[0]])
        if len(parents) > 1:
            vertex.copy_from_vert_interp([old[parent] for parent in parents], float(weights[1] / weights.sum()))
            vertex.co = place
        new.append(vertex)
    bm.verts.index_update()
    return new


def _face_layers(bm: bmesh.types.BMesh, examples: list) -> list[tuple]:
    """Custom face layers with their values for each new face."""
    kinds = [getattr(bm.faces.layers, kind, {}) for kind in ("int", "float", "string", "bool")]  # 4.2 has no bool
    layers = [layer for kind in kinds for layer in kind.values()]
    return [(layer, [face[layer] for face in examples]) for layer in layers if layer.name != _FACE]


def _inherit_edges(new: list, old_edges: set, opened: OpenedMouth) -> None:
    """Pieces of a marked edge (seam, sharp) are marked as it was; new: the new vertices, in order."""
    marked = {}
    for edge in old_edges:
        if edge.is_valid and (edge.seam or not edge.smooth):
            marked[frozenset(vertex.index for vertex in edge.verts)] = (edge.seam, edge.smooth)
    if not marked:
        return
    source = opened.source.tocsr()

    def parents(index: int) -> set[int]:
        return set(source.indices[source.indptr[index] : source.indptr[index + 1]].tolist())

    for vertex in new:
        if vertex.index >= opened.skin_count:
            break
        for edge in vertex.link_edges:
            ends = [end.index for end in edge.verts]
            if max(ends) < opened.skin_count:
                mark = marked.get(frozenset(parents(ends[0]) | parents(ends[1])))
                if mark:
                    edge.seam, edge.smooth = mark


# What the new elements look like --------------------------------------------------------------------------------------


def _places(mesh: bpy.types.Mesh, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Polygon (N,) and corners (N,3) of each new face; corners that were there before, and the corner each was."""
    number = np.empty(len(mesh.polygons), np.int32)
    mesh.attributes[_FACE].data.foreach_get("value", number)
    start = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_start", start)
    was = np.empty(len(mesh.loops), np.int32)
    mesh.attributes[_CORNER].data.foreach_get("value", was)
    polygons = np.empty(count, np.int32)
    new = np.flatnonzero(number < 0)
    polygons[-number[new] - 1] = new
    corners = start[polygons][:, None] + np.arange(3)
    old = np.ones(len(mesh.loops), bool)
    old[corners] = False
    kept = np.flatnonzero(old)
    return polygons, corners, kept, was[kept] - 1


def _corner_weights(opened: OpenedMouth, faces: np.ndarray) -> np.ndarray:
    """(N,3,3) weights of each new face's corners in its source triangle; identity for triangles kept as they were."""
    weights = np.tile(np.eye(3), (len(faces), 1, 1))
    new = faces >= opened.kept
    weights[new] = opened.corner_weights[faces[new] - opened.kept]
    return weights


def _blend_corners(
    mesh: bpy.types.Mesh, before: dict[str, np.ndarray], corners: np.ndarray, sources: np.ndarray, weights: np.ndarray
) -> None:
    for name, old in before.items():
        attribute = mesh.attributes.get(name)
        if attribute is None:
            continue
        values, data = _values(attribute)
        if attribute.data_type in _BLENDED:
            values[corners] = np.einsum("fks,fsw->fkw", weights, old[sources])
        else:
            values[corners] = old[np.take_along_axis(sources, weights.argmax(2), 1)]
        attribute.data.foreach_set(data, values.ravel())


def _blend_points(mesh: bpy.types.Mesh, before: dict[str, np.ndarray], opened: OpenedMouth) -> None:
    for name, old in before.items():
        attribute = mesh.attributes.get(name)
        if attribute is None:
            continue
        values, data = _values(attribute)
        source = opened.source[len(old) :]
        if attribute.data_type in _BLENDED:
            values[len(old) :] = source @ old
        else:
            heaviest = np.asarray(source.argmax(1)).ravel()
            values[len(old) :] = old[heaviest]
        attribute.data.foreach_set(data, values.ravel())


def _values(attribute: bpy.types.Attribute) -> tuple[np.ndarray, str]:
    data, width = (_BLENDED | _COPIED)[attribute.data_type]
    kind = np.float32 if attribute.data_type in _BLENDED else bool if attribute.data_type == "BOOLEAN" else np.int32
    values = np.empty(len(attribute.data) * width, np.dtype(kind))
    attribute.data.foreach_get(data, values)
    return values.reshape(-1, width), data


def _paint(mesh: bpy.types.Mesh, new_part: np.ndarray, polygons: np.ndarray, hollow: np.ndarray) -> None:
    """The inside of the mouth gets materials of its own; without any before, slot 0 stays empty for the skin.

    new_part (N,) of the new faces, which are the polygons (N,); hollow: old polygons inside the scan's own mouth.
    """
    if not len(mesh.materials):
        mesh.materials.append(None)
    index = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("material_index", index)
    part = np.full(len(mesh.polygons), SKIN)
    number = np.empty(len(mesh.polygons), np.int32)
    mesh.attributes[_FACE].data.foreach_get("value", number)
    part[np.isin(number, hollow + 1)] = HOLLOW
    part[polygons] = new_part
    # A mouth that the artist gave a material of its own keeps it.
    part[(part == HOLLOW) & (index != np.bincount(index[part == SKIN]).argmax())] = SKIN
    for name, colour, roughness, parts in MATERIALS:
        if not np.isin(part, parts).any():
            continue
        material = _material(name, colour, roughness)
        names = [slot.name if slot else None for slot in mesh.materials]
        if material.name not in names:
            mesh.materials.append(material)
            names.append(material.name)
        index[np.isin(part, parts)] = names.index(material.name)
    mesh.polygons.foreach_set("material_index", index)


def _material(name: str, colour: tuple[float, ...], roughness: float) -> bpy.types.Material:
    found = bpy.data.materials.get(name)
    if found:
        return found
    material = bpy.data.materials.new(name)
    material.diffuse_color, material.roughness, material.specular_intensity = colour, roughness, 0.0
    if not material.use_nodes:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = colour
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Specular IOR Level"].default_value = 0.0 if roughness == 1.0 else 0.3
    return material


def _restore_normals(
    mesh: bpy.types.Mesh,
    normals: np.ndarray,
    opened: OpenedMouth,
    faces: np.ndarray,
    places: tuple[np.ndarray, np.ndarray, np.ndarray],
    sources: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Custom normals as they were; the cut skin keeps the blend of its own, the inside of the mouth has none (zero)."""
    new, old, was = places
    values = np.zeros((len(mesh.loops), 3), np.float32)
    values[old] = normals[was]
    skin = np.isin(opened.part[faces], (SKIN, HOLLOW))
    values[new[skin]] = np.einsum("fks,fsw->fkw", weights, normals[sources])[skin]
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.divide(values, length, out=np.zeros_like(values), where=length > 1e-6)
    mesh.normals_split_custom_set(values.tolist())
