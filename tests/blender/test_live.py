"""The live preview: what the sliders do is shown at once, and never where it does not belong."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import bmesh
import bpy
import numpy as np
import pytest
from previewing import evaluated, move, talking

import freetalk_blender
from freetalk_blender.blender import heard, marks, sound, spoken, takes
from freetalk_blender.blender.marks import PREVIEW
from freetalk_blender.blender.ui import chosen, live, staleness


def test_a_moved_slider_shows_what_baking_would(talker: bpy.types.Object) -> None:
    copy = talking()
    neutral = evaluated(copy)
    move("happy", 1.0)
    assert PREVIEW in copy.data.shape_keys.key_blocks
    shown = evaluated(copy)
    bpy.context.scene.frame_set(20, subframe=0.5)
    between = evaluated(copy)
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert PREVIEW not in copy.data.shape_keys.key_blocks
    assert np.abs(evaluated(copy) - between).max() < 0.25, "mm: shape keys are made to 0.1"
    bpy.context.scene.frame_set(30)
    assert np.abs(evaluated(copy) - shown).max() < 0.25
    assert np.linalg.norm(shown - neutral, axis=1).max() > 2


def test_it_follows_remapped_time_as_baked_keys_do(talker: bpy.types.Object) -> None:
    copy, scene = talking(), bpy.context.scene
    as_it_is = evaluated(copy)
    scene.render.frame_map_old, scene.render.frame_map_new = 100, 200
    scene.frame_set(60)
    baked = evaluated(copy)
    assert np.abs(baked - as_it_is).max() < 1e-3, "frame 30 is shown"
    move("happy", 1e-3)
    assert live.is_shown(copy) and np.abs(evaluated(copy) - baked).max() < 0.25
    scene.frame_set(46)
    shown = evaluated(copy)
    move("happy", 0.0)
    assert not live.is_shown(copy) and np.abs(evaluated(copy) - shown).max() < 0.25


def test_a_head_that_is_moved_turns_in_the_preview_as_baked(talker: bpy.types.Object) -> None:
    copy = talking()
    at_rest = evaluated(copy)
    move("head", 2.0)
    shown = evaluated(copy)
    assert np.linalg.norm(shown - at_rest, axis=1).max() > 1
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert np.abs(evaluated(copy) - shown).max() < 0.25


def test_sliders_that_are_back_show_what_was_baked(talker: bpy.types.Object) -> None:
    copy = talking()
    before = evaluated(copy)
    move("jaw", 0.3)
    assert staleness.is_stale(bpy.context)
    move("jaw", 1.0)
    assert PREVIEW not in copy.data.shape_keys.key_blocks and np.array_equal(evaluated(copy), before)
    assert not any(block.mute for block in copy.data.shape_keys.key_blocks)


def test_switched_off_it_shows_nothing(talker: bpy.types.Object) -> None:
    copy = talking()
    bpy.context.scene.freetalk.live = False
    move("happy", 1.0)
    assert PREVIEW not in copy.data.shape_keys.key_blocks


def test_switched_off_while_it_is_shown_what_was_baked_is_back(talker: bpy.types.Object) -> None:
    copy, settings = talking(), bpy.context.scene.freetalk
    before = evaluated(copy)
    move("happy", 1.0)
    assert live.is_shown(copy)
    settings.live = False
    live.watch(bpy.context)
    assert not live.is_shown(copy) and np.array_equal(evaluated(copy), before)
    bpy.context.scene.frame_set(20)
    assert not live.is_shown(copy) and not any(block.mute for block in copy.data.shape_keys.key_blocks)
    settings.live = True
    live.watch(bpy.context)
    assert live.is_shown(copy)


def test_it_asks_no_more_of_a_large_scene_than_it_needs(
    talker: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked many times a second: of the chosen face alone, of no strip where none has sliders of its own, and of
    nothing where it is switched off."""

    def unasked(*_: object) -> None:
        raise AssertionError

    copy, scene = talking(), bpy.context.scene
    for what in ("identities", "sound_strips"):
        monkeypatch.setattr(sound, what, unasked)
    scene.freetalk.sound = "STRIP"
    staleness.key(scene)
    scene.freetalk.sound = "FILE"
    monkeypatch.setattr(live, "_copy", unasked)
    move("happy", 0.0)
    assert not live.is_shown(copy)
    monkeypatch.setattr(chosen, "talking", unasked)
    scene.freetalk.live = False
    move("happy", 0.5)
    assert not live.is_shown(copy)


