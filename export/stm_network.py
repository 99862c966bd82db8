"""STM's network: intrinsic features of a vertex -> a basis of facial motion there, and the motion that follows from it.

`Basis` is what is exported; `displacement` repeats the arithmetic of freetalk_blender.core.binding.stm in torch, so
that training sees what `bind` and `displace` will do (tests hold the two together), but for the share that `bind`
trusts at the lips.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from export import onnx_file
from freetalk_blender.core.binding import stm
from freetalk_blender.core.errors import FreeTalkError


class Basis(nn.Module):
    """features (N,F) -> basis (N,3,R), canonical units per unit of code."""

    def __init__(self, rank: int, width: int):
        super().__init__()
        self.rank = rank
        self.register_buffer("mean", torch.zeros(stm.FEATURES))
        self.register_buffer("deviation", torch.ones(stm.FEATURES))
        sizes = [stm.FEATURES, width, width, width]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 3 * rank)
        nn.init.normal_(self.head.weight, std=0.02 / width**0.5)
        nn.init.zeros_(self.head.bias)
        # Of the smooth process (variance per unit of covariance) and of landmark placement (canonical units squared).
        # What no column explains begins at 0.7 and 0.4 mm, small beside the shapes, so that the sizes of columns count.
        self.log_scale = nn.Parameter(torch.tensor(-4.0))
        self.log_noise = nn.Parameter(torch.tensor(-11.0))

    def normalise(self, mean: Tensor, deviation: Tensor) -> None:
        """Statistics (F,) of the training features."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp_min(1e-2))

    def forward(self, features: Tensor) -> Tensor:
        x = ((features - self.mean) / self.deviation).clamp(-6, 6)
        return self.head(self.body(x)).unflatten(-1, (3, self.rank))


class Mean(nn.Module):
    """Several bases of one rank, features (N,F) -> basis (N,3,sum of ranks); motion is the mean of theirs.

    smoother: how many times as much as in training is left to the smooth process, so that landmarks that few columns
    agree on bring along less of the face.
    """

    def __init__(self, networks: Sequence[Basis], smoother: float = 1.0):
        super().__init__()
        self.networks, self.smoother = nn.ModuleList(networks), smoother

    def variances(self) -> list[tuple[Tensor, Tensor]]:
        """Variance per unit of covariance of the smooth process and of landmark placement, of each network."""
        return [(self.smoother * network.log_scale.exp(), network.log_noise.exp()) for network in self.networks]

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([network(features) for network in self.networks], -1)


def read(path: Path) -> list[Basis]:
    """The networks in an ONNX file that was written from a `Basis` or a `Mean`; FreeTalkError where it is another."""
    metadata = {item.key: item.value for item in onnx.load(path).metadata_props}
    if not {"smooth_scale", "noise"} <= set(metadata):
        raise FreeTalkError(f"{path} is no network of STM; give one that export.train_stm wrote.")
    weights = {name: torch.from_numpy(value.copy()) for name, value in onnx_file.weights(path).items()}
    networks = []
    for k, variances in enumerate(stm.variances(metadata)):
        prefix = "" if "head.bias" in weights else f"networks.{k}."
        network = Basis(len(weights[prefix + "head.bias"]) // 3, weights[prefix + "body.0.weight"].shape[0])
        # Numbers that networks share, as the statistics of their features, stand in the file once, with the first.
        state = {
            name: weights.get(prefix + name, weights.get("networks.0." + name))
            for name in network.state_dict()
            if not name.startswith("log_")
        }
        log_scale, log_noise = torch.tensor(variances).log()
        network.load_state_dict(state | {"log_scale": log_scale, "log_noise": log_noise})
        networks.append(network)
    return networks


def gated(network: Basis | Mean, features: Tensor, gate: Tensor) -> Tensor:
    """Basis (M,N,3,R) at vertices of M meshes: features (M,N,F), gate (M,N) of the interpolant."""
    return network(features) * gate[..., None, None]


def displacement(basis: Tensor, network: Basis | Mean, weights: Tensor, covariance: Tensor, motion: Tensor) -> Tensor:
    """Vertex displacement (M,T,P,3) of M meshes in canonical units.

    basis (M,68+P,3,R), gated, the landmarks first; weights (M,P,68) and covariance (M,68,68) of the interpolant; motion
    (M,T,68,3).
    """
    variances = (network if isinstance(network, Mean) else Mean([network])).variances()
    smooth = torch.einsum("mpk,mtkc->mtpc", weights, motion)
    parts = basis.chunk(len(variances), -1)
    learned = [
        _learned(part, scale, noise, weights, covariance, motion)
        for part, (scale, noise) in zip(parts, variances, strict=True)
    ]
    return smooth + sum(learned[1:], learned[0]) / len(learned)


def _learned(
    basis: Tensor, scale: Tensor, noise: Tensor, weights: Tensor, covariance: Tensor, motion: Tensor
) -> Tensor:
    """(M,T,P,3): what one network's basis adds to the interpolant."""
    landmarks = motion.shape[2]
    at, basis = basis[:, :landmarks], basis[:, landmarks:]
    precision = torch.linalg.inv(scale * covariance + noise * torch.eye(landmarks))
    weighted = torch.einsum("mkl,mlcr->mkcr", precision, at)
    normal = torch.einsum("mkcr,mkcs->mrs", at, weighted) + torch.eye(at.shape[-1])
    right = torch.einsum("mkcr,mtkc->mrt", weighted, motion)
    code = torch.linalg.solve(normal, right)  # (M,R,T)
    missed = basis - torch.einsum("mpk,mkcr->mpcr", weights, at)
    return torch.einsum("mpcr,mrt->mtpc", missed, code)
