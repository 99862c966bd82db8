"""Lines of a take: another recording replaces those at its place, and between them the face rests."""

from pathlib import Path

import baking
import bpy
import numpy as np
import pytest
from baking import animate, weights

from freetalk_blender.blender import compat, marks, scene, sound, spoken, takes
from freetalk_blender.blender.ui import chosen
from freetalk_blender.core.compress import ShapeKeys


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
    assert spoken.rests([spoken.Line("e", 1, 50), first, second]) == [114], (
        "the last frame of a line that does not rest"
    )
    word = spoken.Line("d", 20, 10, 10, 10)
    assert spoken.rests([first, word]) == [60], "said within another line"


@pytest.mark.parametrize("gap", [0, 2, 9])
def test_a_line_takes_no_frame_of_others_that_are_close_together(cube: bpy.types.Object, gap: int) -> None:
    """The second would come from rest within the first, had it the time: no key at rest is there that a third takes."""
    copy, swing = baking.duplicate(cube), np.cos(np.arange(30) * 2.0)[:, None].astype(np.float32)
    keys = ShapeKeys(np.ones((1, 8, 3), np.float32), swing, 0.0)
    for source, start in (("a", 1), ("b", 31 + gap), ("c", 100)):
        baking.baked(copy, keys, start, source, ease=10)
        assert np.allclose(baking.motion(copy, 1, 30)[:, 0, 0], swing[:, 0], atol=1e-5)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("start", [30, 26])
def test_a_line_that_begins_within_another_moves_nothing_before_it(
    cube: bpy.types.Object, start: int, known: bool
) -> None:
    """Pieces of a strip that was cut share a frame; shapes that the first lacks grew all through it."""
    copy, swing = baking.duplicate(cube), np.cos(np.arange(30) * 2.0)[:, None].astype(np.float32)
    first = ShapeKeys(np.ones((1, 8, 3), np.float32), swing, 0.0)
    second = ShapeKeys(np.eye(8, 3, dtype=np.float32)[None], np.ones((20, 1), np.float32), 0.0)
    baking.baked(copy, first, 1, "a", ease=10)
    if known:
        baking.baked(copy, second, 100, "c", ease=10)
    baking.baked(copy, second, start, "b", ease=10)
    frames = start - 1
    said = baking.motion(copy, 1, frames) - swing[:frames, :, None]
    assert np.abs(said).max() < 1e-5


def test_what_is_left_of_a_take_that_does_not_rest_keeps_its_first_frame(cube: bpy.types.Object) -> None:
    """As a command bakes it."""
    copy, ones = baking.duplicate(cube), np.ones((20, 1), np.float32)
    for source, start, ease in (("a", 1, 0), ("b", 60, 10)):
        baking.baked(copy, ShapeKeys(np.ones((1, 8, 3), np.float32), ones, 0.0), start, source, ease)
    take = takes.current(copy)
    takes.silence(copy, take, spoken.lines(take)[1:])
    assert weights(copy, 1) == 1


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


def test_a_sound_file_is_known_by_its_path_however_that_is_written(
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

    assert first.replaces(spoken.Line(first.source, 900, 26)) and not first.replaces(second)
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