def test_a_preview_waits_until_a_render_is_done_or_sculpt_mode_is_left(
    talker: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = talking()
    with monkeypatch.context() as rendering:
        app = SimpleNamespace(is_job_running=lambda kind: kind == "RENDER", background=True)
        rendering.setattr(live, "bpy", SimpleNamespace(app=app, data=bpy.data, context=bpy.context))
        move("happy", 1.0)
    assert not live.is_shown(copy)
    bpy.context.view_layer.objects.active = copy
    bpy.ops.object.mode_set(mode="SCULPT")
    live.watch(bpy.context)
    assert not live.is_shown(copy)
    bpy.ops.object.mode_set(mode="OBJECT")
    live.watch(bpy.context)
    assert live.is_shown(copy)


def test_a_copy_that_was_cut_otherwise_since_is_left_as_it_is(talker: bpy.types.Object) -> None:
    copy = talking()
    cut = bmesh.new()
    cut.from_mesh(copy.data)
    bmesh.ops.delete(cut, geom=[*cut.verts][-1:], context="VERTS")
    cut.to_mesh(copy.data)
    cut.free()
    as_it_was = evaluated(copy)
    for value in (1.0, 0.0):
        move("happy", value)
        assert not live.is_shown(copy)
    assert np.array_equal(evaluated(copy), as_it_was)


def test_a_copy_whose_shape_keys_were_deleted_is_left_as_it_is_until_it_is_animated(talker: bpy.types.Object) -> None:
    copy = talking()
    copy.shape_key_clear()
    for frame, value in ((10, 1.0), (20, 0.5)):
        move("happy", value)
        bpy.context.scene.frame_set(frame)
        live.show(bpy.context.scene)
        assert copy.data.shape_keys is None
    with pytest.raises(RuntimeError, match="Animate the face first"):
        bpy.ops.freetalk.take_new()
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and bpy.ops.freetalk.take_new() == {"FINISHED"}


def test_renamed_while_it_is_shown_a_copy_goes_on_talking(talker: bpy.types.Object) -> None:
    copy = talking()
    before = evaluated(copy)
    move("happy", 1.0)
    copy.name = "Anna"
    live.watch(bpy.context)
    assert live.is_shown(copy)
    shown = evaluated(copy)
    bpy.context.scene.frame_set(20)
    assert np.abs(evaluated(copy) - shown).max() > 0.1
    bpy.context.scene.frame_set(30)
    move("happy", 0.0)
    assert not live.is_shown(copy) and np.array_equal(evaluated(copy), before)


def test_shape_keys_that_the_person_muted_are_muted_after_it(talker: bpy.types.Object, tmp_path: Path) -> None:
    copy = talking()
    blocks = copy.data.shape_keys.key_blocks
    mine = ["tongueTipUp", next(block.name for block in blocks if block.name.startswith("FreeTalk "))]
    for name in mine:
        blocks[name].mute = True
    for value in (1.0, 0.5, 0.0):
        move("happy", value)
    assert not live.is_shown(copy) and sorted(b.name for b in blocks if b.mute) == sorted(mine)
    assert marks.MUTED not in copy
    move("happy", 1.0)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert sorted(b.name for b in blocks if b.mute) == sorted(mine)


def kept_still(copy: bpy.types.Object) -> bool:
    """Does it show a preview, or are keys muted that move it?"""
    return live.is_shown(copy) or any(block.mute for block in copy.data.shape_keys.key_blocks)


def test_sliders_move_the_chosen_face_and_another_goes_on_as_baked(talker: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    other = talker.copy()
    other.data, other.name = talker.data.copy(), "other"
    scene.collection.objects.link(other)
    first = talking()
    as_baked = evaluated(first)
    move("happy", 1.0)
    assert live.is_shown(first)
    scene.freetalk.face = other
    live.watch(bpy.context)
    assert not kept_still(first) and not staleness.is_stale(bpy.context), "the other has nothing to bake again"
    second = talking()
    assert np.array_equal(evaluated(first), as_baked) and not kept_still(second)
    move("happy", 0.5)
    assert live.is_shown(second) and staleness.is_stale(bpy.context) and not kept_still(first)
    scene.freetalk.face = talker
    live.watch(bpy.context)
    assert live.is_shown(first) and staleness.is_stale(bpy.context) and not kept_still(second)
    scene.freetalk.face = other
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and not staleness.is_stale(bpy.context)
    assert not kept_still(first) and not kept_still(second), "at once, for a script may save it now"
    scene.freetalk.face = talker
    live.watch(bpy.context)
    first.name = "renamed"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert not kept_still(first) and not kept_still(second)


def test_a_saved_file_holds_what_was_baked(talker: bpy.types.Object, tmp_path: Path) -> None:
    copy, saved = talking(), str(tmp_path / "saved.blend")
    before = evaluated(copy)
    move("sad", 1.0)
    assert live.is_shown(copy)
    bpy.ops.wm.save_as_mainfile(filepath=saved, copy=True)
    with bpy.data.libraries.load(saved) as (_, wanted):  # opened, FreeTalk would mend it
        wanted.meshes = [copy.data.name]
    blocks = wanted.meshes[0].shape_keys.key_blocks
    assert PREVIEW not in blocks and not any(block.mute for block in blocks)
    bpy.ops.wm.open_mainfile(filepath=saved)
    (copy,) = marks.all_copies()
    assert np.abs(evaluated(copy) - before).max() < 1e-4


def test_a_file_that_blender_saved_with_a_preview_in_it_shows_what_was_baked(
    talker: bpy.types.Object, tmp_path: Path
) -> None:
    copy, saved = talking(), str(tmp_path / "saved.blend")
    before = evaluated(copy)
    move("sad", 1.0)
    bpy.data.libraries.write(saved, {bpy.context.scene})
    bpy.ops.wm.open_mainfile(filepath=saved)
    (copy,) = marks.all_copies()
    assert not kept_still(copy) and np.abs(evaluated(copy) - before).max() < 1e-4


def test_the_frames_of_a_scene_without_the_face_do_not_move_its_preview(talker: bpy.types.Object) -> None:
    copy = talking()
    move("happy", 1.0)
    shown = evaluated(copy)
    bpy.data.scenes.new("other").frame_set(20)
    assert np.array_equal(evaluated(copy), shown)


def test_what_is_duplicated_while_a_preview_is_seen_shows_what_was_baked(talker: bpy.types.Object) -> None:
    copy = talking()
    move("happy", 1.0)
    double = copy.copy()
    double.data = copy.data.copy()
    bpy.context.scene.collection.objects.link(double)
    live.watch(bpy.context)
    assert live.is_shown(copy) and not live.is_shown(double)
    assert not any(block.mute for block in double.data.shape_keys.key_blocks)


def test_what_was_baked_is_shown_when_the_add_on_is_switched_off(talker: bpy.types.Object) -> None:
    copy = talking()
    baked = evaluated(copy)
    move("happy", 1.0)
    freetalk_blender.unregister()
    try:
        assert not live.is_shown(copy) and np.array_equal(evaluated(copy), baked)
    finally:
        freetalk_blender.register()
    assert bpy.app.timers.is_registered(live.put_away), "a version before this one left it as it was"


def test_a_preview_that_is_appended_shows_what_was_baked(talker: bpy.types.Object, tmp_path: Path) -> None:
    if not hasattr(bpy.app.handlers, "blend_import_post"):
        pytest.skip("this Blender does not tell when something was appended; the preview goes when the file is saved")
    copy, file = talking(), tmp_path / "shown.blend"
    move("happy", 1.0)
    bpy.data.libraries.write(str(file), {copy})
    with bpy.data.libraries.load(str(file)) as (_, wanted):
        wanted.objects = [copy.name]
    (appended,) = wanted.objects
    assert not live.is_shown(appended)


def test_an_export_bakes_what_is_seen(talker: bpy.types.Object, tmp_path: Path) -> None:
    copy = talking()
    move("happy", 1.0)
    shown = evaluated(copy)
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"}
    assert (tmp_path / "head.glb").stat().st_size > 10_000
    assert PREVIEW not in copy.data.shape_keys.key_blocks and np.abs(evaluated(copy) - shown).max() < 0.25


@pytest.mark.filterwarnings("error", "ignore::DeprecationWarning")
def test_saved_into_another_folder_a_file_names_the_same_sound(
    talker: bpy.types.Object, short_clip: Path, tmp_path: Path
) -> None:
    for name in ("project", "other"):
        (tmp_path / name).mkdir()
    first, second = tmp_path / "project" / "a.blend", tmp_path / "other" / "b.blend"
    shutil.copy(short_clip, first.parent / "voice.wav")
    bpy.ops.wm.save_as_mainfile(filepath=str(first))
    settings = bpy.context.scene.freetalk
    settings.sound_file = "//voice.wav"
    copy = talking()
    settings.landmarks = "//points.json"

    def sources() -> set[str]:
        heard_there = {strip[marks.HEARD] for strip in heard.own(bpy.context.scene)}
        return heard_there | {line.source for line in spoken.lines(takes.current(marks.copy_of(talker)))}

    bpy.ops.wm.save_as_mainfile(filepath=str(second), copy=True)
    assert settings.sound_file == "//voice.wav", "this file is still in its folder"
    with pytest.raises(RuntimeError):
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "nowhere" / "c.blend"))
    assert settings.sound_file == "//voice.wav" and sources() == {"file //voice.wav"}
    bpy.ops.wm.save_as_mainfile(filepath=str(second))
    assert settings.sound_file.replace("\\", "/") == "//../project/voice.wav"
    assert settings.landmarks.replace("\\", "/") == "//../project/points.json"
    assert {source.replace("\\", "/") for source in sources()} == {"file //../project/voice.wav"}
    move("happy", 1.0)
    assert live.is_shown(copy) and staleness.is_stale(bpy.context), "the same sound is said"
    settings.landmarks = ""
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and len(sources()) == 1
    bpy.ops.wm.open_mainfile(filepath=str(second))
    assert chosen.source(bpy.context.scene).clip().samples.any()


