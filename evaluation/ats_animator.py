"""ATS against the animator: `python -m evaluation.ats_animator --data ../shared/data --work build/ats`.

The animator is what open speech was taught with: the first network, that saw one man's lips, corrected by the phones
(export/postures.py). On voices that training never heard, does the network do the same without knowing the phones?
"""

from pathlib import Path

import numpy as np
import torch

from evaluation.ats import means, table
from export import aligned, articulation, ats_data, ats_network, ats_training, command, grid, ict, postures, train_ats
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import LIPS
from freetalk_blender.core.metrics import CURVES, lag, pearson
from freetalk_blender.core.voice import audio, performance, speech


def measures(moved: np.ndarray) -> dict[str, np.ndarray]:
    """(T,68,3) displacement -> inner-lip gap, width and jaw, each (T,), canonical units."""
    return {name: moved[:, a, axis] - moved[:, b, axis] for name, (a, b, axis) in CURVES.items()}


def main() -> None:
    parser = command.parser(__doc__, "grid_s1/ and ict_facekit/")
    parser.add_argument("--work", type=Path, default=Path("build/ats"), help="where export.train_ats worked")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recordings = aligned.read(arguments.work / "aligned.jsonl")
    phones = {recording.name: recording.phones for recording in recordings}
    by_phone = train_ats.learned_postures(*grid.load(arguments.data), phones)
    shapes = articulation.basis(ict.load(arguments.data), articulation.SPEECH_CONTROLS)
    teacher = ats_training.load(arguments.work / "teacher.pt")
    rows: list[dict[str, float]] = []
    for recording in recordings:
        if recording.voice == aligned.GRID_VOICE or not ats_data.held_out(recording.voice):
            continue
        samples, rate = audio.load(recording.path)
        taught = ats_network.controls_of(teacher, speech.features(samples, "cpu"))
        animator = np.tensordot(postures.correct(taught, recording.phones, by_phone), shapes, 1)
        ours = performance.perform(samples, rate, fps=speech.FEATURE_RATE, device="cpu").displacement[: len(animator)]
        wanted, got = measures(animator[: len(ours)]), measures(ours)
        row = {f"{name} r": pearson(got[name], wanted[name]) for name in wanted}
        error = np.linalg.norm(ours - animator[: len(ours)], axis=-1)
        row["landmarks mm"] = EYE_DISTANCE_MM * error.mean()
        row["lips mm"] = EYE_DISTANCE_MM * error[:, LIPS].mean()
        velocity = np.diff(ours - animator[: len(ours)], axis=0)[:, LIPS] * speech.FEATURE_RATE
        row["lip velocity mm/s"] = EYE_DISTANCE_MM * np.linalg.norm(velocity, axis=-1).mean()
        row["lag ms"] = lag(got["aperture"], wanted["aperture"], speech.FEATURE_RATE)
        rows.append(row)
    print(table(f"{len(rows)} voices never heard", {"ours": means(rows)}))


if __name__ == "__main__":
    command.run(main)
