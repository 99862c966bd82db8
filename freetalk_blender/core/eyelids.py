"""What corrects the finished motion of eyes: lids that slide over balls, skin that stays until a lid comes over it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from .attached import Attached
from .compress import ShapeKeys, changed, factors, in_blocks
from .surface.rows import numbered


class Part(Protocol):
    """Some of what corrects the eyes: their lids, or the skin between them."""

    @property
    def vertices(self) -> np.ndarray:
        """(M,) vertices of the mesh that it moves or looks at, each once."""

    def correction(self, displacement: np.ndarray, shut: np.ndarray, /) -> np.ndarray:
        """(T,M,3) what their displacement (T,M,3), mesh units, needs beside it; nothing at rest.

        shut (T,2): how surely each eye is in a blink, as `lids.closed` says.
        """


@dataclass(frozen=True)
class Followers:
    """What goes with the skin of the lids, as lashes do: vertices (n,), each once; skin (m,): those followed; shares
    (n,m): how much of each; turn (n,3,3): how far what is followed turns them, in the mesh's axes."""

    vertices: np.ndarray
    skin: np.ndarray
    shares: sparse.csr_matrix
    turn: np.ndarray

    def follow(self, change: np.ndarray) -> np.ndarray:
        """(T,n,3) by the change (T,m,3) of the skin."""
        moved = self.shares @ change.transpose(1, 0, 2).reshape(len(self.skin), -1)
        return np.einsum("nij,ntj->tni", self.turn, moved.reshape(len(self.vertices), -1, 3))


@dataclass(frozen=True)
class Eyelids:
    """All that corrects the eyes of one face."""

    parts: tuple[Part, ...]
    followers: Followers | None = None

    @cached_property
    def vertices(self) -> np.ndarray:
        """(M,) vertices of all parts."""
        followers = [] if self.followers is None else [self.followers.vertices]
        return np.unique(np.concatenate([*(part.vertices for part in self.parts), *followers]))

    def followed(self, parts: Attached, source: np.ndarray, rotation: np.ndarray) -> "Eyelids":
        """The same with loose parts that sit on the lids.

        parts: of a cleaned mesh, of which source (U,) is the vertex of each of this one's, -1 without; rotation (3,3):
        from canonical axes to the mesh's.
        """
        skin = self.vertices[source[self.vertices] >= 0]
        skin = skin[np.unique(source[skin], return_index=True)[1]]
        shares = parts.carry[:, source[skin]]
        on_lids = parts.vertices[np.diff(shares.indptr) > 0]
        own = np.flatnonzero(np.isin(source, on_lids))
        if not len(own):
            return self
        row = numbered(parts.vertices, parts.carry.shape[1])[source[own]]
        turn = (rotation @ parts.turn[row] @ rotation.T).astype(np.float32)
        return replace(self, followers=Followers(own, skin, shares[row].astype(np.float32), turn))

    def correction(self, displacement: np.ndarray, shut: np.ndarray) -> np.ndarray:
        """(T,M,3) the sum of what the parts add; displacement (T,M,3) of `vertices`, mesh units; shut (T,2)."""
        change = np.zeros_like(displacement)
        for part in self.parts:
            rows = np.searchsorted(self.vertices, part.vertices)
            change[:, rows] += part.correction(displacement[:, rows], shut)
        if self.followers is not None:
            skin, own = (
                np.searchsorted(self.vertices, which) for which in (self.followers.skin, self.followers.vertices)
            )
            change[:, own] += self.followers.follow(change[:, skin])
        return change

    def correct(self, motion: np.ndarray, shut: np.ndarray) -> None:
        """Change a motion (T,V,3) of the mesh, mesh units, so that its eyes are right; shut (T,2)."""
        change = self.correction(motion[:, self.vertices], shut)
        if change.any():
            motion[:, self.vertices] += change


def met(keys: ShapeKeys, lids: Eyelids, shut: np.ndarray, tolerance: float, error: float) -> ShapeKeys:
    """Shape keys that correct the eyes, with a few more where they must; the dense sequence is never made.

    keys.shapes (K,V,3) for the vertices that `lids` was made for; shut (T,2); tolerance: largest error of what is
    added, mesh units; error: that of `keys` away from the lips, where lids are.
    """
    own, lost = keys.shapes[:, lids.vertices], tolerance / 10
    blocks = zip(in_blocks(keys.weights), in_blocks(shut), strict=True)
    changes = (lids.correction(np.tensordot(block, own, 1), frames) for block, frames in blocks)
    code, shapes = factors(changes, len(lids.vertices), lost)
    if not len(shapes):
        return keys
    answer = changed(replace(keys, max_error=error), lids.vertices, code, shapes, tolerance - lost)
    return replace(answer, max_error=max(keys.max_error, answer.max_error + lost))