def test_of_main_windows_with_scenes_of_their_own_the_one_whose_sliders_move_shows_it(talker: bpy.types.Object) -> None:
    copy, first = talking(), bpy.context.scene
    before = evaluated(copy)
    other = bpy.data.scenes.new("other")
    other.collection.objects.link(bpy.data.objects.new("plain", bpy.data.meshes.new("plain")))
    other.freetalk.face = other.objects["plain"]
    windows = [SimpleNamespace(scene=scene, view_layer=scene.view_layers[0]) for scene in (other, first)]

    def look() -> None:
        view = live._asking(windows)
        live.watch(view)

    with bpy.context.temp_override(scene=other):
        look()
        assert not live.is_shown(copy)
        first.freetalk.happy = 1.0
        live.watch(bpy.context)
        assert not live.is_shown(copy), "the first window's scene has another face"
        look()
        assert live.is_shown(copy)
    assert np.linalg.norm(evaluated(copy) - before, axis=1).max() > 2
    first.freetalk.happy = 0.0
    with bpy.context.temp_override(scene=other):
        look()
    assert not live.is_shown(copy) and np.array_equal(evaluated(copy), before)


def test_other_lines_are_seen_as_they_were_baked(talker: bpy.types.Object, other_clip: str) -> None:
    """While the timeline plays they stood still, in the posture in which the previewed one begins or ends."""
    copy, scene = talking(), bpy.context.scene
    scene.frame_start, scene.freetalk.sound_file = 70, other_clip
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    muted = copy.data.shape_keys.key_blocks[1]
    muted.mute = True
    scene.frame_set(80)
    second = evaluated(copy)
    scene.frame_set(30)
    first = evaluated(copy)
    move("happy", 1.0)
    assert live.is_shown(copy) and np.array_equal(evaluated(copy), first) and muted.mute
    scene.frame_set(80)
    assert np.linalg.norm(evaluated(copy) - second, axis=1).max() > 2, "mm"
    scene.frame_set(30)
    assert np.array_equal(evaluated(copy), first)
    move("happy", 0.0)
    assert not live.is_shown(copy) and muted.mute and np.array_equal(evaluated(copy), first)
