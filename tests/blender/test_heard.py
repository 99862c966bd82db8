"""What a face says from a file is heard when it plays, and goes again with the face."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bpy
import pytest
from conftest import light_scene
from doors import call
from wheel import NEEDS_SOUND

from freetalk_blender import cli
from freetalk_blender.blender import cleanup, compat, heard, marks, placed, sound, spoken, takes, telling
from freetalk_blender.blender.formats import saving

pytestmark = NEEDS_SOUND


def strips() -> dict[str, bool]:
    """Name of each strip -> whether it is heard."""
    return {strip.name: not strip.mute for strip in compat.all_strips(bpy.context.scene)}


def animate() -> None:
    assert bpy.ops.freetalk.animate() == {"FINISHED"}


def on_screen() -> dict[str, tuple[int, bool]]:
    """Name of each strip -> the frame where it begins and whether it is heard."""
    return {strip.name: (int(strip.frame_start), not strip.mute) for strip in compat.all_strips(bpy.context.scene)}


@pytest.fixture
def command(
    addon: None, bare_face: tuple, short_clip: Path, tmp_path: Path, head_landmarks: Path
) -> Callable[..., None]:
    """`animate` of a .blend, which it writes anew and which is then opened: two faces are in it, head and other."""
    item, scene = light_scene(bare_face, short_clip), bpy.context.scene
    other = item.copy()
    other.name, other.location.x = "other", 1000
    placed.forget(other)
    scene.collection.objects.link(other)
    scene.sequence_editor_clear()
    path = tmp_path / "talk.blend"
    saving.save(path)

    def animate_anew(face: str, *words: str | Path) -> None:
        points = ("--landmarks", head_landmarks) if face == "head" else ()
        assert call("animate", path, *words, "--object", face, *points, "-o", tmp_path / "new.blend") == cli.DONE
        (tmp_path / "new.blend").replace(path)
        bpy.ops.wm.open_mainfile(filepath=str(path))

    return animate_anew


def test_the_file_is_heard_where_it_is_said_and_remove_takes_it_back(talker: bpy.types.Object) -> None:
    scene = bpy.context.scene
    scene.sequence_editor_clear()
    scene.frame_start = 7
    animate()
    (strip,) = compat.all_strips(scene)
    assert strip.name == "FreeTalk short.wav" and strip.frame_final_start == 7
    assert sound.file_of(strip) == Path(scene.freetalk.sound_file)
    scene.frame_start = 3
    animate()
    assert [strip.frame_final_start for strip in compat.all_strips(scene)] == [3], "it moves with the line"
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert scene.sequence_editor is None and not bpy.data.sounds and list(cleanup.found()) == []


def test_a_bake_is_finished_whatever_is_wrong_with_what_comes_after_it(
    talker: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> tuple[str, ...]:
        raise PermissionError(13, "Permission denied", "skin.png")

    monkeypatch.setattr(telling, "notes", refused)
    scene = bpy.context.scene
    scene.sequence_editor_clear()
    for channel in range(1, 129):
        sound.new_strip(scene, f"{channel}", Path(scene.freetalk.sound_file), 1000)
    animate()
    assert marks.BAKED in marks.copy_of(talker) and len(compat.all_strips(scene)) == 128


def test_each_take_sounds_as_it_was_spoken(talker: bpy.types.Object, short_clip: Path, tmp_path: Path) -> None:
    animate()
    bpy.ops.freetalk.take_new()
    bpy.context.scene.freetalk.sound_file = str(shutil.copy(short_clip, tmp_path / "again.wav"))
    animate()
    assert strips() == {"FreeTalk short.wav": False, "FreeTalk again.wav": True}
    bpy.ops.freetalk.take_choose(take="head take 1")
    assert strips() == {"FreeTalk short.wav": True, "FreeTalk again.wav": False}
    bpy.ops.freetalk.take_delete(take="head take 2")
    assert strips() == {"FreeTalk short.wav": True}


def test_what_the_person_lets_be_heard_already_is_not_heard_twice(talker: bpy.types.Object, short_clip: Path) -> None:
    mine = sound.new_strip(bpy.context.scene, "mine", short_clip, 1)
    animate()
    assert strips() == {"mine": True}
    bpy.ops.freetalk.remove()
    assert strips() == {"mine": True} and mine.name == "mine"


def test_what_the_person_lets_be_heard_in_part_is_heard_whole(talker: bpy.types.Object, short_clip: Path) -> None:
    """Pieces that a blade made let all of it be heard, and what is left where one of them is deleted does not."""
    scene = bpy.context.scene
    first, last = (sound.new_strip(scene, name, short_clip, 1) for name in ("first", "last"))
    first.frame_final_end = last.frame_final_start = 20
    animate()
    assert set(strips()) == {"first", "last"}
    compat.strips(scene).remove(first)
    animate()
    assert strips() == {"last": True, "FreeTalk short.wav": True}


def test_remove_in_a_full_copy_of_the_scene_takes_the_sound_from_there_alone(talker: bpy.types.Object) -> None:
    animate()
    scene = bpy.context.scene
    assert bpy.ops.scene.new(type="FULL_COPY") == {"FINISHED"}
    (other,) = set(bpy.data.scenes) - {scene}
    with bpy.context.temp_override(scene=other, view_layer=other.view_layers[0]):
        animate()
        assert len(sound.sound_strips(other)) == 1
        assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert not sound.sound_strips(other) and len(sound.sound_strips(scene)) == 1


def test_all_scenes_of_a_face_hear_what_it_says(talker: bpy.types.Object, short_clip: Path, tmp_path: Path) -> None:
    def heard_in() -> list[dict[str, bool]]:
        return [{strip.name: not strip.mute for strip in compat.all_strips(each)} for each in (scene, other, silent)]

    scene = bpy.context.scene
    animate()
    assert bpy.ops.scene.new(type="LINK_COPY") == {"FINISHED"}
    other, silent = bpy.context.scene, bpy.data.scenes.new("silent")
    silent.collection.children.link(bpy.data.collections.new("cast"))
    copy = marks.copy_of(talker)
    silent.collection.children["cast"].objects.link(copy)
    assert set(copy.users_scene) == {scene, other, silent}
    other.freetalk.sound_file = str(shutil.copy(short_clip, tmp_path / "again.wav"))
    animate()
    assert heard_in() == [{"FreeTalk again.wav": True}] * 2 + [{}]
    bpy.ops.freetalk.take_new()
    other.freetalk.sound_file = str(short_clip)
    animate()
    assert heard_in() == [{"FreeTalk again.wav": False, "FreeTalk short.wav": True}] * 2 + [{}]
    bpy.ops.freetalk.take_choose(take="head take 1")
    assert heard_in() == [{"FreeTalk again.wav": True, "FreeTalk short.wav": False}] * 2 + [{}]
    bpy.ops.freetalk.take_delete(take="head take 2")
    assert heard_in() == [{"FreeTalk again.wav": True}] * 2 + [{}]
    bpy.ops.freetalk.remove()
    assert heard_in() == [{}] * 3 and not bpy.data.sounds


def test_a_duplicate_that_another_scene_alone_shows_is_heard_there(talker: bpy.types.Object, short_clip: Path) -> None:
    scene = bpy.context.scene
    animate()
    assert bpy.ops.scene.new(type="LINK_COPY") == {"FINISHED"}
    other, copy = bpy.context.scene, marks.copy_of(talker)
    double = copy.copy()
    double.data = copy.data.copy()
    other.collection.objects.link(double)
    (line,), take = spoken.lines(takes.current(copy)), takes.create(double)
    spoken.keep(take, [replace(line, source="file other.wav")])
    strip = sound.add_strip(other, short_clip, 1)
    strip[marks.HEARD] = "file other.wav"
    bpy.context.window.scene = scene
    heard.tune(other)
    assert strip in sound.sound_strips(other) and not strip.mute


def test_the_persons_sequencer_stays_when_the_sound_goes(talker: bpy.types.Object, short_clip: Path) -> None:
    sound.new_strip(bpy.context.scene, "mine", short_clip, 100)
    animate()
    assert set(strips()) == {"mine", "FreeTalk short.wav"}
    bpy.ops.freetalk.remove()
    assert strips() == {"mine": True}


def test_nothing_is_added_where_that_is_not_wished(talker: bpy.types.Object) -> None:
    bpy.context.scene.freetalk.hear = False
    animate()
    assert strips() == {}
    assert len(marks.all_copies()) == 1


def test_a_command_lets_each_face_say_one_thing_at_a_time(
    command: Callable[..., None], short_clip: Path, tmp_path: Path
) -> None:
    again = Path(shutil.copy(short_clip, tmp_path / "again.wav"))
    command("head", short_clip)
    assert on_screen() == {"short.wav": (1, True)}
    command("head", again, "--start", "61")
    assert on_screen() == {"again.wav": (61, True)}, "what it takes the place of is not heard any more"
    bpy.context.scene.freetalk.face = bpy.data.objects["head"]
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert bpy.context.scene.sequence_editor is None and not bpy.data.sounds and list(cleanup.found()) == []


def test_the_sound_of_the_panels_line_goes_with_it_when_a_command_says_another(
    talker: bpy.types.Object, short_clip: Path, tmp_path: Path, head_landmarks: Path
) -> None:
    sound.new_strip(bpy.context.scene, "mine", short_clip, 100)
    animate()
    assert set(strips()) == {"mine", "FreeTalk short.wav"}
    saving.save(tmp_path / "panel.blend")
    words = [tmp_path / "panel.blend", short_clip, "--landmarks", head_landmarks, "-o", tmp_path / "new.blend"]
    assert call("animate", *words) == cli.DONE
    assert strips() == {"mine": True, "short.wav": True}


def test_the_sound_of_a_commands_line_goes_with_it_when_the_panel_says_another(
    command: Callable[..., None], short_clip: Path
) -> None:
    command("head", short_clip)
    settings = bpy.context.scene.freetalk
    settings.face, settings.sound_file = bpy.data.objects["head"], str(short_clip)
    animate()
    assert on_screen() == {"FreeTalk short.wav": (1, True)}, "heard once"


def test_a_commands_strip_that_the_panel_says_is_the_persons_from_then_on(
    command: Callable[..., None], short_clip: Path
) -> None:
    command("head", short_clip)
    settings = bpy.context.scene.freetalk
    settings.face, settings.sound, settings.strip = bpy.data.objects["head"], "STRIP", "short.wav"
    animate()
    assert on_screen() == {"short.wav": (1, True)}
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert on_screen() == {"short.wav": (1, True)} and list(cleanup.found()) == []


@pytest.mark.parametrize("later", [0, 20, 100])
def test_a_files_strip_that_was_moved_is_told_and_speaks_where_it_is(talker: bpy.types.Object, later: int) -> None:
    scene = bpy.context.scene
    scene.sequence_editor_clear()
    animate()
    take, name = takes.current(marks.copy_of(talker)), "FreeTalk short.wav"
    (strip,) = compat.all_strips(scene)
    assert not heard.moved(scene, take)
    sound.set_scene_fps(scene, 24)
    assert not heard.moved(scene, take), "longer in frames, and whole"
    sound.set_scene_fps(scene, 25)
    strip.frame_final_end -= 5
    assert heard.moved(scene, take) == [name]
    strip.frame_final_end += 5
    strip.frame_start += later
    assert heard.moved(scene, take) == ([name] if later else [])
    scene.freetalk.sound, scene.freetalk.strip = "STRIP", name
    animate()
    assert on_screen() == {name: (1 + later, True)}, "it is the person's own now, and heard"
    (line,) = spoken.lines(take)
    assert (line.source, line.start) == (f"strip {name}", 1 + later) and not heard.moved(scene, take)
    curves = compat.fcurves(marks.copy_of(talker).data.shape_keys)
    assert not any(curve.evaluate(frame) for curve in curves for frame in range(1, int(line.reach[0]))), (
        "it rests before"
    )
    scene.freetalk.sound = "FILE"
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert on_screen() == {name: (1 + later, True)}


def test_pieces_of_a_files_strip_stay_where_one_of_them_is_said_by_itself(talker: bpy.types.Object) -> None:
    scene = bpy.context.scene
    scene.sequence_editor_clear()
    animate()
    (left,) = compat.all_strips(scene)
    right = left.split(frame=40, split_method="SOFT")
    take = takes.current(marks.copy_of(talker))
    assert heard.moved(scene, take) == [left.name, right.name]
    scene.freetalk.sound, scene.freetalk.strip = "STRIP", left.name
    animate()
    assert on_screen() == {left.name: (1, True), right.name: (1, True)} and not heard.moved(scene, take)
    assert [line.start for line in spoken.lines(take)] == [1]


def test_what_two_faces_say_by_commands_is_heard_together(command: Callable[..., None], short_clip: Path) -> None:
    command("head", short_clip)
    command("other", short_clip, "--start", "61")
    assert sorted(on_screen().values()) == [(1, True), (61, True)]
    meta = compat.strips(bpy.context.scene).new_meta("meta", 9, 1)
    compat.strips(bpy.context.scene)["short.wav"].move_to_meta(meta)
    saving.save(Path(bpy.data.filepath))
    command("head", short_clip, "--start", "5")
    assert sorted(at for name, (at, _) in on_screen().items() if name != "meta") == [5, 61]
