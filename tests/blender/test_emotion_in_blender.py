"""Emotion as the timeline tells it: sliders, keys, strips with an emotion of their own."""

from pathlib import Path

import bpy
import numpy as np
import pytest

from freetalk_blender.blender import compat, feeling, marks, sound
from freetalk_blender.core.emotion import EMOTIONS, from_vad

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


def weights(
    scene: bpy.types.Scene, start: float = 1, frames: int = 50, strip: bpy.types.ID | None = None
) -> np.ndarray:
    return feeling.weights(scene, feeling.group_of(scene, strip), start, frames)


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


@pytest.mark.skipif(not compat.can_make_sound(), reason="this bpy wheel is built without sound")
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
    assert {1, 51, 101, 151} <= keyed and not keyed & set(range(60, 100)), "two lines in one take, rest between them"
    assert scene.frame_end == 151
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert not scene.is_property_set("freetalk") and compat.find_curve(scene, 'freetalk.strips["second"].sad') is None
