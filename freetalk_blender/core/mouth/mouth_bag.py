"""The inside of an opened mouth: the roll of each lip, and a closed dark bag behind them that follows lips and jaw.

Rings of vertices go inward from the seam. The first few lie nearly on each other, as closed lips do, and give the cut
its thickness; then the upper ones rise and the lower ones sink into a flat pouch that narrows and closes at the back.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from ..surface.raster import vertex_normals

#: Inward distance of each ring from the seam (mm of a face of eye distance 90 mm); the back of the bag is the last.
INWARD = np.array([0.9, 2.2, 4.0, 6.5, 10.0, 14.5, 20.0, 27.0])
#: Half-openings of the rings above and below the seam in mid-mouth (mm): lips touch, then round off and part.
RISE = np.array([0.12, 0.6, 1.7, 3.6, 5.8, 7.4, 8.0, 5.5])
SINK = np.array([0.15, 0.8, 2.2, 4.6, 7.4, 9.6, 10.0, 7.0])
#: Width of each ring over the mouth's width: the bag stays inside the cheeks.
WIDTH = np.array([0.995, 0.98, 0.95, 0.91, 0.86, 0.80, 0.72, 0.60])
#: How far each ring follows its lip: the palate stays with the skull, the floor of the mouth goes with the jaw, less
#: than the lip does since it is nearer to the joint.
UPPER_FOLLOWS = np.array([1.0, 1.0, 0.97, 0.88, 0.72, 0.55, 0.42, 0.35])
LOWER_FOLLOWS = np.array([1.0, 1.0, 0.99, 0.96, 0.90, 0.83, 0.76, 0.68])
#: How far along the seam (share of the mouth's width) each ring averages the lip it follows.
SPREAD = np.array([0.0, 0.01, 0.02, 0.04, 0.07, 0.11, 0.16, 0.22])
#: Rings that belong to the lip itself and look like it; the rest is the bag.
LIP_RINGS = 3
#: How much of the lip's surface beside the seam a ring takes its colour from, seam to lip.
COLOUR = np.array([0.35, 0.7, 0.9])
#: Distance that the bag keeps from the skin (mm).
CLEARANCE = 0.8


@dataclass(frozen=True)
class Bag:
    """B vertices inward of a seam of n points; millimetres.

    points (B,3); ring, column (B,): their place; side (B,): 1 upper, -1 lower, 0 in the corner columns.
    triangles (g,3): 0..B-1 bag vertices, B.. B+n-1 the upper seam, B+n.. the lower seam (n, with both corners).
    step (g,): the seam step each triangle lies behind. is_lip (g,): on a lip's inside rather than in the bag.
    follow (B,2n): displacement = follow @ displacement of the upper, then the lower seam.
    """

    points: np.ndarray
    ring: np.ndarray
    column: np.ndarray
    side: np.ndarray
    triangles: np.ndarray
    step: np.ndarray
    is_lip: np.ndarray
    follow: sparse.csr_matrix


def build(seam: np.ndarray, skin: np.ndarray, skin_triangles: np.ndarray, outward: bool) -> Bag:
    """A bag behind the seam (n,3), inside the skin (P,3), (f,3), in canonical mm; outward: the skin faces outward."""
    upper, lower, ring, column, side = _grid(len(seam))
    along = way_along(seam)
    points = fitted(seam, along, ring, column, side, skin, skin_triangles, outward)
    triangles, step, row = _faces(upper, lower)
    if not outward:
        triangles = triangles[:, ::-1]
    rims = np.concatenate([np.full(len(seam), 1), np.full(len(seam), -1)])
    carried = follow(np.concatenate([along, along]), rims, along[column], ring, side)
    return Bag(points, ring, column, side, triangles, step, row < LIP_RINGS, carried)


def way_along(path: np.ndarray) -> np.ndarray:
    """(n,) share of the length of a path (n,3) at each of its points."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    return length / max(length[-1], 1e-9)


