"""Write the last step of landmark detection: `python -m export.landmark_correction --data ../shared/data --work DIR`.

Random scans with everything scanners do are detected, and a ridge regression learns what is left of each landmark's
error from what the detector knows (freetalk_blender/core/detection/correction.py). Each scan counts twice, as it is and
in a mirror, so that left and right are corrected alike. What was detected is kept in the folder, so the command
resumes, and two of them, one with `--backwards`, share the work.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import command, ict, landmark_data, scanning
from freetalk_blender.core import atomic
from freetalk_blender.core.detection import correction, detector
from freetalk_blender.core.detection.correction import Correction, in_mirror
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import MIRRORED

OUTPUT = Path(correction.__file__).with_name(correction.FILE)
#: First seed and number of scans: with every defect, in the model's own proportions, warped, with features reshaped,
#: with strong expressions or melted, every second of these three warped too. No validation table and no choice of
#: anything else uses them.
SCANS = {
    "own": (2_300_000, 800),
    "warped": (2_310_000, 400),
    "reshaped": (2_320_000, 700),
    "strong": (2_340_000, 300),
    "melted": (2_350_000, 300),
}
#: Of the ridge, by cross-validation over scans and, the penalty, by asking kinds of scans that it had not learned from:
#: penalty of a squared weight, in samples; errors beyond so many mm count as just so large; a scan's weight falls with
#: its median error beyond so many mm.
PENALTY, MOST_MM, STEADY_MM = 1.0, 3.0, 0.3


@dataclass(frozen=True)
class Found:
    """known (N, E): what the detector knows of N scans; left (N, 68, 3): what its answer lacks, in the dense face's
    axes, mm of a face of 90."""

    known: np.ndarray
    left: np.ndarray

    def with_mirror(self) -> "Found":
        left = self.left[:, MIRRORED] * [-1, 1, 1]
        return Found(np.concatenate([self.known, in_mirror(self.known)]), np.concatenate([self.left, left]))


def subject(model: ict.IctModel, kind: str, seed: int) -> landmark_data.Subject:
    """The scan of one seed."""
    others = ("reshaped", "strong", "melted")
    warped = kind == "warped" or (kind in others and seed % 2 == 1)
    kinds = {other: kind == other for other in others}
    return landmark_data.subject(model, np.random.default_rng(seed), warped=warped, **kinds)


def look(who: landmark_data.Subject, seed: int) -> dict[str, np.ndarray] | None:
    """What is `known` (E,) of a scan posed at random, and what the answer lacks, `left` (68, 3), mm; None if it is not
    found."""
    scan, move = scanning.pose(who.scan, np.random.default_rng([9, seed]))
    truth = move.to_mesh(who.points)
    fits = detector.find(*detector.usable(scan.vertices, scan.triangles))
    if not fits:
        return None
    fit = min(fits, key=lambda fit: float(np.linalg.norm(fit.points.mean(0) - truth.mean(0))))
    given = fit.measurements
    assert given is not None
    left = given.frame.vectors_to_canonical(truth - given.points) * EYE_DISTANCE_MM
    return {"known": given.known, "left": left}


def collect(model: ict.IctModel, folder: Path, backwards: bool = False) -> Found:
    """What is known of all SCANS, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    scans = [(kind, first + row) for kind, (first, count) in SCANS.items() for row in range(count)]
    parts = []
    for done, (kind, seed) in enumerate(scans[::-1] if backwards else scans):
        path = folder / f"{kind}_{seed}.npz"
        if not path.exists():
            seen = look(subject(model, kind, seed), seed)
            with atomic.output(path) as partial:
                np.savez(partial, **({} if seen is None else seen))
        with np.load(path) as stored:
            if stored.files:
                parts.append((stored["known"], stored["left"]))
        if done % 100 == 99:
            print(f"{done + 1} of {len(scans)}", flush=True)
    known, left = zip(*parts, strict=True)
    return Found(np.array(known), np.array(left))


def fit(found: Found, penalty: float = PENALTY) -> Correction:
    """Ridge regression on standardised measurements, whose errors are limited and whose bad scans count for less."""
    both = found.with_mirror()
    size = np.linalg.norm(both.left, axis=-1)
    wanted = both.left * np.minimum(1, MOST_MM / np.maximum(size, 1e-9))[..., None] / EYE_DISTANCE_MM
    wanted = wanted.reshape(len(wanted), -1)
    weight = 1 / (np.median(np.minimum(size, MOST_MM), axis=1) + STEADY_MM)
    weight = (weight / weight.mean())[:, None]
    mean, scale = both.known.mean(0), both.known.std(0) + 1e-6 / EYE_DISTANCE_MM
    told = ((both.known - mean) / scale).clip(-correction.MOST, correction.MOST)
    told_mean, wanted_mean = (weight * told).mean(0), (weight * wanted).mean(0)
    left = ((told - told_mean) * weight).T @ (told - told_mean)
    left[np.diag_indices_from(left)] += penalty * len(told)
    weights = np.linalg.solve(left, ((told - told_mean) * weight).T @ (wanted - wanted_mean))
    return Correction(mean, scale, weights, wanted_mean - told_mean @ weights)


def errors(found: Found, step: Correction | None = None) -> np.ndarray:
    """(N, 68) what is left, mm, after a correction, or as found."""
    taken = 0.0 if step is None else step(found.known) * EYE_DISTANCE_MM
    return np.linalg.norm(found.left - taken, axis=-1)


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--work", type=Path, required=True, help="folder for what was detected")
    parser.add_argument("--backwards", action="store_true", help="begin with the last scan")
    given = parser.parse_args()
    found = collect(ict.load(given.data), given.work, given.backwards)
    step = fit(found)
    half = {name: getattr(step, name).astype(np.float16) for name in ("weights", "constant")}
    with atomic.output(OUTPUT) as partial:
        np.savez_compressed(partial, mean=step.mean.astype(np.float32), scale=step.scale.astype(np.float32), **half)
    correction.load.cache_clear()
    before, after = errors(found).mean(), errors(found, correction.load()).mean()
    size = OUTPUT.stat().st_size / 1e6
    print(f"wrote {OUTPUT}: {len(found.left)} scans, {before:.3f} -> {after:.3f} mm on these themselves, {size:.2f} MB")


if __name__ == "__main__":
    command.run(main)
