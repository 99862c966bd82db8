"""MakeHuman's base mesh as a validation face: another artist, another topology. Never trained on, never tuned on.

Public original: github.com/makehumancommunity/makehuman (assets CC0). `--data` folders hold it as makehuman/base.obj
and makehuman/targets/. Units: decimetres; x the subject's left, y up, z forward, as in the canonical frame.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from export import command
from freetalk_blender.core import frame
from freetalk_blender.core.landmarks import MIRRORED
from freetalk_blender.core.surface.nearest import closest_points

#: Vertex of base.obj under each landmark of the subject's right half and the middle line, placed once by hand on
#: renders of the base mesh; the left half is its mirror image. Lids: the front edge of the rim. Lips: the vermilion
#: border.
_RIGHT = {
    17: 212, 18: 206, 19: 204, 20: 205, 21: 208,
    27: 133, 28: 5063, 29: 291, 30: 297, 31: 358, 32: 285, 33: 317,
    36: 21, 37: 0, 38: 54, 39: 67, 40: 47, 41: 41,
    48: 425, 49: 448, 50: 458, 51: 466, 57: 492, 58: 486, 59: 480,
    60: 432, 61: 470, 62: 474, 66: 493, 67: 481,
}  # fmt: skip
#: Largest weight of a target in a random identity.
_STRENGTH = 0.6
#: Vertices above this height (decimetres) belong to the head and neck.
NECK = 5.5
#: Triangles that are looked at for the one nearest to a point.
_NEIGHBOURS = 200


@dataclass(frozen=True)
class MakeHuman:
    """vertices (V,3), triangles (F,3) of the body, landmark_vertices (68,); parts: name -> triangles of lashes, teeth
    and others, which the artist keeps as loose parts."""

    vertices: np.ndarray
    triangles: np.ndarray
    landmark_vertices: np.ndarray
    parts: dict[str, np.ndarray]


def _read_groups(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(V,3) vertices, and the triangles of each group."""
    vertices: list[list[float]] = []
    quads: dict[str, list[list[int]]] = defaultdict(list)
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("v "):
            vertices.append([float(x) for x in line.split()[1:4]])
        elif line.startswith("g "):
            group = line.split()[1]
        elif line.startswith("f "):
            quads[group].append([int(corner.split("/")[0]) - 1 for corner in line.split()[1:]])
    faces = {name: np.array(corners, np.int32) for name, corners in quads.items()}
    triangles = {name: np.concatenate([four[:, :3], four[:, [0, 2, 3]]]) for name, four in faces.items()}
    return np.array(vertices, np.float32), triangles


def read_target(path: Path, count: int) -> np.ndarray:
    """(count,3) float32 displacement of a .target file."""
    displacement = np.zeros((count, 3), np.float32)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            index, *offset = line.split()
            displacement[int(index)] = [float(x) for x in offset]
    return displacement


def _jaw(vertices: np.ndarray, candidates: np.ndarray, known: dict[int, int]) -> dict[int, int]:
    """The jaw line 0-8 has no mesh feature to sit on: the average face's is fitted to the others."""
    mean = frame.mean_landmarks()
    order = sorted(known)
    fit = frame.align(mean[order], vertices[[known[i] for i in order]])
    points = fit.to_mesh(mean[:9])
    distance = np.linalg.norm(vertices[candidates][None] - points[:, None], axis=2)
    return {i: int(candidates[k]) for i, k in enumerate(distance.argmin(1))}