def _grid(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertex numbers of the upper and lower grid (R+1,n) whose corner columns are shared and whose first row is the
    seam; ring, column and side of every bag vertex."""
    rings = len(INWARD)
    each = 2 * count - 2
    rows = each * np.arange(rings)[:, None]
    upper = rows + np.arange(count)
    lower = rows + np.concatenate([[0], count + np.arange(count - 2), [count - 1]])
    total = rings * each
    ring = np.repeat(np.arange(rings), each)
    column = np.tile(np.concatenate([np.arange(count), np.arange(1, count - 1)]), rings)
    side = np.tile(np.concatenate([[0], np.ones(count - 2), [0], -np.ones(count - 2)]), rings).astype(np.int8)
    upper = np.concatenate([total + np.arange(count)[None], upper])
    lower = np.concatenate([total + count + np.arange(count)[None], lower])
    return upper, lower, ring, column, side


def fitted(
    rim: np.ndarray,
    along: np.ndarray,
    ring: np.ndarray,
    column: np.ndarray,
    side: np.ndarray,
    skin: np.ndarray,
    skin_triangles: np.ndarray,
    outward: bool,
) -> np.ndarray:
    """The bag's points (B,3), flattened step by step until the skin covers every deep ring from the front.

    rim (n,3): where the bag begins, mm; along (n,): share of the way from the right corner to the left; ring, column,
    side (B,): as in Bag; skin (P,3), (f,3).
    """
    normals = vertex_normals(skin, skin_triangles) * (1 if outward else -1)
    front = skin[normals[:, 2] > 0.1]
    tree = cKDTree(front[:, :2])
    height = np.ones(len(ring))
    for _ in range(8):
        points = _shape(rim, along, ring, column, side, height)
        deep = ring >= LIP_RINGS
        above = front[tree.query(points[deep, :2], 3)[1], 2].min(1)
        bad = np.zeros(len(ring), bool)
        bad[deep] = points[deep, 2] > above - CLEARANCE
        if not bad.any():
            break
        for sign in (1, -1):
            height[side == sign] *= 0.8 if bad[side == sign].any() else 1.0
    return points


def _shape(
    rim: np.ndarray, along: np.ndarray, ring: np.ndarray, column: np.ndarray, side: np.ndarray, height: np.ndarray
) -> np.ndarray:
    base = rim[column]
    # Flat at the corners, full in the middle, with a round end.
    full = np.sin(np.pi * along[column]) ** 0.7
    middle = (rim[along.argmin(), 0] + rim[along.argmax(), 0]) / 2
    x = middle + (base[:, 0] - middle) * WIDTH[ring]
    level = np.clip(INWARD[ring] / INWARD[-1], 0, 1)
    y = base[:, 1] * (1 - level) + rim[:, 1].mean() * level
    y = y + np.where(side > 0, RISE[ring], -SINK[ring]) * full * height * np.abs(side)
    return np.stack([x, y, base[:, 2] - INWARD[ring]], 1)


def _faces(upper: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles (g,3) that face the hollow, the seam step of each and its row (0 at the seam; R the back)."""
    rings = len(upper)
    triangles, step, row = [], [], []

    def strip(a: np.ndarray, b: np.ndarray, number: int) -> None:
        """Quads between two rows, as triangles; degenerate ones at shared corners are left out."""
        quads = np.stack([a[1:], a[:-1], b[:-1], b[1:]], 1)
        for corner in (quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]):
            whole = (corner[:, 0] != corner[:, 1]) & (corner[:, 1] != corner[:, 2]) & (corner[:, 2] != corner[:, 0])
            triangles.append(corner[whole])
            step.append(np.flatnonzero(whole))
            row.append(np.full(np.count_nonzero(whole), number))

    for number in range(rings - 1):
        strip(upper[number], upper[number + 1], number)
        strip(lower[number + 1], lower[number], number)
    strip(upper[-1], lower[-1], rings)
    return np.concatenate(triangles), np.concatenate(step), np.concatenate(row)


def follow(
    along: np.ndarray, rim: np.ndarray, place: np.ndarray, ring: np.ndarray, side: np.ndarray
) -> sparse.csr_matrix:
    """(B,m) weights of the lips' edges that carry each bag vertex.

    along (m,): share of the way along its lip of each vertex of the edges; rim (m,): 1 on the upper, -1 on the lower
    lip, 0 on both; place (B,): share of the way; ring, side (B,): as in Bag.
    """
    spread = np.maximum(SPREAD[ring], 1e-4)[:, None]
    near = np.exp(-0.5 * ((along[None] - place[:, None]) / spread) ** 2)
    near[near < 1e-3] = 0
    answer = np.zeros_like(near)
    for sign, follows in ((1, UPPER_FOLLOWS), (-1, LOWER_FOLLOWS)):
        own = near * (rim != -sign)
        share = follows[ring] * np.select([side == sign, side == -sign], [1.0, 0.0], 0.5)
        answer += own * (share / np.maximum(own.sum(1), 1e-12))[:, None]
    return sparse.csr_matrix(answer)
