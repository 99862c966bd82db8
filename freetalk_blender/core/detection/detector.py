"""68 landmarks on any mesh: search the sphere of directions for a face, place the points in several views, fuse them.

No texture, unit, up-axis or pose is assumed. Pictures are orthographic (face_view.py); two small networks read them:
`face_search` says where a face is and how it is turned, `landmarks` places 68 points with their expected errors. Points
of several views are triangulated, held against shape priors, and laid on the surface that the cameras saw.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from ..errors import LandmarkError
from ..frame import Similarity
from ..landmarks import Landmarks, nearest_vertices, on_mesh
from ..surface import rows
from ..surface.mesh import Surfaces, check_arrays, connected_components
from .face_placing import PATCH_CELL, Fit, place
from .face_search import extent, search
from .face_view import cluster_vertices, compact

#: At most so many candidates are looked at closely.
CANDIDATES = 6
#: Share of an accepted face's votes above which another candidate may be a second face.
RIVAL = 0.35
#: A heavy mesh is searched on a copy of so many cells from its middle to its end; where that is as fine as a face
#: needs, as on the scan of a head, the face is placed on it too.
LIGHTENED = 300
#: Where a mesh shows no face as a whole, so many of its largest loose parts are searched by themselves, of at least so
#: many triangles each.
_PARTS, _PART_TRIANGLES = 4, 500
#: A face is inside out where more than this share of it, seen from its front, shows its back: of its pixels where it
#: is searched, of the area so near to the middle of its landmarks (eye distances) where they are given.
INSIDE_OUT, _NEAR = 0.6, 0.6


def detect(
    vertices: np.ndarray, triangles: np.ndarray, device: str = "auto", near: np.ndarray | None = None
) -> Landmarks:
    """The 68 landmarks of the one face of a mesh, or of the face nearest to the point `near` (3,) of several.

    vertices (V, 3), any unit, rotation and place; triangles (F, 3) int. Returns points in mesh coordinates, the vertex
    nearest to each, and confidences in [0, 1]. Raises LandmarkError with one sentence where there is no face, more than
    one, or a mirrored one; MeshError on wrong shapes or types; ModelError where a network is missing.
    """
    vertices, triangles = usable(vertices, triangles)
    fits = find(vertices, triangles, device)
    if not fits:
        raise LandmarkError(
            "No face was found on this mesh; check that it shows a whole face (not a closed hood or a body without "
            "facial detail), or place the 68 landmarks by hand."
        )
    if len(fits) > 1 and near is None:
        places = " or ".join("--near=" + ",".join(f"{value:.4g}" for value in fit.points.mean(0)) for fit in fits)
        raise LandmarkError(
            f"{len(fits)} faces were found on this mesh; choose one: in Blender select some of its vertices, or make "
            f"it an object of its own; on the command line find its landmarks with {places}."
        )
    best = fits[0] if near is None else min(fits, key=lambda fit: float(np.linalg.norm(fit.points.mean(0) - near)))
    if best.inward > INSIDE_OUT:
        raise LandmarkError(
            "The face of this mesh is inside out, which mirroring or a negative scale can cause; apply the scale, "
            "recalculate the normals to the outside, and check that the face is not mirrored."
        )
    return Landmarks(best.points, nearest(vertices, triangles, best.points), confidence(best.error))


def located(
    landmarks: Landmarks | np.ndarray | None,
    vertices: np.ndarray,
    triangles: np.ndarray,
    device: str,
    step: Callable[[str], AbstractContextManager],
) -> tuple[Landmarks | np.ndarray, np.ndarray]:
    """Landmarks as they are given, or found where they are None, and their points (68,3) on the mesh.

    step("find the face") is entered where they are searched. Raises LandmarkError as `detect` and `on_mesh` do, and
    where landmarks that were found lie beside the mesh, for half of the face is not there.
    """
    if landmarks is not None:
        return landmarks, on_mesh(landmarks, vertices, triangles)
    with step("find the face"):
        found = detect(vertices, triangles, device)
    try:
        return found, on_mesh(found, vertices, triangles)
    except LandmarkError as error:
        raise LandmarkError(
            "Only a part of a face was found on this mesh; check that both sides of it are there (a half that a Mirror "
            "modifier completes needs it applied), or correct the landmarks by hand."
        ) from error


def inside_out(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, frame: Similarity) -> tuple[str, ...]:
    """What to tell of a surface (V,3), (F,3) whose triangles at landmarks (68,3) that are given turn their backs to the
    front; where they are searched, such a face is refused."""
    near = np.linalg.norm(vertices - points.mean(0), axis=1) < _NEAR * frame.scale
    corners = np.asarray(vertices[triangles[near[triangles].all(1)]], np.float64)
    forward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) @ frame.rotation[:, 2]
    if -np.minimum(forward, 0).sum() <= INSIDE_OUT * np.abs(forward).sum():
        return ()
    return (
        "The face of this mesh is inside out, so nothing keeps its lips apart; recalculate its normals to the outside "
        "(in Blender, edit mode, Shift N).",
    )


def nearest(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P,) int32 the vertex nearest to each point (P, 3) among those that triangles use."""
    used = rows.present(triangles, len(vertices))  # the others may be anything but finite
    return used[nearest_vertices(points, vertices[used])].astype(np.int32)


