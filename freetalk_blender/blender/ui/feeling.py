"""The sliders of the panel, and the emotion of one strip, frame by frame as their curves draw them."""

from collections.abc import Sequence
from math import ceil

import bpy
import numpy as np

from ...core.voice import emotion
from ...core.voice.emotion import EMOTIONS
from .. import compat, sound
from .properties import EMOTION_SLIDERS, SLIDERS


def group_of(scene: bpy.types.Scene, strip: bpy.types.ID | None) -> bpy.types.PropertyGroup:
    """The sliders that count for a strip: its own where it has some, else the scene's."""
    return own_group(scene, strip) or scene.freetalk


def own_group(scene: bpy.types.Scene, strip: bpy.types.ID | None) -> bpy.types.PropertyGroup | None:
    """The sliders of this strip alone; None where it has none."""
    own = scene.freetalk.strips
    return own.get(sound.identity(scene, strip)) if strip is not None and own else None


def give_own(scene: bpy.types.Scene, strip: bpy.types.ID) -> bpy.types.PropertyGroup:
    """Sliders for this strip alone, which begin as the scene's are."""
    settings = scene.freetalk
    free = settings.strips.find("")
    own = settings.strips.add() if free < 0 else settings.strips[free]
    own.name, own.emotion_mode = sound.remember(scene, strip), settings.emotion_mode
    for slider in EMOTION_SLIDERS:
        setattr(own, slider, getattr(settings, slider))
    return own


def take_own(scene: bpy.types.Scene, own: bpy.types.PropertyGroup) -> None:
    """Throw a strip's own sliders away, with their curves. Their place stays: curves name the others by number."""
    prefix, curves = own.path_from_id() + ".", compat.existing_curves(scene)
    for curve in [curve for curve in curves if curve.data_path.startswith(prefix)]:
        curves.remove(curve)
    own.name = ""


def weights(scene: bpy.types.Scene, group: bpy.types.PropertyGroup, start: float, frames: int) -> np.ndarray:
    """(8,) weights where nothing is animated, else (frames,8) from scene frame `start` on."""
    columns = np.broadcast_arrays(*values(scene, group, sliders_of(group), start, frames).values())
    full = _weights(group.emotion_mode, np.stack([np.atleast_1d(column) for column in columns], 1))
    return full if columns[0].ndim else full[0]


def sliders_of(group: bpy.types.PropertyGroup) -> tuple[str, ...]:
    """The sliders that tell the emotion, intensity last."""
    told = ("valence", "arousal", "dominance") if group.emotion_mode == "VAD" else (*SLIDERS, "neutral")
    return (*told, "intensity")


def values(
    scene: bpy.types.Scene, group: bpy.types.PropertyGroup, names: Sequence[str], start: float, frames: int
) -> dict[str, float | np.ndarray]:
    """Slider -> its value, or (frames,) from scene frame `start` on where it is animated."""
    return {name: _value(scene, group, name, start + np.arange(frames)) for name in names}


def _value(scene: bpy.types.Scene, group: bpy.types.PropertyGroup, name: str, frames: np.ndarray) -> float | np.ndarray:
    path = group.path_from_id(name)
    curve = None if compat.is_driven(scene, path) else compat.playing_curve(scene, path)
    if curve is None:
        return getattr(group, name)
    bounds = group.bl_rna.properties[name]
    return np.clip([curve.evaluate(frame) for frame in frames], bounds.hard_min, bounds.hard_max)


def _weights(mode: str, values: np.ndarray) -> np.ndarray:
    """(T,8) from the values of the sliders (T,n), intensity last."""
    *sliders, intensity = values.T
    if mode == "VAD":
        points, back = np.unique(np.clip(np.stack(sliders, 1), -1, 1).round(4), axis=0, return_inverse=True)
        full = np.array([emotion.from_vad(*point) for point in points])[back.ravel()]
    else:
        *others, neutral = sliders
        full = np.zeros((len(values), len(EMOTIONS)))
        left = 1 - np.clip(neutral, 0, 1)
        full[:, [EMOTIONS.index(name) for name in SLIDERS]] = np.stack(others, 1) * left[:, None]
    return np.maximum(full * intensity[:, None], 0).astype(np.float32)


def frames_of(seconds: float, fps: float) -> int:
    """Enough frames for so many seconds, with some to spare for a header that says too little."""
    return ceil(seconds * fps) + 2
