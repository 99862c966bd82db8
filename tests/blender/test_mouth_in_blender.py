"""A mouth cut into a Blender mesh keeps everything that the mesh carried."""

from dataclasses import replace

import bpy
import numpy as np
import pytest
from baking import duplicate

from freetalk_blender.blender import compat, meshes, mouth, steps
from freetalk_blender.core.eyes import eyeballs
from freetalk_blender.core.frame import mean_landmarks
from freetalk_blender.core.mouth import hole_bag, inner_mouth, mouth_web
from freetalk_blender.core.mouth.fused_mouth import BAG, SKIN, OpenedMouth, open_lips
from freetalk_blender.core.mouth.opened_mouth import LIP, PUPIL, SCLERA, TONGUE, TOOTH, untouched, with_loose

WIDTH, HEIGHT = 41, 61


def lips() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A curved sheet with a crease where the mouth of the average face is: vertices, quads, landmarks (mm)."""
    landmarks = mean_landmarks() * 90
    middle = landmarks[60:68].mean(0)
    x, y = np.meshgrid(np.linspace(-50, 50, WIDTH), np.linspace(-45, 45, HEIGHT))
    mouth_width = landmarks[64, 0] - landmarks[60, 0]
    crease = 3 * np.exp(-((y / 2) ** 2)) * (np.abs(x) < 0.55 * mouth_width)
    z = middle[2] + 3 - 0.008 * x**2 - crease
    vertices = np.stack([x.ravel(), y.ravel() + middle[1], z.ravel()], 1)
    corner = (np.arange(HEIGHT - 1)[:, None] * WIDTH + np.arange(WIDTH - 1)).ravel()
    return vertices, np.stack([corner, corner + 1, corner + WIDTH + 1, corner + WIDTH], 1), landmarks


@pytest.fixture
def face() -> tuple[bpy.types.Object, np.ndarray]:
    """A quad mesh with UVs, colours, a mask, a group, two materials, a shape key, marked edges and custom normals."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    vertices, quads, landmarks = lips()
    mesh = bpy.data.meshes.new("face")
    mesh.from_pydata(vertices.tolist(), [], quads.tolist())
    item = bpy.data.objects.new("face", mesh)
    bpy.context.scene.collection.objects.link(item)
    corners = np.array([loop.vertex_index for loop in mesh.loops])
    flat = vertices[corners]
    mesh.uv_layers.new(name="UVMap").uv.foreach_set(
        "vector", np.ascontiguousarray(flat[:, :2] / 100, np.float32).ravel()
    )
    colour = mesh.color_attributes.new("Col", "FLOAT_COLOR", "POINT")
    shade = np.concatenate([vertices[:, 1:2] / 200 + 0.5, vertices[:, :2] * 0, vertices[:, :1] * 0 + 1], 1)
    colour.data.foreach_set("color", shade.astype(np.float32).ravel())
    mesh.attributes.new("mask", "FLOAT", "POINT").data.foreach_set("value", vertices[:, 0].astype(np.float32))
    mesh.attributes.new("piece", "INT", "FACE").data.foreach_set("value", np.arange(len(quads), dtype=np.int32))
    for name in ("skin", "other"):
        mesh.materials.append(bpy.data.materials.new(name))
    mesh.polygons.foreach_set("material_index", (vertices[quads[:, 0], 0] > 0).astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(quads), bool))
    group = item.vertex_groups.new(name="jaw")
    for vertex, place in enumerate(vertices):
        group.add([vertex], float(np.clip((place[1] + 110) / 120, 0, 1)), "REPLACE")
    item.shape_key_add(name="Basis")
    smile = item.shape_key_add(name="smile")
    moved = vertices + 0.1 * np.stack([vertices[:, 1], vertices[:, 0], vertices[:, 0] * 0], 1)
    smile.points.foreach_set("co", moved.astype(np.float32).ravel())
    for edge in mesh.edges:
        edge.use_seam = bool((np.abs(vertices[list(edge.vertices), 0]) < 1e-6).all())
    mesh.normals_split_custom_set([(0.6, 0.0, 0.8)] * len(mesh.loops))
    return item, landmarks


