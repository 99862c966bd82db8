"""How far the learned part of a motion is to be believed in one frame, from that frame's landmarks alone.

Each landmark is predicted from the other 67, once by the learned columns beside the smooth process and once by the
smooth process alone: leave-one-out residuals, which are linear in the motion (Rasmussen & Williams 2006, "Gaussian
Processes for Machine Learning", ch. 5.4.2). Where the columns predict worse than smoothness does, the artist or person
at work is not the one that they were learned from, and they are believed less: the odds are a product of powers of the
ratios of squared residuals, as in model averaging by pseudo-likelihood (Geisser & Eddy 1979; Yao et al. 2018, "Using
stacking to average Bayesian predictive distributions"), with powers and bias calibrated on motion in many styles
(`python -m export.calibrate_stm`). The gate is smooth in the motion and does not depend on its size but for FLOOR. It
holds for cheeks, nose and jaw, where landmarks are far apart.
"""

from dataclasses import dataclass

import numpy as np

from ..frame import EYE_DISTANCE_MM
from ..landmarks import COUNT
from ..ramp import smooth_step

#: Landmarks whose residuals are added up: sides of the jaw line, chin, brows, nose, lids, lips.
GROUPS = ((*range(5), *range(12, 17)), range(5, 12), range(17, 27), range(27, 36), range(36, 48), range(48, 68))
#: Squared residual (mm²) that is added to that of each group: below it landmarks only tremble.
FLOOR = 0.1
#: Power of each group's ratio, and log odds when all ratios are 1.
POWERS = np.array([0.51, 0.38, 0.00, 0.38, 0.29, 0.79])
BIAS = 1.74
#: Shapes that the gate may take away: six sevenths of what was learned.
RANK = 40
#: Reach (canonical units) of lips and lids around their landmarks, faded to nothing at twice as much; and the band
#: below the brows in which what is theirs begins.
_REACH, _BELOW = 0.08, (-0.15, -0.05)

_IN_GROUP = np.array([[float(k in group) for group in GROUPS] for k in range(COUNT)], np.float32)


@dataclass(frozen=True)
class Evidence:
    """probe (204, 408) float32: landmark motion -> residuals of smoothness alone, then of the columns; code (204,RANK)
    float32: landmark motion -> weights of the shapes that the gate takes away."""

    probe: np.ndarray
    code: np.ndarray

    def gate(self, rows: np.ndarray) -> np.ndarray:
        """(T,) share of the learned motion that is believed; rows (T,204), canonical units."""
        return share(log_ratios(rows, self.probe))

    def doubted(self, rows: np.ndarray) -> np.ndarray:
        """(T,RANK) float32 weights of the shapes that are taken away; rows (T,204), canonical units."""
        return (rows @ self.code) * (self.gate(rows) - 1).astype(np.float32)[:, None]


def log_ratios(rows: np.ndarray, probe: np.ndarray) -> np.ndarray:
    """(T,6) logarithm of the squared residuals of GROUPS, of smoothness alone over those of the columns.

    rows (T,204): landmark motion, canonical units; probe (204,408).
    """
    squared = np.square(EYE_DISTANCE_MM * (rows @ probe)).reshape(len(rows), 2, COUNT, 3).sum(3)
    smooth, learned = np.log(squared @ _IN_GROUP + FLOOR).transpose(1, 0, 2)
    return smooth - learned


def share(ratios: np.ndarray) -> np.ndarray:
    """(T,) gate from `log_ratios` (T,6)."""
    return 1 / (1 + np.exp(-(ratios @ POWERS + BIAS)))


def region(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(N,) 1 on cheeks, nose and jaw, where the gate holds, 0 on lips, lids, brows and forehead, smooth between.

    points (N,3), landmarks (68,3): canonical units.
    """
    away = np.linalg.norm(points[:, None] - landmarks[None, 36:], axis=2).min(1)
    start, end = _BELOW
    above = smooth_step((points[:, 1] - landmarks[17:27, 1].mean() - start) / (end - start))
    return (1 - smooth_step(2 - away / _REACH)) * (1 - above)


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
    learned: list[np.ndarray], smooth: np.ndarray, matrix: np.ndarray, where: np.ndarray
) -> tuple[Evidence, np.ndarray]:
    """The gate of one face, and the shapes (RANK,3N) float32 that it takes away.

    learned, smooth: as `residuals` takes them; matrix (204,3N): landmark motion -> learned part of the motion; where
    (N,): `region` of the vertices. The shapes are the principal ones of what was learned there, for landmark motion
    of the mean of the learned covariances.
    """
    root = np.linalg.cholesky(sum(learned) / len(learned))
    part = matrix * np.repeat(where, 3).astype(np.float32)
    turn = np.linalg.eigh(root.T @ (part @ part.T) @ root)[1][:, -RANK:]
    code = np.linalg.solve(root.T, turn).astype(np.float32)
    return Evidence(residuals(learned, smooth), code), (root @ turn).T.astype(np.float32) @ part
