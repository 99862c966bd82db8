"""Pictures that train landmark detection.

Every scan is a random ICT identity (held-out seeds for validation), warped, mildly expressive, with what scanners do to
it (export/scanner.py), photographed from random directions by the very code that runs at inference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export import dressing, ict, reshaping, scanner, scanning
from freetalk_blender.core import atomic, frame
from freetalk_blender.core.detection import face_view
from freetalk_blender.core.detection.face_view import Camera
from freetalk_blender.core.surface import mesh, raster

SHARD = 50
#: Pictures of one scan: for the landmark network (faces, and not a face) and for the search network.
FACE_VIEWS, OTHER_VIEWS, SEARCH_VIEWS = 8, 3, 12
SEARCH_SIZE = 96
#: Cosine between face and camera above which the search network must find it, and below which it must not.
FACING, AVERTED = 0.6, 0.25
#: What strong expressions are made of: shape, on both sides where there are two -> how often, and its largest weight.
STRONG = {
    "jawOpen": (0.6, 0.9),
    "mouthSmile": (0.5, 1.0),
    "mouthUpperUp": (0.5, 0.7),
    "mouthLowerDown": (0.5, 0.7),
    "mouthStretch": (0.2, 0.8),
    "mouthFunnel": (0.15, 0.8),
    "mouthFrown": (0.15, 0.8),
    "noseSneer": (0.25, 0.8),
    "cheekSquint": (0.4, 1.0),
    "eyeSquint": (0.4, 1.0),
}
#: How often lips of strong expressions are of each kind, and how often there are teeth behind them.
_STRONG_LIPS, _STRONG_TEETH = {"fused": 0.25, "open": 0.6, "sealed": 0.15}, 0.8
#: Seeds from here on are identities kept for validation.
VALIDATION = 1_000_000


@dataclass(frozen=True)
class Subject:
    """A scan in model axes and its true landmarks (68, 3); frame of the face."""

    scan: scanning.Scan
    normals: np.ndarray
    points: np.ndarray
    face: frame.Similarity


def subject(
    model: ict.IctModel,
    rng: np.random.Generator,
    count: int | None = None,
    warped: bool = True,
    reshaped: bool = False,
    strong: bool = False,
    melted: bool = False,
) -> Subject:
    """A random scan with everything scanners and faces do; count: of `scanner.random_scan`, by default 900-25,000;
    warped, reshaped, strong: as in `registered_face`; a strong expression mostly shows teeth; melted: its lids, or lids
    and lips, as photogrammetry leaves them, all but a strong expression in one reconstructed surface
    (`scanner.melted`)."""
    vertices = registered_face(model, rng, warped=warped, reshaped=reshaped, strong=strong)
    points = vertices[model.landmark_vertices].astype(float)
    if rng.random() < 0.2:
        vertices = _beard(vertices, model, points, rng)
    lips: str | None = None
    teeth: bool | None = None
    if strong:
        lips = str(rng.choice(list(_STRONG_LIPS), p=list(_STRONG_LIPS.values())))
        teeth = bool(rng.random() < _STRONG_TEETH)
    elif melted or rng.random() < 0.03:
        lips = "fused"
    kind = "mask" if lips == "fused" else None
    if count is None:
        count = int(np.exp(rng.uniform(np.log(900), np.log(25_000))))
    scan = scanner.random_scan(model, vertices, rng, count=count, kind=kind, lips=lips, teeth=teeth)
    if melted:
        scan = scanner.melted(scan, points, rng)
    if rng.random() < 0.25:
        scan = scanner.smooth(scan, int(rng.integers(1, 6)))
    for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.3 else 0):
        scan = scanning.add(scan, *clutter(rng, points.mean(0)))
    return Subject(scan, raster.vertex_normals(scan.vertices, scan.triangles), points, frame.canonical_frame(points))


def registered_face(
    model: ict.IctModel,
    rng: np.random.Generator,
    rows: np.ndarray | slice = slice(None),
    warped: bool = True,
    reshaped: bool = False,
    strong: bool = False,
) -> np.ndarray:
    """(N, 3), or only some rows of it: a random identity, expression and proportions, in model axes and cm.

    warped: proportions beyond the model's own; reshaped: features beyond its own (export/reshaping.py); strong: laughs,
    shouts and grimaces in place of mild expressions.
    """
    weights = scanning.identity(rng, model, 1.25).astype(np.float32)
    expression = (_strong_expression if strong else _expression)(model, rng)

    def points(rows: np.ndarray | slice) -> np.ndarray:
        face = model.neutral[rows] + np.tensordot(weights, model.identity[:, rows], 1)
        return face + np.tensordot(expression, model.expression[:, rows], 1)

    face = points(rows)
    if reshaped:
        face = reshaping.reshaped(face, points(model.landmark_vertices), rng)
    return _warp(face, rng) if warped else face


def _expression(model: ict.IctModel, rng: np.random.Generator) -> np.ndarray:
    """(E,) weights of a mild expression; often none, lids anywhere between wide and closed."""
    weights = np.zeros(len(model.expression), np.float32)
    if rng.random() < 0.6:
        some = rng.choice(len(weights), int(rng.integers(1, 7)), replace=False)
        weights[some] = rng.uniform(0, 0.6, len(some))
    # Lids are drawn on their own below; a lone mouthClose without an open jaw would cross the lips.
    for name in ("mouthClose", "jawOpen", "eyeBlink_L", "eyeBlink_R"):
        weights[model.index(name)] = 0
    if rng.random() < 0.3:
        weights[model.index("jawOpen")] = rng.uniform(0, 0.45)
    if rng.random() < 0.5:
        weights[[model.index("eyeBlink_L"), model.index("eyeBlink_R")]] = rng.uniform(0, 1) ** 0.7
    return weights


def _strong_expression(model: ict.IctModel, rng: np.random.Generator) -> np.ndarray:
    """(E,) weights of a laugh, a shout or a grimace, left and right nearly alike; lids mostly open."""
    weights = np.zeros(len(model.expression), np.float32)
    some = rng.choice(len(weights), int(rng.integers(0, 5)), replace=False)
    weights[some] = rng.uniform(0, 0.8, len(some))
    for name, (chance, most) in STRONG.items():
        amount = rng.uniform(0.1, most) if rng.random() < chance else 0.0
        for side in ict.sides(name, model.expression_names):
            weights[model.index(side)] += amount * rng.uniform(0.8, 1)
    weights[model.index("mouthClose")] = 0
    weights[[model.index("eyeBlink_L"), model.index("eyeBlink_R")]] = rng.uniform(0, 1) ** 2
    return weights.clip(0, 1)


def _warp(vertices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Proportions outside the model: unequal scales and smooth waves of millimetres (children, statues, strangers)."""
    stretched = vertices * rng.normal(1, 0.05, 3).clip(0.87, 1.15)
    waves = np.stack([scanning.waves(stretched, rng, 12.0) for _ in range(3)], 1)
    return (stretched + rng.uniform(0, 0.25) * waves).astype(np.float32)


