"""A cut mouth put into a Blender mesh, with everything that the mesh carries.

What the mesh has stays where it is (exchange.py); attributes, groups and shapes of the new vertices and corners are
blended by the weights that `core.mouth` gives for each.
"""

from functools import partial

import bpy
import numpy as np
import scipy.sparse as sparse

from ..core.errors import MeshError
from ..core.mouth.opened_mouth import BAG, GUM, HOLLOW, IRIS, PUPIL, SCLERA, SKIN, TONGUE, TOOTH, OpenedMouth
from ..core.surface import rows
from . import exchange, meshes, steps
from .exchange import Exchange
from .steps import Steps

#: Materials of what lies behind the lips and lids: name, colour, roughness and the parts that have it. The mouth's are
#: as dark as a mouth is, for few viewers cast shadows into it.
MATERIAL = "FreeTalk mouth"
MATERIALS = (
    (MATERIAL, (0.035, 0.008, 0.007, 1.0), 1.0, (BAG, HOLLOW)),
    ("FreeTalk teeth", (0.55, 0.5, 0.41, 1.0), 0.35, (TOOTH,)),
    ("FreeTalk gums and tongue", (0.22, 0.05, 0.045, 1.0), 0.6, (GUM, TONGUE)),
    ("FreeTalk eye white", (0.62, 0.57, 0.53, 1.0), 0.25, (SCLERA,)),
    ("FreeTalk iris", (0.09, 0.05, 0.025, 1.0), 0.2, (IRIS,)),
    ("FreeTalk pupil", (0.002, 0.002, 0.002, 1.0), 0.15, (PUPIL,)),
)
#: Types of modifiers that join what lies together.
CLOSING = ("REMESH", "WELD")
#: Vertices that are asked for their groups in one step, or weights that are given.
_MANY = 20_000


def check(item: bpy.types.Object) -> None:
    """MeshError where a cut would lose what the object has, or be lost itself."""
    if any(modifier.type == "MULTIRES" for modifier in item.modifiers):
        raise MeshError(
            f"The object {item.name} is sculpted in multires, which a cut mouth would lose; apply it first."
        )
    for modifier in item.modifiers:
        if modifier.type in CLOSING and modifier.show_viewport:
            raise MeshError(
                f"The modifier {modifier.name} of {item.name} would close the cut lips again; apply it or remove it."
            )


def applying(item: bpy.types.Object, opened: OpenedMouth) -> Steps[None]:
    """Open the mouth of the object's mesh, in place; closed before its end, it leaves a mesh that is of no more use.

    opened: what core.mouth.open_lips answers for meshes.vertices and meshes.triangles of this mesh. The mesh's vertices
    keep their numbers. The object must own its mesh (one user) and be out of edit mode. Raises MeshError as `check`
    does.
    """
    check(item)
    mesh, count = item.data, len(item.data.vertices)
    corners, polygons = meshes.triangle_corners(mesh), meshes.triangle_polygons(mesh)
    yield
    hit, hollow, faces = yield from steps.aside(partial(_compared, len(mesh.polygons), polygons, opened))
    triangles, topology = opened.triangles[faces], exchange.read(mesh)
    plan = yield from steps.aside(partial(exchange.planned, topology, hit, triangles))
    before = yield from exchange.attributes(mesh)
    normals = meshes.of_each(mesh.corner_normals, "vector", 3) if mesh.has_custom_normals else None
    yield
    shapes = yield from _shapes(mesh, opened)
    sources = corners[opened.triangle_source[faces]]
    weights = _corner_weights(opened, faces)
    examples, marks = polygons[opened.triangle_source[faces]], _edge_sources(topology, plan, opened)
    skin = np.isin(opened.part[faces], (SKIN, HOLLOW))
    tints = _tints(opened, count, faces)
    yield

    def filled(domain: str, name: str, old: np.ndarray) -> np.ndarray:
        new = as_around(domain, name, old)
        return np.where(np.isnan(tints[domain]), new, tints[domain]) if exchange.is_colour(mesh, name) else new

    def as_around(domain: str, name: str, old: np.ndarray) -> np.ndarray:
        blended = exchange.is_blended(mesh, name)
        if domain == "POINT":
            return _blended_points(old, opened.source[count:], blended)
        if domain == "CORNER":
            return _blended_corners(old, sources, weights, blended)
        if domain == "EDGE":
            return np.where((marks >= 0)[:, None], old[marks], b"" if old.dtype == object else 0)
        return old[examples] & skin[:, None] if name == "sharp_face" else old[examples]

    groups, active = [(group.name, group.lock_weight) for group in item.vertex_groups], item.vertex_groups.active_index
    grouped = yield from _group_weights(item, opened.source[count:].tocsr())
    yield from exchange.exchanging(mesh, plan, before, opened.vertices[count:], filled)
    yield from _grouping(item, groups, active, grouped)
    yield from _reshape(item, shapes)
    _paint(mesh, opened.part[faces], plan, hollow)
    yield
    if normals is None and opened.is_cut:
        _crease(mesh, plan, opened)
    elif normals is not None:
        new = np.where(skin[:, None, None], np.einsum("fks,fsw->fkw", weights, normals[sources]), 0).reshape(-1, 3)
        lost = topology.corner_vertex[corners[hit[polygons]].ravel()]
        yield from _restore_normals(mesh, normals, new.astype(np.float32), plan, lost)
    mesh.update(calc_edges_loose=True)


