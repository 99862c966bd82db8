"""The 68 facial landmarks: their order, their files, and their place on a mesh.

Order: iBUG / Multi-PIE, 0-based; "right" is the subject's. Source: Gross et al. 2010, "Multi-PIE"; Sagonas et al. 2013,
"300 Faces in-the-Wild Challenge".
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from . import atomic, frame, landmark_files, readable
from .errors import LandmarkError
from .surface import rows
from .surface.nearest import surface_distance
from .wording import listed

COUNT = landmark_files.COUNT
JAW = slice(0, 17)
BROWS = slice(17, 27)
NOSE = slice(27, 36)
RIGHT_EYE = slice(36, 42)
LEFT_EYE = slice(42, 48)
LIDS = slice(36, 48)
OUTER_LIPS = slice(48, 60)
INNER_LIPS = slice(60, 68)
LIPS = slice(48, 68)
#: Inner-lip points that meet in a closed mouth, upper above lower: right, middle, left.
INNER_LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
UPPER_INNER, LOWER_INNER = np.array(INNER_LIP_PAIRS).T
#: Lid points that meet in a blink: upper above lower.
LID_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46))
#: The landmark that each becomes in a mirror.
MIRRORED = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)

#: Parts of the face as a person would name them, for what to check.
PARTS = {
    "the right side of the jaw": range(6),
    "the chin": range(6, 11),
    "the left side of the jaw": range(11, 17),
    "the right brow": range(17, 22),
    "the left brow": range(22, 27),
    "the bridge of the nose": range(27, 31),
    "the base of the nose": range(31, 36),
    "the right eye's corners": (36, 39),
    "the right eye's upper lid": (37, 38),
    "the right eye's lower lid": (40, 41),
    "the left eye's corners": (42, 45),
    "the left eye's upper lid": (43, 44),
    "the left eye's lower lid": (46, 47),
    "the corners of the mouth": (48, 54, 60, 64),
    "the upper lip": (49, 50, 51, 52, 53, 61, 62, 63),
    "the lower lip": (55, 56, 57, 58, 59, 65, 66, 67),
}
#: Among about so many of a mesh's vertices the nearest one is looked for first.
_FEW = 10_000
#: Confidence below which a landmark should be checked: expected to be 3.6 mm off (of a face of 90).
DOUBTFUL = 0.5

FORMAT, VERSION = "freetalk-landmarks", 1
#: Numbers in its files have so many decimals where the face is not tiny.
_DECIMALS = 7
#: A landmark further than this from the surface is not on this face (in eye distances; a 90 mm face: 27 mm). Those that
#: are found beyond an edge or under hair lie up to face_placing.FURTHEST off it.
FAR = 0.3
#: Root-mean-square distance from the average face above which 68 points are no face in this order (eye distances).
UNLIKE_A_FACE = 0.25


@dataclass(frozen=True)
class Landmarks:
    """points (68,3) in the scan's own coordinates; vertices (68,) int32 nearest to them, or None where the scan was not
    at hand; confidence (68,) in [0,1], or None where a person placed them."""

    points: np.ndarray
    vertices: np.ndarray | None = None
    confidence: np.ndarray | None = None


def by_network(landmarks: Landmarks | np.ndarray) -> bool:
    """Has the network placed all of them, and no person any?"""
    return isinstance(landmarks, Landmarks) and landmarks.confidence is not None


def gaps(points: np.ndarray, pairs: tuple[tuple[int, int], ...]) -> np.ndarray:
    """(..., P) height (canonical +Y) of each pair's upper point over the lower one; points (...,68,3)."""
    upper, lower = np.array(pairs).T
    return points[..., upper, 1] - points[..., lower, 1]


def aperture(points: np.ndarray) -> np.ndarray:
    """(...) the gap of the inner lips' middle pair; points (...,68,3)."""
    return gaps(points, INNER_LIP_PAIRS[1:2])[..., 0]


def doubtful(landmarks: Landmarks) -> tuple[str, ...]:
    """Names of the parts of the face whose landmarks a person should check; none where a person placed them."""
    if landmarks.confidence is None:
        return ()
    unsure = np.asarray(landmarks.confidence) < DOUBTFUL
    return tuple(name for name, points in PARTS.items() if unsure[list(points)].any())


def doubt(landmarks: Landmarks) -> tuple[str, ...]:
    """The sentence that says which points to check, if any."""
    names = doubtful(landmarks)
    if not names:
        return ()
    return (f"Some landmarks are uncertain: check {listed(names)}.",)


