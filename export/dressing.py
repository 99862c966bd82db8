"""What a scan holds besides a face: shirts, hair, glasses, as vertices and triangles of their own."""

import numpy as np

from export import ict
from export.scanning import waves
from freetalk_blender.core.surface import mesh, raster
from freetalk_blender.core.surface.rows import renumbered


def shirt(vertices: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A collar and shoulders around the neck of a registered head (N, 3) -> vertices, triangles."""
    neck = vertices[slice(*ict.PARTS["head_neck"])]
    low, height = neck[:, 1].min(), np.ptp(neck[:, 1])
    centre = np.array([0, low + 2.0, neck[neck[:, 1] < low + 0.15 * height][:, 2].mean() - 2.5])
    rows, columns = 28, 72
    down, around = np.meshgrid(
        np.linspace(0, 1, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False), indexing="ij"
    )
    wide = 7.2 + rng.uniform(10, 15) * down**0.8
    deep = 8.0 + rng.uniform(2, 5) * down**0.7
    collar = rng.uniform(6.0, 8.5)
    # Lower in front than behind, falling off towards the shoulders.
    top = collar - 9.0 * down**1.2 - 4.0 * (1 + np.sin(around)) / 2 * (1 - down) - 2.0 * np.abs(np.cos(around)) * down
    sheet = np.stack([wide * np.cos(around), top, deep * np.sin(around)], -1).reshape(-1, 3) + centre
    folds = waves(sheet, rng, 5.0)[:, None] * 0.5 + waves(sheet, rng, 1.8)[:, None] * 0.12
    outward = sheet - centre
    sheet = sheet + folds * outward / (np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9)
    return sheet, grid(rows, columns, closed=True)[:, ::-1]


def hair(
    vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator, thickness: float = 1.2
) -> tuple[np.ndarray, np.ndarray]:
    """A lumpy cap over the cranium of a registered head (N, 3), down to a random hairline -> vertices, triangles."""
    skull = slice(0, ict.PARTS["head_neck"][1])
    normals = raster.vertex_normals(vertices, triangles)[skull]
    points = vertices[skull]
    brow = points[:, 1].max() - rng.uniform(0.28, 0.42) * (points[:, 1].max() - points[:, 1].min()) * 0.75
    behind = points[:, 2].max() - points[:, 2]
    # The hairline sinks towards the nape, by a random length.
    line = brow + rng.uniform(1.0, 3.5) - rng.uniform(0.3, 1.1) * np.maximum(behind - 7.0, 0)
    inside = np.asarray(points[:, 1] > line + 0.4 * waves(points, rng, 2.0))
    skin = np.asarray((triangles < skull.stop).all(1))
    keep = skin & inside[np.where(skin[:, None], triangles, 0)].all(1)
    used, cap = renumbered(triangles[keep], len(vertices))
    lumps = thickness * (1 + 0.35 * waves(points, rng, 3.0) + 0.15 * waves(points, rng, 0.8)).clip(0.1)
    lifted = points + normals * lumps[:, None]
    return lifted[used], cap


def glasses(landmarks: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A frame on the nose of landmarks (68, 3), in the model's axes -> vertices, triangles."""
    thick, power = rng.uniform(0.1, 0.25), rng.uniform(0.6, 1.0)
    wide, high = rng.uniform(2.2, 2.9), rng.uniform(1.5, 2.3)
    pieces = []
    front = landmarks[27:30, 2].max() + rng.uniform(0.2, 0.9)
    for eye, outside in ((landmarks[36:42], -1), (landmarks[42:48], 1)):
        middle = eye.mean(0)
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        x = middle[0] + wide * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power
        y = middle[1] - 0.2 + high * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
        z = front - 0.06 * np.abs(x) ** 1.5
        pieces.append(tube(np.stack([x, y, z], 1), thick, closed=True))
        start = np.array(
            [middle[0] + outside * wide, middle[1] + 0.3, front - 0.06 * abs(middle[0] + outside * wide) ** 1.5]
        )
        end = start + [outside * 1.2, -0.3, -9.5]
        pieces.append(tube(start + (end - start) * np.linspace(0, 1, 12)[:, None], thick))
    bridge = np.stack([np.linspace(-1, 1, 6), np.full(6, landmarks[27:29, 1].mean()), np.full(6, front)], 1)
    pieces.append(tube(bridge, thick))
    return mesh.together(pieces)


def tube(path: np.ndarray, radius: float, sides: int = 6, *, closed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A tube around a polyline (P, 3) -> vertices, triangles."""
    tangent = np.gradient(path, axis=0) if not closed else np.roll(path, -1, 0) - np.roll(path, 1, 0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    side = np.cross(tangent, [0.13, 0.21, 0.97])
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    up = np.cross(tangent, side)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    rings = path[:, None] + radius * (side[:, None] * np.cos(turn)[:, None] + up[:, None] * np.sin(turn)[:, None])
    triangles = grid(len(path), sides, closed=True)
    if closed:
        last, first = (len(path) - 1) * sides + np.arange(sides), np.arange(sides)
        onward, around = np.roll(first, -1), np.roll(last, -1)
        triangles = np.concatenate(
            [triangles, np.stack([last, first, around], 1), np.stack([around, first, onward], 1)]
        )
    return rings.reshape(-1, 3), triangles[:, ::-1]


def grid(rows: int, columns: int, *, closed: bool = False) -> np.ndarray:
    """(F, 3) triangles of a sheet of rows x columns vertices, closed around the columns if asked."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    right = (c + 1) % columns
    a, b, d, e = r * columns + c, r * columns + right, (r + 1) * columns + c, (r + 1) * columns + right
    flip = ((r + c) % 2 == 0)[..., None]
    one = np.where(flip, np.stack([a, d, b], -1), np.stack([a, d, e], -1))
    two = np.where(flip, np.stack([b, d, e], -1), np.stack([a, e, b], -1))
    return np.concatenate([one.reshape(-1, 3), two.reshape(-1, 3)])
