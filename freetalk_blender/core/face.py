"""A scan made ready to move, and moved: `prepare` once, then `deform` any number of frames."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import frame, mesh, spectral, stm
from .errors import FreeTalkError, LandmarkError
from .frame import Similarity
from .landmarks import COUNT, Landmarks, nearest_vertices, on_mesh
from .mesh import CleanMesh
from .retarget import retarget
from .stm import Binding


@dataclass(frozen=True)
class Face:
    """A bound scan: landmarks (68,3) in mesh units, the similarity between canonical frame and mesh, the cleaned mesh
    with the map to the caller's vertices, and the STM binding on the cleaned mesh in canonical units."""

    landmarks: np.ndarray
    frame: Similarity
    mesh: CleanMesh
    binding: Binding


def prepare(
    vertices: np.ndarray,
    triangles: np.ndarray,
    landmarks: Landmarks | np.ndarray | None = None,
    *,
    device: str = "auto",
    cache: Path | None = None,
) -> Face:
    """Bind the engine to one neutral scan.

    vertices (V,3), any unit and pose; triangles (F,3); landmarks: 68 vertex indices (68,) or 68 points (68,3);
    device: a key of models.DEVICES; cache: folder for eigenbases, None for no cache.
    Raises MeshError, LandmarkError, ModelError.
    """
    cleaned = mesh.clean(vertices, triangles)
    if landmarks is None:
        raise LandmarkError("No landmarks were given; pass 68 points or 68 vertex indices.")
    points = on_mesh(landmarks, np.asarray(vertices))
    similarity = frame.canonical_frame(points)
    canonical = similarity.to_canonical(cleaned.vertices.astype(np.float64)).astype(np.float32)
    handles = nearest_vertices(similarity.to_canonical(points), canonical)
    basis = spectral.eigenbasis(canonical, cleaned.triangles, cache=cache)
    binding = stm.bind(canonical, cleaned.triangles, handles, basis, device=device)
    return Face(points.astype(np.float32), similarity, cleaned, binding)


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
    dense = face.binding.displace(landmark_motion(face, displacement, space))
    return face.mesh.to_caller(face.frame.vectors_to_mesh(dense).astype(np.float32))
