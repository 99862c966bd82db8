"""What people do with a talking copy: duplicates, deletions, edits by hand."""

from pathlib import Path

import baking
import bpy
import numpy as np
import pytest
from baking import animate, weights
from mathutils import Matrix
from wheel import NEEDS_SOUND

from freetalk_blender.blender import bake, cleanup, compat, heard, marks, meshes, placed, scene, sound, spoken, takes
from freetalk_blender.blender.ui import chosen, result
from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.errors import FreeTalkError


def duplicate(copy: bpy.types.Object, name: str) -> bpy.types.Object:
    """As Shift-D makes one."""
    with bpy.context.temp_override(selected_objects=[copy], active_object=copy, object=copy):
        for item in bpy.context.view_layer.objects:
            item.select_set(item == copy)
        bpy.ops.object.duplicate()
    other = next(item for item in bpy.context.view_layer.objects if item.select_get() and item != copy)
    other.name = name
    return other


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


def test_a_duplicate_that_shares_the_takes_keeps_what_it_says(
    talker: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Preferences > Editing > Duplicate Data > Action makes it where that is off."""
    monkeypatch.setattr(bpy.context.preferences.edit, "use_duplicate_action", False)
    copy = animate(talker)
    twin, name = duplicate(copy, "twin"), takes.current(copy).name
    assert takes.current(twin) == takes.current(copy)
    bpy.context.scene.frame_set(25)
    before = meshes.posed(twin)
    bpy.context.scene.freetalk.happy = 1.0
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    bpy.context.scene.frame_set(25)
    assert np.array_equal(meshes.posed(twin), before) and not np.array_equal(meshes.posed(copy), before)
    assert takes.current(copy).name == name and takes.listed(copy) == [takes.current(copy)]
    assert takes.listed(twin) == [takes.current(twin)] != takes.listed(copy)
    bpy.ops.freetalk.take_new()
    assert bpy.ops.freetalk.take_delete(take=name) == {"FINISHED"}
    bpy.context.scene.frame_set(24)
    bpy.context.scene.frame_set(25)
    assert np.array_equal(meshes.posed(twin), before) and len(bpy.data.actions) == 2


def test_a_copy_moves_as_its_original_does_and_its_keys_can_be_edited(talker: bpy.types.Object) -> None:
    """In the action that plays, and in one that was pushed down and repeats. What was edited outlives another mouth."""
    for axis, name in enumerate(("pushed down", "plays")):
        for frame in (1, 11):
            talker.location[axis] = frame
            talker.keyframe_insert("location", index=axis, frame=frame)
        talker.animation_data.action.name = name
        if not axis:
            compat.stash(talker, name, talker.animation_data.action, compat.slot(talker))
            compat.assign(talker, None, None)
    (track,) = talker.animation_data.nla_tracks
    track.mute, track.strips[0].repeat = False, 3

    def places() -> list[list[float]]:
        """x and y of the original and of its copy in a frame when the strip repeats."""
        bpy.context.scene.frame_set(26)
        return [[round(value, 3) for value in item.matrix_world.translation[:2]] for item in (talker, copy)]

    def tweak(item: bpy.types.Object) -> None:
        data = item.animation_data
        data.nla_tracks.active, data.nla_tracks[0].strips[0].select = data.nla_tracks[0], True
        data.use_tweak_mode = True

    copy = animate(talker)
    assert places() == [[6, 11], [6, 11]]
    for holder in compat.holders(copy.animation_data):
        for key in compat.held_curves(holder)[0].keyframe_points:
            key.co_ui.y += 100
    assert places() == [[6, 11], [106, 111]]
    bpy.context.scene.freetalk.inner_mouth = "none"
    tweak(talker)
    copy = animate(talker)
    talker.animation_data.use_tweak_mode = False
    assert places() == [[6, 11], [106, 111]] and len(marks.all_copies()) == 1
    tweak(copy)
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert bpy.data.actions.keys() == ["plays", "pushed down"] and not list(cleanup.found())


def test_a_deleted_original_leaves_a_face_that_talks(talker: bpy.types.Object) -> None:
    copy = animate(talker)
    bpy.context.scene.collection.objects.unlink(talker)
    assert chosen.face(bpy.context) == copy and chosen.why_no_face(bpy.context) == ""
    assert not bpy.ops.freetalk.remove.poll(), "nothing is left to go back to"
    assert animate(copy).name == "head FreeTalk FreeTalk"


def test_what_is_in_no_collection_is_deleted_and_what_is_hidden_is_not(cube: bpy.types.Object) -> None:
    assert not marks.is_deleted(cube)
    cube.hide_set(True)
    assert not marks.is_deleted(cube)
    shelf = bpy.data.collections.new("shelf")
    bpy.context.scene.collection.children.link(shelf)
    shelf.objects.link(cube)
    for other in set(cube.users_collection) - {shelf}:
        other.objects.unlink(cube)
    bpy.context.view_layer.layer_collection.children["shelf"].exclude = True
    assert not marks.is_deleted(cube)
    bpy.context.view_layer.layer_collection.children["shelf"].exclude = False
    assert not marks.is_deleted(cube)
    shelf.objects.unlink(cube)
    assert marks.is_deleted(cube)


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


def test_a_copy_whose_mesh_was_changed_is_told_and_left(talker: bpy.types.Object) -> None:
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
    told = f"has {count + 3:,} vertices, not the {count:,} .*, or delete head FreeTalk and animate head again"
    with pytest.raises(RuntimeError, match=told):
        bpy.ops.freetalk.animate()
    assert len(copy.data.vertices) == count + 3
    bpy.data.objects.remove(copy)
    assert len(animate(talker).data.vertices) == count


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


def test_a_muted_tongue_stays_muted(talker: bpy.types.Object) -> None:
    blocks = animate(talker).data.shape_keys.key_blocks
    blocks["tongueTipUp"].mute = blocks["FreeTalk 01"].mute = True
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert blocks["tongueTipUp"].mute and not blocks["FreeTalk 01"].mute, "which of the numbered ones is which changes"


@NEEDS_SOUND
def test_a_hidden_duplicate_is_not_heard(talker: bpy.types.Object, other_clip: str) -> None:
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
