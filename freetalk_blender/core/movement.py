"""A bound face moved: dense motion, shape keys, and single frames while sliders move."""

import math
from dataclasses import dataclass, replace

import numpy as np

from . import eyelids
from . import turns as turnings
from .compress import ShapeKeys, compress_factors, in_blocks
from .errors import FreeTalkError
from .eyes import lids
from .face import Face
from .landmarks import COUNT
from .lip_contact import contact
from .mouth import inner_mouth as inner_mouths
from .retarget import retarget
from .voice.tongue import CHANNELS


def landmark_motion(face: Face, displacement: np.ndarray, space: str = "canonical") -> np.ndarray:
    """(T,68,3) motion of this face's landmarks, canonical units, of a performance or of landmarks moved on the mesh.

    space: "canonical" for the average face's motion, retargeted here; "mesh" for displacement that is already this
    face's own, in mesh units and axes. Raises FreeTalkError as `validated_motion` does, and on a wrong space.
    """
    motion = validated_motion(displacement)
    if space == "canonical":
        return retarget(motion, face.neutral)
    if space == "mesh":
        return face.frame.vectors_to_canonical(motion).astype(np.float32)
    raise FreeTalkError(f'space must be "canonical" or "mesh"; got {space!r}.')


def validated_motion(displacement: np.ndarray) -> np.ndarray:
    """Landmark displacement (T,68,3) as it is; FreeTalkError on a wrong shape, no frames or values that are not
    finite."""
    motion = np.asarray(displacement)
    if motion.ndim != 3 or motion.shape[1:] != (COUNT, 3) or motion.dtype.kind not in "fiu":
        raise FreeTalkError(f"Landmark displacement has shape (T, 68, 3); got {motion.dtype} of shape {motion.shape}.")
    if not len(motion):
        raise FreeTalkError("The landmark displacement has no frames; perform some speech first.")
    if not np.isfinite(motion).all():
        raise FreeTalkError("The landmark displacement holds values that are not finite; perform it again.")
    return motion


def deform(
    face: Face, displacement: np.ndarray, space: str = "canonical", turns: np.ndarray | None = None
) -> np.ndarray:
    """(T,V,3) float32 displacement of the caller's vertices, in mesh units; arguments as `landmark_motion`; turns
    (T,5): a performance's, at rest if None.

    The lips of a performance meet and never cross, and its lids stay in front of eyeballs; motion in mesh space is
    followed as it is. Raises FreeTalkError as `landmark_motion` and `turns.weights` do.
    """
    motion = landmark_motion(face, displacement, space)
    turning = None if turns is None else turnings.weights(turns, len(motion))
    dense = face.mesh.to_caller(face.binding.displace(motion))
    if face.contact and space == "canonical":
        face.contact.correct(dense, contact.closed(motion, face.neutral))
    if face.eyelids and space == "canonical":
        face.eyelids.correct(dense, lids.closed(motion, face.neutral))
    dense = dense[:, : face.vertex_count]
    if turning is not None and turning.any():
        shapes = turnings.shapes(face)[:, : face.vertex_count]
        for block, weights in zip(in_blocks(dense), in_blocks(turning), strict=True):
            block += np.tensordot(weights, shapes, 1)
    return dense


def moved_by(face: Face, motion: np.ndarray) -> np.ndarray:
    """(K,V,3) mesh displacement, of the vertices that `shape_keys` answers for, by landmark motion (K,68,3) in
    canonical units; eyes are right, but nothing keeps lips from crossing."""
    flat = face.binding.codes(motion) @ face.binding.matrix
    dense = face.mesh.to_caller(face.binding.spread(flat.reshape(len(motion), -1, 3)))
    if face.eyelids is not None:
        face.eyelids.correct(dense, lids.closed(motion, face.neutral))
    return dense if face.opened is None else face.opened.carried(dense)


