"""Export of the sidebar: what is in the file, and why there is none."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from baking import animate, rigged
from importing import opened
from read_glb import read
from wheel import NEEDS_SOUND

from freetalk_blender.blender import compat, marks, meshes, movers, placed, scene, session, sound, spoken
from freetalk_blender.blender.formats import files, saving
from freetalk_blender.blender.ui import chosen, export
from freetalk_blender.core.errors import FreeTalkError


def test_what_the_person_hid_or_deleted_is_told_in_a_sentence(talker: bpy.types.Object, tmp_path: Path) -> None:
    copy = animate(talker)
    copy.hide_set(True)
    with pytest.raises(RuntimeError, match="head FreeTalk is hidden; show it"):
        bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb"))
    assert not list(tmp_path.iterdir())
    bpy.context.scene.freetalk.face = copy
    bpy.context.scene.collection.objects.unlink(copy)
    assert chosen.talking(bpy.context) is None and not bpy.ops.freetalk.export.poll()
    again = animate(talker)
    assert again.users_collection and len(marks.all_copies()) == 1, "a deleted copy gives way to a new one"
    bpy.data.scenes.new("elsewhere").collection.objects.link(talker)
    bpy.context.scene.freetalk.face = talker
    bpy.context.scene.collection.objects.unlink(talker)
    assert chosen.why_no_face(bpy.context) == "head is not in this scene; choose another face"
    assert not bpy.ops.freetalk.animate.poll()


def test_only_the_face_and_what_hangs_on_it_is_exported(talker: bpy.types.Object) -> None:
    hat, bystander = (bpy.data.objects.new(name, None) for name in ("hat", "bystander"))
    for item in (hat, bystander):
        bpy.context.scene.collection.objects.link(item)
    hat.parent = talker
    copy = animate(talker)
    assert export.hanging_on(copy) == [copy, hat]


@pytest.mark.parametrize("suffix", export.formats())
def test_an_export_holds_what_is_said_beyond_the_scenes_ends_and_ends_at_rest(
    talker: bpy.types.Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A rig that is keyed makes glTF's exporter work out each frame of the scene too."""
    current = bpy.context.scene
    rigged(talker, "bone", current.collection).keyframe_insert("location", frame=1)
    copy = animate(talker)
    current.frame_start, current.frame_end = 30, 40
    path = tmp_path / f"early{suffix}"
    assert bpy.ops.freetalk.export(filepath=str(path)) == {"FINISHED"}
    assert (current.frame_start, current.frame_end) == (30, 40)
    with monkeypatch.context() as patched, saving._with_all_lines([copy], path):
        assert (current.frame_start, current.frame_end) == (1, 61)
        patched.setattr(spoken, "lines", lambda _: [spoken.Line("comes from rest", 20, 10, 10.0)])
        current.frame_start = 30
        with saving._with_all_lines([copy], path):
            assert (current.frame_start, current.frame_end) == (10, 61)
    files.read(path, 25)
    (keys,) = bpy.data.shape_keys
    curves = compat.existing_curves(keys)
    assert {tuple(curve.range()) for curve in curves} == {(1, 61)}
    assert max(abs(curve.evaluate(61)) for curve in curves) < 1e-6
    assert max(abs(curve.evaluate(frame)) for curve in curves for frame in range(20, 30)) > 0.05
    steps = [sum(abs(curve.evaluate(frame + 1) - curve.evaluate(frame)) for curve in curves) for frame in (51, 55, 60)]
    assert 0 < steps[0] < 0.3 * steps[1] and 0 < steps[2] < 0.3 * steps[1], "slowly at both ends"


