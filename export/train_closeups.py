"""Train the refinement of landmarks: `python -m export.train_closeups --data ../shared/data --work FOLDER`.

Photographs the close-ups that FOLDER does not hold yet, trains the network (it resumes from its checkpoint in FOLDER),
writes onnx_models/landmark_closeups.onnx and prints the errors on held-out identities.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export import close_data, command, ict, landmark_data, onnx_file
from export.close_network import CloseLandmarks
from export.landmark_network import heat_places
from export.train_landmarks import RATE, Shots, as_onnx, bell, decode, half_precision, save, spoil, train
from freetalk_blender.core.detection.close_view import CLOSE_SIZE, FIRST, PARTS
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import MIRRORED

NAME = "landmark_closeups"
BATCH = 96
#: Close-ups are moved by up to so many pixels; first answers are off by less.
SHIFT = 1
#: Shares of the parts in a batch: lips and lids matter most.
SHARES = {"eye": 0.35, "mouth": 0.3, "nose": 0.15, "jaw": 0.2}
#: Share of the pictures that are spoilt beyond what scanners do, and that are washed out.
SPOILT, WASHED = 0.5, 0.25
#: Kinds of scans that can be wanted beside the usual ones, and what they are.
KINDS = {
    "strong": "laughs, shouts and grimaces",
    "reshaped": "features beyond the model's own",
    "melted": "lids and lips as photogrammetry leaves them",
}
#: Folders of held-out close-ups, and what all scans of each are.
HELD_OUT: dict[str, dict[str, float]] = {
    "close_valid": {},
    **{f"close_valid_{kind}": {kind: 1.0} for kind in KINDS},
}
#: How a washed-out place is drawn: its radius (halves), the width of the blur (pixels), the slope of its bumps.
WASH_RADIUS, WASH_WIDTH, WASH_SLOPE = (0.15, 0.7), (0.6, 3.0), 0.25
#: Channels (4, 20) of each part's points, its own first point again where it has fewer, and which are its own.
CHANNELS = torch.as_tensor(
    np.stack(
        [
            np.resize(np.r_[first : first + len(part.points)], close_data.MOST_POINTS)
            for first, part in zip(FIRST[:-1], PARTS, strict=True)
        ]
    )
)
OWN = torch.as_tensor(np.stack([np.arange(close_data.MOST_POINTS) < len(part.points) for part in PARTS]))


def close_loss(network: CloseLandmarks, shots: Shots, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Heat-map cross-entropy + coordinate error + learned spread on one batch."""
    packed, place, visible, part = _batch(shots, rng)
    picture, place, visible = _mirror(decode(packed), place, visible, part, generator)
    picture, place = _move(picture, place, generator)
    washed = torch.rand(BATCH, generator=generator) < WASHED
    picture[washed] = wash(picture[washed], place[washed], OWN[part[washed]], generator)
    spoilt = torch.rand(BATCH, generator=generator) < SPOILT
    picture[spoilt] = spoil(picture[spoilt], generator)
    picture = picture.to(memory_format=torch.channels_last)
    with half_precision():
        maps = network.heat(picture)
    maps = maps.float().take_along_dim(CHANNELS[part][:, :, None, None], 1)
    found, spread = _part_places(network, maps, part)
    weight = (0.3 + 0.7 * visible.float()) * (place.abs() < 0.98).all(-1) * OWN[part]
    weight = weight / weight.sum().clamp(min=1)
    cells = maps.shape[-1]
    columns, rows = bell(network.columns, place[..., 0], cells), bell(network.rows, place[..., 1], cells)
    logs = torch.log_softmax(maps.flatten(2), -1).unflatten(2, maps.shape[2:])
    entropy = -torch.einsum("bkhw,bkh,bkw->bk", logs, rows, columns)
    error = torch.linalg.vector_norm(found - place, dim=-1)
    likelihood = error.detach() / spread + torch.log(spread)
    return (weight * (entropy + 40 * error + 0.1 * likelihood)).sum()