@pytest.fixture(params=["cut", "cut, with teeth and eyeballs"])
def opened(request, face):
    item, landmarks = face
    copy = duplicate(item)
    result = open_lips(meshes.vertices(copy.data), meshes.triangles(copy.data), landmarks)
    if "teeth" in request.param:
        points, triangles, part = eyeballs.ball(12.0)
        for side in (-30, 30):
            result = with_loose(result, points + [side, 30, -20], triangles, part)
        result = inner_mouth.furnished(result, landmarks)
        assert {PUPIL, TOOTH, TONGUE} <= set(result.part.tolist())
    steps.run(mouth.applying(copy, result))
    return item, copy, result


def cut(item: bpy.types.Object, landmarks: np.ndarray) -> OpenedMouth:
    """The lips of an object's mesh are cut; what they were cut to."""
    result = open_lips(meshes.vertices(item.data), meshes.triangles(item.data), landmarks)
    steps.run(mouth.applying(item, result))
    return result


def corner_places(mesh: bpy.types.Mesh, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) corners of some polygons and (N,3) their basis positions."""
    corners = [corner for row in rows.tolist() for corner in mesh.polygons[row].loop_indices]
    return np.array(corners), meshes.vertices(mesh)[[mesh.loops[corner].vertex_index for corner in corners]]


def skin_polygons(mesh: bpy.types.Mesh, result: OpenedMouth, first: int = 0) -> np.ndarray:
    """Polygons outside the mouth; those that use a vertex from `first` on."""
    inside = {tuple(sorted(t)) for t in result.triangles[result.part != SKIN].tolist()}
    return np.array(
        [p.index for p in mesh.polygons if max(p.vertices) >= first and tuple(sorted(p.vertices)) not in inside]
    )


def test_the_mesh_has_the_vertices_of_the_opened_mouth_and_the_original_is_untouched(opened):
    item, copy, result = opened
    assert np.allclose(meshes.vertices(copy.data), result.vertices, atol=1e-5)
    assert len(item.data.vertices) == WIDTH * HEIGHT
    assert not copy.data.validate()
    assert {len(p.vertices) for p in copy.data.polygons} == {3, 4}, "quads away from the mouth stay quads"


def test_uvs_follow_the_skin(opened):
    _, copy, result = opened
    mesh = copy.data
    uv = meshes.of_each(mesh.uv_layers["UVMap"].uv, "vector", 2)
    corners, places = corner_places(mesh, skin_polygons(mesh, result))
    error = np.abs(uv[corners] - places[:, :2] / 100).max(1)
    # Smoothing moves seam points by up to half a millimetre, which is 0.005 here.
    assert np.quantile(error, 0.9) < 1e-5 and error.max() < 0.01


def test_colours_masks_and_groups_are_blended(opened):
    _, copy, result = opened
    mesh, count = copy.data, WIDTH * HEIGHT
    places = meshes.vertices(mesh)
    skin = slice(count, result.skin_count)
    mask = meshes.of_each(mesh.attributes["mask"].data, "value")
    assert np.allclose(mask[:count], places[:count, 0], atol=1e-4)
    assert np.abs(mask[skin] - places[skin, 0]).max() < 0.8
    colour = meshes.of_each(mesh.color_attributes["Col"].data, "color", 4)
    assert np.abs(colour[skin, 0] - (places[skin, 1] / 200 + 0.5)).max() < 0.005
    weights = np.array([vertex.groups[0].weight for vertex in mesh.vertices])
    assert np.abs(weights[skin] - np.clip((places[skin, 1] + 110) / 120, 0, 1)).max() < 0.02


def test_an_existing_shape_key_moves_the_new_vertices_like_the_skin_around_them(opened):
    _, copy, result = opened
    places = meshes.vertices(copy.data)
    moved = meshes.places(copy.data.shape_keys.key_blocks["smile"]) - places
    wanted = 0.1 * np.stack([places[:, 1], places[:, 0], places[:, 0] * 0], 1)
    assert np.abs(moved[: result.skin_count] - wanted[: result.skin_count]).max() < 0.1
    inside = np.unique(result.triangles[result.part == BAG])
    bag = moved[inside[inside >= result.skin_count]]
    assert len(bag)
    assert np.linalg.norm(bag, axis=1).max() < np.linalg.norm(moved[result.upper_rim], axis=1).max() + 1e-3


def test_materials_seams_face_attributes_and_custom_normals_survive(opened):
    item, copy, result = opened
    mesh, count = copy.data, WIDTH * HEIGHT
    names = [m.name for m in mesh.materials]
    assert names[:2] == ["skin", "other"] and mouth.MATERIAL in names[2:]
    bag = [p for p in mesh.polygons if p.material_index == names.index(mouth.MATERIAL)]
    assert len(bag) == (result.part == BAG).sum()
    polygons = [mesh.polygons[p] for p in skin_polygons(mesh, result, count).tolist()]
    border = 100 / (WIDTH - 1)  # the first column of quads whose first corner lies at x > 0
    assert all((p.center.x > border) == bool(p.material_index) for p in polygons if abs(p.center.x - border) > 1)
    piece = mesh.attributes["piece"].data
    assert {piece[p].value for p in skin_polygons(mesh, result, count).tolist()} <= set(range(len(item.data.polygons)))
    seam = [e for e in mesh.edges if e.use_seam]
    new = [e for e in seam if max(e.vertices) >= count]
    assert new and all(abs(mesh.vertices[v].co.x) < 0.3 for e in seam for v in e.vertices)
    assert mesh.has_custom_normals
    normals = meshes.of_each(mesh.corner_normals, "vector", 3)
    corners, _ = corner_places(mesh, skin_polygons(mesh, result))
    assert np.abs(normals[corners] - [0.6, 0, 0.8]).max() < 0.02


def test_what_lies_behind_the_lips_is_not_coloured_like_the_skin(opened):
    _, copy, result = opened
    colour = meshes.of_each(copy.data.color_attributes["Col"].data, "color", 4)
    of = {part: np.unique(result.triangles[result.part == part]) for part in np.unique(result.part).tolist()}
    bag = np.setdiff1d(of[BAG], of[LIP])
    assert len(bag) and np.abs(colour[bag, :3] - [0.035, 0.008, 0.007]).max() < 1e-3, "a dark red"
    assert np.abs(colour[of[LIP], 1]).max() < 1e-6, "the inside of a lip is the skin's, which has no green"
    for part, green in ((TOOTH, 0.6), (SCLERA, 0.6)):
        if part in of:
            assert colour[of[part], 1].min() > green and (colour[of[part], 3] == 1).all()


def test_the_skin_of_cut_lips_takes_no_light_from_their_inside(face):
    item, landmarks = face
    bpy.context.view_layer.objects.active = item
    assert bpy.ops.mesh.customdata_custom_splitnormals_clear() == {"FINISHED"}
    cut(item, landmarks)
    mesh = item.data
    assert not mesh.has_custom_normals
    normals = meshes.of_each(mesh.corner_normals, "vector", 3)
    sharp = {v for e in mesh.edges if e.use_edge_sharp for v in e.vertices}
    skin = [p for p in mesh.polygons if p.normal.z > 0.5 and sharp & set(p.vertices)]
    assert len(skin) > 40
    corners = [c for p in skin for c in p.loop_indices if mesh.loops[c].vertex_index in sharp]
    assert normals[corners, 2].min() > 0.4, "smoothed over the cut, they would face into the mouth"


def test_facets_of_the_skin_stay_and_the_mouth_inside_is_smooth(face):
    item, landmarks = face
    places = meshes.vertices(item.data)
    for p in item.data.polygons:
        p.use_smooth = bool(places[list(p.vertices), 0].max() > 1e-3)
    copy = duplicate(item)
    result = cut(copy, landmarks)
    smooth, x = np.array([(p.use_smooth, p.center.x) for p in copy.data.polygons]).T
    skin = np.isin(np.arange(len(x)), skin_polygons(copy.data, result))
    assert np.count_nonzero(~skin) > 50 and smooth[~skin].all()
    assert not smooth[skin & (x < -1)].any() and smooth[skin & (x > 3)].all()


def test_a_mesh_without_material_keeps_its_skin_without_one(face):
    item, landmarks = face
    item.data.materials.clear()
    cut(item, landmarks)
    index = {p.material_index for p in item.data.polygons}
    assert index == {0, 1} and item.data.materials[0] is None and item.data.materials[1].name == mouth.MATERIAL


def test_skin_that_names_more_materials_than_there_are_is_shown_as_before(face):
    """Blender shows the last one; the mouth's own come after it."""
    item, landmarks = face
    item.data.polygons.foreach_set("material_index", np.full(len(item.data.polygons), 7, np.int32))
    count = len(item.data.polygons)
    cut(item, landmarks)
    index = np.array([p.material_index for p in item.data.polygons])
    assert {*index.tolist()} == {1, 2} and (index == 1).sum() >= count and item.data.materials[1].name == "other"