def read(path: Path) -> Landmarks:
    """Read a landmark file, ours or another program's (landmark_files.py); LandmarkError says what is wrong with it."""
    path = Path(path)
    if landmark_files.suffix(path) in landmark_files.READERS:
        return Landmarks(landmark_files.read_points(path))
    try:
        content = json.loads(readable.text(path))
    except OSError as error:
        raise LandmarkError(f"The landmark file {path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        if path.suffix.lower() != ".json":
            kinds = ", ".join([".json", *landmark_files.READERS])
            raise LandmarkError(f"The landmark file {path} is of no kind that FreeTalk reads; use {kinds}.") from error
        raise LandmarkError(f"The landmark file {path} is not valid JSON ({error}); write it again.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise LandmarkError(f'The landmark file {path} does not say "format": "{FORMAT}"; is it another file?')
    if content.get("version") != VERSION:
        raise LandmarkError(
            f"The landmark file {path} has version {content.get('version')}; this FreeTalk reads {VERSION}."
        )
    return Landmarks(
        _numbers(content.get("points"), (COUNT, 3), "points", path),
        None
        if content.get("vertices") is None
        else _numbers(content["vertices"], (COUNT,), "vertices", path).astype(np.int32),
        None if content.get("confidence") is None else _numbers(content["confidence"], (COUNT,), "confidence", path),
    )


def decimals(points: np.ndarray, least: int) -> int:
    """How many decimals places (68,3) of a face need: so many, or more where these are not a millionth of its size, as
    in kilometres."""
    size = np.ptp(points, axis=0).max()
    return max(least, 6 - math.floor(math.log10(size))) if size > 0 else least


def write(path: Path, landmarks: Landmarks) -> None:
    """Write a landmark file, whole or not at all."""
    points = _listed(landmarks.points, decimals(landmarks.points, _DECIMALS))
    content: dict[str, object] = {"format": FORMAT, "version": VERSION, "points": points}
    if landmarks.vertices is not None:
        content["vertices"] = [int(vertex) for vertex in landmarks.vertices]
    if landmarks.confidence is not None:
        content["confidence"] = _listed(landmarks.confidence, _DECIMALS)
    with atomic.output(Path(path)) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def on_mesh(landmarks: "Landmarks | np.ndarray", vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(68,3) points of landmarks given as points (68,3) or as vertex indices (68,), checked against the mesh.

    vertices (V,3), the mesh that the indices count; triangles (F,3), finite corners. Raises LandmarkError on wrong
    shapes, points that are not near this mesh, and points that are no face in this order.
    """
    given = landmarks.points if isinstance(landmarks, Landmarks) else np.asarray(landmarks)
    if given.shape == (COUNT,) and given.dtype.kind in "iu":
        beyond = given[(given < 0) | (given >= len(vertices))]
        if len(beyond):
            raise LandmarkError(f"A landmark names vertex {beyond[0]}, but the mesh has {len(vertices)} vertices.")
        given = vertices[given]
    if given.shape != (COUNT, 3) or given.dtype.kind not in "fiu":
        raise LandmarkError(
            f"Landmarks must be 68 vertex indices (68,) or 68 points (68, 3); got {given.dtype} of shape {given.shape}."
        )
    points = given.astype(np.float64)
    if not np.isfinite(points).all():
        raise LandmarkError(f"Landmark {int(np.argmin(np.isfinite(points).all(1)))} is not finite; place it again.")
    _check_shape(points)
    _check_distance(points, vertices, triangles)
    return points


def confirmed(given: Landmarks, points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> Landmarks:
    """Landmarks of a file whose points (68, 3), in the mesh's coordinates, are checked: with the vertices next to them.

    Raises LandmarkError where `on_mesh` does.
    """
    checked = on_mesh(points, vertices, triangles)
    finite = np.flatnonzero(np.isfinite(vertices).all(1))
    nearest = finite[nearest_vertices(checked, vertices[finite])].astype(np.int32)
    return Landmarks(checked, nearest, given.confidence)


def nearest_vertices(points: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """(N,) int32 the vertex nearest to each point (N,3); vertices (V,3), finite.

    A few of the vertices tell how far away the nearest can be at most, so that no tree of millions has to be built.
    """
    if not len(points):
        return np.empty(0, np.int32)
    reach = cKDTree(vertices[:: len(vertices) // _FEW + 1]).query(points)[0].max() * 1.001
    lowest, highest = points.min(0) - reach, points.max(0) + reach
    near = np.flatnonzero(((vertices >= lowest) & (vertices <= highest)).all(1))
    return near[cKDTree(vertices[near], balanced_tree=False, compact_nodes=False).query(points)[1]].astype(np.int32)


def _check_shape(points: np.ndarray) -> None:
    average = frame.mean_landmarks()
    if _residual(average, points) <= UNLIKE_A_FACE:
        return
    mirrored = points * [-1, 1, 1]
    if _residual(average, mirrored) <= UNLIKE_A_FACE:
        raise LandmarkError("The landmarks are mirrored: left and right are swapped, or the mesh is mirrored.")
    raise LandmarkError("The 68 landmarks do not form a face in iBUG order; check the order or detect them again.")


def _residual(average: np.ndarray, points: np.ndarray) -> float:
    """Root-mean-square distance to the average face after the best similarity, in eye distances."""
    fit = frame.align(average, points)
    return float(np.sqrt(((fit.to_canonical(points) - average) ** 2).sum(1).mean()))


def _check_distance(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> None:
    eye_distance = np.linalg.norm(points[45] - points[36])
    surface = vertices[rows.present(triangles, len(vertices))]
    surface = surface[np.isfinite(surface).all(1)]
    distance = np.linalg.norm(surface[nearest_vertices(points, surface)] - points, axis=1) / eye_distance
    far = distance > FAR
    if far.any():  # on a coarse mesh, from every vertex; on the surface all the same
        distance[far] = surface_distance(points[far], vertices, triangles) / eye_distance
    worst = int(distance.argmax())
    if distance[worst] > FAR:
        raise LandmarkError(
            f"Landmark {worst} lies {distance[worst] * frame.EYE_DISTANCE_MM:.0f} mm off the mesh (eye distance taken "
            f"as {frame.EYE_DISTANCE_MM:.0f} mm); the landmarks belong to another scan, unit or axis order, or skin is "
            "missing there."
        )


def _numbers(values: object, shape: tuple[int, ...], name: str, path: Path) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.shape != shape or not np.isfinite(array).all():
        raise LandmarkError(f'The landmark file {path} needs "{name}" of shape {shape}, all finite numbers.')
    return array


def _listed(array: np.ndarray, decimals: int) -> list:
    return np.round(np.asarray(array, np.float64), decimals).tolist()
