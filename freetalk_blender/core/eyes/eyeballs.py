"""Eyeballs on request, made to measure for eyes that are holes in the skin or hollow sockets.

A ball is a sphere with an iris and a pupil that looks straight ahead, in millimetres of a face whose outer eye corners
are 90 mm apart. It is placed where the lids' edges lie on it, as far back as the skin around the eye demands.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from ..frame import EYEBALL_RADIUS_MM, Similarity, frame_in_mm
from ..mouth.opened_mouth import IRIS, PUPIL, SCLERA, OpenedMouth, with_loose
from ..surface import raster
from ..surface.mesh import Surfaces
from .eye_state import EYES, HOLLOW, Eye, look
from .lids import Ball

#: Radius of the iris and of the pupil of an average eyeball, and the eye's width at which they are so (mm).
IRIS_RADIUS, PUPIL_RADIUS, WIDTH = 5.9, 2.0, 29.0
#: How much smaller or larger an eye may be; thickness of a lid's edge; distance kept behind the skin (mm).
SCALE, EDGE, CLEARANCE = (0.85, 1.15), 0.8, 0.3
#: The share of the opening of a hollow eye that is HOLLOW.
SHARE = 0.5
#: The picture of one eye: half its side (mm) and its pixels.
_HALF, _SIZE = 22.0, 120
#: The most by which a ball goes back for the skin in front of it (mm).
_BACK = 5.0
#: Radius of what may be an eyeball of the scan's own (mm), and vertices around one that is made.
_SPHERES, _AROUND = (8.0, 30.0), 28
#: Half-axes of an ellipsoid that may be one: the shortest, the middle one, the longest (mm).
_AXES = (4.0, 8.0, 35.0)
_NAMES = ("right", "left")


@dataclass(frozen=True)
class Socket:
    """One eye as a place for a ball. eye: what it is; lids (6,3): its landmarks; front (S,S): z of the skin seen from
    the front around it, -inf where there is none; all in canonical mm. hollow: nothing but a hole or a hollow lies
    between the lids."""

    eye: Eye
    lids: np.ndarray
    front: np.ndarray
    hollow: bool

    @property
    def one_skin(self) -> bool:
        """Open, and one surface with the lids."""
        return not (self.eye.shut or self.hollow)


def sockets(
    vertices: np.ndarray, triangles: np.ndarray, skin: np.ndarray, landmarks: np.ndarray, beside: Surfaces = ()
) -> list[Socket]:
    """Those of the subject's right and left eye; vertices (V,3), triangles (F,3) of a cleaned mesh, skin (V,) which of
    them the face's skin has, landmarks (68,3), beside: other surfaces, which may be eyeballs: one unit."""
    mm = frame_in_mm(landmarks)
    surface = mm.to_canonical(np.asarray(vertices, float)), triangles[skin[triangles[:, 0]]]
    return [
        socket(eye, *surface, mm.to_canonical(landmarks[rows]))
        for eye, rows in zip(look(vertices, triangles, landmarks, beside), EYES, strict=True)
    ]


def socket(eye: Eye, skin: np.ndarray, triangles: np.ndarray, lids: np.ndarray) -> Socket:
    """The socket of an eye in the skin (V,3), (F,3), without eyeballs, at its landmarks (6,3); canonical mm."""
    front = raster.front(skin, triangles, lids.mean(0), _HALF, _SIZE)
    x, y = _pixels(lids.mean(0))
    inside = np.ones(x.shape, bool)
    for a, b in zip(lids, np.roll(lids, -1, 0), strict=True):  # the landmarks go around the eye clockwise
        inside &= (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) < 0
    deep = front[inside] < lids[:, 2].min() - HOLLOW
    return Socket(eye, lids, front, bool(len(deep)) and bool(deep.mean() > SHARE))


