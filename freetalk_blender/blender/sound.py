"""The sound that a scene plays, as samples from the frame where it starts: read from bpy here, loaded anywhere."""

import os
import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bpy
import numpy as np

from ..core.errors import AudioError, FreeTalkError, UnknownSoundError
from ..core.voice import audio
from . import compat, log
from .marks import STRIP

#: Suffixes of films.
_FILMS = frozenset(bpy.path.extensions_movie - bpy.path.extensions_audio)


@dataclass(frozen=True)
class Clip:
    """samples (N,) float32 mono at `rate`; the first one sounds at scene frame `start`."""

    samples: np.ndarray
    rate: int
    start: float


@dataclass(frozen=True)
class Source:
    """A sound and the part of it that is heard, read from the scene; clip() touches no bpy and may run in a thread.

    name: of the strip or the file. content: the file, or the bytes of a packed one. skipped: seconds of the recording
    before the first that is heard (negative: silence before it); seconds: how long it is heard, None to its end.
    channel: the one that is heard, counted from 1; None for all.
    """

    name: str
    content: Path | bytes
    start: float
    skipped: float = 0.0
    seconds: float | None = None
    channel: int | None = None

    def clip(self) -> Clip:
        """The samples; AudioError where they cannot be read or none of them is heard."""
        rate, first, part = audio.SPEECH_RATE, 0, None
        if self.seconds is not None:
            wanted, first = round(self.seconds * rate), round(self.skipped * rate)
            part = slice(max(first, 0), max(first + wanted, 0))
        with _file(self.content, self.name) as path:
            heard, rate = load(path, self.channel, part)
        if not len(heard):
            raise _silent(self.name)
        return Clip(np.pad(heard, (max(-first, 0), 0)), rate, self.start)

    def duration(self) -> float:
        """Seconds that are heard; AudioError where it cannot be read."""
        if self.seconds is not None:
            return self.seconds
        with _file(self.content, self.name) as path:
            try:
                return audio.file_duration(path)
            except UnknownSoundError:
                return _played_seconds(path, changed(path))


def _silent(name: str) -> AudioError:
    return AudioError(f"The strip {name} shows no part of its sound; drag its handles over the recording.")


def load(path: Path, channel: int | None = None, part: slice | None = None) -> tuple[np.ndarray, int]:
    """As core.voice.audio.load; also what Blender alone can read, as it plays it: m4a, the sound of films."""
    try:
        return audio.load(path, channel, part)
    except UnknownSoundError as error:
        decoder = _decoder(path, mixed=channel is None)
        if decoder is None and compat.can_make_sound() and path.suffix.lower() in _FILMS:
            raise AudioError(f"The film {path} has no sound; choose one with speech in it, or a recording.") from error
        if decoder is None:
            raise
        samples = audio.resample(audio.mono(decoder.data(), channel), decoder.specs[0])
        return samples if part is None else samples[part], audio.SPEECH_RATE


@lru_cache(maxsize=8)
def _played_seconds(path: Path, _changed: int) -> float:
    """How long a file is that was changed then, by all of its samples: headers of such files may only guess."""
    samples, rate = load(path)
    return len(samples) / rate


def _decoder(path: Path, mixed: bool) -> Any:
    """The file's sound as Blender's audio library (aud.Sound) plays it, if mixed in one channel or two; None where it
    has none or the library is not there."""
    if not compat.can_make_sound():
        return None
    import aud

    try:
        found = aud.Sound(str(path))
        found = found.rechannel(1) if mixed and found.specs[1] > 2 else found
        return found if found.length > 0 else None
    except (aud.error, UnicodeEncodeError):  # a name that is no text
        return None


def scene_fps(scene: bpy.types.Scene) -> float:
    """Frames a second, fps_base included: 29.97 is 30 / 1.001."""
    return scene.render.fps / scene.render.fps_base


def set_scene_fps(scene: bpy.types.Scene, fps: float) -> None:
    """Whole rates as they are, others as the next whole rate over a base (29.97 -> 30 / 1.001)."""
    whole = max(1, round(fps))
    scene.render.fps, scene.render.fps_base = whole, whole / fps


def notes(scene: bpy.types.Scene) -> tuple[str, ...]:
    """What to tell of a scene in which animation is stretched: no Blender stretches its sound, and what FreeTalk writes
    holds every frame at its own time."""
    old, new = scene.render.frame_map_old, scene.render.frame_map_new
    if old == new:
        return ()
    pace = "slower" if new > old else "faster"
    return (
        f"{scene.name} plays animation {pace} than sound (Output > Frame Range > Time Stretching): the mouth moves "
        "with its voice in glTF, FBX, USD, FreeTalk's films and contact sheets alone; set Old and New to 100.",
    )


