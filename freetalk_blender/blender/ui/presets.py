"""Emotions to start from, whose sliders can then be moved and keyed; and those of one strip alone."""

import bpy
from bpy.props import EnumProperty

from . import chosen, feeling
from .properties import SLIDERS

#: Name -> weights of a blend; one emotion each first, then mixtures as people name them.
PRESETS: dict[str, dict[str, float]] = {
    "Neutral": {},
    **{name.capitalize(): {name: 0.8} for name in SLIDERS},
    "Friendly": {"happy": 0.35},
    "Delighted": {"happy": 0.8, "surprised": 0.4},
    "Worried": {"fearful": 0.35, "sad": 0.3},
    "Bitter": {"angry": 0.4, "contempt": 0.4},
    "Shocked": {"surprised": 0.8, "fearful": 0.5},
    "Moved": {"happy": 0.3, "sad": 0.5},
}


class FREETALK_OT_preset(bpy.types.Operator):
    """Set the emotion sliders"""

    bl_idname = "freetalk.preset"
    bl_label = "Preset"
    bl_options = {"REGISTER", "UNDO"}

    preset: EnumProperty(name="Preset", items=[(name.upper(), name, "") for name in PRESETS])

    def execute(self, context: bpy.types.Context) -> set[str]:
        group = chosen.sliders(context.scene)
        weights = next(weights for name, weights in PRESETS.items() if name.upper() == self.preset)
        group.emotion_mode = "SLIDERS"
        for name in (*SLIDERS, "neutral"):
            setattr(group, name, weights.get(name, 0.0))
        group.intensity = 1.0
        return {"FINISHED"}


class FREETALK_OT_own_emotion(bpy.types.Operator):
    """Give this strip an emotion of its own instead of the scene's, or take it back"""

    bl_idname = "freetalk.own_emotion"
    bl_label = "Own Emotion"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        known = chosen.strip(context.scene) is not None
        return chosen.explained(cls, "" if known else "Choose a sound strip of the sequencer first")

    def execute(self, context: bpy.types.Context) -> set[str]:
        strip = chosen.strip(context.scene)
        own = feeling.own_group(context.scene, strip)
        if own is None:
            feeling.give_own(context.scene, strip)
        else:
            feeling.take_own(context.scene, own)
        return {"FINISHED"}


CLASSES = (FREETALK_OT_preset, FREETALK_OT_own_emotion)
