"""Train STM and export it: `python -m export.train_stm --data ../shared/data`.

Trains a network for each seed; what is exported is the mean of them (`stm_network.Mean`). Resumable: samples and
checkpoints stay in the work folder, and a second run goes on where the first stopped; one with other options needs a
--work or --name of its own. On one core of 2026: eight minutes of samples and ten minutes of training for each network.
Writes onnx_models/stm.onnx when the mean beats the interpolant alone on the identities kept for validation.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from export import checkpoint, command, ict, onnx_file, stm_data
from export.stm_batches import MESHES, REGIONS, Batch, Drawing, Faces
from export.stm_network import Basis, Mean, displacement, gated, read
from freetalk_blender.core import frame, models
from freetalk_blender.core.binding import stm
from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.landmarks import COUNT

#: Steps in which the rate of learning rises, and in which the variances of what no column explains are learned: columns
#: can grow or shrink instead, so the variances would drift for ever.
WARM_UP, VARIANCES = 100, 1000
#: Batches that `validate` and `calibration` look at: drawn anew from the same seed, so that figures compare.
VALIDATED, CALIBRATED = 6, 8
#: Shares of the learned correction that `calibration` compares, and how much more than in training is left to the
#: smooth process (`Mean`); SMOOTHER of it is exported.
SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7)
SMOOTHERS, SMOOTHER = (1.0, 2.0, 4.0, 8.0, 16.0), 4.0


@dataclass(frozen=True)
class Options:
    """steps of the whole run; rate of learning; what is drawn; rank of the basis and width of the network; held_out:
    shapes never seen in training; seed of all that is drawn."""

    steps: int = 3000
    rate: float = 2e-3
    drawing: Drawing = field(default_factory=Drawing)
    rank: int = 128
    width: int = 288
    held_out: tuple[int, ...] = ()
    seed: int = 0


def error(basis: Tensor, network: Basis | Mean, batch: Batch) -> Tensor:
    """(M,T,P) distance from the truth, mm of a face whose outer eye corners are 90 mm apart; basis (M,68+P,3,R)."""
    found = displacement(basis, network, batch.weights, batch.covariance, batch.motion)
    return (found - batch.truth).square().sum(-1).add(1e-9).sqrt() * frame.EYE_DISTANCE_MM


def loss(basis: Tensor, network: Basis, batch: Batch) -> Tensor:
    """Mean distance, a share of its square (by which the worst lip vertex is judged) and of its logarithm (so that what
    should rest does rest)."""
    distance = error(basis, network, batch)
    share = batch.importance[:, None, :]
    penalty = distance + 0.1 * distance.square() + 0.1 * torch.log1p(distance / 0.1)
    return (penalty * share).sum() / (share.sum() * batch.motion.shape[1])


def guidance(basis: Tensor, batch: Batch) -> Tensor:
    """Distance (mm) of the first columns of the basis (M,68+P,3,R) from ICT-FaceKit's shapes, as a loss to begin with.

    Which basis spans the motion is free, and left to itself the network settles on columns that are large and nearly
    alike; shown one basis that is good, it learns several times as fast.
    """
    shapes = batch.shapes.shape[-1]
    distance = (basis[..., :shapes] - batch.shapes).square().sum(2).add(1e-8).sqrt() * frame.EYE_DISTANCE_MM
    real = torch.cat([torch.ones_like(basis[:, :COUNT, 0, 0]), torch.sign(batch.importance)], 1)[..., None]
    return (distance * real).sum() / real.sum() / shapes**0.5


def interpolant_error(batch: Batch) -> Tensor:
    """(M,T,P) the same for the interpolant without a network."""
    found = torch.einsum("mpk,mtkc->mtpc", batch.weights, batch.motion)
    return (found - batch.truth).norm(dim=-1) * frame.EYE_DISTANCE_MM


def validate(network: Basis | Mean, faces: Faces, plain: float = 1.0) -> dict[str, tuple[float, float]]:
    """Region -> mean error (mm) of the network and of the interpolant, on fixed batches of which a share `plain` is in
    ICT-FaceKit's own style."""
    rng = np.random.default_rng(12345)
    how = Drawing(plain=plain, unfamiliar=0.0)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in REGIONS}
    with torch.no_grad():
        for _ in range(VALIDATED):
            batch = faces.draw(rng, MESHES, how)
            basis = gated(network, batch.features, batch.gate)
            ours, smooth = (e.mean(1) for e in (error(basis, network, batch), interpolant_error(batch)))
            for k, name in enumerate(REGIONS):
                inside = (batch.region == k) & (batch.importance > 0)
                found[name].append((float(ours[inside].mean()), float(smooth[inside].mean())))
    means = {name: np.mean(pairs, axis=0) for name, pairs in found.items()}
    return {name: (float(ours), float(smooth)) for name, (ours, smooth) in means.items()}


