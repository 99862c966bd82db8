"""Train landmark detection: `python -m export.train_landmarks --data ../shared/data --work FOLDER`.

Photographs the scans that FOLDER does not hold yet, trains the search and the landmark network (each resumes from its
checkpoint in FOLDER), writes onnx_models/{face_search,landmarks}.onnx and prints the errors on held-out identities.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export import checkpoint, command, ict, landmark_data, onnx_file
from export.landmark_network import FaceLandmarks, FaceSearch
from freetalk_blender.core import landmarks, models
from freetalk_blender.core.detection.face_view import FACE_SIZE
from freetalk_blender.core.errors import FreeTalkError

BATCH = 32
RATE = 2e-3
#: Of the pictures that a step draws and of what spoils them.
SEED = 0
#: Standard deviation of the target heat map (cells of 1/64 picture).
SIGMA = 1.2
MIRRORED = torch.as_tensor(landmarks.MIRRORED)
CHECKPOINT_STEPS = 100
#: Largest difference, as a share of the largest answer, that weights in half precision may make.
HALVED = 1e-2


class Shots:
    """All shards of a folder in memory, as int8. read: checksums of what was read of each file, by its name."""

    def __init__(self, folder: Path, keys: tuple[str, ...]) -> None:
        self.folder = folder
        self.read: dict[str, list[int]] = {}
        self.arrays: dict[str, list[np.ndarray]] = {key: [] for key in keys}
        for path in sorted(folder.glob("???????.npz")):
            with np.load(path) as shard:
                for key in keys:
                    self.arrays[key].append(shard[key])
                self.read[path.name] = [shard.zip.getinfo(f"{key}.npy").CRC for key in keys]
        self.count = {key: sum(map(len, parts)) for key, parts in self.arrays.items()}

    def take(self, rng: np.random.Generator, number: int, *keys: str) -> tuple[Tensor, ...]:
        """`number` random rows, the same of every key; FreeTalkError where there are none."""
        if not self.read:
            raise FreeTalkError(f"{self.folder} has no pictures to train on; give --scans.")
        parts = rng.integers(0, len(self.arrays[keys[0]]), number)
        rows = [rng.integers(0, len(self.arrays[keys[0]][part])) for part in parts]
        chosen = ([self.arrays[key][part][row] for part, row in zip(parts, rows, strict=True)] for key in keys)
        return tuple(torch.from_numpy(np.stack(one)) for one in chosen)

    def all(self, key: str) -> Tensor:
        return torch.from_numpy(np.concatenate(self.arrays[key]))


def decode(picture: Tensor) -> Tensor:
    """int8 -> [-1, 1] float."""
    return picture.float() / 127


def spoil(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Noise, blur and cut-out rectangles on some pictures (B, C, S, S); the background stays background."""
    batch, _, size, _ = picture.shape
    chance = torch.rand(batch, 3, generator=generator)
    blurred = F.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
    picture = torch.where((chance[:, 0] < 0.2)[:, None, None, None], blurred, picture)
    seen = (picture[:, :3].abs().sum(1, keepdim=True) > 0.05).float()
    noise = torch.randn(picture.shape, generator=generator) * torch.rand(batch, 1, 1, 1, generator=generator) * 0.25
    noise[:, 3:] *= 0.1
    picture = picture + noise * seen * (chance[:, 1] < 0.4)[:, None, None, None]
    for row in torch.nonzero(chance[:, 2] < 0.3)[:, 0].tolist():
        high, wide = (torch.rand(2, generator=generator) * size * 0.35 + 4).int().tolist()
        top = int(torch.randint(0, size - high, (1,), generator=generator))
        left = int(torch.randint(0, size - wide, (1,), generator=generator))
        picture[row, :3, top : top + high, left : left + wide] = 0
        picture[row, 3:, top : top + high, left : left + wide] = -1
    return picture


