"""Batches that STM learns from: random vertices of random scans, moved by random expressions in random styles."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from export import checkpoint, ict, stm_data
from freetalk_blender.core.landmarks import COUNT

MESHES, VERTICES, FRAMES = 12, 160, 32
#: Share of faces whose landmarks' motion is that of the vertices they are bound to, whatever the sample says.
EXACT = 0.5
#: Columns of the features that hold the interpolant's weights.
FEATURE_WEIGHTS = slice(9, 9 + COUNT)
#: Region -> its landmarks, the reach around them (canonical units) and its share of the vertices that are drawn. A
#: vertex belongs to the first region that reaches it.
REGIONS = {
    "lips": (range(48, 68), 0.08, 0.25),
    "lids": (range(36, 48), 0.08, 0.15),
    "brows": (range(17, 27), 0.12, 0.1),
    "cheeks and jaw": (range(68), 0.35, 0.4),
    "beyond": (range(68), np.inf, 0.1),
}
#: The first so many of them have landmarks close together.
_DENSE = 2


@dataclass(frozen=True)
class Drawing:
    """style: strength of the expression styles; plain: share of faces whose expressions keep ICT-FaceKit's style;
    dense: weight of lips and lids on those, because where landmarks stand close the skin follows them in anybody's
    style; unfamiliar: strength of motion that no expression explains."""

    style: float = 2.0
    plain: float = 0.4
    dense: float = 0.2
    unfamiliar: float = 1.3


@dataclass(frozen=True)
class Batch:
    """Tensors of `displacement`, the true displacement (M,T,P,3), the importance (M,P) and the region (M,P)
    of each vertex, and ICT-FaceKit's own shapes (M,68+P,3,E)."""

    features: Tensor
    gate: Tensor
    weights: Tensor
    covariance: Tensor
    motion: Tensor
    truth: Tensor
    importance: Tensor
    region: Tensor
    shapes: Tensor


class Faces:
    """Samples in memory, and batches of random vertices, expressions and styles drawn from them. read: checksums of the
    files (of one folder) by name."""

    def __init__(self, model: ict.IctModel, files: list[Path], held_out: tuple[int, ...] = ()):
        self.folder, self.read = files[0].parent, {path.name: checkpoint.checksums(path) for path in files}
        self.samples = [stm_data.load(path) for path in files]
        self.shapes = np.array([i for i in stm_data.skin_expressions(model) if i not in held_out])
        jaw = np.flatnonzero(self.shapes == model.index("jawOpen"))
        self.jaw = int(jaw[0]) if len(jaw) else None
        # (registered vertices, shapes * 3), so that a carry row picks the displacements of all shapes at once
        expression = model.expression[self.shapes]
        self.expression = np.ascontiguousarray(expression.transpose(1, 0, 2).reshape(expression.shape[1], -1))
        self.regions = [_regions(sample) for sample in self.samples]

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (F,) of the features."""
        rows = np.concatenate([s.features[:: max(1, len(s.features) // 200)] for s in self.samples]).astype(np.float32)
        return torch.from_numpy(rows.mean(0)), torch.from_numpy(rows.std(0))

    def draw(self, rng: np.random.Generator, meshes: int, how: Drawing) -> Batch:
        """A batch of random samples."""
        picked = rng.choice(len(self.samples), meshes, replace=len(self.samples) < meshes)
        return _stack([self._one(rng, int(i), how) for i in picked])

    def _one(self, rng: np.random.Generator, index: int, how: Drawing) -> dict[str, np.ndarray]:
        sample, region = self.samples[index], self.regions[index]
        at = rng.choice(len(region), VERTICES, p=_chance(region))
        landmarks = sample.carry[sample.rows] if rng.random() < EXACT else sample.landmark_carry
        place = sp.vstack([landmarks, sample.carry[at]], "csr")
        shapes = (place @ self.expression).reshape(COUNT + VERTICES, -1, 3).transpose(1, 0, 2) @ sample.to_canonical
        own = shapes.transpose(1, 2, 0)
        everywhere = np.concatenate([sample.rows, at])
        features = sample.features[everywhere].astype(np.float32)
        importance = (np.diff(place.indptr)[COUNT:] > 0).astype(np.float32)
        if rng.random() < how.plain:
            importance[region[at] < _DENSE] *= how.dense
        else:
            behind = np.asarray(place[:, slice(*ict.PARTS["mouth_socket"])].sum(1))[:, 0]
            shapes = stm_data.style(features[:, :3], shapes, how.style * rng.uniform(), rng)
            shapes = shapes * stm_data.mouth_style(features[:, :3], behind, rng)
        moved = np.tensordot(stm_data.random_weights(rng, FRAMES, len(shapes), self.jaw), shapes, 1)
        weights = features[COUNT:, FEATURE_WEIGHTS]
        if how.unfamiliar:
            extra = how.unfamiliar * stm_data.unfamiliar(features[:COUNT, :3], FRAMES, rng)
            extra[rng.random(FRAMES) < 0.5] = 0
            moved[rng.random(FRAMES) < 0.15] = 0
            moved = moved + np.concatenate([extra, np.einsum("pk,tkc->tpc", weights, extra, optimize=True)], 1)
        return {
            "features": features,
            "gate": sample.gate[everywhere],
            "weights": weights,
            "covariance": sample.covariance,
            "motion": moved[:, :COUNT].astype(np.float32),
            "truth": moved[:, COUNT:].astype(np.float32),
            "importance": importance,
            "region": region[at],
            "shapes": np.ascontiguousarray(own),
        }


def _stack(items: list[dict[str, np.ndarray]]) -> Batch:
    return Batch(**{key: torch.from_numpy(np.stack([item[key] for item in items])) for key in items[0]})


def _regions(sample: stm_data.Sample) -> np.ndarray:
    """(N,) the region, an index into REGIONS, of each vertex."""
    position = sample.features[:, :3].astype(np.float32)
    distance = np.linalg.norm(position[:, None] - position[None, sample.rows], axis=2)
    inside = [distance[:, list(which)].min(1) < reach for which, reach, _ in REGIONS.values()]
    return np.argmax(inside, axis=0)


def _chance(region: np.ndarray) -> np.ndarray:
    """(N,) chance of each vertex to be drawn."""
    share = np.array([share for *_, share in REGIONS.values()])
    chance = (share / np.maximum(np.bincount(region, minlength=len(share)), 1))[region]
    return chance / chance.sum()
