"""Scan files in Blender: which object, where the file's coordinates are in the scene, and which pictures it shows."""

import json
import re
import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest
from importing import POINTS, write_with_blender

from freetalk_blender.blender import compat, meshes
from freetalk_blender.blender.formats import files, pictures, saving
from freetalk_blender.blender.marks import ORIGINAL
from freetalk_blender.core.errors import MeshError
from freetalk_blender.core.frame import transformed


def in_world(scan: files.Scan) -> np.ndarray:
    return transformed(meshes.world(scan.item), meshes.vertices(scan.item.data))


def assert_same_points(found: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-5) -> None:
    """The same set of points: formats may split and reorder vertices."""
    distance = np.linalg.norm(found[:, None] - wanted[None], axis=2)
    assert distance.min(0).max() < tolerance and distance.min(1).max() < tolerance


#: A format's own axes of what Blender's exporter wrote -> Blender's (Y up, and centimetres in FBX).
TO_WORLD = {
    ".glb": files.Y_UP,
    ".fbx": files.Y_UP @ np.diag([0.01, 0.01, 0.01, 1]),
    ".usdc": np.identity(4),
    ".blend": np.identity(4),
}


@pytest.mark.parametrize("suffix", TO_WORLD)
def test_file_coordinates_map_exactly_into_the_scene(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"solid{suffix}"
    wanted = write_with_blender(path)
    scan = files.load(path)
    assert_same_points(in_world(scan), wanted)
    in_file = transformed(np.linalg.inv(TO_WORLD[suffix]), wanted)
    assert_same_points(transformed(scan.file_to_world, in_file), wanted)
    assert_same_points(transformed(scan.file_to_object, in_file), meshes.vertices(scan.item.data))


@pytest.mark.parametrize(
    ("operator", "suffix"), [("obj_export", ".obj"), ("ply_export", ".ply"), ("stl_export", ".stl")]
)
def test_obj_ply_and_stl_are_read_as_they_stand(tmp_path: Path, operator: str, suffix: str) -> None:
    path = tmp_path / f"solid{suffix}"
    write_with_blender(tmp_path / "unused.glb")
    getattr(bpy.ops.wm, operator)(filepath=str(path), forward_axis="Y", up_axis="Z")
    wanted = transformed(meshes.world(bpy.data.objects["solid"]), POINTS)
    scan = files.load(path)
    assert_same_points(meshes.vertices(scan.item.data), wanted)
    assert np.array_equal(scan.file_to_object, np.identity(4))


@pytest.mark.parametrize("name", ["scan@2x.usdc", "it's @home@@@work @.usdc"])
def test_usd_of_any_name_is_read(tmp_path: Path, name: str) -> None:
    if not compat.exists(bpy.ops.wm.usd_export):
        pytest.skip("this Blender is built without USD")
    files.empty_scene()
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.wm.usd_export(filepath=str(tmp_path / "cube.usdc"))
    (tmp_path / "cube.usdc").rename(tmp_path / name)
    assert len(files.load(tmp_path / name).item.data.vertices) == 8


def test_a_face_that_looks_up_along_y_is_set_upright_and_back_maps_exactly(head: Path) -> None:
    scan = files.load(head)
    own = meshes.vertices(scan.item.data)
    files.upright(scan, np.array([0.05, 0.99, 0.1]))
    assert np.allclose(in_world(scan)[:, 2], own[:, 1], atol=1e-3)
    assert np.allclose(scan.file_to_object, np.identity(4), atol=1e-6)


@pytest.mark.parametrize("up", [(0.0, 0.1, 0.99), (0.0, -0.99, 0.1)])
def test_a_face_that_already_stands_or_is_upside_down_is_left_alone(head: Path, up: tuple) -> None:
    scan = files.load(head)
    files.upright(scan, np.array(up))
    assert np.array_equal(meshes.world(scan.item), np.identity(4))


def test_among_several_meshes_the_landmarks_choose_the_face(tmp_path: Path) -> None:
    write_with_blender(tmp_path / "unused.glb")
    bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32, location=(0, 0, 50))
    saving.save(tmp_path / "two.glb")
    assert len(files.load(tmp_path / "two.glb").item.data.vertices) > 1000, "the largest where none has a face"
    near = np.random.default_rng(0).normal([5, 1, 2], 0.5, (68, 3))  # the solid's place, in glTF's axes
    assert files.load(tmp_path / "two.glb", near).item.name.startswith("solid")