def test_what_a_cut_takes_out_leaves_the_mesh_and_the_vertices_keep_their_numbers(face):
    item, landmarks = face
    wide = landmarks.copy()
    wide[[61, 62, 63], 1] += 6
    wide[[65, 66, 67], 1] -= 6
    vertices, triangles = meshes.vertices(item.data), meshes.triangles(item.data)
    web = mouth_web.removed(vertices, triangles, wide)
    result = hole_bag.closed(web, hole_bag.find(web.vertices, web.triangles, wide), triangles, wide)
    steps.run(mouth.applying(item, result))
    assert np.allclose(meshes.vertices(item.data), result.vertices, atol=1e-4)
    assert len(meshes.triangles(item.data)) == len(result.triangles)
    assert [m.name for m in item.data.materials] == ["skin", "other", mouth.MATERIAL]
    assert item.data.shape_keys.key_blocks["smile"] and item.vertex_groups["jaw"] and item.data.uv_layers["UVMap"]


def faces_of(mesh: bpy.types.Mesh) -> dict[tuple[int, ...], int]:
    return {tuple(polygon.vertices): polygon.index for polygon in mesh.polygons}


def filled(mesh: bpy.types.Mesh, domain: str, kind: str) -> bpy.types.Attribute:
    """An attribute in which no two neighbours are alike."""
    attribute = mesh.attributes.new(f"{domain} {kind}", kind, domain)
    for number, entry in enumerate(attribute.data):
        wave = np.sin(number + np.arange(16)).astype(np.float32)
        if kind == "STRING":
            entry.value = f"{number}".encode()
        elif kind in {"FLOAT", "INT", "INT8", "BOOLEAN"}:
            entry.value = {"FLOAT": float, "BOOLEAN": bool}.get(kind, int)(wave[0] * (100 if "INT" in kind else 1) > 0)
        elif kind in {"FLOAT2", "FLOAT_VECTOR", "FLOAT4"}:
            entry.vector = wave[: {"FLOAT2": 2, "FLOAT4": 4}.get(kind, 3)]
        elif "COLOR" in kind:
            entry.color = np.abs(wave[:4])
        elif kind == "FLOAT4X4":
            entry.value = wave.reshape(4, 4)
        else:
            entry.value = wave[:4] if kind == "QUATERNION" else (100 * wave[:2]).astype(int)
    return attribute


