"""How well the landmarks are found: `python -m evaluation.landmarks --data ../shared/data [--only TABLE ...]`.

Tables: identities (held-out random scans with known truth), strangers (the same with warped proportions), reshaped (the
same with eyes, nose and mouth in other shapes), expressive (the same laughing, shouting and grimacing), melted (the
same with lids or lips as photogrammetry leaves them), makehuman (another artist's heads), rotations (real scans in 24
axis orientations and 10 random ones), given (DemoFace's five landmarks), defects (decimation, noise, crop), nothing
(objects and heads without a face), time. Millimetres are those of a face whose outer eye corners are 90 mm apart.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product
from pathlib import Path

import numpy as np

from evaluation import faceless
from evaluation import makehuman as other
from export import command, ict, landmark_data, remeshing, scanner, scanning
from freetalk_blender.core import atomic, frame, landmarks
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.detection import detector, face_placing, face_search
from freetalk_blender.core.errors import LandmarkError
from freetalk_blender.core.surface import raster, scan_file

#: First seed of the identities measured here: neither trained on nor watched during training.
SEEDS = landmark_data.VALIDATION + 500_000
REGIONS = {
    "jaw": landmarks.JAW,
    "brows": landmarks.BROWS,
    "nose": landmarks.NOSE,
    "eyes": landmarks.LIDS,
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


@dataclass(frozen=True)
class Part:
    """What one run measures: `count` scans, rotations or heads, the first of them `first`; what it finds is kept in the
    folder `keep`, where a later run takes it from, so that tables can be measured in pieces."""

    data: Path
    count: int
    first: int = 0
    keep: Path | None = None

    def kept(self, name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """What `make` found, now or in an earlier run."""
        if self.keep is None:
            return make()
        path = self.keep / f"{name}.npz"
        if not path.exists():
            made = make()
            with atomic.output(path) as partial:
                np.savez(partial, **made)
        with np.load(path) as stored:
            return {key: stored[key] for key in stored}


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
    gap = landmarks.gaps(local, landmarks.INNER_LIP_PAIRS)
    return bool(turned or gap.min() < -1.5 / frame.EYE_DISTANCE_MM)


def attempt(vertices: np.ndarray, triangles: np.ndarray) -> landmarks.Landmarks | str:
    """Landmarks, or the sentence that refuses them."""
    try:
        return detector.detect(vertices, triangles)
    except LandmarkError as error:
        return str(error)


# ------------------------------------------------------------------------------------------------------------- tables


def identities(part: Part) -> None:
    """Random scans of held-out identities with the model's own proportions, posed at random."""
    _random_scans("held-out identities, every scanner defect", part, "own")


def strangers(part: Part) -> None:
    """The same with warped proportions, beyond what the model draws."""
    _random_scans("held-out identities, every scanner defect, warped proportions", part, "warped")


def reshaped(part: Part) -> None:
    """The same with features reshaped, beyond what the model draws."""
    _random_scans("held-out identities, every scanner defect, features reshaped", part, "reshaped")


def expressive(part: Part) -> None:
    """The same, laughing, shouting and grimacing, mostly with teeth to be seen."""
    _random_scans("held-out identities, every scanner defect, strong expressions", part, "strong")


def melted(part: Part) -> None:
    """The same with lids, or lids and lips, smoothed and bumpy as photogrammetry leaves them."""
    _random_scans("held-out identities, every scanner defect, lids or lips melted", part, "melted")


def _random_scans(title: str, part: Part, kind: str) -> None:
    model = ict.load(part.data)
    results = []
    for seed in range(SEEDS + part.first, SEEDS + part.first + part.count):
        results.append(part.kept(f"{kind}_{seed}", partial(_random_scan, model, seed, kind)))
        if len(results) % 50 == 0:  # so that a long run that is broken off has said something
            print(f"  after {len(results)} scans: mean {_mean(results):.2f} mm", flush=True)
    found = [one for one in results if "errors" in one]
    swaps = sum(bool(one["swapped"]) for one in found)
    _accuracy(
        f"{title}, random rotation and unit ({part.count} scans)",
        [one["errors"] for one in found],
        part.count,
        swaps,
        np.array([one["seen"] for one in found]),
    )
    for row, one in enumerate(results):
        if "refused" in one:
            print(f"  refused seed {SEEDS + part.first + row}: {str(one['refused'])[:90]}")
    print(f"  seconds: median {np.median([float(one['seconds']) for one in results]):.2f}")


def _random_scan(model: ict.IctModel, seed: int, kind: str) -> dict[str, np.ndarray]:
    """What the detector does with one random scan: errors (68,) in mm, swapped, seen (68,), seconds; or refused."""
    rng = np.random.default_rng(seed)
    who = landmark_data.subject(
        model, rng, **{name: name == kind for name in ("warped", "reshaped", "strong", "melted")}
    )
    scan, move = scanning.pose(who.scan, rng)
    began = time.perf_counter()
    result = attempt(scan.vertices, scan.triangles)
    took = np.array(time.perf_counter() - began)
    if isinstance(result, str):
        return {"refused": np.array(result), "seconds": took}
    truth = move.to_mesh(who.points)
    return {
        "errors": errors(result.points, truth),
        "swapped": np.array(swapped_lips(result.points, truth)),
        "seen": seen(who),
        "seconds": took,
    }


