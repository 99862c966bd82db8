"""How well the landmarks are found: `python -m evaluation.landmarks --data ../shared/data [--only TABLE ...]`.

Tables: identities (held-out random scans with known truth), makehuman (another artist's heads), rotations (real scans
in 24 axis orientations and 10 random ones), given (DemoFace's five landmarks), defects (decimation, noise, crop),
nothing (objects and heads without a face), time. Millimetres are those of a face whose outer eye corners are 90 mm
apart.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import pairwise, permutations, product
from pathlib import Path

import numpy as np

from export import dressing, ict, landmark_data, remeshing, scanner, scanning
from freetalk_blender.core import detector, face_placing, face_search, frame, landmark_preview, landmarks
from freetalk_blender.core.errors import LandmarkError

#: First seed of the identities measured here: neither trained on nor watched during training.
SEEDS = landmark_data.VALIDATION + 500_000
REGIONS = {
    "jaw": landmarks.JAW,
    "brows": landmarks.BROWS,
    "nose": landmarks.NOSE,
    "eyes": slice(36, 48),
    "outer lips": landmarks.OUTER_LIPS,
    "inner lips": landmarks.INNER_LIPS,
}
#: A detection is a success when its mean error is below this (mm).
SUCCESS = 6.0
SCANS = {
    "LeePerrySmith": "leeperrysmith/LeePerrySmith_decoded.obj",
    "DemoFace_10K": "meshmonk/DemoFace_10K.obj",
    "DemoFace_1K": "meshmonk/DemoFace_1K.obj",
    **{f"SIMPOP_{number:02}": f"meshmonk/SIMPOP_{number:02}.obj" for number in range(1, 11)},
}


def read_obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3) of a Wavefront file; polygons become fans."""
    vertices: list[list[float]] = []
    triangles: list[tuple[int, int, int]] = []
    for line in path.read_text(errors="replace").splitlines():
        words = line.split()
        if words[:1] == ["v"]:
            vertices.append([float(word) for word in words[1:4]])
        elif words[:1] == ["f"]:
            corners = [int(word.split("/")[0]) - 1 for word in words[1:]]
            triangles += [(corners[0], one, two) for one, two in pairwise(corners[1:])]
    return np.array(vertices, np.float32), np.array(triangles, np.int32)


def axis_rotations() -> np.ndarray:
    """(24, 3, 3) rotations that take axes to axes."""
    found = []
    for order, signs in product(permutations(range(3)), product((-1, 1), repeat=3)):
        matrix = np.zeros((3, 3))
        matrix[range(3), order] = signs
        if np.linalg.det(matrix) > 0:
            found.append(matrix)
    return np.array(found)


