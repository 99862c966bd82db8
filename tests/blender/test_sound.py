"""Sound strips: what is heard from which frame on."""

import os
import shutil
import sys
from pathlib import Path, PureWindowsPath

import bpy
import numpy as np
import pytest
import soundfile
from wheel import NEEDS_SOUND

from freetalk_blender.blender import compat, sound, soundtrack
from freetalk_blender.blender.ui import chosen, staleness
from freetalk_blender.core.errors import AudioError
from freetalk_blender.core.voice import audio

pytestmark = NEEDS_SOUND

RATE = 16000


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """Four seconds whose value tells the time: value = seconds / 4."""
    path = tmp_path / "ramp.wav"
    soundfile.write(path, np.linspace(0, 1, 4 * RATE, endpoint=False), RATE, subtype="FLOAT")
    return path


def seconds_at(clip: sound.Clip, offset: float) -> float:
    """Which second of the recording sounds `offset` seconds after the clip's start."""
    return 4 * float(clip.samples[round(offset * clip.rate)])


def second_played(scene: bpy.types.Scene, frame: int, folder: Path) -> float:
    """Which second of the recording Blender itself plays at a frame, each of two channels 3 dB lower."""
    scene.frame_start, scene.frame_end = frame, frame + 2
    bpy.ops.sound.mixdown(filepath=str(folder / "mix.wav"), container="WAV", codec="PCM", format="F32")
    samples, rate = soundfile.read(folder / "mix.wav")
    settled = rate // 50  # mixing begins with a step, which rings
    return 4 * float(samples[settled].mean()) * 2**0.5 - settled / rate


def test_a_whole_strip_starts_at_its_own_frame(empty: bpy.types.Scene, ramp: Path) -> None:
    clip = sound.from_strip(empty, sound.add_strip(empty, ramp, 40)).clip()
    assert clip.start == 40 and abs(len(clip.samples) / clip.rate - 4) < 0.05
    assert abs(seconds_at(clip, 1.0) - 1.0) < 2e-3


def test_trimmed_handles_leave_what_lies_between(empty: bpy.types.Scene, ramp: Path) -> None:
    strip = sound.add_strip(empty, ramp, 40)
    strip.frame_final_start, strip.frame_final_end = 65, 90
    clip = sound.from_strip(empty, strip).clip()
    assert clip.start == 65 and abs(len(clip.samples) / clip.rate - 1.0) < 1e-3
    assert abs(seconds_at(clip, 0.0) - 1.0) < 2e-3 and abs(seconds_at(clip, 0.5) - 1.5) < 2e-3


@pytest.mark.parametrize("method", ["SOFT", "HARD"])
def test_what_is_right_of_a_cut_goes_on_with_the_recording(
    addon: None, empty: bpy.types.Scene, ramp: Path, method: str
) -> None:
    """Also where the cut holds the last picture (Hold Split), and where it is moved and trimmed after that."""
    left = sound.add_strip(empty, ramp, 40)
    right = left.split(frame=65, split_method=method)
    assert abs(seconds_at(sound.from_strip(empty, right).clip(), 0.5) - 1.5) < 2e-3
    clip = sound.from_strip(empty, left).clip()
    assert abs(seconds_at(clip, 0.5) - 0.5) < 2e-3 and abs(len(clip.samples) / clip.rate - 1.0) < 1e-3
    right.frame_start += 100
    right.frame_final_start += 10
    assert abs(seconds_at(sound.from_strip(empty, right).clip(), 0.5) - 1.9) < 2e-3
    empty.freetalk.sound, empty.freetalk.strip = "STRIP", right.name
    before = staleness.said(empty)
    right.animation_offset_start += 5
    assert staleness.said(empty) != before, "it is to be baked again"
    assert abs(seconds_at(sound.from_strip(empty, right).clip(), 0.5) - 2.1) < 2e-3