def held(attribute: bpy.types.Attribute, number: int) -> object:
    entry = attribute.data[number]
    value = next(getattr(entry, name) for name in ("value", "vector", "color") if hasattr(entry, name))
    return np.array(value).tolist()


def not_cut(before: bpy.types.Mesh, after: bpy.types.Mesh) -> dict[str, list[tuple[int, int]]]:
    """domain -> numbers of what is not cut, in the mesh before and after."""
    there, here = faces_of(before), faces_of(after)
    same = [(there[corners], here[corners]) for corners in there.keys() & here.keys()]
    assert 1000 < len(same) < len(there)
    edges = {tuple(sorted(edge.vertices)): edge.index for edge in before.edges}
    pairs = {"FACE": same, "CORNER": [], "EDGE": []}
    for old, new in same:
        corners = list(zip(before.polygons[old].loop_indices, after.polygons[new].loop_indices, strict=True))
        pairs["CORNER"] += corners
        for _, corner in corners:
            edge = after.edges[after.loops[corner].edge_index]
            pairs["EDGE"].append((edges[tuple(sorted(edge.vertices))], edge.index))
    return pairs


def test_attributes_of_every_kind_stay_with_what_is_not_cut(face):
    item, landmarks = face
    kinds = [kind.identifier for kind in bpy.types.Attribute.bl_rna.properties["data_type"].enum_items]
    made = 0
    for domain in ("EDGE", "FACE", "CORNER"):
        for kind in kinds:
            try:
                filled(item.data, domain, kind)
            except TypeError:  # Blender has the kind, but not for meshes
                continue
            made += 1
    assert made >= 3 * 10
    copy = duplicate(item)
    cut(copy, landmarks)
    before, after = item.data, copy.data
    pairs = not_cut(before, after)
    for attribute in [found for found in before.attributes if " " in found.name]:
        copied = after.attributes[attribute.name]
        assert copied.data_type == attribute.data_type
        assert all(held(attribute, old) == held(copied, new) for old, new in pairs[attribute.domain][::7])


