"""How the ATS network learns from streams: batches, losses, the linear path, epochs with a checkpoint after each."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from export import articulation, ats_data, ats_network, checkpoint
from freetalk_blender.core.landmarks import COUNT, LIPS
from freetalk_blender.core.metrics import CURVES
from freetalk_blender.core.voice.speech import CONTEXT, FEATURES

BATCH, LENGTH = 16, 150
RATE = 2e-3
#: The linear path: its ridge as a share of the mean variance, and the frames that it is solved from.
RIDGE, RIDGE_FRAMES = 0.3, 120_000
#: The network that is kept is a running mean over training, older weights fading by this much a step (Polyak & Juditsky
#: 1992, "Acceleration of stochastic approximation by averaging").
DECAY = 0.995
#: How much each kind of error counts: landmarks, velocity, inner-lip gap, mouth width, jaw (canonical units), what the
#: curves of those three lack in correlation, events.
LOSSES = {
    "landmarks": 1.0, "velocity": 2.0, "gap": 3.0, "width": 8.0, "jaw": 3.0, "controls": 0.02, "likeness": 0.03,
    "events": 0.1,
}  # fmt: skip
#: How much worse it is to miss each of EVENTS than to hear one that is none: lips must close.
MISSED = (1.0, 4.0, 3.0, 1.0)

#: Landmarks that speech moves.
MOUTH = [*articulation.JAW.tolist(), *range(COUNT)[LIPS]]


@dataclass(frozen=True)
class Batch:
    """features (B, LENGTH + 28, 384) and the labels of the LENGTH frames in their middle."""

    features: Tensor
    controls: Tensor
    control_trust: Tensor
    events: Tensor
    event_trust: Tensor


def batches(data: ats_data.Streams, random: np.random.Generator) -> Iterator[Batch]:
    """One epoch: windows that tile the streams from a random start, in a random order."""
    order = random.permutation(starts(data.stream, random))
    for i in range(0, len(order) - BATCH + 1, BATCH):
        inner = order[i : i + BATCH, None] + np.arange(LENGTH)
        outer = order[i : i + BATCH, None] + np.arange(-CONTEXT, LENGTH + CONTEXT)
        labels = (data.controls, data.control_trust, data.events, data.event_trust)
        columns = (data.features[outer], *[label[inner] for label in labels])
        yield Batch(*[torch.from_numpy(column.astype(np.float32)) for column in columns])


def starts(stream: np.ndarray, random: np.random.Generator) -> list[int]:
    """Where an epoch's windows of LENGTH frames begin, CONTEXT away from the ends of each stream; stream: (N,)."""
    found: list[int] = []
    for first, last in _extents(stream):
        room = last - first - 2 * CONTEXT - LENGTH + 1
        if room > 0:
            offset = first + CONTEXT + int(random.integers(min(LENGTH, room)))
            found += list(range(offset, last - LENGTH - CONTEXT + 1, LENGTH))
    return found


def _extents(stream: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(stream)) + 1
    return list(zip([0, *edges], [*edges, len(stream)], strict=True))


