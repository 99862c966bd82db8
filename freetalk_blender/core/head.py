"""The head turned on its neck: three shapes that a performance's head motion moves.

A turn about the joint between skull and neck (Kapandji 2008, "The Physiology of the Joints", vol. 3: nods between skull
and atlas, turns between atlas and axis), which the neck takes up from the jaw down; so shoulders, a shirt and a room
stay. The turns are small, and linear here: at 5 degrees the head is .4 % too large.
"""

from dataclasses import replace

import numpy as np

from .compress import ShapeKeys, with_more
from .errors import FreeTalkError
from .face import Face
from .frame import Similarity
from .ramp import smooth_step

#: The names of the head's shape keys: turns about canonical +X (down), +Y (to the subject's left) and +Z (the crown to
#: the subject's right), in the order of a performance's columns, and the turn at weight 1 (radians).
KEYS = ("headPitch", "headYaw", "headRoll")
FULL = float(np.radians(15.0))
#: The joint, from the middle between the upper ends of the jaw line (mm).
_JOINT = (0.0, -25.0, -10.0)
#: The neck begins this far under the chin (mm), and so much higher for each mm behind it; it is so long (mm).
_UNDER, _SLOPE, _NECK = 8.0, 0.35, 110.0
#: What is this far from the joint goes with the head, hair too, and what is farther than this does not (mm).
_NEAR, _FAR = 230.0, 380.0


def share(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(N,) how much of the head's turn points (N,3) take, 0 to 1; landmarks (68,3) of the face; canonical mm."""
    chin = landmarks[8]
    top = chin[1] - _UNDER + _SLOPE * np.maximum(chin[2] - points[:, 2], 0)
    away = np.linalg.norm(points - _joint(landmarks), axis=1)
    return smooth_step(1 + (points[:, 1] - top) / _NECK) * smooth_step((_FAR - away) / (_FAR - _NEAR))


def _joint(landmarks: np.ndarray) -> np.ndarray:
    return (landmarks[0] + landmarks[16]) / 2 + _JOINT


def shapes(face: Face) -> np.ndarray:
    """(3,N,3) float32 displacement at weight 1, mesh units, of the vertices that `movement.shape_keys` answers for."""
    if face.opened is None:
        return face.mesh.to_caller(_turned(face, face.mesh.vertices))
    return _turned(face, face.opened.vertices)


def displacement(face: Face, turns: np.ndarray, frames: int) -> np.ndarray:
    """(T,V,3) float32 displacement of the caller's vertices by turns (T,3) in radians, mesh units."""
    return np.tensordot(weights(turns, frames), shapes(face)[:, : face.vertex_count], 1)


def weights(turns: np.ndarray, frames: int) -> np.ndarray:
    """(T,3) float32 weights of `shapes` for turns (T,3) in radians of so many frames. Raises FreeTalkError on another
    shape, and on values that are not finite."""
    turns = np.asarray(turns, np.float32)
    if turns.shape != (frames, len(KEYS)) or not np.isfinite(turns).all():
        raise FreeTalkError(f"A head has finite values of shape ({frames}, {len(KEYS)}), not {turns.shape}.")
    return turns / np.float32(FULL)


def with_head(keys: ShapeKeys, face: Face, turns: np.ndarray) -> ShapeKeys:
    """The shape keys of a face with three more, KEYS, for a head that moves; turns (T,3) in radians."""
    if not turns.any():
        return keys
    more = with_more(keys, slice(None), shapes(face), weights(turns, len(keys.weights)), keys.max_error)
    return replace(more, names=(*(keys.names or ("",) * len(keys.shapes)), *KEYS))


def _turned(face: Face, vertices: np.ndarray) -> np.ndarray:
    frame = face.frame
    mm = Similarity(frame.units_per_mm, frame.rotation, frame.translation)
    points, landmarks = (mm.to_canonical(places.astype(float)) for places in (vertices, face.landmarks))
    turned = FULL * np.cross(np.identity(3)[:, None], points - _joint(landmarks)) * share(points, landmarks)[:, None]
    return mm.vectors_to_mesh(turned).astype(np.float32)
