"""Train the tongue's network and export onnx_models/tongue.onnx: `python -m export.train_tongue --work build/ats`.

The speech is what `export.aligned` and `export.voices` wrote into the work folder for the ATS; its phones tell where
the tongue is (export/tongue_postures.py). Each recording is heard twice, once disturbed (export/augment.py). What the
encoder makes of it stays in WORK/tongue, and the training in a checkpoint there: begun again, the command goes on.
Voices held out for evaluation are never heard; CHOICE ones are not trained on either, and are asked after each epoch.
"""

import io
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from export import aligned, ats_data, augment, checkpoint, command, onnx_file, tongue_postures, voices
from export.ats_network import NOISE, Convolutions
from export.ats_training import BATCH, DECAY, LENGTH, resume, starts
from freetalk_blender.core import models
from freetalk_blender.core.voice import audio, speech
from freetalk_blender.core.voice.speech import CONTEXT
from freetalk_blender.core.voice.tongue import CHANNELS

VERSION = "2"
WIDTH, DROPOUT = 64, 0.2
EPOCHS, RATE = 12, 2e-3
#: Voices that choices are made by: these programs', and people whose hash lies below this (below 0.1: held out).
CHOICE, CHOICE_SHARE = ("synthetic flite rms", "synthetic espeak-ng en-gb+f3", "synthetic espeak-ng es+f1"), 0.2
#: Streams of noise and silence, 18 s each.
QUIET = 40
#: features (T,384) float16, targets (T,3) and trust (T,) of one recording.
Part = tuple[np.ndarray, np.ndarray, np.ndarray]


