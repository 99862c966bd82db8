"""Faces whose true dense motion is known: ICT identities kept for the test, and MakeHuman (validation only)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from evaluation import makehuman
from export import ict, scanner, stm_data
from freetalk_blender.core import frame, mouth
from freetalk_blender.core.handles import landmark_vertices

#: Height of the cut through MakeHuman's neck, decimetres.
_NECK = 5.9
#: Error of misplaced landmarks, sd per axis (canonical units): 1 mm.
_MISPLACED = 1 / frame.EYE_DISTANCE_MM


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


def _ict_case(model: ict.IctModel, seed: int, weights: np.ndarray, names: tuple[str, ...], misplaced: bool) -> Case:
    rng = np.random.default_rng([99, seed])
    face = model.face(scanner.identity(rng, model))
    scan = scanner.registered(face, model.triangles)
    scan = scanner.select(scan, scanner.part_mask(model, "head", mouth=bool(rng.random() < 0.5)))
    scan = scanner.remesh(scan, int(rng.uniform(6_000, 14_000)), rng)
    handles, _ = scanner.landmark_vertices(scan, model)
    similarity = frame.canonical_frame(scan.vertices[handles])
    truth = similarity.vectors_to_canonical(scan.transfer(model.offsets(weights))).astype(np.float32)
    canonical = similarity.to_canonical(scan.vertices.astype(np.float64))
    bound = handles
    if misplaced:
        bound = landmark_vertices(
            canonical[handles] + rng.normal(0, _MISPLACED, (len(handles), 3)), canonical, scan.triangles
        )
    return Case(f"ICT {seed}", canonical, scan.triangles, bound, truth, truth[:, handles], names, scan.real)


def ict_cases(data: Path, count: int, misplaced: bool = False) -> Iterator[Case]:
    """Re-meshed identities of the test seeds: every shape once at full strength, then random mixtures.

    misplaced: each landmark is bound where a detector that errs by 1 mm (sd per axis) puts it, the same for all frames.
    """
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
        yield _ict_case(model, seed, np.concatenate([singles, mixed]), names + ("mixture",) * 40, misplaced)


def makehuman_cases(data: Path, identities: int, variant: str = "") -> Iterator[Case]:
    """Every expression unit of each of the three groups on the base face and on random face shapes.

    Head and neck only: on the whole body a biharmonic field runs away, and the comparison would flatter us.
    variant: "" the artist's own mesh; "coarse" decimated to 2,500 vertices; "rough" re-meshed, with scanner noise and a
    second component for a shirt; "misplaced" the landmarks bound 1 mm (sd, per axis) from where they belong; "fused"
    the surface that photogrammetry would leave, lips grown together, and then cut apart as the add-on does.
    """
    body = makehuman.load(data)
    count = len(body.vertices)
    head = body.triangles[(body.vertices[body.triangles][..., 1] > _NECK).all(1)]
    for group in ("african", "asian", "caucasian"):
        units = makehuman.expression_units(data, group, count)
        for identity in range(identities):
            shape = makehuman.face_shapes(data, identity, count) if identity else 0.0
            vertices = (body.vertices + shape).astype(np.float32)
            whole = scanner.registered(vertices, head)
            scan = scanner.select(whole, np.ones(len(head), bool))
            rng = np.random.default_rng([97, identity])
            scan, handles = _altered(scan, vertices[body.landmark_vertices], body.landmark_vertices, variant, rng)
            similarity = frame.canonical_frame(vertices[body.landmark_vertices])
            dense = np.stack(list(units.values()))
            truth = similarity.vectors_to_canonical(scan.transfer(dense)).astype(np.float32)
            moved = similarity.vectors_to_canonical(dense[:, body.landmark_vertices]).astype(np.float32)
            if variant == "fused":
                scan, handles, truth = _cut_apart(scan, vertices[body.landmark_vertices], truth)
            canonical = similarity.to_canonical(scan.vertices.astype(np.float64))
            name = f"MakeHuman {group} {identity} {variant}"
            yield Case(name, canonical, scan.triangles, handles, truth, moved, tuple(units), scan.real)


def _altered(
    scan: scanner.Scan, points: np.ndarray, registered: np.ndarray, variant: str, rng: np.random.Generator
) -> tuple[scanner.Scan, np.ndarray]:
    """The variant of a scan (decimetres) and its landmark vertices (68,)."""
    if variant == "coarse":
        scan = scanner.remesh(scan, 2_500, rng, "quadric")
    elif variant == "rough":
        scan = scanner.remesh(scan, 12_000, rng, "even")
        scan = scanner.rough(scan, rng, white=0.002, bumps=0.002, wavelength=0.08)
        sheet = scanner.grid(20, 20)
        x, y = np.meshgrid(np.linspace(-1.5, 1.5, 20), np.linspace(-1.2, -0.6, 20))
        shirt = np.stack([x, y + points[8, 1], points[8, 2] - 0.5 * x**2], -1).reshape(-1, 3)
        scan = scanner.add(scan, shirt, sheet)
    elif variant == "misplaced":
        unit = np.linalg.norm(points[45] - points[36])
        points = points + rng.normal(0, _MISPLACED * unit, points.shape)
    elif variant == "fused":
        fused = scanner.fuse(replace(scan, vertices=scan.vertices * 10), rng)  # centimetres, as `fuse` expects
        scan = scanner.remesh(replace(fused, vertices=fused.vertices / 10), 12_000, rng, "quadric")
    owner = np.full(scan.carry.shape[1], -1)
    single = np.flatnonzero(np.diff(scan.carry.indptr) == 1)
    owner[scan.carry.indices[scan.carry.indptr[single]]] = single
    if not variant:
        return scan, owner[registered].astype(np.int32)
    return scan, landmark_vertices(points, scan.vertices, scan.triangles)


def _cut_apart(
    scan: scanner.Scan, points: np.ndarray, truth: np.ndarray
) -> tuple[scanner.Scan, np.ndarray, np.ndarray]:
    """The skin of the opened scan, its landmark vertices, and the truth with zeros for vertices that the cut made."""
    opened = mouth.open_lips(scan.vertices, scan.triangles, points)
    added = opened.skin_count - len(scan.vertices)
    nothing = sp.csr_matrix((added, scan.carry.shape[1]), dtype=np.float32)
    carry = sp.vstack([scan.carry, nothing], "csr")
    longer = np.concatenate([truth, np.zeros((len(truth), added, 3), np.float32)], 1)
    return scanner.Scan(opened.skin_vertices, opened.skin_triangles, carry), opened.landmark_vertices, longer
