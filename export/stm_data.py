"""Meshes to learn STM from: scans of random ICT identities, bound geometrically, with every expression carried along.

One random scan becomes a few samples: its topology and defects stay, the identity is another, and some heads are bent
into proportions that ICT-FaceKit does not have.

A sample is what the network reads (features), what the binding adds (weights, covariance) and the sparse carry to the
registered model, from which any expression in any style can be made during training without storing it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from export import ict, scanner, scanning
from freetalk_blender.core import atomic, frame
from freetalk_blender.core.binding import stm
from freetalk_blender.core.binding.interpolant import interpolant
from freetalk_blender.core.errors import FreeTalkError, LandmarkError, MeshError
from freetalk_blender.core.landmarks import COUNT
from freetalk_blender.core.mouth import fused_mouth
from freetalk_blender.core.surface import mesh

#: Seeds of identities for choosing between networks and for the final table; training counts its own from 0.
VALIDATION, TEST = range(100_000, 100_010), range(200_000, 200_020)
#: Seeds that training does not come to, on which `export.calibrate_stm` fits.
CALIBRATION = range(5_000, 5_014)
#: Raise when the features or the binding change.
VERSION = 3
#: A landmark further than this (cm) from the nearest vertex is lost.
_FAR = 1.2
#: Samples made of one scan: re-meshing a head takes as long as binding it twice.
COPIES = 2
#: Every so many-th scan is a surface reconstruction, in which the lips have grown together; in turn of a whole head and
#: of a mask, which takes a third of the time.
FUSED = 8
#: Landmarks of the upper lip, and the share of unfamiliar motion that is the mouth's.
UPPER_LIP, MOUTHS = (*range(49, 54), *range(61, 64)), 0.3
#: How near to the seam (cm) a cut can have given a vertex to the wrong lip.
_BESIDE = 0.5


@dataclass(frozen=True)
class Sample:
    """features (N,C) float16; gate (N,) and covariance (68,68) of the interpolant; rows (68,) of the landmarks in N;
    carry (N, registered vertices) CSR and landmark_carry (68, registered vertices) CSR: where the displacement of the
    vertices and of the landmarks is read off the registered model; to_canonical (3,3): from model centimetres."""

    features: np.ndarray
    gate: np.ndarray
    covariance: np.ndarray
    rows: np.ndarray
    carry: sp.csr_matrix
    landmark_carry: sp.csr_matrix
    to_canonical: np.ndarray


def make(model: ict.IctModel, seed: int) -> list[Sample]:
    """COPIES samples of one scan; raises FreeTalkError where the scan lost a landmark."""
    rng = np.random.default_rng([VERSION, seed])
    face = model.face(scanning.identity(rng, model))
    lips = str(rng.choice(["open", "sealed"], p=[0.85, 0.15])) if (seed + 1) % FUSED else "fused"
    kind = None if lips != "fused" else "mask" if (seed + 1) % (2 * FUSED) else "head"
    count = int(np.exp(rng.uniform(np.log(1_500), np.log(12_000))))
    scan = scanner.random_scan(model, face, rng, count=count, kind=kind, lips=lips, spare=face[model.landmark_vertices])
    handles, _ = scanning.landmark_vertices(scan, model)
    beside = scan.carry[handles] @ model.neutral - model.neutral[model.landmark_vertices]
    if np.linalg.norm(beside, axis=1).max() > _FAR:
        raise FreeTalkError("A hole or a crop took a landmark.")
    shape = scan.carry
    if lips != "open":
        scan, handles = _cut_open(model, scan, handles, rng)
        # Another identity takes along what the reconstruction invented inside the face.
        real = np.flatnonzero(scan.real)
        shape = scan.carry[real[cKDTree(scan.vertices[real]).query(scan.vertices)[1]]]
    side = scan.carry @ jaw_side(model)
    samples = []
    for copy in range(COPIES):
        other = model.face(scanning.identity(rng, model)) if copy else face
        vertices = scan.vertices + shape @ (other - face)
        if rng.random() < 0.5:
            vertices = _bent(vertices, rng)
        samples.append(_bound(model, replace(scan, vertices=vertices), handles, side, rng))
    return samples


def _cut_open(
    model: ict.IctModel, scan: scanning.Scan, handles: np.ndarray, rng: np.random.Generator
) -> tuple[scanning.Scan, np.ndarray]:
    """The skin of the scan with its lips cut apart as the add-on does it, and its landmark vertices (68,); the scan as
    it was where that fails, as in the add-on.

    The landmarks that lead the cut are up to 1 mm (sd per axis) beside their places. What the cut gave to a lip moves
    with that lip, and the rims as the true lips nearest to them.
    """
    points = scan.vertices[handles] + rng.normal(0, rng.uniform(0, 0.1), (len(handles), 3))
    try:
        opened = fused_mouth.open_lips(scan.vertices, scan.triangles, points)
    except (LandmarkError, MeshError):
        return scan, handles
    vertices, lip = opened.skin_vertices, opened.side[: opened.skin_count]
    source = opened.source[: len(vertices)]
    whole = np.abs(source @ scan.real - 1) < 1e-6  # made of vertices whose truth is known
    carry = sp.csr_matrix(sp.diags(whole.astype(np.float32)) @ source @ scan.carry)
    carry.eliminate_zeros()
    sides = lip_side(model)
    inside = sides != 0
    inside[slice(*ict.PARTS["mouth_socket"])] = True
    known, of_mouth = carry @ sides, carry @ inside.astype(np.float32)
    beside = cKDTree(vertices[opened.upper_rim]).query(vertices)[0] < _BESIDE
    wrong = beside & (known * lip < 0.99) & (lip != fused_mouth.NEITHER)
    # Beyond the mouth's corners there are no two lips; what has a truth there keeps it.
    wrong &= (of_mouth > 0.01) | (np.diff(carry.indptr) == 0)
    donor = np.arange(len(vertices))
    for which in (fused_mouth.UPPER, fused_mouth.LOWER):
        at = np.flatnonzero(wrong & (lip == which))
        donors = np.flatnonzero(known * which > 0.99)
        donor[at] = donors[cKDTree(vertices[donors]).query(vertices[at])[1]]
    handles = np.concatenate([handles[:48], opened.landmark_vertices[48:]])
    return scanning.Scan(vertices, opened.skin_triangles, carry[donor].astype(np.float32)), handles.astype(np.int32)


def _bent(vertices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The head (V,3), centimetres, in other proportions: stretched along each axis, and bent by smooth waves."""
    centre = vertices.mean(0)
    waves = _waves((vertices - centre) / 9, rng, 8)
    bend = waves @ rng.normal(0, rng.uniform(0, 0.12), (8, 3))
    return ((vertices - centre) * rng.normal(1, 0.06, 3) + centre + bend).astype(np.float32)