def seen(who: landmark_data.Subject) -> np.ndarray:
    """(68,) whether any of five cameras in front of the face sees surface within 2.7 mm of the true landmark."""
    found = np.zeros(landmarks.COUNT, bool)
    for view in face_placing.VIEWS:
        camera = face_placing.face_camera(who.face, *view)
        depth = raster.render(camera.to_picture(who.scan.vertices).astype(np.float32), who.scan.triangles, 256).depth
        off = landmark_data.off_surface(depth, camera.to_picture(who.points))
        found |= off * camera.half < 0.03 * who.face.scale
    return found


def _mean(results: list[dict[str, np.ndarray]]) -> float:
    return float(np.mean([one["errors"] for one in results if "errors" in one]))


def _accuracy(title: str, found: list[np.ndarray], count: int, swaps: int, visible: np.ndarray | None = None) -> None:
    """visible (N, 68): whether a point is on the scan and can be seen; the table then tells these from the others."""
    table = np.array(found)
    good = table[table.mean(1) < SUCCESS]
    print(f"\n{title}")
    print(f"  found {len(table)}/{count}; mean error below {SUCCESS:g} mm: {len(good)}/{count}; lip swaps {swaps}")
    print("  region       mean    p95 mm   (share of the eye distance)", "" if visible is None else "  seen   not seen")
    for name, rows in {"all": slice(0, 68), **REGIONS}.items():
        part = table[:, rows]
        line = f"  {name:11} {part.mean():5.2f}   {np.quantile(part, 0.95):6.2f}   {part.mean() / 90:.4f}"
        if visible is not None:
            on = visible[:, rows]
            line += f" {part[on].mean():32.2f} {part[~on].mean():8.2f} ({(~on).mean():.0%} of the points)"
        print(line)
    worst = np.argsort(-table.mean(0))[:6]
    print("  worst points:", ", ".join(f"{index} ({table[:, index].mean():.1f})" for index in worst))


def makehuman(part: Part) -> None:
    """MakeHuman's base mesh, whole body and head in turn; never trained or tuned on."""
    base = other.load(part.data)
    by_hand, carried = base.vertices[base.landmark_vertices], other.carried_points(base)
    head = _above(base.vertices, base.triangles, by_hand, 1.6)
    found: list[np.ndarray] = []
    turns = _rotations(part.count)
    for index, rotation in enumerate(turns):
        result = attempt(base.vertices @ rotation.T, head if index % 2 else base.triangles)
        if isinstance(result, str):
            print("  refused:", "head" if index % 2 else "body", result[:70])
        else:
            found.append(result.points @ rotation)
    if not found:
        return
    title = "MakeHuman base mesh, whole body and head in turn"
    for truth, name in ((carried, "brows and jaw as the training model defines them"), (by_hand, "all by hand")):
        swaps = sum(swapped_lips(points, truth) for points in found)
        _accuracy(f"{title}; {name}", [errors(points, truth) for points in found], len(turns), swaps)


def _above(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, reach: float) -> np.ndarray:
    """Triangles within `reach` eye distances of the face's middle."""
    unit = np.linalg.norm(points[45] - points[36])
    near = np.linalg.norm(vertices - points.mean(0), axis=1) < reach * unit
    return triangles[near[triangles].all(1)]


