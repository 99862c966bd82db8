"""How near a motion is to the true one: of 68 landmarks, or of every vertex.

Vertex metrics are those of ScanTalk (Nocentini et al. 2024, `compute_metrics`), in millimetres of a face whose outer
eye corners are 90 mm apart, so that faces of any unit compare. Curves of the mouth are correlated as in lip reading.
"""

import numpy as np

from . import face_regions
from .errors import FreeTalkError
from .frame import EYE_DISTANCE_MM, canonical_frame
from .landmarks import LIPS

#: Distances that tell what a mouth does: two landmarks, and the axis along which the first lies further.
CURVES = {"aperture": (62, 66, 1), "width": (54, 48, 0), "jaw": (27, 8, 1)}
#: Lag is looked for within so many seconds, in as many steps of 10 ms to either side.
MOST_LAG, LAGS = 0.2, 20


def curves(faces: np.ndarray) -> dict[str, np.ndarray]:
    """Faces (T,68,3), canonical -> the distances of CURVES, each (T,), in the frontal plane."""
    return {name: np.linalg.norm((faces[:, a] - faces[:, b])[:, :2], axis=-1) for name, (a, b, _) in CURVES.items()}


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Correlation of two curves (T,); 0 where one of the two does not move."""
    x, y = x - x.mean(), y - y.mean()
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / norm) if norm > 1e-12 else 0.0


def lag(found: np.ndarray, true: np.ndarray, fps: float) -> float:
    """Milliseconds by which a curve (T,) comes late, from the peak of the correlation; NaN where either is still or
    they are too short to say."""
    times = np.arange(len(true)) / fps
    inner = times[(times > MOST_LAG) & (times < times[-1] - MOST_LAG)]
    if min(np.ptp(found), np.ptp(true)) < 1e-9 or len(inner) < 3:
        return float("nan")
    shifts = MOST_LAG / LAGS * np.arange(-LAGS, LAGS + 1)
    truth = np.interp(inner, times, true)
    scores = [pearson(np.interp(inner + shift, times, found), truth) for shift in shifts]
    return round(float(1000 * shifts[int(np.argmax(scores))]), 1)


def landmark_metrics(found: np.ndarray, true: np.ndarray, neutral: np.ndarray, fps: float) -> dict[str, float]:
    """Canonical landmark displacement (T,68,3) against the true one on a neutral face (68,3).

    landmarks_mm, lips_mm: mean distance. For each of CURVES: its correlation, and the ratio of its standard deviation
    to the true one's (NaN where the truth is still). lag_ms: by how much the aperture comes late.
    """
    distance = np.linalg.norm(found - true, axis=2) * EYE_DISTANCE_MM
    answer = {"landmarks_mm": float(distance.mean()), "lips_mm": float(distance[:, LIPS].mean())}
    ours, truth = curves(neutral + found), curves(neutral + true)
    for name in CURVES:
        spread = truth[name].std()
        answer[f"{name}_r"] = pearson(ours[name], truth[name])
        answer[f"{name}_ratio"] = float(ours[name].std() / spread) if spread > 1e-9 else float("nan")
    return answer | {"lag_ms": lag(ours["aperture"], truth["aperture"], fps)}


def vertex_metrics(
    found: np.ndarray, true: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray
) -> dict[str, float]:
    """Displacement (T,V,3) of a neutral mesh (V,3), (F,3) against the true one, in the mesh's unit.

    MVE (mm): mean distance over frames and vertices. LVE (mm²): mean over frames of the largest squared distance of a
    lip vertex. FDD (mm): mean over the upper face of the true motion's temporal standard deviation minus the found
    one's, where motion is a vertex's distance from rest: more than 0 where the found face is too still. landmarks
    (68,3) tell lips and upper face; FreeTalkError where the mesh has none of either there.
    """
    face = canonical_frame(landmarks)
    masks = face_regions.masks(face.to_canonical(vertices), triangles, face.to_canonical(landmarks))
    front, lips = (masks[face_regions.NAMES.index(name)] for name in ("front", "lips"))
    upper = front & (face.to_canonical(vertices)[:, 1] > face.to_canonical(landmarks)[36:48, 1].min())
    if not lips.any() or not upper.any():
        raise FreeTalkError("The landmarks do not lie on the scan's face; use landmarks made for this scan.")
    distance = np.linalg.norm(found - true, axis=2) / face.units_per_mm
    still = [np.linalg.norm(motion[:, upper], axis=2).std(0).mean() / face.units_per_mm for motion in (true, found)]
    return {
        "MVE_mm": float(distance.mean()),
        "LVE_mm2": float((distance[:, lips].max(1) ** 2).mean()),
        "FDD_mm": float(still[0] - still[1]),
    }