@pytest.mark.parametrize("stretched", [50, 200])
@pytest.mark.parametrize("suffix", export.formats())
def test_an_export_moves_the_mouth_with_its_voice_where_the_scene_stretches_time(
    talker: bpy.types.Object, tmp_path: Path, suffix: str, stretched: int
) -> None:
    """A rig that is keyed makes glTF's exporter work out each frame of the scene too."""
    scene = bpy.context.scene
    rigged(talker, "bone", scene.collection).keyframe_insert("location", frame=1)
    copy = animate(talker)
    curves = compat.existing_curves(copy.data.shape_keys)
    wanted = [sum(abs(curve.evaluate(frame)) for curve in curves) for frame in range(1, 62)]
    scene.render.frame_map_new = stretched
    scene.frame_set(20)
    before = meshes.posed(copy)
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / f"face{suffix}")) == {"FINISHED"}
    assert scene.render.frame_map_new == stretched and np.array_equal(meshes.posed(copy), before)
    opened(tmp_path / f"face{suffix}", 25)
    (keys,) = bpy.data.shape_keys
    curves = compat.existing_curves(keys)
    written = [sum(abs(curve.evaluate(frame)) for curve in curves) for frame in range(1, 62)]
    assert np.abs(np.subtract(written, wanted)).max() < 1e-3


@NEEDS_SOUND
def test_an_export_tells_of_lines_whose_time_is_another_now(
    talker: bpy.types.Object, tmp_path: Path, short_clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    current = bpy.context.scene
    animate(talker)
    strip = sound.new_strip(current, "second", short_clip, 90)
    current.freetalk.sound, current.freetalk.strip = "STRIP", strip.name
    animate(talker)

    def told() -> str:
        assert bpy.ops.freetalk.export(filepath=str(tmp_path / "face.glb")) == {"FINISHED"}
        said = "face.glb says what was baked before its sound was moved or trimmed, or the frame rate changed: "
        return capfd.readouterr().out.partition(said)[2].partition(";")[0]

    assert told() == ""
    current.render.fps = 30
    assert told() == "file short.wav, second"
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert told() == "file short.wav"
    strip.frame_start += 5
    assert told() == "file short.wav, second"


@NEEDS_SOUND
def test_an_export_refuses_what_is_said_before_frame_0(
    talker: bpy.types.Object, tmp_path: Path, short_clip: Path
) -> None:
    strip, settings = sound.new_strip(bpy.context.scene, "early", short_clip, -24), bpy.context.scene.freetalk
    settings.sound, settings.strip = "STRIP", strip.name
    copy = animate(talker)
    for suffix in (".glb", ".fbx"):
        with pytest.raises(RuntimeError, match=f"{copy.name} speaks from frame -24 on, and early{suffix} cannot"):
            bpy.ops.freetalk.export(filepath=str(tmp_path / f"early{suffix}"))
    assert not [*tmp_path.glob("*early*")] and bpy.context.scene.frame_start == 1
    saving.save(tmp_path / "early.blend")
    second = scene._line(copy, "another", 5.0, 20, scene.EASE)
    assert second.reach == (0, 34), "from rest within the scene, and back to it"


def test_a_hidden_armature_is_exported_with_the_face_that_it_moves(talker: bpy.types.Object, tmp_path: Path) -> None:
    scene, away = bpy.context.scene, bpy.data.collections.new("rigs")
    scene.collection.children.link(away)
    rig = rigged(talker, "bone", away)
    copy = animate(talker)
    rig.hide_set(True)
    rig.hide_viewport = True
    bpy.context.view_layer.layer_collection.children["rigs"].exclude = True
    assert export.hanging_on(copy) == [copy, rig]
    for only in (True, False):
        scene.freetalk.only_face = only
        assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"}
        assert b'"skins"' in (tmp_path / "head.glb").read_bytes()
        assert rig.hide_viewport and rig.users_collection == (away,) and rig.name not in bpy.context.view_layer.objects
    bpy.context.view_layer.layer_collection.children["rigs"].exclude = False
    rig.hide_set(True)
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"} and rig.hide_get()
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.blend")) == {"FINISHED"}


def hat_in(collection: bpy.types.Collection) -> bpy.types.Object:
    """A triangle."""
    hat = bpy.data.objects.new("hat", bpy.data.meshes.new("hat"))
    hat.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    collection.objects.link(hat)
    return hat


def turn(bone: bpy.types.PoseBone) -> None:
    """By a radian, from frame 1 to frame 20."""
    bone.rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (20, 1.0)):
        bone.rotation_euler.y = angle
        bone.keyframe_insert("rotation_euler", frame=frame)


