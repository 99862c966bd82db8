"""Faces whose true dense motion is known: ICT identities kept for the test, and MakeHuman (validation only)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation import makehuman
from export import ict, scanner, stm_data
from freetalk_blender.core import frame

#: Height of the cut through MakeHuman's neck, decimetres.
_NECK = 5.9


@dataclass(frozen=True)
class Case:
    """vertices (V,3) canonical; triangles (F,3); landmark_vertices (68,); truth (T,V,3) and the landmarks' motion
    (T,68,3), canonical; names of the T frames; real (V,) bool: vertices whose truth is known."""

    name: str
    vertices: np.ndarray
    triangles: np.ndarray
    landmark_vertices: np.ndarray
    truth: np.ndarray
    motion: np.ndarray
    frames: tuple[str, ...]
    real: np.ndarray


def _ict_case(model: ict.IctModel, seed: int, weights: np.ndarray, names: tuple[str, ...]) -> Case:
    rng = np.random.default_rng([99, seed])
    face = model.face(scanner.identity(rng, model))
    scan = scanner.registered(face, model.triangles)
    scan = scanner.select(scan, scanner.part_mask(model, "head", mouth=bool(rng.random() < 0.5)))
    scan = scanner.remesh(scan, int(rng.uniform(6_000, 14_000)), rng)
    handles, _ = scanner.landmark_vertices(scan, model)
    similarity = frame.canonical_frame(scan.vertices[handles])
    truth = similarity.vectors_to_canonical(scan.transfer(model.offsets(weights))).astype(np.float32)
    canonical = similarity.to_canonical(scan.vertices.astype(np.float64))
    return Case(f"ICT {seed}", canonical, scan.triangles, handles, truth, truth[:, handles], names, scan.real)


def ict_cases(data: Path, count: int) -> Iterator[Case]:
    """Re-meshed identities of the test seeds: every shape once at full strength, then random mixtures."""
    model = ict.load(data)
    shapes = stm_data.skin_expressions(model)
    shapes = shapes[[not model.expression_names[i].startswith("eyeLook") for i in shapes]]
    singles = np.zeros((len(shapes), len(model.expression_names)), np.float32)
    singles[np.arange(len(shapes)), shapes] = 1.0
    names = tuple(model.expression_names[i] for i in shapes)
    for seed in stm_data.TEST[:count]:
        mixed = np.zeros((40, singles.shape[1]), np.float32)
        rng = np.random.default_rng([98, seed])
        mixed[:, shapes] = stm_data.random_weights(rng, 40, len(shapes), names.index("jawOpen"))
        yield _ict_case(model, seed, np.concatenate([singles, mixed]), names + ("mixture",) * 40)


def makehuman_cases(data: Path, identities: int) -> Iterator[Case]:
    """Every expression unit of each of the three groups on the base face and on random face shapes.

    Head and neck only: on the whole body a biharmonic field runs away, and the comparison would flatter us.
    """
    body = makehuman.load(data)
    count = len(body.vertices)
    for group in ("african", "asian", "caucasian"):
        units = makehuman.expression_units(data, group, count)
        for identity in range(identities):
            shape = makehuman.face_shapes(data, identity, count) if identity else 0.0
            vertices = body.vertices + shape
            head = body.triangles[(body.vertices[body.triangles][..., 1] > _NECK).all(1)]
            used = np.unique(head)
            renumber = np.full(count, -1)
            renumber[used] = np.arange(len(used))
            handles = renumber[body.landmark_vertices].astype(np.int32)
            similarity = frame.canonical_frame(vertices[body.landmark_vertices])
            truth = similarity.vectors_to_canonical(np.stack(list(units.values()))[:, used]).astype(np.float32)
            canonical = similarity.to_canonical(vertices[used].astype(np.float64))
            triangles = renumber[head].astype(np.int32)
            moved = truth[:, handles]
            name = f"MakeHuman {group} {identity}"
            yield Case(name, canonical, triangles, handles, truth, moved, tuple(units), np.ones(len(used), bool))
