"""What the landmark networks look at: orthographic pictures of surface normals and depth, lit by nothing.

A picture does not depend on texture, unit, winding or place; of the rotation it keeps what the camera sees.
"""

from dataclasses import dataclass

import numpy as np

from .. import cancel
from ..surface import raster, rows

#: Camera of the landmark network: centre (canonical units), half of the picture's side, picture side in pixels.
FACE_CENTRE = np.array([0.0, -0.42, 0.0])
FACE_HALF = 1.25
FACE_SIZE = 128
#: Point of the face whose pixel the search network names (canonical units), near the nose bridge's foot.
SEARCH_POINT = np.array([0.0, -0.3, 0.15])
#: Meshes above this many triangles are searched, and faces rendered, on a simplified copy.
LIGHT = 80_000
#: Eye distance in pixels at which the search network's log-scale is 0.
SEARCH_EYE = 14.0


@dataclass(frozen=True)
class Camera:
    """Orthographic camera. rotation (3, 3): rows are the picture's right, up and towards-the-viewer in mesh axes;
    centre (3,) mesh point in the middle; half: mesh units from there to the border."""

    rotation: np.ndarray
    centre: np.ndarray
    half: float

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) mesh points -> x right, y up in [-1, 1] and z towards the viewer, in halves."""
        return (points - self.centre) @ self.rotation.T / self.half

    def to_mesh(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) picture points -> mesh points."""
        return self.half * points @ self.rotation + self.centre


@dataclass(frozen=True)
class Patch:
    """The surface around a face: vertices (V, 3), triangles (F, 3), normals (V, 3)."""

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray


def meet(axes: np.ndarray, target: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (K, 3) nearest to rays, their expected errors (K,), and each ray's distance (C, K).

    axes (C, 2, 3): right and up of C cameras around one centre; target (C, K, 2): places in their pictures with
    expected errors sigma (C, K), all in one unit. Weighted least squares with weights from sigma and, on the second and
    third pass, from the distance to the first answer (Cauchy), so that one view that is wrong does not pull.
    """
    weight = sigma**-2
    for _ in range(3):
        normal = np.einsum("ck,cai,caj->kij", weight, axes, axes)
        right = np.einsum("ck,cai,cka->ki", weight, axes, target)
        points = np.linalg.solve(normal, right[..., None])[..., 0]
        miss = np.linalg.norm(np.einsum("cai,ki->cka", axes, points) - target, axis=-1)
        weight = sigma**-2 / (1 + (miss / (2 * sigma + 0.01)) ** 2)
    share = weight / weight.sum(0)
    return points, np.sqrt((share * miss**2).sum(0) + 1 / weight.sum(0)), miss


def picture(
    vertices: np.ndarray,
    triangles: np.ndarray,
    normals: np.ndarray,
    camera: Camera,
    size: int,
    over: int = 1,
) -> tuple[np.ndarray, raster.Image]:
    """Normals and depth (4, size, size) float32, averaged over `over` x `over` samples a pixel, and the fine image.

    Channels: normal x right, y up, z towards the viewer (both sides of a surface face the viewer), depth in halves
    clipped to [-1, 1]; the background is 0, 0, 0, -1.
    """
    cancel.check()
    placed = camera.to_picture(vertices).astype(np.float32)
    turned = (normals @ camera.rotation.T).astype(np.float32)
    image = raster.render(placed, triangles, size * over)
    normal = image.interpolate(turned, triangles)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-6
    normal *= np.where(normal[..., 2:] < 0, -1, 1)
    depth = np.where(image.seen, image.depth, -1).clip(-1, 1)
    channels = np.concatenate([normal.transpose(2, 0, 1), depth[None]])
    return shrink(channels, over), image


def shrink(channels: np.ndarray, factor: int) -> np.ndarray:
    """(C, H, W) -> (C, H/factor, W/factor): the mean of each block."""
    if factor == 1:
        return channels
    total = np.zeros((channels.shape[0], channels.shape[1] // factor, channels.shape[2] // factor), np.float32)
    for down in range(factor):
        for across in range(factor):
            total += channels[:, down::factor, across::factor]
    return total / factor**2


def cluster_vertices(vertices: np.ndarray, triangles: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices merged per cubic cell where the mesh has more than LIGHT triangles (Rossignac & Borrel 1993)."""
    if len(triangles) <= LIGHT:
        return vertices, triangles
    key = ((vertices - vertices.min(0)) / cell).astype(np.int64)
    flat = (key[:, 0] << 42) | (key[:, 1] << 21) | key[:, 2]
    # What np.unique does, with a sort that need not be stable: a third of its time.
    order = np.argsort(flat)
    ordered = flat[order]
    owner = np.empty(len(flat), np.int32)
    owner[order] = np.cumsum(np.append(False, ordered[1:] != ordered[:-1]))
    count = np.bincount(owner)
    merged = np.stack([np.bincount(owner, vertices[:, axis]) / count for axis in range(3)], 1)
    corners = owner[triangles]
    apart = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    return merged, corners[apart]


def compact(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Only the vertices that triangles use."""
    used = rows.present(triangles, len(vertices))
    if len(used) == len(vertices):
        return vertices, triangles
    return vertices[used], rows.numbered(used, len(vertices)).astype(np.int32)[triangles]
