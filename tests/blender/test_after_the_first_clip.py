"""What people do once a face has talked: other recordings, duplicates, deletions, edits by hand."""

from dataclasses import replace
from pathlib import Path

import baking
import bpy
import numpy as np
import pytest
import soundfile
from baking import animate, teeth_behind
from mathutils import Matrix

from freetalk_blender.blender import (
    bake,
    cleanup,
    compat,
    heard,
    linked,
    marks,
    meshes,
    parts,
    placed,
    scene,
    sound,
    spoken,
    takes,
)
from freetalk_blender.blender.ui import chosen, live, request, result
from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.landmarks import Landmarks


def weights(copy: bpy.types.Object, frame: float) -> np.ndarray:
    """(K,) of the take that plays."""
    return np.array([curve.evaluate(frame) for curve in compat.fcurves(copy.data.shape_keys)])


def duplicate(copy: bpy.types.Object, name: str) -> bpy.types.Object:
    """As Shift-D makes one."""
    with bpy.context.temp_override(selected_objects=[copy], active_object=copy, object=copy):
        for item in bpy.context.view_layer.objects:
            item.select_set(item == copy)
        bpy.ops.object.duplicate()
    other = next(item for item in bpy.context.view_layer.objects if item.select_get() and item != copy)
    other.name = name
    return other


@pytest.fixture
def cube(empty: bpy.types.Scene) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add()
    return bpy.context.object


@pytest.fixture
def other_clip(tmp_path: Path, short_clip: Path) -> str:
    """Another recording, shorter than the first: its last second, which ends in the middle of a word."""
    samples, rate = soundfile.read(short_clip)
    soundfile.write(tmp_path / "other.wav", samples[-rate:], rate)
    return str(tmp_path / "other.wav")


def test_another_recording_at_the_same_place_replaces_the_first(talker: bpy.types.Object, other_clip: str) -> None:
    copy = animate(talker)
    bpy.context.scene.freetalk.sound_file = other_clip
    animate(talker)
    (line,) = spoken.lines(takes.current(copy))
    assert line.source == f"file {other_clip}" and line.frames == 26
    assert not weights(copy, line.end + line.after).any() and not weights(copy, 45).any(), (
        "nothing of the first is left"
    )
    if compat.can_make_sound():
        assert [strip[marks.HEARD] for strip in sound.sound_strips(bpy.context.scene)] == [line.source]


def test_a_face_comes_to_rest_after_a_line_and_before_the_next(talker: bpy.types.Object, other_clip: str) -> None:
    scene = bpy.context.scene
    scene.freetalk.sound_file = other_clip
    copy = animate(talker)
    assert np.abs(weights(copy, 26)).max() > 0.05 and not weights(copy, 36).any(), "cut off in a word; 0.4 s later"
    first = {curve.data_path: curve.evaluate(1) for curve in compat.fcurves(copy.data.shape_keys)}
    second = Path(other_clip).with_name("second.wav")
    second.write_bytes(Path(other_clip).read_bytes())
    scene.frame_start, scene.freetalk.sound_file = 60, str(second)
    animate(talker)
    assert len(spoken.lines(takes.current(copy))) == 2
    assert not weights(copy, 36).any() and not weights(copy, 50).any(), "between the lines"
    assert np.abs(weights(copy, 85)).max() > 0.05 and not weights(copy, 95).any()
    curves = compat.fcurves(copy.data.shape_keys)
    assert {path: curves.find(path).evaluate(1) for path in first} == first
    keyed = {key.co.x for path in first for key in curves.find(path).keyframe_points}
    assert {1, 2, 25, 26, 36, 50, 60, 85, 95} <= keyed, "the first line is whole"


def test_lines_with_no_room_between_them_follow_each_other_at_once() -> None:
    first, second = spoken.Line("a", 1, 50, 0, 10), spoken.Line("b", 55, 50, 10, 10)
    assert spoken.rests([second, first]) == [114]
    far = spoken.Line("c", 134, 20, 10, 10)
    assert sorted(spoken.rests([first, second, far])) == [114, 124, 163]
    word = spoken.Line("d", 20, 10, 10, 10)
    assert spoken.rests([first, word]) == [60], "said within another line"


