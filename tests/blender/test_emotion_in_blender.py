"""Emotion as the timeline tells it: sliders, keys, strips with an emotion of their own."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import animate
from wheel import NEEDS_SOUND

from freetalk_blender.blender import cleanup, compat, marks, meshes, sound, spoken, takes
from freetalk_blender.blender.ui import chosen, feeling, staleness
from freetalk_blender.core.voice.emotion import EMOTIONS, MAX_INTENSITY, from_vad

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


def weights(
    scene: bpy.types.Scene, start: float = 1, frames: int = 50, strip: bpy.types.ID | None = None
) -> np.ndarray:
    return feeling.weights(scene, feeling.group_of(scene, strip), start, frames)


def motion(copy: bpy.types.Object, frames: range) -> np.ndarray:
    """(T,V,3) a talking copy in these frames, in its own axes."""
    found = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        found.append(meshes.posed(copy))
    return np.stack(found)


def test_keyed_sliders_are_read_frame_by_frame_from_where_the_sound_starts(addon: None, empty: bpy.types.Scene) -> None:
    settings = empty.freetalk
    settings.sad = 0.25
    for frame, value in ((100, 0.0), (120, 1.0)):
        settings.happy = value
        settings.keyframe_insert("happy", frame=frame)
    compat.find_curve(empty, "freetalk.happy").keyframe_points[0].interpolation = "LINEAR"
    read = weights(empty, 110, 31)
    assert read.shape == (31, 8) and np.allclose(read[:, SAD], 0.25)
    assert np.allclose(read[:11, HAPPY], np.linspace(0.5, 1, 11), atol=1e-5) and np.allclose(read[11:, HAPPY], 1)
    assert np.allclose(weights(empty, 110.5, 2)[0, HAPPY], 0.525, atol=1e-5), "between frames too"


def test_curves_that_swing_over_a_sliders_ends_are_read_as_its_ends(addon: None, empty: bpy.types.Scene) -> None:
    settings = empty.freetalk
    for name in ("happy", "contact"):
        for frame, value in ((1, 40.0), (20, -40.0)):
            settings.keyframe_insert(name, frame=frame)
            compat.find_curve(empty, f"freetalk.{name}").keyframe_points[-1].co.y = value
    happy, contact = feeling.values(empty, settings, ("happy", "contact"), 1, 20).values()
    assert (happy[0], happy[-1], contact[0], contact[-1]) == (MAX_INTENSITY, 0, 1, -1)
    assert weights(empty, 1, 20)[[0, -1], HAPPY] == pytest.approx([MAX_INTENSITY, 0])


def test_intensity_scales_all_and_neutral_takes_the_others_back(addon: None, empty: bpy.types.Scene) -> None:
    settings = empty.freetalk
    settings.happy, settings.sad, settings.intensity, settings.neutral = 0.8, 0.2, 0.5, 0.5
    assert np.allclose(weights(empty)[[HAPPY, SAD]], (0.2, 0.05))


def test_a_point_of_valence_arousal_and_dominance(addon: None, empty: bpy.types.Scene) -> None:
    settings = empty.freetalk
    settings.emotion_mode, settings.valence, settings.arousal, settings.dominance = "VAD", 0.8, 0.5, 0.45
    assert np.allclose(weights(empty), from_vad(0.8, 0.5, 0.45), atol=1e-3)
    settings.keyframe_insert("valence", frame=1)
    assert weights(empty).shape == (50, 8)


def test_presets_set_the_sliders(addon: None, empty: bpy.types.Scene) -> None:
    empty.freetalk.sad = 1.0
    assert bpy.ops.freetalk.preset(preset="DELIGHTED") == {"FINISHED"}
    assert (empty.freetalk.happy, empty.freetalk.sad) == (pytest.approx(0.8), 0.0)


@NEEDS_SOUND
def test_a_strip_may_have_an_emotion_of_its_own(talker: bpy.types.Object, short_clip: Path) -> None:
    scene = bpy.context.scene
    first, second = (sound.add_strip(scene, short_clip, frame) for frame in (1, 101))
    first.name, second.name = "first", "second"
    scene.freetalk.happy, scene.freetalk.sound, scene.freetalk.strip = 1.0, "STRIP", "second"
    assert bpy.ops.freetalk.own_emotion() == {"FINISHED"}
    own = scene.freetalk.strips["second"]
    assert own.happy == 1.0
    own.happy, own.sad = 0.0, 0.5
    own.keyframe_insert("sad", frame=101)
    assert weights(scene, strip=first)[HAPPY] == 1.0
    assert np.allclose(weights(scene, 101, 10, second)[:, [HAPPY, SAD]], (0.0, 0.5))

    for name in ("first", "second"):
        scene.freetalk.strip = name
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
    (copy,) = marks.all_copies()
    curves = compat.fcurves(copy.data.shape_keys)
    keyed = {round(point.co.x) for curve in curves for point in curve.keyframe_points}
    assert {1, 51, 101, 151} <= keyed and keyed & {*range(52, 100)} == {61, 91}, "two lines, rest between them"
    assert scene.frame_end == 161
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert not scene.is_property_set("freetalk") and compat.find_curve(scene, 'freetalk.strips["second"].sad') is None


@NEEDS_SOUND
@pytest.mark.parametrize("start", [51, 44])
def test_a_strip_goes_on_from_the_emotion_of_the_one_before(
    talker: bpy.types.Object, short_clip: Path, start: int
) -> None:
    scene = bpy.context.scene
    strips = {name: sound.new_strip(scene, name, short_clip, at) for name, at in (("first", 1), ("second", start))}
    scene.freetalk.sound = "STRIP"
    own = {name: feeling.give_own(scene, strip) for name, strip in strips.items()}

    def bake(name: str, **emotions: float) -> np.ndarray:
        """(T,V,3) the face around the joint, after this strip was baked."""
        scene.freetalk.strip = name
        for emotion, value in emotions.items():
            setattr(own[name], emotion, value)
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        return motion(marks.all_copies()[0], range(start - 1, start + 16))

    def fit(name: str) -> bool:
        scene.freetalk.strip = name
        return not staleness.is_stale(bpy.context) and not staleness.moved_lines(bpy.context)

    bake("first", happy=1.0)
    same = bake("second", happy=1.0)
    changed = bake("second", happy=0.0, sad=1.0)
    assert fit("first") and fit("second")
    assert np.abs(changed[:2] - same[:2]).max() < 0.2, "no jump: as if nothing changed, each within 0.1 mm"
    assert np.abs(changed[-1] - same[-1]).max() > 2, "but half a second later it is another emotion"
    assert (np.abs(np.diff(changed - same, axis=0)).max((1, 2)) < np.abs(changed[-1] - same[-1]).max() / 4).all()

    bake("first", happy=0.0, angry=1.0)
    assert fit("first") is False and staleness.moved_lines(bpy.context) == ["second"]
    scene.freetalk.strip = "second"
    assert staleness.is_stale(bpy.context), "it goes on from another emotion now"
    bake("second")
    assert fit("first") and fit("second")
    bake("first")
    assert fit("second") is (start == 51), "where they overlap, the change is gone"


@NEEDS_SOUND
def test_a_renamed_strip_keeps_its_emotion_its_choice_and_its_line(talker: bpy.types.Object, short_clip: Path) -> None:
    scene = bpy.context.scene
    strip = sound.add_strip(scene, short_clip, 1)
    scene.freetalk.sound, scene.freetalk.strip = "STRIP", strip.name
    assert bpy.ops.freetalk.own_emotion() == {"FINISHED"}
    feeling.group_of(scene, strip).sad = 0.75
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    strip.name = "another name"
    assert chosen.strip(scene) == strip and weights(scene, strip=strip)[SAD] == 0.75
    copy = animate(talker)
    assert len(spoken.lines(takes.current(copy))) == 1, "the same line again"

    copied = sound.add_strip(scene, short_clip, 101)
    copied.name, copied["freetalk_strip"] = "another name.001", strip["freetalk_strip"]
    assert sound.identity(scene, copied) == copied.name, "a copy of a strip is another strip"
    assert feeling.own_group(scene, copied) is None
    assert bpy.ops.freetalk.remove() == {"FINISHED"} and list(strip.keys()) == []


@pytest.mark.parametrize("shared", [False, True])
def test_with_the_sliders_their_curves_go_and_no_others(addon: None, empty: bpy.types.Scene, shared: bool) -> None:
    """What the person animates of the scene stays, and an action that another scene uses, too."""
    empty.freetalk.keyframe_insert("happy", frame=1)
    empty.freetalk.driver_add("sad")
    empty.driver_add("gravity", 0)
    if shared:
        other = bpy.data.scenes.new("other")
        other.animation_data_create().action = empty.animation_data.action
        own = ()
    else:
        empty.keyframe_insert("gravity", index=2, frame=1)
        own = ("gravity",)
    cleanup.forget_settings()
    assert [driver.data_path for driver in empty.animation_data.drivers] == ["gravity"]
    assert tuple(curve.data_path for curve in compat.existing_curves(empty)) == own and len(bpy.data.actions) == 1
    if shared:
        bpy.data.scenes.remove(other)
    else:
        curves = compat.existing_curves(empty)
        curves.remove(curves[0])
    empty.freetalk.keyframe_insert("happy", frame=1)
    cleanup.forget_settings()
    assert not bpy.data.actions, "what holds nothing else goes"


@NEEDS_SOUND
def test_curves_of_one_strips_emotion_stay_when_anothers_goes(
    addon: None, empty: bpy.types.Scene, short_clip: Path
) -> None:
    names = ("first", "second", "third")
    for name, frame in zip(names, (1, 101, 201), strict=True):
        sound.add_strip(empty, short_clip, frame).name = name
    empty.freetalk.sound = "STRIP"
    for name in names:
        empty.freetalk.strip = name
        assert bpy.ops.freetalk.own_emotion() == {"FINISHED"}
        own = feeling.group_of(empty, sound.find_strip(empty, name))
        own.happy = names.index(name) / 4
        own.keyframe_insert("happy", frame=1)
    empty.freetalk.strip = "first"
    assert bpy.ops.freetalk.own_emotion() == {"FINISHED"}
    happy = {name: weights(empty, strip=sound.find_strip(empty, name))[..., HAPPY].mean() for name in names}
    assert happy == {"first": 0.0, "second": 0.25, "third": 0.5}
    assert len(compat.existing_curves(empty)) == 2
    assert bpy.ops.freetalk.own_emotion() == {"FINISHED"} and len(empty.freetalk.strips) == 3, "its place is used again"
