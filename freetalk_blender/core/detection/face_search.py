"""Where on a mesh a face may be: pictures from all around, read by the `face_search` network, and a vote."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.spatial.transform import Rotation

from .. import models
from ..errors import LandmarkError
from ..frame import Similarity
from ..surface import raster
from .face_view import SEARCH_EYE, SEARCH_POINT, Camera, cluster_vertices, compact, picture, shrink

#: Side of the search pictures, and by how much they are shrunk to look for larger faces.
SEARCH_SIZE, SHRINKS = 192, (1, 2, 4)
#: Search cells below this probability are no candidates.
CANDIDATE = 0.3


@dataclass(frozen=True)
class Candidate:
    """A face the search proposes: its frame in the mesh and the probabilities that vote for it, summed."""

    face: Similarity
    score: float


def search(vertices: np.ndarray, triangles: np.ndarray, device: str = "auto") -> Iterator[list[Candidate]]:
    """Candidates, best first: those that 12 directions show, then, for who is not content with them, those of 32."""
    vertices, triangles = compact(vertices, triangles)
    centre, half = extent(vertices, triangles)
    vertices, triangles = cluster_vertices(vertices, triangles, half / 110)
    normals = raster.vertex_normals(vertices, triangles)
    network = models.session("face_search", device)
    proposals: list[tuple[float, Similarity]] = []
    for around in directions():
        cameras = [Camera(_looking(direction), centre, half) for direction in around]
        seen = [picture(vertices, triangles, normals, camera, SEARCH_SIZE) for camera in cameras]
        for factor in SHRINKS:
            small = np.stack([shrink(channels[:3], factor) for channels, _ in seen])
            found = network.run(None, {"picture": small})[0]
            for answer, (_, image), camera in zip(found, seen, cameras, strict=True):
                proposals += _proposals(answer, image.depth, camera)
        yield _vote(proposals)


@lru_cache(maxsize=1)
def directions() -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (12, 3) and (20, 3), the corners of an icosahedron and of its dual: every direction is within 38
    degrees of the first, within 23 of both."""
    golden = (1 + 5**0.5) / 2
    signs = [(a, b) for a in (-1, 1) for b in (-1, 1)]
    corners = [np.roll([0, a, b * golden], turn) for turn in range(3) for a, b in signs]
    dual = [np.roll([0, a * golden, b / golden], turn) for turn in range(3) for a, b in signs]
    dual += [np.array([a, b, c]) for a, b in signs for c in (-1, 1)]
    return tuple(np.array(one) / np.linalg.norm(one, axis=1, keepdims=True) for one in (corners, dual))


def _looking(direction: np.ndarray) -> np.ndarray:
    """(3, 3) camera rotation towards a direction, up chosen arbitrarily."""
    aside = np.eye(3)[np.argmin(np.abs(direction))]
    right = np.cross(aside, direction)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction])


def extent(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and half side of a picture that shows the mesh whatever its rotation; a thousandth may stick out."""
    some = vertices[triangles[:: max(1, len(triangles) // 100_000)].ravel()]
    low, high = np.quantile(some, [0.001, 0.999], axis=0)
    centre = (low + high) / 2
    half = float(np.quantile(np.linalg.norm(some - centre, axis=1), 0.999)) * 1.05
    if not half > 0:
        raise LandmarkError("The mesh has no extent; check its scale.")
    return centre, half


def _proposals(found: np.ndarray, depth: np.ndarray, camera: Camera) -> list[tuple[float, Similarity]]:
    """Peaks of the search network's answer (10, G, G), as probability and frame."""
    probability = 1 / (1 + np.exp(-found[0]))
    cells, size = len(probability), len(depth)
    result = []
    peaks = (probability > CANDIDATE) & (probability >= maximum_filter(probability, 3))
    for row, column in np.argwhere(peaks):
        right, up, log_scale = found[1:4, row, column]
        x = (column + 0.5 + right) * 2 / cells - 1
        y = 1 - (row + 0.5 - up) * 2 / cells
        near = depth[
            slice(*_window((1 - y) / 2 * size, size)),
            slice(*_window((x + 1) / 2 * size, size)),
        ]
        near = near[np.isfinite(near)]
        if not len(near):
            continue
        turn = _orthonormal(found[4:7, row, column], found[7:10, row, column])
        pixels = SEARCH_EYE * np.exp(log_scale) / (8 * cells)
        scale = float(2 * camera.half * pixels)
        rotation = camera.rotation.T @ turn
        point = camera.to_mesh(np.array([x, y, np.median(near)]))
        face = Similarity(scale, rotation, point - scale * rotation @ SEARCH_POINT)
        result.append((float(probability[row, column]), face))
    return result


def _window(middle: float, size: int) -> tuple[int, int]:
    middle = int(np.clip(middle, 0, size - 1))
    return max(0, middle - 2), min(size, middle + 3)


def _orthonormal(right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(3, 3) the proper rotation whose first two columns are nearest to the given ones."""
    x, y = right / (np.linalg.norm(right) + 1e-9), up / (np.linalg.norm(up) + 1e-9)
    u, _, vt = np.linalg.svd(np.stack([x, y, np.cross(x, y)], 1))
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def _vote(proposals: Sequence[tuple[float, Similarity]]) -> list[Candidate]:
    """Proposals that agree in place, size and turn become one candidate: weighted mean, summed probability."""
    open_ = sorted(proposals, key=lambda one: -one[0])
    groups: list[list[tuple[float, Similarity]]] = []
    for probability, face in open_:
        for group in groups:
            if _agree(group[0][1], face):
                group.append((probability, face))
                break
        else:
            groups.append([(probability, face)])
    candidates = [_mean(group) for group in groups]
    return sorted(candidates, key=lambda candidate: -candidate.score)


def _agree(one: Similarity, other: Similarity) -> bool:
    ratio = one.scale / other.scale
    gap = np.linalg.norm(one.to_mesh(SEARCH_POINT) - other.to_mesh(SEARCH_POINT)) / max(one.scale, other.scale)
    cosine = (np.trace(one.rotation.T @ other.rotation) - 1) / 2
    return bool(0.6 < ratio < 1.65 and gap < 0.6 and cosine > 0.7)


def _mean(group: Sequence[tuple[float, Similarity]]) -> Candidate:
    weights = np.array([probability for probability, _ in group])
    share = weights / weights.sum()
    scale = float(np.exp(share @ np.log([face.scale for _, face in group])))
    rotation = Rotation.from_matrix([face.rotation for _, face in group]).mean(weights).as_matrix()
    point = share @ np.array([face.to_mesh(SEARCH_POINT) for _, face in group])
    return Candidate(Similarity(scale, rotation, point - scale * rotation @ SEARCH_POINT), float(weights.sum()))