def test_a_strip_drawn_out_before_its_sound_begins_with_silence(empty: bpy.types.Scene, ramp: Path) -> None:
    strip = sound.add_strip(empty, ramp, 40)
    strip.frame_final_start, strip.frame_final_end = 15, 90
    clip = sound.from_strip(empty, strip).clip()
    assert clip.start == 15 and abs(len(clip.samples) / clip.rate - 3) < 1e-3
    assert not clip.samples[: clip.rate - 100].any() and abs(seconds_at(clip, 1.5) - 0.5) < 2e-3


def test_a_fractional_frame_rate_is_obeyed(empty: bpy.types.Scene, ramp: Path) -> None:
    sound.set_scene_fps(empty, 29.97)
    assert abs(sound.scene_fps(empty) - 29.97) < 1e-4
    strip = sound.add_strip(empty, ramp, 1)
    strip.frame_final_start = 31
    assert abs(seconds_at(sound.from_strip(empty, strip).clip(), 0.0) - 30 / 29.97) < 2e-3


@pytest.mark.parametrize("in_meta", [False, True])
@pytest.mark.parametrize(("trim", "fps"), [(15, 24), (13, 30 / 1.001), (13, 12), (-13, 24)])
def test_a_trimmed_strip_stays_on_time_where_the_frame_rate_changes(
    empty: bpy.types.Scene, ramp: Path, tmp_path: Path, trim: int, fps: float, in_meta: bool
) -> None:
    """Blender then leaves trims of fractions of a frame, and plays what whole frames of them leave."""
    strip = sound.add_strip(empty, ramp, 40)
    strip.frame_final_start += trim
    if in_meta:
        meta = compat.strips(empty).new_meta("meta", 5, 20)
        strip.move_to_meta(meta)
        meta.frame_final_end = 200
    sound.set_scene_fps(empty, fps)
    clip, later = sound.from_strip(empty, strip).clip(), 20
    assert clip.start == strip.frame_final_start and strip.frame_offset_start % 1
    expected = second_played(empty, strip.frame_final_start + later, tmp_path)
    assert abs(seconds_at(clip, later / fps) - expected) < 2e-3


def test_a_strips_sound_offset_is_followed_and_asks_for_a_bake(
    addon: None, empty: bpy.types.Scene, ramp: Path, tmp_path: Path
) -> None:
    strip = sound.add_strip(empty, ramp, 40)
    if not hasattr(strip, "sound_offset"):
        pytest.skip("this Blender has none")
    empty.freetalk.sound, empty.freetalk.strip = "STRIP", strip.name
    before = staleness.said(empty)
    strip.sound_offset = 0.5
    assert staleness.said(empty) != before, "it is to be baked again"
    assert abs(seconds_at(sound.from_strip(empty, strip).clip(), 1.0) - second_played(empty, 65, tmp_path)) < 2e-3
    strip.sound_offset = 0.0
    assert staleness.said(empty) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know names of letters alone")
def test_a_sound_with_a_name_in_another_encoding_is_put_into_the_scene(
    empty: bpy.types.Scene, ramp: Path, tmp_path: Path
) -> None:
    old = tmp_path / os.fsdecode(b"M\xfcller.wav")
    shutil.copy(ramp, old)
    strip, plain = sound.add_strip(empty, old, 40), sound.add_strip(empty, ramp, 40)
    assert np.array_equal(sound.from_strip(empty, strip).clip().samples, sound.from_strip(empty, plain).clip().samples)


def test_a_packed_sound_needs_no_file(empty: bpy.types.Scene, ramp: Path) -> None:
    strip = sound.add_strip(empty, ramp, 1)
    ramp.unlink()
    assert abs(seconds_at(sound.from_strip(empty, strip).clip(), 2.0) - 2.0) < 2e-3


