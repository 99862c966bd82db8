"""Lips that touch and never cross: a correction of a finished motion, frame by frame.

A network moves each lip well within a millimetre, and that is enough for closed lips to cross or to leave a sliver of
darkness. Points of the upper lip are paired with what lies below them on the lower one: along a cut with the other rim,
on lips that were modelled apart with what has slid there (facing.py). Where a pair would cross, both sides give way by
half; where it nearly closes, it closes. The amount is a smooth function of the pairs' gaps alone, so
the correction is as smooth in time as the motion is, and zero for a face at rest. Where the performance keeps the lips
closed they close, also on a scan whose own lips stand a little open.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from . import cancel, facing, handles, mouth_curve, raster
from .compress import ShapeKeys, compress_factors, with_more
from .errors import LandmarkError
from .facing import Facing, Slid
from .frame import EYE_DISTANCE_MM, Similarity
from .landmarks import INNER_LIP_PAIRS
from .opened_mouth import LOWER, UPPER, OpenedMouth
from .ramp import smooth_step
from .retarget import CLOSED_GAP

#: Gaps below the first close: a binding's lips are within it of where a performance wants them. Up to the second they
#: are drawn together, the smaller the more (mm).
SHUT, CLOSING = 0.3, 2.0
#: In a frame whose performance keeps the lips closed both bounds are this much wider; between these gaps of the inner
#: lips' landmarks over their closed ones it counts as closed, less and less (mm).
WIDER, PARTED = 1.4, (0.2, 0.9)
#: Lips that were modelled apart meet where pairs of them were sampled: they press into each other by this much (mm).
PRESS = 0.05
#: Pushing moves other skin under a point: how often such lips are looked at anew.
_ROUNDS = 2
#: Lips that lie in each other at rest are drawn apart by this at most (mm), in so many steps.
_FOLD, _UNFOLDING = 1.5, 10
#: A correction that changes by less than this is not looked at anew (mm).
_SETTLED = 0.1
#: Lips this far apart in depth pass each other, as in "f": from the first to the second the correction fades (mm).
PASSING = (2.5, 5.0)
#: No lip is pushed further than this (mm).
LARGEST = 6.0
#: A push at one pair holds its neighbours along the lip to this scale, short enough that it does not part them, and
#: fades into the lip's skin at the next (mm).
ALONG, FADING = 1.2, 5.0
#: On lips that were never fused: how near, seen from above and in height, two points must lie at rest to make a pair,
#: and how far around the lip line they are looked for (mm).
_PAIRED, _CLOSE, _APART = 1.5, 3.0, 8.0
#: On fine meshes one vertex of the upper lip in so many mm stands for its neighbours; width of a column (mm).
_GRID, _COLUMN = 0.9, 1.5
#: Skin so near to a cut's rims (mm), whose normal leans so far down on the upper lip or up on the lower one, may come
#: to lie on the other lip; of fine meshes one vertex in so many mm.
_AROUND, _LEAN, _SPARSE = 7.0, 0.35, 0.9
#: A pair does not hold or move what it would take less of than this.
_LEAST = 0.02
_FRAMES_AT_ONCE = 1024


@dataclass(frozen=True)
class Contact:
    """P pairs of points on facing lips.

    vertices (M,): the mesh's vertices that a correction moves. upper, lower (P,M) sparse: the pairs' points among them.
    rest (P,3): upper minus lower point at rest. spread (M,P): share of each pair's correction that a vertex takes,
    positive on the upper lip. neighbours, envelope (P,N): other pairs, and how firmly a push there holds this one. up,
    forward (3,): unit vectors of the face. mm: mesh units per millimetre. columns, facing: of lips that were modelled
    apart: where several pairs lie behind each other, which of them belong together, and what lies below each point;
    None along a cut. slid: of a cut, the skin of each lip over that of the other. unfold (P,): mm by which each pair is
    to be opened at rest, where the lips lie in each other.
    """

    vertices: np.ndarray
    upper: sparse.csr_matrix
    lower: sparse.csr_matrix
    rest: np.ndarray
    spread: np.ndarray
    neighbours: np.ndarray
    envelope: np.ndarray
    up: np.ndarray
    forward: np.ndarray
    mm: float
    columns: "Columns | None" = None
    facing: Facing | None = None
    slid: tuple[Slid, ...] = ()
    unfold: np.ndarray | float = 0.0

    def separation(self, displacement: np.ndarray) -> np.ndarray:
        """(T,P,3) upper minus lower point of each pair; displacement (T,M,3) of `vertices`."""
        flat = displacement.transpose(1, 0, 2).reshape(len(self.vertices), -1)
        apart = (self.upper - self.lower).astype(flat.dtype) @ flat
        return self.rest[None] + apart.reshape(len(self.rest), len(displacement), 3).transpose(1, 0, 2)

    def gap(self, displacement: np.ndarray) -> np.ndarray:
        """(T,P) mm between the lips along the face's vertical, negative where they cross; displacement (T,V,3)."""
        return self._gap(displacement[:, self.vertices])[0]

    def _gap(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same for displacement (T,M,3) of `vertices`, and (T,P) in [0,1]: how surely the lips face each other."""
        if self.facing is not None:
            return self.facing.gap(displacement[:, self.facing.vertices] @ self._axes)
        apart = self.separation(displacement)
        offset = np.abs(apart @ self.forward / self.mm) - np.abs(self.rest @ self.forward / self.mm)
        return apart @ self.up / self.mm, 1 - smooth_step((offset - PASSING[0]) / (PASSING[1] - PASSING[0]))

    @property
    def _axes(self) -> np.ndarray:
        """(3,3) from mesh axes and units to canonical millimetres."""
        axes = np.stack([np.cross(self.up, self.forward), self.up, self.forward], 1)
        return (axes / self.mm).astype(np.float32)

    @cached_property
    def _still(self) -> np.ndarray:
        """(P,) mm between the lips at rest."""
        still = self.rest @ self.up / self.mm
        if self.facing is None:
            return still
        gap, near = self.facing.gap(np.zeros((1, len(self.facing.vertices), 3), np.float32))
        return np.where(near[0] > 0, gap[0], still)

    def amount(self, displacement: np.ndarray, shut: np.ndarray | float = 0.0) -> np.ndarray:
        """(T,P) mm by which each pair is to be opened (> 0) or closed (< 0).

        displacement (T,M,3) of `vertices`; shut (T,): see `closed`.
        """
        if self.facing is None:
            return self._slid_apart(displacement, self._wanted(*self._gap(displacement), shut))
        near = displacement[:, self.facing.vertices] @ self._axes
        amount = self._wanted(*self.facing.gap(near), shut)
        spread = self.spread[self.facing.vertices].T
        for _ in range(_ROUNDS - 1):
            moved = near.copy()
            moved[..., 1] += amount @ spread
            amount += np.maximum(self._wanted(*self.facing.gap(moved), shut), 0)
        return np.clip(amount, -LARGEST, LARGEST)

    def _slid_apart(self, displacement: np.ndarray, amount: np.ndarray) -> np.ndarray:
        """amount (T,P), and what keeps rims that have slid past each other out of the other lip's skin."""
        answer, frames = amount.copy(), np.arange(len(amount))
        drawn = np.broadcast_to(np.float32(self.unfold), amount.shape)  # what they need at rest is the first guess
        for _ in range(_ROUNDS if self.slid else 0):
            cancel.check()
            push = np.zeros((len(frames), amount.shape[1]), np.float32)
            for lip in self.slid:
                moved = self._moved(displacement, amount[frames] + drawn, frames, lip.facing.vertices)
                np.maximum(push, lip.crossing(moved, drawn), out=push)
            held = _held(push, self.neighbours, self.envelope)
            answer[frames] = amount[frames] + held
            again = np.abs(held - drawn).max(1, initial=0) > _SETTLED
            frames, drawn = frames[again], held[again]
        return np.clip(answer, -LARGEST, LARGEST)

    def _moved(self, displacement: np.ndarray, amount: np.ndarray, frames: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """(k,n,3) mm, canonical axes, by which `vertices`[rows (n,)] move in frames (k,), corrected by amount (k,P)."""
        moved = displacement[frames[:, None], rows] @ self._axes
        moved[..., 1] += amount @ self.spread[rows].T
        return moved

    def unfolded(self) -> "Contact":
        """The contact of a cut whose lips lie in each other at rest, as a scanner's crease may: in every frame they are
        first drawn apart as far as they do, by _FOLD at most."""
        still = np.zeros((1, len(self.vertices), 3), np.float32)
        amount = np.zeros((1, len(self.rest)), np.float32)
        for _ in range(_UNFOLDING):
            amount = np.minimum(self._slid_apart(still, amount), _FOLD)
        rest = [self._moved(still, amount, np.zeros(1, int), lip.facing.vertices) for lip in self.slid]
        slid = tuple(lip.allowing(moved) for lip, moved in zip(self.slid, rest, strict=True))
        return replace(self, unfold=amount[0], slid=slid)

    def _wanted(self, gap: np.ndarray, near: np.ndarray, shut: np.ndarray | float) -> np.ndarray:
        """(T,P) one round of `amount`, from the gaps and from how surely the lips face each other (T,P)."""
        cancel.check()
        shut = np.reshape(shut, (-1, 1))
        # What the correction would do to the face at rest is taken back, the less the more the gap differs from rest.
        same = 1 - smooth_step(np.abs(gap - self._still) / (2 * CLOSING))
        wanted = _change(gap, WIDER * shut) - _change(self._still, WIDER * shut) * same
        # Where the performance keeps the lips closed they close, however they stand at rest.
        if self.columns is None:
            # The rims of a cut were one line: they close also where the lips have passed each other in depth.
            wanted = (wanted + shut * (np.maximum(wanted, 0) - wanted)) * near
            wanted += shut * _change(np.maximum(gap, 0), WIDER * shut)
        else:
            closed = self.columns.closing(np.where(near > 0.5, gap, np.inf), WIDER * shut)
            closed = np.where(gap < -PRESS, -PRESS - gap, closed)
            wanted = (wanted + shut * (closed - wanted)) * near
        push = np.clip(wanted, 0, LARGEST)
        held = np.zeros_like(push)
        active = np.flatnonzero(push.any(1))
        held[active] = _held(push[active], self.neighbours, self.envelope)
        return held + np.minimum(wanted, 0)

    def modes(self) -> np.ndarray:
        """(P,M,3) displacement of `vertices` by one millimetre at each pair: amount @ modes is the correction."""
        return (self.spread.T[:, :, None] * (self.up * self.mm)).astype(np.float32)

    def corrected(self, displacement: np.ndarray, shut: np.ndarray | float = 0.0) -> np.ndarray:
        """(T,V,3) the motion with lips that meet and do not cross; displacement (T,V,3), mesh units; shut as above."""
        answer = displacement.copy()
        near = displacement[:, self.vertices]
        share = self.amount(near, shut).astype(displacement.dtype) @ self.spread.T
        answer[:, self.vertices] = near + share[:, :, None] * (self.up * self.mm).astype(displacement.dtype)
        return answer


@dataclass(frozen=True)
class Columns:
    """Pairs in order of their columns, from right to left. order (P,); starts (C,): where each column begins in it;
    blend (C,P): from values of the columns to the pairs, linear between their middles."""

    order: np.ndarray
    starts: np.ndarray
    blend: np.ndarray

    def closing(self, gap: np.ndarray, wider: np.ndarray) -> np.ndarray:
        """(T,P) the change (mm, <= 0) at which lips with these gaps (T,P) meet first in and beside each pair's column;
        wider (T,1): see `_stays`."""
        lowest = np.minimum.reduceat(gap[:, self.order], self.starts, axis=1)
        wide = np.pad(lowest, ((0, 0), (1, 1)), mode="edge")
        least = np.minimum(np.minimum(wide[:, :-2], wide[:, 2:]), lowest)
        least = np.minimum(least, CLOSING + np.float32(WIDER))  # nothing closes there, nor where no lip lies below
        least = least @ self.blend
        press = np.clip(PRESS + least, 0, PRESS) * (1 - _stays(least, wider))
        return _change(np.maximum(least, 0), wider) - press


def closed(motion: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """(T,) in [0,1]: how surely the lips are closed in landmark motion (T,68,3) of neutral (68,3), canonical units."""
    upper, lower = np.array(INNER_LIP_PAIRS).T
    parted = motion[:, upper, 1] - motion[:, lower, 1]
    rest = neutral[upper, 1] - neutral[lower, 1]
    parted += rest - np.clip(rest, 0, CLOSED_GAP)
    return 1 - smooth_step((parted.max(1) * EYE_DISTANCE_MM - PARTED[0]) / (PARTED[1] - PARTED[0]))


def met(keys: ShapeKeys, lips: Contact, shut: np.ndarray, tolerance: float = 0.1) -> ShapeKeys:
    """Shape keys with a few more that make lips meet and not cross; the dense sequence is never made.

    keys.shapes (K,V,3) for the vertices `lips` was made for; shut (T,): see `closed`; tolerance: largest error of what
    is added, mesh units.
    """
    shapes = keys.shapes[:, lips.vertices]
    blocks = [slice(start, start + _FRAMES_AT_ONCE) for start in range(0, len(keys.weights), _FRAMES_AT_ONCE)]
    amount = np.concatenate(
        [lips.amount(np.tensordot(keys.weights[block], shapes, 1), shut[block]) for block in blocks]
        or [np.empty((0, 1))]
    )
    if not len(amount) or np.abs(amount).max() * lips.mm <= tolerance / 10:
        return keys
    added = compress_factors(amount, lips.modes(), tolerance)
    return with_more(keys, lips.vertices, added.shapes, added.weights, keys.max_error + added.max_error)


def _held(push: np.ndarray, neighbours: np.ndarray, envelope: np.ndarray) -> np.ndarray:
    """(T,P) the largest of the pushes (T,P) around each pair, each as firm as it holds there; (P,N) as in Contact."""
    held = np.zeros_like(push)
    for column, firm in zip(neighbours.T, envelope.T, strict=True):
        np.maximum(held, push[:, column] * firm, out=held)
    return held


def _change(gap: np.ndarray, wider: np.ndarray) -> np.ndarray:
    """Wanted minus present gap (mm), differentiable: crossing lips meet, nearly closed ones close, open ones stay."""
    return gap * (_stays(gap, wider) - 1)


def _stays(gap: np.ndarray, wider: np.ndarray) -> np.ndarray:
    """0 for gaps that close, 1 for those that stay."""
    return smooth_step((gap - SHUT - wider) / (CLOSING - SHUT))


def of_opened(opened: OpenedMouth, landmarks: np.ndarray) -> Contact:
    """The contact of a mouth that was cut open: its two rims meet, vertex by vertex. landmarks (68,3), mesh units."""
    frame = mouth_curve.frame_in_mm(landmarks)
    points = frame.to_canonical(opened.skin_vertices.astype(float))
    upper, lower = opened.upper_rim[1:-1], opened.lower_rim[1:-1]
    side = opened.side[: opened.skin_count]
    lips = _contact(points, side, _rows(upper, len(points)), _rows(lower, len(points)), frame)
    lean = raster.vertex_normals(points, opened.skin_triangles)[:, 1] * side
    inside = lean < -_LEAN
    inside[upper] = inside[lower] = True
    place, side = points[lips.vertices], side[lips.vertices]
    row = _row(lips.vertices, len(points))
    inside = inside[lips.vertices] & (cKDTree(points[upper]).query(place)[0] < _AROUND)
    above, below = np.flatnonzero(inside & (side == UPPER)), np.flatnonzero(inside & (side == LOWER))
    above, below = above[facing.thinned(-place[above], _SPARSE)], below[facing.thinned(place[below], _SPARSE)]
    slid = (
        facing.over_rim(facing.of_lips(above, below, place, place), row[upper], row[lower], place),
        facing.over_rim(facing.of_lips(below, above, place, place, LOWER), row[lower], row[upper], place),
    )
    return replace(lips, slid=slid).unfolded()


def of_open_lips(
    vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, shutting: np.ndarray | None = None
) -> Contact:
    """The contact of lips that are modelled apart: vertices of the upper one over the surface of the lower one.

    vertices (V,3), triangles (F,3), landmarks (68,3), mesh units; shutting (V,3): displacement that shuts a mouth which
    stands open. LandmarkError where no lips face each other.
    """
    frame = mouth_curve.frame_in_mm(landmarks)
    rest = frame.to_canonical(np.asarray(vertices, float))
    handles_mm = frame.to_canonical(np.asarray(landmarks, float))
    curve = mouth_curve.mouth_curve(handles_mm)
    side = _sides(rest, triangles, handles_mm)
    points = rest if shutting is None else rest + frame.vectors_to_canonical(shutting)
    lean = raster.vertex_normals(points, triangles)[:, 1] * side
    near = curve.between_corners(points, -1) & (np.abs(curve.in_front(points)) < _APART)
    near &= (np.abs(curve.above(points)) < _APART) & (lean < -0.2)
    upper, lower = np.flatnonzero(near & (side == UPPER)), np.flatnonzero(near & (side == LOWER))
    if len(upper) < 4 or len(lower) < 4:
        raise LandmarkError("No facing lips were found between the mouth corners; check the lip landmarks.")
    upper = upper[facing.thinned(-points[upper], _GRID)]
    distance, index = cKDTree(points[lower][:, [0, 2]]).query(points[upper][:, [0, 2]], 3)
    weights = 1 / np.maximum(distance, 1e-3) ** 2
    weights /= weights.sum(1, keepdims=True)
    under = (weights * points[lower, 1][index]).sum(1)
    paired = (distance[:, 0] < _PAIRED) & (np.abs(points[upper, 1] - under) < _CLOSE)
    weights = weights[paired]
    count = np.count_nonzero(paired)
    if count < 4:
        raise LandmarkError("The lips do not face each other; check the lip landmarks.")
    rows = np.repeat(np.arange(count), 3)
    below = sparse.csr_matrix((weights.ravel(), (rows, lower[index[paired]].ravel())), (count, len(points)))
    above = _rows(upper[paired], len(points))
    apart = frame.vectors_to_mesh((above - below) @ rest)
    lips = _contact(points, side, above, below, frame)
    row = _row(lips.vertices, len(points))
    lower = lower[row[lower] >= 0]
    slid = facing.of_lips(row[upper[paired]], row[lower], points[lips.vertices], rest[lips.vertices])
    return replace(lips, rest=apart, columns=_columns(points[upper[paired], 0]), facing=slid)


def _columns(x: np.ndarray) -> Columns:
    """Pairs at x (P,), mm, in columns of _COLUMN."""
    number = np.floor((x - x.min()) / _COLUMN).astype(int)
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    middle = np.add.reduceat(x[order], starts) / np.diff(np.append(starts, len(x)))
    blend = np.stack([np.interp(x, middle, row) for row in np.identity(len(middle))])
    return Columns(order, starts, blend)


def _row(vertices: np.ndarray, count: int) -> np.ndarray:
    """(count,) where each vertex stands among `vertices`, -1 where it does not."""
    row = np.full(count, -1)
    row[vertices] = np.arange(len(vertices))
    return row


def _rows(columns: np.ndarray, count: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(columns)), (np.arange(len(columns)), columns)), (len(columns), count))


def _sides(points: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(V,) UPPER or LOWER for vertices within reach of a lip, by the way along the surface from the outer lips."""
    close = np.linalg.norm(points - landmarks[mouth_curve.LIPS].mean(0), axis=1) < 45
    used, local = np.unique(triangles[close[triangles].all(1)], return_inverse=True)
    if not len(used):
        raise LandmarkError("There is no surface around the lip landmarks; are they those of this mesh?")
    graph = handles.edge_graph(points[used], local.reshape(-1, 3))
    tree = cKDTree(points[used])
    ways = [
        handles.edge_distance(graph, tree.query(landmarks[outer])[1], 40.0)
        for outer in (mouth_curve.OUTER_UPPER[1:-1], mouth_curve.OUTER_LOWER[1:-1])
    ]
    side = np.zeros(len(points), np.int8)
    side[used] = np.where(ways[0] < ways[1], UPPER, np.where(ways[1] < ways[0], LOWER, 0))
    return side


def _contact(
    points: np.ndarray, side: np.ndarray, upper: sparse.csr_matrix, lower: sparse.csr_matrix, frame: Similarity
) -> Contact:
    """Pairs and their influence; points (V,3) in canonical mm, upper and lower (P,V)."""
    above, below = upper @ points, lower @ points
    blocks, vertices = [], []
    for sign, rim in ((UPPER, above), (LOWER, below)):
        tree = cKDTree(rim)
        mine = np.flatnonzero(side == sign)
        mine = mine[tree.query(points[mine], distance_upper_bound=3 * FADING)[0] < 2 * FADING]
        distance = np.linalg.norm(points[mine][:, None] - rim[None], axis=2)
        nearest = distance.min(1, keepdims=True)
        # Beside the rim a vertex follows its own pair; further away, the pairs around it.
        scale = 0.2 + 0.5 * nearest
        share = np.exp(-(((distance - nearest) / scale) ** 2) - (distance / (8 * FADING)) ** 2)
        share[share < _LEAST] = 0
        share *= 0.5 * sign * np.exp(-((nearest / FADING) ** 2)) / share.sum(1, keepdims=True)
        blocks.append(share)
        vertices.append(mine)
    order = np.concatenate(vertices)
    middle = (above + below) / 2
    firm = np.exp(-((np.linalg.norm(middle[:, None] - middle[None], axis=2) / ALONG) ** 2)).astype(np.float32)
    neighbours = np.argsort(-firm, axis=1)[:, : (firm > _LEAST).sum(1).max()]
    return Contact(
        vertices=order,
        upper=upper[:, order],
        lower=lower[:, order],
        rest=frame.vectors_to_mesh(above - below),
        spread=np.concatenate(blocks).astype(np.float32),
        neighbours=neighbours,
        envelope=np.take_along_axis(firm, neighbours, 1),
        up=frame.rotation[:, 1].copy(),
        forward=frame.rotation[:, 2].copy(),
        mm=frame.scale,
    )
