"""A mouth that stood open while it was scanned: the skin that the scanner spanned between its lips is taken out.

What is left is a hole that ends in a smooth line along the inner lips, as on a mask: `hole_bag` closes it from behind.
"""

from dataclasses import replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..errors import LandmarkError
from ..frame import frame_in_mm
from ..landmarks import INNER_LIP_PAIRS, LOWER_INNER, UPPER_INNER, gaps
from ..surface import mesh
from . import mouth_curve
from .mouth_hollow import split_at
from .opened_mouth import HOLLOW, OpenedMouth, without

#: Lips that are one surface although their inner landmarks are further apart than this have a web between them (mm).
OPEN = 4.0
#: How much of the way from lip to lip stays with each lip (mm), and how far behind the lips the web may lie.
_KEPT, _BEHIND = 0.4, 25.0
#: A part with a smaller share of the triangles than this is no face.
_CRUMB = 0.05


def stands_open(landmarks: np.ndarray) -> bool:
    """The inner lips of landmarks (68,3), any unit, are OPEN apart."""
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(np.asarray(landmarks, float))
    return bool(gaps(placed, INNER_LIP_PAIRS).mean() > OPEN)


def removed(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> OpenedMouth:
    """The mesh (V,3), (F,3) without what lies between the inner lips of landmarks (68,3).

    LandmarkError where nothing does.
    """
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(np.asarray(landmarks, float))
    curve = mouth_curve.mouth_curve(placed)
    points = frame.to_canonical(np.where(np.isfinite(vertices), vertices, 1e9).astype(float))
    level = _inside(points, placed)
    depth = curve.in_front(points)
    level = np.where((np.abs(depth) < _BEHIND) & curve.between_corners(points, 5), level, -10.0)
    answer = split_at(vertices, triangles, level, np.ones(len(vertices), bool))
    web = answer.part == HOLLOW
    if not web.any():
        raise LandmarkError("Nothing lies between the inner lips' landmarks; check them.")
    # What hung on the web alone goes with it.
    labels = mesh.connected_components(answer.triangles[~web], len(answer.vertices))
    part = labels[answer.triangles[:, 0]]
    small = np.bincount(part[~web], minlength=labels.max() + 1) < _CRUMB * np.count_nonzero(~web)
    crumbs = small[part] & np.isin(part, labels[answer.triangles[web]])
    return without(replace(answer, part=np.where(crumbs, HOLLOW, answer.part).astype(np.int8)), HOLLOW)


def _inside(points: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """(V,) mm inside the opening of the lips as seen from the front, negative outside; all in mm."""
    edges = []
    for inner in (UPPER_INNER, LOWER_INNER):
        path = placed[[mouth_curve.RIGHT_CORNER, *inner, mouth_curve.LEFT_CORNER]]
        edges.append(PchipInterpolator(path[:, 0], path[:, 1])(np.clip(points[:, 0], path[0, 0], path[-1, 0])))
    corners = placed[[mouth_curve.RIGHT_CORNER, mouth_curve.LEFT_CORNER], 0]
    beside = np.minimum(points[:, 0] - corners[0], corners[1] - points[:, 0])
    return np.minimum(np.minimum(edges[0] - points[:, 1], points[:, 1] - edges[1]) - _KEPT, beside)