def test_among_several_meshes_the_largest_with_a_face_is_chosen_and_told(tmp_path: Path, head: Path) -> None:
    files.read(head)
    (face,) = bpy.context.scene.objects
    face.name = "Person"
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=7, radius=0.5, location=(2, 0, 0))
    hair = bpy.context.object
    assert len(hair.data.vertices) > len(face.data.vertices)
    saving.save(tmp_path / "character.blend")
    scan = files.load(tmp_path / "character.blend")
    assert scan.item.name == "Person"
    assert scan.notes == ("Of the 2 meshes in character.blend, Person has the face.",)


def hide(item: bpy.types.Object, way: str) -> None:
    """Hide an object as a person does, by its own or by its collection's icons."""
    collection = bpy.data.collections.new("backup")
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(item)
    for other in set(item.users_collection) - {collection}:
        other.objects.unlink(item)
    layer = bpy.context.view_layer.layer_collection.children[collection.name]
    if way == "eye":
        item.hide_set(True)
    elif way == "screen":
        item.hide_viewport = True
    elif way == "exclude":
        layer.exclude = True
    elif way == "collection's eye":
        layer.hide_viewport = True
    else:
        collection.hide_viewport = True


HIDDEN = ("eye", "screen", "exclude", "collection's eye", "collection's screen")


@pytest.mark.parametrize("way", HIDDEN)
def test_a_hidden_mesh_is_the_face_only_where_it_is_asked_for_and_is_seen_then(tmp_path: Path, way: str) -> None:
    write_with_blender(tmp_path / "unused.glb")
    bpy.ops.mesh.primitive_uv_sphere_add(location=(0, 0, 50))
    bpy.context.object.name = "sculpt"
    hide(bpy.data.objects["sculpt"], way)
    path = tmp_path / "two.blend"
    saving.save(path)
    near = np.array([[0, 0, 50]] * 68)
    for points in (None, near):
        scan = files.load(path, points)
        assert scan.item.name == "solid" and scan.notes == () and not bpy.data.objects["sculpt"].visible_get()
    scan = files.load(path, name="sculpt")
    assert scan.notes == ("sculpt is hidden in two.blend; it is shown now.",)
    assert scan.item.visible_get() and np.allclose(meshes.world(scan.item)[:3, 3], (0, 0, 50))
    bpy.data.objects.remove(bpy.data.objects["solid"])
    hide(scan.item, way)
    saving.save(path)
    assert files.load(path).item.visible_get(), "the only mesh"


def test_the_hidden_one_has_the_face_where_nothing_seen_has(tmp_path: Path, head: Path) -> None:
    files.load(head).item.hide_set(True)
    bpy.ops.mesh.primitive_cube_add()
    saving.save(tmp_path / "room.blend")
    scan = files.load(tmp_path / "room.blend")
    assert scan.item.name == "head" and scan.item.visible_get()


def test_an_object_is_chosen_by_its_name(tmp_path: Path, head: Path) -> None:
    write_with_blender(tmp_path / "unused.glb")
    bpy.ops.mesh.primitive_cube_add()
    saving.save(tmp_path / "two.blend")
    assert files.load(tmp_path / "two.blend", name="solid").item.name == "solid"
    with pytest.raises(MeshError, match=r"two\.blend holds no mesh head; its meshes are .*Cube.*\.$"):
        files.load(tmp_path / "two.blend", name="head")


