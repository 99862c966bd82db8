"""Sound files and arrays: every legal one becomes one clean channel, every broken one one sentence."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from freetalk_blender.core.errors import AudioError, UnknownSoundError
from freetalk_blender.core.voice import audio, joined

RATE = 16000


def tone(seconds: float, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype"),
    [
        ("a.wav", 16000, 1, "PCM_16"),
        ("b.wav", 96000, 2, "PCM_24"),
        ("c.wav", 8000, 1, "PCM_U8"),
        ("d.wav", 44100, 6, "FLOAT"),
        ("e.flac", 48000, 2, "PCM_16"),
        ("f.ogg", 44100, 2, "VORBIS"),
        ("g.mp3", 44100, 2, "MPEG_LAYER_III"),
        ("h.wav", 11025, 1, "ULAW"),
    ],
)
def test_any_format_becomes_the_same_mono_tone(
    tmp_path: Path, name: str, rate: int, channels: int, subtype: str
) -> None:
    soundfile.write(tmp_path / name, np.repeat(tone(1.0, rate)[:, None], channels, 1), rate, subtype=subtype)
    samples, loaded_rate = audio.load(tmp_path / name)
    assert (loaded_rate, samples.dtype, samples.ndim) == (RATE, np.float32, 1)
    assert abs(len(samples) - RATE) < 0.12 * RATE  # lossy coders pad
    middle = samples[4000:12000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(np.argmax(spectrum) * RATE / len(middle) - 440) < 3
    assert abs(middle.std() - 0.3 / np.sqrt(2)) < 0.02


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know names of letters alone")
def test_a_sound_with_a_name_in_another_encoding_is_read(tmp_path: Path) -> None:
    plain, old = tmp_path / "plain.wav", tmp_path / os.fsdecode(b"M\xfcller.wav")
    soundfile.write(plain, tone(0.5), RATE)
    shutil.copy(plain, old)
    for part in (None, slice(100, 900)):
        assert np.array_equal(audio.load(old, part=part)[0], audio.load(plain, part=part)[0])
    assert audio.file_duration(old) == 0.5


def test_channels_are_averaged_not_summed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(0.5), np.zeros(RATE // 2)], 1), RATE, subtype="FLOAT")
    assert np.allclose(audio.load(tmp_path / "a.wav")[0], tone(0.5) / 2, atol=1e-6)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3"])
def test_channels_that_cancel_each_other_are_not_lost(tmp_path: Path, name: str) -> None:
    voice = tone(20, 48000) * np.linspace(0, 1, 20 * 48000, dtype=np.float32)
    stereo = np.stack([-0.95 * voice, voice, np.zeros_like(voice)][: 2 if name == "a.mp3" else 3], 1)
    soundfile.write(tmp_path / name, stereo, 48000)
    loaded = audio.load(tmp_path / name)[0]
    assert abs(len(loaded) - 20 * RATE) < 0.02 * len(loaded) and abs(loaded[-RATE:].std() - 0.21) < 0.01
    assert np.array_equal(audio.mono(stereo), voice)


@pytest.mark.parametrize(
    ("name", "rate", "subtype", "seconds"),
    [
        ("a.wav", 44100, "PCM_16", 3),
        ("b.wav", 16000, "FLOAT", 3),
        ("c.wav", 11025, "ULAW", 3),
        ("d.wav", 44099, "PCM_24", 5),
        ("e.flac", 48000, "PCM_16", 3),
        ("f.ogg", 11025, "VORBIS", None),
        ("g.mp3", 44100, "MPEG_LAYER_III", None),
    ],
)
def test_a_part_is_that_of_the_whole_and_little_around_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, rate: int, subtype: str, seconds: float | None
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (20 * rate + 17, 2))
    soundfile.write(tmp_path / name, noise, rate, subtype=subtype)
    whole, decoded = audio.load(tmp_path / name)[0], list[int]()
    read = soundfile.SoundFile.read

    def counted(*words: object, **named: object) -> np.ndarray:
        block = read(*words, **named)
        decoded.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    end = len(whole)
    for first, last in [(0, 100), (3, 1603), (100_001, 100_008), (150_000, 166_000), (end - 5, end + 9), (0, 2 * end)]:
        decoded.clear()
        part = audio.load(tmp_path / name, part=slice(first, last))[0]
        assert len(part) == len(whole[first:last]) and np.abs(part - whole[first:last]).max() < 1e-5
        assert seconds is None or last > end or sum(decoded) <= seconds * rate
    for nothing in (slice(0, 0), slice(end, end + 5), slice(10 * end, 11 * end)):
        assert not len(audio.load(tmp_path / name, part=nothing)[0])


def test_a_part_in_which_channels_cancel_each_other_is_not_lost(tmp_path: Path) -> None:
    voice, rest = tone(10), np.random.default_rng(0).normal(0, 0.5, (10 * RATE, 2))
    soundfile.write(tmp_path / "a.wav", np.concatenate([rest, np.stack([-voice, voice], 1)]), RATE, subtype="FLOAT")
    assert audio.load(tmp_path / "a.wav", part=slice(15 * RATE, 16 * RATE))[0].std() > 0.2
    second = audio.load(tmp_path / "a.wav", 2, slice(15 * RATE, 16 * RATE))[0]
    assert np.allclose(second, voice[5 * RATE : 6 * RATE], atol=1e-6)
    with pytest.raises(AudioError, match="no channel 3"):
        audio.load(tmp_path / "a.wav", 3, slice(0, RATE))


def test_one_channel_is_heard_where_each_speaker_has_one(tmp_path: Path) -> None:
    both = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 2)).astype(np.float32)
    both[:, 1] = 0.0
    soundfile.write(tmp_path / "two.flac", both, RATE, subtype="PCM_24")
    for channel in (1, 2):
        heard, _ = audio.load(tmp_path / "two.flac", channel=channel)
        assert np.abs(heard - both[:, channel - 1]).max() < 1e-5
        assert np.array_equal(audio.mono(both, channel), both[:, channel - 1])
    for channel in (0, 3):
        with pytest.raises(AudioError, match=rf"two\.flac has 2 channels and no channel {channel}; choose another"):
            audio.load(tmp_path / "two.flac", channel=channel)
    with pytest.raises(AudioError, match="has 1 channel and no channel 2"):
        audio.mono(both[:, 0], 2)


def test_damaged_samples_count_as_silence(tmp_path: Path) -> None:
    samples, damaged = tone(0.5), [*range(100, 200), 300, 301]
    samples[100:200] = np.nan
    samples[300:302] = np.inf, -3e38
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    loaded, _ = audio.load(tmp_path / "a.wav")
    assert not loaded[damaged].any() and np.allclose(np.delete(loaded, damaged), np.delete(samples, damaged))
    assert np.array_equal(audio.mono(samples), loaded)
    with pytest.raises(AudioError, match="no valid samples"):
        audio.mono(np.full(100, 3e38, np.float32))


@pytest.mark.parametrize("full_scale", [2**15, 2**31])
def test_floating_point_files_may_have_the_scale_of_integers(tmp_path: Path, full_scale: int) -> None:
    samples = tone(0.5) * np.float32(full_scale)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    assert np.array_equal(audio.load(tmp_path / "a.wav")[0], samples)


def test_a_file_longer_than_a_block_has_no_seam(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(20, 48000), 48000, subtype="FLOAT")
    loaded, _ = audio.load(tmp_path / "a.wav")
    assert len(loaded) == 20 * RATE
    assert np.abs(loaded - tone(20))[200:-200].max() < 1e-3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read"),
        (b"this is no sound at all" * 50, "cannot be read"),
        (b"RIFF\x00\x00\x00\x00WAVE", "cannot be read|is empty"),
    ],
)
def test_what_is_no_sound_is_told_in_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "broken.wav").write_bytes(content)
    with pytest.raises(UnknownSoundError if "is empty" not in words else AudioError, match=words) as caught:
        audio.load(tmp_path / "broken.wav")
    assert "broken.wav" in str(caught.value) and "\n" not in str(caught.value)


def test_a_truncated_flac_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, 10 * RATE), RATE)
    whole = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError, match=r"cut\.flac") as told:
        audio.load(tmp_path / "cut.flac")
    assert told.type is AudioError, "no other reader is to make something of it"


def test_missing_and_empty_files_and_folders_are_told(tmp_path: Path) -> None:
    for read in (audio.load, audio.file_duration):
        with pytest.raises(AudioError, match=r"nowhere\.wav does not exist; check the path"):
            read(tmp_path / "nowhere.wav")
        with pytest.raises(AudioError, match=f"{tmp_path.name} is a folder; choose a file in it"):
            read(tmp_path)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match="is empty"):
        audio.load(tmp_path / "empty.wav")


def test_a_sound_that_nobody_may_read_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.1), RATE)
    with monkeypatch.context() as there, pytest.raises(AudioError, match=r"read \(Permission denied\); check the path"):
        there.setattr(Path, "open", refuse)
        audio.load(tmp_path / "a.wav")


def refuse(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(("name", "kind"), [("a.mp3", UnknownSoundError), ("a.ogg", AudioError)])
def test_recordings_one_after_the_other_in_one_file_are_told(tmp_path: Path, name: str, kind: type[AudioError]) -> None:
    """With a tag before each, as mp3s have them, and after them."""
    soundfile.write(tmp_path / name, tone(2.0), RATE)
    once = (tmp_path / name).read_bytes()
    tagged = b"ID3\4\0\0\0\0\x28\0" + bytes(5120) + once if name == "a.mp3" else once
    (tmp_path / f"one {name}").write_bytes(tagged + b"TAG" + bytes(125))
    (tmp_path / f"two {name}").write_bytes(tagged + tagged)
    assert audio.file_duration(tmp_path / f"one {name}") == pytest.approx(2, abs=0.1)
    for read in (audio.load, audio.file_duration):
        with pytest.raises(AudioError, match=r"two a\..* holds several recordings one after the other") as told:
            read(tmp_path / f"two {name}")
        assert told.type is kind


@pytest.mark.parametrize(("says", "known"), [(1, False), (2, True), (3, True)])
def test_what_an_mp3_says_of_itself_may_be_its_frames_its_bytes_or_both(tmp_path: Path, says: int, known: bool) -> None:
    size = (6000).to_bytes(4, "big")
    start = bytes(30) + b"Xing" + bytes([0, 0, 0, says]) + bytes([0, 0, 1, 0]) * (says & 1) + size * (says >> 1)
    once, path = start + bytes(6000 - len(start)), tmp_path / "a.mp3"
    path.write_bytes(once)
    assert not joined.is_joined(path)
    path.write_bytes(once + once)
    assert joined.is_joined(path) == known


def test_a_recording_whose_header_was_never_finished_is_told(tmp_path: Path) -> None:
    path = tmp_path / "unfinished.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = bytes(4)
    path.write_bytes(content)
    for read in (audio.load, audio.file_duration):
        with pytest.raises(UnknownSoundError, match=r"header .* says that it is empty"):
            read(path)


def test_integer_arrays_are_scaled() -> None:
    assert np.allclose(audio.mono(np.array([0, 16384, -32768], np.int16)), [0, 0.5, -1])
    assert np.allclose(audio.mono(np.array([128, 255, 0], np.uint8)), [0, 127 / 128, -1])


@pytest.mark.parametrize(
    "array", [np.zeros(0), np.zeros((2, 2, 2)), np.ones((2, 4800)), np.array(["a"]), np.full(10, np.nan)]
)
def test_arrays_that_are_no_sound_are_told(array: np.ndarray) -> None:
    with pytest.raises(AudioError):
        audio.mono(array)


@pytest.mark.parametrize("rate", [0, -1, np.nan, 1e9, "16000", None])
def test_impossible_rates_are_told(rate: object) -> None:
    with pytest.raises(AudioError, match="sample rate"):
        audio.resample(tone(0.1), rate)