def place_of(item: bpy.types.Object, frame: int) -> np.ndarray:
    """(3,) where an object's first vertex is in a frame."""
    bpy.context.scene.frame_set(frame)
    return np.array(item.matrix_world @ item.data.vertices[0].co)


@pytest.mark.parametrize("suffix", export.formats())
def test_what_is_parented_to_the_face_hangs_on_the_talking_copy_in_files(
    talker: bpy.types.Object, tmp_path: Path, suffix: str
) -> None:
    """A bone moves the head, which moves the hat: glTF's exporter knows no bone where the head between them is not
    written."""
    scene = bpy.context.scene
    hat = hat_in(scene.collection)
    rig = rigged(talker, "neck", scene.collection)
    talker.modifiers.clear()
    talker.parent, talker.parent_type, talker.parent_bone, hat.parent = rig, "BONE", "neck", talker
    hat.matrix_parent_inverse.translation = (1, 2, 3)
    turn(rig.pose.bones["neck"])
    animate(talker)
    places = [place_of(hat, frame) for frame in (1, 20)]
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / f"head{suffix}")) == {"FINISHED"}
    assert hat.parent == talker and tuple(hat.matrix_parent_inverse.translation) == (1, 2, 3)
    opened(tmp_path / f"head{suffix}", 25)
    meshes = [item for item in bpy.context.scene.objects if item.type == "MESH"]
    head = next(item for item in meshes if item.data.shape_keys)
    hat = next(item for item in meshes if len(item.data.vertices) == 3)
    above = [item.name for item in movers.with_parents([head])]  # USD has a transform above each mesh
    assert hat.parent is not None and hat.parent.name in above and hat.parent.name.startswith("head")
    assert np.abs(np.subtract([place_of(hat, frame) for frame in (1, 20)], places)).max() < 1e-4
    assert np.abs(np.subtract(*places)).max() > 1


@pytest.mark.parametrize("through", ["skinned face", "face's vertices", "hidden object"])
def test_what_hangs_on_a_bone_through_what_no_file_holds_hangs_on_it_in_a_glb(
    talker: bpy.types.Object, tmp_path: Path, through: str
) -> None:
    scene = bpy.context.scene
    hat = hat_in(scene.collection)
    rig, above = rigged(talker, "neck", scene.collection), talker
    if through == "hidden object":
        above = bpy.data.objects.new("hidden", None)
        scene.collection.objects.link(above)
        above.hide_set(True)
    if through != "skinned face":
        talker.modifiers.clear()
    above.parent, above.parent_type, above.parent_bone, above.rotation_euler.x = rig, "BONE", "neck", 0.5
    hat.parent, hat.location, hat.matrix_parent_inverse.translation = above, (0, -900, 300), (1, 2, 3)
    if through == "face's vertices":
        hat.parent_type, hat.parent_vertices = "VERTEX_3", (0, 10, 20)
    before = [hat.parent, hat.parent_type, *hat.parent_vertices, hat.matrix_parent_inverse.copy()]
    turn(rig.pose.bones["neck"])
    animate(talker)
    places, scene.freetalk.only_face = [place_of(hat, frame) for frame in (1, 20)], False
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"}
    assert [hat.parent, hat.parent_type, *hat.parent_vertices, hat.matrix_parent_inverse] == before
    opened(tmp_path / "head.glb", 25)
    hat = next(item for item in bpy.data.objects if item.type == "MESH" and len(item.data.vertices) == 3)
    assert np.abs(np.subtract([place_of(hat, frame) for frame in (1, 20)], places)).max() < 0.01
    assert np.abs(np.subtract(*places)).max() > 100


