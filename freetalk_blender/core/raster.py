"""A small orthographic rasteriser in numpy: which triangle a pixel sees, how far away it is and how it faces.

Written for scans: triangles far smaller than a pixel are dropped before any per-triangle work, the rest is tested in
batches of equal bounding box, so two million triangles cost little more than the transform of their vertices.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Candidate pixels tested at once; bounds the memory of one batch (about 100 bytes each).
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
    pixels = np.empty((len(vertices), 2), np.float32)
    pixels[:, 0] = (vertices[:, 0] + 1) * (size / 2) - 0.5
    pixels[:, 1] = (1 - vertices[:, 1]) * (size / 2) - 0.5
    low, high = _pixel_boxes(pixels, triangles, size)
    extent = high - low + 1
    candidates = np.flatnonzero((extent > 0).all(1))
    # Batches of similar boxes: both sides rounded up to a power of two.
    side = 1 << np.ceil(np.log2(extent[candidates])).astype(np.int64)
    key = side[:, 0] * (1 << 20) + side[:, 1]
    hits = [
        _hits(pixels, vertices[:, 2], triangles, chunk, low, high, width, height)
        for width, height, members in _groups(key, candidates)
        for chunk in np.array_split(members, max(1, len(members) * width * height // _BATCH))
    ]
    return _nearest(hits, size)


def _pixel_boxes(pixels: np.ndarray, triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last pixel centre (F, 2) inside each triangle's bounding box, clipped to the picture."""
    a, b, c = (pixels[triangles[:, corner]] for corner in range(3))
    low = np.ceil(np.minimum(np.minimum(a, b), c)).clip(0, size).astype(np.int32)
    high = np.floor(np.maximum(np.maximum(a, b), c)).clip(-1, size - 1).astype(np.int32)
    return low, high


def _groups(key: np.ndarray, members: np.ndarray):
    """(width, height, members) for every distinct key, width * 2**20 + height."""
    order = np.argsort(key, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if len(part):
            yield int(key[part[0]] >> 20), int(key[part[0]] & 0xFFFFF), members[part]


def _hits(
    pixels: np.ndarray,
    depth: np.ndarray,
    triangles: np.ndarray,
    chunk: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    width: int,
    height: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixel centres covered by the triangles of a chunk: x y (N, 2), triangle (N,), weights (N, 3), depth (N,)."""
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height), indexing="ij"), -1).reshape(1, -1, 2)
    at = low[chunk][:, None] + grid
    inside = (at <= high[chunk][:, None]).all(-1)
    which = np.broadcast_to(np.arange(len(chunk))[:, None], inside.shape)[inside]
    at = at[inside]
    face = triangles[chunk[which]]
    a, b, c = (pixels[face[:, corner]].astype(np.float64) for corner in range(3))
    area = _cross(b - a, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        second = _cross(at - a, c - a) / area
        third = _cross(b - a, at - a) / area
        weights = np.stack([1 - second - third, second, third], -1)
        hit = (weights >= -1e-9).all(1)  # False for the NaN of a triangle seen edge-on
    weights = weights[hit].astype(np.float32)
    return at[hit], chunk[which[hit]], weights, (weights * depth[face[hit]]).sum(1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _nearest(hits: list, size: int) -> Image:
    """Keep the hit nearest to the viewer in every pixel."""
    triangle = np.full((size, size), -1, np.int32)
    weights = np.zeros((size, size, 3), np.float32)
    depth = np.full((size, size), -np.inf, np.float32)
    if hits:
        at, face, bary, z = (np.concatenate(part) for part in zip(*hits, strict=True))
        order = np.argsort(z, kind="stable")
        # numpy assigns repeated indices in order, so the last one, nearest to the viewer, stays.
        rows, columns = at[order, 1], at[order, 0]
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