def confidence(error: np.ndarray) -> np.ndarray:
    """(68,) in [0, 1] of expected errors in eye distances: 0.5 at 0.04 (3.6 mm)."""
    return (1 / (1 + (error / 0.04) ** 2)).astype(np.float32)


def first_face(surfaces: Surfaces, device: str = "auto") -> int | None:
    """The number of the first of several meshes, each vertices (V,3) and triangles (F,3), that shows a face, or None.

    All are searched as a whole before any is searched part by part.
    """
    for search_one in (_find, _find_in_parts):
        for number, surface in enumerate(surfaces):
            try:
                if search_one(*usable(*surface), device):
                    return number
            except LandmarkError:
                continue  # too little of a mesh to be a face
    return None


def find(vertices: np.ndarray, triangles: np.ndarray, device: str = "auto") -> list[Fit]:
    """All faces that pass, likeliest first; where none does, each of the largest loose parts is searched by itself."""
    fits = _find(vertices, triangles, device) or _find_in_parts(vertices, triangles, device)
    kept: list[Fit] = []
    for fit in sorted(fits, key=lambda fit: fit.doubt):
        if not any(_same(fit, other) for other in kept):
            kept.append(fit)
    return kept


def _find(vertices: np.ndarray, triangles: np.ndarray, device: str) -> list[Fit]:
    """Faces that pass, of the first round of the search that has any.

    Candidates far weaker than an accepted one are not looked at.
    """
    accepted: list[tuple[float, Fit]] = []
    cell = extent(vertices, triangles)[1] / LIGHTENED
    light = cluster_vertices(*compact(vertices, triangles), cell)
    for candidates in search(*light, device):
        for candidate in candidates[:CANDIDATES]:
            if accepted and candidate.score < RIVAL * accepted[0][0]:
                break
            fine = cell < PATCH_CELL * candidate.face.scale
            fit = place(*(light if fine else (vertices, triangles)), candidate.face, device)
            if fit is not None and fit.accepted:
                accepted.append((candidate.score, fit))
        if accepted:
            break
    return [fit for _, fit in accepted]


def _find_in_parts(vertices: np.ndarray, triangles: np.ndarray, device: str) -> list[Fit]:
    return [fit for part in loose_parts(triangles) for fit in _find(vertices, part, device)]


def loose_parts(triangles: np.ndarray) -> list[np.ndarray]:
    """Triangles (F, 3) of each connected part that may be searched by itself; none where the mesh is of one piece."""
    label = connected_components(triangles, int(triangles.max()) + 1)[triangles[:, 0]]
    sizes = np.bincount(label)
    large = [part for part in np.argsort(-sizes)[:_PARTS] if _PART_TRIANGLES <= sizes[part] < len(triangles)]
    return [triangles[label == part] for part in large]


def _same(one: Fit, other: Fit) -> bool:
    """Two finds overlap: their middles are closer than 0.7 eye distances."""
    gap = np.linalg.norm(one.points.mean(0) - other.points.mean(0))
    return bool(gap < 0.7 * max(one.face.scale, other.face.scale))


def usable(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float64 vertices and the triangles, int32, whose corners are finite; LandmarkError where too few are left,
    MeshError on wrong shapes or types."""
    vertices, triangles = check_arrays(vertices, triangles)
    vertices, triangles = vertices.astype(np.float64), triangles.astype(np.int32)
    finite = np.isfinite(vertices).all(1)
    if not finite.all():
        triangles = triangles[finite[triangles].all(1)]
        vertices = np.where(finite[:, None], vertices, np.inf)
    if len(triangles) < 100:
        raise LandmarkError(f"The mesh has {len(triangles)} triangles, too few to show a face.")
    return vertices, triangles
