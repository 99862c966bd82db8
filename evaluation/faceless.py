"""Objects that are no face, on which landmark detection must report none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from export import dressing, ict, scanning
from freetalk_blender.core.surface import mesh

CHAIR = [((0, 0, 0), (5, 0.5, 5)), ((0, 5, -5), (5, 5, 0.5))] + [
    ((x, -5, z), (0.5, 5, 0.5)) for x in (-4.5, 4.5) for z in (-4.5, 4.5)
]
HAND = [((0, 0, 0), (0, 4, 0), 2.5), ((-2, 1, 0), (-5, 4, 1), 0.9)] + [
    ((x, 4, 0), (1.5 * x, 9 - abs(x), 0.5), 0.8) for x in (-2, -0.7, 0.7, 2)
]


def objects(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, vertices, triangles of objects and of ICT heads without their face; data holds ict_facekit/."""
    yield "sphere", *_sheet(_ball(40, 60))
    turn, around = np.meshgrid(np.linspace(0, 2 * np.pi, 48), np.linspace(0, 2 * np.pi, 24), indexing="ij")
    ring = 1 + 0.35 * np.cos(around)
    yield "torus", *_sheet(np.stack([ring * np.cos(turn), ring * np.sin(turn), 0.35 * np.sin(around)], -1))
    yield "chair of boxes", *mesh.together([_box(*box) for box in CHAIR])
    yield "hand of capsules", *mesh.together([_capsule(*bone) for bone in HAND])
    rng = np.random.default_rng(11)
    ball = _ball(60, 90)
    lumps = scanning.waves(ball.reshape(-1, 3), rng, 0.8).reshape(ball.shape[:2])
    yield "lumpy potato", *_sheet(ball * (1 + 0.08 * lumps)[..., None] * [1, 1.3, 0.9])
    model = ict.load(data)
    head = model.triangles[scanning.part_mask(model, "head", eyeballs=False)]
    yield "ICT head, face cut away", model.neutral, head[(head >= ict.NARROW_FACE).all(1)]
    behind = (model.neutral[head].mean(1)[:, 2] < 2.0) | (model.neutral[head].mean(1)[:, 1] < -9)
    yield "ICT head, front cut away", model.neutral, head[behind]


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
