"""Write the average face's canonical landmarks: `python -m export.mean_landmarks --data ../shared/data`."""

from pathlib import Path

import numpy as np

from export import command, ict
from freetalk_blender.core import atomic, frame

OUTPUT = Path(frame.__file__).with_name("mean_landmarks.csv")


def mean_landmarks(model: ict.IctModel) -> np.ndarray:
    """(68,3) landmarks of the neutral mean identity: ICT's axes are the canonical ones, so only shift and scale."""
    points = model.neutral[model.landmark_vertices].astype(float)
    return (points - points[frame.RIGID].mean(0)) / np.linalg.norm(points[45] - points[36])


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    points = mean_landmarks(ict.load(parser.parse_args().data))
    with atomic.output(OUTPUT) as partial:
        np.savetxt(partial, points, fmt="%.6f", delimiter=",")
    print(f"wrote {OUTPUT}: inner-lip gap {np.linalg.norm(points[62] - points[66]):.4f} of the eye distance")


if __name__ == "__main__":
    command.run(main)