@dataclass(frozen=True)
class Moves:
    """A performance of one face, ready to be looked at frame by frame, at the cost of a small matrix product.

    weights (T,R); shapes (R,3M) on the M vertices of the binding that can move, mesh units, lips not yet met; shut
    (T,), blink (T,2): how surely the lips, and each eye, are closed; tongue (T,3): weights of the shapes of a made
    tongue, (T,0) without one; turns (T,5): weights of `turned` (5,N,3), the shapes of turns.KEYS, (T,0) and None where
    nothing turns.
    """

    face: Face
    weights: np.ndarray
    shapes: np.ndarray
    shut: np.ndarray
    blink: np.ndarray
    tongue: np.ndarray
    turns: np.ndarray
    turned: np.ndarray | None

    def at(self, position: float) -> np.ndarray:
        """(N,3) float32 displacement, at a position between frames, of the vertices that `shape_keys` answers for.

        Linear between frames, where lips meet, as baked curves are; held before the first and after the last.
        """
        place = min(max(position, 0.0), len(self.weights) - 1.0)
        before = self._frame(math.floor(place))
        if place % 1 == 0:
            return before
        return before + np.float32(place % 1) * (self._frame(math.ceil(place)) - before)

    def _frame(self, index: int) -> np.ndarray:
        moved = self._unturned(index)
        return moved if self.turned is None else moved + np.tensordot(self.turns[index], self.turned, 1)

    def _unturned(self, index: int) -> np.ndarray:
        dense = (self.weights[index] @ self.shapes).reshape(1, -1, 3)
        dense = self.face.mesh.to_caller(self.face.binding.spread(dense))
        if self.face.contact is not None:
            self.face.contact.correct(dense, self.shut[index])
        if self.face.eyelids is not None:
            self.face.eyelids.correct(dense, self.blink[index : index + 1])
        if self.face.opened is None:
            return dense[0]
        dense = self.face.opened.carried(dense)
        if self.face.opened.furniture is not None:
            shapes = self.face.opened.furniture.tongue
            dense[:, -shapes.shape[1] :] += np.tensordot(self.tongue[index], shapes, 1)
        return dense[0]


#: Share of a performance's energy that `moves` may lose: far below a hundredth of a millimetre.
_LOST = 1e-8


def moves(
    face: Face, displacement: np.ndarray, tongue: np.ndarray | None = None, turns: np.ndarray | None = None
) -> Moves:
    """A performance (T,68,3), canonical, its tongue (T,3) and turns (T,5) as they are looked at while sliders move:
    exact to the eye and quick to make."""
    motion = landmark_motion(face, displacement)
    code = face.binding.codes(motion).astype(np.float64)
    values, turn = np.linalg.eigh(code.T @ code)
    turn = turn[:, values > _LOST * values.sum()].astype(np.float32)
    weights, shapes = (code @ turn).astype(np.float32), turn.T @ face.binding.matrix
    shut, blink = contact.closed(motion, face.neutral), lids.closed(motion, face.neutral)
    turning, turned = np.zeros((len(motion), 0), np.float32), None
    if turns is not None and turns.any():
        turning, turned = turnings.weights(turns, len(motion)), turnings.shapes(face)
    return Moves(face, weights, shapes, shut, blink, tongue_weights(face, tongue, motion), turning, turned)


def tongue_weights(face: Face, tongue: np.ndarray | None, motion: np.ndarray) -> np.ndarray:
    """(T,3) weights of the shapes of this face's tongue, (T,0) where it has none; tongue (T,3) as a performance has it,
    None at rest; motion (T,68,3) of this face's landmarks. Raises FreeTalkError on another shape."""
    wanted = np.zeros((len(motion), len(CHANNELS)), np.float32) if tongue is None else np.asarray(tongue, np.float32)
    if wanted.shape != (len(motion), len(CHANNELS)) or not np.isfinite(wanted).all():
        raise FreeTalkError(
            f"A tongue has finite values of shape ({len(motion)}, {len(CHANNELS)}), not {wanted.shape}."
        )
    if face.opened is None:
        return wanted[:, :0]
    return inner_mouths.tongue_weights(face.opened, wanted, motion)


def shape_keys(
    face: Face, displacement: np.ndarray, tolerance: float = 0.1, tongue: np.ndarray | None = None
) -> ShapeKeys:
    """A performance (T,68,3) as shape keys, in mesh units, at a largest error of `tolerance` mm (|36-45| counts as 90
    mm).

    The keys are for the vertices of `face.opened`, mouth bag included, where the mouth was opened; otherwise for the
    caller's. The dense sequence is never made: a binding's matrix is shapes already. tongue (T,3): a performance's, at
    rest if None; where the face has a made one, it has three keys of its own, the last.
    """
    motion = landmark_motion(face, displacement)
    code = face.binding.codes(motion)
    moving = face.binding.matrix.reshape(len(face.binding.matrix), -1, 3)
    half = tolerance / 2 * face.frame.units_per_mm  # the other half is for the meeting of the lips, and for the lids
    keys = compress_factors(code, moving, half)
    error = keys.max_error
    keys = replace(keys, shapes=face.mesh.to_caller(face.binding.spread(keys.shapes)))
    if face.contact:
        keys = contact.met(keys, face.contact, contact.closed(motion, face.neutral), half)
    if face.eyelids:
        keys = eyelids.met(keys, face.eyelids, lids.closed(motion, face.neutral), half, error)
    if face.opened is None:
        return keys
    keys = replace(keys, shapes=face.opened.carried(keys.shapes))
    return inner_mouths.with_tongue(keys, face.opened, tongue_weights(face, tongue, motion))
