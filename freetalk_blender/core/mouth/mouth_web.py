"""A mouth that stood open while it was scanned: what the scanner spanned between its lips, skin or teeth, is taken out.

What is left is a hole that ends in a smooth line along the inner lips, as on a mask: `hole_bag` closes it from behind.
"""

from dataclasses import replace

import numpy as np

from ..errors import LandmarkError
from ..frame import frame_in_mm
from ..landmarks import INNER_LIPS
from ..surface import mesh, raster
from . import lip_edges, mouth_curve, mouth_hollow
from .opened_mouth import HOLLOW, OpenedMouth, without

#: How much of the way from lip to lip stays with each lip (mm), and how far behind the lips the web may lie.
_KEPT, _BEHIND = 0.4, 25.0
#: Lips that are apart have a web between them where it covers more than this share of their opening, as teeth do.
_COVERED = 0.1
#: A part with a smaller share of the triangles than this is no face.
_CRUMB = 0.05


def found(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, fused: bool) -> bool:
    """A web lies between the lips of landmarks (68,3), which stand open: they are one surface (`fused`), or end in a
    hole while what hangs together with the face (V,3), (F,3) covers a share of their opening.

    A mouth that somebody made has its teeth, gums and tongue as parts of their own, and its bag lies behind the lips.
    """
    if not lip_edges.stand_open(vertices, triangles, landmarks):
        return False
    torn = not fused and mouth_hollow.find(vertices, triangles, landmarks).open_behind
    return fused or (torn and _covered(vertices, triangles, landmarks) > _COVERED)


def _covered(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> float:
    """The share of the opening between the inner lips that the face's own surface covers, as seen from the front."""
    answer, frame = _split(vertices, triangles, landmarks), frame_in_mm(landmarks)
    corners = _welded(answer)
    part = mesh.connected_components(corners, len(answer.vertices))[corners[:, 0]]
    web = answer.triangles[(answer.part == HOLLOW) & (part == np.bincount(part).argmax())]
    ahead = raster.triangle_normals(frame.to_canonical(answer.vertices[web].astype(float)))[:, 2]
    x, y = frame.to_canonical(np.asarray(landmarks, float))[INNER_LIPS, :2].T
    return float(abs(ahead.sum() / (x @ np.roll(y, 1) - y @ np.roll(x, 1))))


def removed(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> OpenedMouth:
    """The mesh (V,3), (F,3) without what lies between the inner lips of landmarks (68,3).

    LandmarkError where nothing does.
    """
    answer = _split(vertices, triangles, landmarks)
    web = answer.part == HOLLOW
    if not web.any():
        raise LandmarkError("Nothing lies between the inner lips' landmarks; check them.")
    # What hung on the web alone goes with it.
    corners = _welded(answer)
    labels = mesh.connected_components(corners[~web], len(answer.vertices))
    part = labels[corners[:, 0]]
    small = np.bincount(part[~web], minlength=labels.max() + 1) < _CRUMB * np.count_nonzero(~web)
    crumbs = small[part] & np.isin(part, labels[corners[web]])
    return without(replace(answer, part=np.where(crumbs, HOLLOW, answer.part).astype(np.int8)), HOLLOW)


def _welded(opened: OpenedMouth) -> np.ndarray:
    """Its triangles, whole where exporters split them along texture seams."""
    return mesh.weld(opened.vertices.astype(float), opened.triangles)[opened.triangles]


def _split(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> OpenedMouth:
    """The mesh with what lies between the inner lips of landmarks (68,3) told apart, as HOLLOW."""
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(np.asarray(landmarks, float))
    curve = mouth_curve.mouth_curve(placed)
    points = frame.to_canonical(np.where(np.isfinite(vertices), vertices, 1e9).astype(float))
    level = _inside(points, triangles, placed)
    depth = curve.in_front(points)
    level = np.where((np.abs(depth) < _BEHIND) & curve.between_corners(points, 5), level, -10.0)
    return mouth_hollow.split_at(vertices, triangles, level, np.ones(len(vertices), bool))


def _inside(points: np.ndarray, triangles: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """(V,) mm inside the opening of the lips as seen from the front, negative outside; all in mm."""
    x, upper, lower = lip_edges.edges(placed, lip_edges.Front.of(points, triangles, placed))
    beside = np.minimum(points[:, 0] - x[0], x[-1] - points[:, 0])
    above, below = (np.interp(points[:, 0], x, edge) for edge in (upper, lower))
    return np.minimum(np.minimum(above - points[:, 1], points[:, 1] - below) - _KEPT, beside)
