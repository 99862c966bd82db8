"""Two kinds of network on the same data: `python -m evaluation.ats_networks --data ../shared/data --work build/ats`.

Dilated convolutions and a recurrent network, both with the linear path and 280 ms of look-ahead, are trained on the
real talker's clips as the teacher is (the features that `python -m export.train_ats` keeps are used again), and the
linear path alone beside them. Judged on his clips that training never saw, as he speaks and as a larger and a smaller
speaker.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.ats import Take, held_out_clips, table
from export import aligned, articulation, ats_data, ats_network, ats_training, augment, command, grid, ict, train_ats
from freetalk_blender.core import frame
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.metrics import CURVES, curves, pearson
from freetalk_blender.core.voice import speech

#: The talker's voice: his own, and played this much faster.
VOICES = {"own voice": 1.0, "larger speaker": 0.8, "smaller speaker": 1.25}


class Nothing(nn.Module):
    """No body: the linear path alone."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width

    def forward(self, standard: Tensor) -> Tensor:
        return standard[:, speech.CONTEXT : -speech.CONTEXT, : self.width] * 0.0


BODIES = {
    "linear path alone": Nothing,
    "dilated convolutions": ats_network.Convolutions,
    "recurrent (LSTM)": ats_network.Recurrence,
}


def judge(trunk: ats_network.Trunk, shapes: np.ndarray, takes: list[Take], factor: float) -> dict[str, float]:
    """Mean r of the curves; what is heard is `factor` times as fast, what is said is brought back to time."""
    neutral, rows = frame.mean_landmarks(), []
    for take in takes:
        heard = speech.features(augment.change_voice(take.samples, factor).astype(np.float32), "cpu")
        controls = ats_network.controls_of(trunk, heard)
        place = np.minimum(np.arange(len(take.faces)) * 2 / factor, len(controls) - 1)
        at_video = np.stack([np.interp(place, np.arange(len(controls)), column) for column in controls.T], 1)
        ours, real = curves(neutral + np.tensordot(at_video, shapes, 1)), curves(take.faces)
        rows.append([pearson(ours[name], real[name]) for name in CURVES])
    return dict(zip((f"{name} r" for name in CURVES), np.mean(rows, axis=0).tolist(), strict=True))


def main() -> None:
    parser = command.parser(__doc__, "grid_s1/ and ict_facekit/")
    parser.add_argument("--work", type=Path, default=Path("build/ats"))
    parser.add_argument("--clips", type=whole_number(1), default=40, help="held-out clips to judge")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips, controls = grid.load(arguments.data)
    phones = {r.name: r.phones for r in aligned.read(arguments.work / "aligned.jsonl")}
    shapes = articulation.basis(ict.load(arguments.data), articulation.SPEECH_CONTROLS)
    quiet = train_ats.passes("quiet", ats_data.quiet_pieces(train_ats.QUIET_STREAMS, seed=7), 1, arguments.work)
    pieces = ats_data.grid_pieces(clips, controls, phones)
    data = ats_data.join([*train_ats.passes("grid", pieces, train_ats.GRID_PASSES, arguments.work), *quiet])
    takes = held_out_clips(arguments.data)[: arguments.clips]
    trunks = {}
    for name, body in BODIES.items():
        epochs = 1 if body is Nothing else train_ats.TEACHER_EPOCHS
        checkpoint = arguments.work / f"compare_{body.__name__}.pt"
        trunks[name] = ats_training.train(data, shapes, checkpoint, epochs, body)
    for voice, factor in VOICES.items():
        print(table(voice, {name: judge(trunk, shapes, takes, factor) for name, trunk in trunks.items()}), "\n")


if __name__ == "__main__":
    command.run(main)
