"""A performance as weights of ARKit's blend shapes, 0 to 1, which engines and capture programs know by name.

Each shape is the motion of 68 landmarks that ICT-FaceKit's shape of that name makes on the average face
(`python -m export.arkit_shapes`), brought to this face, and its vertices' motion is STM's. A frame's weights are the
bounded least squares over the landmarks; what the shapes cannot say is left out, and `max_error` says how much that is.
A face that has shapes of these names already, as characters do, is moved by those.
Names and meaning: Apple's ARFaceAnchor.BlendShapeLocation; tongueOut is not made.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from . import movement
from .binding.handles import landmark_vertices
from .compress import ShapeKeys, distance
from .face import Face
from .frame import frame_in_mm
from .landmarks import LOWER_INNER, UPPER_INNER, nearest_vertices
from .lip_contact import contact
from .mouth import inner_mouth
from .retarget import proportioned

FILE = Path(__file__).with_name("arkit_shapes.npz")
#: Apple's order by region; "eyeLook..." come first of each eye there.
NAMES = (
    *(
        f"eye{what}{side}"
        for side in ("Left", "Right")
        for what in ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
    ),
    "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
#: Gazes move lids, too, and turn eyeballs; they are made for whoever wants to look about, and stay at 0: a
#: performance's gaze has keys of its own (`turns`), which eyes of one skin follow too.
_GAZES = np.array([name.startswith("eyeLook") for name in NAMES])
#: What the gap between the lips, open and shut, counts in the fit besides each landmark (1) and those of lips (2).
_GAP_OPEN, _GAP_SHUT = 3.0, 13.0
#: Keeps shapes that undo each other from doing so; small against one shape's own motion.
_RIDGE = 1e-4
_STEPS = 1200
#: How far an eyeball turns at weight 1: down, and out (degrees).
_LOOKS = {"Down": (25, 0), "Up": (-25, 0), "In": (0, -30), "Out": (0, 30)}


@cache
def shapes() -> np.ndarray:
    """(51,68,3) motion of the average face's landmarks at weight 1, canonical units."""
    with np.load(FILE) as arrays:
        return arrays["shapes"]


def meant(names: Iterable[str]) -> dict[str, str]:
    """Those of NAMES that some of the names of a character's own shapes mean -> these: jawOpen, JawOpen, eyeBlink_L,
    blendShape1.eyeBlink_L."""
    known = {name.lower(): name for name in NAMES}
    sides = {"l": "left", "r": "right"}
    found: dict[str | None, str] = {}
    for name in names:
        short = re.sub(r"^.*[.:|](?=\w\w)", "", name.lower())
        short = re.sub(r"[_. -]([lr])$", lambda side: sides[side[1]], short)
        found.setdefault(known.get(re.sub(r"[_. -]", "", short)), name)
    return {name: found[name] for name in NAMES if name in found}


def shape_keys(
    face: Face,
    displacement: np.ndarray,
    tolerance: float = 0.1,
    tongue: np.ndarray | None = None,
    sculpted: Mapping[str, np.ndarray] | None = None,
) -> ShapeKeys:
    """The performance (T,68,3) as ARKit's shapes of this face, weights in [0,1], and those of a made tongue.

    Vertices as those of `movement.shape_keys`; max_error: of any vertex and frame against the keys that `tolerance`
    (mm) would give, mesh units. sculpted: some of NAMES -> displacement (n,3), mesh units, of the caller's first n
    vertices in shapes that the face has itself; these are taken instead of made ones.
    """
    motion = movement.landmark_motion(face, displacement)
    own = proportioned(shapes(), face.neutral)
    made = movement.moved_by(face, own)
    _turn_eyeballs(made, face)
    _take_over(own, made, face, sculpted or {})
    keys = ShapeKeys(made, fit(motion, own, contact.closed(motion, face.neutral)), 0.0, NAMES)
    exact = movement.shape_keys(face, displacement, tolerance, tongue=tongue)
    if face.opened is not None:
        keys = inner_mouth.with_tongue(keys, face.opened, movement.tongue_weights(face, tongue, motion))
    return replace(keys, max_error=distance(keys, exact) + exact.max_error)


