"""A dense statistical face laid on a scan, so that the whole surface says where its landmarks are.

Sources: Blanz & Vetter 1999, "A morphable model for the synthesis of 3D faces" (the prior); Chen & Medioni 1991 (point
to plane); Amberg et al. 2008, "Expression invariant 3D face recognition with a morphable model" (prior, landmarks and
surface in one robust least-squares problem).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from ..frame import Similarity
from ..landmarks import COUNT

#: How far the surface may be from the model (eye distances), from the first round to the last.
REACHES = (0.15, 0.12, 0.10, 0.08, 0.06, 0.06, 0.05, 0.05)
#: A fit that starts from an earlier one begins with this round.
AGAIN = 4
#: Expected distance of surface from model, by what the modes leave, noise, hair and damage: so many times the median
#: distance around a skin point (neighbours say the same thing), within these bounds. Chosen on 100 scans kept for that.
DOUBT, LEAST_SIGMA, MOST_SIGMA = 3.0, 0.008, 0.04
#: Skin points around one, itself among them, of which that median is taken.
AROUND = 40


@dataclass(frozen=True)
class SurfacePrior:
    """mean (68 + P, 3) canonical landmarks and skin points; modes (K, 68 + P, 3), one standard deviation each, the last
    ones of the skin alone: what smoothing leaves of its relief; normals (P, 3) of the mean's skin points."""

    mean: np.ndarray
    modes: np.ndarray
    normals: np.ndarray


@lru_cache(maxsize=1)
def prior() -> SurfacePrior:
    """Mean (68 + P, 3), modes (K, 68 + P, 3) and normals (P, 3) of the dense face, read once."""
    with np.load(Path(__file__).with_name("surface_prior.npz")) as arrays:
        return SurfacePrior(*(arrays[name].astype(np.float64) for name in ("mean", "modes", "normals")))


@lru_cache(maxsize=1)
def _basis() -> np.ndarray:
    """(68 + P, 3, K) the modes, as the fit multiplies them."""
    return np.ascontiguousarray(prior().modes.transpose(1, 2, 0))


@lru_cache(maxsize=1)
def _around() -> np.ndarray:
    """(P, AROUND) the skin points nearest to each on the mean face."""
    skin = prior().mean[COUNT:]
    return cKDTree(skin).query(skin, AROUND)[1]


@dataclass(frozen=True)
class SurfaceFit:
    """points (68, 3): where the model has the landmarks; error (68,): their standard deviation under the model;
    code (K,) and move: the model's shape and place."""

    points: np.ndarray
    error: np.ndarray
    code: np.ndarray
    move: Similarity


def fit_surface(
    points: np.ndarray, error: np.ndarray, samples: np.ndarray, normals: np.ndarray, start: SurfaceFit | None = None
) -> SurfaceFit:
    """The model laid on landmarks (68, 3) with expected errors (68,) and surface samples (S, 3) with normals (S, 3).

    Everything canonical, in eye distances. start: an earlier fit to the same samples, from which fewer rounds do.
    """
    model = prior()
    count = len(model.modes)
    basis = _basis()
    tree = cKDTree(samples)
    sigma = np.hypot(error, 0.02)
    code, move = np.zeros(count), Similarity(1.0, np.eye(3), np.zeros(3))
    reaches: tuple[float | None, ...] = (None, None, *REACHES)
    if start is not None:
        code, move, reaches = start.code, start.move, REACHES[AGAIN:]
    for step, reach in enumerate(reaches):
        placed = move.to_mesh(model.mean + basis @ code)
        jacobian = _jacobian(move, placed, basis)
        miss = points - placed[:COUNT]
        distance = np.linalg.norm(miss, axis=1)
        weight = sigma**-2 / (1 + (distance / (2 * sigma)) ** 2 * (step > 0 or start is not None))
        rows = jacobian[:COUNT].reshape(3 * COUNT, -1)
        left = (rows.T * np.repeat(weight, 3)) @ rows
        right = rows.T @ (np.repeat(weight, 3) * miss.ravel())
        if reach is not None:
            near, normal, offset = _meet(tree, normals, placed[COUNT:], model.normals @ move.rotation.T, reach)
            weight = surface_sigma(near, offset) ** -2 / (1 + (offset / (0.3 * reach)) ** 2) ** 2
            along = np.einsum("pi,pik->pk", normal, jacobian[COUNT + near])
            left += (along.T * weight) @ along
            right += along.T @ (weight * offset)
        left[range(count), range(count)] += 1
        right[:count] -= code
        change = np.linalg.solve(left, right)
        code = code + change[:count]
        turn = Rotation.from_rotvec(change[count : count + 3]).as_matrix()
        grow = float(np.exp(change[count + 6]))
        shift = change[count + 3 : count + 6]
        move = Similarity(grow * move.scale, turn @ move.rotation, grow * turn @ move.translation + shift)
    spread = np.linalg.inv(left)
    covariance = np.einsum("pik,kl,pil->p", jacobian[:COUNT], spread, jacobian[:COUNT])
    placed = move.to_mesh(model.mean[:COUNT] + basis[:COUNT] @ code)
    return SurfaceFit(placed, np.sqrt(covariance), code, move)


def _meet(
    tree: cKDTree, normals: np.ndarray, placed: np.ndarray, turned: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of the placed skin points (P, 3) with normals `turned` (P, 3) find surface, samples of a tree with normals
    (S, 3), within reach and facing as they do: their rows (N,), the surface's normals (N, 3), distances along them."""
    gap, nearest = tree.query(placed, distance_upper_bound=reach)
    near = np.flatnonzero(np.isfinite(gap))
    normal = normals[nearest[near]]
    facing = (normal * turned[near]).sum(1)
    normal = normal * np.sign(facing)[:, None]
    near, normal = near[np.abs(facing) > 0.6], normal[np.abs(facing) > 0.6]
    return near, normal, (normal * (tree.data[nearest[near]] - placed[near])).sum(1)


def relief(laid: SurfaceFit, samples: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(P,) how far surface samples (S, 3) with normals (S, 3), canonical, lie outside the model's skin points, in eye
    distances; NaN where there is no surface."""
    model = prior()
    placed = laid.move.to_mesh(model.mean[COUNT:] + _basis()[COUNT:] @ laid.code)
    near, _, offset = _meet(cKDTree(samples), normals, placed, model.normals @ laid.move.rotation.T, REACHES[-1])
    found = np.full(len(placed), np.nan)
    found[near] = offset
    return found


def surface_sigma(near: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """(N,) expected distance of the surface from each skin point of rows `near` (N,), from the offsets (N,) of all.

    A scan is exact in one place and bumpy, bearded or torn in another; its own residuals tell where.
    """
    distance = np.full(len(prior().normals), np.inf)
    distance[near] = np.abs(offset)
    around = np.sort(distance[_around()[near]], axis=1)  # points without surface come last
    middle = (np.isfinite(around).sum(1) - 1) // 2
    return np.clip(DOUBT * around[np.arange(len(near)), middle], LEAST_SIGMA, MOST_SIGMA)


def _jacobian(move: Similarity, placed: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """(N, 3, K + 7) change of placed points (N, 3) with code, turn, shift and log-scale."""
    x, y, z = placed.T
    zero = np.zeros_like(x)
    turn = np.stack([np.stack([zero, z, -y], -1), np.stack([-z, zero, x], -1), np.stack([y, -x, zero], -1)], 1)
    shift = np.broadcast_to(np.eye(3), (len(placed), 3, 3))
    along = move.scale * np.einsum("ij,njk->nik", move.rotation, basis)
    return np.concatenate([along, turn, shift, placed[:, :, None]], 2)
