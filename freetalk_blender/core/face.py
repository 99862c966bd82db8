"""A scan made ready to move, and moved: `prepare` once, then `deform` any number of frames."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from . import detector, frame, mesh, mouth, stm
from .compress import ShapeKeys, compress_factors
from .errors import FreeTalkError, LandmarkError, MeshError
from .frame import Similarity
from .handles import landmark_vertices
from .landmarks import COUNT, Landmarks, on_mesh
from .mesh import CleanMesh
from .mouth import OpenedMouth
from .retarget import retarget
from .stm import Binding

#: `with step("bind the face"): ...` lets a caller show a stage, time it, or end the work there by raising Cancelled.
Step = Callable[[str], AbstractContextManager]


@dataclass(frozen=True)
class Face:
    """A bound scan.

    landmarks (68,3), mesh units; frame: similarity between canonical frame and mesh; mesh: the cleaned surface and the
    way back to the caller's vertices; opened: that surface with its fused lips cut apart, None where they already were;
    binding: of the surface's skin, canonical units; notes: sentences that the person should read.
    """

    landmarks: np.ndarray
    frame: Similarity
    mesh: CleanMesh
    opened: OpenedMouth | None
    binding: Binding
    notes: tuple[str, ...] = ()


def prepare(
    vertices: np.ndarray,
    triangles: np.ndarray,
    landmarks: Landmarks | np.ndarray | None = None,
    *,
    open_mouth: bool = True,
    device: str = "auto",
    step: Step = nullcontext,
) -> Face:
    """Bind the engine to one neutral scan.

    vertices (V,3), any unit and pose; triangles (F,3); landmarks: 68 vertex indices (68,), 68 points (68,3), or None to
    find them; open_mouth: cut fused lips apart (on a copy; the answers stay for the caller's vertices); device: a key of
    models.DEVICES. Raises MeshError, LandmarkError, ModelError.
    """
    with step("clean the mesh"):
        cleaned = mesh.clean(vertices, triangles)
    if landmarks is None:
        with step("find the landmarks"):
            landmarks = detector.detect(cleaned.vertices, cleaned.triangles, device)
    points = on_mesh(landmarks, np.asarray(vertices))
    similarity = frame.canonical_frame(points)
    with step("open the mouth"):
        opened, notes = _opened(cleaned, points) if open_mouth else (None, ())
    with step("bind the face"):
        if opened:
            skin, faces, handles = opened.skin_vertices, opened.skin_triangles, opened.landmark_vertices
        else:
            skin, faces = cleaned.vertices, cleaned.triangles
            handles = landmark_vertices(points, skin, faces)
        canonical = similarity.to_canonical(skin.astype(np.float64)).astype(np.float32)
        binding = stm.bind(canonical, faces, handles, device=device)
    return Face(points.astype(np.float32), similarity, cleaned, opened, binding, notes)


def _opened(cleaned: CleanMesh, points: np.ndarray) -> tuple[OpenedMouth | None, tuple[str, ...]]:
    """The surface with fused lips cut apart, if they are; where they cannot be, a sentence instead."""
    try:
        if not mouth.state(cleaned.vertices, cleaned.triangles, points).fused:
            return None, ()
        return mouth.open_lips(cleaned.vertices, cleaned.triangles, points), ()
    except (LandmarkError, MeshError) as error:
        return None, (f"The lips could not be parted, so the skin between them stretches: {error}",)


def landmark_motion(face: Face, displacement: np.ndarray, space: str = "canonical") -> np.ndarray:
    """(T,68,3) motion of this face's landmarks, canonical units, of a performance or of landmarks moved on the mesh.

    space: "canonical" for the average face's motion, retargeted here; "mesh" for displacement that is already this
    face's own, in mesh units and axes. Raises FreeTalkError on a wrong shape, space, or values that are not finite.
    """
    motion = np.asarray(displacement)
    if motion.ndim != 3 or motion.shape[1:] != (COUNT, 3) or motion.dtype.kind not in "fiu":
        raise FreeTalkError(f"Landmark displacement has shape (T, 68, 3); got {motion.dtype} of shape {motion.shape}.")
    if not np.isfinite(motion).all():
        raise FreeTalkError("The landmark displacement holds values that are not finite; perform it again.")
    if space == "canonical":
        return retarget(motion, face.frame.to_canonical(face.landmarks.astype(np.float64)))
    if space == "mesh":
        return face.frame.vectors_to_canonical(motion).astype(np.float32)
    raise FreeTalkError(f'space must be "canonical" or "mesh"; got {space!r}.')


def deform(face: Face, displacement: np.ndarray, space: str = "canonical") -> np.ndarray:
    """(T,V,3) float32 displacement of the caller's vertices, in mesh units; arguments as `landmark_motion`."""
    skin = face.binding.displace(landmark_motion(face, displacement, space))
    return face.mesh.to_caller(face.frame.vectors_to_mesh(skin[:, : len(face.mesh.vertices)]).astype(np.float32))


def shape_keys(face: Face, displacement: np.ndarray, tolerance: float = 0.1, space: str = "canonical") -> ShapeKeys:
    """The motion as shape keys, in mesh units, at a largest error of `tolerance` mm (|36-45| counts as 90 mm).

    The keys are for the vertices of `face.opened`, mouth bag included, where the mouth was opened; otherwise for the
    caller's. The dense sequence is never made: a binding's matrix is shapes already. Other arguments as
    `landmark_motion`.
    """
    code = landmark_motion(face, displacement, space).reshape(len(displacement), -1)
    moving = face.frame.vectors_to_mesh(face.binding.matrix.reshape(len(face.binding.matrix), -1, 3))
    keys = compress_factors(code, moving, tolerance * face.frame.units_per_mm)
    shapes = face.binding.spread(keys.shapes)
    shapes = face.opened.carried(shapes) if face.opened else face.mesh.to_caller(shapes)
    return ShapeKeys(shapes, keys.weights, keys.max_error)
