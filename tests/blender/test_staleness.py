"""What was baked is still what is wanted, or asks to be baked again."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from previewing import move, talking
from wheel import NEEDS_SOUND

from freetalk_blender.blender import compat, sound
from freetalk_blender.blender.ui import feeling, live, staleness


@NEEDS_SOUND
def test_a_sound_that_was_moved_or_plays_at_another_frame_rate_asks_to_be_baked_again(
    talker: bpy.types.Object, short_clip: Path
) -> None:
    scene = bpy.context.scene
    one = sound.new_strip(scene, "one", short_clip, 10)
    sound.new_strip(scene, "other", short_clip, 90)
    scene.freetalk.sound, scene.freetalk.strip = "STRIP", "one"
    copy = talking()
    assert not staleness.is_stale(bpy.context)
    one.frame_start = 20
    assert staleness.is_stale(bpy.context)
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and not staleness.is_stale(bpy.context)
    scene.render.fps = 50
    assert staleness.is_stale(bpy.context)
    move("happy", 1.0)
    assert not live.is_shown(copy), "it would be shown at the wrong time"
    move("happy", 0.0)
    scene.render.fps = 25
    scene.freetalk.strip = "other"
    assert not staleness.is_stale(bpy.context), "that is another line, which was not baked yet"
    assert bpy.ops.freetalk.animate() == {"FINISHED"} and not staleness.is_stale(bpy.context)


def test_whatever_is_done_to_a_sliders_curve_is_noticed(addon: None, empty: bpy.types.Scene) -> None:
    for frame, value in ((1, 0.0), (50, 1.0)):
        empty.freetalk.happy = value
        empty.freetalk.keyframe_insert("happy", frame=frame)
    curve = compat.find_curve(empty, "freetalk.happy")
    first, last = curve.keyframe_points
    first.handle_right_type = "FREE"
    edits = ((last, "co", (40, 1)), (last, "co", (40, 0.5)), (first, "handle_right", (30, 0)))
    edits += ((first, "interpolation", "BOUNCE"), (first, "easing", "EASE_IN"), (curve, "extrapolation", "LINEAR"))
    for owner, field, value in edits:
        before = staleness.key(empty)
        assert staleness.key(empty) == before
        setattr(owner, field, value)
        assert staleness.key(empty) != before, (field, value)


def test_whatever_is_done_to_a_modifier_of_a_sliders_curve_is_noticed(addon: None, empty: bpy.types.Scene) -> None:
    empty.freetalk.keyframe_insert("happy", frame=1)
    modifiers = compat.find_curve(empty, "freetalk.happy").modifiers
    bare = staleness.key(empty)
    line, envelope = modifiers.new("GENERATOR"), modifiers.new("ENVELOPE")
    point = envelope.control_points.add(5)
    edits = ((line, "use_additive", True), (line, "coefficients", (0.6, 0.1)), (point, "max", 2.0))
    edits += ((envelope, "influence", 0.5), (envelope, "mute", True))
    for owner, field, value in edits:
        before = staleness.key(empty)
        assert staleness.key(empty) == before
        setattr(owner, field, value)
        assert staleness.key(empty) != before, (field, value)
    line.mute = True
    assert staleness.key(empty) == bare


def test_a_curve_of_a_slider_that_is_muted_counts_as_none(addon: None, empty: bpy.types.Scene) -> None:
    empty.freetalk.happy = 1.0
    empty.freetalk.keyframe_insert("happy", frame=1)
    keyed = staleness.key(empty)
    compat.find_curve(empty, "freetalk.happy").mute = True
    muted = staleness.key(empty)
    assert muted != keyed
    empty.freetalk.happy = 0.0
    empty.frame_set(3)
    assert empty.freetalk.happy == 0 and not feeling.weights(empty, empty.freetalk, 1, 5).any(), "as the panel shows"
    assert staleness.key(empty) not in (muted, keyed), "and it moves by hand"


def test_a_group_of_curves_that_is_muted_counts_as_blender_has_it(addon: None, empty: bpy.types.Scene) -> None:
    empty.freetalk.happy = 1.0
    empty.freetalk.keyframe_insert("happy", frame=1, group="emotion")
    compat.find_curve(empty, "freetalk.happy").group.mute = True
    empty.freetalk.happy = 0.0
    empty.frame_set(3)
    happy = feeling.values(empty, empty.freetalk, ("happy",), 3, 1)["happy"]
    assert np.allclose(happy, empty.freetalk.happy)


def test_sliders_that_a_driver_or_the_nla_moves_are_told_and_ask_for_nothing_in_other_frames(
    talker: bpy.types.Object, capfd: pytest.CaptureFixture[str]
) -> None:
    scene = bpy.context.scene
    for frame, value in ((1, 0.0), (40, 1.0)):
        scene.freetalk.sad = value
        scene.freetalk.keyframe_insert("sad", frame=frame)
    told = "Sliders are moved by drivers or NLA strips"
    copy = talking()
    assert told not in capfd.readouterr().out
    data = scene.animation_data
    data.nla_tracks.new().strips.new("sad", 1, data.action)
    assert not staleness.is_stale(bpy.context), "its keys are still there"
    data.action = None
    scene.driver_add("freetalk.jaw").driver.expression = "frame / 40"
    assert staleness.is_stale(bpy.context)
    scene.frame_set(30)
    assert scene.freetalk.sad > 0.5 and scene.freetalk.jaw == 0.75
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert f"{told}, which FreeTalk does not follow: Sad, Jaw; " in capfd.readouterr().out
    scene.frame_set(10)
    live.watch(bpy.context)
    assert not staleness.is_stale(bpy.context) and not live.is_shown(copy)
    data.drivers[0].mute = data.nla_tracks[0].mute = True
    assert staleness.is_stale(bpy.context), "now they stay where they are"


@pytest.mark.parametrize("name", ["seed", "tolerance"])
def test_what_counts_for_a_whole_line_is_not_keyed(addon: None, empty: bpy.types.Scene, name: str) -> None:
    with pytest.raises(TypeError, match="not animatable"):
        empty.freetalk.keyframe_insert(name)