def test_a_face_comes_from_rest_no_earlier_than_the_scene_begins(empty: bpy.types.Scene) -> None:
    empty.frame_start = 11
    lines = [scene._line(None, "a", start, 50, 0.4) for start in (5, 11, 15, 60)]
    assert [line.before for line in lines] == [0, 0, 4, 10] and {line.after for line in lines} == {10}


def test_beside_another_line_it_comes_from_rest_where_it_can_be_exported(cube: bpy.types.Object) -> None:
    """Before the scene begins, too, and no earlier than frame 0."""
    copy, bpy.context.scene.frame_start = baking.duplicate(cube), 20
    baking.baked(copy, ShapeKeys(np.ones((1, 8, 3), np.float32), np.ones((3, 1), np.float32), 0.0), 60, "a")
    assert [scene._line(copy, "b", start, 3, 0.4).before for start in (4, 25)] == [4, 10]
    assert [scene._line(copy, "a", start, 3, 0.4).before for start in (4, 25)] == [0, 5], "it replaces the other"


def test_a_line_replaces_what_is_said_at_its_place_and_not_what_goes_on_around_it() -> None:
    long, word, crossfaded = spoken.Line("a", 1, 50), spoken.Line("b", 20, 10), spoken.Line("c", 46, 50)
    assert not word.replaces(long) and not crossfaded.replaces(long)
    assert spoken.Line("d", 1, 10).replaces(long) and spoken.Line("e", 11, 60).replaces(long)
    assert spoken.Line("a", 900, 10).replaces(long), "the same sound elsewhere"


