"""What a face says from a file is heard when it plays, and goes again with the face."""

import shutil
from pathlib import Path

import bpy
import pytest

from freetalk_blender.blender import cleanup, compat, marks, sound

pytestmark = pytest.mark.skipif(not compat.can_make_sound(), reason="this bpy wheel is built without sound")


def strips() -> dict[str, bool]:
    """Name of each strip -> whether it is heard."""
    return {strip.name: not strip.mute for strip in compat.all_strips(bpy.context.scene)}


def animate() -> None:
    assert bpy.ops.freetalk.animate() == {"FINISHED"}


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