def told(network: Basis | Mean, faces: Faces, plain: float) -> str:
    """What `validate` finds."""
    scores = validate(network, faces, plain).items()
    return ", ".join(f"{region} {ours:.3f} ({smooth:.3f})" for region, (ours, smooth) in scores)


def calibration(network: Basis | Mean, faces: Faces, plain: float) -> dict[str, list[float]]:
    """Region -> mean error (mm) when the shares SHARES of the correction are used; of all faces a share `plain` is in
    ICT-FaceKit's own style. For `stm.LIP_TRUST`."""
    rng = np.random.default_rng(5)
    found: dict[str, list[list[float]]] = {name: [] for name in REGIONS}
    with torch.no_grad():
        for _ in range(CALIBRATED):
            batch = faces.draw(rng, MESHES, Drawing(plain=plain, unfamiliar=0.0))
            basis = gated(network, batch.features, batch.gate)
            smooth = torch.einsum("mpk,mtkc->mtpc", batch.weights, batch.motion)
            learned = displacement(basis, network, batch.weights, batch.covariance, batch.motion) - smooth
            errors = [(smooth + share * learned - batch.truth).norm(dim=-1).mean(1) for share in SHARES]
            for k, name in enumerate(REGIONS):
                inside = (batch.region == k) & (batch.importance > 0)
                found[name].append([float(e[inside].mean()) * frame.EYE_DISTANCE_MM for e in errors])
    return {name: np.mean(rows, axis=0).tolist() for name, rows in found.items()}


def rate_at(step: int, steps: int) -> float:
    """Share of the rate: a short rise, level, and a fall to nothing over the last three quarters."""
    return min(1.0, (step + 1) / WARM_UP, (steps - step) / (0.75 * steps))


def guidance_at(step: int, steps: int) -> float:
    """Weight of `guidance`: 1 at first, two thirds from step 1000, and over the last quarter down to a third.

    With all of it the network stays too near to ICT-FaceKit's own style; without any the columns run away.
    """
    return max(2 / 3, 1 - step / 3000) * min(1.0, max(0.5, (steps - step) / (0.25 * steps)))


