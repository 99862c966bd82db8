"""What a scene remembers of the panel.

No property has a Python callback: 4.2 as a module crashes on them.
"""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ...core.voice.emotion import EMOTIONS, MAX_INTENSITY
from ...core.voice.style import AS_PERFORMED, MAX_STYLE, MEANING, STYLES
from ..compat import beside_options

#: The emotions with a slider; neutral is what is left.
SLIDERS = EMOTIONS[1:]
#: The factors of the performance: all of core.voice.style but contact, which is keyed by hand.
STYLE = tuple(name for name in STYLES if name != "contact")
#: All that shapes a performance beside emotion and may be animated.
PERFORMANCE_SLIDERS = (*STYLES, "strength")


def _factor(name: str, text: str, default: float = 0.0, hard: float = MAX_INTENSITY, soft: float = 1.0) -> object:
    return FloatProperty(
        name=name, description=text, default=default, min=0.0, max=hard, soft_max=soft, subtype="FACTOR"
    )


def _axis(name: str, text: str) -> object:
    return FloatProperty(name=name, description=text, default=0.0, min=-1.0, max=1.0, subtype="FACTOR")


def _label(emotion: str) -> str:
    """What a slider of half the sidebar's width is called."""
    return "Disgust" if emotion == "disgusted" else emotion.capitalize()


_EMOTION = {
    "emotion_mode": EnumProperty(
        name="Emotion",
        description="How the emotion is told",
        items=[
            ("SLIDERS", "Sliders", "A slider for each emotion"),
            ("VAD", "V-A-D", "A point of valence, arousal and dominance"),
        ],
    ),
    **{name: _factor(_label(name), f"How {name}; 1 is full, more is exaggerated") for name in SLIDERS},
    "neutral": _factor("Neutral", "How much of the emotions is taken back: at 1 none of them shows", 0.0, 1.0),
    "intensity": _factor("Intensity", "How strongly all of the emotion shows", 1.0, MAX_INTENSITY, MAX_INTENSITY),
    "valence": _axis("Valence", "From unpleasant (-1) to pleasant (1)"),
    "arousal": _axis("Arousal", "From calm (-1) to excited (1)"),
    "dominance": _axis("Dominance", "From giving way (-1) to being in charge (1)"),
}


#: The animated sliders of an emotion.
EMOTION_SLIDERS = tuple(name for name in _EMOTION if name != "emotion_mode")


class FREETALK_PG_strip(bpy.types.PropertyGroup):
    """The emotion of the sound strip of that name. It is kept with the scene: Blender keys no groups of strips."""


class FREETALK_PG_settings(bpy.types.PropertyGroup):
    """The panel's state, saved with the scene."""

    face: PointerProperty(
        type=bpy.types.Object,
        name="Face",
        description="The mesh to animate; it is not changed. Empty: the active mesh",
    )
    landmarks: StringProperty(
        name="Landmarks",
        description="The 68 landmarks of this scan: .json, .xyz, .txt, .fcsv, .mrk.json, .pts; empty: they are found",
        subtype="FILE_PATH",
        options=beside_options(),
    )
    mirror: BoolProperty(
        name="Mirror", description="Moving a point moves its counterpart on the other side", default=True
    )
    sound: EnumProperty(
        name="Sound",
        description="What the face says",
        items=[
            ("FILE", "File", "A sound file from its beginning, at the scene's first frame"),
            ("STRIP", "Strip", "A sound strip of the sequencer, where it stands and as it is trimmed"),
        ],
    )
    strips: CollectionProperty(type=FREETALK_PG_strip, name="Strips with an emotion of their own")
    strip: StringProperty(
        name="Strip", description="A sound strip of the scene's sequencer; empty: the first that is heard"
    )
    sound_file: StringProperty(
        name="File",
        description="wav, flac, mp3, ogg, m4a, a film, ...",
        subtype="FILE_PATH",
        options=beside_options(),
    )
    channel: IntProperty(
        name="Channel",
        description="The channel of the sound that this face says, where each speaker has one; 0: all of them together",
        default=0,
        min=0,
        max=64,
    )
    hear: BoolProperty(
        name="Add Sound to the Scene",
        description="Put the sound file into the scene's sequencer too, so that it is heard when the face plays",
        default=True,
    )
    strength: _factor("Strength", "How strongly the speech moves the face", 1.0, 2.0, 2.0)
    open_mouth: BoolProperty(
        name="Open Mouth", description="Cut lips that the scanner fused, on the talking copy", default=True
    )
    inner_mouth: EnumProperty(
        name="Behind the Lips",
        description="What is put into the mouth of the talking copy",
        items=[
            ("teeth", "Teeth and Tongue", "Teeth that move with the jaw and a tongue that speaks, in darkness"),
            ("dark", "Darkness", "A dark hollow alone"),
            ("none", "Nothing", "What the scan has; where lips are cut, the cut is closed from behind"),
        ],
    )
    eyeballs: BoolProperty(
        name="Eyeballs",
        description="Put eyeballs into the eyes of the talking copy where those are holes or hollow sockets",
        default=False,
    )
    seed: IntProperty(name="Seed", description="Another seed, another take", default=0, min=0, options=set())
    contact: _axis("Contact", f"{MEANING['contact']}; key it where needed")
    tolerance: FloatProperty(
        name="Tolerance",
        description="Largest vertex error of the shape keys, in mm of a face 90 mm between the outer eye corners",
        default=0.1,
        min=0.001,
        max=5.0,
        options=set(),
    )
    keys: EnumProperty(
        name="Shape Keys",
        description="Which shape keys Animate and Bake Again make",
        items=[
            ("AUTO", "Fewest Shape Keys", "As few as the tolerance needs; weights from -1 to 1"),
            ("ARKIT", "ARKit's Shape Keys", "51 that engines and face capture know; weights from 0 to 1; less exact"),
            ("MOST", "Limited Shape Keys", "A line adds no more than a number; fewer are less exact"),
        ],
    )
    most: IntProperty(name="At Most", description="How many shape keys a line may add", default=30, min=1, soft_max=100)
    live: BoolProperty(
        name="Live Preview",
        description="Show what the sliders do at once, before it is baked; the face must have been animated once",
        default=True,
    )
    only_face: BoolProperty(
        name="Only This Face", description="Export the talking face and what hangs on it, not the scene", default=True
    )


FREETALK_PG_strip.__annotations__.update(_EMOTION)
FREETALK_PG_settings.__annotations__.update(_EMOTION)
FREETALK_PG_settings.__annotations__.update(
    {
        name: _factor(
            name.replace("_", " ").title(),
            MEANING[name].capitalize(),
            getattr(AS_PERFORMED, name),
            MAX_STYLE,
            MAX_STYLE,
        )
        for name in STYLE
    }
)

CLASSES = (FREETALK_PG_strip, FREETALK_PG_settings)