@pytest.mark.parametrize("corners", [1, 3])
@pytest.mark.parametrize("suffix", export.formats())
def test_what_hangs_on_vertices_of_a_talking_copy_moves_with_them_in_files(
    talker: bpy.types.Object, tmp_path: Path, suffix: str, corners: int
) -> None:
    """A ring in the chin, on a hidden object on three vertices, or moved by curves of its own on one."""
    scene, ring = bpy.context.scene, bpy.data.objects.new("ring", bpy.data.meshes.new("ring"))
    ring.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    scene.collection.objects.link(ring)
    copy, chin = animate(talker), placed.points(talker)[8]
    near = meshes.nearest(meshes.vertices(copy.data), chin + 8 * np.eye(3)).tolist()
    pin = ring
    if corners == 3:
        pin = ring.parent = bpy.data.objects.new("pin", None)
        scene.collection.objects.link(pin)
        pin.hide_set(True)
        scene.freetalk.only_face = False
    pin.parent, pin.parent_type, pin.parent_vertices = copy, "VERTEX_3" if corners == 3 else "VERTEX", near
    pin.rotation_euler.x, pin.matrix_parent_inverse.translation = 1.0, (1, 2, 3)
    for frame in (1, 20) if corners == 1 else ():
        ring.location.x = frame
        ring.keyframe_insert("location", index=0, frame=frame)
    before = [pin.parent, pin.parent_type, *pin.parent_vertices, pin.matrix_parent_inverse.copy()]
    places, count = [place_of(ring, frame) for frame in (20, 27, 40)], [len(bpy.data.objects), len(bpy.data.actions)]
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / f"head{suffix}")) == {"FINISHED"}
    assert [pin.parent, pin.parent_type, *pin.parent_vertices, pin.matrix_parent_inverse] == before
    assert [len(bpy.data.objects), len(bpy.data.actions)] == count and len(bpy.data.scenes) == 1
    opened(tmp_path / f"head{suffix}", 25)
    ring = next(item for item in bpy.data.objects if item.type == "MESH" and len(item.data.vertices) == 3)
    assert np.abs(np.subtract([place_of(ring, frame) for frame in (20, 27, 40)], places)).max() < 0.05
    assert np.abs(places[1] - places[0]).max() > 0.5, "it moves with the chin"


@pytest.mark.parametrize("suffix", export.formats())
def test_what_cannot_be_selected_is_exported_as_what_can(talker: bpy.types.Object, tmp_path: Path, suffix: str) -> None:
    """The face and its rig by themselves, the hat by a collection of its collection."""
    scene, outer, inner = bpy.context.scene, *(bpy.data.collections.new(name) for name in ("outer", "inner"))
    scene.collection.children.link(outer)
    outer.children.link(inner)
    rig, hat = rigged(talker, "bone", scene.collection), hat_in(inner)
    hat.parent = talker
    copy = animate(talker)
    path = tmp_path / f"head{suffix}"
    assert bpy.ops.freetalk.export(filepath=str(path)) == {"FINISHED"}
    wanted, locked = path.stat().st_size, (copy, rig, outer)
    for owner in locked:
        owner.hide_select = True
    path.unlink()
    assert bpy.ops.freetalk.export(filepath=str(path)) == {"FINISHED"}
    assert path.stat().st_size == pytest.approx(wanted, abs=100)
    assert all(owner.hide_select for owner in locked) and not inner.hide_select and not copy.select_get()


def test_what_blender_cannot_select_is_told_and_not_left_out(talker: bpy.types.Object, tmp_path: Path) -> None:
    talker.hide_set(True)
    talker.hide_select = True
    with pytest.raises(FreeTalkError, match="Blender cannot select head, as Only This Face needs; show"):
        saving.save(tmp_path / "head.glb", [talker])
    assert talker.hide_select and not [*tmp_path.iterdir()]