# What is there before -------------------------------------------------------------------------------------------------


def _compared(count: int, polygons: np.ndarray, opened: OpenedMouth) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(P,) bool: polygons with a triangle that was cut or taken out; those inside the scan's own mouth; the triangles
    to be put in. polygons (F,): the one of each triangle, of `count`."""
    changed = np.ones(len(polygons), bool)
    changed[opened.triangle_source[: opened.kept]] = False
    hit = np.zeros(count, bool)
    hit[polygons[changed]] = True
    inside = opened.triangle_source[: opened.kept][opened.part[: opened.kept] == HOLLOW]
    added = np.arange(len(opened.triangles)) >= opened.kept
    faces = _without_twins(opened.triangles, added | hit[polygons[opened.triangle_source]])
    return hit, np.unique(polygons[inside]), faces


def _without_twins(triangles: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Rows of the triangles (G,3) that are `new` (G,), without those whose three corners another one has already: a
    mesh that has a face twice is not valid."""
    near = np.isin(triangles, triangles[new]).all(1)
    order = np.concatenate([np.flatnonzero(near & ~new), np.flatnonzero(new)])
    kept = np.sort(order[rows.first(np.sort(triangles[order], axis=1))])
    return kept[new[kept]]


# What is new ----------------------------------------------------------------------------------------------------------


def _shapes(mesh: bpy.types.Mesh, opened: OpenedMouth) -> Steps[list[np.ndarray]]:
    """Places (V+N,3) of all vertices in each existing shape key: new ones move as the skin around them does."""
    if not mesh.shape_keys:
        return []
    count, answer = len(mesh.vertices), []
    basis = meshes.vertices(mesh)
    for block in mesh.shape_keys.key_blocks:
        shape = meshes.places(block)
        moved = opened.carried((opened.source[: opened.skin_count] @ (shape - basis))[None])[0, count:]
        answer.append(np.concatenate([shape, opened.vertices[count:] + moved]).astype(np.float32))
        yield
    return answer


def _reshape(item: bpy.types.Object, shapes: list[np.ndarray]) -> Steps[None]:
    """The object's shape keys with places for more vertices, made anew: Blender has none grow. Their curves and drivers
    find them by name."""
    if not shapes:
        return
    keys, active = item.data.shape_keys, item.active_shape_key_index
    old = list(keys.key_blocks)
    names, relatives = [block.name for block in old], [block.relative_key.name for block in old]
    drivers = [] if keys.animation_data is None else [(found, found.data_path) for found in keys.animation_data.drivers]
    for driver, path in drivers:
        driver.data_path = f"kept {path}"  # a key that goes takes along what drives it
    for block, shape in zip(old, shapes, strict=True):
        new = item.shape_key_add(name=block.name, from_mix=False)
        new.slider_max = max(block.slider_max, 1.0)  # Blender keeps either end on its side of the other
        for name in ("slider_min", "slider_max", "value", "mute", "interpolation", "vertex_group", "lock_shape"):
            setattr(new, name, getattr(block, name))
        new.points.foreach_set("co", shape.ravel())
        yield
    for name in reversed(names):
        item.shape_key_remove(keys.key_blocks[name])
    for block, name in zip(keys.key_blocks, names, strict=True):
        block.name = name
    for block, name in zip(keys.key_blocks, relatives, strict=True):
        block.relative_key = keys.key_blocks[name]
    for driver, path in drivers:
        driver.data_path = path
    item.active_shape_key_index = active
    yield