class Tongue(nn.Module):
    """features (B, T + 28, 384) -> logits of CHANNELS (B,T,3); blurred by noise in training, as ats_network.Trunk."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("deviation", torch.from_numpy(deviation.astype(np.float32)))
        self.ears = Convolutions(WIDTH, DROPOUT)
        self.decide = nn.Linear(WIDTH, len(CHANNELS))

    def forward(self, features: Tensor) -> Tensor:
        standard = (features - self.mean) / self.deviation
        heard = standard + NOISE * torch.randn_like(standard) if self.training else standard
        return self.decide(self.ears(heard))


class Answer(nn.Module):
    """What is exported: probabilities in place of logits."""

    def __init__(self, network: Tongue) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        return torch.sigmoid(self.network(features))


@dataclass(frozen=True)
class Heard:
    """Frames of many recordings in a row: features (N,384) float16, targets (N,3), trust (N,), stream (N,) its index.
    CONTEXT frames of silence lie around each."""

    features: np.ndarray
    targets: np.ndarray
    trust: np.ndarray
    stream: np.ndarray


def is_choice(voice: str) -> bool:
    """True for voices that training does not hear, though they are not held out for evaluation."""
    program = voice.startswith(aligned.SYNTHETIC)
    return voice in CHOICE if program else voice != aligned.GRID_VOICE and ats_data.held_out(voice, CHOICE_SHARE)


def hear(recording: aligned.Aligned, disturbed: bool, folder: Path) -> Part:
    """features (T,384) float16, targets (T,3) and trust (T,) of one recording; the features are kept in the folder."""
    random = np.random.default_rng([int(disturbed), *recording.name.encode()])
    factor = float(random.uniform(*ats_data.VOICES)) if disturbed else 1.0

    def heard() -> np.ndarray:
        samples = audio.load(recording.path)[0]
        if disturbed:
            samples = augment.change_voice(samples, factor)
            samples = augment.change_formants(samples, float(random.uniform(*ats_data.FORMANTS)))
            samples = augment.disturb(samples, random)
        return speech.features(samples.astype(np.float32), "cpu")

    features = ats_data.kept(folder / f"{recording.name}_{int(disturbed)}.npy", heard)
    frames = round(len(features) * factor) + 1
    targets = tongue_postures.targets(recording.phones, frames)
    trust = aligned.trusted(recording.phones, frames)
    nearest = np.minimum(np.rint(np.arange(len(features)) * factor).astype(int), frames - 1)
    return features, targets[nearest], trust[nearest]


def quiet(count: int) -> Iterator[Part]:
    """As `hear`, of noise and silence, in which the tongue rests."""
    for piece in ats_data.quiet_pieces(count, seed=9):
        features = speech.features(piece.samples, "cpu").astype(np.float16)
        yield features, np.zeros((len(features), len(CHANNELS)), np.float32), np.ones(len(features), np.float32)


def joined(parts: list[Part]) -> Heard:
    """The parts in a row, silence around each."""
    silence = speech.features(np.zeros(CONTEXT * speech.HOP, np.float32), "cpu").astype(np.float16)
    still = np.zeros((CONTEXT, len(CHANNELS)), np.float32)
    padded = [
        (np.concatenate([silence, f, silence]), np.concatenate([still, t, still]), np.pad(w, CONTEXT))
        for f, t, w in parts
    ]
    features, targets, trust = (np.concatenate(column) for column in zip(*padded, strict=True))
    return Heard(features, targets, trust, np.repeat(np.arange(len(parts)), [len(f) for f, _, _ in padded]))


def hear_all(recordings: list[aligned.Aligned], folder: Path, workers: int) -> list[Part]:
    """Every recording, clean and disturbed."""
    jobs = [(recording, disturbed) for recording in recordings for disturbed in (False, True)]
    began = time.time()
    fresh = multiprocessing.get_context("spawn")  # the parent's threads are not to be forked
    with ProcessPoolExecutor(workers, fresh, models.configure, (1,)) as pool:
        columns = zip(*jobs, strict=True)
        parts = list(pool.map(hear, *columns, [folder] * len(jobs), chunksize=16))
    print(f"{sum(len(p[0]) for p in parts) / 180000:.2f} hours heard in {time.time() - began:.0f} s", flush=True)
    return parts


def batches(data: Heard, random: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """One epoch: features (B, LENGTH + 28, 384), targets and trust of the LENGTH frames in their middle."""
    order = random.permutation(starts(data.stream, random))
    for i in range(0, len(order) - BATCH + 1, BATCH):
        inner = order[i : i + BATCH, None] + np.arange(LENGTH)
        outer = order[i : i + BATCH, None] + np.arange(-CONTEXT, LENGTH + CONTEXT)
        features = torch.from_numpy(data.features[outer].astype(np.float32))
        yield features, torch.from_numpy(data.targets[inner]), torch.from_numpy(data.trust[inner])


def train(data: Heard, choice: Heard, path: Path) -> Tongue:
    """The running mean of the weights after EPOCHS; goes on from the checkpoint at `path` where there is one.
    FreeTalkError where that is of other data or settings."""
    torch.manual_seed(0)
    sample = data.features[:: max(1, len(data.features) // 50000)].astype(np.float32)
    network = Tongue(sample.mean(0), sample.std(0) + 1e-3)
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=False)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    steps = sum(len(starts(data.stream, np.random.default_rng(epoch))) // BATCH for epoch in range(EPOCHS))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    parts = {"network": network, "mean": mean, "optimiser": optimiser, "schedule": schedule}
    settings = {"epochs": EPOCHS, "rate": RATE, "batch": BATCH, "length": LENGTH, "width": WIDTH, "dropout": DROPOUT}
    read = {"aligned.jsonl or synthetic.jsonl": [len(data.stream), round(float(data.targets.sum()))]}
    for epoch in range(resume(path, settings, read, parts), EPOCHS):
        began, total, count = time.time(), 0.0, 0
        for features, targets, trust in batches(data, np.random.default_rng(epoch)):
            errors = functional.binary_cross_entropy_with_logits(network(features), targets, reduction="none")
            error = (errors * trust[..., None]).sum() / (3.0 * trust.sum().clamp(min=1.0))
            optimiser.zero_grad()
            error.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            mean.update_parameters(network)
            total, count = total + float(error.detach()), count + 1
        kept = mean.module.eval()
        agree = ", ".join(f"{name} {r:.3f}" for name, r in zip(CHANNELS, agreement(kept, choice), strict=True))
        print(f"epoch {epoch + 1}: {total / count:.4f}, {time.time() - began:.0f} s; r {agree}", flush=True)
        checkpoint.save(path, {"epoch": epoch + 1, **{n: p.state_dict() for n, p in parts.items()}}, settings, read)
    return mean.module.eval()


def agreement(network: Tongue, data: Heard) -> np.ndarray:
    """(3,) correlations of answer and target over the frames that are trusted."""
    inner = slice(CONTEXT, len(data.features) - CONTEXT)
    with torch.no_grad():
        logits = network(torch.from_numpy(data.features[None].astype(np.float32)))[0]
    ours, wanted = torch.sigmoid(logits).numpy(), data.targets[inner]
    trusted = data.trust[inner] > 0.5
    return np.array([np.corrcoef(ours[trusted, i], wanted[trusted, i])[0, 1] for i in range(len(CHANNELS))])


def export(network: Tongue, output: Path, metadata: dict[str, str]) -> float:
    """Write the graph; the largest difference between it and PyTorch."""
    answer = Answer(network).eval()
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 60 + 2 * CONTEXT, 384)).astype(np.float32))
    traced = io.BytesIO()
    torch.onnx.export(
        answer, (features,), traced, input_names=["features"], output_names=["tongue"], opset_version=17,
        dynamic_axes={"features": {1: "frames_and_context"}, "tongue": {1: "frames"}}, dynamo=False,
    )  # fmt: skip
    model = onnx.load_from_string(traced.getvalue())
    onnx_file.halve_weights(model)
    onnx_file.save(model, output, metadata)
    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    ours = session.run(None, {"features": features.numpy()})[0]
    with torch.no_grad():
        return float(np.abs(ours - answer(features).numpy()).max())


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/ats"), help="folder that holds aligned speech")
    parser.add_argument("--workers", type=int, default=2, help="processes that hear the recordings")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # more wait for each other where the cores are busy, and the sums are the same
    folder = arguments.work / "tongue"
    folder.mkdir(parents=True, exist_ok=True)
    files = [arguments.work / name for name in ("aligned.jsonl", "synthetic.jsonl")]
    recordings = [recording for file in files for recording in voices.for_training(file)]
    chosen = [r for r in recordings if is_choice(r.voice)]
    seen = [r for r in recordings if not is_choice(r.voice)]
    print(f"{len(seen)} recordings of {len({r.voice for r in seen})} voices; chosen by {len(chosen)} others")
    choice = joined(hear_all(chosen, folder, arguments.workers))
    data = joined([*hear_all(seen, folder, arguments.workers), *quiet(QUIET)])
    network = train(data, choice, folder / "checkpoint.pt")
    programs = {r.voice for r in seen if r.voice.startswith(aligned.SYNTHETIC)}
    people = {r.voice for r in seen} - programs
    metadata = {
        "version": VERSION,
        "unit": f"0 to 1 at 50 Hz: {', '.join(CHANNELS)}",
        "licence": "GPL-3.0-or-later; made from CC-BY 4.0 and Apache-2.0 recordings, see NOTICE",
        "training data": f"{len(seen)} recordings of {len(people)} people (GRID talker 1 and LibriSpeech, CC-BY 4.0, "
        f"dc_tts_voice, Apache-2.0) and {len(programs)} synthetic voices; postures by rule",
    }
    output = models.folder() / "tongue.onnx"
    parity = export(network, output, metadata)
    print(f"{output.name}: {output.stat().st_size / 1e6:.2f} MB, max |onnx - torch| {parity:.1e}")


if __name__ == "__main__":
    command.run(main)