def test_a_talking_copy_in_a_file_stands_for_its_original(tmp_path: Path, head: Path) -> None:
    files.read(head)
    (face,) = bpy.context.scene.objects
    copy = face.copy()
    copy.data, copy[ORIGINAL], copy.name = face.data.copy(), face, "Talking"
    bpy.context.scene.collection.objects.link(copy)
    name = face.name
    saving.save(tmp_path / "talked.blend")
    scan = files.load(tmp_path / "talked.blend")
    assert scan.item.name == name and scan.notes == ()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"x", "is not a scan that FreeTalk reads"),
        ("a.glb", b"not a glb", "cannot be read"),
        ("a.fbx", b"not an fbx", "cannot be read"),
        ("a.obj", b"v 0 0 0\n", "holds no mesh with faces"),
        (
            "a.stl",
            b"SOLID A\n" + 9 * b"FACET NORMAL 0 0 1\nENDFACET\n",
            "finds no facets in it.; save it again as a binary STL, an OBJ",
        ),
        (
            "a.fbx",
            b"; FBX 7.3.0 project file\nFBXHeaderExtension:  {\n}\n",
            "cannot be read: Blender reads binary FBX alone; export",
        ),
        ("a.stl", b"x" * 200, "(cannot be read|holds no mesh)"),
        ("a.ply", b"plyx", "(cannot be read|holds no mesh)"),
        ("a.usdc", b"not usd", "(cannot be read|holds no mesh)"),
        ("a.blend", b"not a blend", "cannot be read"),
    ],
)
def test_what_is_no_scan_is_refused_in_a_sentence(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MeshError, match=words) as caught:
        files.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_scan_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match="does not exist"):
        files.load(tmp_path / "none.glb")


def test_pictures_of_a_blend_are_found_from_the_folder_of_another(empty: bpy.types.Scene, tmp_path: Path) -> None:
    picture = bpy.data.images.new("skin", 2, 2)
    picture.filepath_raw, picture.file_format = str(tmp_path / "in/tex/skin.png"), "PNG"
    picture.save()
    picture.use_fake_user = True
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "in/hero.blend"))
    picture.filepath = "//tex/skin.png"
    (tmp_path / "out/deep").mkdir(parents=True)
    saving.save(tmp_path / "out/deep/talking.blend")
    assert picture.filepath == "//tex/skin.png", "the open file's own are as they were"
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out/deep/talking.blend"))
    found = Path(bpy.path.abspath(bpy.data.images["skin"].filepath)).resolve()
    assert found == (tmp_path / "in/tex/skin.png").resolve()


def painted(name: str, folder: Path, colour: tuple = (1, 0, 0, 1)) -> bpy.types.Image:
    """A picture of that colour, a skin.png in a folder of its own name."""
    picture = bpy.data.images.new(name, 2, 2)
    picture.pixels[:] = 4 * colour
    picture.filepath_raw, picture.file_format = str(folder / name / "skin.png"), "PNG"
    picture.save()
    return picture


def with_pictures(*images: bpy.types.Image) -> bpy.types.Object:
    """A cube whose material has these; the first is its colour."""
    bpy.ops.mesh.primitive_cube_add()
    material = bpy.data.materials.new("skin")
    material.use_nodes = True
    bpy.context.object.data.materials.append(material)
    nodes = [material.node_tree.nodes.new("ShaderNodeTexImage") for _ in images]
    for node, image in zip(nodes, images, strict=True):
        node.image = image
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(nodes[0].outputs["Color"], shader.inputs["Base Color"])
    return bpy.context.object


def named_pictures(path: Path) -> list[Path]:
    """The pictures that a .usda names, as files."""
    return [path.parent / name for name in re.findall(r"asset inputs:file = @(.*?)@", path.read_text(encoding="utf-8"))]


