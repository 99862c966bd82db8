"""Is the emotion asked for the one seen? `python -m evaluation.ats_emotion --data ../shared/data --aligned FILE`.

A classifier that knows the animator's expressions alone (the nearest prototype in direction, neutral where hardly
anything moves) looks at half-second windows of performances by voices that training never heard.
"""

import argparse
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
    hits: dict[float, list[list[float]]] = {1.0: [], 0.5: [], 0.25: []}
    for recording in recordings:
        samples, rate = audio.load(recording.path)
        for intensity, rows in hits.items():
            row = []
            for index, emotion in enumerate(EMOTIONS):
                moved = performance.perform(samples, rate, {emotion: intensity}, RATE, device="cpu").displacement
                row.append(float((name(windows(moved), prototypes) == index).mean()))
            rows.append(row)
    print("| intensity | " + " | ".join(EMOTIONS) + " | mean |\n" + "|---" * (len(EMOTIONS) + 2) + "|")
    for intensity, rows in hits.items():
        share = np.mean(rows, axis=0)
        print(f"| {intensity:g} | " + " | ".join(f"{x:.2f}" for x in share) + f" | {share.mean():.2f} |")


if __name__ == "__main__":
    main()
