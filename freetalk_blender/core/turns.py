"""A head that turns on its neck and eyes that turn in it: five shapes that a performance's turns move.

The head turns about the joint between skull and neck (Kapandji 2008, "The Physiology of the Joints", vol. 3: nods
between skull and atlas, turns between atlas and axis), which the neck takes up from the jaw down; so shoulders, a shirt
and a room stay. Eyes turn about their balls' centres (`looks`). All turns are small, and linear here: at 5 degrees the
head is .4 % too large.
"""

import numpy as np

from .compress import ShapeKeys, with_named
from .errors import FreeTalkError
from .face import Face
from .frame import frame_in_mm
from .ramp import smooth_step

#: The names of the shape keys, in the order of a performance's columns: turns of the head about canonical +X (down), +Y
#: (to the subject's left) and +Z (the crown to the subject's right), and of the eyes in it; and the turn at weight 1
#: (radians).
KEYS = ("headPitch", "headYaw", "headRoll", "eyesPitch", "eyesYaw")
FULL = float(np.radians(15.0))
#: The joint, from the middle between the upper ends of the jaw line (mm).
_JOINT = (0.0, -25.0, -10.0)
#: The neck begins this far under the chin (mm), and so much higher for each mm behind it; it is so long (mm).
_UNDER, _SLOPE, _NECK = 8.0, 0.35, 110.0
#: What is this far from the joint goes with the head, hair too, and what is farther than this does not (mm).
_NEAR, _FAR = 230.0, 380.0
#: What takes more than this share of the turn lies on the head.
_ON_HEAD = 0.5


def share(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(N,) how much of the head's turn points (N,3) take, 0 to 1; landmarks (68,3) of the face; canonical mm."""
    chin = landmarks[8]
    top = chin[1] - _UNDER + _SLOPE * np.maximum(chin[2] - points[:, 2], 0)
    away = np.linalg.norm(points - _joint(landmarks), axis=1)
    return smooth_step(1 + (points[:, 1] - top) / _NECK) * smooth_step((_FAR - away) / (_FAR - _NEAR))


def on_head(points: np.ndarray, landmarks: np.ndarray) -> bool:
    """Does a surface with these points (n,3) lie on the head of landmarks (68,3)? All in one unit."""
    frame = frame_in_mm(landmarks)
    middle = (points.min(0) + points.max(0)) / 2
    places = frame.to_canonical(np.array([middle, *landmarks], float))
    return bool(share(places[:1], places[1:])[0] > _ON_HEAD)


def shapes(face: Face) -> np.ndarray:
    """(5,N,3) float32 displacement at weight 1, mesh units, of the vertices that `movement.shape_keys` answers for."""
    frame = frame_in_mm(face.landmarks)
    landmarks = frame.to_canonical(face.landmarks.astype(float))
    if face.opened is None:
        head = face.mesh.to_caller(_of_head(frame.to_canonical(face.mesh.vertices.astype(float)), landmarks))
    else:
        head = np.nan_to_num(_of_head(frame.to_canonical(face.opened.vertices.astype(float)), landmarks))
    eyes = np.zeros((2, *head.shape[1:]))
    for look in face.looks:
        eyes[:, look.vertices] = look.share[:, None] * (np.cross(np.identity(3)[:2, None], look.arms) @ look.axes)
    return frame.vectors_to_mesh(FULL * np.concatenate([head, eyes])).astype(np.float32)


def weights(turns: np.ndarray, frames: int) -> np.ndarray:
    """(T,5) float32 weights of `shapes` for turns (T,5) in radians of so many frames. Raises FreeTalkError on another
    shape, and on values that are not finite."""
    turns = np.asarray(turns)
    if turns.shape != (frames, len(KEYS)) or turns.dtype.kind not in "fiu" or not np.isfinite(turns).all():
        got = f"{turns.dtype} of shape {turns.shape}"
        raise FreeTalkError(f"Turns are finite values of shape ({frames}, {len(KEYS)}); got {got}.")
    return turns.astype(np.float32) / np.float32(FULL)


def with_turns(keys: ShapeKeys, face: Face, turns: np.ndarray) -> ShapeKeys:
    """The shape keys of a face with those of KEYS that turns (T,5), in radians, move."""
    if not turns.any():
        return keys
    curves, all_shapes = weights(turns, len(keys.weights)), shapes(face)
    moved = np.flatnonzero(curves.any(0) & all_shapes.any((1, 2)))
    return with_named(keys, slice(None), all_shapes[moved], curves[:, moved], [KEYS[row] for row in moved])


def _joint(landmarks: np.ndarray) -> np.ndarray:
    return (landmarks[0] + landmarks[16]) / 2 + _JOINT


def _of_head(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(3,N,3) mm by a turn of one radian about each axis; points (N,3)."""
    return share(points, landmarks)[:, None] * np.cross(np.identity(3)[:, None], points - _joint(landmarks))