def test_a_sound_file_is_known_by_its_path_and_by_its_name_in_older_files(
    talker: bpy.types.Object, other_clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [Path(other_clip).parent / folder / "voice.wav" for folder in ("scene01", "scene02")]
    scene = bpy.context.scene
    for path, start in zip(paths, (1, 200), strict=True):
        path.parent.mkdir()
        path.write_bytes(Path(other_clip).read_bytes())
        scene.freetalk.sound_file, scene.frame_start = str(path), start
        copy = animate(talker)
    first, second = spoken.lines(takes.current(copy))
    assert (first.start, second.start) == (1, 200) and first.told == second.told == "file voice.wav"
    if compat.can_make_sound():
        assert {sound.file_of(strip) for strip in sound.sound_strips(scene)} == {*paths}

    elsewhere = spoken.Line("file voice.wav", 900, 26)
    assert first.replaces(elsewhere) and elsewhere.replaces(first)
    assert not spoken.Line("file other.wav", 900, 26).replaces(first) and not first.replaces(second)
    monkeypatch.setattr(bpy.path, "abspath", lambda path: path.replace("//", f"{paths[0].parents[1]}/takes/"))
    assert spoken.Line("file //../scene01/voice.wav", 900, 26).replaces(first), "as a saved file writes it"
    assert not spoken.Line("strip voice.wav", 900, 26).replaces(first)


def test_takes_stay_where_none_of_them_plays(talker: bpy.types.Object) -> None:
    copy = animate(talker)
    peak = np.abs([weights(copy, frame) for frame in range(1, 52)]).max()
    first = takes.current(copy)
    copy.data.shape_keys.animation_data.action = None
    animate(talker)
    assert takes.listed(copy) == [first, takes.current(copy)] and takes.current(copy) != first
    takes.choose(copy, first)
    assert np.abs([weights(copy, frame) for frame in range(1, 52)]).max() == pytest.approx(peak)


def test_a_take_that_was_pushed_down_is_listed_once(talker: bpy.types.Object) -> None:
    copy = animate(talker)
    data, first = copy.data.shape_keys.animation_data, takes.current(copy)
    through = compat.slot(copy.data.shape_keys)
    data.action = None
    compat.stash(copy.data.shape_keys, "pushed down", first, through)
    animate(talker)
    assert takes.listed(copy) == [first, takes.current(copy)]
    bpy.ops.freetalk.take_delete(take=first.name)
    assert len(takes.listed(copy)) == 1


def test_while_a_strip_is_tweaked_nothing_is_written(talker: bpy.types.Object) -> None:
    copy = animate(talker)
    data = copy.data.shape_keys.animation_data
    data.action = None
    data.nla_tracks[0].mute, data.nla_tracks[0].select = False, True
    data.nla_tracks[0].strips[0].select = True
    data.nla_tracks.active = data.nla_tracks[0]
    data.use_tweak_mode = True
    assert chosen.why_no_face(bpy.context) == "Leave the NLA's tweak mode of head FreeTalk first (Tab there)"
    assert not bpy.ops.freetalk.take_new.poll() and not bpy.ops.freetalk.animate.poll()
    data.use_tweak_mode = False
    assert bpy.ops.freetalk.take_new.poll() and bpy.ops.freetalk.animate.poll()


def test_duplicates_of_the_talking_copy_are_the_persons_own(talker: bpy.types.Object) -> None:
    copy = animate(talker)
    backup = duplicate(copy, "backup")
    assert marks.copy_of(talker) == copy and marks.original_of(backup) == backup
    bpy.context.scene.freetalk.inner_mouth = "none"
    animate(talker)
    assert backup.name in bpy.context.scene.objects and np.ptp(meshes.vertices(backup.data), 0).all()
    assert len(backup.data.shape_keys.key_blocks) > 10
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert "backup" in bpy.context.scene.objects and marks.ORIGINAL not in backup and not talker.hide_get()


def test_a_copy_that_was_renamed_is_told_from_a_duplicate_that_was_too(talker: bpy.types.Object) -> None:
    copy = animate(talker)
    copy.name = "Zoe"
    duplicate(copy, "Bob")
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert "Bob" in bpy.data.objects and "Zoe" not in bpy.data.objects


def test_renamed_copies_are_told_from_duplicates_after_the_file_was_opened(
    talker: bpy.types.Object, tmp_path: Path
) -> None:
    copy = animate(talker)
    copy.name = "Zoe"
    duplicate(copy, "Bob")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "renamed.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "renamed.blend"))
    face, copy = bpy.data.objects["head"], bpy.data.objects["Zoe"]
    assert marks.copy_of(face) == copy
    duplicate(copy, "Ann")
    copy.name = "Zelda"
    assert marks.copy_of(face) == copy


def test_a_duplicate_can_say_something_else(talker: bpy.types.Object, other_clip: str) -> None:
    copy = animate(talker)
    before = weights(copy, 40)
    twin = duplicate(copy, "a twin")
    bpy.context.scene.freetalk.face, bpy.context.scene.freetalk.sound_file = twin, other_clip
    talking = animate(twin)
    assert talking not in (copy, twin) and np.array_equal(weights(copy, 40), before)
    assert spoken.lines(takes.current(talking))[0].told == "file other.wav"


def test_a_deleted_original_leaves_a_face_that_talks(talker: bpy.types.Object) -> None:
    copy = animate(talker)
    bpy.context.scene.collection.objects.unlink(talker)
    assert chosen.face(bpy.context) == copy and chosen.why_no_face(bpy.context) == ""
    assert not bpy.ops.freetalk.remove.poll(), "nothing is left to go back to"
    assert animate(copy).name == "head FreeTalk FreeTalk"


def test_a_deleted_copy_leaves_a_way_back(talker: bpy.types.Object) -> None:
    copy = animate(talker)
    bpy.data.objects.remove(copy)
    assert result.is_left_hidden(bpy.context) and talker.hide_get() and talker.hide_render
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert not talker.hide_get() and not talker.hide_render and not [*talker.keys()]


def test_animated_anew_after_its_copy_was_deleted_a_face_is_still_shown_again(talker: bpy.types.Object) -> None:
    bpy.data.objects.remove(animate(talker))
    animate(talker)
    assert bpy.ops.freetalk.remove() == {"FINISHED"} and not talker.hide_get() and not talker.hide_render


def test_what_hangs_on_the_copy_hangs_on_the_one_that_replaces_it(
    talker: bpy.types.Object, capfd: pytest.CaptureFixture
) -> None:
    copy = animate(talker)
    hat = bpy.data.objects.new("hat", None)
    bpy.context.scene.collection.objects.link(hat)
    hat.parent = copy
    hat.constraints.new("TRACK_TO").target = copy
    bpy.context.scene.freetalk.inner_mouth = "none"
    fresh = animate(talker)
    assert hat.parent == fresh and hat.constraints[0].target == fresh
    assert "what was done to the one before by hand is gone" in capfd.readouterr().out


def test_a_face_is_the_same_wherever_its_animation_has_taken_it(talker: bpy.types.Object) -> None:
    talker.scale = (0.7, 1.3, 1.1)
    copy = animate(talker)
    bpy.ops.freetalk.take_new()
    for turn in (0.3, 1.1, 2.9):
        talker.matrix_world = Matrix.Rotation(turn, 4, (0.2, 1, 0.4)) @ Matrix.Diagonal((0.7, 1.3, 1.1, 1))
        bpy.context.view_layer.update()
        assert animate(talker) == copy and len(takes.listed(copy)) == 2


def test_a_face_that_an_animation_squashes_is_the_same_in_each_frame(talker: bpy.types.Object) -> None:
    current = bpy.context.scene
    for frame, height in ((1, 1.0), (20, 1.25)):
        talker.scale.y = height
        talker.keyframe_insert("scale", frame=frame)
    current.frame_set(1)
    copy = animate(talker)
    bpy.ops.freetalk.take_new()
    animate(talker)
    current.frame_set(20)
    current.freetalk.happy = 1.0
    live.watch(current)
    previewed = meshes.places(copy.data.shape_keys.key_blocks[marks.PREVIEW])
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert marks.copy_of(talker) == copy and len(takes.listed(copy)) == 2
    current.frame_set(20)
    baked = meshes.vertices(copy.data)
    for block in bake.own_blocks(copy):
        baked = baked + block.value * (meshes.places(block) - meshes.vertices(copy.data))
    assert np.abs(previewed - baked).max() < 0.25
    talker.animation_data_clear()
    talker.scale.y, before = 1.5, copy.session_uid
    bpy.context.view_layer.update()
    assert animate(talker).session_uid != before, "another face, for the person stretched it"


def test_parts_that_lie_a_rounding_error_elsewhere_are_the_same_face(talker: bpy.types.Object) -> None:
    scan = request.read_scan(bpy.context, talker)
    points = Landmarks(scan.landmarks.points)
    ball = scan.vertices[:50], np.array([[0, 1, 2]], np.int32)
    part = request.Part("teeth", *ball, True)
    moved = request.Part("teeth", ball[0] + np.float32(1e-5), ball[1], True)
    far = request.Part("teeth", ball[0] + np.float32(3), ball[1], True)
    whole = [
        request.replace(scan, vertices=np.concatenate([scan.vertices, each.vertices]), parts=(each,))
        for each in (part, moved, far)
    ]
    first, second, third = (each.fingerprint(points) for each in whole)
    assert first == second != third


def test_what_was_bound_to_the_copy_before_is_told(talker: bpy.types.Object, capfd: pytest.CaptureFixture) -> None:
    copy = animate(talker)
    bpy.ops.mesh.primitive_grid_add(size=40, location=placed.points(talker)[8] + [0, -5, 10])
    mask, told = bpy.context.object, "the talking copy that this one replaces, and rest now: Grid; bind them to head"
    bound = mask.modifiers.new("bound", "SURFACE_DEFORM")
    bound.target = copy
    with bpy.context.temp_override(object=mask, active_object=mask):
        bpy.ops.object.surfacedeform_bind(modifier="bound")
    for opened, loose in ((True, False), (False, True), (False, False)):
        bpy.context.scene.freetalk.open_mouth = opened
        capfd.readouterr()
        copy = animate(talker)
        assert bound.is_bound and bound.target == copy and (told in capfd.readouterr().out) == loose


def test_a_copy_whose_mesh_was_changed_is_told_and_left(talker: bpy.types.Object, capfd: pytest.CaptureFixture) -> None:
    copy = animate(talker)
    copy.data.transform(Matrix.Scale(0.5, 4), shape_keys=True)
    with pytest.raises(RuntimeError, match="The mesh of head FreeTalk was scaled or turned"):
        bpy.ops.freetalk.animate()
    copy.data.transform(Matrix.Scale(2, 4), shape_keys=True)
    animate(talker)
    mesh = bpy.data.meshes.new("glasses")
    mesh.from_pydata([(0, 0, 0), (0, 1, 0), (1, 0, 0)], [], [(0, 1, 2)])
    glasses = bpy.data.objects.new("glasses", mesh)
    bpy.context.scene.collection.objects.link(glasses)
    count = len(copy.data.vertices)
    with bpy.context.temp_override(active_object=copy, object=copy, selected_editable_objects=[copy, glasses]):
        bpy.ops.object.join()
    with pytest.raises(RuntimeError, match=f"has {count + 3:,} vertices, not the {count:,}"):
        bpy.ops.freetalk.animate()
    assert len(copy.data.vertices) == count + 3


def test_a_copy_that_was_sculpted_a_little_fits_its_keys(cube: bpy.types.Object) -> None:
    original, copy = cube, baking.duplicate(cube)
    keys = ShapeKeys(np.zeros((0, 8, 3), np.float32), np.zeros((3, 0), np.float32), 0.0)
    copy.data.vertices[0].co.x += 0.05
    scene._check_unedited(copy, original, keys)
    copy.data.transform(Matrix.Rotation(0.1, 4, "X"))
    with pytest.raises(FreeTalkError, match="was scaled or turned"):
        scene._check_unedited(copy, original, keys)


def test_a_pinned_shape_key_does_not_hold_the_face_still(talker: bpy.types.Object) -> None:
    talker.shape_key_add(name="Basis")
    talker.shape_key_add(name="Smirk")
    talker.show_only_shape_key = True
    assert not animate(talker).show_only_shape_key and talker.show_only_shape_key


def test_a_face_in_another_files_collection_talks_in_the_scenes_own(talker: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    kept = bpy.data.collections.new("hero")
    kept.objects.link(talker)
    scene.collection.objects.unlink(talker)
    bpy.data.libraries.write(str(tmp_path / "hero.blend"), {kept})
    bpy.data.objects.remove(talker)
    bpy.data.collections.remove(kept)
    with bpy.data.libraries.load(str(tmp_path / "hero.blend"), link=True) as (there, here):
        here.collections = there.collections
    scene.collection.children.link(bpy.data.collections["hero"])
    linked = bpy.data.collections["hero"].objects[0]
    scene.freetalk.face = linked
    copy = animate(linked)
    assert copy.users_collection == (scene.collection,) and linked.hide_get()


def test_teeth_of_another_file_are_not_joined(talker: bpy.types.Object, tmp_path: Path) -> None:
    teeth = teeth_behind(talker, placed.points(talker), "teeth")
    bpy.context.view_layer.update()
    assert [(part.name, part.joinable) for part in parts.around(talker)] == [("teeth", True)]
    bpy.data.libraries.write(str(tmp_path / "teeth.blend"), {teeth})
    bpy.data.objects.remove(teeth)
    with bpy.data.libraries.load(str(tmp_path / "teeth.blend"), link=True) as (there, here):
        here.objects = there.objects
    bpy.context.scene.collection.objects.link(bpy.data.objects["teeth"])
    bpy.context.view_layer.update()
    assert [(part.name, part.joinable) for part in parts.around(talker)] == [("teeth", False)]


def test_an_overridden_face_is_known_again_when_the_file_is_opened(talker: bpy.types.Object, tmp_path: Path) -> None:
    """With its teeth, which are another object of the character; Blender saves no custom property of an override."""
    teeth, known = teeth_behind(talker, placed.points(talker), "teeth"), placed.landmarks(talker)
    placed.forget(talker)
    kept = bpy.data.collections.new("hero")
    for item in (talker, teeth):
        kept.objects.link(item)
    bpy.data.libraries.write(str(tmp_path / "hero.blend"), {kept})
    for item in (talker, teeth):
        bpy.data.objects.remove(item)
    bpy.data.collections.remove(kept)
    with bpy.data.libraries.load(str(tmp_path / "hero.blend"), link=True) as (there, here):
        here.collections = there.collections
    current, layer = bpy.context.scene, bpy.context.view_layer
    bpy.data.collections["hero"].override_hierarchy_create(current, layer, do_fully_editable=True)
    face, teeth = (current.objects[name] for name in ("head", "teeth"))
    assert face.override_library and teeth.override_library
    placed.keep(face, known)
    current.freetalk.face = face
    assert len(animate(face).data.vertices) > len(face.data.vertices) + len(teeth.data.vertices)
    for _ in range(2):
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        assert marks.KEPT not in bpy.context.scene
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    face, teeth, copy = (bpy.data.objects[name] for name in ("head", "teeth", "head FreeTalk"))
    assert marks.original_of(copy) == face and marks.copy_of(face) == copy == scene.talking_object()
    assert np.allclose(placed.points(face), known.points) and chosen.face(bpy.context) == face
    assert animate(face) == copy and marks.all_copies() == [copy], "the same copy goes on talking"
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert all(item.visible_get() and not item.hide_render for item in (face, teeth)) and not list(cleanup.found())


def test_overridden_hair_knows_what_it_grew_on_when_the_file_is_opened(empty: bpy.types.Scene, tmp_path: Path) -> None:
    hair = bpy.data.hair_curves.new("hair")
    bpy.data.libraries.write(str(tmp_path / "hero.blend"), {hair}, fake_user=True)
    bpy.data.hair_curves.remove(hair)
    with bpy.data.libraries.load(str(tmp_path / "hero.blend"), link=True) as (there, here):
        here.hair_curves = there.hair_curves
    face = bpy.data.objects.new("face", None)
    grown = bpy.data.objects.new("grown", here.hair_curves[0].override_create())
    for item in (face, grown):
        empty.collection.objects.link(item)
    grown.data[marks.GROWS_ON] = face
    with linked.kept():
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    linked.give_back()
    assert bpy.data.objects["grown"].data[marks.GROWS_ON] == bpy.data.objects["face"]


def test_what_another_file_says_of_its_own_object_since_counts(empty: bpy.types.Scene) -> None:
    face = bpy.data.objects.new("face", None)
    face[marks.CHECKUP] = "new"
    empty[marks.KEPT] = {"0": {"block": face, marks.CHECKUP: "old", marks.NAME: "kept"}}
    linked.give_back()
    assert (face[marks.CHECKUP], face[marks.NAME]) == ("new", "kept") and marks.KEPT not in empty


def test_the_scene_plays_to_the_end_of_the_faces_that_are_left(talker: bpy.types.Object, other_clip: str) -> None:
    scene = bpy.context.scene
    twin = duplicate(talker, "twin")
    animate(talker)
    scene.freetalk.face, scene.freetalk.sound_file = twin, other_clip
    animate(twin)
    scene.freetalk.face = talker
    assert scene.frame_end == 61 and bpy.ops.freetalk.remove() == {"FINISHED"}
    assert scene.frame_end == 36


def test_an_end_of_the_scene_that_the_person_set_since_stays(talker: bpy.types.Object) -> None:
    animate(talker)
    bpy.context.scene.frame_end = 80
    assert bpy.ops.freetalk.remove() == {"FINISHED"} and bpy.context.scene.frame_end == 80


def test_another_mouth_or_other_eyes_are_another_face(talker: bpy.types.Object) -> None:
    scan = request.read_scan(bpy.context, talker)
    other = [{"open_mouth": False}, {"inner_mouth": "dark"}, {"eyeballs": True}]
    faces = [replace(scan, **options).fingerprint(scan.landmarks) for options in ({}, *other)]
    assert len(set(faces)) == 4


def test_a_hidden_duplicate_is_not_heard(talker: bpy.types.Object, other_clip: str) -> None:
    if not compat.can_make_sound():
        pytest.skip("this bpy wheel is built without sound")
    backup = duplicate(animate(talker), "backup")
    bpy.context.view_layer.update()
    bpy.context.scene.freetalk.sound_file = other_clip
    animate(talker)
    heard_now = {strip.name: strip.mute for strip in sound.sound_strips(bpy.context.scene)}
    assert heard_now == {"FreeTalk short.wav": False, "FreeTalk other.wav": False}
    backup.hide_set(True)
    heard.tune(bpy.context.scene)
    heard_now = {strip.name: strip.mute for strip in sound.sound_strips(bpy.context.scene)}
    assert heard_now == {"FreeTalk short.wav": True, "FreeTalk other.wav": False}
    assert len(bake.own_blocks(backup)) > 0


def test_a_muted_tongue_stays_muted(talker: bpy.types.Object) -> None:
    blocks = animate(talker).data.shape_keys.key_blocks
    blocks["tongueTipUp"].mute = blocks["FreeTalk 01"].mute = True
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert blocks["tongueTipUp"].mute and not blocks["FreeTalk 01"].mute, "which of the numbered ones is which changes"