def sound_strips(scene: bpy.types.Scene) -> list[bpy.types.ID]:
    """The scene's sound strips, those in meta strips too, the earliest first."""
    found = [strip for strip in compat.all_strips(scene) if _is_sound(strip)]
    return sorted(found, key=lambda strip: (strip.frame_final_start, strip.channel))


def _is_sound(strip: bpy.types.ID) -> bool:
    return strip.type == "SOUND" and strip.sound is not None


def is_muted(strip: bpy.types.ID) -> bool:
    """Is a strip mute, by itself, by its channel or by a meta strip around it?"""
    meta = strip.parent_meta()
    channels = (meta or strip.id_data.sequence_editor).channels
    return strip.mute or channels[strip.channel].mute or (meta is not None and is_muted(meta))


def find_strip(scene: bpy.types.Scene, name: str) -> bpy.types.ID | None:
    """The sound strip of that name, or that had it when it was first used; None where there is none."""
    named = (strip for strip in compat.all_strips(scene) if strip.name == name and _is_sound(strip))
    return next(named, None) or next((strip for strip, known in identities(scene).items() if known == name), None)


def identity(scene: bpy.types.Scene, strip: bpy.types.ID) -> str:
    """What FreeTalk calls a strip: the name that it had when it was first used (`remember`), else the one it has.

    A strip that was made by copying another is a strip of its own.
    """
    return identities(scene)[strip]


def identities(scene: bpy.types.Scene) -> dict[bpy.types.ID, str]:
    """The `identity` of each of the scene's sound strips, the earliest first."""
    kept = {strip: strip.get(STRIP) for strip in sound_strips(scene)}
    owners = {known: strip for strip, known in reversed(kept.items())}
    owners |= {known: strip for strip, known in kept.items() if strip.name == known}
    own = {strip for known, strip in owners.items() if known is not None}
    return {strip: known if strip in own else _free(strip.name, owners) for strip, known in kept.items()}


def _free(name: str, taken: Container[str]) -> str:
    while name in taken:
        name += "'"
    return name


def remember(scene: bpy.types.Scene, strip: bpy.types.ID) -> str:
    """Its identity, kept from now on whatever it is renamed to."""
    strip[STRIP] = identity(scene, strip)
    return strip[STRIP]


def span(strip: bpy.types.ID) -> tuple[int, int]:
    """The first frame in which a strip is heard and the one after its last, between its handles and those of the meta
    strips around it; (at, at) where nothing is left."""
    first, end, meta = strip.frame_final_start, strip.frame_final_end, strip.parent_meta()
    if meta is not None:
        around = span(meta)
        first, end = max(first, around[0]), min(end, around[1])
    return first, max(first, end)


def origin(strip: bpy.types.ID) -> float:
    """The frame at which a strip's recording begins as Blender plays it, trimmed or not; what Hold Split cut off counts
    too, and the strip's sound offset."""
    return _content_start(strip) + getattr(strip, "sound_offset", 0.0) * scene_fps(strip.id_data)


def _content_start(strip: bpy.types.ID) -> int:
    """The same without the sound offset. Blender skips whole frames of a recording, though another frame rate of the
    scene leaves trims of fractions, and counts them otherwise in meta strips."""
    start, cut = strip.frame_start, strip.animation_offset_start
    if strip.parent_meta() is None:
        return strip.frame_final_start - int(strip.frame_offset_start + cut)
    skipped = int(span(strip)[0] - start)
    return int(start + skipped) - skipped - cut


def from_strip(scene: bpy.types.Scene, strip: bpy.types.ID) -> Source:
    """What the strip lets us hear in its `span`; trims, offsets and speed obeyed.

    Raises AudioError where the sound of a strip with another speed cannot be played.
    """
    fps, (first, end) = scene_fps(scene), span(strip)
    start, seconds = float(first), (end - first) / fps
    if len(strip.retiming_keys):
        return Source(strip.name, _played(scene, strip), start, 0.0, seconds)
    skipped = (first - origin(strip)) / fps
    packed = strip.sound.packed_file
    return Source(strip.name, file_of(strip) if packed is None else packed.data, start, skipped, seconds)


