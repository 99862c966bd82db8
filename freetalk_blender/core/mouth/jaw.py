"""The lower jaw: how what is fixed to it moves with the chin, and the scan's own teeth and tongue that do.

A rigid jaw turns about a hinge. In the sagittal plane a point x of it moves by d(x) = d(chin) (x - h) / (chin - h),
complex numbers, exact for every angle about the hinge h and linear in the chin's motion. Place of the hinge: the way
that ICT-FaceKit's jaw opens (within 3.6 of 31 mm). The chin is here the one of bone: its skin is drawn about by smiles
and pouts too, so `motion` tells where the bone goes from landmarks around it (export/jaw_motion.py).
"""

from functools import cache
from pathlib import Path

import numpy as np

from ..binding.stm import Binding
from ..errors import LandmarkError
from ..frame import EYE_DISTANCE_MM
from ..landmarks import COUNT, INNER_LIP_PAIRS, LIPS, MIRRORED, gaps, nearest_vertices
from ..ramp import smooth_step
from ..surface import raster
from ..surface.mesh import CleanMesh
from . import mouth_curve
from .mouth_curve import MouthCurve

#: The hinge in the canonical frame: y and z (mm). The chin: landmarks at whose mean the jaw is held. Those that tell
#: how the jaw moves: the jaw line, the base of the nose, the outer lips.
HINGE, CHIN = (4.0, -110.0), (7, 8, 9)
TELLING = (*range(17), *range(31, 36), *range(48, 60))
#: A mesh's own lower teeth turn further about themselves than the jaw's skin: about this hinge, and their chin goes by
#: so much more than `motion` tells: as those of 20 identities of ICT-FaceKit come back best from jawOpen 0.2 to 1.
TEETH_HINGE, TEETH_REACH = (-23.0, -85.0), 1.14
#: Share of the jaw's turn that each landmark takes, as in ICT-FaceKit's jawOpen; its mirror image takes as much.
_TURNS = {
    3: 0.14, 4: 0.3, 5: 0.53, 6: 0.79, 7: 0.96, 8: 1.0, 48: 0.5, 49: 0.16, 50: 0.08, 51: 0.06,
    57: 1.07, 58: 1.02, 59: 0.9, 60: 0.58, 61: 0.12, 62: 0.06, 66: 1.1, 67: 1.0,
}  # fmt: skip
#: A jaw turns no further than this (radians: 70 mm between the lips); how far is found in so many rounds, to 0.01 mm.
_WIDEST, _ROUNDS = 0.6, 12
#: Loose parts inside the mouth have more vertices than the first and lie wholly within the second of the middle of the
#: lips (to the side, up or down, forward and backward); their own middles lie within the last to the side, above or
#: below the lips, and backward (mm).
_SPECK, _AROUND, _WITHIN = 20, (45.0, 60.0, 15.0, 120.0), (35.0, 25.0, 60.0)
#: What lies before skin, by less than this, is on the face and not in the mouth, but between parted lips; half the side
#: of the picture that tells, a pixel a millimetre (mm). The inner lips from corner to corner.
_BEFORE, _HALF = 15.0, 60
_PARTED = (60, 61, 62, 63, 64), (60, 67, 66, 65, 64)
#: Lower teeth lie under a plane which is so high above the lip line, and rises so much for each mm behind it: the means
#: of 960 lower teeth of ICT-FaceKit's lie 3.1 mm or more below it, those of 960 upper ones as much above.
_LEVEL, _RISE = -1.5, 0.1
#: A part that is nowhere longer than this is a single tooth; of two that are less than the second beside each other,
#: seen from above, and more than the third apart in height (mm), the lower one is of the lower jaw whatever the plane.
_TOOTH, _BESIDE, _APART = 15.0, 6.0, 4.0
#: A part that reaches further than this to both sides of that plane, as gums in one piece do, follows the jaw below it,
#: rests above it, and something between within the second (mm). ICT-FaceKit's gums reach 20 mm or more to both sides,
#: single teeth 7 at most; a row of teeth in one piece lies between.
_BOTH, _BETWEEN = 13.0, 4.0


