"""A small orthographic rasteriser in numpy: which triangle a pixel sees, how far away it is and how it faces.

Written for scans: triangles far smaller than a pixel are dropped before any per-triangle work, the rest is tested in
batches of equal bounding box, so two million triangles cost little more than the transform of their vertices.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Candidate pixels tested at once; bounds the memory of one batch (about 50 bytes each).
_BATCH = 1 << 19


@dataclass(frozen=True)
class Image:
    """What an orthographic camera sees. Rows run down, columns right; H = W = size.

    triangle: (H, W) int32 index of the nearest triangle, -1 where there is none.
    weights: (H, W, 3) float32 barycentric coordinates of the pixel centre in that triangle.
    depth: (H, W) float32 coordinate towards the viewer, -inf where there is nothing.
    """

    triangle: np.ndarray
    weights: np.ndarray
    depth: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """(H, W) bool: pixels that hit the surface."""
        return self.triangle >= 0

    def interpolate(self, values: np.ndarray, triangles: np.ndarray) -> np.ndarray:
        """(H, W, C) values (V, C) of the vertices at every pixel, 0 where there is nothing."""
        result = np.zeros((*self.triangle.shape, values.shape[1]), np.float32)
        seen = self.seen
        corners = values[triangles[self.triangle[seen]]]
        result[seen] = np.einsum("pk,pkc->pc", self.weights[seen], corners)
        return result


def render(vertices: np.ndarray, triangles: np.ndarray, size: int) -> Image:
    """The orthographic image of a mesh that is already in the camera's frame.

    vertices (V, 3): x right and y up, both in [-1, 1] across the picture, z towards the viewer (any range).
    triangles (F, 3) int. Both sides of a triangle are drawn. Pixels are sampled at their centres.
    """
    column = ((vertices[:, 0] + 1) * (size / 2) - 0.5).astype(np.float32)
    row = ((1 - vertices[:, 1]) * (size / 2) - 0.5).astype(np.float32)
    left, wide = _centres_between(column, triangles, size)
    top, high = _centres_between(row, triangles, size)
    candidates = np.flatnonzero((wide > 0) & (high > 0))
    # Batches of similar boxes: squares whose side is the next power of two.
    side = 1 << np.ceil(np.log2(np.maximum(wide, high)[candidates])).astype(np.int64)
    hits = []
    for box in np.unique(side):
        members = candidates[side == box]
        for part in np.array_split(members, max(1, len(members) * box * box // _BATCH)):
            corners = triangles[part]
            planes = _barycentric_planes(column[corners], row[corners], left[part], top[part])
            hits.append(
                _hits(part, corners, vertices[:, 2], planes, box, left[part], top[part], wide[part], high[part])
            )
    return _nearest(hits, size)


def _centres_between(coordinate: np.ndarray, triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel centre (F,) inside each triangle's extent, clipped to the picture, and how many there are (F,)."""
    a, b, c = (coordinate[triangles[:, corner]] for corner in range(3))
    low = np.ceil(np.minimum(np.minimum(a, b), c)).clip(0, size).astype(np.int32)
    high = np.floor(np.maximum(np.maximum(a, b), c)).clip(-1, size - 1).astype(np.int32)
    return low, high - low + 1


def _barycentric_planes(column: np.ndarray, row: np.ndarray, left: np.ndarray, top: np.ndarray) -> tuple:
    """Second and third barycentric coordinate as planes over a box: (F, 1) at its first pixel, per column and per row.

    Not finite for triangles seen edge-on, which therefore hit nothing.
    """
    x, y = column.astype(np.float64) - left[:, None], row.astype(np.float64) - top[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = 1 / ((x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0]))
        second = (y[:, 2] - y[:, 0]) * turn, (x[:, 0] - x[:, 2]) * turn
        third = (y[:, 0] - y[:, 1]) * turn, (x[:, 1] - x[:, 0]) * turn
        starts = [-x[:, 0] * one[0] - y[:, 0] * one[1] for one in (second, third)]
    return tuple(
        (start[:, None], *(slope[:, None] for slope in one)) for start, one in zip(starts, (second, third), strict=True)
    )


def _hits(
    part: np.ndarray,
    corners: np.ndarray,
    depth: np.ndarray,
    planes: tuple,
    box: int,
    left: np.ndarray,
    top: np.ndarray,
    wide: np.ndarray,
    high: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Pixel centres covered by some triangles: row, column, triangle (N,), weights (N, 3), depth (N,)."""
    over, under = (grid.ravel()[None] for grid in np.meshgrid(np.arange(box), np.arange(box), indexing="ij"))
    with np.errstate(invalid="ignore"):
        second, third = (start + across * over + down * under for start, across, down in planes)
        covered = (second >= -1e-9) & (third >= -1e-9) & (second + third <= 1 + 1e-9)
    covered &= (over < wide[:, None]) & (under < high[:, None])
    which, cell = np.nonzero(covered)
    weights = np.empty((len(which), 3), np.float32)
    weights[:, 1], weights[:, 2] = second[which, cell], third[which, cell]
    weights[:, 0] = 1 - weights[:, 1] - weights[:, 2]
    z = depth[corners[which]]
    return (
        top[which] + under[0, cell],
        left[which] + over[0, cell],
        part[which],
        weights,
        weights[:, 0] * z[:, 0] + weights[:, 1] * z[:, 1] + weights[:, 2] * z[:, 2],
    )


def _nearest(hits: list, size: int) -> Image:
    """Keep the hit nearest to the viewer in every pixel."""
    triangle = np.full((size, size), -1, np.int32)
    weights = np.zeros((size, size, 3), np.float32)
    depth = np.full((size, size), -np.inf, np.float32)
    if hits:
        rows, columns, face, bary, z = (np.concatenate(part) for part in zip(*hits, strict=True))
        order = np.argsort(z, kind="stable")
        # numpy assigns repeated indices in order, so the last one, nearest to the viewer, stays.
        rows, columns = rows[order], columns[order]
        triangle[rows, columns] = face[order]
        weights[rows, columns] = bary[order]
        depth[rows, columns] = z[order]
    return Image(triangle, weights, depth)


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V, 3) float32 area-weighted unit normals, 0 for vertices without a triangle."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    face = np.cross(b - a, c - a)
    normals = np.stack(
        [
            sum(np.bincount(triangles[:, corner], face[:, axis], len(vertices)) for corner in range(3))
            for axis in range(3)
        ],
        -1,
    )
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0).astype(np.float32)


def shade(image: Image, normals: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 clay picture, lit from the upper left; normals (V, 3) in the camera's frame."""
    normal = image.interpolate(normals, triangles)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    key = np.clip(normal @ np.array([-0.45, 0.55, 0.70]), 0, 1)
    fill = np.clip(normal @ np.array([0.70, -0.1, 0.70]), 0, 1)
    light = 0.10 + 0.70 * key + 0.22 * fill
    clay = np.array([205, 190, 178])
    picture = np.where(image.seen[..., None], light[..., None] * clay, 32)
    return picture.clip(0, 255).astype(np.uint8)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write (H, W, 3) uint8 as PNG (PNG specification, W3C 2003: IHDR, IDAT, IEND; filter 0), no library needed."""
    height, width = picture.shape[:2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], 1)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + body)
