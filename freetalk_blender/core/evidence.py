"""How far the learned part of a motion is to be believed in one frame, from that frame's landmarks alone.

Each landmark is predicted from the other 67, once by the learned columns beside the smooth process and once by the
smooth process alone: leave-one-out residuals, which are linear in the motion (Rasmussen & Williams 2006, "Gaussian
Processes for Machine Learning", ch. 5.4.2). Where the columns predict worse than smoothness does, the artist or person
at work is not the one that they were learned from, and they are believed less: the odds are a product of powers of the
ratios of squared residuals, as in model averaging by pseudo-likelihood (Geisser & Eddy 1979; Yao et al. 2018, "Using
stacking to average Bayesian predictive distributions"), with powers and bias calibrated on motion in many styles
(`python -m export.calibrate_stm`). The gates are smooth in the motion and do not depend on its size but for FLOOR.
"""

from dataclasses import dataclass

import numpy as np

from .frame import EYE_DISTANCE_MM
from .landmarks import COUNT
from .ramp import smooth_step

#: Landmarks whose residuals are added up: sides of the jaw line, chin, brows, nose, lids, lips.
GROUPS = ((*range(5), *range(12, 17)), range(5, 12), range(17, 27), range(27, 36), range(36, 48), range(48, 68))
#: What is gated, each by its own gate; lips are not.
REGIONS = ("cheeks, nose and jaw", "brows and forehead", "lids")
#: Squared residual (mm²) that is added to that of each group: below it landmarks only tremble.
FLOOR = 0.1
#: Power of each group's ratio (a row for each of REGIONS), and log odds when all ratios are 1.
POWERS = np.array(
    [
        [1.14, 0.00, 0.01, 0.00, 0.28, 0.91],
        [0.97, 0.24, 1.54, 0.04, 0.89, 0.18],
        [0.85, 0.13, 1.18, 0.08, 0.96, 0.38],
    ]
)
BIAS = np.array([0.78, 0.18, 0.13])
#: Shapes that the gate may take away, of each region: six sevenths of what was learned there.
RANKS = (40, 12, 12)
#: Reach (canonical units) of lips and lids around their landmarks, faded to nothing at twice as much; and the band
#: below the brows in which what is theirs begins.
_REACH, _BELOW = 0.08, (-0.15, -0.05)

_IN_GROUP = np.array([[float(k in group) for group in GROUPS] for k in range(COUNT)], np.float32)


@dataclass(frozen=True)
class Evidence:
    """probe (204, 408) float32: landmark motion -> residuals of smoothness alone, then of the columns; code (204,K)
    float32: landmark motion -> weights of the K shapes that gates take away; region (K,) int: whose gate."""

    probe: np.ndarray
    code: np.ndarray
    region: np.ndarray

    def gates(self, rows: np.ndarray) -> np.ndarray:
        """(T,3) share of the learned motion that is believed in each of REGIONS; rows (T,204), canonical units."""
        return shares(log_ratios(rows, self.probe))

    def doubted(self, rows: np.ndarray) -> np.ndarray:
        """(T,K) float32 weights of the shapes that are taken away; rows (T,204), canonical units."""
        return (rows @ self.code) * (self.gates(rows) - 1).astype(np.float32)[:, self.region]


def log_ratios(rows: np.ndarray, probe: np.ndarray) -> np.ndarray:
    """(T,6) logarithm of the squared residuals of GROUPS, of smoothness alone over those of the columns.

    rows (T,204): landmark motion, canonical units; probe (204,408).
    """
    squared = np.square(EYE_DISTANCE_MM * (rows @ probe)).reshape(len(rows), 2, COUNT, 3).sum(3)
    smooth, learned = np.log(squared @ _IN_GROUP + FLOOR).transpose(1, 0, 2)
    return smooth - learned


def shares(ratios: np.ndarray) -> np.ndarray:
    """(T,3) gates from `log_ratios` (T,6)."""
    return 1 / (1 + np.exp(-(ratios @ POWERS.T + BIAS)))


def regions(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(N,3) how much of each of REGIONS points (N,3) are; at the lips they add up to 0; landmarks (68,3)."""

    def near(rows: slice) -> np.ndarray:
        away = np.linalg.norm(points[:, None] - landmarks[None, rows], axis=2).min(1)
        return smooth_step(2 - away / _REACH)

    free = 1 - near(slice(48, 68))
    lids = free * near(slice(36, 48))
    start, end = _BELOW
    above = smooth_step((points[:, 1] - landmarks[17:27, 1].mean() - start) / (end - start))
    brows = (free - lids) * above
    return np.stack([free - lids - brows, brows, lids], 1)


def held_out(covariance: np.ndarray) -> np.ndarray:
    """(3L,3L): motion of L landmarks -> what is left of each when the others predict it; covariance (3L,3L) of a
    Gaussian process."""
    precision = np.linalg.inv(covariance)
    count = len(precision) // 3
    own = np.einsum("kikj->kij", precision.reshape(count, 3, count, 3))
    return np.linalg.solve(own, precision.reshape(count, 3, -1)).reshape(len(precision), -1)


def residuals(learned: list[np.ndarray], smooth: np.ndarray) -> np.ndarray:
    """(204,408) float32, `Evidence.probe`, from covariances (204,204) of landmark motion: of each network's columns
    beside the smooth process, and of the smooth process alone."""
    mean = sum(held_out(each) for each in learned) / len(learned)
    return np.concatenate([held_out(smooth), mean]).T.astype(np.float32)


def evidence(
    learned: list[np.ndarray], smooth: np.ndarray, matrix: np.ndarray, share: np.ndarray
) -> tuple[Evidence, np.ndarray]:
    """The gates of one face, and the shapes (K,3N) float32 that they take away.

    learned, smooth: as `residuals` takes them; matrix (204,3N): landmark motion -> learned part of the motion; share
    (N,3): `regions` of the vertices. The shapes are the principal ones of what each region learned, for landmark motion
    of the mean of the learned covariances.
    """
    root = np.linalg.cholesky(sum(learned) / len(learned))
    codes, shapes = [], []
    for gate, rank in zip(share.T, RANKS, strict=True):
        part = matrix * np.repeat(gate, 3).astype(np.float32)
        turn = np.linalg.eigh(root.T @ (part @ part.T) @ root)[1][:, -rank:]
        codes.append(np.linalg.solve(root.T, turn))
        shapes.append((root @ turn).T.astype(np.float32) @ part)
    region = np.repeat(np.arange(len(RANKS)), RANKS)
    belief = Evidence(residuals(learned, smooth), np.concatenate(codes, 1).astype(np.float32), region)
    return belief, np.concatenate(shapes)