def test_a_selection_of_edges_that_holds_numbers_does_not_hinder_the_cut(face):
    """As 5.0 leaves it in meshes that were made without edges."""
    item, landmarks = face
    copy = duplicate(item)
    attributes = copy.data.attributes
    if ".select_edge" in attributes:
        attributes.remove(attributes[".select_edge"])
    attributes.new(".select_edge", "INT32_2D", "EDGE")
    cut(copy, landmarks)
    assert len(copy.data.vertices) > len(item.data.vertices)
    kinds = {attribute.name: attribute.data_type for attribute in copy.data.attributes}
    assert kinds.get(".select_edge", "BOOLEAN") == "BOOLEAN"


@pytest.mark.skipif(not compat.FREESTYLE_DOMAINS, reason="this Blender has these marks among the attributes")
def test_freestyle_marks_stay_with_what_is_not_cut(face):
    item, landmarks = face
    for elements in (item.data.edges, item.data.polygons):
        elements.foreach_set("use_freestyle_mark", np.arange(len(elements)) % 3 == 0)
    copy = duplicate(item)
    cut(copy, landmarks)
    pairs = not_cut(item.data, copy.data)
    for domain, elements in (("EDGE", copy.data.edges), ("FACE", copy.data.polygons)):
        assert all(elements[new].use_freestyle_mark == (old % 3 == 0) for old, new in pairs[domain])


def test_shape_keys_keep_what_drives_them_and_how_they_are_set(face):
    item, landmarks = face
    smirk = item.shape_key_add(name="smirk")
    smirk.slider_min, smirk.slider_max, smirk.mute = -2.0, 3.0, True
    beyond = {"above": (2.0, 5.0), "below": (-5.0, -2.0)}
    for name, (low, high) in beyond.items():
        far = item.shape_key_add(name=name)
        for end, value in (("min", min(low, 0)), ("max", high), ("min", low)):
            setattr(far, f"slider_{end}", value)
        assert (far.slider_min, far.slider_max) == (low, high)
    smirk.relative_key, smirk.vertex_group = item.data.shape_keys.key_blocks["smile"], "jaw"
    item.data.shape_keys.key_blocks["smile"].keyframe_insert("value", frame=3)
    item.data.shape_keys.driver_add('key_blocks["smirk"].value').driver.expression = "2.5"
    item.active_shape_key_index = 2
    copy = duplicate(item)
    cut(copy, landmarks)
    keys = copy.data.shape_keys
    block = keys.key_blocks["smirk"]
    assert [found.name for found in keys.key_blocks] == ["Basis", "smile", "smirk", *beyond]
    assert [len(found.points) for found in keys.key_blocks] == [len(copy.data.vertices)] * 5
    assert {name: (keys.key_blocks[name].slider_min, keys.key_blocks[name].slider_max) for name in beyond} == beyond
    assert (block.slider_min, block.slider_max, block.mute) == (-2.0, 3.0, True)
    assert block.value == 2.5, "the driver"
    assert block.relative_key.name == "smile" and block.vertex_group == "jaw" and copy.active_shape_key_index == 2
    assert keys.animation_data.action is item.data.shape_keys.animation_data.action
    assert [driver.data_path for driver in keys.animation_data.drivers] == ['key_blocks["smirk"].value']


