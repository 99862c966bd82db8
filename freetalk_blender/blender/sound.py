"""The sound that a scene plays, as samples from the frame where it starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy
import numpy as np

from ..core import audio
from ..core.errors import AudioError
from . import compat


@dataclass(frozen=True)
class Clip:
    """samples (N,) float32 mono at `rate`; the first one sounds at scene frame `start`."""

    samples: np.ndarray
    rate: int
    start: float


def scene_fps(scene: bpy.types.Scene) -> float:
    """Frames a second, fps_base included: 29.97 is 30 / 1.001."""
    return scene.render.fps / scene.render.fps_base


def set_scene_fps(scene: bpy.types.Scene, fps: float) -> None:
    """Whole rates as they are, others as the next whole rate over a base (29.97 -> 30 / 1.001)."""
    whole = max(1, round(fps))
    scene.render.fps, scene.render.fps_base = whole, whole / fps


def find_strip(scene: bpy.types.Scene, name: str) -> bpy.types.ID | None:
    """The sound strip of that name; None where there is none."""
    found = (strip for strip in compat.strips(scene) if strip.name == name and strip.type == "SOUND" and strip.sound)
    return next(found, None)


def from_strip(scene: bpy.types.Scene, strip: bpy.types.ID) -> Clip:
    """What the strip lets us hear, from its left handle to its right one, trims and offsets obeyed.

    Raises AudioError for a file that cannot be read and for a strip whose speed was changed.
    """
    if len(strip.retiming_keys):
        raise AudioError(f"The strip {strip.name} has retiming keys, which FreeTalk cannot follow yet; remove them.")
    with _file(strip.sound) as path:
        samples, rate = audio.load(path)
    fps = scene_fps(scene)
    skipped = (strip.frame_final_start - strip.frame_start) / fps - getattr(strip, "sound_offset", 0.0)
    wanted = round(strip.frame_final_duration / fps * rate)
    first = round(skipped * rate)
    heard = samples[max(first, 0) : max(first + wanted, 0)]
    if not len(heard):
        raise AudioError(f"The strip {strip.name} shows no part of its sound; drag its handles over the recording.")
    return Clip(np.pad(heard, (max(-first, 0), 0)), rate, float(strip.frame_final_start))


def from_file(path: str, start: float) -> Clip:
    """A sound file from its beginning; AudioError where it cannot be read."""
    if not path:
        raise AudioError("Choose a sound: a strip of the sequencer or a file.")
    samples, rate = audio.load(bpy.path.abspath(path))
    return Clip(samples, rate, start)


@contextmanager
def _file(sound: bpy.types.Sound) -> Iterator[Path]:
    """The sound's file; a packed sound is unpacked for as long as it is read."""
    if sound.packed_file is None:
        yield Path(bpy.path.abspath(sound.filepath, library=sound.library))
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / (Path(sound.filepath.replace("\\", "/")).name or "packed.wav")
        path.write_bytes(sound.packed_file.data)
        yield path


def add_strip(scene: bpy.types.Scene, path: Path, start: int) -> bpy.types.ID | None:
    """Put the sound, packed, into the sequencer at a frame; None where this Blender has no audio library."""
    if not compat.can_make_sound():
        return None
    collection = compat.ensure_strips(scene)
    taken = {strip.channel for strip in collection}
    channel = next(number for number in range(1, 129) if number not in taken)
    strip = collection.new_sound(path.name, str(Path(path).resolve()), channel, start)
    strip.sound.pack()
    return strip
