"""A picture of a face with its landmarks, to look at."""

from pathlib import Path

import numpy as np

from ..landmarks import COUNT, DOUBTFUL, Landmarks
from ..surface import raster
from .detector import usable
from .face_placing import face_camera, refit
from .face_view import compact, picture


def preview(vertices: np.ndarray, triangles: np.ndarray, landmarks: Landmarks, path: Path, size: int = 640) -> None:
    """Write a PNG of the face from the front and from both sides with its points, red where confidence is low."""
    points = np.asarray(landmarks.points, float)
    face = refit(points, np.full(COUNT, 0.03))
    vertices, triangles = compact(*usable(vertices, triangles))
    sure = np.ones(COUNT) if landmarks.confidence is None else np.asarray(landmarks.confidence)
    panels = []
    for yaw in (-40, 0, 40):
        camera = face_camera(face, yaw)
        _, image = picture(vertices, triangles, np.zeros_like(vertices), camera, size)
        placed = camera.to_picture(vertices).astype(np.float32)
        panel = raster.shade(image, raster.vertex_normals(placed, triangles), triangles)
        panels.append(_dots(panel, camera.to_picture(points), sure))
    raster.write_png(path, np.concatenate(panels, 1))


def _dots(panel: np.ndarray, placed: np.ndarray, sure: np.ndarray) -> np.ndarray:
    size = len(panel)
    radius = max(1, size // 200)
    offsets = np.argwhere(np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius + 0.3) - radius
    columns = ((placed[:, 0] + 1) * size / 2 - 0.5).round().astype(int)
    rows = ((1 - placed[:, 1]) * size / 2 - 0.5).round().astype(int)
    colour = np.where(sure[:, None] > DOUBTFUL, [60, 220, 90], [240, 60, 50]).astype(np.uint8)
    for down, across in offsets:
        y, x = rows + down, columns + across
        inside = (y >= 0) & (x >= 0) & (y < size) & (x < size)
        panel[y[inside], x[inside]] = colour[inside]
    return panel