def _rotations(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [*axis_rotations(), *(scanning.rotation(rng) for _ in range(count))]


def rotations(part: Part) -> None:
    """Real scans in 24 axis orientations and 10 random ones: found, and how far from the answer in the first."""
    print("\nreal scans in 24 + 10 rotations: found, distance from the answer in the scan's own pose (mm)")
    every, found, worst = 0, 0, 0.0
    for name, path in SCANS.items():
        vertices, triangles = scan_file.read(part.data / "scans" / path)
        first = part.kept(f"{name}_own", partial(_turned, vertices, triangles, np.eye(3)))
        chosen = list(enumerate(_rotations(10)))[:: max(1, 34 // part.count)]
        answers = [part.kept(f"{name}_{row}", partial(_turned, vertices, triangles, turn)) for row, turn in chosen]
        table = np.array([errors(one["points"], first["points"]).mean() for one in answers if "points" in one])
        every, found, worst = every + len(chosen), found + len(table), max([worst, *table])
        print(f"  {name:14} {len(table)}/{len(chosen)}  mean {table.mean():.2f}  worst {table.max():.2f}", flush=True)
    print(f"  all: {found}/{every}, worst {worst:.2f}")


def _turned(vertices: np.ndarray, triangles: np.ndarray, rotation: np.ndarray) -> dict[str, np.ndarray]:
    """The landmarks (68, 3) of a turned scan, turned back; nothing where they are refused."""
    result = attempt(vertices @ rotation.T, triangles)
    return {} if isinstance(result, str) else {"points": result.points @ rotation}


def given(part: Part) -> None:
    """DemoFace's five given landmarks: inner eye corners, nose tip, mouth corners."""
    print("\nDemoFace's five given landmarks (mm, the scan's own unit)")
    five = np.loadtxt(part.data / "scans/meshmonk/DemoFaceLandmarks.csv", delimiter=",")
    for name in ("DemoFace_10K", "DemoFace_1K"):
        vertices, triangles = scan_file.read(part.data / "scans" / SCANS[name])
        result = attempt(vertices, triangles)
        if isinstance(result, str):
            print(f"  {name}: {result}")
            continue
        gaps = np.linalg.norm(result.points[:, None] - five[None], axis=-1)
        names = ", ".join(f"{int(gaps[:, k].argmin())}: {gaps[:, k].min():.2f}" for k in range(5))
        print(f"  {name}: nearest landmark to each given point: {names}")


def defects(part: Part) -> None:
    """One kind of damage at a time, on held-out identities."""
    model = ict.load(part.data)
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
    print(f"\ndamage one at a time ({part.count} heads each): found, mean, p95 (mm)")
    for name, damage in kinds.items():
        found = []
        for seed in range(SEEDS + 100_000, SEEDS + 100_000 + part.count):
            rng = np.random.default_rng(seed)
            vertices = model.face(scanning.identity(rng, model))
            scan = scanning.parts(model, vertices, "head")
            scan, move = scanning.pose(damage(remeshing.remesh(scan, 12_000, rng, "quadric"), rng), rng)
            result = attempt(scan.vertices, scan.triangles)
            if not isinstance(result, str):
                found.append(errors(result.points, move.to_mesh(vertices[model.landmark_vertices])))
        table = np.array(found) if found else np.full((1, 68), np.nan)
        print(f"  {name:22} {len(found)}/{part.count}  {table.mean():5.2f}  {np.quantile(table, 0.95):5.2f}")


def nothing(part: Part) -> None:
    """Objects that are no face, and heads whose face is missing: how many faces are reported."""
    print(f"\nno face: reported faces out of {part.count} rotations (how probable the likeliest was)")
    for name, vertices, triangles in _faceless(part.data):
        reported, best = 0, 0.0
        rng = np.random.default_rng(3)
        for _ in range(part.count):
            turned = vertices @ scanning.rotation(rng).T
            rounds = [found[: detector.CANDIDATES] for found in face_search.search(turned, triangles)]
            fits = [face_placing.place(turned, triangles, one.face) for found in rounds for one in found]
            kept = [fit for fit in fits if fit is not None]
            reported += any(fit.accepted for fit in kept)
            best = max([best, *(fit.probability for fit in kept)])
        print(f"  {name:34} {reported}/{part.count}  ({best:.3f})")


def _faceless(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, vertices, triangles of things without a face."""
    yield from faceless.objects(data)
    for name in ("LeePerrySmith", "DemoFace_10K"):
        vertices, triangles = scan_file.read(data / "scans" / SCANS[name])
        result = attempt(vertices, triangles)
        if not isinstance(result, str):
            unit = np.linalg.norm(result.points[45] - result.points[36])
            far = np.linalg.norm(vertices - result.points[27:].mean(0), axis=1) > 1.0 * unit
            yield f"{name}, face cut away", vertices, triangles[far[triangles].all(1)]
    base = other.load(data)
    points = base.vertices[base.landmark_vertices]
    far = np.linalg.norm(base.vertices - points.mean(0), axis=1) > 1.6 * np.linalg.norm(points[45] - points[36])
    yield "MakeHuman body without head", base.vertices, base.triangles[far[base.triangles].all(1)]


def seconds(part: Part) -> None:
    """Time against size: one head, subdivided."""
    model = ict.load(part.data)
    scan = scanning.parts(model, model.neutral, "head")
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


TABLES = {
    "identities": (identities, 500),
    "strangers": (strangers, 200),
    "reshaped": (reshaped, 200),
    "expressive": (expressive, 100),
    "melted": (melted, 100),
    "makehuman": (makehuman, 10),
    "rotations": (rotations, 34),
    "given": (given, 1),
    "defects": (defects, 10),
    "nothing": (nothing, 10),
    "time": (seconds, 1),
}


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/, scans/ and makehuman/")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--count", type=whole_number(1), help="scans, rotations or heads per table")
    parser.add_argument("--first", type=int, default=0, help="the first of the random scans")
    parser.add_argument("--keep", type=Path, help="what random and turned scans gave is kept here for the next run")
    chosen = parser.parse_args()
    for name in chosen.only:
        table, usual = TABLES[name]
        table(Part(chosen.data, chosen.count or usual, chosen.first, chosen.keep))


if __name__ == "__main__":
    command.run(main)
