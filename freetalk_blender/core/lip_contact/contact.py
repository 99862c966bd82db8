"""Lips that touch and never cross: a correction of a finished motion, frame by frame.

A network moves each lip well within a millimetre, and that is enough for closed lips to cross or to leave a sliver of
darkness. Points of the upper lip are paired with points of the lower one (lip_pairs.py) and measured against what has
slid there (facing.py, sliding.py). Where a pair would cross, both sides give way by half; where it nearly closes, it
closes. The amount is a continuous function of the pairs' gaps alone, so the correction is as steady in time as the
motion is, and zero for a face at rest. Where the performance keeps the lips closed they close, also on a scan whose own
lips stand a little open.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .. import cancel
from ..compress import ShapeKeys, changed
from ..frame import EYE_DISTANCE_MM, Similarity
from ..landmarks import INNER_LIP_PAIRS, gaps
from ..ramp import smooth_step
from ..surface.rows import numbered
from .facing import Facing
from .sliding import Slid

#: Gaps below the first close: a binding's lips are within it of where a performance wants them. Up to the second they
#: are drawn together, the smaller the more (mm).
SHUT, CLOSING = 0.3, 2.0
#: In a frame whose performance keeps the lips closed both bounds are this much wider; between these gaps of the inner
#: lips' landmarks over their closed ones it counts as closed, less and less (mm).
WIDER, PARTED = 1.4, (0.2, 0.9)
#: Lips that were modelled apart meet where pairs of them were sampled: they press into each other by this much (mm).
PRESS = 0.05
#: Pushing moves other skin under a point: how often such lips are looked at anew, and those of a cut, which slide.
_ROUNDS, _SLIDING_ROUNDS = 3, 6
#: Lips that lie in each other at rest are drawn apart by this at most (mm), in so many steps.
_FOLD, _UNFOLDING = 2.0, 10
#: Lips this far apart in depth pass each other, as in "f": from the first to the second the correction fades (mm).
PASSING = (2.5, 5.0)
#: No lip is pushed further than this (mm).
LARGEST = 6.0
#: Inner-lip landmarks of a cut belong to a shut mouth, or to one that a scanner spanned with skin: how far behind the
#: line between them the cut lies, and how far apart they are (mm); in between, a bit of each.
_BEHIND, _SPANNED = (1.5, 4.5), (2.7, 4.0)
#: The lips at a place are the pairs within so many mm along the mouth.
_BESIDE = 2.0
_FRAMES_AT_ONCE = 32


@dataclass(frozen=True)
class Contact:
    """P pairs of points on facing lips.

    vertices (M,): the mesh's vertices that a correction moves. place (M,3): they at rest, canonical mm. upper, lower
    (P,M) sparse: the pairs' points among them. spread (M,P): share of each pair's correction that a vertex takes,
    positive on the upper lip. neighbours, envelope (P,N): other pairs, and how firmly a push there holds this one.
    frame: from canonical mm to the mesh. facing: of lips that were modelled apart: what lies below each point; None
    along a cut. slid: of a cut, the skin of each lip over that of the other. unfold (P,): mm by which each pair is to
    be opened at rest, where the lips lie in each other.
    """

    vertices: np.ndarray
    place: np.ndarray
    upper: sparse.csr_matrix
    lower: sparse.csr_matrix
    spread: np.ndarray
    neighbours: np.ndarray
    envelope: np.ndarray
    frame: Similarity
    facing: Facing | None = None
    slid: tuple[Slid, ...] = ()
    unfold: np.ndarray | float = 0.0

    def of_twins(self, source: np.ndarray) -> "Contact":
        """The contact of a mesh whose vertices (U,) are the vertices `source` of this one, -1 where they are none.

        Those that are one here move as one.
        """
        row = numbered(self.vertices, max(int(source.max()), int(self.vertices.max())) + 1)[source]
        row[source < 0] = -1
        own = np.flatnonzero(row >= 0)
        first = np.unique(row[own], return_index=True)[1]
        own = np.concatenate([own[first], np.delete(own, first)])
        none = sparse.csr_matrix((len(self.neighbours), len(own) - len(first)))
        return replace(
            self,
            vertices=own,
            place=self.place[row[own]],
            upper=sparse.hstack([self.upper, none], "csr"),
            lower=sparse.hstack([self.lower, none], "csr"),
            spread=self.spread[row[own]],
        )

    def gap(self, displacement: np.ndarray) -> np.ndarray:
        """(T,P) mm between the lips along the face's vertical, negative where they cross; displacement (T,V,3)."""
        return self._gaps(displacement[:, self.vertices])[0].T

    def _gaps(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P,T) mm between the lips, and (P,T) in [0,1]: how surely they face each other; displacement (T,M,3)."""
        if self.facing is None:
            return self._rims(displacement)
        return self.facing.gap(self._lips(displacement, self.facing))

    def _rims(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P,T) mm of the pairs' upper points over the lower ones, and (P,T) in [0,1]: how surely they face each other;
        displacement (T,M,3) of `vertices`."""
        used, difference = self._difference
        _, high, ahead = self._moved(displacement, used)
        offset = np.abs(difference @ ahead) - np.abs(difference @ self.place[used, 2])[:, None]
        return difference @ high, 1 - smooth_step((offset - PASSING[0]) / (PASSING[1] - PASSING[0]))

    @cached_property
    def _difference(self) -> tuple[np.ndarray, sparse.csr_matrix]:
        """(n,) the vertices of pairs among `vertices`, and (P,n) upper minus lower points by them."""
        matrix = sparse.csr_matrix(self.upper - self.lower)
        used = np.unique(matrix.indices)
        return used, matrix[:, used].astype(np.float32)

    @cached_property
    def _axes(self) -> np.ndarray:
        """(3,3) from mesh axes and units to canonical millimetres."""
        return (self.frame.rotation / self.frame.scale).astype(np.float32)

    def _moved(self, displacement: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(3,n,T) places of `vertices`[rows (n,)], canonical mm; displacement (T,M,3) of `vertices`, mesh units."""
        near = displacement[:, rows].astype(np.float32, copy=False)
        place = np.ascontiguousarray((near.reshape(-1, 3) @ self._axes).reshape(near.shape).transpose(2, 1, 0))
        place += self.place[rows].T[:, :, None]
        return place

    def _lips(self, displacement: np.ndarray, facing: Facing) -> np.ndarray:
        """(3,N,T) places of the points of both lips, canonical mm; displacement (T,M,3) of `vertices`, mesh units."""
        return np.stack([facing.shares @ axis for axis in self._moved(displacement, facing.vertices)])

    @cached_property
    def _still(self) -> np.ndarray:
        """(P,1) mm between the lips at rest."""
        gap, near = self._gaps(self._unmoved)
        return np.where(near > 0, gap, self._rims(self._unmoved)[0])

    @property
    def _unmoved(self) -> np.ndarray:
        """(1,M,3) no displacement of `vertices`."""
        return np.zeros((1, len(self.vertices), 3), np.float32)

    def apart(self, displacement: np.ndarray, places: np.ndarray) -> np.ndarray:
        """(T,n) mm between the lips, the least near each of `places` (n,) along the mouth, canonical mm; inf where no
        lips face each other; displacement (T,M,3) of `vertices`."""
        gap, near = self._gaps(displacement)
        beside = np.abs((self.upper @ self.place)[:, 0] - places[:, None]) < _BESIDE
        gap = np.where(near > 0.5, gap, np.inf)
        return np.stack([gap[pairs].min(0, initial=np.inf) for pairs in beside], 1)

    def at_rest(self, landmarks: np.ndarray) -> np.ndarray:
        """(3,) mm between the lips at rest at the pairs of inner-lip landmarks, inf where no lips face each other;
        landmarks (68,3), canonical mm.

        The rims of a cut are one line. Where that lies far behind landmarks that are far apart, it was cut into what a
        scanner spanned across an open mouth, and the lips are as far apart as the landmarks.
        """
        upper, lower = (landmarks[list(side)] for side in zip(*INNER_LIP_PAIRS, strict=True))
        along = (upper[:, 0] + lower[:, 0]) / 2
        if self.facing is not None:
            return self.apart(self._unmoved, along)[0]
        rim = self.upper @ self.place
        rim = rim[np.abs(rim[:, 0] - along[:, None]).argmin(1)]
        gap = gaps(landmarks, INNER_LIP_PAIRS)
        share = np.clip((rim[:, 1] - lower[:, 1]) / np.maximum(gap, 0.1), 0, 1)
        behind = lower[:, 2] + share * (upper[:, 2] - lower[:, 2]) - rim[:, 2]
        deep, wide = (
            smooth_step((found - low) / (high - low)) for found, (low, high) in ((behind, _BEHIND), (gap, _SPANNED))
        )
        return gap * deep * wide

    def amount(self, displacement: np.ndarray, shut: np.ndarray | float = 0.0) -> np.ndarray:
        """(T,P) mm by which each pair is to be opened (> 0) or closed (< 0).

        displacement (T,M,3) of `vertices`; shut (T,): see `closed`.
        """
        blocks = _in_blocks(len(displacement), shut)
        return np.concatenate([self._amount(displacement[block], frames).T for block, frames in blocks])

    def _amount(self, displacement: np.ndarray, shut: np.ndarray) -> np.ndarray:
        """(P,T) `amount` of a few frames, frames last."""
        cancel.check()
        if self.facing is None:
            amount = self._slid_apart(displacement, self._wanted(*self._rims(displacement), shut))
        else:
            amount = self._met(displacement, self.facing, shut)
        return np.clip(amount, -LARGEST, LARGEST)

    def _met(self, displacement: np.ndarray, facing: Facing, shut: np.ndarray) -> np.ndarray:
        """(P,T) `amount` of lips that were modelled apart."""
        place = self._lips(displacement, facing)
        # Further than that above the other lip a pair neither closes nor pushes.
        over = facing.over(place, facing.within(place[1], np.maximum(self._still + 2 * CLOSING, CLOSING + WIDER)))
        near, spread = over.spread(over.near), facing.shares @ self.spread[facing.vertices]
        amount = self._wanted(over.gap(place[1]), near, shut)
        for _ in range(_ROUNDS - 1):
            amount += np.maximum(self._wanted(over.gap(place[1] + spread @ amount), near, shut), 0)
        return amount

    def _planned(self, displacement: np.ndarray, amount: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(M,T) x + iz and (M,T) y of `vertices`, canonical mm, opened by amount (P,T)."""
        x, y, z = self._moved(displacement)
        return x + 1j * z, y + self.spread @ amount

    def _slid_apart(self, displacement: np.ndarray, amount: np.ndarray) -> np.ndarray:
        """amount (P,T), and what keeps rims that have slid past each other out of the other lip's skin."""
        if not self.slid:
            return amount
        unfold = np.reshape(np.float32(self.unfold), (-1, 1))
        drawn = np.broadcast_to(unfold, amount.shape)  # what they need at rest is the first guess
        plan, height = self._planned(displacement, amount)
        apart = height + self.spread @ drawn
        crossings = [lip.over(plan, apart, drawn) for lip in self.slid]
        for _ in range(_SLIDING_ROUNDS):
            push = np.maximum.reduce([crossing.at(apart, drawn) for crossing in crossings])
            drawn = _held(push, self.neighbours, self.envelope)
            apart = height + self.spread @ drawn
        return amount + drawn

    def unfolded(self) -> "Contact":
        """The contact of a cut whose lips lie in each other at rest, as a scanner's crease may: in every frame they are
        first drawn apart as far as they do, by _FOLD at most."""
        amount = np.zeros((len(self.neighbours), 1), np.float32)
        for _ in range(_UNFOLDING):
            amount = np.minimum(self._slid_apart(self._unmoved, amount), _FOLD)
        plan, height = self._planned(self._unmoved, amount)
        return replace(self, unfold=amount[:, 0], slid=tuple(lip.allowing(plan, height) for lip in self.slid))

    def _wanted(self, gap: np.ndarray, near: np.ndarray, shut: np.ndarray) -> np.ndarray:
        """(P,T) one round of `amount`, from the gaps and from how surely the lips face each other (P,T); shut (T,)."""
        wider = np.float32(WIDER) * shut
        # What the correction would do to the face at rest is taken back, the less the more the gap differs from rest.
        same = 1 - smooth_step(np.abs(gap - self._still) / (2 * CLOSING))
        wanted = _change(gap, wider) - _change(self._still, wider) * same
        # Where the performance keeps the lips closed they close, however they stand at rest.
        if self.facing is None:
            # The rims of a cut were one line: they close also where the lips have passed each other in depth.
            wanted = (wanted + shut * (np.maximum(wanted, 0) - wanted)) * near
            wanted += shut * _change(np.maximum(gap, 0), wider)
        else:
            # Lips meet first in and beside each pair's column; nothing closes where no lip lies below.
            open_lips = np.float32(CLOSING + WIDER)
            least = self.facing.columns.least(np.where(near > 0.5, np.minimum(gap, open_lips), open_lips))
            press = np.clip(PRESS + least, 0, PRESS) * (1 - _stays(least, wider))
            closed = np.where(gap < -PRESS, -PRESS - gap, _change(np.maximum(least, 0), wider) - press)
            wanted = (wanted + shut * (closed - wanted)) * near
        return _held(np.clip(wanted, 0, LARGEST), self.neighbours, self.envelope) + np.minimum(wanted, 0)

    @property
    def _up(self) -> np.ndarray:
        """(3,) a millimetre up the face, mesh units."""
        return self.frame.rotation[:, 1] * self.frame.scale

    def modes(self) -> np.ndarray:
        """(P,M,3) displacement of `vertices` by one millimetre at each pair: amount @ modes is the correction."""
        return (self.spread.T[:, :, None] * self._up).astype(np.float32)

    def correct(self, motion: np.ndarray, shut: np.ndarray | float = 0.0) -> None:
        """Make lips meet and not cross in motion (T,V,3), mesh units, in place; shut as above."""
        push = self._up.astype(motion.dtype)
        for block, frames in _in_blocks(len(motion), shut):
            near = np.take(motion[block], self.vertices, 1)
            amount = self._amount(near, frames)
            if not amount.any():
                continue
            share = amount.T @ self.spread.T
            for axis, step in enumerate(push):  # whole arrays at once would take twice as long here and below
                near[..., axis] += step * share
            for frame, moved in zip(motion[block], near, strict=True):
                frame[self.vertices] = moved


def closed(motion: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """(T,) in [0,1]: how surely the lips are closed in landmark motion (T,68,3) of neutral (68,3), canonical units."""
    parted = gaps(neutral + motion, INNER_LIP_PAIRS)
    return 1 - smooth_step((parted.max(1) * EYE_DISTANCE_MM - PARTED[0]) / (PARTED[1] - PARTED[0]))


def met(keys: ShapeKeys, lips: Contact, shut: np.ndarray, tolerance: float = 0.1) -> ShapeKeys:
    """Shape keys with a few more that make lips meet and not cross; the dense sequence is never made.

    keys.shapes (K,V,3) for the vertices `lips` was made for; shut (T,): see `closed`; tolerance: largest error of what
    is added, mesh units.
    """
    shapes = keys.shapes[:, lips.vertices]
    blocks = _in_blocks(len(keys.weights), shut)
    amounts = [lips.amount(np.tensordot(keys.weights[block], shapes, 1), frames) for block, frames in blocks]
    amount = np.concatenate(amounts)
    if np.abs(amount).max() * lips.frame.scale <= tolerance / 10:
        return keys
    return changed(keys, lips.vertices, amount, lips.modes(), tolerance)


def _in_blocks(count: int, shut: np.ndarray | float) -> Iterator[tuple[slice, np.ndarray]]:
    """A few of `count` frames at a time, so that what is worked on stays at hand, with their part of shut (T,)."""
    shut = np.broadcast_to(np.asarray(shut, np.float32), count)
    for start in range(0, count, _FRAMES_AT_ONCE):
        block = slice(start, start + _FRAMES_AT_ONCE)
        yield block, shut[block]


def _held(push: np.ndarray, neighbours: np.ndarray, envelope: np.ndarray) -> np.ndarray:
    """(P,T) the largest of the pushes (P,T), >= 0, around each pair, each as firm as it holds there; neighbours,
    envelope (P,N) as in Contact."""
    held = np.zeros_like(push)
    if push.any():
        for column, firm in zip(neighbours.T, envelope.T, strict=True):
            np.maximum(held, push[column] * firm[:, None], out=held)
    return held


def _change(gap: np.ndarray, wider: np.ndarray) -> np.ndarray:
    """Wanted minus present gap (mm), differentiable: crossing lips meet, nearly closed ones close, open ones stay."""
    return gap * (_stays(gap, wider) - 1)


def _stays(gap: np.ndarray, wider: np.ndarray) -> np.ndarray:
    """0 for gaps that close, 1 for those that stay."""
    return smooth_step((gap - SHUT - wider) / (CLOSING - SHUT))
