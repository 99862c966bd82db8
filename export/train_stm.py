"""Train STM and export it: `python -m export.train_stm --data ../shared/data`.

Resumable: samples and checkpoints stay in the work folder, and a second run goes on where the first stopped. On one
idle core of 2026: seven minutes of samples and a quarter of an hour of training. Writes onnx_models/stm.onnx when the
network beats the interpolant alone on the identities kept for validation.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from export import ict, onnx_file, stm_data
from export.stm_network import Basis, displacement
from freetalk_blender.core import frame, models, stm
from freetalk_blender.core.landmarks import COUNT

MESHES, VERTICES, FRAMES = 8, 256, 24
#: Columns of the features that hold the interpolant's weights.
_WEIGHTS = slice(9, 9 + COUNT)


@dataclass(frozen=True)
class Options:
    """steps of the whole run; style: strength of the expression styles; unfamiliar: of motion
    that no expression explains; held_out: shapes never seen in training."""

    steps: int = 8000
    rate: float = 1e-3
    style: float = 2.0
    unfamiliar: float = 1.3
    rank: int = 96
    width: int = 256
    held_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Tensors of `displacement`, the true displacement (M,T,P,3) and the importance (M,P) of each vertex."""

    features: Tensor
    gate: Tensor
    weights: Tensor
    covariance: Tensor
    motion: Tensor
    truth: Tensor
    importance: Tensor


