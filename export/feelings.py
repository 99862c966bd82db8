"""Facial expressions of emotion: action units of the prototypes (EMFACS) as weights of ICT-FaceKit's shapes.

Sources: Ekman & Friesen 1978, "Facial Action Coding System", and Friesen & Ekman 1983, "EMFACS-7" (prototypes: happy
6+12; sad 1+4+15; angry 4+5+7+23+24; fearful 1+2+4+5+20+26; disgusted 9+15+17, where the lower lip follows the raised
upper one and the mouth stays nearly shut; surprised 1+2+5+26; contempt unilateral 12+14). The size of articulation:
sadness makes it small, anger, joy and surprise large (Bevacqua & Pelachaud 2004, "Expressive audio-visual speech"); the
numbers are ours.
"""

import numpy as np

from export import articulation, ict
from freetalk_blender.core.voice.emotion import EMOTIONS

#: Shape (without _L/_R for both sides) -> weight at intensity 1.
PROTOTYPES: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"mouthSmile": 0.65, "cheekSquint": 0.7, "cheekRaiser": 0.5, "eyeSquint": 0.3, "mouthDimple": 0.15},
    "sad": {"browInnerUp": 0.85, "browDown": 0.25, "mouthFrown": 0.6, "mouthShrugLower": 0.2, "eyeBlink": 0.2},
    "angry": {
        "browDown": 0.95, "eyeSquint": 0.35, "eyeWide": 0.25, "mouthPress": 0.6, "mouthRollUpper": 0.2,
        "mouthRollLower": 0.15, "mouthFrown": 0.15,
    },
    "fearful": {
        "browInnerUp": 0.9, "browOuterUp": 0.45, "browDown": 0.3, "eyeWide": 0.85, "mouthStretch": 0.65,
        "jawOpen": 0.06,
    },
    "disgusted": {
        "noseSneer": 0.85, "mouthShrugLower": 0.6, "mouthFrown": 0.45, "browDown": 0.4, "cheekSquint": 0.4,
        "eyeSquint": 0.3,
    },
    "surprised": {"browInnerUp": 0.9, "browOuterUp": 0.95, "eyeWide": 0.7, "jawOpen": 0.1},
    "contempt": {"mouthSmile_L": 0.35, "mouthDimple_L": 0.7, "cheekSquint_L": 0.25, "browOuterUp_R": 0.3},
}  # fmt: skip
#: Emphasis raises the brows (AU 1+2) by this much at the most.
EMPHASIS = {"browInnerUp": 0.35, "browOuterUp": 0.4}
#: How much larger articulation becomes at intensity 1.
ENERGY = {
    "happy": 0.1, "sad": -0.25, "angry": 0.15, "fearful": -0.05, "disgusted": -0.1, "surprised": 0.15, "contempt": -0.1,
}  # fmt: skip


def shapes(model: ict.IctModel) -> np.ndarray:
    """(8,68,3) landmark displacement of each emotion at intensity 1, canonical units, in the order of EMOTIONS."""
    return np.stack([_shape(model, PROTOTYPES[emotion]) for emotion in EMOTIONS])


def brows(model: ict.IctModel) -> np.ndarray:
    """(68,3) displacement of the strongest emphasis."""
    return _shape(model, EMPHASIS)


def _shape(model: ict.IctModel, weights: dict[str, float]) -> np.ndarray:
    """(68,3) landmark displacement of weighted ICT shapes, canonical units."""
    known = model.expression_names
    each = articulation.basis(model, {name: (name,) for name in known})
    moved = [weight * each[known.index(side)] for name, weight in weights.items() for side in ict.sides(name, known)]
    return sum(moved, np.zeros((68, 3)))


def lids(model: ict.IctModel) -> np.ndarray:
    """(68,3) displacement of shut lids."""
    return articulation.basis(model, {"blink": ("eyeBlink_L", "eyeBlink_R")})[0]


def energy() -> np.ndarray:
    """(8,) relative growth of articulation at intensity 1."""
    return np.array([ENERGY.get(name, 0.0) for name in EMOTIONS])
