"""What a scene remembers of the panel: the face, the sound, the emotion, the landmarks."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from ..core import models
from ..core.emotion import EMOTIONS, MAX_INTENSITY

#: The emotions with a slider; neutral is what is left.
SLIDERS = EMOTIONS[1:]


class FREETALK_PG_settings(bpy.types.PropertyGroup):
    """The panel's state, saved with the scene. No property has a Python callback: 4.2 as a module crashes on them."""

    face: PointerProperty(type=bpy.types.Object, name="Face", description="The mesh that shall talk; it is not changed")
    landmarks: StringProperty(
        name="Landmarks",
        description="The 68 landmarks of this scan, a .json file; empty: they are found",
        subtype="FILE_PATH",
    )
    sound: EnumProperty(
        name="Sound",
        description="What the face says",
        items=[
            ("FILE", "File", "A sound file from its beginning, at the scene's first frame"),
            ("STRIP", "Strip", "A sound strip of the sequencer, where it stands and as it is trimmed"),
        ],
    )
    strip: StringProperty(name="Strip", description="A sound strip of the scene's sequencer")
    sound_file: StringProperty(name="File", description="wav, flac, mp3, ogg, ...", subtype="FILE_PATH")
    open_mouth: BoolProperty(
        name="Open Mouth", description="Cut lips that the scanner fused, on the talking copy", default=True
    )
    device: EnumProperty(
        name="Device",
        description="Where the networks run; what really loads is told after Animate",
        items=[(name, name.upper() if name != "auto" else "Automatic", "") for name in models.DEVICES],
    )
    seed: IntProperty(name="Seed", description="Another seed, another take", default=0, min=0)
    tolerance: FloatProperty(
        name="Tolerance",
        description="Largest vertex error of the shape keys, in mm of a face 90 mm between the outer eye corners",
        default=0.1,
        min=0.001,
        max=5.0,
    )


def _slider(name: str) -> object:
    return FloatProperty(
        name=name.capitalize(),
        description=f"How {name}; 1 is full, more is exaggerated",
        min=0.0,
        max=MAX_INTENSITY,
        soft_max=1.0,
        subtype="FACTOR",
    )


FREETALK_PG_settings.__annotations__.update({name: _slider(name) for name in SLIDERS})

CLASSES = (FREETALK_PG_settings,)
