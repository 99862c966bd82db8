"""Loose parts put around the sample head."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from freetalk_blender.core.frame import Similarity
from freetalk_blender.core.surface import mesh


def added(
    vertices: np.ndarray, triangles: np.ndarray, parts: Mapping[str, tuple[np.ndarray, np.ndarray]], frame: Similarity
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """The mesh with parts, each points (n,3) in the frame's own coordinates and triangles, and the rows of each."""
    placed = [(frame.to_mesh(points), faces) for points, faces in parts.values()]
    start = len(vertices) + np.cumsum([0, *(len(points) for points, _ in placed)])
    rows = {name: np.arange(*ends) for name, ends in zip(parts, pairwise(start), strict=True)}
    together = mesh.together([(vertices, triangles), *placed])
    return together[0].astype(np.float32), together[1], rows
