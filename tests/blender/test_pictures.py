"""Pictures of what is written: each file has those that are shown, under names of their own."""

import re
import shutil
from pathlib import Path

import bpy
import pytest
from doors import call
from wheel import NEEDS_USD

from freetalk_blender import cli
from freetalk_blender.blender import compat
from freetalk_blender.blender.formats import files, pictures, saving
from freetalk_blender.core import readable


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


@pytest.mark.parametrize("kind", ["blend", "gltf", "fbx"])
def test_a_picture_of_what_is_read_is_not_written_over(
    empty: bpy.types.Scene, tmp_path: Path, capsys: pytest.CaptureFixture, kind: str
) -> None:
    """Linked or packed, beside a scan or a scene."""
    with_pictures(painted("head", tmp_path))
    picture, path = tmp_path / "head/skin.png", tmp_path / f"head.{kind}"
    if kind == "blend":
        bpy.ops.wm.save_as_mainfile(filepath=str(path))
    elif kind == "fbx":
        bpy.ops.export_scene.fbx(filepath=str(path))
    else:
        bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLTF_SEPARATE", export_keep_originals=True)
    before, words = picture.read_bytes(), ("render", path) if kind == "blend" else ("animate", path, "speech.wav")
    assert call(*words, "-o", picture) == cli.BAD_INPUT
    assert f"{picture} is read by this command; write to another file." in capsys.readouterr().err
    assert picture.read_bytes() == before


def test_a_library_of_what_is_read_is_not_written_over(
    empty: bpy.types.Scene, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    library, path = tmp_path / "assets.blend", tmp_path / "shot.blend"
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.data.libraries.write(str(library), {bpy.data.materials.new("brass")}, fake_user=True)
    with bpy.data.libraries.load(str(library), link=True) as (held, linked):
        linked.materials = held.materials
    bpy.context.object.data.materials.append(linked.materials[0])
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    before = library.read_bytes()
    assert call("animate", path, "speech.wav", "-o", library) == cli.BAD_INPUT
    assert f"{library} is read by this command; write to another file." in capsys.readouterr().err
    assert library.read_bytes() == before


@NEEDS_USD
def test_usd_files_of_one_folder_have_each_their_own_pictures(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """Also where these share a name, in one file too, are packed, made by Blender, painted on or tiled."""
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


def test_a_picture_that_may_not_be_looked_at_is_told_and_left(
    empty: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is too long for a file, or nobody may read it."""
    long, shut = painted("long", tmp_path), painted("shut", tmp_path)
    long.filepath_raw = str(tmp_path / f"{300 * 'x'}.png")
    monkeypatch.setattr(pictures, "is_readable", lambda path: "shut" not in str(path) and readable.is_readable(path))
    item = with_pictures(long, shut)
    (told,) = pictures.notes(item)
    assert long.filepath_raw in told and shut.filepath_raw in told
    with pictures.named_by_content([long, shut], tmp_path, lambda image, mark: None):
        assert [long.name, shut.name] == ["long", "shut"]


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