def file_of(strip: bpy.types.ID) -> Path:
    """Where a strip's sound lies, or lay before it was packed."""
    return Path(bpy.path.abspath(strip.sound.filepath, library=strip.sound.library))


def named(path: str) -> Path:
    """The file of that path, which may begin in the .blend's folder (//)."""
    return Path(os.path.normpath(bpy.path.abspath(path)))


def changed(file: Path) -> int:
    """When it was written last (ns); 0 where it does not exist."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def from_file(path: str, start: float) -> Source:
    """A sound file from its beginning; AudioError where none is named."""
    if not path:
        raise AudioError("Choose a sound: a strip of the sequencer or a file.")
    file = named(path)
    return Source(file.name, file, start)


def _played(scene: bpy.types.Scene, strip: bpy.types.ID) -> bytes:
    """The strip as Blender plays it, speed and all: a wav of the frames of its `span`; AudioError if it cannot.

    Its recording begins at frame 0: no scene begins earlier, and where it begins later 4.5 reads speeds that nobody
    wrote, some of which crash it.
    Whatever mutes it is left out: its own volume and the scene's, their curves, channels, meta strips around it.
    """
    first, end = span(strip)
    if first == end:
        raise _silent(strip.name)
    later = -min(_content_start(strip), first)
    with _alone(scene, strip, later) as stage, TemporaryDirectory() as folder:
        path = Path(folder) / "strip.wav"
        stage.frame_start, stage.frame_end = first + later, end - 1 + later
        try:
            with bpy.context.temp_override(scene=stage):
                bpy.ops.sound.mixdown(filepath=str(path), container="WAV", codec="PCM", format="F32")
            played = path.read_bytes()
        except (RuntimeError, OSError) as error:
            raise AudioError(
                f"The strip {strip.name} has another speed and cannot be played ({log.reported(error)})."
            ) from error
        missing = end - first - audio.file_duration(path) * scene_fps(scene)
        if missing > 1:  # 5.2, where a rendering failed or was stopped before
            raise AudioError(
                f"The strip {strip.name} has another speed, and Blender stopped playing it; render a picture (F12) and "
                "try again."
            )
        return played


@contextmanager
def _alone(scene: bpy.types.Scene, strip: bpy.types.ID, later: int) -> Iterator[bpy.types.Scene]:
    """A copy of the scene, without its objects, in which this strip alone is heard, so many frames later."""
    place = list(compat.all_strips(scene)).index(strip)
    stage = scene.copy()
    try:
        stage.animation_data_clear()
        stage.use_audio, stage.audio_volume = True, 1.0
        for linked in (stage.collection.children, stage.collection.objects):
            for item in list(linked):
                linked.unlink(item)
        alone = compat.all_strips(stage)[place]
        while (meta := alone.parent_meta()) is not None:
            meta.separate()
        for other in compat.all_strips(stage):
            other.mute = other != alone
        for channel in stage.sequence_editor.channels:
            channel.mute = False
        alone.volume = 1.0
        alone.frame_start += later
        yield stage
    finally:
        bpy.data.scenes.remove(stage)


@contextmanager
def _file(content: Path | bytes, name: str) -> Iterator[Path]:
    """The sound's file; the bytes of a packed one are a file, of a name that any system takes, while it is read."""
    if isinstance(content, Path):
        yield content
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / ("packed " + re.sub(r"[^\w .-]", "_", name)).rstrip(". ")
        path.write_bytes(content)
        yield path


def add_strip(scene: bpy.types.Scene, path: Path, start: int) -> bpy.types.ID | None:
    """Put the sound, packed, into the sequencer at a frame; None where this Blender has no audio library."""
    if not compat.can_make_sound():
        return None
    with _file(path if _is_unicode(path.resolve()) else path.read_bytes(), path.name) as file:
        strip = new_strip(scene, file.name, file, start)
        strip.sound.pack()
    return strip


def _is_unicode(path: Path) -> bool:
    """Is a path one that Blender takes? Old archives have names in other encodings."""
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:
        return False


def new_strip(scene: bpy.types.Scene, name: str, path: Path, start: int) -> bpy.types.ID:
    """A strip of that sound from a frame on, in a channel of its own."""
    collection = compat.ensure_strips(scene)
    taken = {strip.channel for strip in collection}
    channel = next((number for number in range(1, 129) if number not in taken), None)
    if channel is None:
        raise FreeTalkError(f"All channels of the sequencer of {scene.name} are taken; delete a strip and try again.")
    return collection.new_sound(name, str(path.resolve()), channel, start)