@pytest.mark.parametrize("name", ["A: take 1", "take: 1.wav", "what?.wav", "a/b\\\\..", "NUL", "..", ""])
def test_a_packed_sound_is_read_whatever_its_strip_is_called(ramp: Path, name: str) -> None:
    with sound._file(ramp.read_bytes(), name) as path:
        folder = PureWindowsPath("C:/Temp")
        assert (folder / path.name).parent == folder and not (folder / path.name).is_reserved()
        assert path.name.rstrip(". ") == path.name and not set(path.name) & set('<>:"/\\|?*')
        assert audio.file_duration(path) == 4


@pytest.mark.parametrize(("container", "codec"), [("MATROSKA", "AAC"), ("AAC", "AAC"), ("AC3", "AC3"), ("OGG", "FLAC")])
def test_what_blender_alone_can_read_is_heard_on_time_from_files_and_strips(
    empty: bpy.types.Scene, tmp_path: Path, container: str, codec: str
) -> None:
    clicks = np.zeros(3 * 48000, np.float32)
    clicks[48000:52800] = 0.5 * np.sin(np.arange(4800) * 0.1)
    soundfile.write(tmp_path / "clicks.wav", np.stack([clicks, -clicks], 1), 48000)  # whose mean is silence
    sound.add_strip(empty, tmp_path / "clicks.wav", 1)
    empty.frame_start, empty.frame_end = 1, 72
    sound.set_scene_fps(empty, 24)
    path = tmp_path / "clicks.film"
    try:
        bpy.ops.sound.mixdown(filepath=str(path), container=container, codec=codec, check_existing=False)
    except (RuntimeError, TypeError) as error:
        pytest.skip(f"this Blender does not write {codec}: {error}")
    path = next(tmp_path.glob("clicks*film*"))
    with pytest.raises(AudioError, match="cannot be read"):
        audio.load(path)
    source = sound.from_file(str(path), 1)
    assert abs(source.duration() - 3) < 0.1
    for clip in (source.clip(), sound.from_strip(empty, sound.new_strip(empty, "film", path, 1)).clip()):
        loud = np.flatnonzero(np.abs(clip.samples) > 0.1) / clip.rate
        assert abs(loud[0] - 1.0) < 0.06 and abs(loud[-1] - 1.1) < 0.06


def test_half_of_a_damaged_file_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "torn.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE), RATE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = b"\0" * (len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(AudioError, match="cannot be read"):
        sound.from_file(str(path), 1).clip()


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.m4a"
    path.write_text("Dear Sir or Madam")
    with pytest.raises(AudioError, match="cannot be read"):
        sound.from_file(str(path), 1).clip()
    with pytest.raises(AudioError, match="cannot be read"):
        sound.from_file(str(path), 1).duration()


def test_a_film_without_a_sound_is_told_as_such(empty: bpy.types.Scene, tmp_path: Path) -> None:
    render = empty.render
    compat.use_video(render.image_settings)
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.audio_codec = "MPEG4", "H264", "NONE"
    render.resolution_x = render.resolution_y = 64
    picture = bpy.data.images.new("grey", 64, 64)
    picture.filepath_raw, picture.file_format = str(tmp_path / "grey.png"), "PNG"
    picture.save()
    compat.ensure_strips(empty).new_image("grey", picture.filepath_raw, 1, 1)
    empty.frame_start, empty.frame_end, render.filepath = 1, 2, str(tmp_path / "film.mp4")
    bpy.ops.render.render(animation=True)
    with pytest.raises(AudioError, match=r"The film .*film\.mp4 has no sound; choose one"):
        sound.load(tmp_path / "film.mp4")


def test_a_recording_whose_header_was_never_finished_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "unfinished.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, RATE), RATE)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = bytes(4)
    path.write_bytes(content)
    source = sound.from_file(str(path), 1)
    assert abs(len(source.clip().samples) / source.clip().rate - 1) < 0.01
    assert abs(source.duration() - 1) < 0.01