def _bound(
    model: ict.IctModel, scan: scanning.Scan, handles: np.ndarray, side: np.ndarray, rng: np.random.Generator
) -> Sample:
    """A scan in the model's frame as a sample. Half of them take the landmarks' motion where the mesh has a vertex
    (what `bind` is told), half at the true landmark (what a performance means); some landmarks are misplaced."""
    exact = rng.random() < 0.5
    if rng.random() < 0.3:
        handles, exact = _misplaced(scan, handles, side, rng), False
    similarity = frame.canonical_frame(scan.vertices[handles])
    canonical = similarity.to_canonical(scan.vertices.astype(np.float64))
    smooth = interpolant(canonical, scan.triangles, handles)
    true = sp.identity(len(model.neutral), np.float32, "csr")[model.landmark_vertices]
    return Sample(
        stm.features(canonical, scan.triangles, smooth).astype(np.float16),
        smooth.gate.astype(np.float32),
        smooth.covariance.astype(np.float32),
        smooth.rows,
        scan.carry[smooth.vertices],
        scan.carry[handles] if exact else true,
        (similarity.rotation / similarity.scale).astype(np.float32),
    )


def _misplaced(scan: scanning.Scan, handles: np.ndarray, side: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The real vertices nearest to the landmarks after an error as a detector's, sd up to 1 mm per axis.

    side (V,): negative on skin that goes down with the jaw; a misplaced upper lip is still the upper lip.
    """
    real = np.flatnonzero(scan.real)
    points = scan.vertices[handles] + rng.normal(0, rng.uniform(0.03, 0.1), (len(handles), 3))
    found = handles.copy()
    for k, point in enumerate(points):
        near = real[np.linalg.norm(scan.vertices[real] - scan.vertices[handles[k]], axis=1) < 0.4]
        same = near[side[near] * side[handles[k]] >= 0]
        if len(same):
            found[k] = same[np.linalg.norm(scan.vertices[same] - point, axis=1).argmin()]
    return found


def jaw_side(model: ict.IctModel) -> np.ndarray:
    """(N,) -1 on registered vertices that go down with the jaw, +1 on those that stay."""
    drop = model.expression[model.index("jawOpen"), :, 1]
    return np.where(drop < 0.35 * drop.min(), -1.0, 1.0).astype(np.float32)


def lip_side(model: ict.IctModel) -> np.ndarray:
    """(N,) +1 on registered vertices of the upper lip, -1 on the lower one, between the mouth's corners."""
    x, inner = model.neutral[:, 0], model.neutral[model.landmark_vertices[60:]]
    near = cKDTree(inner).query(model.neutral)[0] < 1.2
    near &= (x > inner[0, 0] + 0.1) & (x < inner[4, 0] - 0.1)
    near[ict.SKIN :] = False
    label = mesh.connected_components(model.triangles[near[model.triangles].all(1)], len(near))
    upper, lower = label[model.landmark_vertices[[62, 66]]]
    return ((near & (label == upper)) * 1.0 - (near & (label == lower)) * 1.0).astype(np.float32)


def save(path: Path, sample: Sample) -> None:
    """Write one sample atomically."""
    arrays = {k: v for k, v in vars(sample).items() if not sp.issparse(v)}
    for name in ("carry", "landmark_carry"):
        matrix = getattr(sample, name).tocsr()
        arrays |= {f"{name}_{part}": getattr(matrix, part) for part in ("data", "indices", "indptr", "shape")}
    with atomic.output(path) as partial:
        np.savez(partial, **arrays)


def load(path: Path) -> Sample:
    """Read one sample."""
    with np.load(path) as a:
        sparse = {
            n: sp.csr_matrix((a[f"{n}_data"], a[f"{n}_indices"], a[f"{n}_indptr"]), tuple(a[f"{n}_shape"]))
            for n in ("carry", "landmark_carry")
        }
        plain = {n: a[n] for n in ("features", "gate", "covariance", "rows", "to_canonical")}
    return Sample(**plain, **sparse)


def prepare(model: ict.IctModel, cache: Path, count: int, first: int = 0) -> list[Path]:
    """Make what is missing of the samples of `count` scans from seed `first` in `cache`; returns the files."""
    cache.mkdir(parents=True, exist_ok=True)
    files = []
    for seed in range(first, first + count):
        paths = [cache / f"{VERSION}_{seed:05d}_{copy}.npz" for copy in range(COPIES)]
        lost = cache / f"{VERSION}_{seed:05d}.lost"
        if not lost.exists() and not all(path.exists() for path in paths):
            try:
                for path, sample in zip(paths, make(model, seed), strict=True):
                    save(path, sample)
            except (FreeTalkError, ValueError) as error:
                lost.write_text(str(error))
            print(f"scan {seed}: {'lost' if lost.exists() else 'made'}")
        if not lost.exists():
            files += paths
    return files


# ------------------------------------------------------------------------------------------------------ expressions


#: Expressions that are not skin.
_NOT_SKIN = ("PupilDilate_L", "PupilDilate_R")


def skin_expressions(model: ict.IctModel) -> np.ndarray:
    """Indices of the expression shapes that move skin."""
    return np.array([i for i, name in enumerate(model.expression_names) if name not in _NOT_SKIN])


def held_out(model: ict.IctModel, every: int) -> tuple[int, ...]:
    """Every n-th muscle (left and right together; never the jaw's opening), to measure what is new to a network."""
    if not every:
        return ()
    names = sorted({model.expression_names[i][:-2] if model.expression_names[i][-2:] in ("_L", "_R") else
                    model.expression_names[i] for i in skin_expressions(model)} - {"jawOpen"})  # fmt: skip
    left = set(names[every // 2 :: every])
    return tuple(i for i, name in enumerate(model.expression_names) if name in left or name[:-2] in left)


def random_weights(rng: np.random.Generator, frames: int, shapes: int, jaw: int | None) -> np.ndarray:
    """(frames, shapes): single shapes, sparse mixtures, mixtures on an open jaw, and faint dense ones."""
    weights = np.zeros((frames, shapes), np.float32)
    for row in weights:
        kind = rng.random()
        if kind < 0.3:
            row[rng.integers(shapes)] = rng.uniform(0.3, 1.2)
        elif kind < 0.85:
            row[rng.choice(shapes, rng.integers(2, 6), replace=False)] = rng.uniform(0, 1)
            row *= rng.uniform(0.2, 1.0, shapes)
            if kind > 0.6 and jaw is not None:
                row[jaw] = rng.uniform(0, 1)
        else:
            row[:] = rng.uniform(0, 0.4, shapes) * (rng.random(shapes) < 0.4)
    return weights


def style(points: np.ndarray, shapes: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Another artist's version of the shapes (E,P,3) at points (P,3), canonical units: (E,P,3).

    Each shape is sharpened or flattened, turned and stretched by a small linear map, and modulated by smooth random
    fields, so that a network learns how skin follows landmarks instead of one set of shapes.
    """
    count = len(shapes)
    size = np.sqrt(np.einsum("epc,epc->ep", shapes, shapes))[..., None]
    largest = size.max(1, keepdims=True) + 1e-6
    power = strength * rng.uniform(-0.35, 0.7, (count, 1, 1)).astype(np.float32)
    shapes = shapes * ((size + 1e-3 * largest) / largest) ** power
    shapes = shapes @ (np.eye(3) + strength * rng.normal(0, 0.2, (count, 3, 3))).astype(np.float32)
    waves = _waves(points, rng, 12)  # (P,12)
    gain = 1 + waves @ rng.normal(0, 0.3 * strength / np.sqrt(6), (12, count)).astype(np.float32)
    swirl = waves @ rng.normal(0, 0.15 * strength / np.sqrt(6), (12, count * 3)).astype(np.float32)
    x, y, z = shapes.transpose(2, 0, 1)
    a, b, c = swirl.reshape(len(points), count, 3).transpose(2, 1, 0)
    turned = np.stack([y * c - z * b, z * a - x * c, x * b - y * a], 2)
    return shapes * gain.T[:, :, None] + turned


def exchanged(shapes: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Each of the shapes (E,P,3) with a random share (sd: half of the strength) of another one."""
    share = strength * rng.normal(0, 0.5, (len(shapes), 1, 1))
    return shapes + share.astype(np.float32) * shapes[rng.permutation(len(shapes))]


def softened(shapes: np.ndarray, weights: np.ndarray, covariance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The shapes (E,68+P,3), landmarks first, by an artist who moves some landmarks and lets the skin follow smoothly.

    Skin and the other landmarks go, by a random share of the way, to where the smooth process puts them given the kept
    ones: nearly all of the face's, and a random part of the jaw line. weights (P,68) and covariance (68,68) of the
    interpolant.
    """
    chance = np.where(np.arange(COUNT) < 17, rng.uniform(0, 1), rng.uniform(0.6, 1))
    kept = rng.random(COUNT) < chance
    kept[[33, 36, 39, 42, 45]] = True
    own = covariance[np.ix_(kept, kept)] + 1e-3 * covariance.diagonal().mean() * np.identity(kept.sum())
    everywhere = np.concatenate([covariance, weights @ covariance])
    follow = np.linalg.solve(own, everywhere[:, kept].T).T.astype(np.float32)
    soft = np.einsum("pk,ekc->epc", follow, shapes[:, :COUNT][:, kept], optimize=True)
    share = np.clip(rng.uniform() + rng.normal(0, 0.2, (len(shapes), 1, 1)), 0, 1).astype(np.float32)
    return shapes + share * (soft - shapes)


def mouth_style(points: np.ndarray, behind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(68+P,1) share of the motion that the lining of the mouth follows; points (68+P,3) with the landmarks first;
    behind (68+P,): 1 on the lining, 0 on skin.

    How far lips drag the lining along is the artist's choice: here it fades over a random length behind the lips.
    """
    length = np.exp(rng.uniform(np.log(0.05), np.log(1.0)))
    distance = np.linalg.norm(points[:, None] - points[None, 48:68], axis=2).min(1)
    return (1 - behind * (1 - np.exp(-distance / length)))[:, None].astype(np.float32)


def unfamiliar(landmarks: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """(frames,68,3) landmark motion that belongs to no expression; landmarks (68,3), canonical units.

    A patch of landmarks shifts by 1.5 mm sd, or the mouth does as a whole while its lips part, and each landmark
    trembles by up to 0.3 mm. What skin does under it nobody knows, so the smooth interpolant is the truth to learn: the
    basis must not answer to what it does not recognise.
    """
    millimetre = 1 / frame.EYE_DISTANCE_MM
    centres = landmarks[rng.integers(len(landmarks), size=frames)]
    width = rng.uniform(0.05, 0.5, (frames, 1))
    distance = np.linalg.norm(landmarks[None] - centres[:, None], axis=2)
    patch = np.exp(-((distance / width) ** 2))[:, :, None] * rng.normal(0, 1.5, (frames, 1, 3))
    mouth_too = rng.random(frames) < MOUTHS
    patch[mouth_too] = _mouth_motion(landmarks, int(mouth_too.sum()), rng)
    tremble = rng.uniform(0, 0.3, (frames, 1, 1)) * rng.normal(size=(frames, len(landmarks), 3))
    return ((patch + tremble) * millimetre).astype(np.float32)


def _mouth_motion(landmarks: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """(frames,68,3) mm: the mouth lifts, sinks or slides by 2 mm sd as one piece, what is around it fades over a random
    length, and the lips part (3 mm sd, now and then pressed together) over a random part of their width."""
    mouth_at = landmarks[48:]
    away = np.linalg.norm(landmarks[:, None] - mouth_at[None], axis=2).min(1)
    shift = np.exp(-((away / rng.uniform(0.05, 0.4, (frames, 1))) ** 2))[:, :, None] * rng.normal(0, 2, (frames, 1, 3))
    half = (landmarks[54, 0] - landmarks[48, 0]) / 2
    along = (landmarks[48:, 0] - landmarks[[48, 54], 0].mean()) / half
    at = np.exp(-(((along - rng.uniform(-0.4, 0.4, (frames, 1))) / rng.uniform(0.3, 1.0, (frames, 1))) ** 2))
    at *= np.clip(1 - along**2, 0, 1)
    share = rng.random((frames, 1))
    parted = np.where(np.isin(np.arange(48, 68), UPPER_LIP), share, share - 1) * at * rng.normal(1, 3, (frames, 1))
    shift[:, 48:, 1] += parted
    return shift


def _waves(points: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """(P,count) plane waves of 0.35 to 2 canonical units."""
    direction = rng.normal(size=(3, count))
    direction *= 2 * np.pi / rng.uniform(0.35, 2.0, count) / np.linalg.norm(direction, axis=0)
    phase = rng.uniform(0, 2 * np.pi, count)
    return np.cos(points @ direction.astype(np.float32) + phase.astype(np.float32))
