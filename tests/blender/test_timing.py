"""The motion lies where the sound lies: strips, trims, frame rates, ranges."""

from pathlib import Path

import bpy
import numpy as np
import pytest
import soundfile
from baking import animate, motion
from wheel import NEEDS_SOUND

from freetalk_blender.blender import bake, compat, sound


@pytest.fixture
def from_file(talker: bpy.types.Object) -> np.ndarray:
    """The motion of two seconds from a file, which starts at frame 1; the copy is gone again."""
    answer = motion(animate(talker))
    bake.remove(talker)
    return answer


def test_silence_is_still_and_the_voice_moves_the_lips_from_its_own_frame_on(from_file: np.ndarray) -> None:
    """0.8 s of silence, 20 frames; lips may prepare half of that ahead."""
    speed = np.linalg.norm(from_file, axis=2).max(1)
    assert speed[20:].max() > 3 and speed[:10].max() < 0.1 * speed.max()


def test_a_scene_that_stretches_time_is_told(
    talker: bpy.types.Object, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    render, told = bpy.context.scene.render, "Scene plays animation {} than sound"
    bpy.ops.freetalk.animate()
    assert "than sound" not in capfd.readouterr().out
    render.frame_map_new = 200
    bpy.ops.freetalk.rebake()
    assert told.format("slower") in capfd.readouterr().out
    render.frame_map_new = 50
    bpy.ops.freetalk.export(filepath=str(tmp_path / "face.glb"))
    assert told.format("faster") in capfd.readouterr().out


@NEEDS_SOUND
def test_a_strip_moves_the_face_as_a_file_does_but_where_it_stands(
    talker: bpy.types.Object, from_file: np.ndarray, short_clip: Path
) -> None:
    scene = bpy.context.scene
    strip = sound.add_strip(scene, short_clip, 120)
    scene.freetalk.sound, scene.freetalk.strip = "STRIP", strip.name
    there = motion(animate(talker), 120, 50)
    assert np.linalg.norm(there - from_file[:50], axis=2).max() < 0.3, "both are made to 0.1 mm"


@NEEDS_SOUND
def test_a_trimmed_strip_speaks_what_lies_between_its_handles(
    talker: bpy.types.Object, short_clip: Path, tmp_path: Path
) -> None:
    """The same as the trimmed piece as a file of its own."""
    scene = bpy.context.scene
    strip = sound.add_strip(scene, short_clip, 100)
    strip.frame_final_start, strip.frame_final_end = 115, 140
    scene.freetalk.sound, scene.freetalk.strip = "STRIP", strip.name
    trimmed = motion(animate(talker), 115, 25)
    bake.remove(talker)
    samples, rate = soundfile.read(short_clip, dtype="float32")
    soundfile.write(tmp_path / "piece.wav", samples[15 * rate // 25 : 40 * rate // 25], rate)
    scene.freetalk.sound, scene.freetalk.sound_file = "FILE", str(tmp_path / "piece.wav")
    assert np.linalg.norm(motion(animate(talker), 1, 25) - trimmed, axis=2).max() < 0.3


@pytest.mark.parametrize(("fps", "frames"), [(24, 49), (30 / 1.001, 61), (60, 121)])
def test_every_frame_rate_shows_the_same_motion_at_the_same_second(
    talker: bpy.types.Object, from_file: np.ndarray, fps: float, frames: int
) -> None:
    scene = bpy.context.scene
    sound.set_scene_fps(scene, fps)
    copy = animate(talker)
    counts = {len(curve.keyframe_points) for curve in compat.fcurves(copy.data.shape_keys)}
    assert counts == {frames + 1}, "each frame, and one at rest"
    there = motion(copy, 1, frames)
    seconds = np.arange(frames) / fps
    inside = seconds < 2.0

    def error(late: float) -> np.ndarray:
        """(T,) mm between this motion and that at 25 frames a second, `late` of its frames later."""
        at = np.clip(25 * seconds[inside] + late, 0, 49.999)
        before = np.floor(at).astype(int)
        share = (at - before)[:, None, None]
        wanted = from_file[before] * (1 - share) + from_file[before + 1] * share
        return np.linalg.norm(there[inside] - wanted, axis=2).max(1)

    met = np.isclose(25 * seconds[inside], np.round(25 * seconds[inside]))
    assert error(0)[met].max() < 0.3, "frames of the same second, both made to 0.1 mm"
    assert np.median(error(0)) < 0.3, "between frames; lips close in less than one"
    assert min(error(1).mean(), error(-1).mean()) > 2 * error(0).mean()


def test_ranges_are_the_persons(talker: bpy.types.Object) -> None:
    """The scene is made long enough; the preview range and the start stay."""
    scene = bpy.context.scene
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 5, 12
    scene.frame_start = 11
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert (scene.frame_preview_start, scene.frame_preview_end, scene.use_preview_range) == (5, 12, True)
    assert (scene.frame_start, scene.frame_end) == (11, 71), "and until the face rests"
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert scene.frame_end == 20