def own(place: Socket, eyeball: np.ndarray) -> Ball | None:
    """The ball that an open eye of the scan has, or, where that is neither sphere nor ellipsoid, the one that would
    belong there; eyeball (k,3): its points, canonical mm; None without."""
    if place.eye.shut or not place.hollow or not len(eyeball):
        return None
    return sphere(eyeball) or ellipsoid(eyeball) or fitted(place)


def added(
    opened: OpenedMouth, frame: Similarity, sockets: list[Socket]
) -> tuple[OpenedMouth, list[tuple[np.ndarray, float]], tuple[str, ...]]:
    """The mesh with a ball in every eye that has room for one; frame: from canonical mm to the mesh.

    Answers the centre (3,), canonical mm, and the radius of each ball that was made, and a sentence for eyes that have
    none.
    """
    balls, reasons = [], [why_none(place) for place in sockets]
    for place, reason in zip(sockets, reasons, strict=True):
        if not reason:
            centre, radius = fitted(place)
            points, triangles, part = ball(radius)
            opened = with_loose(opened, frame.to_mesh(points + centre), triangles, part)
            balls.append((centre, radius))
    return opened, balls, _told(reasons)


def _told(reasons: list[str]) -> tuple[str, ...]:
    """One sentence on the eyes that get no ball; reasons: of the right and the left eye, empty where it has one."""
    if reasons[0] and reasons[0] == reasons[1]:
        return (f"No eyeballs were made: each eye {reasons[0]}.",)
    single = [f"the {name} eye {reason}" for name, reason in zip(_NAMES, reasons, strict=True) if reason]
    return (f"An eyeball was left out: {' and '.join(single)}.",) if single else ()


def _pixels(middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S,S) x and y of the pixels of the picture around a point, mm."""
    step = (np.arange(_SIZE) + 0.5) * (2 * _HALF / _SIZE) - _HALF
    x, y = np.meshgrid(middle[0] + step, middle[1] - step)
    return x, y


def why_none(place: Socket) -> str:
    """Why an eye gets no ball, as the end of a sentence; empty where it gets one."""
    if place.eye.shut:
        return "is shut"
    if place.one_skin:
        return "is one surface with its lids"
    return "has one" if len(place.eye.eyeball) else ""


def fitted(place: Socket) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius, canonical mm, of the ball that belongs into a hollow eye, behind its skin."""
    lids, front = place.lids, place.front
    width = float(np.linalg.norm((lids[3] - lids[0])[:2]))
    radius = EYEBALL_RADIUS_MM * float(np.clip(width / WIDTH, *SCALE))
    start = lids.mean(0) - [0, 0, 0.8 * radius]
    weight = np.where(np.isin(np.arange(6), (0, 3)), 0.3, 1.0)

    def misfit(centre: np.ndarray) -> np.ndarray:
        off = np.linalg.norm(lids - centre, axis=1) - radius - EDGE
        return np.concatenate([weight * off, 0.3 * (centre - start) * [2, 1, 1]])

    centre = least_squares(misfit, start).x
    x, y = _pixels(lids.mean(0))
    flat = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    height = centre[2] + np.sqrt(np.maximum(radius**2 - flat, 0))
    covered = (flat < (0.95 * radius) ** 2) & (front > height - HOLLOW)
    too_far = height[covered] + CLEARANCE - front[covered]
    # A pixel or two of noise shall not move the ball.
    centre[2] -= np.clip(np.quantile(too_far, 0.98), 0, _BACK) if covered.any() else 0.0
    return centre, radius