@cache
def told() -> np.ndarray:
    """(34,3,3): displacement of the jaw's bone at the chin = sum of told[k] @ displacement of landmark TELLING[k], in
    canonical axes."""
    return np.load(Path(__file__).with_name("jaw_motion.npy")).astype(float)


def motion(landmarks: np.ndarray) -> np.ndarray:
    """(...,3) displacement of the jaw's bone at the chin, where landmarks (...,68,3) move so; canonical axes."""
    return np.einsum("kij,...kj->...i", told(), landmarks[..., TELLING, :])


def hinged(points: np.ndarray, held: np.ndarray, hinge: tuple[float, float] = HINGE) -> np.ndarray:
    """(n,3,3): displacement of points (n,3) = matrix @ displacement of what is held, at (3,) or (n,3), where both turn
    about a hinge at these y and z; canonical mm."""
    arm = held[..., 2] - hinge[1] + 1j * (held[..., 1] - hinge[0])
    lever = (points[:, 2] - hinge[1] + 1j * (points[:, 1] - hinge[0])) / arm
    turn = np.zeros((len(points), 3, 3))
    turn[:, 0, 0] = np.abs(lever)
    turn[:, 2, 2] = turn[:, 1, 1] = lever.real
    turn[:, 1, 2], turn[:, 2, 1] = lever.imag, -lever.imag
    return turn


def with_teeth(points: np.ndarray, chin: np.ndarray) -> np.ndarray:
    """(n,3,3): displacement of a mesh's own lower teeth, gums and tongue, points (n,3) = matrix @ `motion`; chin (3,):
    where the jaw is held; canonical mm."""
    return TEETH_REACH * hinged(points, chin, TEETH_HINGE)


def opening(points: np.ndarray, turn: np.ndarray | float) -> np.ndarray:
    """(n,3) displacement of points (n,3) of a shut jaw that opens by a turn (n,) or one for all (radians): as by
    `hinged`, straight on the way on which the turn begins; canonical mm."""
    height, depth = points[:, 1] - HINGE[0], points[:, 2] - HINGE[1]
    return np.stack([0 * depth, -turn * depth, turn * height], 1)


def shutting(landmarks: np.ndarray, open_by: float) -> tuple[np.ndarray, float]:
    """(68,3) displacement that shuts a mouth whose lips stand so far apart, and the turn (radians) by which its jaw is
    open; landmarks (68,3); canonical mm.

    The jaw goes back the way it opens, which is straight: one that turns glides forward too, and a turn alone would
    leave a chin that hangs low before the upper lip.
    """
    share = np.zeros(COUNT)
    for landmark, amount in _TURNS.items():
        share[[landmark, MIRRORED[landmark]]] = amount
    moved, turn = np.zeros((COUNT, 3)), 0.0
    for _ in range(_ROUNDS):
        way = opening(landmarks + moved, share)
        apart = float(gaps(way, INNER_LIP_PAIRS).mean())
        turn = min(open_by / max(apart, 1e-6), _WIDEST)
        moved = -turn * way
    return moved, turn


def lies_inside(points: np.ndarray, landmarks: np.ndarray) -> bool:
    """Does a part with these points (n,3) lie inside the mouth of landmarks (68,3), as teeth do? Canonical mm; nothing
    does where the landmarks draw no mouth."""
    middle = landmarks[LIPS].mean(0)
    if not _around(points, middle).all():  # as most of a scene
        return False
    centre = (points.max(0) + points.min(0)) / 2
    try:
        depth = -mouth_curve.mouth_curve(landmarks).in_front(centre[None])[0]
    except LandmarkError:
        return False
    apart = max(float(gaps(landmarks, INNER_LIP_PAIRS).mean()), 0.0)
    aside, off = np.abs(centre - middle)[:2] - [0, apart / 2]
    return bool(aside < _WITHIN[0] and off < _WITHIN[1] and 0 < depth < _WITHIN[2])


