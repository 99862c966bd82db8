"""A scan as geometry processing wants it, with the way back to the vertices as they came.

Scanners and exporters leave duplicated vertices along texture seams, faces that repeat a corner, faces twice, loose
points and NaN. `clean` mends these without moving anything; non-manifold edges and slivers stay, for the robust
Laplacian takes them as they are.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from .. import cancel
from ..errors import MeshError
from . import rows
from .boundary import boundary_vertices
from .edges import directed_edges, edge_components, edges_of, split

#: Vertices on open borders closer than this share of the bounding box's diagonal are one point of the surface.
WELD_TOLERANCE = 1e-6
#: Sheets that stand on each other may be so many times as far apart, where shaping a face has parted them a little.
_NEARLY = 10.0
#: Vertices at one place that a mesh's own shapes part by more than the first are different skin, and are put apart by
#: the second (as shares of the mesh's size).
_PARTED, _PUT_APART = 2e-4, 5e-5
#: Where 32-bit coordinates are further apart than these shares of the bounding box's diagonal, a face is blurred, and
#: there is none to be seen.
_BLURRED, _LOST = 1e-4, 1e-2
#: A part of so many triangles is a sheet, not a face that was split from others.
_SHEET = 16


#: Several meshes: vertices (V,3) and triangles (F,3) of each.
Surfaces = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class CleanMesh:
    """vertices (V,3) float32; triangles (F,3) int32; source (U,) int32: the clean vertex of each of the caller's U
    vertices, -1 where it belongs to no triangle or is not finite."""

    vertices: np.ndarray
    triangles: np.ndarray
    source: np.ndarray

    def to_caller(self, values: np.ndarray) -> np.ndarray:
        """(..., V, C) on clean vertices -> (..., U, C) on the caller's; vertices without a surface get 0."""
        answer = np.take(values, np.maximum(self.source, 0), axis=-2)
        answer[..., self.source < 0, :] = 0
        return answer

    @cached_property
    def components(self) -> np.ndarray:
        """(V,) int32 label of each vertex's connected component."""
        return connected_components(self.triangles, len(self.vertices))

    def component_of(self, rows: np.ndarray) -> np.ndarray:
        """(V,) bool: the connected component that most of the vertices `rows` belong to."""
        part = self.components
        return part == np.bincount(part[rows]).argmax()


def clean(vertices: np.ndarray, triangles: np.ndarray, apart: np.ndarray | None = None) -> CleanMesh:
    """Weld, drop what is no surface, and keep the map back to the caller's vertices.

    vertices (U,3), any unit; triangles (F,3) vertex indices; apart: vertices that must not be welded to others, such as
    the rims of a cut. Raises MeshError on wrong shapes or types, indices out of range, and meshes without a surface.
    """
    points, faces = validated(vertices, triangles)
    faces = faces[_sound(points, faces)]
    cancel.check()
    welded = weld(points, faces, apart)
    faces = welded[faces]
    faces = faces[_sound(points, faces)]
    if not len(faces):
        raise MeshError("The mesh has no faces with finite corners and an area; choose a mesh with a surface.")
    used = rows.present(faces, len(points))
    index = rows.numbered(used, len(points)).astype(np.int32)
    source = np.where(np.isfinite(points).all(1), index[welded], -1).astype(np.int32)
    return CleanMesh(points[used].astype(np.float32), index[faces], source)