def _group_weights(item: bpy.types.Object, new: sparse.csr_matrix) -> Steps[sparse.csc_matrix]:
    """(V+N,K) weights of all vertices in each vertex group; new (N,V): what the new ones are made of."""
    shape = len(item.data.vertices), len(item.vertex_groups)
    rows_, columns, weights = [], [], []
    for vertex in item.data.vertices if shape[1] else ():
        for entry in vertex.groups:
            rows_.append(vertex.index)
            columns.append(entry.group)
            weights.append(entry.weight)
        if vertex.index % _MANY == 0:
            yield
    old = sparse.csr_matrix((weights, (rows_, columns)), shape)
    return sparse.vstack([old, new @ old]).tocsc()


def _grouping(item: bpy.types.Object, groups: list[tuple[str, bool]], active: int, weights: sparse.csc_matrix) -> Steps:
    """Vertex groups of these names, locked or not, with weights (V+N,K)."""
    for number, (name, locked) in enumerate(groups):
        group = item.vertex_groups.new(name=name)
        span = slice(weights.indptr[number], weights.indptr[number + 1])
        members, order = weights.indices[span], np.argsort(weights.data[span], kind="stable")
        different, first = np.unique(weights.data[span][order], return_index=True)
        for step, (weight, alike) in enumerate(zip(different, np.split(members[order], first[1:]), strict=False)):
            group.add(alike.tolist(), float(weight), "REPLACE")
            if step % _MANY == 0:
                yield
        group.lock_weight = locked
    if groups:
        item.vertex_groups.active_index = active


def _edge_sources(topology: exchange.Topology, plan: Exchange, opened: OpenedMouth) -> np.ndarray:
    """(M,) the old edge that each new edge of the skin is a piece of; -1 where it is none."""
    skin = (plan.fresh < opened.skin_count).all(1)
    vertices, ends = np.unique(plan.fresh[skin], return_inverse=True)
    source = opened.source.tocsr()[vertices]
    first, last = source.indptr[:-1], source.indptr[1:] - 1
    two = (last - first < 2) & (last >= first)
    parents = np.full((len(vertices), 2), -1)
    parents[two] = np.sort(np.stack([source.indices[first[two]], source.indices[last[two]]], 1), axis=1)
    parents = parents[ends.reshape(-1, 2)].reshape(-1, 4)
    pair = np.stack([parents.min(1), parents.max(1)], 1)
    piece = (parents >= 0).all(1) & ((parents == pair[:, :1]) | (parents == pair[:, 1:])).all(1)
    found = np.full(len(pair), -1)
    found[piece] = exchange.find_edges(topology.ends, pair[piece])
    answer = np.full(len(plan.fresh), -1)
    answer[skin] = found
    return answer


def _corner_weights(opened: OpenedMouth, faces: np.ndarray) -> np.ndarray:
    """(N,3,3) weights of each new face's corners in its source triangle; identity for triangles kept as they were."""
    weights = np.tile(np.eye(3), (len(faces), 1, 1))
    new = faces >= opened.kept
    weights[new] = opened.corner_weights[faces[new] - opened.kept]
    return weights


def _blended_corners(old: np.ndarray, sources: np.ndarray, weights: np.ndarray, blended: bool) -> np.ndarray:
    """(3N,w) values of new corners, from those (C,w) of the corners `sources` (N,3)."""
    if blended:
        return np.einsum("fks,fsw->fkw", weights, old[sources]).reshape(-1, old.shape[1])
    return old[np.take_along_axis(sources, weights.argmax(2), 1)].reshape(-1, old.shape[1])


def _blended_points(old: np.ndarray, source: sparse.csr_matrix, blended: bool) -> np.ndarray:
    """(N,w) values of new vertices, from those (V,w) of the old ones."""
    return source @ old if blended else old[np.asarray(source.argmax(1)).ravel()]


def _tints(opened: OpenedMouth, count: int, faces: np.ndarray) -> dict[str, np.ndarray]:
    """domain -> (n,4) colour of new elements that a colour attribute does not paint like the skin around; NaN for skin.

    count: vertices that are not new; faces (F,): triangles that are. The dark bag has its material's colour, the rest a
    lighter one: glTF multiplies the two, Blender's viewport shows only this one.
    """
    part = opened.part[faces]
    face = np.full((len(faces), 4), np.nan)
    for _, colour, _, parts in MATERIALS:
        face[np.isin(part, parts) & (part != HOLLOW)] = colour
    face[part != BAG] **= 0.6
    corner, row = np.repeat(face, 3, axis=0), opened.triangles[faces].ravel() - count
    vertex = np.full((len(opened.vertices) - count, 4), np.nan)
    vertex[row[row >= 0]] = corner[row >= 0]
    vertex[row[(row >= 0) & np.isnan(corner[:, 0])]] = np.nan  # where bag and lip meet, the lip's
    return {"POINT": vertex, "FACE": face, "CORNER": corner, "EDGE": np.full((1, 4), np.nan)}


