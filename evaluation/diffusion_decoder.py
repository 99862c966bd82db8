"""A DiffusionNet decoder run once per frame, as ScanTalk does it: for timing only, its weights are random.

Sharp, Attaiki, Crane & Ovsjanikov 2022, "DiffusionNet: Discretization Agnostic Learning on Surfaces"; Nocentini et al.
2024, "ScanTalk: 3D Talking Heads from Unregistered Scans": width 32, 4 blocks, 128 eigenfunctions, positions and a
frame's code in, displacement out.
"""

import warnings

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

WIDTH, BLOCKS, EIGENFUNCTIONS = 32, 4, 128


class Block(nn.Module):
    """Learned diffusion (V,C), features of its gradients, and a perceptron per vertex."""

    def __init__(self, width: int):
        super().__init__()
        self.time = nn.Parameter(torch.rand(width))
        self.real, self.imaginary = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.perceptron = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor, mesh: "Operators") -> Tensor:
        spectrum = mesh.vectors.T @ (x * mesh.mass[:, None])
        diffused = mesh.vectors @ (torch.exp(-mesh.values[:, None] * self.time) * spectrum)
        gx, gy = mesh.gradient_x @ diffused, mesh.gradient_y @ diffused
        turned_x = self.real(gx) - self.imaginary(gy)
        turned_y = self.real(gy) + self.imaginary(gx)
        inner = torch.tanh(gx * turned_x + gy * turned_y)
        return x + self.perceptron(torch.cat([x, diffused, inner], 1))


class Decoder(nn.Module):
    """Positions (V,3) and a code (WIDTH,) -> displacement (V,3)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3 + WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        self.blocks = nn.ModuleList(Block(WIDTH) for _ in range(BLOCKS))

    def forward(self, positions: Tensor, code: Tensor, mesh: "Operators") -> Tensor:
        x = self.first(torch.cat([positions, code.expand(len(positions), -1)], 1))
        for block in self.blocks:
            x = block(x, mesh)
        return self.last(x)


class Operators:
    """A mesh's operators: the sizes and the sparsity are the mesh's own, the numbers are random where only time counts.

    vectors (V,128), values (128,), mass (V,), sparse gradient_x and gradient_y (V,V) over the edges.
    """

    def __init__(self, stiffness: sp.spmatrix, mass: np.ndarray) -> None:
        rng = np.random.default_rng(0)
        self.vectors = torch.from_numpy(rng.normal(size=(len(mass), EIGENFUNCTIONS)).astype(np.float32))
        self.values = torch.linspace(0, 100, EIGENFUNCTIONS)
        self.mass = torch.from_numpy(mass.astype(np.float32))
        self.gradient_x, self.gradient_y = (_sparse(stiffness, rng) for _ in range(2))


def _sparse(pattern: sp.spmatrix, rng: np.random.Generator) -> Tensor:
    warnings.filterwarnings("ignore", "Sparse")  # torch calls its sparse matrices new
    rows = sp.csr_matrix(pattern)
    values = rng.normal(size=rows.nnz).astype(np.float32)
    return torch.sparse_csr_tensor(
        torch.from_numpy(rows.indptr.astype(np.int64)),
        torch.from_numpy(rows.indices.astype(np.int64)),
        torch.from_numpy(values),
        rows.shape,
    )
