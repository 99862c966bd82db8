"""A small orthographic rasteriser in numpy: which triangle a pixel sees, how far away it is and how it faces.

Written for scans: triangles far smaller than a pixel are dropped before any per-triangle work, the rest is tested in
batches of equal bounding box, so two million triangles cost little more than the transform of their vertices.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Candidate pixels tested at once; bounds the memory of one batch (about 50 bytes each) and keeps it in the cache.
_BATCH = 1 << 16
#: Barycentric coordinates may be so much below 0: rounding leaves no gap between triangles.
_EDGE = np.float32(1e-5)


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
        corners, weights = triangles[self.triangle[seen]], self.weights[seen]
        result[seen] = sum(weights[:, corner, None] * values[corners[:, corner]] for corner in range(3))
        return result


def front(points: np.ndarray, triangles: np.ndarray, middle: np.ndarray, half: float, size: int) -> np.ndarray:
    """(size,size) z of a surface (P,3), (F,3) as seen from the front, -inf where there is none: a picture from `half`
    left of a place to `half` right of it, of what lies at most twice as far before or behind."""
    near = (np.abs(points - middle) < (half, half, 2 * half)).all(1)
    image = render(((points - middle) / half).astype(np.float32), triangles[near[triangles].any(1)], size)
    return np.where(image.seen, image.depth * half + middle[2], -np.inf)


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
    left, wide, top, high = left[candidates], wide[candidates], top[candidates], high[candidates]
    corners = triangles[candidates]
    start, right, down = _barycentric_planes(column[corners], row[corners], left, top)
    depth = vertices[:, 2].astype(np.float32)[corners]
    first = top * size + left
    # Batches of similar boxes, each side rounded up to the next power of two.
    across, along = (np.ceil(np.log2(extent)).astype(np.int64) for extent in (wide, high))
    kind = across * 32 + along
    hits = []
    for box in np.unique(kind):
        members = np.flatnonzero(kind == box)
        box_wide, box_high = 1 << int(box) // 32, 1 << int(box) % 32
        for part in np.array_split(members, max(1, len(members) * box_wide * box_high // _BATCH)):
            which, cell, weights = _covered(
                start[:, part], right[:, part], down[:, part], wide[part], high[part], box_wide, box_high
            )
            which = part[which]
            z = depth[which]
            nearness = z[:, 0] + weights[0] * (z[:, 1] - z[:, 0]) + weights[1] * (z[:, 2] - z[:, 0])
            pixel = first[which] + (cell // box_wide * size + cell % box_wide).astype(np.int32)
            hits.append((pixel, nearness, candidates[which], *weights))
    return _nearest(hits, size)


def _centres_between(coordinate: np.ndarray, triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel centre (F,) within each triangle's extent, clipped to the picture, and how many there are (F,).

    An extent holds its lower end, not its upper one.
    """
    with np.errstate(invalid="ignore"):
        onward = np.ceil(coordinate).clip(0, size).astype(np.int32)
    a, b, c = (onward[triangles[:, corner]] for corner in range(3))
    low = np.minimum(np.minimum(a, b), c)
    return low, np.maximum(np.maximum(a, b), c) - low


def _barycentric_planes(
    column: np.ndarray, row: np.ndarray, left: np.ndarray, top: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Second and third barycentric coordinate (2, F) float32 as planes: at pixel (left, top), per column and per row.

    Not finite for triangles seen edge-on, which therefore hit nothing.
    """
    x, y = (column.T - left).astype(np.float64), (row.T - top).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = 1 / ((x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]))
        right = np.stack([y[2] - y[0], y[0] - y[1]]) * turn
        down = np.stack([x[0] - x[2], x[1] - x[0]]) * turn
        start = -x[0] * right - y[0] * down
    return start.astype(np.float32), right.astype(np.float32), down.astype(np.float32)


def _covered(
    start: np.ndarray,
    right: np.ndarray,
    down: np.ndarray,
    wide: np.ndarray,
    high: np.ndarray,
    box_wide: int,
    box_high: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixel centres of boxes that lie in their triangles: which triangle (N,), which cell (N,), weights (2, N)."""
    across, along = np.tile(np.arange(box_wide), box_high), np.repeat(np.arange(box_high), box_wide)
    column, row = across.astype(np.float32), along.astype(np.float32)
    with np.errstate(invalid="ignore"):
        second, third = (start[k, :, None] + (right[k, :, None] * column + down[k, :, None] * row) for k in range(2))
        inside = (second >= -_EDGE) & (third >= -_EDGE) & (second + third <= 1 + _EDGE)
    inside &= (across < wide[:, None]) & (along < high[:, None])
    hit = np.flatnonzero(inside)
    return hit // len(across), hit % len(across), np.stack([second.ravel()[hit], third.ravel()[hit]])


def _nearest(hits: list[tuple[np.ndarray, ...]], size: int) -> Image:
    """Keep the hit nearest to the viewer in every pixel."""
    triangle = np.full(size * size, -1, np.int32)
    weights = np.zeros((size * size, 3), np.float32)
    depth = np.full(size * size, -np.inf, np.float32)
    if hits:
        pixel, z, face, second, third = (np.concatenate(part) for part in zip(*hits, strict=True))
        # Repeated indices are assigned in order and the last one stays, so what is nearer than it is written again,
        # until nothing is: as many rounds as surfaces lie behind each other, faster than sorting.
        open_ = np.arange(len(pixel))
        while len(open_):
            depth[pixel[open_]] = z[open_]
            open_ = open_[z[open_] > depth[pixel[open_]]]
        front = np.flatnonzero(z == depth[pixel])
        pixel = pixel[front]
        triangle[pixel] = face[front]
        weights[pixel] = np.stack([1 - second[front] - third[front], second[front], third[front]], 1)
    return Image(triangle.reshape(size, size), weights.reshape(size, size, 3), depth.reshape(size, size))


def triangle_normals(corners: np.ndarray) -> np.ndarray:
    """(F, 3) normals of triangles with corners (F, 3, 3), each as long as twice the triangle's area."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    return np.cross(b - a, c - a)


def dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(...) inner products of vectors (..., 3); numpy's sum over three numbers takes several times as long."""
    product = first * second
    return product[..., 0] + product[..., 1] + product[..., 2]


def unit(vectors: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Vectors (..., 3) of length 1; 0 where they have none, and shorter where they are less than `least` long."""
    length = np.maximum(np.sqrt(dot(vectors, vectors)), least)[..., None]
    return np.divide(vectors, length, out=np.zeros(vectors.shape), where=length > 0)


def angle_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(P, 3) sums of the triangles' unit normals around each point, weighted by their angles there."""
    corner = points[triangles]
    normal = unit(triangle_normals(corner))
    edge = [unit(corner[:, (k + 1) % 3] - corner[:, k]) for k in range(3)]
    weighted = [normal * np.arccos(np.clip(dot(edge[k], -edge[k - 1]), -1, 1))[:, None] for k in range(3)]
    around = triangles.T.ravel()
    return np.stack([np.bincount(around, axis, len(points)) for axis in np.concatenate(weighted).T], 1)


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V, 3) float32 area-weighted unit normals, 0 for vertices without a triangle."""
    face = triangle_normals(vertices[triangles])
    normals = np.stack(
        [
            sum(np.bincount(triangles[:, corner], face[:, axis], len(vertices)) for corner in range(3))
            for axis in range(3)
        ],
        -1,
    )
    return unit(normals).astype(np.float32)


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
