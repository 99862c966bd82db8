"""Calibrate how far STM's correction is believed: `python -m export.calibrate_stm --data ../shared/data`.

Fits the powers and the bias of `core.binding.evidence` so that vertices are least in error, on faces never trained on
that are moved in ICT-FaceKit's own style, in the styles of training, and by artists whose skin follows smoothly. Prints
them, and what they do on the identities kept for validation; then the errors by which `stm.FAR_TRUST` was chosen.
Samples stay in the work folder; about two minutes of one core.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch

from export import command, ict, stm_data
from export.stm_batches import FEATURE_WEIGHTS, REGIONS
from freetalk_blender.core import models
from freetalk_blender.core.binding import evidence, stm
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import BROWS, COUNT, LIDS

#: Motions of one face in each style, 24 frames each, at 400 vertices of `evidence.region`.
STYLES = {"own style": 4, "training's styles": 3, "soft styles": 3}
FRAMES, VERTICES = 24, 400
#: Shares of the correction at which errors are measured; between them they are linear.
SHARES = np.linspace(0, 1, 11, dtype=np.float32)
#: Shares of what the far landmarks add to lids and brows at which errors are printed.
FAR_SHARES = (1, 0.75, 0.5, stm.FAR_TRUST, 0.2, 0)
#: Share of frames of other styles that have a wide open jaw, and how wide: shares of ICT-FaceKit's.
_JAWS, _WIDE = 0.2, (0.5, 1.6)
_STEPS, _FRAMES_PER_STEP, _RATE = 1500, 1024, 2e-2


@dataclass(frozen=True)
class Frames:
    """Of T frames: ratios (T,6), `evidence.log_ratios`; errors (T,S), mean error (mm) of the vertices when SHARES of
    the correction are used; style (T,), an index of STYLES."""

    ratios: torch.Tensor
    errors: torch.Tensor
    style: np.ndarray


@dataclass(frozen=True)
class Bound:
    """One sample, bound: points (N,3), landmarks (68,3), interpolant's weights (N,68), gated basis (N,3,R) and its rows
    at the landmarks (68,3,R), code (R,204)."""

    points: np.ndarray
    landmarks: np.ndarray
    weights: np.ndarray
    basis: np.ndarray
    rows: np.ndarray
    code: np.ndarray

    def learned(self, at: np.ndarray, far: float = stm.FAR_TRUST) -> np.ndarray:
        """(204,3P) what the network adds at vertices (P,); far: as `stm.trust` takes it."""
        trusted = stm.trust(self.points[at], self.landmarks, far)
        return stm.correction(self.basis[at], self.rows, self.weights[at], self.code, trusted)

    def missed(self, at: np.ndarray, motion: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """(T,P,3) what the interpolant misses of the truth (T,P,3) when the landmarks move (T,68,3)."""
        return truth - np.einsum("pk,tkc->tpc", self.weights[at], motion, optimize=True)


class Moved:
    """Faces bound by the network that is in use, moved in random styles."""

    def __init__(self, model: ict.IctModel):
        self.session = models.session("stm", "cpu")
        self.variances = stm.variances(models.metadata("stm"))
        shapes = stm_data.skin_expressions(model)
        self.jaw = int(np.flatnonzero(shapes == model.index("jawOpen"))[0])
        expression = model.expression[shapes]
        self.expression = np.ascontiguousarray(expression.transpose(1, 0, 2).reshape(expression.shape[1], -1))

    def frames(self, files: list[Path]) -> Frames:
        """Frames of all samples in all styles."""
        parts = [self._of(stm_data.load(path), np.random.default_rng([321, k])) for k, path in enumerate(files)]
        ratios, errors, style = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Frames(torch.from_numpy(ratios.astype(np.float32)), torch.from_numpy(errors), style)

    def eyes(self, files: list[Path]) -> np.ndarray:
        """(2,styles,FAR_SHARES) mean error (mm) of lids and of brows over all samples."""
        each = [self._eyes(stm_data.load(path), np.random.default_rng([322, k])) for k, path in enumerate(files)]
        return np.mean(each, axis=0)

    def _bound(self, sample: stm_data.Sample) -> Bound:
        features = sample.features.astype(np.float32)
        (basis,) = self.session.run(["basis"], {"features": features})
        basis = basis * sample.gate[:, None, None]
        code = stm.mean_posterior(basis, sample.rows, sample.covariance.astype(np.float64), self.variances)
        points, weights = features[:, :3], features[:, FEATURE_WEIGHTS]
        return Bound(points, points[sample.rows], weights, basis, basis[sample.rows], code)

    def _of(self, sample: stm_data.Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        bound = self._bound(sample)
        at = _picked(sample, bound, rng)
        learned = bound.learned(at)
        covariance = sample.covariance.astype(np.float64)
        probe = evidence.residuals(*stm.covariances(bound.rows, covariance, self.variances))
        ratios, errors, style = [], [], []
        for kind, count in enumerate(STYLES.values()):
            for _ in range(count):
                motion, truth = self._motion(sample, at, kind, rng)
                rows, missed = motion.reshape(len(motion), -1), bound.missed(at, motion, truth)
                added = (rows @ learned).reshape(missed.shape)
                ratios.append(evidence.log_ratios(rows, probe))
                errors.append(_errors(missed, added))
                style.append(np.full(len(motion), kind))
        return np.concatenate(ratios), np.concatenate(errors), np.concatenate(style)

    def _eyes(self, sample: stm_data.Sample, rng: np.random.Generator) -> np.ndarray:
        bound = self._bound(sample)
        known = np.diff(sample.carry.indptr) > 0
        parts = ((LIDS, stm.LID_REACH), (BROWS, stm.BROW_REACH))
        near = np.stack([_away(bound, part) < 2 * reach for part, reach in parts])
        at = np.flatnonzero(known & near.any(0))
        learned = [bound.learned(at, far) for far in FAR_SHARES]
        found = np.zeros((2, len(STYLES), len(FAR_SHARES)))
        for kind, count in enumerate(STYLES.values()):
            for _ in range(count):
                motion, truth = self._motion(sample, at, kind, rng)
                rows, missed = motion.reshape(len(motion), -1), bound.missed(at, motion, truth)
                for k, each in enumerate(learned):
                    error = np.linalg.norm(missed - (rows @ each).reshape(missed.shape), axis=2).mean(0)
                    found[:, kind, k] += [EYE_DISTANCE_MM / count * error[inside].mean() for inside in near[:, at]]
        return found

    def _motion(
        self, sample: stm_data.Sample, at: np.ndarray, kind: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Motion (T,68,3) of the landmarks and (T,P,3) of the vertices in a style, an index of STYLES."""
        landmarks = sample.carry[sample.rows] if rng.random() < 0.5 else sample.landmark_carry
        place = sp.vstack([landmarks, sample.carry[at]], "csr")
        shapes = (place @ self.expression).reshape(COUNT + len(at), -1, 3).transpose(1, 0, 2) @ sample.to_canonical
        features = sample.features[np.concatenate([sample.rows, at])].astype(np.float32)
        if kind:
            strength = rng.uniform(0, 1) * (rng.random() < 0.5)
            shapes = stm_data.exchanged(shapes, strength, rng)
            shapes = stm_data.style(features[:, :3], shapes, 2 * rng.uniform(), rng)
        if kind == 2:
            weights = features[COUNT:, FEATURE_WEIGHTS].astype(np.float64)
            shapes = stm_data.softened(shapes, weights, sample.covariance.astype(np.float64), rng)
        amount = stm_data.random_weights(rng, FRAMES, len(shapes), self.jaw)
        if kind:
            wide = rng.random(FRAMES) < _JAWS
            amount[wide] *= rng.random((wide.sum(), 1)) < 0.5  # half of them with nothing else
            amount[wide, self.jaw] = rng.uniform(*_WIDE, wide.sum())
        moved = np.tensordot(amount, shapes, 1).astype(np.float32)
        return moved[:, :COUNT], moved[:, COUNT:]