def _around(points: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """(n,) bool: points as near to the middle of the lips as what lies in a mouth."""
    side, off, ahead, behind = _AROUND
    x, y, z = (points - middle).T
    return (np.abs(x) < side) & (np.abs(y) < off) & (z < ahead) & (z > -behind)


def parts_inside(points: np.ndarray, cleaned: CleanMesh, landmarks: np.ndarray) -> list[np.ndarray]:
    """The vertices of each loose part inside the mouth: teeth, gums, a tongue.

    points (V,3): the mesh's vertices, landmarks (68,3), canonical mm.
    """
    if not cleaned.components.any():
        return []
    near = _around(points, landmarks[LIPS].mean(0))
    label = cleaned.components
    size = np.bincount(label)
    whole = (np.bincount(label[near], minlength=len(size)) == size) & (size > _SPECK)
    face = np.isin(label, label[nearest_vertices(landmarks[:48], points)])
    some = np.flatnonzero(whole[label] & ~face)
    parts = [some[label[some] == part] for part in np.unique(label[some])]
    parts = [part for part in parts if lies_inside(points[part], landmarks)]
    if not parts:
        return []
    skin, middle = cleaned.triangles[face[cleaned.triangles[:, 0]]], landmarks[LIPS].mean(0)
    front = raster.front(points, skin, middle, _HALF, 2 * _HALF)
    return [part for part in parts if not _on_face(points[part], front, landmarks)]


def _on_face(part: np.ndarray, front: np.ndarray, landmarks: np.ndarray) -> bool:
    """Does a part (n,3) near the mouth lie before skin, as moustaches do, and not between parted lips?

    front (S,S): z of the skin in `raster.front` of the mouth's middle; landmarks (68,3); canonical mm.
    """
    middle = landmarks[LIPS].mean(0)
    column, row = ((part - middle)[:, :2] * (1, -1) + _HALF).astype(int).clip(0, 2 * _HALF - 1).T
    ahead = part[:, 2] - front[row, column]
    upper, lower = (landmarks[list(lip)] for lip in _PARTED)
    between = np.interp(part[:, 0], lower[:, 0], lower[:, 1]) < part[:, 1]
    between &= part[:, 1] < np.interp(part[:, 0], upper[:, 0], upper[:, 1])
    return bool(((ahead > 0) & (ahead < _BEFORE) & ~between).mean() > 0.5)


def with_own_teeth(
    binding: Binding, points: np.ndarray, inside: list[np.ndarray], handles: np.ndarray, landmarks: np.ndarray
) -> Binding:
    """The binding of a face whose own lower teeth, gums and tongue, where they are loose parts, go with its jaw.

    points (V,3): the bound mesh's vertices; inside: `parts_inside` of it; handles (68,): its vertices at the landmarks
    (68,3); canonical mm.
    """
    if not inside:
        return binding
    chin = handles[list(CHIN)]
    curve = mouth_curve.mouth_curve(landmarks)
    share = np.concatenate(_shares([points[part] for part in inside], curve))
    follows = share > 0
    rows = np.concatenate(inside)[follows]
    turn = with_teeth(points[rows], points[chin].mean(0)) * share[follows, None, None]
    moved = motion(binding.motion_of(handles))
    return binding.with_more(rows, points[rows] / EYE_DISTANCE_MM, np.einsum("nij,rj->rni", turn, moved))


def _shares(parts: list[np.ndarray], curve: MouthCurve) -> list[np.ndarray]:
    """How much the points of each part inside the mouth (n,3), mm, follow the jaw (n,), 0 to 1."""
    middles = np.array([part.mean(0) for part in parts])
    tooth = np.array([np.ptp(part, axis=0).max() < _TOOTH for part in parts])
    away = middles[:, None] - middles
    over = (np.hypot(away[..., 0], away[..., 2]) < _BESIDE) & (away[..., 1] > _APART) & tooth & tooth[:, None]
    upper, lower = over.any(1), over.any(0)
    told = upper != lower
    return [
        np.full(len(part), float(is_lower)) if is_told else _share(part, curve)
        for part, is_told, is_lower in zip(parts, told, lower, strict=True)
    ]


def _share(part: np.ndarray, curve: MouthCurve) -> np.ndarray:
    """(n,) how much the points of a part inside the mouth (n,3), mm, follow the jaw, 0 to 1."""
    depth = curve.z[2] - part[:, 2]
    below = curve.y[1:-1].mean() + _LEVEL + _RISE * depth - part[:, 1]
    if below.max() > _BOTH and below.min() < -_BOTH:
        return smooth_step(0.5 + below / (2 * _BETWEEN))
    return np.full(len(part), float(below.mean() > 0))
