"""Is the emotion asked for the one seen? `python -m evaluation.ats_emotion --data ../shared/data --aligned FILE`.

A classifier that knows the animator's expressions alone (the nearest prototype in direction, neutral where hardly
anything moves) looks at half-second windows of performances by voices that training never heard. Then each emotion's
action units are looked for, one by one: does what the unit moves go the way that FACS says (Ekman & Friesen 1978)?
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from export import aligned, ats_data, feelings, ict
from freetalk_blender.core import audio, performance
from freetalk_blender.core.emotion import EMOTIONS

RATE = 50
WINDOW = 25
#: Brows, nose, eyes and the corners of the mouth: what speech alone moves little.
POINTS = np.r_[17:48, 48, 54]
#: A face that moves less than this share of the weakest prototype is neutral.
NEUTRAL_SHARE = 0.25


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


def name(seen: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """(N,P) windows and (8,P) prototypes in the order of EMOTIONS, neutral first -> (N,) indices."""
    lengths = np.linalg.norm(prototypes[1:], axis=1)
    cosine = seen @ (prototypes[1:] / lengths[:, None]).T
    answer = 1 + cosine.argmax(1)
    answer[cosine.max(1) < NEUTRAL_SHARE * lengths.min()] = 0
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge whether ATS output shows the emotion that was asked for.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ict_facekit/")
    parser.add_argument("--aligned", type=Path, required=True, help="file written by python -m export.aligned")
    arguments = parser.parse_args()
    prototypes = feelings.shapes(ict.load(arguments.data))[:, POINTS].reshape(len(EMOTIONS), -1)
    recordings = [r for r in aligned.read(arguments.aligned) if ats_data.held_out(r.voice)]
    print(f"{len(recordings)} recordings of voices never heard in training")
    moved_by: dict[str, list[np.ndarray]] = {emotion: [] for emotion in EMOTIONS}
    hits: dict[float, list[list[float]]] = {1.0: [], 0.5: [], 0.25: []}
    for recording in recordings:
        samples, rate = audio.load(recording.path)
        for intensity, rows in hits.items():
            row = []
            for index, emotion in enumerate(EMOTIONS):
                moved = performance.perform(samples, rate, {emotion: intensity}, RATE, device="cpu").displacement
                row.append(float((name(windows(moved), prototypes) == index).mean()))
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
        print(f"{emotion}: " + ", ".join(f"AU {unit} {90 * UNITS[unit](felt):+.1f} mm" for unit in units))


if __name__ == "__main__":
    main()
