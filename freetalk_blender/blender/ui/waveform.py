"""A small picture of the sound that is chosen, and how long it is; made in a thread, drawn when it is there."""

import threading
from dataclasses import dataclass
from itertools import pairwise

import bpy
import bpy.utils.previews
import numpy as np
from bpy.app.handlers import persistent

from ...core.errors import TOLD, sentence
from .. import session, sound
from ..sound import Source
from . import chosen, job, staleness

#: Pixels of a tile, tiles side by side, and their colour: what Blender draws large in a panel is square.
SIZE = 64
TILES = 5
_COLOUR = (0.45, 0.75, 1.0, 1.0)
_TICK = 0.1


@dataclass
class _Looked:
    """What is known of one sound; no icons where there is no picture yet."""

    icons: tuple[int, ...] = ()
    seconds: float = 0.0
    problem: str = ""


_known: dict[tuple, _Looked] = {}
_waiting: list["_Reading"] = []
_previews: "bpy.utils.previews.ImagePreviewCollection | None" = None


class _Reading(threading.Thread):
    """One sound's envelope; touches no bpy."""

    def __init__(self, key: tuple, source: Source):
        super().__init__(daemon=True)
        self.key, self.source = key, source
        self.pixels: np.ndarray | None = None
        self.looked = _Looked()

    def run(self) -> None:
        try:
            clip = session.clip(self.source)
        except TOLD as error:
            self.looked.problem = sentence(error)
            return
        self.looked.seconds = len(clip.samples) / clip.rate
        self.pixels = picture(clip.samples)


def picture(samples: np.ndarray) -> np.ndarray:
    """(SIZE,TILES*SIZE,4) float32: the envelope of samples (N,) around the middle, on nothing."""
    edges = np.linspace(0, len(samples), TILES * SIZE + 1).astype(int)
    peaks = np.array([np.abs(samples[a : max(b, a + 1)]).max(initial=0) for a, b in pairwise(edges)])
    height = np.maximum(peaks / max(peaks.max(), 1e-6), 0.02) * 0.48 * SIZE
    from_middle = np.abs(np.arange(SIZE) + 0.5 - SIZE / 2)
    inside = from_middle[:, None] <= height[None]
    return (inside[..., None] * np.array(_COLOUR)).astype(np.float32)


def look(scene: bpy.types.Scene) -> _Looked:
    """What is known of the sound that is said; where that is nothing yet, a thread finds out, and the sidebar is drawn
    again. One at a time: a strip that is dragged is another sound in each frame."""
    key = _key(scene)
    if key not in _known:
        if _waiting:
            return _Looked()
        _known[key] = _Looked()
        reading = _Reading(key, chosen.source(scene))
        _waiting.append(reading)
        if bpy.app.background:
            reading.run()
            _collect()
        else:
            reading.start()
            if not bpy.app.timers.is_registered(_collect):
                bpy.app.timers.register(_collect, first_interval=_TICK)
    return _known[key]


def _key(scene: bpy.types.Scene) -> tuple:
    """What tells this sound from others, and from what its file held before; cheap, for the sidebar is drawn often."""
    strip = chosen.strip(scene)
    if strip is not None and strip.sound.packed_file is not None:
        return (*staleness.said(scene), strip.sound.packed_file.size)
    file = sound.file_of(strip) if strip is not None else sound.named(scene.freetalk.sound_file)
    return (*staleness.said(scene), file, sound.changed(file))


def _collect() -> float | None:
    """The timer: pictures that are ready become icons."""
    global _previews
    ready = [reading for reading in _waiting if not reading.is_alive()]
    for reading in ready:
        _waiting.remove(reading)
        _known[reading.key] = reading.looked
        if reading.pixels is not None:
            _previews = _previews or bpy.utils.previews.new()
            icons = []
            for tile in np.split(reading.pixels, TILES, axis=1):
                image = _previews.new(f"{len(_previews)}")
                image.image_size = (SIZE, SIZE)
                image.image_pixels_float.foreach_set(np.ascontiguousarray(tile).ravel())
                icons.append(image.icon_id)
            reading.looked.icons = tuple(icons)
    if ready:
        job.redraw(bpy.context)
    return _TICK if _waiting else None


@persistent
def forget(*_: object) -> None:
    """Throw all pictures away, as another file is opened."""
    global _previews
    if bpy.app.timers.is_registered(_collect):
        bpy.app.timers.unregister(_collect)
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _previews = None
    _known.clear()
    _waiting.clear()