def test_a_mesh_that_loses_more_than_it_gets_is_made_shorter(face):
    item, _ = face
    quads = len(item.data.polygons)
    before = untouched(meshes.vertices(item.data), meshes.triangles(item.data))
    left = np.arange(len(before.triangles)) >= 40  # the first twenty quads go, and the loose edges with them
    taken = {name: getattr(before, name)[left] for name in ("triangles", "triangle_source", "part")}
    steps.run(mouth.applying(item, replace(before, kept=int(left.sum()), **taken)))
    assert len(item.data.polygons) == quads - 20 and len(item.data.vertices) == WIDTH * HEIGHT
    piece = [entry.value for entry in item.data.attributes["piece"].data]
    assert piece == list(range(20, quads)) and not any(edge.is_loose for edge in item.data.edges)
    assert len(item.data.shape_keys.key_blocks["smile"].points) == WIDTH * HEIGHT and not item.data.validate()


def test_each_attribute_is_read_and_written_in_steps_of_its_own(face):
    """Between steps the window answers; `evaluation.stopping` prints the longest of a heavy scan."""
    side = 20
    x, y = np.meshgrid(np.linspace(-50, 50, side), np.linspace(-50, 50, side))
    vertices = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1).astype(np.float32)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    triangles = np.concatenate([corner[:, None] + [0, 1, side], corner[:, None] + [1, side + 1, side]])
    points, faces, part = eyeballs.ball(12.0)

    def at_once(work):
        """Arithmetic beside takes more or fewer steps each time; here it takes none."""
        yield from ()
        return work()

    def steps_of(attributes: int) -> int:
        mesh = bpy.data.meshes.new("sheet")
        mesh.from_pydata(vertices, [], triangles)
        for number in range(attributes):
            mesh.attributes.new(f"own {number}", "FLOAT", "CORNER")
        before = untouched(meshes.vertices(mesh), meshes.triangles(mesh))
        opened = with_loose(before, points + [30, 30, -20], faces, part)
        bpy.context.scene.collection.objects.link(item := bpy.data.objects.new("sheet", mesh))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(steps, "aside", at_once)
            count = sum(1 for _ in mouth.applying(item, opened))
        assert len(mesh.vertices) == side**2 + len(points)
        return count

    assert steps_of(3) >= steps_of(0) + 6


def test_a_new_face_that_is_there_twice_is_taken_once(face):
    """Damaged scans, with skin in two layers, get some; Blender refuses the second one."""
    item, landmarks = face
    result = open_lips(meshes.vertices(item.data), meshes.triangles(item.data), landmarks)
    doubled = {
        name: np.concatenate([getattr(result, name), getattr(result, name)[-5:]])
        for name in ("triangles", "triangle_source", "corner_weights", "part")
    }
    steps.run(mouth.applying(item, replace(result, **doubled)))
    assert len(item.data.vertices) == len(result.vertices)
    assert sorted(map(sorted, meshes.triangles(item.data))) == sorted(map(sorted, result.triangles))


def test_eyeballs_come_with_materials_of_their_own(face):
    item, _ = face
    before = untouched(meshes.vertices(item.data), meshes.triangles(item.data))
    points, triangles, part = eyeballs.ball(12.0)
    steps.run(mouth.applying(item, with_loose(before, points + [30, 30, -20], triangles, part)))
    names = [material.name for material in item.data.materials]
    assert names == ["skin", "other", "FreeTalk eye white", "FreeTalk iris", "FreeTalk pupil"]
    index = np.array([p.material_index for p in item.data.polygons])
    assert (index == 4).sum() == (part == PUPIL).sum() and (index < 2).sum() == (WIDTH - 1) * (HEIGHT - 1)
    assert len(item.data.vertices) == len(before.vertices) + len(points)