class Faces:
    """Samples in memory, and batches of random vertices, expressions and styles drawn from them."""

    def __init__(self, model: ict.IctModel, files: list[Path], held_out: tuple[int, ...] = ()):
        self.samples = [stm_data.load(path) for path in files]
        self.shapes = np.array([i for i in stm_data.skin_expressions(model) if i not in held_out])
        jaw = np.flatnonzero(self.shapes == model.index("jawOpen"))
        self.jaw = int(jaw[0]) if len(jaw) else None
        # (registered vertices, shapes * 3), so that a carry row picks the displacements of all shapes at once
        expression = model.expression[self.shapes]
        self.expression = np.ascontiguousarray(expression.transpose(1, 0, 2).reshape(expression.shape[1], -1))
        self.chance = [_chance(sample) for sample in self.samples]

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (F,) of the features."""
        rows = np.concatenate([s.features[:: max(1, len(s.features) // 200)] for s in self.samples]).astype(np.float32)
        return torch.from_numpy(rows.mean(0)), torch.from_numpy(rows.std(0))

    def draw(self, rng: np.random.Generator, meshes: int, options: Options) -> Batch:
        """A batch of random samples."""
        picked = rng.choice(len(self.samples), meshes, replace=len(self.samples) < meshes)
        return _stack([self._one(rng, int(i), options) for i in picked])

    def _one(self, rng: np.random.Generator, index: int, options: Options) -> dict[str, np.ndarray]:
        sample = self.samples[index]
        at = rng.choice(len(sample.features), VERTICES, p=self.chance[index])
        place = sp.vstack([sample.landmark_carry, sample.carry[at]], "csr")
        shapes = (place @ self.expression).reshape(COUNT + VERTICES, -1, 3).transpose(1, 0, 2) @ sample.to_canonical
        points = sample.features[np.concatenate([sample.rows, at]), :3].astype(np.float32)
        if options.style:
            shapes = stm_data.style(points, shapes, options.style * rng.uniform(), rng)
        moved = np.tensordot(stm_data.random_weights(rng, FRAMES, len(shapes), self.jaw), shapes, 1)
        weights = sample.features[at, _WEIGHTS].astype(np.float32)
        if options.unfamiliar:
            extra = options.unfamiliar * stm_data.unfamiliar(points[:COUNT], FRAMES, rng)
            extra[rng.random(FRAMES) < 0.4] = 0
            alone = rng.random(FRAMES) < 0.15
            moved[alone] = 0
            moved = moved + np.concatenate([extra, np.einsum("pk,tkc->tpc", weights, extra, optimize=True)], 1)
        everywhere = np.concatenate([sample.rows, at])
        real = np.diff(place.indptr)[COUNT:] > 0
        return {
            "features": sample.features[everywhere].astype(np.float32),
            "gate": sample.gate[everywhere],
            "weights": weights,
            "covariance": sample.covariance,
            "motion": moved[:, :COUNT].astype(np.float32),
            "truth": moved[:, COUNT:].astype(np.float32),
            "importance": real.astype(np.float32),
        }


def _stack(items: list[dict[str, np.ndarray]]) -> Batch:
    return Batch(**{key: torch.from_numpy(np.stack([item[key] for item in items])) for key in items[0]})


def _chance(sample: stm_data.Sample) -> np.ndarray:
    """(N,) chance of each vertex: two in five anywhere, two near the lips, one near the eyes."""
    position = sample.features[:, :3].astype(np.float32)
    landmarks = position[sample.rows]

    def near(which: slice) -> np.ndarray:
        distance = np.linalg.norm(position[:, None] - landmarks[None, which], axis=2).min(1)
        density = np.exp(-((distance / 0.1) ** 2))
        return density / density.sum()

    return 0.4 / len(position) + 0.4 * near(slice(48, 68)) + 0.2 * near(slice(36, 48))


def error(network: Basis, batch: Batch) -> Tensor:
    """(M,T,P) distance from the truth, mm of a face whose outer eye corners are 90 mm apart."""
    found = displacement(network, batch.features, batch.gate, batch.weights, batch.covariance, batch.motion)
    return (found - batch.truth).square().sum(-1).add(1e-9).sqrt() * frame.EYE_DISTANCE_MM


def loss(network: Basis, batch: Batch) -> Tensor:
    """Mean distance, a share of its square (by which the worst lip vertex is judged) and of its logarithm (so that what
    should rest does rest)."""
    distance = error(network, batch)
    share = batch.importance[:, None, :]
    penalty = distance + 0.1 * distance.square() + 0.1 * torch.log1p(distance / 0.1)
    return (penalty * share).sum() / (share.sum() * batch.motion.shape[1])


def interpolant_error(batch: Batch) -> Tensor:
    """(M,T,P) the same for the interpolant without a network."""
    found = torch.einsum("mpk,mtkc->mtpc", batch.weights, batch.motion)
    return (found - batch.truth).norm(dim=-1) * frame.EYE_DISTANCE_MM


def validate(network: Basis, faces: Faces, options: Options, batches: int = 6) -> tuple[float, float]:
    """Mean error (mm) of the network and of the interpolant on fixed batches without style."""
    rng = np.random.default_rng(12345)
    plain = Options(style=0.0, unfamiliar=0.0)
    ours, smooth = [], []
    network.eval()
    with torch.no_grad():
        for _ in range(batches):
            batch = faces.draw(rng, MESHES, plain)
            share = (batch.importance[:, None, :] > 0).expand(-1, FRAMES, -1)
            ours.append(error(network, batch)[share].mean())
            smooth.append(interpolant_error(batch)[share].mean())
    network.train()
    return float(torch.stack(ours).mean()), float(torch.stack(smooth).mean())


def train(
    faces: Faces,
    options: Options,
    checkpoint: Path,
    probes: dict[str, Faces],
    start_from: Path | None = None,
    report: Callable[[str], None] = print,
) -> Basis:
    """Adam with a one-cycle rate; goes on from `checkpoint` where it exists, else from the weights of `start_from`."""
    torch.manual_seed(0)
    network = Basis(options.rank, options.width)
    network.normalise(*faces.statistics())
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=options.steps, pct_start=0.05)
    done = 0
    if start_from and not checkpoint.exists():
        network.load_state_dict(torch.load(start_from, weights_only=True)["network"])
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        done = state["done"]
        report(f"resumed at step {done}")
    start, running = time.time(), 0.0
    for step in range(done, options.steps):
        batch = faces.draw(np.random.default_rng([7, step]), MESHES, options)
        value = loss(network, batch)
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        running = value.item() if step == done else 0.98 * running + 0.02 * value.item()
        if (step + 1) % 250 == 0 or step + 1 == options.steps:
            scores = {name: validate(network, probe, options) for name, probe in probes.items()}
            shown = ", ".join(
                f"{name} {ours:.3f} (interpolant {smooth:.3f}) mm" for name, (ours, smooth) in scores.items()
            )
            scale, noise = network.log_scale.exp().item(), network.log_noise.exp().item()
            took = f"{time.time() - start:.0f} s"
            report(f"step {step + 1} {took} loss {running:.3f}: {shown}; {scale:.2f} {noise:.1e}")
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
            state |= {"schedule": schedule.state_dict(), "done": step + 1}
            partial = checkpoint.with_suffix(".partial")
            torch.save(state, partial)
            partial.rename(checkpoint)
    return network


def averaged(checkpoints: list[Path]) -> Basis:
    """The mean of several checkpoints' weights, where one was trained on from another.

    Source: Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy".
    """
    states = [torch.load(path, weights_only=True)["network"] for path in checkpoints]
    mean = {key: torch.stack([state[key].float() for state in states]).mean(0) for key in states[0]}
    width, rank = mean["head.weight"].shape[1], mean["head.weight"].shape[0] // 3
    network = Basis(rank, width)
    network.load_state_dict(mean)
    return network


def export(network: Basis, path: Path) -> float:
    """Write the ONNX file; returns the largest difference between torch and onnxruntime on random features."""
    import onnxruntime

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
        "training_data": "ICT-FaceKit (MIT), identities and expressions synthesised from it",
        "features": str(stm.FEATURES),
        "smooth_scale": repr(network.log_scale.exp().item()),
        "noise": repr(network.log_noise.exp().item()),
    }
    onnx_file.save(program.model_proto, path, metadata)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    other = torch.randn(777, stm.FEATURES)
    (found,) = session.run(["basis"], {"features": other.numpy()})
    with torch.no_grad():
        return float(np.abs(found - network(other).numpy()).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ict_facekit/")
    parser.add_argument("--work", type=Path, default=Path("build/stm"), help="folder of samples and checkpoints")
    parser.add_argument("--samples", type=int, default=620, help="random scans to train on")
    parser.add_argument("--steps", type=int, default=Options.steps)
    parser.add_argument("--name", default="stm", help="name of the checkpoint")
    parser.add_argument("--style", type=float, default=Options.style, help="strength of the expression styles")
    parser.add_argument("--unfamiliar", type=float, default=Options.unfamiliar, help="strength of unexplained motion")
    parser.add_argument("--rate", type=float, default=Options.rate)
    parser.add_argument("--start", type=Path, help="checkpoint whose weights to start from")
    parser.add_argument("--rank", type=int, default=Options.rank)
    parser.add_argument("--hold-out", type=int, default=0, help="leave every n-th shape out, to compare settings")
    parser.add_argument("--average", type=Path, nargs="+", help="export the mean of these checkpoints, train nothing")
    parser.add_argument("--no-export", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = ict.load(arguments.data)
    files = stm_data.prepare(model, arguments.work / "samples", arguments.samples)
    held_out = stm_data.held_out(model, arguments.hold_out)
    options = Options(
        arguments.steps,
        arguments.rate,
        style=arguments.style,
        unfamiliar=arguments.unfamiliar,
        rank=arguments.rank,
        held_out=held_out,
    )
    kept = stm_data.prepare(model, arguments.work / "validation", 30, first=stm_data.VALIDATION[0])
    probes = {"unseen identities": Faces(model, kept)}
    if held_out:
        seen = set(stm_data.skin_expressions(model)) - set(held_out)
        probes["unseen shapes"] = Faces(model, kept, tuple(seen))
    checkpoint = arguments.work / f"{arguments.name}.pt"
    if arguments.average:
        network = averaged(arguments.average)
    else:
        network = train(Faces(model, files, held_out), options, checkpoint, probes, arguments.start)
    if arguments.no_export:
        return
    ours, smooth = validate(network, probes["unseen identities"], options)
    if ours >= smooth:
        raise SystemExit(f"not exported: {ours:.3f} mm is no better than the interpolant's {smooth:.3f} mm")
    difference = export(network, models.folder() / "stm.onnx")
    print(f"wrote {models.folder() / 'stm.onnx'}; torch against onnxruntime: {difference:.1e}")


if __name__ == "__main__":
    main()