def sound_triangles(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Indices, ascending, of the triangles with three different, finite corners, each set of corners once.

    Raises MeshError as `clean` does.
    """
    found = _sound(*validated(vertices, triangles))
    if not len(found):
        raise MeshError("The mesh has no faces with finite corners and an area; choose a mesh with a surface.")
    return found


def _sound(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    cancel.check()
    corners, finite = np.sort(faces, axis=1), np.isfinite(points).all(1)
    good = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2])
    for corner in corners.T:
        good &= finite[corner]
    candidates = np.flatnonzero(good)
    return candidates[rows.first(corners[good])]


def check_arrays(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays; MeshError unless they are numbers (V,3) and integers (F,3)."""
    points, faces = np.asarray(vertices), np.asarray(triangles)
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "fiu":
        raise MeshError(f"vertices must be numbers of shape (V, 3); got {points.dtype} of shape {points.shape}.")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu":
        raise MeshError(f"triangles must be integers of shape (F, 3); got {faces.dtype} of shape {faces.shape}.")
    return points, faces


def validated(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V,3) float64 and (F,3) int64, which may hold values that are not finite, repeated corners and repeated faces;
    MeshError on what is no mesh, as `clean` has it, and on one that is too large to calculate with."""
    points, faces = check_arrays(vertices, triangles)
    if not len(points) or not len(faces):
        raise MeshError(f"The mesh has {len(points)} vertices and {len(faces)} faces; choose a mesh with a surface.")
    if faces.min() < 0 or faces.max() >= len(points):
        raise MeshError(
            f"A triangle names vertex {faces.min() if faces.min() < 0 else faces.max()}, "
            f"but the mesh has vertices 0 to {len(points) - 1}."
        )
    points = points.astype(np.float64)
    if np.abs(points, where=np.isfinite(points), out=np.zeros_like(points)).max() > 1e30:
        raise MeshError("Some vertices lie further than 1e30 units away; delete them or reset the mesh's transform.")
    if _blur(points)[2] > _LOST:
        raise MeshError(*far_from_origin(points))
    return points, faces.astype(np.int64)


def far_from_origin(vertices: np.ndarray) -> tuple[str, ...]:
    """What to tell of a mesh that is small beside its distance (V,3) from its origin, as georeferenced scans are."""
    away, step, share = _blur(vertices)
    if share < _BLURRED:
        return ()
    return (
        f"The mesh lies {away:,.0f} units from its origin, where 32-bit coordinates are {step:.2g} units apart and "
        "blur the face; move it to its origin where it was made, and export it again.",
    )


def _blur(vertices: np.ndarray) -> tuple[float, float, float]:
    """How far vertices (V,3) reach from the origin, the step of 32-bit coordinates there, its share of their size."""
    finite = vertices[np.isfinite(vertices).all(1)].astype(np.float64)
    if not len(finite):
        return 0.0, 0.0, 0.0
    away, size = (float(np.linalg.norm(reach)) for reach in (np.abs(finite).max(0), np.ptp(finite, axis=0)))
    step = float(np.spacing(np.float32(np.abs(finite).max())))
    return away, step, step / size if size else 0.0


def weld(
    points: np.ndarray, faces: np.ndarray, apart: np.ndarray | None = None, tolerance: float | None = None
) -> np.ndarray:
    """(U,) the first vertex at each vertex's place; points (U,3), faces (F,3), apart and tolerance as `touching` has
    them.

    Only vertices on open borders are welded: that is where seams split a surface, whereas lips or lids that touch
    inside a closed surface are different skin and must stay apart. Where an edge would be of three faces or more,
    sheets stand on each other, or nearly so, as layers of lashes do: there only what meets along an edge of two is.
    """
    if not len(faces):
        return np.arange(len(points))
    if tolerance is None:
        tolerance = WELD_TOLERANCE * _size(points, faces)
    border, nearly = touching(points, faces, apart, _NEARLY * tolerance)
    nearly = border[nearly]
    pairs = nearly[np.linalg.norm(points[nearly[:, 0]] - points[nearly[:, 1]], axis=1) <= tolerance]
    if not len(pairs):
        return np.arange(len(points))
    first = _first_of(pairs, len(points))
    place = first if len(pairs) == len(nearly) else _first_of(nearly, len(points))
    beside = np.isin(faces, nearly).any(1)
    crowded = _crowded(points, faces, place, beside)
    if not crowded.any():
        return first
    elsewhere, seams = pairs[~crowded[place[pairs[:, 0]]]], _along_seams(faces[beside], place)
    return _first_of(np.concatenate([elsewhere, seams[first[seams[:, 0]] == first[seams[:, 1]]]]), len(points))


def _crowded(points: np.ndarray, faces: np.ndarray, first: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """(V,) bool, by the `first` vertex (V,) of each place: where an edge would be of three sheets or more; those that
    lie on each other count once. points (V,3); faces (F,3), looked at where (F,) `beside` says; those that are all
    split from each other are no sheets."""
    part = connected_components(faces, len(points))[faces[:, 0]]
    corners = first[faces[beside & (np.bincount(part)[part] >= _SHEET)]]
    edges, sides = edges_of(corners[_sound(points, corners)])
    crowded = np.zeros(len(points), bool)
    crowded[edges[np.bincount(sides.ravel(), minlength=len(edges)) > 2]] = True
    return crowded


def _along_seams(faces: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(P,2) vertices of faces (F,3) at one place (by `first` (V,)) that meet along an edge of two."""
    ends = directed_edges(faces)
    ends = np.take_along_axis(ends, np.argsort(first[ends], axis=1), 1)
    side = edges_of(first[faces])[1].ravel()
    order = np.argsort(side, kind="stable")
    met = order[(np.bincount(side) == 2)[side[order]]]
    return ends[met].reshape(-1, 2, 2).transpose(0, 2, 1).reshape(-1, 2)


def _first_of(pairs: np.ndarray, count: int) -> np.ndarray:
    """(count,) the first of the vertices that pairs (P,2) join each to, itself included."""
    groups = edge_components(pairs, count)
    first = np.full(groups.max() + 1, count)
    np.minimum.at(first, groups, np.arange(count))
    return first[groups]


def touching(
    vertices: np.ndarray, triangles: np.ndarray, apart: np.ndarray | None = None, tolerance: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(B,) vertices on open borders, finite, none of `apart`, and those of them (P,2), as rows, that lie at one place,
    nearer than `tolerance`, by default WELD_TOLERANCE of the surface's size; vertices (V,3), triangles (F,3)."""
    border = boundary_vertices(triangles) if len(triangles) else np.empty(0, int)
    if apart is not None:
        border = np.setdiff1d(border, apart, assume_unique=True)
    border = border[np.isfinite(vertices[border]).all(1)]
    if not len(border):
        return border, np.empty((0, 2), int)
    if tolerance is None:
        tolerance = WELD_TOLERANCE * _size(vertices, triangles)
    return border, cKDTree(vertices[border]).query_pairs(tolerance, output_type="ndarray")


def put_apart(
    vertices: np.ndarray, triangles: np.ndarray, border: np.ndarray, pairs: np.ndarray, moved: Iterable[np.ndarray]
) -> np.ndarray:
    """Vertices (V,3), those of `touching` pairs a hair's breadth apart that the mesh's own shapes part.

    So lips that touch at rest are not welded where a file's materials or normals split the mesh along them. moved: how
    far each shape moves the border's vertices (B,3).
    """
    size, (one, other) = _size(vertices, triangles), pairs.T
    place = edge_components(pairs, len(border))
    widest, way = np.zeros(place.max(initial=-1) + 1), np.zeros((len(border), 3))
    for shape in moved:
        parting = np.zeros_like(widest)
        np.maximum.at(parting, place[one], np.linalg.norm(shape[one] - shape[other], axis=1))
        wider = (parting > widest)[place]
        way[wider] = shape[wider]
        widest = np.maximum(widest, parting)
    apart = widest > _PARTED * size
    if not apart.any():
        return vertices
    step = np.where(apart, _PUT_APART * size / np.maximum(widest, _PARTED * size), 0)
    answer = np.array(vertices)
    answer[border] += (way * step[place, None]).astype(answer.dtype)
    return answer


def _size(points: np.ndarray, faces: np.ndarray) -> float:
    """From one corner of the box around the surface to the other."""
    used = points[rows.present(faces, len(points))]
    used = used[np.isfinite(used).all(1)]
    return float(np.linalg.norm(used.max(0) - used.min(0)))


def connected_components(triangles: np.ndarray, count: int) -> np.ndarray:
    """(count,) int32 label of each vertex's connected component under the triangles (F,3)."""
    return edge_components(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]]), count)


