"""The landmarks of a face, as they were found or dragged, and its check-up, kept with its object."""

import json
from dataclasses import asdict

import bpy
import numpy as np

from ..core.checkup import Finding
from ..core.errors import LandmarkError
from ..core.landmarks import COUNT, DOUBTFUL, FAR, Landmarks
from ..core.landmarks import doubtful as doubtful_names
from . import linked, meshes
from .marks import CHECKUP, CONFIDENCE, POINTS, SKIN

#: By so much (eye distances) half of the skin beneath the landmarks may be moved, as sculpting does.
_MOVED = 0.03


def points(item: bpy.types.Object) -> np.ndarray | None:
    """(68,3) in the object's own axes; None where none are known."""
    kept = item.get(POINTS)
    return None if kept is None else np.array(kept, float).reshape(COUNT, 3)


def confidence(item: bpy.types.Object) -> np.ndarray | None:
    """(68,) in [0,1], 1 where a person has looked; None where a person placed them or none are known."""
    kept = item.get(CONFIDENCE)
    return None if kept is None else np.array(kept, float)


def landmarks(item: bpy.types.Object) -> Landmarks | None:
    """Points in the object's own axes, with their confidence where they were found; None where none are known."""
    place = points(item)
    return None if place is None else Landmarks(place, confidence=confidence(item))


def doubtful(item: bpy.types.Object) -> list[int]:
    """Numbers of the landmarks worth a look."""
    sure = confidence(item)
    return [] if sure is None else np.flatnonzero(sure < DOUBTFUL).tolist()


def doubtful_parts(item: bpy.types.Object) -> tuple[str, ...]:
    """Names of the parts of the face that these belong to."""
    known = landmarks(item)
    return () if known is None else doubtful_names(known)


def keep(item: bpy.types.Object, marks: Landmarks) -> None:
    """Write down landmarks in the object's own axes, and the skin that they lie on."""
    points, vertices = np.asarray(marks.points, float), meshes.vertices(item.data)
    item[POINTS] = points.ravel().tolist()
    near = meshes.nearest(vertices, points)
    item[SKIN] = [float(len(vertices)), *near.tolist(), *vertices[near].ravel().tolist()]
    if marks.confidence is None:
        item.pop(CONFIDENCE, None)
    else:
        item[CONFIDENCE] = np.asarray(marks.confidence, float).tolist()
    linked.remember(item)


def fit(item: bpy.types.Object) -> bool:
    """Is the skin still where the landmarks, which must be known, were put on it? It was not moved by more than
    sculpting moves it; of a mesh with other vertices, it is near them at all."""
    known, skin, vertices = points(item), item[SKIN], meshes.vertices(item.data)
    assert known is not None
    if skin[0] == len(vertices):
        near, limit = np.array(skin[1 : COUNT + 1], int), _MOVED
        before = np.array(skin[COUNT + 1 :]).reshape(COUNT, 3)
    else:
        near, limit, before = meshes.nearest(vertices, known), FAR, known
    off = np.nanmedian(np.linalg.norm(vertices[near] - before, axis=1))
    return bool(off <= limit * np.linalg.norm(known[45] - known[36]))


def outdated(item: bpy.types.Object) -> LandmarkError:
    """What is told where they do not `fit`."""
    return LandmarkError(f"The mesh of {item.name} changed since its landmarks were placed; press Detect Again.")


def findings(item: bpy.types.Object) -> list[Finding]:
    """What the check-up found; empty where there was none."""
    return [Finding(**entry) for entry in json.loads(item.get(CHECKUP, "[]"))]


def keep_findings(item: bpy.types.Object, found: tuple[Finding, ...]) -> None:
    item[CHECKUP] = json.dumps([asdict(finding) for finding in found])


def forget(item: bpy.types.Object) -> None:
    """Take landmarks and check-up off the object."""
    for name in (POINTS, CONFIDENCE, SKIN, CHECKUP):
        item.pop(name, None)
    linked.remember(item)
