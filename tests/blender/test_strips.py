"""Lines that sound strips say, when the strips are gone."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import animate
from test_panel import drawn
from wheel import NEEDS_SOUND

from freetalk_blender.blender import compat, marks, meshes, sound, spoken, takes

pytestmark = NEEDS_SOUND


@pytest.fixture
def three(talker: bpy.types.Object, short_clip: Path) -> bpy.types.Object:
    """The talking copy of a face that says the strips one, two and three; two begins before one ends."""
    scene = bpy.context.scene
    scene.freetalk.sound = "STRIP"
    for name, frame in (("one", 1), ("two", 46), ("three", 150)):
        sound.new_strip(scene, name, short_clip, frame)
        scene.freetalk.strip = name
        copy = animate(talker)
    return copy


def motion(copy: bpy.types.Object, first: int, last: int) -> float:
    """How far any vertex is from where it rests, at most, from frame to frame."""
    rest, far = meshes.vertices(copy.data), 0.0
    for frame in range(first, last + 1):
        bpy.context.scene.frame_set(frame)
        far = max(far, float(np.abs(meshes.posed(copy) - rest).max()))
    return far


def test_a_line_whose_strip_was_deleted_is_told_and_can_be_taken_out(three: bpy.types.Object) -> None:
    scene, take = bpy.context.scene, takes.current(three)
    told = "Lines whose strip is gone are still spoken: two"
    assert "strip is gone" not in " ".join(drawn())
    compat.strips(scene)["one"].name = "first"
    assert "strip is gone" not in " ".join(drawn()), "it was renamed"
    before = {frame: curves(three, frame) for frame in (30, 160, 180)}
    spoken_there = motion(three, 75, 90)
    compat.strips(scene).remove(compat.strips(scene)["two"])
    assert told in " ".join(drawn()) and motion(three, 75, 90) == spoken_there > 1
    assert bpy.ops.freetalk.lines_delete() == {"FINISHED"}
    assert [line.source for line in spoken.lines(take)] == ["strip one", "strip three"]
    assert motion(three, 65, 138) < 1e-3, "the face rests"
    assert all(np.allclose(curves(three, frame), values, atol=1e-5) for frame, values in before.items())
    assert told not in " ".join(drawn()) and takes.listed(three) == [take]
    assert bpy.ops.freetalk.lines_delete() == {"CANCELLED"}


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_line_whose_last_frames_went_with_another_asks_to_be_baked(three: bpy.types.Object, is_deleted: bool) -> None:
    scene, told, asks = bpy.context.scene, "the line before them: one;", "Bake Again applies your changes"
    assert told not in " ".join(drawn())
    compat.strips(scene)["two"].frame_start = 300
    scene.freetalk.strip = "two"
    if is_deleted:
        compat.strips(scene).remove(compat.strips(scene)["two"])
        scene.freetalk.strip = "three"
        assert bpy.ops.freetalk.lines_delete() == {"FINISHED"}
    else:
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert told in " ".join(drawn()) and asks not in drawn()
    torn = curves(three, 48)
    scene.freetalk.strip = "one"
    assert asks in drawn() and bpy.ops.freetalk.rebake() == {"FINISHED"} and asks not in drawn()
    assert np.abs(curves(three, 48) - torn).max() > 0.5, "it is said to its end"
    scene.freetalk.strip = "three"
    assert told not in " ".join(drawn())


def curves(copy: bpy.types.Object, frame: int) -> np.ndarray:
    """What the keys make of the mesh at a frame."""
    bpy.context.scene.frame_set(frame)
    return meshes.posed(copy)


def test_a_line_stays_whose_strip_is_in_another_scene(three: bpy.types.Object, short_clip: Path) -> None:
    scene, edit = bpy.context.scene, bpy.data.scenes.new("edit")
    strip = compat.strips(scene)["two"]
    moved = sound.new_strip(edit, "voices", short_clip, 46)
    moved[marks.STRIP] = strip[marks.STRIP]
    compat.strips(scene).remove(strip)
    assert "strip is gone" not in " ".join(drawn())


def test_the_only_line_of_a_take_may_go(talker: bpy.types.Object, short_clip: Path) -> None:
    scene = bpy.context.scene
    strip = sound.new_strip(scene, "one", short_clip, 1)
    scene.freetalk.sound = "STRIP"
    copy = animate(talker)
    scene.freetalk.sound, scene.freetalk.sound_file = "FILE", str(short_clip)
    compat.strips(scene).remove(strip)
    assert bpy.ops.freetalk.lines_delete() == {"FINISHED"}
    assert not spoken.lines(takes.current(copy)) and motion(copy, 1, 60) < 1e-3
    assert animate(talker) == copy and motion(copy, 1, 60) > 1