def _picked(sample: stm_data.Sample, bound: Bound, rng: np.random.Generator) -> np.ndarray:
    """Vertices that are gated, whose truth is known, no further from the landmarks than cheeks."""
    near = _away(bound, slice(None)) < REGIONS["cheeks and jaw"][1]
    gated = evidence.region(bound.points, bound.landmarks) > 0.5
    at = np.flatnonzero(near & (np.diff(sample.carry.indptr) > 0) & gated)
    return rng.choice(at, min(VERTICES, len(at)), replace=False)


def _away(bound: Bound, part: slice) -> np.ndarray:
    """(N,) distance to the nearest of some landmarks."""
    return np.linalg.norm(bound.points[:, None] - bound.landmarks[None, part], axis=2).min(1)


def _errors(missed: np.ndarray, added: np.ndarray) -> np.ndarray:
    """(T,S) mean error (mm) at each of SHARES; missed by the interpolant and added by the network (T,P,3)."""
    error = [np.linalg.norm(missed - used * added, axis=2).mean(1) for used in SHARES]
    return EYE_DISTANCE_MM * np.stack(error, 1)


def at_share(errors: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """(T,) errors (T,S) between SHARES, at share (T,)."""
    place = share.clamp(0, 0.9999) * (len(SHARES) - 1)
    below = place.floor().long()
    rest = place - below
    low, high = (errors.gather(1, (below + k)[:, None])[:, 0] for k in (0, 1))
    return (1 - rest) * low + rest * high


def gate(ratios: torch.Tensor, powers: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """(T,), as `evidence.share`."""
    return torch.sigmoid(ratios @ powers + bias)


def fit(frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
    """Powers (6,), none below 0, and bias () by which the vertices are least in error."""
    torch.manual_seed(0)
    powers, bias = torch.zeros(len(evidence.GROUPS)), torch.ones(())
    optimiser = torch.optim.Adam([powers.requires_grad_(), bias.requires_grad_()], lr=_RATE)
    for step in range(_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = _RATE if step < _STEPS * 2 / 3 else _RATE / 5
        some = torch.randint(len(frames.ratios), (_FRAMES_PER_STEP,))
        error = at_share(frames.errors[some], gate(frames.ratios[some], powers, bias))
        optimiser.zero_grad()
        (error / frames.errors.mean()).mean().backward()
        optimiser.step()
        with torch.no_grad():
            powers.clamp_(min=0)
    return powers.detach(), bias.detach()


def table(frames: Frames, found: dict[str, torch.Tensor]) -> str:
    """Mean error (mm) in each style when the shares `found` (T,) are used, and the mean share."""
    lines = ["| | " + " | ".join(STYLES) + " |", "|---|" + "---|" * len(STYLES)]
    for name, share in found.items():
        error = at_share(frames.errors, share)
        inside = [frames.style == kind for kind in range(len(STYLES))]
        cells = [f"{float(error[each].mean()):.4f} ({float(share[each].mean()):.2f})" for each in inside]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def eyes_table(errors: np.ndarray) -> str:
    """What `Moved.eyes` found."""
    lines = ["| | " + " | ".join(STYLES) + " |", "|---|" + "---|" * len(STYLES)]
    for name, rows in zip(("lids", "brows"), errors, strict=True):
        lines.append(f"| {name} | " + " | ".join(" ".join(f"{value:.4f}" for value in row) for row in rows) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--work", type=Path, default=Path("build/stm"), help="folder of samples")
    arguments = parser.parse_args()
    model = ict.load(arguments.data)
    moved = Moved(model)
    files = [
        stm_data.prepare(model, arguments.work / name, len(seeds), first=seeds[0])
        for name, seeds in (("calibration", stm_data.CALIBRATION), ("validation", stm_data.VALIDATION))
    ]
    used, kept = map(moved.frames, files)
    powers, bias = fit(used)
    print("POWERS =", np.array2string(powers.numpy(), precision=2, separator=", "))
    print(f"BIAS = {float(bias):.2f}")
    full = torch.ones(len(kept.ratios))
    stored = torch.tensor(evidence.POWERS, dtype=torch.float32), torch.tensor(evidence.BIAS)
    best = torch.from_numpy(SHARES)[kept.errors.argmin(1)]
    found = {
        "nothing": 0 * full,
        "all": full,
        "the gate in use": gate(kept.ratios, *stored),
        "this gate": gate(kept.ratios, powers, bias),
        "the best share of each frame": best,
    }
    print(f"validation identities, mm (mean share):\n{table(kept, found)}")
    for name, part in zip(("calibration", "validation"), files, strict=True):
        shares = ", ".join(f"{share:g}" for share in FAR_SHARES)
        print(f"{name} identities, mm with {shares} of what the far landmarks add:\n{eyes_table(moved.eyes(part))}")


if __name__ == "__main__":
    command.run(main)
