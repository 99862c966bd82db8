"""What turns where an eye looks: its ball, or, where eye and lids are one skin, that skin, which slides between the
lids, and less towards them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..frame import EYEBALL_RADIUS_MM, Similarity
from ..mouth.opened_mouth import OpenedMouth
from ..ramp import smooth_step
from ..surface.mesh import connected_components
from ..surface.rows import numbered, present
from .eye_front import Front
from .lids import Ball

#: Loose parts that lie within so many radii of an eyeball's centre are of it if they are about as wide as high.
_BALL, _ROUND = 1.25, 1.4
#: Skin in the middle of an eye that is open so far takes its whole turn, of narrower ones less (mm): then none folds.
_OPEN = 12.0


@dataclass(frozen=True)
class Look:
    """What turns with one eye: vertices (n,) of those that `movement.shape_keys` answers for, share (n,) of the turn
    that each takes, and arms (n,3) from the eye's centre to them, canonical mm. left: the subject's; ball: it is one,
    not skin; axes (3,3): an ellipsoid turns in its own shape, as the sphere of which they make it does; arms are that
    one's."""

    vertices: np.ndarray
    share: np.ndarray
    arms: np.ndarray
    left: bool
    ball: bool
    axes: np.ndarray = field(default_factory=lambda: np.identity(3))


def of_eyes(mesh: OpenedMouth, balls: Iterable[Ball], fronts: Iterable[Front], frame: Similarity) -> tuple[Look, ...]:
    """What turns with the eyes of a mesh: balls that are loose parts and skin between the lids of others; frame: from
    canonical mm to the mesh."""
    found = [_of_ball(mesh, ball, frame) for ball in balls] + [_of_front(mesh, front, frame) for front in fronts]
    return tuple(look for look in found if len(look.vertices))


def _of_ball(mesh: OpenedMouth, ball: Ball, frame: Similarity) -> Look:
    """The loose parts about the centre of an eyeball that turn with it: ball, cornea, iris; lashes do not."""
    centre, size = ball
    sphere = np.ndim(size) == 0
    radius, axes = (float(size), np.identity(3)) if sphere else (1.0, np.asarray(size))
    points = frame.to_canonical(mesh.vertices.astype(float)) - centre
    arms = points if sphere else np.linalg.solve(axes, points.T).T
    near = np.linalg.norm(arms, axis=1) < _BALL * radius
    triangles = mesh.triangles[near[mesh.triangles].any(1)]
    around = present(triangles, len(points))
    part = connected_components(numbered(around, len(points))[triangles], len(around))
    own = [np.empty(0, int)]
    for label in range(part.max(initial=-1) + 1):
        rows = around[part == label]
        wide, high = np.ptp(arms[rows], axis=0)[:2]
        if near[rows].all() and max(wide, high) < _ROUND * min(wide, high):
            own.append(rows)
    vertices = np.concatenate(own)
    return Look(vertices, np.ones(len(vertices)), arms[vertices], bool(centre[0] > 0), True, axes)


def _of_front(mesh: OpenedMouth, front: Front, frame: Similarity) -> Look:
    """The skin between the lids of an eye, which lies on a ball that nobody sees."""
    vertices = front.vertices[front.inside]
    points = frame.to_canonical(mesh.vertices[vertices].astype(float))
    low, high = points.min(0), points.max(0)
    across = (points[:, 0] - low[0]) / max(high[0] - low[0], 1e-6)
    up = front.height / front.opening
    from_edge = np.minimum(np.minimum(across, 1 - across), np.minimum(up, 1 - up))
    share = smooth_step(2 * from_edge) * min(1.0, float(front.opening.max()) / _OPEN)
    centre = (low + high) / 2 - [0, 0, EYEBALL_RADIUS_MM]
    return Look(vertices, share, points - centre, bool(centre[0] > 0), False)
