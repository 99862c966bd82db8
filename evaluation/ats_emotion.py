"""Is the emotion asked for the one seen? `python -m evaluation.ats_emotion --aligned FILE`.

A classifier looks at half-second windows of performances by voices that training never heard. It was fitted here on
performances by other voices, at intensities 1 and 0.5 and with other seeds, so that it knows what speech and emphasis
move in a neutral face: linear discriminants, a Gaussian for each emotion and intensity with one covariance (Hastie &
Tibshirani 1996, "Discriminant analysis by Gaussian mixtures"). Then each emotion's
action units are looked for, one by one: does what the unit moves go the way that FACS says (Ekman & Friesen 1978)?
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.ats_phones import groups, readers
from export import aligned, ats_data, command
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.voice import audio, performance
from freetalk_blender.core.voice.emotion import EMOTIONS
from freetalk_blender.core.voice.speech import FEATURE_RATE

WINDOW = 25
#: Brows, nose, eyes and the corners of the mouth: what speech alone moves little.
POINTS = np.r_[17:48, 48, 54]
#: The classifier learns from so many recordings at these intensities; its covariance is widened by this (canonical).
LEARNED, INTENSITIES = 10, (1.0, 0.5)
_RIDGE = 1e-3


def _gap(d: np.ndarray, upper: tuple[int, ...], lower: tuple[int, ...]) -> float:
    """How much two groups of points move apart upwards."""
    return float(d[list(upper), 1].mean() - d[list(lower), 1].mean())


#: Action unit -> how far a mean displacement (68,3) goes its way, canonical units. "-" goes the other way.
UNITS: dict[str, Callable[[np.ndarray], float]] = {
    "1 inner brows up": lambda d: float(d[[21, 22], 1].mean()),
    "2 outer brows up": lambda d: float(d[[17, 18, 25, 26], 1].mean()),
    "4 brows down": lambda d: float(-d[[19, 20, 23, 24], 1].mean()),
    "5 lids apart": lambda d: _gap(d, (37, 38, 43, 44), (40, 41, 46, 47)),
    "6/7 lids together": lambda d: -_gap(d, (37, 38, 43, 44), (40, 41, 46, 47)),
    "9 nose wings up": lambda d: float(d[[31, 35], 1].mean()),
    "12 corners up": lambda d: float(d[[48, 54], 1].mean() - d[33, 1]),
    "15 corners down": lambda d: float(-d[[48, 54], 1].mean()),
    "20 mouth wide": lambda d: float(d[54, 0] - d[48, 0]),
    "24 lips pressed": lambda d: -_gap(d, (50, 51, 52), (56, 57, 58)),
    "26 jaw down": lambda d: float(-d[8, 1]),
    "12/14 left corner up": lambda d: float(d[54, 1] - d[48, 1]),
}
#: What each emotion must show (EMFACS; 4 beside 1 in sadness and fear draws brows together, so it is not looked for).
SHOWN = {
    "happy": ("6/7 lids together", "12 corners up", "20 mouth wide"),
    "sad": ("1 inner brows up", "15 corners down"),
    "angry": ("4 brows down", "24 lips pressed"),
    "fearful": ("1 inner brows up", "2 outer brows up", "5 lids apart", "20 mouth wide"),
    "disgusted": ("4 brows down", "9 nose wings up", "6/7 lids together"),
    "surprised": ("1 inner brows up", "2 outer brows up", "5 lids apart", "26 jaw down"),
    "contempt": ("12/14 left corner up",),
}


def windows(displacement: np.ndarray) -> np.ndarray:
    """(T,68,3) -> (N, P) means of half seconds over POINTS."""
    count = max(1, len(displacement) // WINDOW)
    return np.stack([part[:, POINTS].mean(0).ravel() for part in np.array_split(displacement, count)])


@dataclass(frozen=True)
class Classifier:
    """means (C,P) of Gaussians, the emotions (C,) that they stand for, and their common precision (P,P)."""

    means: np.ndarray
    emotions: np.ndarray
    precision: np.ndarray

    def __call__(self, seen: np.ndarray) -> np.ndarray:
        """(N,P) windows -> (N,) indices of EMOTIONS."""
        pull = self.means @ self.precision
        score = seen @ pull.T - 0.5 * (pull * self.means).sum(1)
        return self.emotions[score.argmax(1)]


def fit(groups: list[tuple[int, np.ndarray]]) -> Classifier:
    """(emotion, windows (N,P)) of each emotion at each intensity -> the classifier."""
    means = np.stack([seen.mean(0) for _, seen in groups])
    spread = np.concatenate([seen - mean for (_, seen), mean in zip(groups, means, strict=True)])
    covariance = spread.T @ spread / len(spread) + _RIDGE**2 * np.eye(spread.shape[1])
    return Classifier(means, np.array([emotion for emotion, _ in groups]), np.linalg.inv(covariance))


def show(recording: aligned.Aligned, emotion: str, intensity: float, seed: int) -> np.ndarray:
    """(T,68,3) the performance of a recording."""
    samples, rate = audio.load(recording.path)
    return performance.perform(samples, rate, {emotion: intensity}, FEATURE_RATE, device="cpu", seed=seed).displacement


def learn(recordings: list[aligned.Aligned]) -> Classifier:
    """The classifier, from performances of recordings."""
    seen: dict[tuple[int, float], list[np.ndarray]] = {}
    for recording in recordings:
        for index, emotion in enumerate(EMOTIONS):
            for intensity in INTENSITIES if index else INTENSITIES[:1]:
                shown = windows(show(recording, emotion, intensity, seed=1))
                seen.setdefault((index, intensity), []).append(shown)
    return fit([(index, np.concatenate(parts)) for (index, _), parts in seen.items()])


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--aligned", type=Path, required=True, help="file written by python -m export.aligned")
    parser.add_argument("--limit", type=whole_number(1), help="recordings to judge (all)")
    arguments = parser.parse_args()
    people = [r for r in aligned.read(arguments.aligned) if r.voice != aligned.GRID_VOICE]
    others = [r for r in people if not ats_data.held_out(r.voice)]
    recordings = readers(groups(people, arguments.limit or len(people)))
    classify = learn(others[:: max(1, len(others) // LEARNED)][:LEARNED])
    print(f"{len(recordings)} recordings of voices never heard in training")
    moved_by: dict[str, list[np.ndarray]] = {emotion: [] for emotion in EMOTIONS}
    hits: dict[float, list[list[float]]] = {1.0: [], 0.5: [], 0.25: []}
    for recording in recordings:
        for intensity, rows in hits.items():
            row = []
            for index, emotion in enumerate(EMOTIONS):
                moved = show(recording, emotion, intensity, seed=0)
                row.append(float((classify(windows(moved)) == index).mean()))
                if intensity == 1.0:
                    moved_by[emotion].append(moved.mean(0))
            rows.append(row)
    print("| intensity | " + " | ".join(EMOTIONS) + " | mean |\n" + "|---" * (len(EMOTIONS) + 2) + "|")
    for intensity, rows in hits.items():
        share = np.mean(rows, axis=0)
        print(f"| {intensity:g} | " + " | ".join(f"{x:.2f}" for x in share) + f" | {share.mean():.2f} |")
    neutral = np.mean(moved_by["neutral"], axis=0)
    for emotion, units in SHOWN.items():
        felt = np.mean(moved_by[emotion], axis=0) - neutral
        moves = (f"AU {unit} {EYE_DISTANCE_MM * UNITS[unit](felt):+.1f} mm" for unit in units)
        print(f"{emotion}: " + ", ".join(moves))


if __name__ == "__main__":
    command.run(main)
