"""The last step of landmark detection: what its measurements, where they disagree, say of the error that is left.

The networks measured each landmark twice, from far and from near, and a dense face was laid on the scan; how far these
lie from the answer between them, and how far the scan's surface lies outside the dense face all over, tells much of how
far that answer is off: scans that smoothed a face, for one, move its eye corners and lips alike. One linear map knows
how, in the dense face's own frame. Written by `python -m export.landmark_correction`. Source: ridge regression (Hoerl &
Kennard 1970); a learned step towards the truth from what a fit leaves: Cootes et al. 2001, "Active appearance models".
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..frame import Similarity
from ..landmarks import COUNT, MIRRORED
from .surface_fit import SurfaceFit, prior

#: Numbers that tell of each landmark: where three sources have it.
DIFFERENCES = 9
#: What is further than so many standard deviations from the training counts as just so far.
MOST = 3.0
FILE = "landmark_correction.npz"


@dataclass(frozen=True)
class Measurements:
    """What the detector knows of its landmarks beside where they are.

    frame: from the dense face's axes to the mesh. points (68, 3): the answer, in the mesh. known (68 * 9 + P,): where
    the dense face, the close-ups and the pictures of the whole face had each point, as seen from the answer (three
    vectors, in the dense face's axes and eye distances), and how far outside each of the dense face's skin points the
    surface lies, 0 where there is none.
    """

    frame: Similarity
    points: np.ndarray
    known: np.ndarray


def measurements(
    face: Similarity, laid: SurfaceFit, relief: np.ndarray, points: np.ndarray, closer: np.ndarray, rays: np.ndarray
) -> Measurements:
    """What is known of mesh points (68, 3); closer, rays (68, 3): the two measurements of them, in the mesh.

    laid: the dense face in the axes of `face`, its points in the mesh; relief (P,): the surface's distances from its
    skin, NaN where there is none.
    """
    frame = Similarity(
        face.scale * laid.move.scale, face.rotation @ laid.move.rotation, face.to_mesh(laid.move.translation)
    )
    sources = [frame.vectors_to_canonical(other - points) for other in (laid.points, closer, rays)]
    return Measurements(frame, points, np.append(np.concatenate(sources, 1), np.nan_to_num(relief)))


@lru_cache(maxsize=1)
def twins() -> np.ndarray:
    """(P,) the skin point that takes each one's place in a mirror: pairs that are nearest to each other's mirror image
    on the whole, 3 mm off, for none has an exact one; some beside the middle are their own."""
    skin = prior().mean[COUNT:]
    left, right = np.flatnonzero(skin[:, 0] > 0), np.flatnonzero(skin[:, 0] <= 0)
    apart = ((skin[left, None] * [-1, 1, 1] - skin[right]) ** 2).sum(-1)
    alone = [np.where(np.eye(len(side)) > 0, (2 * skin[side, 0]) ** 2, np.inf) for side in (left, right)]
    cost = np.block([[apart, alone[0]], [alone[1], np.zeros(apart.T.shape)]])
    one, other = linear_sum_assignment(cost)
    paired = (one < len(left)) & (other < len(right))
    one, other = left[one[paired]], right[other[paired]]
    found = np.arange(len(skin))
    found[one], found[other] = other, one
    return found


def in_mirror(known: np.ndarray) -> np.ndarray:
    """What is known (N, E) of the faces in a mirror."""
    told = COUNT * DIFFERENCES
    differences = known[:, :told].reshape(-1, COUNT, DIFFERENCES // 3, 3)[:, MIRRORED] * [-1, 1, 1]
    return np.concatenate([differences.reshape(len(known), told), known[:, told:][:, twins()]], 1)


@dataclass(frozen=True)
class Correction:
    """mean, scale (E,): of what the training knew; weights (E, 204) and constant (204,): what is known, in standard
    deviations -> what to add to the points, in the dense face's axes and eye distances."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    constant: np.ndarray

    def __call__(self, known: np.ndarray) -> np.ndarray:
        """(..., 68, 3) what to add to points of which (..., E) is known."""
        told = ((known - self.mean) / self.scale).clip(-MOST, MOST)
        return (told @ self.weights + self.constant).reshape(*known.shape[:-1], COUNT, 3)


@lru_cache(maxsize=1)
def load() -> Correction:
    """The correction that was learned, read once."""
    with np.load(Path(__file__).with_name(FILE)) as arrays:
        return Correction(*(arrays[name].astype(np.float64) for name in ("mean", "scale", "weights", "constant")))


def corrected(given: Measurements) -> np.ndarray:
    """(68, 3) the points, in the mesh, with the error taken off that the measurements speak of."""
    return given.points + given.frame.vectors_to_mesh(load()(given.known))