def optimisers(network: Basis, rate: float) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the matrices (Jordan et al. 2024, "Muon: an optimizer for hidden layers"), AdamW for all else."""
    matrices = [p for p in network.parameters() if p.ndim == 2]
    others = [p for p in network.parameters() if p.ndim != 2]
    muon = torch.optim.Muon(matrices, lr=rate, weight_decay=1e-3, adjust_lr_fn="match_rms_adamw")
    return muon, torch.optim.AdamW(others, lr=rate, weight_decay=1e-3)


def train(
    faces: Faces,
    options: Options,
    path: Path,
    probes: dict[str, tuple[Faces, float]],
    report: Callable[[str], None] = print,
) -> Basis:
    """The whole run; goes on from the checkpoint at `path`, if there is one. probes: what `validate` is shown, by name.

    FreeTalkError where the checkpoint is of other options or samples.
    """
    torch.manual_seed(options.seed)
    network = Basis(options.rank, options.width)
    network.normalise(*faces.statistics())
    running_optimisers = optimisers(network, options.rate)
    done = 0
    settings = {**asdict(options), **asdict(options.drawing), "samples": len(faces.read)}
    del settings["drawing"]
    if state := checkpoint.load(path, settings, faces.folder, faces.read):
        network.load_state_dict(state["network"])
        for optimiser, saved in zip(running_optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        done = state["done"]
        report(f"resumed at step {done}")
    start, running = time.process_time(), 0.0
    for step in range(done, options.steps):
        batch = faces.draw(np.random.default_rng([7 + options.seed, step]), MESHES, options.drawing)
        basis = gated(network, batch.features, batch.gate)
        value = loss(basis, network, batch)
        network.zero_grad()
        (value + guidance_at(step, options.steps) * guidance(basis, batch)).backward()
        if step >= VARIANCES:
            network.log_scale.grad = network.log_noise.grad = None
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimiser in running_optimisers:
            for group in optimiser.param_groups:
                group["lr"] = options.rate * rate_at(step, options.steps)
            optimiser.step()
        running = value.item() if step == done else 0.98 * running + 0.02 * value.item()
        if (step + 1) % 250 == 0 or step + 1 == options.steps:
            scale, noise = network.log_scale.exp().item(), network.log_noise.exp().item()
            took = time.process_time() - start
            apart = guidance(basis, batch).item()
            report(
                f"step {step + 1}, {took:.0f} s of a processor: loss {running:.3f}, basis {apart:.2f} from the shapes, "
                f"scale {scale:.3f}, noise {noise:.1e}"
            )
            for name, (probe, plain) in probes.items():
                report(f"  {name}, mm (interpolant): {told(network, probe, plain)}")
            state = {"network": network.state_dict(), "done": step + 1}
            state["optimisers"] = [optimiser.state_dict() for optimiser in running_optimisers]
            checkpoint.save(path, state, settings, faces.read)
    return network


def export(network: Mean, path: Path) -> float:
    """Write the ONNX file; returns the largest difference between torch and onnxruntime on random features."""
    network.eval()
    example = torch.randn(100, stm.FEATURES)
    program = torch.onnx.export(
        network, (example,), input_names=["features"], output_names=["basis"], opset_version=18, dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("V")},), verbose=False, optimize=True,
    )  # fmt: skip
    metadata = {
        "version": "1",
        "unit": "outer eye-corner distance |36-45| of the neutral face",
        "licence": "GPL-3.0-or-later",
        "training data": "ICT-FaceKit (MIT), identities and expressions synthesised from it",
        "features": str(stm.FEATURES),
        "smooth_scale": " ".join(repr(scale.item()) for scale, _ in network.variances()),
        "noise": " ".join(repr(noise.item()) for _, noise in network.variances()),
    }
    onnx_file.save(program.model_proto, path, metadata)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    other = torch.randn(777, stm.FEATURES)
    (found,) = session.run(["basis"], {"features": other.numpy()})
    with torch.no_grad():
        return float(np.abs(found - network(other).numpy()).max())


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--work", type=Path, default=Path("build/stm"), help="folder of samples and checkpoints")
    parser.add_argument("--scans", type=int, default=191, help="random scans to train on")
    parser.add_argument("--steps", type=int, default=Options.steps)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="one network is trained for each")
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="files (.onnx) of networks to take in too")
    parser.add_argument("--name", default="stm", help="name of the checkpoints")
    parser.add_argument("--hold-out", type=int, default=0, help="leave every n-th shape out, to compare settings")
    parser.add_argument("--threads", type=int, default=1, help="of the machine's cores")
    parser.add_argument("--no-export", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    beside = [network for path in arguments.beside for network in read(path)]
    model = ict.load(arguments.data)
    files = stm_data.prepare(model, arguments.work / "samples", arguments.scans)
    validation = arguments.work / "validation"
    kept = stm_data.prepare(model, validation, len(stm_data.VALIDATION), first=stm_data.VALIDATION[0])
    held_out = stm_data.held_out(model, arguments.hold_out)
    options = Options(arguments.steps, held_out=held_out)
    unseen = Faces(model, kept)
    probes = {"unseen identities": (unseen, 1.0), "in other styles": (unseen, 0.0)}
    if held_out:
        seen = set(stm_data.skin_expressions(model)) - set(held_out)
        probes["unseen shapes"] = Faces(model, kept, tuple(seen)), 1.0
    faces = Faces(model, files, held_out)
    networks = [
        train(faces, replace(options, seed=seed), arguments.work / f"{arguments.name}_{seed}.pt", probes)
        for seed in arguments.seeds
    ]
    networks += beside
    for smoother in SMOOTHERS:
        for name, (probe, plain) in probes.items():
            shown = told(Mean(networks, smoother), probe, plain)
            print(f"mean of {len(networks)}, smoother x {smoother:g}, {name}, mm (interpolant): {shown}")
    network = Mean(networks, SMOOTHER)
    print(f"error, mm, when these shares of the correction are used: {SHARES}")
    for title, plain in (("own style", 1.0), ("other styles", 0.0)):
        for name, errors in calibration(network, unseen, plain).items():
            print(f"  {title}, {name}: {', '.join(f'{e:.4f}' for e in errors)}")
    if arguments.no_export:
        return
    worse = [name for name, (ours, smooth) in validate(network, unseen).items() if ours > smooth]
    if worse:
        raise FreeTalkError(f"Not exported: no better than the interpolant at {', '.join(worse)}")
    difference = export(network, models.folder() / "stm.onnx")
    print(f"wrote {models.folder() / 'stm.onnx'}; torch against onnxruntime: {difference:.1e}")


if __name__ == "__main__":
    command.run(main)