def _take_over(own: np.ndarray, made: np.ndarray, face: Face, sculpted: Mapping[str, np.ndarray]) -> None:
    """Put shapes that the face has itself in place of those among landmark motions `own` (51,68,3), canonical, and
    shapes `made` (51,N,3), mesh units. What they do not say of, such as parts that were joined to the face, moves as
    made, by as much as the landmarks do."""
    at = _at_landmarks(face) if sculpted else None
    for name, moved in sculpted.items():
        row = NAMES.index(name)
        skin = np.zeros((face.vertex_count, 3), np.float32)
        skin[: len(moved)] = moved
        shape = skin if face.opened is None else face.opened.source[: face.opened.skin_count] @ skin
        points = face.frame.vectors_to_canonical(shape[at].astype(float))
        share = (points * own[row]).sum() / max((own[row] ** 2).sum(), 1e-12)
        others = slice(len(moved), face.vertex_count)
        shape[others] = max(share, 0.0) * made[row, others]
        own[row], made[row] = points, shape if face.opened is None else face.opened.carried(shape[None])[0]


def _at_landmarks(face: Face) -> np.ndarray:
    """(68,) the vertices at the landmarks, of those whose skin was bound, each lip's on its own side."""
    if face.opened is not None and face.opened.is_cut:
        return face.opened.landmark_vertices
    skin, source = face.mesh, face.mesh.source
    there = np.flatnonzero(source >= 0)
    handles = landmark_vertices(face.landmarks, skin.vertices, skin.triangles)
    same = np.full(len(skin.vertices), -1)
    same[source[there]] = there
    found = same[handles]
    new = found < 0  # in the middle of edges that were halved
    found[new] = there[nearest_vertices(skin.vertices[handles[new]], skin.vertices[source[there]])]
    return found


def _turn_eyeballs(shapes: np.ndarray, face: Face) -> None:
    """Let the gazes among shapes (51,N,3), mesh units, turn the face's eyeballs too."""
    frame = frame_in_mm(face.landmarks)
    for look in face.looks:
        side, mirrored = ("Left", 1) if look.left else ("Right", -1)
        for what, (down, out) in _LOOKS.items() if look.ball else ():
            turn = Rotation.from_euler("xy", (down, mirrored * out), degrees=True)
            turned = frame.vectors_to_mesh((turn.apply(look.arms) - look.arms) @ look.axes)
            shapes[NAMES.index(f"eyeLook{what}{side}"), look.vertices] += turned


def fit(motion: np.ndarray, own: np.ndarray, shut: np.ndarray) -> np.ndarray:
    """(T,51) float32 weights in [0,1] of shapes `own` (51,68,3) that best explain landmark motion (T,68,3).

    shut (T,): how surely the lips are closed (`contact.closed`): there, that they meet counts most.
    """
    usable = ~_GAZES
    weights = np.zeros((len(motion), len(NAMES)), np.float32)
    for gap, share in ((_GAP_OPEN, 1 - shut), (_GAP_SHUT, shut)):
        rows, target = _evidence(own[usable], gap), _evidence(motion, gap)
        hessian = rows @ rows.T + _RIDGE * np.identity(len(rows))
        weights[:, usable] += share[:, None] * bounded_least_squares(hessian, target @ rows.T, _STEPS)
    return weights


def bounded_least_squares(hessian: np.ndarray, gradient: np.ndarray, steps: int) -> np.ndarray:
    """(T,K) the w in [0,1] that minimise w H w / 2 - g w for each row g of gradient (T,K); hessian (K,K).

    Accelerated projected gradient, all frames at once (Beck & Teboulle 2009, FISTA).
    """
    step = 1.0 / np.linalg.eigvalsh(hessian)[-1]
    weights = np.zeros(gradient.shape)
    ahead, momentum = weights, 1.0
    for _ in range(steps):
        moved = np.clip(ahead - step * (ahead @ hessian - gradient), 0.0, 1.0)
        following = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = moved + (momentum - 1.0) / following * (moved - weights)
        weights, momentum = moved, following
    return weights


def _evidence(motion: np.ndarray, gap: float) -> np.ndarray:
    """(N,68,3) -> (N,M): coordinates of landmarks, lips again, and the gaps of the inner lips times `gap`."""
    parts = [motion, motion[:, 48:], gap * (motion[:, UPPER_INNER] - motion[:, LOWER_INNER])]
    return np.concatenate(parts, 1).reshape(len(motion), -1).astype(np.float64)