def test_usd_files_of_one_folder_have_each_their_own_pictures(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """Also where these share a name, in one file too, are packed, made by Blender, painted on or tiled."""
    if not compat.exists(bpy.ops.wm.usd_export):
        pytest.skip("this Blender is built without USD")
    red, green = painted("a", tmp_path), painted("b", tmp_path, (0, 1, 0, 1))
    packed, dirty = painted("packed", tmp_path, (0, 0, 1, 1)), painted("dirty", tmp_path)
    packed.pack()
    dirty.pixels[:] = 4 * (1, 1, 0, 1)
    made, tiled = bpy.data.images.new("made", 2, 2), bpy.data.images.new("tiled", 2, 2)
    shutil.copy(tmp_path / "a/skin.png", tmp_path / "a/skin.1001.png")
    tiled.filepath_raw, tiled.source = str(tmp_path / "a/skin.<UDIM>.png"), "TILED"
    item, out = with_pictures(red), tmp_path / "out"
    node = next(node for node in item.active_material.node_tree.nodes if node.type == "TEX_IMAGE")
    images = {"red": red, "green": green, "packed": packed, "dirty": dirty, "made": made, "tiled": tiled}
    before = {name: image.filepath_raw for name, image in images.items()}
    for name, image in images.items():
        node.image = image
        for _ in range(2):
            saving.save(out / f"{name}.usda")
    assert {name: image.filepath_raw for name, image in images.items()} == before and dirty.is_dirty
    found = {name: named_pictures(out / f"{name}.usda") for name in images}
    assert all(len(files) == 1 and files[0].parent == out / "textures" for files in found.values()), found
    colours = {}
    for name, (file,) in found.items():
        image = bpy.data.images.load(str(file).replace("<UDIM>", "1001"))
        colours[name] = tuple(round(value, 1) for value in image.pixels[:3])
    assert colours == {
        "red": (1, 0, 0), "green": (0, 1, 0), "packed": (0, 0, 1), "dirty": (1, 1, 0), "made": (0, 0, 0),
        "tiled": (1, 0, 0),
    }  # fmt: skip
    assert len({*(out / "textures").iterdir()}) == 6
    assert {path.name for path in out.iterdir()} == {*(f"{name}.usda" for name in images), "textures"}


def test_an_fbx_holds_every_picture_as_it_is_shown(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """Also where they share a name, are packed, of a .glb too, made by Blender, or painted on since."""
    images = {
        "red": painted("a", tmp_path),
        "green": painted("b", tmp_path, (0, 1, 0, 1)),
        "packed": painted("packed", tmp_path, (0, 0, 1, 1)),
        "bare": painted("bare", tmp_path, (1, 0, 1, 1)),
        "dirty": painted("dirty", tmp_path),
        "both": painted("both", tmp_path),
        "made": bpy.data.images.new("made", 2, 2),
        "baked": bpy.data.images.new("baked", 2, 2, float_buffer=True),
    }
    for name in ("packed", "bare", "both"):
        images[name].pack()
    images["bare"].filepath_raw = ""
    for name, colour in (("dirty", (1, 1, 0, 1)), ("both", (0, 1, 1, 1)), ("baked", (1, 1, 1, 1))):
        images[name].pixels[:] = 4 * colour
    for name, image in images.items():
        with_pictures(image).active_material.name = name

    def state(image: bpy.types.Image) -> tuple:
        packed = [(each.filepath, each.packed_file.data) for each in image.packed_files]
        return image.name, image.filepath_raw, image.source, image.is_dirty, tuple(image.pixels), packed

    before = [state(image) for image in images.values()]
    saving.save(tmp_path / "out/all.fbx")
    assert [state(image) for image in images.values()] == before and len(bpy.data.images) == len(images)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["all.fbx"]
    for name in ("a", "b", "dirty"):
        shutil.rmtree(tmp_path / name)
    files.empty_scene()
    bpy.ops.import_scene.fbx(filepath=str(tmp_path / "out/all.fbx"))
    colours = {}
    for material in bpy.data.materials:
        (image,) = {node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE"}
        colours[material.name] = tuple(round(value, 1) for value in image.pixels[:3])
        assert Path(image.filepath).suffix == ".png"
    assert colours == {
        "red": (1, 0, 0), "green": (0, 1, 0), "packed": (0, 0, 1), "bare": (1, 0, 1), "dirty": (1, 1, 0),
        "both": (0, 1, 1), "made": (0, 0, 0), "baked": (1, 1, 1),
    }  # fmt: skip


@pytest.mark.parametrize("suffix", ["fbx", "usda"])
def test_pictures_of_a_library_and_of_long_names_leave_too(empty: bpy.types.Scene, tmp_path: Path, suffix: str) -> None:
    """A .glb's have no path."""
    if suffix == "usda" and not compat.exists(bpy.ops.wm.usd_export):
        pytest.skip("this Blender is built without USD")
    bare, long = painted("bare", tmp_path), bpy.data.images.new("long", 2, 2)
    bare.pack()
    bare.filepath_raw = ""
    long.filepath_raw, long.file_format = str(tmp_path / f"{'脸' * 83}.png"), "PNG"
    long.save()
    with_pictures(bare).name, with_pictures(long).name = "one", "two"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    files.empty_scene()
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["one", "two"]
    for item in wanted.objects:
        bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()
    saving.save(tmp_path / f"out.{suffix}")
    assert (tmp_path / f"out.{suffix}").stat().st_size > 1000
    assert {image.filepath for image in bpy.data.images} == {"", f"//{'脸' * 83}.png"}


def test_a_picture_that_is_not_there_is_told(empty: bpy.types.Scene, tmp_path: Path) -> None:
    there, lost, made, within = (
        painted("there", tmp_path),
        painted("lost", tmp_path),
        *map(bpy.data.images.new, ("made", "within"), (2, 2), (2, 2)),
    )
    (tmp_path / "lost/skin.png").unlink()
    within.filepath_raw, within.source = str(tmp_path / "skin.<UDIM>.png"), "TILED"
    item = with_pictures(there, lost, made)
    group = bpy.data.node_groups.new("shared", "ShaderNodeTree")
    group.nodes.new("ShaderNodeTexImage").image = within
    item.active_material.node_tree.nodes.new("ShaderNodeGroup").node_tree = group
    (told,) = pictures.notes(item)
    assert told.startswith(f"Pictures of {item.name} are missing, and what they would colour comes out pink: ")
    assert f": {tmp_path / 'lost/skin.png'}, {tmp_path / 'skin.1001.png'}; put them there" in told
    for name in ("lost/skin.png", "skin.1001.png"):
        (tmp_path / name).touch()
    assert pictures.notes(item) == ()


def test_a_picture_named_as_windows_does_is_in_the_fbx(tmp_path: Path) -> None:
    files.empty_scene()
    picture = bpy.data.images.new("stone", 2, 2)
    picture.filepath_raw, picture.file_format = str(tmp_path / "tex maps/stone.png"), "PNG"
    picture.save()
    write = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl stone\nf 1/1 2/1 3/1\n"
    (tmp_path / "bust.obj").write_text("mtllib bust.mtl\n" + write)
    (tmp_path / "bust.mtl").write_text("newmtl stone\nmap_Kd tex maps\\stone.png\n")
    files.load(tmp_path / "bust.obj")
    saving.save(tmp_path / "bust.fbx")
    assert (tmp_path / "tex maps/stone.png").read_bytes() in (tmp_path / "bust.fbx").read_bytes()


def test_a_gltf_with_an_extension_that_blender_lacks_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "small.gltf"
    name = "EXT_unknown_compression"
    path.write_text(json.dumps({"asset": {"version": "2.0"}, "extensionsUsed": [name], "extensionsRequired": [name]}))
    with pytest.raises(MeshError, match="needs EXT_unknown_compression, which Blender cannot read; export it again"):
        files.load(path)


def test_a_collection_instance_is_told_apart_from_a_file_without_meshes(tmp_path: Path) -> None:
    path = tmp_path / "set.blend"
    write_with_blender(tmp_path / "unused.glb")
    character, scene = bpy.data.collections.new("Character"), bpy.context.scene
    character.objects.link(bpy.data.objects["solid"])
    scene.collection.objects.unlink(bpy.data.objects["solid"])
    instance = bpy.data.objects.new("Hero", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", character
    scene.collection.objects.link(instance)
    saving.save(path)
    with pytest.raises(MeshError, match=r"instances of collections: Hero; .* Make Instances Real"):
        files.load(path)


def test_meshes_of_another_scene_than_the_one_that_opens_are_named_with_theirs(tmp_path: Path) -> None:
    path = tmp_path / "set.blend"
    write_with_blender(tmp_path / "unused.glb")
    bpy.context.scene.name, other = "First", bpy.data.scenes.new("Second")
    bpy.context.window.scene = other
    saving.save(path)
    for name in (None, "solid"):
        with pytest.raises(MeshError, match=r"meshes of set\.blend are in the scene First, and Second opens with"):
            files.load(path, name=name)
    bpy.ops.mesh.primitive_cube_add()
    saving.save(path)
    with pytest.raises(MeshError, match=r"solid of set\.blend is in the scene First, and Second opens with"):
        files.load(path, name="solid")
