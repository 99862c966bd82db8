"""The skin of a scan, bound: cleaned and fine enough, with the parts that sit on it, and how its lips meet."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.spatial import cKDTree

from . import attached, cancel, frame
from .attached import Attached
from .binding import stm
from .binding.handles import landmark_vertices, prefer
from .binding.stm import Binding
from .errors import LandmarkError, MeshError
from .frame import Similarity
from .landmarks import COUNT, nearest_vertices
from .lip_contact import rim
from .lip_contact.contact import Contact
from .mouth import jaw, lip_pairs
from .mouth.opened_mouth import LOWER, NEITHER, UPPER, OpenedMouth
from .retarget import retarget, with_true_gaps
from .surface import mesh, rows
from .surface.mesh import CleanMesh

#: A mesh whose vertices are further than this from half of the landmarks (eye distances; 1.8 of 90 mm) is bound on a
#: finer copy: edges of more than twice that are halved, as far from the landmarks as AROUND.
COARSE, AROUND = 0.02, 0.5
#: Vertices nearer to each other than this are at one place (eye distances).
_TWIN = 1e-4


@dataclass(frozen=True)
class Skin:
    """The surface that is bound, its vertices at the landmarks (68,), what sits on it, and how its lips meet."""

    cleaned: CleanMesh
    handles: np.ndarray
    binding: Binding
    sitting: Attached
    contact: Contact | None


def bind(
    vertices: np.ndarray,
    triangles: np.ndarray,
    opened: OpenedMouth | None,
    points: np.ndarray,
    similarity: Similarity,
    device: str,
    grown: bool,
) -> Skin:
    """The skin of a mesh (V,3), (F,3), whose mouth may have been opened, bound in mesh units to landmarks (68,3).

    similarity: between canonical frame and mesh; device: a key of models.DEVICES; grown: its lips are one skin. Raises
    MeshError where the surface cannot be calculated with.
    """
    cleaned, handles = cleaned_skin(vertices, triangles, opened, points)
    cancel.check()
    canonical = similarity.to_canonical(cleaned.vertices.astype(np.float64)).astype(np.float32)
    side = _lips(cleaned, opened)
    binding = stm.bind(canonical, cleaned.triangles, handles, device=device, side=side)
    if opened is not None and opened.is_cut:
        rims = cleaned.source[opened.upper_rim], cleaned.source[opened.lower_rim]
        binding = rim.evened(binding, canonical, rims, (side == UPPER, side == LOWER))
        binding = rim.rounded(binding, canonical, cleaned.triangles, rims[0][[0, -1]])
    binding, sitting = _with_parts(binding, canonical, cleaned, handles, similarity.to_canonical(points))
    cancel.check()
    binding = _in_mesh_units(binding, similarity)
    if not np.isfinite(binding.matrix).all():
        raise MeshError("The face is connected to vertices that lie too far away; delete them.")
    shut = partial(_shutting, cleaned, binding, similarity.to_canonical(points))
    contact = None if grown else _contact(vertices, triangles, opened, cleaned, side, points, shut)
    return Skin(cleaned, handles, binding, sitting, contact)


def cleaned_skin(
    vertices: np.ndarray, triangles: np.ndarray, opened: OpenedMouth | None, points: np.ndarray
) -> tuple[CleanMesh, np.ndarray]:
    """The surface to bind, cleaned and fine enough, and its vertices at the landmarks (68,)."""
    if opened is None or not opened.is_cut:
        surface = (vertices, triangles) if opened is None else (opened.skin_vertices, opened.skin_triangles)
        cleaned = _fine(mesh.clean(*surface), points)
        return cleaned, landmark_vertices(points, cleaned.vertices, cleaned.triangles)
    rims = np.concatenate([opened.upper_rim, opened.lower_rim])
    cleaned = mesh.clean(opened.skin_vertices, opened.skin_triangles, apart=rims)
    # The cut may have taken all triangles of a split seam's vertex; its twin at the same place answers for it.
    lost = rows.present(triangles, len(vertices))
    lost = lost[cleaned.source[lost] < 0]
    twin = nearest_vertices(vertices[lost], cleaned.vertices)
    eyes_apart = float(np.linalg.norm(points[45] - points[36]))
    there = np.linalg.norm(cleaned.vertices[twin] - vertices[lost], axis=1) < _TWIN * eyes_apart
    cleaned.source[lost[there]] = twin[there]
    handles = cleaned.source[opened.landmark_vertices]
    cleaned = _fine(cleaned, points)
    others = np.arange(48)  # the lips' are on their own sides of the cut
    handles[others] = nearest_vertices(points[others], cleaned.vertices)
    prefer(handles, others, cleaned.component_of(handles), points, cleaned.vertices, eyes_apart)
    return cleaned, handles


def _lips(cleaned: CleanMesh, opened: OpenedMouth | None) -> np.ndarray:
    """(M,) which lip each vertex of the cleaned skin belongs to, as OpenedMouth has it."""
    side = np.full(len(cleaned.vertices), NEITHER, np.int8)
    if opened is not None:
        # Of the vertices of a split seam, which are one here, some may belong to no lip.
        lips = np.flatnonzero((opened.side[: opened.skin_count] != NEITHER) & (cleaned.source >= 0))
        side[cleaned.source[lips]] = opened.side[lips]
    return side


def _fine(cleaned: CleanMesh, points: np.ndarray) -> CleanMesh:
    """The surface with edges around the landmarks halved until these have vertices near them, as far as it stays light
    and that helps: landmarks that do not lie on it get none."""
    unit, tree, last = np.linalg.norm(points[45] - points[36]), cKDTree(points), np.inf

    def long(ends: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
        return (length > 2 * COARSE * unit) & (tree.query(ends.mean(1))[0] < AROUND * unit + length / 2)

    while len(cleaned.vertices) < stm.HEAVY:
        gap = spacing(cleaned.vertices, points)
        if gap < COARSE * unit or gap > 0.9 * last:
            break
        finer, last = mesh.subdivided(cleaned, long), gap
        if len(finer.vertices) > stm.HEAVY:
            break
        cleaned = finer
    return cleaned


def spacing(vertices: np.ndarray, points: np.ndarray) -> float:
    """The median distance of landmarks (68,3) from the nearest of the vertices (V,3)."""
    nearest = vertices[nearest_vertices(points, vertices)]
    return float(np.median(np.linalg.norm(nearest - points, axis=1)))


def _with_parts(
    binding: Binding, canonical: np.ndarray, cleaned: CleanMesh, handles: np.ndarray, landmarks: np.ndarray
) -> tuple[Binding, Attached]:
    """The binding with the mesh's loose parts that go with the face, and those of them that sit on its skin.

    canonical (V,3): vertices of the bound mesh `cleaned`; handles (68,): those at the landmarks (68,3), canonical.
    """
    points, placed = (places.astype(float) * frame.EYE_DISTANCE_MM for places in (canonical, landmarks))
    inside = jaw.parts_inside(points, cleaned, placed)
    binding = jaw.with_own_teeth(binding, points, inside, handles, placed)
    sitting = attached.attached(points, cleaned, inside, handles, placed)
    return attached.with_attached(binding, points, sitting), sitting


def _in_mesh_units(binding: Binding, similarity: Similarity) -> Binding:
    """A binding whose answers need no turning any more: it takes canonical motion and gives mesh displacement."""
    turn = (similarity.scale * similarity.rotation.T).astype(np.float32)
    return replace(binding, matrix=(binding.matrix.reshape(-1, 3) @ turn).reshape(binding.matrix.shape))


def _contact(
    vertices: np.ndarray,
    triangles: np.ndarray,
    opened: OpenedMouth | None,
    cleaned: CleanMesh,
    side: np.ndarray,
    points: np.ndarray,
    shutting: Callable[[], np.ndarray],
) -> Contact | None:
    """How the lips meet: along the cut, or where they face each other; None on a scan without two such lips.

    cleaned: the skin; side (M,): the lip of each vertex of it; shutting: displacement (V,3) that a performance with
    closed lips begins with.
    """
    if opened and opened.is_cut:
        skin, sides = np.flatnonzero(cleaned.source >= 0), opened.side.copy()
        sides[skin] = side[cleaned.source[skin]]  # where a seam is split, some vertices of a place belong to no lip
        return lip_pairs.of_opened(replace(opened, side=sides), points)
    surface = (opened.skin_vertices, opened.skin_triangles) if opened else (vertices, triangles)
    try:
        if np.bincount(cleaned.source[cleaned.source >= 0]).max() == 1:
            return lip_pairs.of_open_lips(*surface, points, shutting())
        welded = mesh.clean(*surface)  # lips that a seam splits would not hang together
        moved = np.zeros_like(welded.vertices)
        there = welded.source >= 0
        moved[welded.source[there]] = shutting()[there]
        return lip_pairs.of_open_lips(welded.vertices, welded.triangles, points, moved).of_twins(welded.source)
    except LandmarkError:
        return None


def _shutting(cleaned: CleanMesh, binding: Binding, neutral: np.ndarray) -> np.ndarray:
    """(V,3) displacement of the face at which lips and lids of a silent performance stand; neutral (68,3) canonical."""
    return cleaned.to_caller(binding.displace(retarget(np.zeros((1, COUNT, 3)), with_true_gaps(neutral))))[0]
