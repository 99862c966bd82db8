"""One take, from arrays to shape keys: the part of Animate that needs no bpy and may run in a thread of its own."""

from dataclasses import dataclass

import numpy as np

from ..core import detector, mouth, performance
from ..core import face as faces
from ..core.compress import ShapeKeys
from ..core.errors import LandmarkError, MeshError
from ..core.face import Face, Step
from ..core.landmarks import on_mesh
from ..core.mouth import OpenedMouth
from ..core.performance import Performance

#: A cut lip is held open by this share of the eye distance while binding, or cleaning would weld it shut again.
HAIR = 1e-4


@dataclass(frozen=True)
class Speech:
    """samples (N,) mono at `rate`; emotion: None, or weights (8,) or (T,8)."""

    samples: np.ndarray
    rate: float
    fps: float
    emotion: np.ndarray | None = None
    seed: int = 0

    def perform(self, device: str) -> Performance:
        return performance.perform(self.samples, self.rate, self.emotion, self.fps, device=device, seed=self.seed)


@dataclass(frozen=True)
class Actor:
    """A bound mesh of Blender's. opened: that mesh with its fused lips cut apart, each vertex and corner accounted for,
    or None where they already were; face: its skin, bound; notes: sentences that the person should read."""

    face: Face
    opened: OpenedMouth | None
    notes: tuple[str, ...]

    def shape_keys(self, displacement: np.ndarray, tolerance_mm: float) -> ShapeKeys:
        """(T,68,3) canonical motion as shape keys for the opened mesh's vertices, or the mesh's own."""
        keys = faces.shape_keys(self.face, displacement, tolerance_mm)
        if self.opened is None:
            return keys
        return ShapeKeys(self.opened.carried(keys.shapes), keys.weights, keys.max_error)


def bind(
    vertices: np.ndarray,
    triangles: np.ndarray,
    landmarks: np.ndarray | None,
    *,
    open_mouth: bool,
    device: str,
    step: Step,
) -> Actor:
    """Make a mesh ready to talk, its fused lips cut in its own topology so that the cut can be made in Blender too.

    vertices (V,3), triangles (F,3), landmarks (68,3) points, or None: then they are found. Raises FreeTalkError.
    """
    if landmarks is None:
        with step("find the face"):
            landmarks = detector.detect(vertices, triangles, device).points
    points = on_mesh(landmarks, vertices)
    with step("open the mouth"):
        opened, notes = _opened(vertices, triangles, points) if open_mouth else (None, ())
    if opened:
        skin = _held_open(opened, points)
        surface, handles = opened.skin_triangles, opened.landmark_vertices
        face = faces.prepare(skin, surface, handles, open_mouth=False, device=device, step=step)
    else:
        face = faces.prepare(vertices, triangles, points, open_mouth=False, device=device, step=step)
    return Actor(face, opened, (*face.notes, *notes))


def _opened(
    vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray
) -> tuple[OpenedMouth | None, tuple[str, ...]]:
    try:
        if not mouth.state(vertices, triangles, points).fused:
            return None, ()
        return mouth.open_lips(vertices, triangles, points), ()
    except (LandmarkError, MeshError) as error:
        return None, (f"The lips could not be parted, so the skin between them stretches: {error}",)


def _held_open(opened: OpenedMouth, landmarks: np.ndarray) -> np.ndarray:
    """(S,3) the skin with its two lip rims a hair apart; landmarks (68,3)."""
    up = landmarks[27] - landmarks[8]
    hair = HAIR * np.linalg.norm(landmarks[45] - landmarks[36]) * up / np.linalg.norm(up)
    skin = opened.skin_vertices.astype(np.float64)
    skin[opened.upper_rim[1:-1]] += hair
    skin[opened.lower_rim[1:-1]] -= hair
    return skin