def together(surfaces: Surfaces) -> tuple[np.ndarray, np.ndarray]:
    """Surfaces, each vertices (V,3) and triangles (F,3), as one, in this order; a single one as it is."""
    if len(surfaces) == 1:
        return surfaces[0]
    start = np.cumsum([0, *(len(vertices) for vertices, _ in surfaces)])
    faces = [triangles + first for (_, triangles), first in zip(surfaces, start[:-1], strict=True)]
    return np.concatenate([vertices for vertices, _ in surfaces]), np.concatenate(faces)


def subdivided(cleaned: CleanMesh, marked: Callable[[np.ndarray], np.ndarray] | None = None) -> CleanMesh:
    """Every edge in two, and every triangle in four, with new vertices after the old ones, which stay as they are.

    marked: of the ends (e,2,3) of all edges, which (e,) are to be split; triangles that have only some are split in two
    or three.
    """
    edges, sides = edges_of(cleaned.triangles)
    ends = cleaned.vertices[edges]
    chosen = np.ones(len(edges), bool) if marked is None else marked(ends)
    if not chosen.any():
        return cleaned
    triangles, _ = split(cleaned.vertices, cleaned.triangles, edges, sides, chosen)
    vertices = np.concatenate([cleaned.vertices, ends[chosen].mean(1)])
    return CleanMesh(vertices, triangles.astype(np.int32), cleaned.source)
