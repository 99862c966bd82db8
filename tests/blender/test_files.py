"""Scan files in Blender: which object, where the file's coordinates are in the scene, and which pictures it shows."""

import json
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from importing import POINTS, write_with_blender
from wheel import NEEDS_USD

from freetalk_blender.blender import log, meshes
from freetalk_blender.blender.formats import files, saving
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


@NEEDS_USD
@pytest.mark.parametrize("name", ["scan@2x.usdc", "it's @home@@@work @.usdc"])
def test_usd_of_any_name_is_read(tmp_path: Path, name: str) -> None:
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


def test_an_object_is_chosen_by_its_name(tmp_path: Path) -> None:
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


def test_a_scan_that_nobody_may_read_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.fbx").write_bytes(b"Kaydara FBX Binary")
    with monkeypatch.context() as there, pytest.raises(MeshError, match=r"read \(Permission denied\); check the path"):
        there.setattr(Path, "open", refuse)
        files.read(tmp_path / "a.fbx")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"x", "is not a scan that FreeTalk reads"),
        ("a.glb", b"not a glb", "cannot be read"),
        ("a.fbx", b"not an fbx", "cannot be read"),
        ("a.fbx", b"Kaydara FBX Binary  \0\x1a\0\xff", "cannot be read [(].*damaged"),
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
        (
            "a.gltf",  # its accessors are cut off
            b'{"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}], '
            b'"meshes": [{"primitives": [{"attributes": {"POSITION": 7}}]}]}',
            r"cannot be read \(\w+Error: .*damaged",
        ),
        ("a.stl", b"x" * 200, "(cannot be read|holds no mesh)"),
        ("a.ply", b"plyx", "(cannot be read|holds no mesh)"),
        ("a.usdc", b"PXR-USDC" + 99 * b"\1", r"cannot be read \(USD Import: unable to open stage"),
        ("a.usda", b'#usda 1.0\ndef Mesh "face" {', r"cannot be read \(USD Import: unable to open stage"),
        ("a.usda", b"#usda 1.0\n", "holds no mesh with faces"),
        ("a.blend", b"not a blend", "cannot be read"),
    ],
)
def test_what_is_no_scan_is_refused_in_a_sentence(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MeshError, match=words) as caught:
        files.load(path)
    assert "\n" not in str(caught.value)


def test_a_scan_is_refused_in_any_language_of_blender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are translated, and so is the word in front of them."""

    def told(**_options) -> None:
        raise RuntimeError("Fehler: ASCII-FBX-Dateien werden nicht unterstützt\n")

    german = SimpleNamespace(pgettext_rpt=lambda word: "Fehler", pgettext_tip=lambda word: word)
    monkeypatch.setattr(log, "bpy", SimpleNamespace(app=SimpleNamespace(translations=german)))
    for name, words in (("a.fbx", "Blender reads binary FBX alone"), ("a.glb", "[(]ASCII-FBX-Dateien werden nicht ")):
        path = tmp_path / name
        path.write_text("; FBX 7.3.0 project file")
        with monkeypatch.context() as patch, pytest.raises(MeshError, match=words):
            patch.setattr(bpy.ops, "import_scene", SimpleNamespace(fbx=told, gltf=told), raising=False)
            files.load(path)


def test_of_several_reports_the_first_tells_the_cause() -> None:
    told = "Error: The disk is full\nError: The film was not closed\n"
    assert log.reported(RuntimeError(told)) == "The disk is full"


def test_a_missing_scan_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match="does not exist"):
        files.load(tmp_path / "none.glb")


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
