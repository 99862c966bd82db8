"""Landmarks measured again on close-ups around a first answer, by the `landmark_closeups` network."""

import numpy as np

from .. import models
from ..frame import Similarity
from ..landmarks import COUNT
from ..surface import rows
from .close_view import CHANNELS, MIRRORED_CHANNELS, SIDES, Side, close_camera, close_picture, mirrored
from .face_view import Patch, meet

#: Views of each close-up: degrees to the face's left (to its right for left parts) and up.
VIEWS = ((-18, -8), (18, -8), (0, 14))
#: Surface further from a close-up's middle than so many halves of the picture is left out.
REACH = 2.0
#: A point further out than this (halves of the picture) may lie beyond the border and counts as unseen: expected error
#: in eye distances.
EDGE, UNSEEN = 0.92, 1.0


def measure(patch: Patch, face: Similarity, points: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Points (68, 3) in mesh axes and their expected errors (68,) in eye distances, from first answers (68, 3)."""
    centres = [points[side.points].mean(0) for side in SIDES]
    cameras = [
        [close_camera(side, face, centre, *view) for view in VIEWS] for side, centre in zip(SIDES, centres, strict=True)
    ]
    pictures = []
    for side, centre, views in zip(SIDES, centres, cameras, strict=True):
        near = _around(patch, centre, REACH * views[0].half)
        pictures += [close_picture(near.vertices, near.triangles, near.normals, view, side.left)[0] for view in views]
    place, spread = _answers(np.stack(pictures), device)
    found, error = np.empty((COUNT, 3)), np.full(COUNT, np.inf)
    for row, side in enumerate(SIDES):
        axes = np.stack([view.rotation[:2] for view in cameras[row]])
        at, unsure = _meet(side, axes, place[row], spread[row])
        better = unsure < error[side.points]  # the chin belongs to both halves of the jaw
        chosen = side.points[better]
        found[chosen], error[chosen] = at[better] * face.scale + centres[row], unsure[better]
    return found, error


def _answers(pictures: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Places (sides, views, 49, 2) and spreads (sides, views, 49) of pictures (sides * views, 4, S, S).

    Parts without a twin are asked in a mirror too: the mean of both answers errs less.
    """
    single = np.repeat([not side.part.paired for side in SIDES], len(VIEWS))
    asked = np.concatenate([pictures, mirrored(pictures[single])])
    place, spread = models.session("landmark_closeups", device).run(None, {"picture": asked})
    place, spread = place.astype(np.float64), spread.astype(np.float64)
    count = len(pictures)
    place[:count][single] = (place[:count][single] + place[count:, MIRRORED_CHANNELS] * [-1, 1]) / 2
    spread[:count][single] = (spread[:count][single] + spread[count:, MIRRORED_CHANNELS]) / 2
    shape = (len(SIDES), len(VIEWS))
    return place[:count].reshape(*shape, CHANNELS, 2), spread[:count].reshape(*shape, CHANNELS)


def _meet(side: Side, axes: np.ndarray, place: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 3) from the picture's middle and errors (P,), eye distances, of all channels' answers (C, 49, ...)."""
    mirror = np.array([-1.0, 1.0]) if side.left else np.ones(2)
    half, place = side.part.half, place[:, side.channels]
    sigma = spread[:, side.channels] * half + 0.003
    sigma = np.where((np.abs(place) < EDGE).all(-1), sigma, UNSEEN)
    points, error, _ = meet(axes, place * mirror * half, sigma)
    return points, error


def _around(patch: Patch, centre: np.ndarray, reach: float) -> Patch:
    """The part of a patch that lies around a point."""
    near = ((patch.vertices - centre) ** 2).sum(1) < reach**2
    kept = near[patch.triangles].any(1)
    if not kept.any():
        return patch
    used, triangles = rows.renumbered(patch.triangles[kept], len(near))
    return Patch(patch.vertices[used], triangles.astype(np.int32), patch.normals[used])