def sphere(points: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Centre (3,) and radius of the sphere that an eyeball's vertices (n,3), mm, lie on or in; None where it is none.

    Least squares of |x|² = 2 c x + d, which is linear.
    """
    if len(points) < 20:
        return None
    system = np.column_stack([2 * points, np.ones(len(points))])
    *centre, _ = np.linalg.lstsq(system, (points**2).sum(1), rcond=None)[0]
    distance = np.linalg.norm(points - centre, axis=1)
    radius = float(np.quantile(distance, 0.95))
    if not _SPHERES[0] < radius < _SPHERES[1] or np.quantile(np.abs(distance - np.median(distance)), 0.8) > 1.5:
        return None
    return np.array(centre), radius


def ellipsoid(points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Centre (3,) of the ellipsoid that an eyeball's vertices (n,3), mm, lie on or in, and the (3,3) that makes it of a
    sphere of radius 1; None where it is none.

    Least squares of a quadric, which is linear; what lies far off it, as an iris within does, is left out of a second.
    """
    if len(points) < 20:
        return None
    middle, size = (points.max(0) + points.min(0)) / 2, float(np.ptp(points, axis=0).max() / 2)
    places = (points - middle) / size
    kept = np.ones(len(points), bool)
    for _ in range(2):
        quadric = _quadric(places[kept])
        if quadric is None:
            return None
        centre, axes = quadric
        share = np.linalg.norm(np.linalg.solve(axes, (places - centre).T), axis=0)
        off = np.abs(share - 1)
        kept = off <= np.quantile(off, 0.8)
    axes = axes * size * np.quantile(share, 0.95)
    half = np.linalg.svd(axes, compute_uv=False)
    if half[2] < _AXES[0] or half[1] < _AXES[1] or half[0] > _AXES[2]:
        return None
    if off[kept].max() * half.mean() > 1.5:
        return None
    return middle + size * centre, axes


def _quadric(points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Centre (3,) of the ellipsoid that points (n,3) lie on, and the (3,3) that makes it of a sphere of radius 1."""
    x, y, z = points.T
    system = np.column_stack([x * x, y * y, z * z, 2 * y * z, 2 * x * z, 2 * x * y, 2 * points])
    a, b, c, f, g, h, *linear = np.linalg.lstsq(system, np.ones(len(points)), rcond=None)[0]
    form = np.array([[a, h, g], [h, b, f], [g, f, c]])
    values, turn = np.linalg.eigh(form)
    if values.min() <= 1e-6:
        return None
    centre = -np.linalg.solve(form, linear)
    return centre, turn * np.sqrt((1 + centre @ form @ centre) / values) @ turn.T


def ball(radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (n,3), outward triangles (f,3) and part (f,) of a ball about the origin that looks along +z."""
    scale = radius / EYEBALL_RADIUS_MM
    edges = [np.arcsin(r * scale / radius) for r in (PUPIL_RADIUS, IRIS_RADIUS)]
    # The edges of pupil and iris are rings of their own on either side: colours do not run into each other.
    angles = np.concatenate([[edges[0]] * 2, [edges[0] / 2 + edges[1] / 2], [edges[1]] * 2,
                             np.linspace(edges[1], np.pi, 9)[1:-1]])  # fmt: skip
    turn = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], 1)
    rows = [np.column_stack([np.sin(a) * ring, np.full(_AROUND, np.cos(a))]) for a in angles]
    points = radius * np.concatenate([[[0, 0, 1.0]], *rows, [[0, 0, -1.0]]])
    here, ahead = np.arange(_AROUND), (np.arange(_AROUND) + 1) % _AROUND
    faces = [np.stack([np.zeros(_AROUND, int), 1 + here, 1 + ahead], 1)]
    part = [np.full(_AROUND, PUPIL)]
    for row in range(len(angles) - 1):
        if angles[row] == angles[row + 1]:
            continue
        a, b = 1 + row * _AROUND + here, 1 + row * _AROUND + ahead
        faces += [np.stack([a, a + _AROUND, b], 1), np.stack([b, a + _AROUND, b + _AROUND], 1)]
        part += [np.full(2 * _AROUND, IRIS if angles[row] < edges[1] else SCLERA)]
    last = 1 + (len(angles) - 1) * _AROUND
    faces.append(np.stack([last + here, np.full(_AROUND, len(points) - 1), last + ahead], 1))
    part.append(np.full(_AROUND, SCLERA))
    return points, np.concatenate(faces), np.concatenate(part)
