"""ICT-FaceKit's expression shapes as canonical displacements of the 68 landmarks, and the fit to real lips."""

import numpy as np

from export import ict
from freetalk_blender.core.arkit import bounded_least_squares
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, LIPS, LOWER_INNER, MIRRORED, UPPER_INNER, gaps
from freetalk_blender.core.voice.lips import parting

#: Shapes that speech moves: controls of the network, each the sum of the ICT shapes named (left and right move alike,
#: for one talker's crooked smile is not everybody's).
SPEECH_CONTROLS = {
    "jawForward": ("jawForward",),
    "jawOpen": ("jawOpen",),
    "mouthClose": ("mouthClose",),
    "mouthFunnel": ("mouthFunnel",),
    "mouthPucker": ("mouthPucker",),
    "mouthRollLower": ("mouthRollLower",),
    "mouthRollUpper": ("mouthRollUpper",),
    "mouthShrugLower": ("mouthShrugLower",),
    "mouthShrugUpper": ("mouthShrugUpper",),
    **{
        f"mouth{name}": (f"mouth{name}_L", f"mouth{name}_R")
        for name in ("Dimple", "Frown", "LowerDown", "Press", "Smile", "Stretch", "UpperUp")
    },
}
#: The lower contour, ear to ear without the points that hair and ears move.
JAW = np.arange(3, 14)
#: How much of mouthPucker rounds the lips where rounding is heard, beside what is predicted.
ROUNDING = 0.5
CORNERS = (48, 54)
CHIN = 8
#: How small `fit` keeps its weights.
_RIDGE = 0.001


def basis(model: ict.IctModel, controls: dict[str, tuple[str, ...]]) -> np.ndarray:
    """(K, 68, 3) landmark displacement of each control at weight 1, canonical units."""
    neutral = model.neutral[model.landmark_vertices]
    unit = np.linalg.norm(neutral[45] - neutral[36])
    landmarks = model.expression[:, model.landmark_vertices].astype(np.float64) / unit
    return np.stack([landmarks[[model.index(name) for name in names]].sum(0) for names in controls.values()])


def rounding(model: ict.IctModel) -> np.ndarray:
    """(68, 3) what rounds lips, canonical units: the corners come in and the lips forward, as far apart as they are."""
    shape = ROUNDING * basis(model, {"mouthPucker": ("mouthPucker",)})[0]
    return shape - np.tensordot(gaps(shape, INNER_LIP_PAIRS), parting(), 1)


def fit(displacement: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Weights (T, K) in [0, 1] whose landmarks best explain displacement (T, 68, 3), canonical units.

    Bounded least squares over lips, inner-lip gaps, mouth width and lower contour, with a ridge.
    """
    rows, target = _evidence(shapes), _evidence(displacement)
    hessian = rows @ rows.T + _RIDGE * np.eye(len(shapes))
    return bounded_least_squares(hessian, target @ rows.T, 400)


def _evidence(displacement: np.ndarray) -> np.ndarray:
    """(N, 68, 3) -> (N, M) coordinates and gaps, weighted by how far each kind is to be believed; depth little."""
    apart = displacement[:, UPPER_INNER] - displacement[:, LOWER_INNER]
    width = displacement[:, CORNERS[1:]] - displacement[:, CORNERS[:1]]
    parts = [
        displacement[:, LIPS],
        apart * 1.5,
        width * 4.0,
        displacement[:, JAW] * 0.5,
        displacement[:, [CHIN]] * 1.5,
    ]
    return (np.concatenate(parts, axis=1) * [1.0, 1.0, 0.25]).reshape(len(displacement), -1)


def symmetric(displacement: np.ndarray) -> np.ndarray:
    """(..., 68, 3) averaged with its mirror image: gaps and widths stay, sideways motion goes."""
    mirrored = displacement[..., MIRRORED, :] * np.array([-1.0, 1.0, 1.0])
    return 0.5 * (displacement + mirrored)
