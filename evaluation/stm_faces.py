"""Faces whose true dense motion is known: ICT identities kept for the test, and MakeHuman (validation only)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evaluation import makehuman
from export import dressing, fusing, ict, remeshing, scanner, scanning, stm_data
from freetalk_blender.core import bound_skin, frame
from freetalk_blender.core.binding.handles import landmark_vertices
from freetalk_blender.core.binding.stm import Binding
from freetalk_blender.core.face import prepare
from freetalk_blender.core.mouth import fused_mouth

#: Height of the cut through MakeHuman's neck, decimetres.
_NECK = 5.9
#: So much longer (decimetres) is the way from one lip to the other than twice the gap between them.
_ROUND = 0.05
#: Error of misplaced landmarks, sd per axis (canonical units): 1 mm.
_MISPLACED = 1 / frame.EYE_DISTANCE_MM


@dataclass(frozen=True)
class Scanned:
    """A scan before its lips were cut apart: vertices (N,3) canonical; triangles (F,3); landmark_vertices (68,); source
    (V,): which of them each vertex of the cut skin is, -1 for what the cut has made."""

    vertices: np.ndarray
    triangles: np.ndarray
    landmark_vertices: np.ndarray
    source: np.ndarray


@dataclass(frozen=True)
class Case:
    """vertices (V,3) canonical; triangles (F,3); landmark_vertices (68,); truth (T,V,3) and the landmarks' motion
    (T,68,3), canonical; names of the T frames; real (V,) bool: vertices whose truth is known; binding: ours, where the
    whole of `prepare` has made it; strays (V,) bool: vertices that a cut gave to the lip that they are no part of;
    scanned: what there was before the cut."""

    name: str
    vertices: np.ndarray
    triangles: np.ndarray
    landmark_vertices: np.ndarray
    truth: np.ndarray
    motion: np.ndarray
    frames: tuple[str, ...]
    real: np.ndarray
    binding: Binding | None = None
    strays: np.ndarray | None = None
    scanned: Scanned | None = None


def _ict_case(model: ict.IctModel, seed: int, weights: np.ndarray, names: tuple[str, ...], misplaced: bool) -> Case:
    rng = np.random.default_rng([99, seed])
    face = model.face(scanning.identity(rng, model))
    scan = scanning.parts(model, face, "head", mouth=bool(rng.random() < 0.5))
    scan = remeshing.remesh(scan, int(rng.uniform(6_000, 14_000)), rng)
    handles, _ = scanning.landmark_vertices(scan, model)
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
    the surface that photogrammetry would leave, lips grown together, as `prepare` cuts it apart and binds it.
    """
    body, fused = makehuman.load(data), variant == "fused"
    count = len(body.vertices)
    head = makehuman.head(body, _NECK)
    for group in ("african", "asian", "caucasian"):
        units = makehuman.expression_units(data, group, count)
        for identity in range(identities):
            vertices = makehuman.neutral(data, identity)
            whole = scanning.registered(vertices, head)
            scan = scanning.select(whole, np.ones(len(head), bool))
            rng = np.random.default_rng([97, identity])
            scan, handles = _altered(scan, vertices[body.landmark_vertices], body.landmark_vertices, variant, rng)
            if fused:
                scan = fusing.unblended(scan, vertices, head, _ROUND)
            similarity = frame.canonical_frame(vertices[body.landmark_vertices])
            dense = np.stack(list(units.values()))
            truth = similarity.vectors_to_canonical(scan.transfer(dense)).astype(np.float32)
            moved = similarity.vectors_to_canonical(dense[:, body.landmark_vertices]).astype(np.float32)
            canonical = similarity.to_canonical(scan.vertices.astype(np.float64))
            name = f"MakeHuman {group} {identity} {variant}"
            case = Case(name, canonical, scan.triangles, handles, truth, moved, tuple(units), scan.real)
            yield _prepared(case, similarity.to_canonical(vertices[body.landmark_vertices])) if fused else case


def _altered(
    scan: scanning.Scan, points: np.ndarray, registered: np.ndarray, variant: str, rng: np.random.Generator
) -> tuple[scanning.Scan, np.ndarray]:
    """The variant of a scan (decimetres) and its landmark vertices (68,)."""
    if variant == "coarse":
        scan = remeshing.remesh(scan, 2_500, rng, "quadric")
    elif variant == "rough":
        scan = remeshing.remesh(scan, 12_000, rng, "even")
        scan = scanner.rough(scan, rng, white=0.002, bumps=0.002, wavelength=0.08)
        sheet = dressing.grid(20, 20)
        x, y = np.meshgrid(np.linspace(-1.5, 1.5, 20), np.linspace(-1.2, -0.6, 20))
        shirt = np.stack([x, y + points[8, 1], points[8, 2] - 0.5 * x**2], -1).reshape(-1, 3)
        scan = scanning.add(scan, shirt, sheet)
    elif variant == "misplaced":
        unit = np.linalg.norm(points[45] - points[36])
        points = points + rng.normal(0, _MISPLACED * unit, points.shape)
    elif variant == "fused":
        fused = fusing.fuse(replace(scan, vertices=scan.vertices * 10), rng)  # centimetres, as `fuse` expects
        scan = remeshing.remesh(replace(fused, vertices=fused.vertices / 10), 12_000, rng, "quadric")
    if not variant:
        return scan, scan.owner[registered].astype(np.int32)
    return scan, landmark_vertices(points, scan.vertices, scan.triangles)


def _prepared(case: Case, points: np.ndarray) -> Case:
    """The case as a person's scan goes through `prepare`: lips cut apart at the landmarks (68,3), the skin cleaned and
    bound. Its vertices become those of that skin, for all methods; what the cut has made has no known truth."""
    face = prepare(case.vertices, case.triangles, points, inner_mouth="none", device="cpu")
    if face.opened is None or not face.opened.is_cut:
        raise ValueError(f"{case.name}: the lips were not cut apart: {' '.join(face.notes)}")
    skin, handles = bound_skin.cleaned_skin(case.vertices, case.triangles, face.opened, face.landmarks)
    own = np.flatnonzero(skin.source[: len(case.vertices)] >= 0)
    at = skin.source[own]
    truth = np.zeros((len(case.truth), len(skin.vertices), 3), np.float32)
    real, lip = np.zeros(len(skin.vertices), bool), np.zeros(len(skin.vertices), np.int8)
    truth[:, at], real[at], lip[at] = case.truth[:, own], case.real[own], face.opened.side[own]
    source = np.full(len(skin.vertices), -1)
    source[at] = own
    scanned = Scanned(case.vertices, case.triangles, case.landmark_vertices, source)
    # The lower lip goes down with the jaw; half of its way tells the lips apart.
    opening = case.motion[:, [61, 62, 63, 65, 66, 67], 1].reshape(-1, 2, 3).mean(2)
    widest = int(np.argmax(opening[:, 0] - opening[:, 1]))
    of_lower = truth[widest, :, 1] < opening[widest].mean()
    strays = real & np.where(of_lower, lip == fused_mouth.UPPER, lip == fused_mouth.LOWER)
    turned = face.frame.vectors_to_canonical(face.binding.matrix.reshape(-1, 3)).astype(np.float32)
    binding = replace(face.binding, matrix=turned.reshape(face.binding.matrix.shape))
    vertices = skin.vertices.astype(np.float64)
    return Case(
        case.name, vertices, skin.triangles, handles, truth, case.motion, case.frames, real, binding, strays, scanned
    )  # fmt: skip