def _batch(shots: Shots, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """BATCH close-ups, their places, what is visible and their parts, of each part its share."""
    taken = shots.take(rng, 4 * BATCH, "close", "place", "visible", "part")
    wanted = rng.multinomial(BATCH, list(SHARES.values()))
    names = [kind.name for kind in PARTS]
    rows = torch.cat(
        [
            torch.nonzero(taken[3] == names.index(name))[:count, 0]
            for name, count in zip(SHARES, wanted.tolist(), strict=True)
        ]
    )
    return tuple(one[rows] for one in taken)


def _part_places(network: CloseLandmarks, maps: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
    """Places (B, 20, 2) and spreads (B, 20) of maps (B, 20, H, W) already chosen by part."""
    return heat_places(maps, network.columns, network.rows, network.widen[:, CHANNELS[part]])


def _mirror(
    picture: Tensor, place: Tensor, visible: Tensor, part: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Half of the unpaired parts (mouth, nose) in a mirror."""
    coin = torch.rand(len(part), generator=generator) < 0.5
    for row, kind in enumerate(PARTS):
        if kind.paired:
            continue
        chosen = coin & (part == row)
        count, first = len(kind.points), int(kind.points[0])
        order = torch.as_tensor(MIRRORED[kind.points] - first)
        picture[chosen] = picture[chosen].flip(3) * torch.tensor([-1.0, 1, 1, 1])[:, None, None]
        place[chosen, :count] = (place[chosen, :count] * torch.tensor([-1.0, 1.0]))[:, order]
        visible[chosen, :count] = visible[chosen, :count][:, order]
    return picture, place, visible


def _move(picture: Tensor, place: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures moved by whole pixels, their borders drawn out."""
    padded = F.pad(picture, (SHIFT,) * 4, mode="replicate")
    down, across = torch.randint(0, 2 * SHIFT + 1, (2, len(picture)), generator=generator)
    size = picture.shape[-1]
    moved = torch.stack(
        [one[:, y : y + size, x : x + size] for one, y, x in zip(padded, down.tolist(), across.tolist(), strict=True)]
    )
    shift = torch.stack([SHIFT - across, down - SHIFT], 1) * 2 / size
    return moved, place + shift[:, None]


def wash(picture: Tensor, place: Tensor, own: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, 4, S, S) as photogrammetry leaves wet, shiny and fine things: around one of their points, places
    (B, P, 2) of which some are `own` (B, P), the surface is smoothed and has bumps of its own.

    Smoothing a height field smooths its normals; what is not seen takes no part.
    """
    batch, size = len(picture), picture.shape[-1]

    def draw(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand(batch, generator=generator))[:, None, None, None]

    chosen = torch.multinomial(own.float(), 1, generator=generator)[:, 0]
    middle = place[torch.arange(batch), chosen]
    line = (torch.arange(size) + 0.5) * 2 / size - 1
    away = (line - middle[:, 0, None])[:, None, None, :] ** 2 + (-line - middle[:, 1, None])[:, None, :, None] ** 2
    amount = torch.exp(-((away / draw(*WASH_RADIUS) ** 2) ** 2))

    seen = (picture[:, :3].square().sum(1, keepdim=True) > 0.05).float()
    width = draw(*WASH_WIDTH)
    kernel = torch.exp(-0.5 * (torch.arange(-8, 9) / width[..., 0]) ** 2).repeat_interleave(5, 0)
    blurred = torch.cat([picture * seen, seen], 1).flatten(0, 1)[None]
    for shape, padding in (((1, 1, 17), (0, 8)), ((1, 17, 1), (8, 0))):
        blurred = F.conv2d(blurred, kernel.view(-1, *shape), padding=padding, groups=5 * batch)
    blurred = blurred.view(batch, 5, size, size)
    smooth = blurred[:, :4] / (blurred[:, 4:] + 1e-3)

    rough = torch.randn(batch, 1, size // 8 + 1, size // 8 + 1, generator=generator)
    height = F.interpolate(rough, (size, size), mode="bicubic", align_corners=True) * draw(0, 8 * WASH_SLOPE)
    slope = torch.cat(
        [
            F.pad(height[..., 1:] - height[..., :-1], (0, 1, 0, 0), mode="replicate"),
            -F.pad(height[..., 1:, :] - height[..., :-1, :], (0, 0, 0, 1), mode="replicate"),
        ],
        1,
    )
    normal = torch.cat([smooth[:, :2] - slope, smooth[:, 2:3]], 1)
    normal = normal / (normal.norm(dim=1, keepdim=True) + 1e-6)
    melted = torch.cat([normal, smooth[:, 3:] + height * 2 / size], 1)
    return torch.where(seen > 0, torch.lerp(picture, melted, amount), picture)


@torch.no_grad()
def begin_from(network: CloseLandmarks, path: Path, pictures: Tensor) -> None:
    """The weights of an exported network, in which each normalisation has become part of the convolution before it.

    The normalisations are set so that they change nothing on pictures (B, 4, 64, 64) like those of the training.
    """
    kept = onnx_file.weights(path)
    for name, value in network.named_parameters():
        if name in kept:
            value.copy_(torch.from_numpy(kept[name].copy()))
    network.widen.copy_(torch.as_tensor(np.stack([kept["select"], kept["select_1"]])))

    def settle(name: str) -> Callable[[nn.Module, tuple[Tensor]], None]:
        def hook(module: nn.Module, given: tuple[Tensor]) -> None:
            variance, mean = torch.var_mean(given[0], (0, 2, 3))
            module.running_mean.copy_(mean)
            module.running_var.copy_(variance)
            module.weight.copy_(torch.sqrt(variance + module.eps))
            module.bias.copy_(mean + torch.tensor(kept[f"{name[:-1]}0.weight_bias"]))

        return hook

    hooks = [
        module.register_forward_pre_hook(settle(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    network.eval()(pictures)
    for hook in hooks:
        hook.remove()


def close_errors(model: onnx.ModelProto, shots: Shots) -> dict[str, float]:
    """Mean error of visible points in mm, by part (eye distance 90 mm), of an exported network."""
    place, visible, part = shots.all("place"), shots.all("visible"), shots.all("part")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answers = [session.run(["place"], {"picture": decode(one).numpy()})[0] for one in shots.all("close").split(128)]
    found = torch.from_numpy(np.concatenate(answers)).take_along_dim(CHANNELS[part][..., None], 1)
    error = torch.linalg.vector_norm(found - place, dim=-1) * EYE_DISTANCE_MM
    return {
        kind.name: round(float(error[part == row][(visible & OWN[part])[part == row]].mean()) * kind.half, 3)
        for row, kind in enumerate(PARTS)
    }


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--work", type=Path, required=True, help="folder for close-ups and checkpoints")
    parser.add_argument("--scans", type=int, default=1000, help="training scans to photograph; 0 takes what is there")
    parser.add_argument("--first", type=int, default=close_data.FIRST_SEED, help="the first of the training scans")
    for kind, what in KINDS.items():
        parser.add_argument(f"--{kind}", type=float, default=0.0, help=f"share of scans with {what}")
    parser.add_argument("--steps", type=int, default=1800, help="batches")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE, help="highest learning rate")
    parser.add_argument("--start", type=Path, help="begin from the weights of this exported network")
    parser.add_argument("--share", type=float, default=1.0, help="of the trained weights; the rest is --start's")
    parser.add_argument("--photograph-only", action="store_true", help="photograph the scans, train nothing")
    parser.add_argument("--snapshot", action="store_true", help="export the checkpoint as it is, train nothing")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    if given.scans and not given.snapshot:
        model = ict.load(given.data)
        make = partial(close_data.photograph, shares={kind: getattr(given, kind) for kind in KINDS})
        landmark_data.write(model, given.work / "close", given.first, given.scans, make)
        for folder, shares in HELD_OUT.items():
            make = partial(close_data.photograph, shares=shares)
            landmark_data.write(model, given.work / folder, landmark_data.VALIDATION, 50, make)
    if given.photograph_only:
        return
    keys = ("close", "place", "visible", "part")
    network = CloseLandmarks()
    if given.snapshot:
        network.load_state_dict(torch.load(given.work / f"{NAME}.pt", weights_only=True)["average"])
        network.eval()
    else:
        shots = Shots(given.work / "close", keys)
        if given.start:
            begin_from(network, given.start, decode(shots.take(np.random.default_rng(0), 512, "close")[0]))
        network = train(NAME, network, close_loss, shots, given.work, given.steps, rate=given.rate)
    card = {
        "version": "1",
        "licence": "GPL-3.0-or-later",
        "training data": "close-ups of random ICT-FaceKit identities (MIT); export/train_closeups.py",
        "unit": "half pictures",
    }
    model = as_onnx(network, (2, 4, CLOSE_SIZE, CLOSE_SIZE), ["place", "spread"])
    if given.start:
        onnx_file.blend(model, onnx_file.weights(given.start), given.share)
    held_out = {folder: shots for folder in HELD_OUT if (shots := Shots(given.work / folder, keys)).read}
    if held_out:
        card["held_out_mm"] = json.dumps({folder: close_errors(model, shots) for folder, shots in held_out.items()})
        print(NAME, card["held_out_mm"], flush=True)
    save(model, NAME, card)


if __name__ == "__main__":
    command.run(main)
