"""Normals of the shapes in a .glb: by places alone viewers light a face that smiles as they do one at rest.

Those that Blender's exporter writes take it twenty times as long and are as many as the vertices, also where a shape
moves nothing: it rounds them, and makes only those at rest as long as 1 again.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ...core.surface import raster, rows
from .glb import Glb

#: Turns of normals that are less are not seen: 0.06 degrees.
_UNSEEN = 1e-3
#: What tells motions of vertices apart: a factor for each axis.
_APART = (1.0, 1.6180339887, 2.7182818284)
_TRIANGLES = 4

#: The move (V,3) of a mesh's vertices in each shape.
Moves = Callable[[], Iterator[np.ndarray]]


def add(path: Path) -> None:
    """Give each shape in the file the turn of the surface's normals, whether it moves there or not."""
    file = Glb(path)
    found = [[each for each in mesh["primitives"] if _can_bend(each)] for mesh in file.tree.get("meshes", ())]
    for surfaces in filter(None, found):
        _add(file, surfaces)
    if any(found):
        file.write()


def _can_bend(surface: dict) -> bool:
    is_lit = surface.get("mode", _TRIANGLES) == _TRIANGLES and "NORMAL" in surface["attributes"]
    return is_lit and bool(surface.get("targets"))


def _add(file: Glb, surfaces: list[dict]) -> None:
    """The same of one mesh: its surfaces, of a material each, bend as one."""

    def read(name: str) -> np.ndarray:
        return np.concatenate([file.read(each["attributes"][name]) for each in surfaces])

    def moves() -> Iterator[np.ndarray]:
        for targets in zip(*(each["targets"] for each in surfaces), strict=True):
            yield np.concatenate([file.read(target["POSITION"]) for target in targets])

    starts = np.cumsum([0, *(file.count(each["attributes"]["POSITION"]) for each in surfaces)])
    corners = [_corners(file, each) + start for each, start in zip(surfaces, starts[:-1], strict=True)]
    turns = turned(read("POSITION"), np.concatenate(corners), read("NORMAL"), moves)
    for number, turn in enumerate(turns):
        for each, part in zip(surfaces, np.split(turn, starts[1:-1]), strict=True):
            each["targets"][number]["NORMAL"] = file.add(part)


def _corners(file: Glb, surface: dict) -> np.ndarray:
    """(F,3) vertices of a surface's triangles."""
    if "indices" in surface:
        return file.read(surface["indices"]).astype(np.int64).reshape(-1, 3)
    return np.arange(file.count(surface["attributes"]["POSITION"])).reshape(-1, 3)


def turned(points: np.ndarray, triangles: np.ndarray, normals: np.ndarray, moves: Moves) -> Iterator[np.ndarray]:
    """(V,3) float32 for each of the moves: what it adds to the normals (V,3) of vertices (V,3) of triangles (F,3).

    Vertices that lie, shine and move alike are one, as those at seams of a texture are. Normals of the person's own
    turn as the surface does.
    """
    first, one = _joined(points, normals, moves)
    corners, places, own = one[triangles], points[first].astype(float), normals[first].astype(float)
    rest = _of_surface(places, corners)
    for move in moves():
        moved = move[first].astype(float)
        near = np.zeros(len(first), bool)
        near[corners[_touching(corners, raster.dot(moved, moved) > 0)]] = True
        bent = _of_surface(places + moved, corners[_touching(corners, near)])
        change = np.zeros_like(places)
        change[near] = _as_turned(own[near], rest[near], bent[near]) - own[near]
        change[~(raster.dot(change, change) >= _UNSEEN**2)] = 0  # nor what no number says
        yield change[one].astype(np.float32)


def _joined(points: np.ndarray, normals: np.ndarray, moves: Moves) -> tuple[np.ndarray, np.ndarray]:
    """The first (G,) of vertices that are one, and which of these each vertex (V,) is."""
    motion = np.zeros(len(points))
    for number, move in enumerate(moves(), 1):
        for axis, factor in enumerate(_APART):
            motion += move[:, axis] * (factor * np.sqrt(number))
    told = np.column_stack([points, normals, motion]).astype(np.float32) + np.float32(0)  # no -0.0
    _, first, one = np.unique(rows.keys(told.view(np.uint32)), return_index=True, return_inverse=True)
    return first, one.ravel()


def _of_surface(places: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(G,3) normals at places (G,3): those of the triangles around, each as much as it has of the angle there."""
    return raster.unit(raster.angle_normals(places, corners))


def _touching(corners: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(F,) bool: triangles with a corner among those chosen (G,)."""
    return chosen[corners[:, 0]] | chosen[corners[:, 1]] | chosen[corners[:, 2]]


def _as_turned(vectors: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(n,3) vectors turned as `before` has to be to become `after`, all of length 1; as they are where one is zero, or
    where it turns right round."""
    axis, cosine = np.cross(before, after), raster.dot(before, after)[:, None]
    along = raster.dot(axis, vectors)[:, None]
    turned = cosine * vectors + np.cross(axis, vectors) + axis * along / np.maximum(1 + cosine, 1e-6)
    whole = before.any(1) & after.any(1) & (cosine[:, 0] > -0.999)
    return np.where(whole[:, None], turned, vectors)
