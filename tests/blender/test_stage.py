"""A scene of the person's on the command line: its rate, its frames, its other objects, what it hears."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import teeth_behind
from doors import call

from freetalk_blender import cli
from freetalk_blender.blender import compat, scene, sound, spoken, takes
from freetalk_blender.blender.formats import files, saving
from freetalk_blender.core import landmarks
from freetalk_blender.core.frame import canonical_frame
from freetalk_blender.core.voice import audio


def test_a_blend_talks_in_its_own_scene(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, capsys: pytest.CaptureFixture
) -> None:
    """A .blend keeps its rate, its frames and what is around the face, which speaks when it shall and then rests."""
    scan = files.load(head)
    current = bpy.context.scene
    current.render.fps, current.frame_start, current.frame_end = 24, 101, 120
    bpy.ops.mesh.primitive_cube_add(location=(500, 0, 0))
    bpy.context.object.name = "bystander"
    saving.save(tmp_path / "room.blend")
    assert scan.item.name == "head"
    words = ["animate", tmp_path / "room.blend", short_clip, "--landmarks", head_landmarks, "--start", 110, "--json"]
    assert call(*words, "-o", tmp_path / "out.blend", "-o", tmp_path / "out.npz") == cli.DONE
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["fps"] == 24 and answer["frames"] == answer["arrays"]["displacement"][0] == 49
    with np.load(tmp_path / "out.npz") as arrays:
        assert float(arrays["fps"]) == 24
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out.blend"))
    copy = scene.talking_object()
    assert copy["freetalk_original"].name == "head" and "bystander" in bpy.data.objects
    assert bpy.context.scene.render.fps == 24
    (line,) = spoken.lines(takes.current(copy))
    assert (line.start, line.end, line.reach) == (110, 158, (101, 168))
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (101, 168)
    assert all(curve.evaluate(168) == 0 for curve in compat.existing_curves(copy.data.shape_keys))
    scene.extend_range(120, 130)
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (101, 168), "the first speaker's"


@pytest.mark.parametrize("start", [1_048_570, 10**11])
def test_speech_beyond_blenders_last_frame_is_refused(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, capsys: pytest.CaptureFixture, start: int
) -> None:
    words = ["animate", head, short_clip, "--landmarks", head_landmarks, "--keep-mouth", "--start", start]
    assert call(*words, "-o", tmp_path / "late.blend") == cli.BAD_INPUT
    assert "Blender has none after 1048574; begin it earlier" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_arrays_of_a_blend_keep_its_rate_and_hear_what_blender_hears(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path
) -> None:
    """Also without any output that is a scene."""
    files.load(head)
    current = bpy.context.scene
    current.render.fps, current.frame_start, current.frame_end = 24, 1, 48
    saving.save(tmp_path / "room.blend")
    strip = sound.add_strip(current, short_clip, 1)
    if strip is None:
        pytest.skip("this Blender is built without audio")
    bpy.ops.sound.mixdown(filepath=str(tmp_path / "voice.mkv"), container="MATROSKA", codec="AAC")
    words = ["animate", tmp_path / "room.blend", tmp_path / "voice.mkv", "--landmarks", head_landmarks]
    assert call(*words, "-o", tmp_path / "out.npz") == cli.DONE
    with np.load(tmp_path / "out.npz") as arrays:
        assert float(arrays["fps"]) == 24 and abs(len(arrays["displacement"]) - 49) <= 2


def test_a_film_is_heard_for_arrays_and_scenes_alike(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr(sound, "load", lambda path, _channel: heard.append(path) or audio.load(short_clip))
    outputs = tmp_path / "out.npz", tmp_path / "out.glb"
    monkeypatch.setattr(sound, "add_strip", lambda *_: None)
    words = ["animate", head, "film.mkv", "--landmarks", head_landmarks]
    assert call(*words, "-o", outputs[0], "-o", outputs[1]) == cli.DONE
    assert heard == [Path("film.mkv")], "once for both"
    assert all(path.is_file() for path in outputs)


def test_a_character_of_several_objects_talks(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, capsys: pytest.CaptureFixture
) -> None:
    """Hair has more vertices than the head and is not taken for it; teeth become a part of the talking copy."""
    face = files.load(head).item
    count, points = len(face.data.vertices), landmarks.read(head_landmarks).points
    placed = canonical_frame(points)
    teeth_behind(face, points, "teeth")
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=7, radius=placed.scale, location=points[27] + [0, 400, -100])
    bpy.context.object.name = "hair"
    saving.save(tmp_path / "character.blend")
    assert call("animate", tmp_path / "character.blend", short_clip, "-o", tmp_path / "out.blend") == cli.DONE
    told = capsys.readouterr().err
    assert "Of the 3 meshes in character.blend, head has the face." in told
    assert "These objects go with the face: teeth." in told
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out.blend"))
    copy = scene.talking_object()
    assert copy["freetalk_original"].name == "head" and bpy.data.objects["hair"].visible_get()
    assert bpy.data.objects["teeth"].hide_render and not bpy.data.objects["teeth"].visible_get()
    rest, *shapes = (
        np.array([point.co for point in block.points[count : count + 42]]) for block in copy.data.shape_keys.key_blocks
    )
    assert max(np.linalg.norm(shape - rest, axis=1).min() for shape in shapes) > 0.01 * placed.scale


def test_render_refuses_a_scene_in_which_nobody_talks(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    files.empty_scene()
    bpy.ops.mesh.primitive_cube_add()
    saving.save(tmp_path / "mute.blend")
    assert call("render", tmp_path / "mute.blend", "-o", tmp_path / "mute.mp4") == cli.BAD_INPUT
    assert "No object in this scene was animated by FreeTalk" in capsys.readouterr().err
    assert not (tmp_path / "mute.mp4").exists()