def test_lines_that_still_move_other_shape_keys_than_arkits_are_told(
    talker: bpy.types.Object, short_clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    scene, other = bpy.context.scene, tmp_path / "other.wav"
    animate(talker)
    shutil.copy(short_clip, other)
    scene.freetalk.sound_file, scene.frame_start = str(other), 101
    copy, told = animate(talker), "head.glb moves other shape keys than ARKit's too"
    assert len(export.lines_by_other_keys(copy)) == 2
    scene.freetalk.keys = "ARKIT"
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"}
    (line,) = export.lines_by_other_keys(copy)
    assert line.told == "file short.wav" and told in capfd.readouterr().out
    scene.freetalk.sound_file, scene.frame_start = str(short_clip), 1
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and not export.lines_by_other_keys(copy)
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"}
    assert told not in capfd.readouterr().out


def test_modifiers_that_an_export_leaves_out_are_told(
    talker: bpy.types.Object, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    talker.modifiers.new("finer", "SUBSURF")
    animate(talker)
    for suffix, told in ((".glb", True), (".blend", False)):
        assert bpy.ops.freetalk.export(filepath=str(tmp_path / f"head{suffix}")) == {"FINISHED"}
        assert ("what modifiers make of head FreeTalk: finer; apply" in capfd.readouterr().out) == told


def test_an_export_that_needs_a_bake_says_what_that_needs(talker: bpy.types.Object, tmp_path: Path) -> None:
    animate(talker)
    session.clear()
    bpy.context.scene.freetalk.keys = "ARKIT"
    with pytest.raises(RuntimeError, match="Export are not baked yet: Press Animate once in this session"):
        bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb"))


def test_an_export_that_the_system_refuses_says_what_to_check(talker: bpy.types.Object, tmp_path: Path) -> None:
    animate(talker)
    (tmp_path / "head.glb").mkdir()
    with pytest.raises(RuntimeError) as error:
        bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb"))
    told = str(error.value).removeprefix("Error: ")
    assert told.startswith(f"{tmp_path / 'head.glb'} cannot be read or written (") and "check path and disk" in told


def test_an_export_without_a_name_asks_for_one(talker: bpy.types.Object, tmp_path: Path) -> None:
    animate(talker)
    folder = tmp_path / "heads"
    folder.mkdir()
    for unnamed in ("", f"{folder}{os.sep}"):
        with pytest.raises(RuntimeError, match="The file has no name yet; type one"):
            bpy.ops.freetalk.export(filepath=unnamed)
    assert [*tmp_path.rglob("*")] == [folder], "no file beside the folder, called as it is"


def test_an_export_whose_bake_makes_another_copy_writes_that(talker: bpy.types.Object, tmp_path: Path) -> None:
    animate(talker)
    bpy.context.scene.freetalk.keys, bpy.context.scene.freetalk.inner_mouth = "ARKIT", "dark"
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"}
    (copy,) = marks.all_copies()
    morphs = read(tmp_path / "head.glb")
    assert morphs.names == [block.name for block in copy.data.shape_keys.key_blocks][1:] and "jawOpen" in morphs.names


def test_the_format_beside_the_name_of_the_file_decides_its_ending(addon: None) -> None:
    dialog = SimpleNamespace(filepath="/tmp/my.head.glb", format=".fbx")
    assert export.FREETALK_OT_export.check(dialog, bpy.context) and dialog.filepath == str(Path("/tmp/my.head.fbx"))
    assert not export.FREETALK_OT_export.check(dialog, bpy.context)
    dialog.filepath = "/tmp/my.head"
    assert not export.FREETALK_OT_export.check(dialog, bpy.context), "it gets its ending when it is written"
    properties = bpy.ops.freetalk.export.get_rna_type().properties
    assert properties["check_existing"].default, "Blender asks before a file is replaced"