def loss(trunk: ats_network.Trunk, shapes: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Errors in canonical units, each a mean over what is believed. shapes: (K,68,3)."""
    controls, logits = trunk(batch.features)
    trust = batch.control_trust
    error = torch.einsum("btk,kld->btld", (controls - batch.controls) * trust, shapes)
    gap = ats_network.gap(error)
    mouth = error[:, :, MOUTH]
    width, jaw = (error[:, :, a, axis] - error[:, :, b, axis] for a, b, axis in (CURVES["width"], CURVES["jaw"]))
    events = functional.binary_cross_entropy_with_logits(
        logits, batch.events, reduction="none", pos_weight=torch.tensor(MISSED)
    )
    events = events * batch.event_trust
    scale = 1.0 / trust.mean().clamp(min=1e-3)
    return {
        "landmarks": mouth.pow(2).sum(-1).mean() * 100 * scale,
        "velocity": mouth.diff(dim=1).pow(2).sum(-1).mean() * 100 * scale,
        "gap": gap.pow(2).mean() * 100 * scale,
        "width": width.pow(2).mean() * 100 * scale,
        "jaw": jaw.pow(2).mean() * 100 * scale,
        "controls": ((controls - batch.controls) * trust).pow(2).mean() * scale,
        "likeness": _unlike(controls, batch.controls, trust, shapes),
        "events": events.sum() / batch.event_trust.sum().clamp(min=1.0),
    }


def _unlike(ours: Tensor, theirs: Tensor, trust: Tensor, shapes: Tensor) -> Tensor:
    """1 - correlation over each window of each of CURVES, a mean weighted by trust; what is still counts nothing."""
    spread = torch.stack([shapes[:, a, axis] - shapes[:, b, axis] for a, b, axis in CURVES.values()], dim=1)
    one, other = (curve - curve.mean(1, keepdim=True) for curve in (ours @ spread, theirs @ spread))
    norms = one.norm(dim=1) * other.norm(dim=1)
    moving = other.norm(dim=1) > 0.02
    believed = trust.mean((1, 2))[:, None] * moving
    return ((1.0 - (one * other).sum(1) / (norms + 1e-4)) * believed).sum() / believed.sum().clamp(min=1.0)


def solve_straight(trunk: ats_network.Trunk, data: ats_data.Streams) -> None:
    """Give the trunk the linear path that explains the controls best, each frame weighted by its trust (ridge)."""
    reach = ats_network.STRIDE * (ats_network.KERNEL // 2)
    offsets = np.arange(-reach, reach + 1, ats_network.STRIDE)
    inner = np.arange(reach, len(data.stream) - reach)
    inner = inner[data.stream[inner - reach] == data.stream[inner + reach]]
    chosen = np.random.default_rng(0).choice(inner, min(RIDGE_FRAMES, len(inner)), replace=False)
    size = FEATURES * len(offsets) + 1
    gram, target = torch.zeros(size, size), torch.zeros(size, trunk.controls)
    for rows in np.array_split(chosen, max(1, len(chosen) // 5000)):
        near = torch.from_numpy(data.features[rows[:, None] + offsets].astype(np.float32))
        x = ((near - trunk.mean) / trunk.deviation).transpose(1, 2).reshape(len(rows), -1)
        x = torch.cat([x, torch.ones(len(rows), 1)], 1)
        weighted = x * torch.from_numpy(data.control_trust[rows].mean(1, keepdims=True) ** 2)
        gram += weighted.T @ x
        target += weighted.T @ torch.from_numpy(data.controls[rows].astype(np.float32))
    gram.diagonal().add_(RIDGE * gram.trace() / size)
    solution = torch.linalg.solve(gram.double(), target.double()).float()
    trunk.straight.weight.copy_(solution[:-1].T.reshape(trunk.straight.weight.shape))
    trunk.straight.bias.copy_(solution[-1])


def train(
    data: ats_data.Streams,
    shapes: np.ndarray,
    path: Path,
    epochs: int,
    body: type[torch.nn.Module] = ats_network.Convolutions,
) -> ats_network.Trunk:
    """The trunk after `epochs`; goes on from the checkpoint at `path` where there is one. FreeTalkError where that is
    of other data or settings."""
    torch.manual_seed(0)
    trunk = ats_network.Trunk(len(shapes), body)
    mean = AveragedModel(trunk, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=False)
    sample = data.features[:: max(1, len(data.features) // 50000)].astype(np.float32)
    trunk.mean.copy_(torch.from_numpy(sample.mean(0)))
    trunk.deviation.copy_(torch.from_numpy(sample.std(0) + 1e-3))
    optimiser = torch.optim.AdamW([p for p in trunk.parameters() if p.requires_grad], RATE, weight_decay=1e-2)
    steps = sum(len(starts(data.stream, np.random.default_rng(epoch))) // BATCH for epoch in range(epochs))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    settings = {"body": body.__name__, "epochs": epochs, "batch": BATCH, "length": LENGTH, "rate": RATE, **LOSSES}
    parts = {"trunk": trunk, "mean": mean, "optimiser": optimiser, "schedule": schedule}
    heard = [len(data.stream), int(data.stream[-1]), round(1e3 * float(data.controls.sum())), int(data.events.sum())]
    read = {"aligned.jsonl or synthetic.jsonl": heard}
    start = resume(path, settings, read, parts)
    if start == 0:
        solve_straight(trunk, data)
    landmarks = torch.from_numpy(shapes.astype(np.float32))
    for epoch in range(start, epochs):
        began, sums, count = time.time(), dict.fromkeys(LOSSES, 0.0), 0
        for batch in batches(data, np.random.default_rng(epoch)):
            errors = loss(trunk, landmarks, batch)
            optimiser.zero_grad()
            torch.stack([LOSSES[name] * error for name, error in errors.items()]).sum().backward()
            torch.nn.utils.clip_grad_norm_(trunk.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            mean.update_parameters(trunk)
            sums = {name: sums[name] + float(error.detach()) for name, error in errors.items()}
            count += 1
        print(
            f"epoch {epoch + 1}: {time.time() - began:.0f} s",
            {k: round(v / count, 4) for k, v in sums.items()},
            flush=True,
        )
        state = {name: part.state_dict() for name, part in parts.items()}
        checkpoint.save(path, {"epoch": epoch + 1, **state}, settings, read)
    return _mean(parts)


def load(path: Path) -> ats_network.Trunk:
    """The trunk that a stage of training kept in its checkpoint."""
    trunk = ats_network.Trunk(len(articulation.SPEECH_CONTROLS))
    mean = AveragedModel(trunk, use_buffers=False)
    state = torch.load(path, weights_only=True)
    trunk.load_state_dict(state["trunk"])
    mean.load_state_dict(state["mean"])
    return _mean({"trunk": trunk, "mean": mean})


def _mean(parts: dict[str, Any]) -> ats_network.Trunk:
    """The running mean of the weights, with the standardisation, which is no weight."""
    kept = parts["mean"].module
    kept.mean.copy_(parts["trunk"].mean)
    kept.deviation.copy_(parts["trunk"].deviation)
    return kept.eval()


def resume(path: Path, settings: dict[str, Any], read: checkpoint.Read, parts: dict[str, Any]) -> int:
    """Epochs done; the parts take their states from the checkpoint where there is one. FreeTalkError where that is of
    other data or settings."""
    state = checkpoint.load(path, settings, path.parent, read)
    if state is None:
        return 0
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["epoch"])
