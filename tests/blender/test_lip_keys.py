"""Lips that are keyed closed or apart at a frame, and sliders of the performance that are keyed."""

import bpy
import numpy as np
import pytest
from baking import animate
from previewing import evaluated

from freetalk_blender.blender import compat, marks, placed
from freetalk_blender.blender.meshes import vertices
from freetalk_blender.blender.ui import live, request, staleness

PATH = "freetalk.contact"


def frames() -> range:
    return range(bpy.context.scene.frame_start + 5, bpy.context.scene.frame_end - 5)


def opening(copy: bpy.types.Object, frame: int) -> float:
    """mm between the middles of the outer lips, beyond what they are apart at rest."""
    bpy.context.scene.frame_set(frame)
    rest, points = vertices(copy.data), placed.points(marks.original_of(copy))
    pair = [int(np.linalg.norm(rest - points[landmark], axis=1).argmin()) for landmark in (51, 57)]
    apart = [np.linalg.norm(places[pair[0]] - places[pair[1]]) for places in (evaluated(copy), rest)]
    return float(apart[0] - apart[1])


def keys() -> dict[int, float]:
    curve = compat.find_curve(bpy.context.scene, PATH)
    return {} if curve is None else {round(point.co.x): point.co.y for point in curve.keyframe_points}


def test_lips_are_closed_and_parted_where_it_was_asked_for(talker: bpy.types.Object) -> None:
    scene = bpy.context.scene
    copy = animate(talker)
    before = {frame: opening(copy, frame) for frame in frames()}
    inside = [frame for frame in before if frame < scene.frame_end - 24]  # where the line ends the face comes to rest
    widest = max(inside, key=lambda frame: before[frame])
    between = [frame for frame in before if abs(frame - widest) > 8 and before.get(frame - 5, 0) > 3]
    shut = min(between, key=lambda frame: before[frame])
    assert before[widest] > 6 and before[shut] < 1
    for frame, lips in ((widest, "CLOSE"), (shut, "PART")):
        scene.frame_set(frame)
        assert bpy.ops.freetalk.lips(lips=lips) == {"FINISHED"}
    assert (keys()[widest], keys()[shut]) == (1, -1) and keys()[widest - 2] == keys()[shut + 2] == 0
    live.watch(bpy.context)
    assert live.is_shown(copy) and staleness.is_stale(bpy.context)
    assert opening(copy, widest) < 1.5 and opening(copy, shut) > 2
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert not live.is_shown(copy)
    assert opening(copy, widest) < 1.5 and opening(copy, shut) > 2
    away = [frame for frame in before if min(abs(frame - widest), abs(frame - shut)) > 4]
    assert max(abs(opening(copy, frame) - before[frame]) for frame in away) < 0.3, "mm: shape keys are made to 0.1"

    scene.frame_set(widest)
    assert bpy.ops.freetalk.lips(lips="HEARD") == {"FINISHED"}
    live.watch(bpy.context)
    assert opening(copy, widest) == pytest.approx(before[widest], abs=0.3)
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert compat.find_curve(scene, PATH) is None


def test_keys_beside_each_other_hold_the_lips(addon: None, empty: bpy.types.Scene) -> None:
    empty.freetalk.contact = 0.25
    for frame in (40, 41):
        empty.frame_set(frame)
        bpy.ops.freetalk.lips(lips="CLOSE")
    curve = compat.find_curve(empty, PATH)
    assert [curve.evaluate(frame) for frame in (38, 40, 41, 43)] == pytest.approx([0.25, 1, 1, 0.25])


@pytest.mark.parametrize(("fps", "reach"), [(12, 2), (25, 2), (50, 4)])
def test_lips_take_as_long_to_close_at_any_frame_rate_and_never_jump(
    addon: None, empty: bpy.types.Scene, fps: int, reach: int
) -> None:
    for frame in (1, 10, 90):  # as of a person who wants steps elsewhere: new keys are made like those before them
        empty.freetalk.keyframe_insert("contact", frame=frame)
    for point in compat.find_curve(empty, PATH).keyframe_points:
        point.interpolation = "CONSTANT"
    empty.render.fps = fps
    empty.frame_set(40)
    bpy.ops.freetalk.lips(lips="CLOSE")
    assert keys() == {1: 0, 10: 0, 40 - reach: 0, 40: 1, 40 + reach: 0, 90: 0}
    curve = compat.find_curve(empty, PATH)
    assert 0 < curve.evaluate(40 - reach / 2) < 1 and 0 < curve.evaluate(40 + reach / 2) < 1


def test_every_slider_of_the_performance_follows_its_keys(talker: bpy.types.Object) -> None:
    settings, scene = bpy.context.scene.freetalk, bpy.context.scene
    for name, last in (("articulation", 2.0), ("strength", 0.0), ("gaze", 1.0)):
        for frame, value in ((scene.frame_start, 1.0), (scene.frame_start + 20, last)):
            setattr(settings, name, value)
            settings.keyframe_insert(name, frame=frame)
    voice = request.read_voice(bpy.context)
    for values, last in ((voice.style.articulation, 2.0), (voice.strength, 0.0), (voice.style.gaze, 1.0)):
        assert values[0] == 1.0 and values[20] == values[-1] == last
    assert voice.style.jaw == 1.0 and voice.style.turning
    take = voice.perform()
    assert take.displacement[:20].any() and not take.displacement[21:].any()