def errors(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(68,) distances in mm at an eye distance of 90 mm."""
    unit = np.linalg.norm(truth[45] - truth[36]) / frame.EYE_DISTANCE_MM
    return np.linalg.norm(found - truth, axis=-1) / unit


def swapped_lips(points: np.ndarray, truth: np.ndarray) -> bool:
    """Left and right changed, or an upper inner-lip point more than 1.5 mm under its lower partner."""
    face = frame.canonical_frame(truth)
    local, true = face.to_canonical(points), face.to_canonical(truth)
    turned = np.sign(local[54, 0] - local[48, 0]) != np.sign(true[54, 0] - true[48, 0])
    gap = [local[upper, 1] - local[lower, 1] for upper, lower in landmarks.INNER_LIP_PAIRS]
    return bool(turned or min(gap) < -1.5 / frame.EYE_DISTANCE_MM)


def attempt(vertices: np.ndarray, triangles: np.ndarray) -> landmarks.Landmarks | str:
    """Landmarks, or the sentence that refuses them."""
    try:
        return detector.detect(vertices, triangles)
    except LandmarkError as error:
        return str(error)


# ------------------------------------------------------------------------------------------------------------- tables


def identities(data: Path, count: int) -> None:
    """Random scans of held-out identities, posed at random."""
    model = ict.load(data)
    found, seconds, swaps, refused = [], [], 0, []
    for seed in range(SEEDS, SEEDS + count):
        rng = np.random.default_rng(seed)
        who = landmark_data.subject(model, rng)
        scan, move = scanning.pose(who.scan, rng)
        began = time.perf_counter()
        result = attempt(scan.vertices, scan.triangles)
        seconds.append(time.perf_counter() - began)
        if isinstance(result, str):
            refused.append((seed, result))
            continue
        truth = move.to_mesh(who.points)
        found.append(errors(result.points, truth))
        swaps += swapped_lips(result.points, truth)
        if (seed + 1 - SEEDS) % 20 == 0:  # so that a long run that is broken off has said something
            table = np.array(found)
            means = ", ".join(f"{name} {table[:, rows].mean():.2f}" for name, rows in REGIONS.items())
            print(f"  {seed + 1 - SEEDS} scans: found {len(found)}, mean {table.mean():.2f} mm ({means}), p95 "
                  f"{np.quantile(table, 0.95):.2f}, lip swaps {swaps}, beyond {SUCCESS:g} mm "
                  f"{(table.mean(1) >= SUCCESS).sum()}", flush=True)  # fmt: skip
    _accuracy(f"held-out identities, random rotation and unit ({count} scans)", found, count, swaps)
    for seed, reason in refused[:10]:
        print(f"  refused seed {seed}: {reason[:90]}")
    print(f"  seconds: median {np.median(seconds):.2f}, longest {max(seconds):.2f}")


def _accuracy(title: str, found: list[np.ndarray], count: int, swaps: int) -> None:
    table = np.array(found)
    good = table[table.mean(1) < SUCCESS]
    print(f"\n{title}")
    print(f"  found {len(table)}/{count}; mean error below {SUCCESS:g} mm: {len(good)}/{count}; lip swaps {swaps}")
    print("  region       mean    p95 mm   (share of the eye distance)")
    for name, rows in {"all": slice(0, 68), **REGIONS}.items():
        part = table[:, rows]
        print(f"  {name:11} {part.mean():5.2f}   {np.quantile(part, 0.95):6.2f}   {part.mean() / 90:.4f}")
    worst = np.argsort(-table.mean(0))[:6]
    print("  worst points:", ", ".join(f"{index} ({table[:, index].mean():.1f})" for index in worst))


def makehuman(data: Path, count: int) -> None:
    """MakeHuman heads with random face shapes; never trained or tuned on."""
    from evaluation import makehuman as other

    base = other.load(data)
    head = _above(base.vertices, base.triangles, base.vertices[base.landmark_vertices], 1.6)
    found, swaps, tried = [], 0, 0
    for index, rotation in enumerate(_rotations(count)):
        result = attempt(base.vertices @ rotation.T, head if index % 2 else base.triangles)
        tried += 1
        if not isinstance(result, str):
            truth = (base.vertices @ rotation.T)[base.landmark_vertices]
            found.append(errors(result.points, truth))
            swaps += swapped_lips(result.points, truth)
        else:
            print("  refused:", "head" if index % 2 else "body", result[:70])
    if found:
        _accuracy("MakeHuman base mesh, whole body and head in turn", found, tried, swaps)


def _above(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, reach: float) -> np.ndarray:
    """Triangles within `reach` eye distances of the face's middle."""
    unit = np.linalg.norm(points[45] - points[36])
    near = np.linalg.norm(vertices - points.mean(0), axis=1) < reach * unit
    return triangles[near[triangles].all(1)]


def _rotations(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [*axis_rotations(), *(scanning.rotation(rng) for _ in range(count))]


def rotations(data: Path, count: int) -> None:
    """Real scans in 24 axis orientations and 10 random ones: found, and how far from the answer in the first."""
    print("\nreal scans in 24 + 10 rotations: found, distance from the answer in the scan's own pose (mm)")
    for name, path in SCANS.items():
        vertices, triangles = read_obj(data / "scans" / path)
        first = attempt(vertices, triangles)
        if isinstance(first, str):
            print(f"  {name:14} refused: {first[:80]}")
            continue
        moved = []
        chosen = _rotations(10)[:: max(1, 34 // count)]
        for rotation in chosen:
            result = attempt(vertices @ rotation.T, triangles)
            if not isinstance(result, str):
                moved.append(errors(result.points @ rotation, first.points))
        table = np.array(moved)
        print(f"  {name:14} {len(table)}/{len(chosen)}  mean {table.mean():.2f}  worst scan {table.mean(1).max():.2f}")


def given(data: Path, count: int) -> None:
    """DemoFace's five given landmarks: outer eye corners, nose tip, mouth corners."""
    print("\nDemoFace's five given landmarks (mm, the scan's own unit)")
    five = np.loadtxt(data / "scans/meshmonk/DemoFaceLandmarks.csv", delimiter=",")
    for name in ("DemoFace_10K", "DemoFace_1K"):
        vertices, triangles = read_obj(data / "scans" / SCANS[name])
        result = attempt(vertices, triangles)
        if isinstance(result, str):
            print(f"  {name}: {result}")
            continue
        gaps = np.linalg.norm(result.points[:, None] - five[None], axis=-1)
        names = ", ".join(f"{int(gaps[:, k].argmin())}: {gaps[:, k].min():.1f}" for k in range(5))
        print(f"  {name}: nearest landmark to each given point: {names}")


def defects(data: Path, count: int) -> None:
    """One kind of damage at a time, on held-out identities."""
    model = ict.load(data)
    kinds: dict[str, Callable[[scanning.Scan, np.random.Generator], scanning.Scan]] = {
        "none": lambda scan, rng: scan,
        "1,000 vertices": lambda scan, rng: remeshing.decimate(scan, 1_000),
        "3,000 vertices": lambda scan, rng: remeshing.decimate(scan, 3_000),
        "noise 0.3 mm": lambda scan, rng: scanner.rough(scan, rng, white=0.03, bumps=0),
        "noise 1 mm": lambda scan, rng: scanner.rough(scan, rng, white=0.1, bumps=0),
        "bumps 1 mm": lambda scan, rng: scanner.rough(scan, rng, white=0, bumps=0.1),
        "10 holes of 1 cm": lambda scan, rng: scanner.holes(scan, rng, 10, 1.0),
        "left quarter cropped": lambda scan, rng: scanner.crop(scan, np.array([1.0, 0, 0]), 3.5, rng),
        "chin cropped": lambda scan, rng: scanner.crop(scan, np.array([0, -1.0, 0]), 6.0, rng),
    }
    print(f"\ndamage one at a time ({count} heads each): found, mean, p95 (mm)")
    for name, damage in kinds.items():
        found = []
        for seed in range(SEEDS + 100_000, SEEDS + 100_000 + count):
            rng = np.random.default_rng(seed)
            vertices = model.face(scanning.identity(rng, model))
            scan = scanning.registered(vertices, model.triangles)
            scan = scanning.select(scan, scanning.part_mask(model, "head"))
            scan, move = scanning.pose(damage(remeshing.remesh(scan, 12_000, rng, "quadric"), rng), rng)
            result = attempt(scan.vertices, scan.triangles)
            if not isinstance(result, str):
                found.append(errors(result.points, move.to_mesh(vertices[model.landmark_vertices])))
        table = np.array(found) if found else np.full((1, 68), np.nan)
        print(f"  {name:22} {len(found)}/{count}  {table.mean():5.2f}  {np.quantile(table, 0.95):5.2f}")


def nothing(data: Path, count: int) -> None:
    """Objects that are no face, and heads whose face is missing: how many faces are reported."""
    print(f"\nno face: reported faces out of {count} rotations (how probable the likeliest was)")
    for name, vertices, triangles in faceless(data):
        reported, best = 0, 0.0
        rng = np.random.default_rng(3)
        for _ in range(count):
            turned = vertices @ scanning.rotation(rng).T
            rounds = [found[: detector.CANDIDATES] for found in face_search.search(turned, triangles)]
            fits = [face_placing.place(turned, triangles, one.face) for found in rounds for one in found]
            kept = [fit for fit in fits if fit is not None]
            reported += any(fit.accepted for fit in kept)
            best = max([best, *(fit.probability for fit in kept)])
        print(f"  {name:34} {reported}/{count}  ({best:.3f})")


def faceless(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, vertices, triangles of things without a face."""
    yield "sphere", *_sheet(_ball(40, 60))
    turn, around = np.meshgrid(np.linspace(0, 2 * np.pi, 48), np.linspace(0, 2 * np.pi, 24), indexing="ij")
    ring = 1 + 0.35 * np.cos(around)
    yield "torus", *_sheet(np.stack([ring * np.cos(turn), ring * np.sin(turn), 0.35 * np.sin(around)], -1))
    yield "chair of boxes", *dressing.join([_box(*box) for box in CHAIR])
    yield "hand of capsules", *dressing.join([_capsule(*bone) for bone in HAND])
    rng = np.random.default_rng(11)
    ball = _ball(60, 90)
    lumps = scanning.waves(ball.reshape(-1, 3), rng, 0.8).reshape(ball.shape[:2])
    yield "lumpy potato", *_sheet(ball * (1 + 0.08 * lumps)[..., None] * [1, 1.3, 0.9])
    model = ict.load(data)
    head = model.triangles[scanning.part_mask(model, "head", eyeballs=False)]
    yield "ICT head, face cut away", model.neutral, head[(head >= ict.NARROW_FACE).all(1)]
    behind = (model.neutral[head].mean(1)[:, 2] < 2.0) | (model.neutral[head].mean(1)[:, 1] < -9)
    yield "ICT head, front cut away", model.neutral, head[behind]
    for name in ("LeePerrySmith", "DemoFace_10K"):
        vertices, triangles = read_obj(data / "scans" / SCANS[name])
        result = attempt(vertices, triangles)
        if not isinstance(result, str):
            unit = np.linalg.norm(result.points[45] - result.points[36])
            far = np.linalg.norm(vertices - result.points[27:].mean(0), axis=1) > 1.0 * unit
            yield f"{name}, face cut away", vertices, triangles[far[triangles].all(1)]
    from evaluation import makehuman as other

    base = other.load(data)
    points = base.vertices[base.landmark_vertices]
    far = np.linalg.norm(base.vertices - points.mean(0), axis=1) > 1.6 * np.linalg.norm(points[45] - points[36])
    yield "MakeHuman body without head", base.vertices, base.triangles[far[base.triangles].all(1)]


def _ball(rows: int, columns: int) -> np.ndarray:
    down, around = np.meshgrid(np.linspace(0.01, np.pi - 0.01, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    return np.stack([np.sin(down) * np.cos(around), np.cos(down), np.sin(down) * np.sin(around)], -1)


def _sheet(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points.reshape(-1, 3), dressing.grid(*points.shape[:2])


def _box(centre: tuple[float, ...], half: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    ball = _ball(16, 24)
    cube = ball / np.abs(ball).max(-1, keepdims=True)
    return _sheet(cube * half + np.array(centre))


def _capsule(start: tuple[float, ...], end: tuple[float, ...], radius: float) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.array(start, float), np.array(end, float)
    return dressing.tube(a + (b - a) * np.linspace(0, 1, 12)[:, None], radius, 12)


CHAIR = [((0, 0, 0), (5, 0.5, 5)), ((0, 5, -5), (5, 5, 0.5))] + [
    ((x, -5, z), (0.5, 5, 0.5)) for x in (-4.5, 4.5) for z in (-4.5, 4.5)
]
HAND = [((0, 0, 0), (0, 4, 0), 2.5), ((-2, 1, 0), (-5, 4, 1), 0.9)] + [
    ((x, 4, 0), (1.5 * x, 9 - abs(x), 0.5), 0.8) for x in (-2, -0.7, 0.7, 2)
]


def seconds(data: Path, count: int) -> None:
    """Time against size: one head, subdivided."""
    model = ict.load(data)
    scan = scanning.select(scanning.registered(model.neutral, model.triangles), scanning.part_mask(model, "head"))
    print("\nseconds for one detection (all of it, networks loaded)")
    attempt(scan.vertices, scan.triangles)
    for _ in range(5):
        began, worked = time.perf_counter(), time.process_time()
        result = attempt(scan.vertices, scan.triangles)
        took, work = time.perf_counter() - began, time.process_time() - worked
        note = "" if not isinstance(result, str) else result
        size = f"{len(scan.vertices):9,} vertices, {len(scan.triangles):9,} triangles"
        print(f"  {size}: {took:.2f}, of one core {work:.2f} {note}", flush=True)
        if len(scan.vertices) > 1_500_000:
            break
        scan = remeshing.subdivide(scan)


def previews(data: Path, count: int, folder: Path) -> None:
    """A picture of every real scan with its landmarks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in SCANS.items():
        vertices, triangles = read_obj(data / "scans" / path)
        result = attempt(vertices, triangles)
        if isinstance(result, str):
            print(f"  {name}: {result}")
        else:
            landmark_preview.preview(vertices, triangles, result, folder / f"{name}.png", 400)


TABLES = {
    "identities": (identities, 100),
    "makehuman": (makehuman, 10),
    "rotations": (rotations, 34),
    "given": (given, 1),
    "defects": (defects, 10),
    "nothing": (nothing, 10),
    "time": (seconds, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds ict_facekit/, scans/ and makehuman/"
    )
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--count", type=int, help="scans, rotations or heads per table")
    parser.add_argument("--previews", type=Path, help="also write a picture of every real scan into this folder")
    chosen = parser.parse_args()
    for name in chosen.only:
        table, usual = TABLES[name]
        table(chosen.data, chosen.count or usual)
    if chosen.previews:
        previews(chosen.data, 1, chosen.previews)


if __name__ == "__main__":
    main()