def face_loss(network: FaceLandmarks, shots: Shots, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Heat-map cross-entropy + coordinate error + learned spread + face or not, on one batch."""
    faces = BATCH * 3 // 4
    packed, place, visible = shots.take(rng, faces, "face", "place", "visible")
    (other,) = shots.take(rng, BATCH - faces, "other")
    picture, place = decode(torch.cat([packed, other])), place.clone()
    flip = torch.rand(BATCH, generator=generator) < 0.5
    picture[flip] = picture[flip].flip(3) * torch.tensor([-1.0, 1, 1, 1])[:, None, None]
    turned = flip[:faces]
    place[turned] = (place[turned] * torch.tensor([-1.0, 1.0]))[:, MIRRORED]
    visible[turned] = visible[turned][:, MIRRORED]
    picture = spoil(picture, generator).to(memory_format=torch.channels_last)
    with half_precision():
        maps, face = network.heat(picture)
    maps, face = maps.float(), face.float()
    weight = (0.3 + 0.7 * visible.float()) * (place.abs() < 0.98).all(-1)
    weight = weight / weight.sum().clamp(min=1)
    found, spread = network.places(maps[:faces])
    cells = maps.shape[-1]
    columns = bell(network.columns, place[..., 0], cells)
    rows = bell(network.rows, place[..., 1], cells)
    logs = torch.log_softmax(maps[:faces].flatten(2), -1).unflatten(2, maps.shape[2:])
    entropy = -torch.einsum("bkhw,bkh,bkw->bk", logs, rows, columns)
    error = torch.linalg.vector_norm(found - place, dim=-1)
    likelihood = error.detach() / spread + torch.log(spread)
    truth = torch.cat([torch.ones(faces), torch.zeros(BATCH - faces)])
    points = (weight * (entropy + 40 * error + 0.1 * likelihood)).sum()
    return points + 0.5 * F.binary_cross_entropy_with_logits(face, truth)


def bell(line: Tensor, centre: Tensor, cells: int) -> Tensor:
    """(..., cells) normal weights around the centre."""
    weight = torch.exp(-0.5 * ((line - centre[..., None]) / (SIGMA * 2 / cells)) ** 2)
    return weight / (weight.sum(-1, keepdim=True) + 1e-9)


def search_loss(network: FaceSearch, shots: Shots, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Face or not in every cell, and pose where a face is, on one batch."""
    packed, truth = shots.take(rng, BATCH * 2, "search", "truth")
    picture, truth = decode(packed), truth.clone()
    flip = torch.rand(len(picture), generator=generator) < 0.5
    picture[flip] = picture[flip].flip(3) * torch.tensor([-1.0, 1, 1])[:, None, None]
    truth[flip] = truth[flip] * torch.tensor([1.0, -1, 1, 1, 1, -1, -1, -1, 1, 1])
    picture = spoil(picture, generator).to(memory_format=torch.channels_last)
    with half_precision():
        found = network(picture)
    return sum(search_terms(found.float(), truth).values())  # type: ignore[return-value]


def search_terms(found: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Losses of found (B, 10, G, G) against truth (B, 10)."""
    cells = found.shape[-1]
    line = (torch.arange(cells) + 0.5) * 2 / cells - 1
    right = (truth[:, 1, None, None] - line[None, None, :]) * cells / 2
    up = (truth[:, 2, None, None] + line[None, :, None]) * cells / 2
    hill = torch.exp(-0.5 * (right**2 + up**2) / 0.8**2)
    facing = truth[:, 0, None, None]
    target = hill * (facing > landmark_data.FACING)
    # A face turned half away is neither here nor there: its surroundings are not judged.
    judged = 1 - hill * ((facing <= landmark_data.FACING) & (facing >= landmark_data.AVERTED))
    loss = F.binary_cross_entropy_with_logits(found[:, 0], target, reduction="none")
    hard = (torch.sigmoid(found[:, 0].detach()) - target).abs() ** 1.5
    near = (hill > 0.4) * (facing > landmark_data.AVERTED)
    offset = torch.stack(torch.broadcast_tensors(right, up), 1)
    pose = torch.cat([offset, truth[:, 3:, None, None].expand(-1, -1, cells, cells)], 1)
    miss = (found[:, 1:] - pose).abs() * near[:, None]
    share = near.sum().clamp(min=1)
    return {
        "face": (loss * hard * judged).sum() / (target.sum() + 1) * 2,
        "place": miss[:, :2].sum() / share,
        "scale": 2 * miss[:, 2].sum() / share,
        "turn": miss[:, 3:].sum() / share,
    }


def half_precision() -> torch.autocast:
    """bfloat16 where the processor has it: elsewhere it is ten times slower than single precision, not quicker."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.ops.mkldnn._is_mkldnn_bf16_supported())


def train(name: str, network: nn.Module, loss, shots: Shots, folder: Path, steps: int, rate: float = RATE) -> nn.Module:
    """AdamW with a cosine rate and averaged weights, resumed from folder/NAME.pt; returns the averaged network.

    FreeTalkError where what is there was trained otherwise: from other weights, by other settings, on other data (more
    is welcome), and where there are no pictures.
    """
    weights = sum(float(one.detach().double().abs().sum()) for one in network.parameters())
    settings = {"steps": steps, "seed": SEED, "rate": rate, "first weights": round(weights, 3)}
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.01)
    path, step = folder / f"{name}.pt", 0
    if state := checkpoint.load(path, settings, shots.folder, shots.read):
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    began, running = time.time(), 0.0
    while step < steps:
        rng, generator = np.random.default_rng([SEED, step]), torch.Generator().manual_seed(SEED * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, step / 100) * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-6
        network.train()
        value = loss(network, shots, rng, generator)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        step += 1
        blend = min(0.998, step / (step + 50))
        with torch.no_grad():
            for mean, one in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                mean.copy_(mean * blend + one * (1 - blend) if mean.is_floating_point() else one)
        running = 0.98 * running + 0.02 * float(value.detach())
        if step % CHECKPOINT_STEPS == 0 or step == steps:
            parts = {"network": network, "average": average, "optimizer": optimizer}
            state = {part: value.state_dict() for part, value in parts.items()}
            checkpoint.save(path, {**state, "step": step}, settings, shots.read)
            pace = (time.time() - began) / CHECKPOINT_STEPS
            print(f"{name} step {step}/{steps} loss {running:.3f} {pace:.2f} s/step {shots.count}", flush=True)
            began = time.time()
    return average


@torch.no_grad()
def face_errors(network: FaceLandmarks, shots: Shots) -> dict[str, float]:
    """On validation pictures: error of visible points in mm (eye distance 90 mm, nominal zoom), accuracy of face."""
    millimetres = 1.25 * 90
    found, faces, others = [], [], []
    for part in shots.all("face").split(64):
        place, _, face = network(decode(part))
        found.append(place)
        faces.append(face)
    for part in shots.all("other").split(64):
        others.append(network(decode(part))[2])
    place, visible = shots.all("place"), shots.all("visible")
    error = torch.linalg.vector_norm(torch.cat(found) - place, dim=-1)[visible] * millimetres
    return {
        "mean mm": float(error.mean()),
        "median mm": float(error.median()),
        "p95 mm": float(error.quantile(0.95)),
        "faces seen": float((torch.cat(faces) > 0).float().mean()),
        "others refused": float((torch.cat(others) < 0).float().mean()),
    }


@torch.no_grad()
def search_errors(network: FaceSearch, shots: Shots) -> dict[str, float]:
    """On validation pictures: found faces (within 1.5 cells), false finds among averted ones, median turn error."""
    found = torch.cat([network(decode(part)) for part in shots.all("search").split(64)])
    truth = shots.all("truth")
    cells = found.shape[-1]
    score, cell = torch.sigmoid(found[:, 0]).flatten(1).max(1)
    row, column = cell // cells, cell % cells
    at = found[torch.arange(len(found)), :, row, column]
    right = ((column + 0.5) * 2 / cells - 1) + at[:, 1] * 2 / cells
    up = 1 - (row + 0.5) * 2 / cells + at[:, 2] * 2 / cells
    near = torch.hypot(right - truth[:, 1], up - truth[:, 2]) * cells / 2 < 1.5
    # Faces whose point is well inside the picture.
    facing = (truth[:, 0] > 0.7) & (truth[:, 1:3].abs() < 0.8).all(1)
    turn = torch.linalg.vector_norm(at[:, 4:] - truth[:, 4:], dim=1)[facing & near]
    return {
        "found": float(((score > 0.4) & near)[facing].float().mean()),
        "false finds": float((score > 0.4)[truth[:, 0] < landmark_data.AVERTED].float().mean()),
        "scale error": float((at[:, 3] - truth[:, 3])[facing & near].abs().median().exp()) - 1,
        "turn error (matrix)": float(turn.median()),
    }


def as_onnx(
    network: nn.Module, shape: tuple[int, ...], outputs: list[str], free: dict[int, Any] | None = None
) -> onnx.ModelProto:
    """The network with halved weights, checked against torch; free: axes that vary beside the batch's.

    FreeTalkError where its answers differ.
    """
    sample = torch.randn(shape)
    axes = {0: torch.export.Dim("batch", max=4096)} | (free or {})
    program = torch.onnx.export(
        network.eval().to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]
        (sample,),
        input_names=["picture"],
        output_names=outputs,
        opset_version=18,
        dynamic_shapes=(axes,),
        verbose=False,
    )
    model = program.model_proto
    onnx_file.halve_weights(model)
    truth = network(sample)
    truth = truth if isinstance(truth, tuple) else (truth,)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for one, other in zip(truth, session.run(None, {"picture": sample.numpy()}), strict=True):
        worst = float(np.abs(one.detach().numpy() - other).max())
        if worst > HALVED * max(1.0, float(one.detach().abs().max())):
            raise FreeTalkError(f"The exported network differs from torch by {worst}; nothing was written.")
    return model