def test_recordings_one_after_the_other_in_one_mp3_are_all_heard(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.mp3", np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE), RATE)
    both = tmp_path / "both.mp3"
    both.write_bytes(2 * (tmp_path / "one.mp3").read_bytes())
    source = sound.from_file(str(both), 1)
    assert len(source.clip().samples) / source.clip().rate == pytest.approx(4, abs=0.15)
    assert source.duration() == pytest.approx(4, abs=0.15)


def test_the_panels_channel_is_heard_of_files_films_and_strips(
    addon: None, empty: bpy.types.Scene, tmp_path: Path
) -> None:
    settings, path = empty.freetalk, tmp_path / "two.wav"
    both = np.zeros((RATE, 2), np.float32)
    both[:, 1] = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    soundfile.write(path, both, RATE)
    settings.sound_file = str(path)
    for channel, loud in ((0, 0.1), (1, 0.0), (2, 0.2)):
        settings.channel = channel
        assert np.abs(chosen.source(empty).clip().samples).mean() == pytest.approx(loud, abs=0.1 if loud else 1e-6)
    settings.channel = 3
    with pytest.raises(AudioError, match="has 2 channels and no channel 3"):
        chosen.source(empty).clip()
    before = staleness.said(empty)
    settings.channel = 2
    assert staleness.said(empty) != before, "what was baked of another channel is stale"
    sound.add_strip(empty, path, 1)
    settings.sound, settings.channel = "STRIP", 1
    assert not chosen.source(empty).clip().samples.any()
    bpy.ops.sound.mixdown(filepath=str(tmp_path / "two.mkv"), container="MATROSKA", codec="AAC")
    first, second = (sound.load(tmp_path / "two.mkv", channel)[0] for channel in (1, 2))
    assert np.abs(first).max() < 0.01 < np.abs(second).max()


def test_a_lost_file_is_one_sentence(empty: bpy.types.Scene, ramp: Path) -> None:
    strip = compat.ensure_strips(empty).new_sound("ramp", str(ramp), 1, 1)
    ramp.unlink()
    with pytest.raises(AudioError, match="does not exist"):
        sound.from_strip(empty, strip).clip()


def test_strips_in_meta_strips_are_heard_and_the_earliest_comes_first(empty: bpy.types.Scene, ramp: Path) -> None:
    late, early = (sound.add_strip(empty, ramp, frame) for frame in (80, 5))
    late.name, early.name = "late", "early"
    meta = compat.strips(empty).new_meta("meta", 5, 5)
    early.move_to_meta(meta)
    meta.frame_final_end = early.frame_final_end
    assert [strip.name for strip in sound.sound_strips(empty)] == ["early", "late"]
    assert abs(seconds_at(sound.from_strip(empty, sound.find_strip(empty, "early")).clip(), 1.0) - 1.0) < 2e-3


def test_trims_of_meta_strips_are_followed_and_kept_where_these_come_apart(
    addon: None, empty: bpy.types.Scene, ramp: Path
) -> None:
    heard, gone = (sound.add_strip(empty, ramp, frame) for frame in (5, 60))
    inner, outer = (compat.strips(empty).new_meta(name, channel, 5) for name, channel in (("inner", 5), ("outer", 6)))
    for strip in (heard, gone):
        strip.move_to_meta(inner)
    inner.move_to_meta(outer)
    inner.frame_final_end, outer.frame_final_end = 50, 30
    inner.frame_final_start = 10
    clip = sound.from_strip(empty, heard).clip()
    assert clip.start == 10 and len(clip.samples) == 20 * clip.rate // 25
    assert abs(seconds_at(clip, 0.1) - 0.3) < 2e-3
    with pytest.raises(AudioError, match="shows no part of its sound"):
        sound.from_strip(empty, gone).clip()
    empty.freetalk.sound, empty.freetalk.strip = "STRIP", heard.name
    before = staleness.said(empty)
    outer.frame_final_end = 25
    assert staleness.said(empty) != before, "it is to be baked again"
    soundtrack.keep_sound(empty)
    heard, gone = (compat.strips(empty)[name] for name in (heard.name, gone.name))
    assert (heard.frame_final_start, heard.frame_final_end, heard.mute, gone.mute) == (10, 25, False, True)


@pytest.mark.parametrize("trimmed", [False, True])
def test_fractions_of_frames_stay_on_time_where_meta_strips_come_apart(
    empty: bpy.types.Scene, ramp: Path, tmp_path: Path, trimmed: bool
) -> None:
    """As in a film."""
    sound.set_scene_fps(empty, 24)
    strip = sound.add_strip(empty, ramp, 40)
    if not hasattr(strip, "sound_offset"):
        pytest.skip("this Blender has none")
    strip.frame_final_start += 15
    meta = compat.strips(empty).new_meta("meta", 5, 20)
    strip.move_to_meta(meta)
    meta.frame_final_end = 200
    if trimmed:
        meta.frame_final_start = 64
    sound.set_scene_fps(empty, 30 / 1.001)
    before = second_played(empty, 80, tmp_path)
    soundtrack.keep_sound(empty)
    assert strip.parent_meta() is None and abs(second_played(empty, 80, tmp_path) - before) < 2e-3


def test_a_strip_that_gets_anothers_old_name_is_not_taken_for_it(empty: bpy.types.Scene, ramp: Path) -> None:
    first, second = (sound.add_strip(empty, ramp, frame) for frame in (1, 120))
    first.name = "line"
    sound.remember(empty, first)
    first.name, second.name = "old line", "line"
    assert sound.identity(empty, first) == "line" != sound.identity(empty, second)
    assert sound.find_strip(empty, sound.remember(empty, second)) == second


def test_a_renamed_strip_is_found_among_many_in_one_pass(
    empty: bpy.types.Scene, ramp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strips = [sound.add_strip(empty, ramp, 1 + 20 * number) for number in range(20)]
    name = sound.remember(empty, strips[-1])
    strips[-1].name = "renamed"
    passes, look = [], sound.sound_strips
    monkeypatch.setattr(sound, "sound_strips", lambda scene: passes.append(scene) or look(scene))
    assert sound.find_strip(empty, name) == strips[-1] and len(passes) == 1, "the window is drawn often"


def test_of_unnamed_strips_the_first_that_is_not_muted_is_said(addon: None, empty: bpy.types.Scene, ramp: Path) -> None:
    by_itself, by_channel, in_meta, heard = (sound.add_strip(empty, ramp, frame) for frame in (1, 5, 10, 15))
    by_itself.mute = True
    empty.sequence_editor.channels[by_channel.channel].mute = True
    meta = compat.strips(empty).new_meta("meta", 20, 10)
    in_meta.move_to_meta(meta)
    meta.mute = True
    assert chosen.strip(empty) == heard
    heard.mute = True
    assert chosen.strip(empty) == by_itself, "all of them are"


def test_sound_that_only_another_scene_has_is_told(addon: None, empty: bpy.types.Scene, ramp: Path) -> None:
    empty.freetalk.sound = "STRIP"
    assert chosen.why_no_sound(empty) == "The sequencer has no sound"
    edit = bpy.data.scenes.new("Edit")
    sound.add_strip(edit, ramp, 1)
    compat.ensure_strips(empty).new_scene("shot", edit, 1, 1)
    told = f"The sound is in the sequencer of Edit: copy its strip into that of {empty.name}"
    assert chosen.why_no_sound(empty) == told
    sound.add_strip(empty, ramp, 1)
    assert chosen.why_no_sound(empty) == ""


def test_after_animate_a_sound_without_speech_is_told(
    talker: bpy.types.Object, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert "No speech" not in capfd.readouterr().out
    soundfile.write(tmp_path / "rest.wav", np.zeros(RATE), RATE)
    bpy.context.scene.freetalk.sound_file = str(tmp_path / "rest.wav")
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert "Warning: No speech was heard in rest.wav, so the mouth stays still" in capfd.readouterr().out
