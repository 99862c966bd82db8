"""The emotion of the panel, or of one strip, frame by frame as its curves draw it."""

from math import ceil

import bpy
import numpy as np

from ..core import emotion
from ..core.emotion import EMOTIONS
from . import compat, sound
from .properties import EMOTION_SLIDERS, SLIDERS


def group_of(scene: bpy.types.Scene, strip: bpy.types.ID | None) -> bpy.types.PropertyGroup:
    """The sliders that count for a strip: its own where it has some, else the scene's."""
    return own_group(scene, strip) or scene.freetalk


def own_group(scene: bpy.types.Scene, strip: bpy.types.ID | None) -> bpy.types.PropertyGroup | None:
    """The sliders of this strip alone; None where it has none."""
    return scene.freetalk.strips.get(sound.identity(scene, strip)) if strip is not None else None


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
    names = ("valence", "arousal", "dominance") if group.emotion_mode == "VAD" else (*SLIDERS, "neutral")
    names = (*names, "intensity")
    curves = {name: compat.find_curve(scene, group.path_from_id(name)) for name in names}
    if not any(curves.values()):
        return _weights(group.emotion_mode, np.array([[getattr(group, name) for name in names]]))[0]
    at = start + np.arange(frames)
    columns = [
        np.full(frames, getattr(group, name)) if curve is None else np.array([curve.evaluate(frame) for frame in at])
        for name, curve in curves.items()
    ]
    return _weights(group.emotion_mode, np.stack(columns, 1))


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