def save(model: onnx.ModelProto, name: str, card: dict[str, str]) -> None:
    """Write NAME.onnx among the networks."""
    path = models.folder() / f"{name}.onnx"
    onnx_file.save(model, path, card)
    print(f"wrote {path.name}: {path.stat().st_size / 1e6:.2f} MB")


@dataclass(frozen=True)
class Job:
    """A network, its loss, what the two read of the shards (keys), steps of training, and errors on held-out pictures.

    As ONNX: the shape of pictures, names of the answers and their unit, and axes that vary beside the batch's.
    """

    network: nn.Module
    loss: Callable[..., Tensor]
    keys: tuple[str, ...]
    steps: int
    errors: Callable[..., dict[str, float]]
    shape: tuple[int, ...]
    outputs: list[str]
    unit: str
    free: dict[int, Any] = field(default_factory=dict)


def jobs(search_steps: int, steps: int) -> dict[str, Job]:
    """The two networks, new, by name."""
    return {
        "face_search": Job(
            FaceSearch(),
            search_loss,
            ("search", "truth"),
            search_steps,
            search_errors,
            (2, 3, 96, 96),
            ["found"],
            "cells of 8 pixels; log of pixels per eye distance / 14; axes in the picture's frame",
            {2: 8 * torch.export.Dim("rows", min=2, max=256), 3: 8 * torch.export.Dim("columns", min=2, max=256)},
        ),
        "landmarks": Job(
            FaceLandmarks(),
            face_loss,
            ("face", "place", "visible", "other"),
            steps,
            face_errors,
            (2, 4, FACE_SIZE, FACE_SIZE),
            ["place", "spread", "face"],
            "half pictures",
        ),
    }


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures and checkpoints")
    parser.add_argument("--scans", type=int, default=1300, help="training scans to photograph; 0 takes what is there")
    parser.add_argument("--steps", type=int, default=2100, help="batches of the landmark network")
    parser.add_argument("--search-steps", type=int, default=1600, help="batches of the search network")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=["face_search", "landmarks"], help="train one of the two")
    parser.add_argument("--snapshot", action="store_true", help="export the checkpoints as they are, train nothing")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    if given.scans and not given.snapshot:
        model = ict.load(given.data)
        landmark_data.write(model, given.work / "train", 0, given.scans)
        landmark_data.write(model, given.work / "valid", landmark_data.VALIDATION, 100)
    card = {
        "version": "1",
        "licence": "GPL-3.0-or-later",
        "training data": "pictures of random ICT-FaceKit identities (MIT); export/train_landmarks.py",
    }
    for name, job in jobs(given.search_steps, given.steps).items():
        if given.only not in (None, name):
            continue
        network, held_out = job.network, Shots(given.work / "valid", job.keys)
        if given.snapshot:
            network.load_state_dict(torch.load(given.work / f"{name}.pt", weights_only=True)["average"])
            network.eval()
        else:
            network = train(name, network, job.loss, Shots(given.work / "train", job.keys), given.work, job.steps)
        card["held_out"] = json.dumps({key: round(value, 4) for key, value in job.errors(network, held_out).items()})
        print(name, card["held_out"], flush=True)
        save(as_onnx(network, job.shape, job.outputs, job.free), name, {**card, "unit": job.unit})


if __name__ == "__main__":
    command.run(main)