@lru_cache(maxsize=1)
def load(data: Path) -> MakeHuman:
    """The base mesh and its landmarks; FileNotFoundError names the missing file."""
    vertices, groups = _read_groups(Path(data) / "makehuman" / "base.obj")
    triangles = groups["body"]
    used = np.unique(triangles)
    head = used[(vertices[used, 1] > NECK)]

    def mirrored(right: dict[int, int]) -> dict[int, int]:
        there = {i: np.linalg.norm(vertices[head] - vertices[v] * [-1, 1, 1], axis=1) for i, v in right.items()}
        return {MIRRORED[i]: int(head[distance.argmin()]) for i, distance in there.items()}

    known = mirrored(_RIGHT) | _RIGHT
    jaw = _jaw(vertices, head[vertices[head, 0] < 1e-3], known)
    known |= jaw
    known |= mirrored(jaw)
    parts = {name.removeprefix("helper-"): faces for name, faces in groups.items() if name.startswith("helper-")}
    return MakeHuman(vertices, triangles, np.array([known[i] for i in range(68)], np.int32), parts)


def head(body: MakeHuman, above: float = NECK) -> np.ndarray:
    """(F,3) the triangles above a height (decimetres)."""
    return body.triangles[(body.vertices[body.triangles][..., 1] > above).all(1)]


def carried_points(body: MakeHuman) -> np.ndarray:
    """(68, 3) landmarks on the skin of which brows and jaw (0-26) follow the definition of the model that trains ours.

    Nose, eyes and lips (27-67) have features that every artist models: they stay where they were placed by hand. On a
    face without brow hair and with a round jaw the others have none: there the hand follows its own taste, and
    `landmark_vertices` has brows 8 mm lower than ICT-FaceKit's, which lie on the upper edge of the brow. So the average
    ICT face is laid on 27-67 by a similarity, what that leaves there is carried on to 0-26 by a smooth function
    (biharmonic in three dimensions, constant far away), and the nearest skin is taken. Fixed once, without a look at
    what is detected; it is as near as an average comes to a face that is none.
    """
    placed = body.vertices[body.landmark_vertices].astype(np.float64)
    mean, known = frame.mean_landmarks(), np.arange(27, 68)
    average = frame.align(mean[known], placed[known]).to_mesh(mean)
    carry = RBFInterpolator(average[known], placed[known] - average[known], kernel="linear", degree=0)
    return np.concatenate([_on_skin(average[:27] + carry(average[:27]), body), placed[27:]])


def _on_skin(points: np.ndarray, body: MakeHuman) -> np.ndarray:
    """The nearest places (P, 3) on the body to points (P, 3), among their nearest triangles."""
    corners = body.vertices[body.triangles].astype(np.float64)
    near = cKDTree(corners.mean(1)).query(points, _NEIGHBOURS)[1]
    return closest_points(points, corners[near])


def expression_units(data: Path, group: str, count: int) -> dict[str, np.ndarray]:
    """Name -> (count,3) displacement of every expression unit of one group (african, asian, caucasian)."""
    folder = Path(data) / "makehuman" / "targets" / "expression" / "units" / group
    return {path.stem: read_target(path, count) for path in command.files(folder, "*.target")}


def neutral(data: Path, identity: int) -> np.ndarray:
    """(V,3) float32 vertices at rest of the base mesh, identity 0, or of the random identity of that seed."""
    body = load(data)
    shape = face_shapes(data, identity, len(body.vertices)) if identity else 0.0
    return (body.vertices + shape).astype(np.float32)


def face_shapes(data: Path, seed: int, count: int) -> np.ndarray:
    """(count,3) neutral displacement of one random identity: face-shape targets with random weights, both sides alike.

    Expression units, ears and asymmetric targets stay out; a left-side target is drawn
    together with its right-side twin.
    """
    rng = np.random.default_rng(seed)
    folder = Path(data) / "makehuman" / "targets"
    displacement = np.zeros((count, 3), np.float32)
    for region in ("cheek", "chin", "eyebrows", "eyes", "forehead", "head", "mouth", "nose"):
        for path in command.files(folder / region, "*.target"):
            side = path.stem[:2]
            if side == "l-":
                continue
            if rng.random() > 0.25:
                continue
            weight = rng.uniform(0, _STRENGTH)
            displacement += weight * read_target(path, count)
            twin = path.with_name("l-" + path.name[2:])
            if side == "r-" and twin.exists():
                displacement += weight * read_target(twin, count)
    return displacement