def _paint(mesh: bpy.types.Mesh, new_part: np.ndarray, plan: Exchange, hollow: np.ndarray) -> None:
    """The inside of the mouth gets materials of its own; without any before, slot 0 stays empty for the skin.

    new_part (N,) of the new faces; hollow: old polygons inside the scan's own mouth.
    """
    if not len(mesh.materials):
        mesh.materials.append(None)
    index = _material_index(mesh)
    part = np.full(len(mesh.polygons), SKIN, np.int8)
    part[: len(plan.kept["FACE"])][np.isin(plan.kept["FACE"], hollow)] = HOLLOW
    part[plan.places("FACE")] = new_part
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
    mesh.attributes["material_index"].data.foreach_set("value", index)
    mesh.polygons[0].material_index = index[0]  # so Blender sees that there are others


def _material_index(mesh: bpy.types.Mesh) -> np.ndarray:
    """(P,) material of each polygon, as it is shown: the last one where it names more than there are; mesh.polygons
    would be asked one by one."""
    attribute = mesh.attributes.get("material_index") or mesh.attributes.new("material_index", "INT", "FACE")
    return exchange.values(attribute).ravel().clip(0, len(mesh.materials) - 1)


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


def _crease(mesh: bpy.types.Mesh, plan: Exchange, opened: OpenedMouth) -> None:
    """Cut lips end sharply: smoothed over the edge, their skin would take light from the inside of the lip, and a row
    of dark teeth would be seen where triangles are small."""
    pairs = np.concatenate([np.stack([rim[:-1], rim[1:]], 1) for rim in (opened.upper_rim, opened.lower_rim)])
    edges = exchange.find_edges(plan.topology.ends, np.sort(pairs, axis=1))
    sharp = mesh.attributes.get("sharp_edge") or mesh.attributes.new("sharp_edge", "BOOLEAN", "EDGE")
    values = exchange.values(sharp)
    values[edges[edges >= 0]] = True
    exchange.write(sharp, values)


def _restore_normals(
    mesh: bpy.types.Mesh, normals: np.ndarray, new: np.ndarray, plan: Exchange, lost: np.ndarray
) -> Steps[None]:
    """Custom normals as they were, and those (n,3) of new corners; zero is none.

    Blender keeps each relative to the faces around its vertex. Where these are the old ones it stays; for the others a
    piece of the mesh around them is asked (before 4.5, the whole mesh). lost: vertices that lose faces.
    """
    after, kept = plan.topology, plan.kept["CORNER"]
    attribute = mesh.attributes.get("custom_normal")
    whole = attribute is None or attribute.data_type != "INT16_2D"
    touched = np.full(len(mesh.vertices), whole)
    touched[lost] = touched[after.corner_vertex[len(kept) :]] = True
    touched = touched[after.corner_vertex]
    near = np.logical_or.reduceat(touched, after.start)
    corners = np.flatnonzero(np.repeat(near, np.diff(after.start, append=len(after.corner_vertex))))
    values = np.concatenate(
        [normals[kept[corners[corners < len(kept)]]], new[corners[corners >= len(kept)] - len(kept)]]
    )
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.divide(values, length, out=np.zeros_like(values), where=length > 1e-6)
    yield
    if whole:
        mesh.normals_split_custom_set(values.tolist())
        return
    piece, edges = exchange.piece(mesh, after, near)
    try:
        piece.normals_split_custom_set(values.tolist())
        relative, all_relative = exchange.values(piece.attributes["custom_normal"]), exchange.values(attribute)
        of_touched = touched[corners]
        all_relative[corners[of_touched]] = relative[of_touched]
        exchange.write(attribute, all_relative)
        if "sharp_edge" in piece.attributes:  # where normals at one vertex differ, Blender makes edges sharp
            yield
            sharp = mesh.attributes.get("sharp_edge") or mesh.attributes.new("sharp_edge", "BOOLEAN", "EDGE")
            all_sharp = exchange.values(sharp)
            all_sharp[edges] |= exchange.values(piece.attributes["sharp_edge"])
            exchange.write(sharp, all_sharp)
    finally:
        bpy.data.meshes.remove(piece)