def _beard(vertices: np.ndarray, model: ict.IctModel, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Curly bumps over jaw and upper lip; the landmarks stay where the skin is."""
    low = points[33, 1] - 0.3
    towards_lips = np.linalg.norm((vertices - points[48:].mean(0)) * [0.7, 1.6, 1], axis=1)
    amount = ((low - vertices[:, 1]) / 1.0).clip(0, 1) * ((towards_lips - 1.6) / 0.8).clip(0, 1)
    amount *= (vertices[:, 1] > points[8, 1] - 4) & (vertices[:, 2] > points[0, 2])
    curls = 0.6 + 0.4 * scanning.waves(vertices, rng, rng.uniform(0.4, 1.2))
    normals = raster.vertex_normals(vertices, model.triangles)
    return (vertices + (rng.uniform(0.1, 0.9) * amount * curls)[:, None] * normals).astype(np.float32)


def clutter(rng: np.random.Generator, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Something that is no face, beside one: an ellipsoid, a box or a ring, lumpy or not (cm)."""
    rows, columns = 24, 32
    down, around = np.meshgrid(
        np.linspace(0.02, np.pi - 0.02, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False), indexing="ij"
    )
    kind = rng.choice(["ellipsoid", "box", "ring"])
    if kind == "ring":
        turn, tube = 2 * down, rng.uniform(0.15, 0.5)
        shape = np.stack(
            [
                (1 + tube * np.cos(around)) * np.cos(turn),
                (1 + tube * np.cos(around)) * np.sin(turn),
                tube * np.sin(around),
            ]
        )
    else:
        shape = np.stack([np.sin(down) * np.cos(around), np.cos(down), np.sin(down) * np.sin(around)])
        if kind == "box":
            shape = shape / np.abs(shape).max(0)
    points = shape.reshape(3, -1).T * rng.uniform(2, 14, 3)
    points += scanning.waves(points, rng, rng.uniform(2, 10))[:, None] * rng.exponential(0.3) * rng.normal(size=3)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    placed = points @ scanning.rotation(rng).T + centre + direction * rng.uniform(16, 40)
    return placed, dressing.grid(rows, columns, closed=True)


def _picture(who: Subject, camera: Camera, size: int, over: int) -> tuple[np.ndarray, raster.Image]:
    return face_view.picture(who.scan.vertices, who.scan.triangles, who.normals, camera, size, over)


def _pack(channels: np.ndarray) -> np.ndarray:
    return np.round(channels * 127).astype(np.int8)


def residual(rng: np.random.Generator, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) camera rotation away from frontal (degrees: uniform yaw and pitch, normal roll)."""
    a, b = np.radians(rng.uniform(-yaw, yaw)), np.radians(rng.uniform(-pitch, pitch))
    c = np.radians(rng.normal(0, roll))
    return _turn(2, c) @ _turn(0, b) @ _turn(1, a)


def _turn(axis: int, angle: float) -> np.ndarray:
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


def face_camera(who: Subject, rng: np.random.Generator) -> Camera:
    """A camera on the face, off by what the search and a first pass leave, or to the side on purpose."""
    turn = residual(rng, 55, 35, 10) @ who.face.rotation.T
    shift = rng.uniform(-0.22, 0.22, 3)
    centre = who.face.to_mesh(face_view.FACE_CENTRE + shift)
    return Camera(turn, centre, face_view.FACE_HALF * who.face.scale * np.exp(rng.uniform(-0.22, 0.22)))


def other_camera(who: Subject, rng: np.random.Generator) -> Camera:
    """A camera that a search might propose and that shows no face in place: beside, behind, turned over, too near."""
    scale = face_view.FACE_HALF * who.face.scale
    kind = int(rng.integers(4))
    turn, shift, half = scanning.rotation(rng), rng.normal(0, 0.3, 3), scale * np.exp(rng.uniform(-0.3, 0.3))
    if kind == 0:  # somewhere on the scan
        shift = who.face.to_canonical(who.scan.vertices[rng.integers(len(who.scan.vertices))]) - face_view.FACE_CENTRE
        if np.linalg.norm(shift) < 0.9:
            shift *= 0.9 / (np.linalg.norm(shift) + 1e-9)
    elif kind == 1:  # the face, but from behind or far from upright
        while np.trace(turn @ who.face.rotation) > 0.0:  # within 120 degrees of frontal
            turn = scanning.rotation(rng)
    elif kind == 2:  # upright, but much too near or far
        turn = residual(rng, 40, 30, 10) @ who.face.rotation.T
        half = scale * np.exp(rng.choice([-1, 1]) * rng.uniform(0.75, 1.5))
    else:  # the back of the head, upright
        turn = residual(rng, 50, 40, 15) @ np.diag([-1.0, 1.0, -1.0]) @ who.face.rotation.T
    return Camera(turn, who.face.to_mesh(face_view.FACE_CENTRE + shift), half)


def things(rng: np.random.Generator) -> np.ndarray:
    """Picture (4, S, S) int8 of things that are no face, as large as one: balls, boxes, rings, sticks."""
    pieces = [clutter(rng, np.zeros(3)) for _ in range(int(rng.integers(1, 4)))]
    pieces = [(points - points.mean(0) + rng.normal(0, 4, 3), triangles) for points, triangles in pieces]
    for _ in range(int(rng.integers(0, 5))):
        ends = rng.normal(0, 6, (2, 1, 3))
        pieces.append(
            dressing.tube(ends[0] + (ends[1] - ends[0]) * np.linspace(0, 1, 8)[:, None], rng.uniform(0.5, 2.5), 10)
        )
    vertices, triangles = mesh.together(pieces)
    camera = Camera(scanning.rotation(rng), rng.normal(0, 2, 3), rng.uniform(6, 20))
    normals = raster.vertex_normals(vertices, triangles)
    return _pack(face_view.picture(vertices, triangles, normals, camera, face_view.FACE_SIZE)[0])


def face_sample(who: Subject, camera: Camera, over: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture (4, S, S) int8, landmarks (68, 2) in [-1, 1] x right y up, visible (68,) bool."""
    channels, image = _picture(who, camera, face_view.FACE_SIZE, over)
    placed = camera.to_picture(who.points)
    visible = off_surface(image.depth, placed) < 0.08 * who.face.scale / camera.half
    return _pack(channels), placed[:, :2].astype(np.float32), visible & (np.abs(placed[:, :2]) < 1).all(1)


def off_surface(depth: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """(P,) how far points (P, 3) in a picture lie before or behind what it shows there; depth (S, S)."""
    size = len(depth)
    columns, rows = ((placed[:, :2] * [1, -1] + 1) * size / 2 - 0.5).round().clip(0, size - 1).astype(int).T
    return np.abs(depth[rows, columns] - placed[:, 2])


def search_sample(who: Subject, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Picture (3, S, S) int8 and truth (10,): facing cosine, x, y, log-scale, first two camera rows of the face (6)."""
    turn = scanning.rotation(rng)
    if rng.random() < 0.5:
        turn = _turn(2, rng.uniform(-np.pi, np.pi)) @ residual(rng, 45, 45, 0) @ who.face.rotation.T
    pixels = np.exp(rng.uniform(np.log(6.5), np.log(30)))
    half = who.face.scale * SEARCH_SIZE / 2 / pixels
    aim = who.face.to_mesh(face_view.SEARCH_POINT)
    if rng.random() < 0.25:
        aim = who.scan.vertices[rng.integers(len(who.scan.vertices))]
    spread = rng.uniform(-0.8, 0.8, 2) * half
    camera = Camera(turn, aim + spread @ turn[:2], half)
    channels, _ = _picture(who, camera, SEARCH_SIZE, 1 + int(rng.random() < 0.3))
    place = camera.to_picture(who.face.to_mesh(face_view.SEARCH_POINT))
    seen = turn @ who.face.rotation
    truth = [seen[2, 2], *place[:2], np.log(pixels / face_view.SEARCH_EYE), *seen[:, :2].T.ravel()]
    return _pack(channels[:3]), np.array(truth, np.float32)


def photograph(model: ict.IctModel, seed: int) -> dict[str, np.ndarray]:
    """All pictures of one scan."""
    rng = np.random.default_rng(seed)
    who = subject(model, rng)
    faces = [face_sample(who, face_camera(who, rng), 1 + int(rng.random() < 0.4)) for _ in range(FACE_VIEWS)]
    others = [_pack(_picture(who, other_camera(who, rng), face_view.FACE_SIZE, 1)[0]) for _ in range(OTHER_VIEWS)]
    others.append(things(rng))
    searches = [search_sample(who, rng) for _ in range(SEARCH_VIEWS)]
    return {
        "face": np.stack([one[0] for one in faces]),
        "place": np.stack([one[1] for one in faces]),
        "visible": np.stack([one[2] for one in faces]),
        "other": np.stack(others),
        "search": np.stack([one[0] for one in searches]),
        "truth": np.stack([one[1] for one in searches]),
    }


def write(
    model: ict.IctModel,
    out: Path,
    start: int,
    scans: int,
    make: Callable[[ict.IctModel, int], dict[str, np.ndarray]] = photograph,
) -> None:
    """Shards of SHARD scans with seeds from `start` on, each as `make` photographs it; what is there is kept."""
    out.mkdir(parents=True, exist_ok=True)
    for first in range(start, start + scans, SHARD):
        path = out / f"{first:07d}.npz"
        if path.exists():
            continue
        made = [make(model, seed) for seed in range(first, first + SHARD)]
        arrays: dict[str, Any] = {key: np.concatenate([one[key] for one in made]) for key in made[0]}
        with atomic.output(path) as partial:
            np.savez(partial, **arrays)
        print(path.name, flush=True)
