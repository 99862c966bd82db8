"""What becomes of a mesh whose mouth is made ready to open: the old vertices and triangles, and what is added."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from ..landmarks import nearest_vertices
from ..surface import rows

#: What a triangle of an opened mouth is: skin; the inside of a lip; the bag between throat and lips; the hollow that
#: the scan itself has behind its lips; what furnishes it; an eyeball.
SKIN, LIP, BAG, HOLLOW, TOOTH, GUM, TONGUE, SCLERA, IRIS, PUPIL = range(10)
#: Which lip a vertex belongs to. Corners and everything that is no lip belong to none.
UPPER, LOWER, NEITHER = 1, -1, 0


@dataclass(frozen=True)
class Furniture:
    """What moves the last M vertices of an opened mesh, in its unit and axes.

    telling (C,): the skin's vertices that tell how the jaw moves: its bone is displaced at the chin by the sum of told
    (C,3,3) @ displacement of each. turn (M,3,3): displacement = turn @ displacement of the bone. tongue (3,M,3):
    displacement where each of tongue.CHANNELS is full; of the first, near and, for each mm that the bone sinks, further
    are the shares that bring the tip to its ridge.
    """

    telling: np.ndarray
    told: np.ndarray
    turn: np.ndarray
    tongue: np.ndarray
    near: float
    further: float

    def displacement(self, skin: np.ndarray) -> np.ndarray:
        """(T,S,3) displacement of the skin -> (T,M,3)."""
        bone = np.einsum("cij,tcj->ti", self.told, skin[:, self.telling])
        return np.einsum("mij,tj->tmi", self.turn, bone).astype(skin.dtype)


@dataclass(frozen=True)
class OpenedMouth:
    """A mesh whose mouth can open; vertices in the unit and axes of the input of V vertices and F triangles.

    vertices (V+N,3) float32: the input's first, unmoved. triangles (G,3) int32: first `kept` of the input's own, in
    order, then new ones. triangle_source (G,): the input triangle that each lies in, or, inside the mouth, borders on.
    corner_weights (G-kept,3,3): barycentric weights, in that input triangle, of the three corners of each new triangle:
    corner attributes such as UVs follow as sum(weights * attribute). source (V+N,V) sparse: vertex attributes follow as
    source @ attribute; identity for the input's vertices. part (G,) int8: SKIN, LIP, BAG,
    HOLLOW, TOOTH, GUM, TONGUE, SCLERA, IRIS or PUPIL.
    side (V+N,) int8: UPPER or LOWER on the lips near the seam and inside, NEITHER elsewhere.
    upper_rim, lower_rim (n,): the seam's vertices from the subject's right corner to the left; pairs at one place, the
    first and last of which are the corners and the same vertex. Empty where nothing was cut.
    skin_count: the first skin_count vertices and the SKIN and HOLLOW triangles are the surface to bind; the rest is
    carried: carry (V+N-skin_count,skin_count) sparse, its displacement = carry @ displacement of the skin.
    landmark_vertices (68,): nearest vertices, inner lips on the rim, each lip's landmarks on its own side. Empty where
    nothing was cut. furniture: what moves the last vertices, whose rows of carry are empty; None where there are none.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    kept: int
    triangle_source: np.ndarray
    corner_weights: np.ndarray
    source: sparse.csr_matrix
    part: np.ndarray
    side: np.ndarray
    upper_rim: np.ndarray
    lower_rim: np.ndarray
    skin_count: int
    carry: sparse.csr_matrix
    landmark_vertices: np.ndarray
    furniture: Furniture | None = None

    @property
    def skin_vertices(self) -> np.ndarray:
        """(skin_count,3) the vertices of the surface to bind."""
        return self.vertices[: self.skin_count]

    @property
    def skin_triangles(self) -> np.ndarray:
        """(S,3) the triangles of the surface to bind."""
        return self.triangles[np.isin(self.part, (SKIN, HOLLOW))]

    @property
    def is_cut(self) -> bool:
        """The lips were fused and have been cut apart."""
        return len(self.upper_rim) > 0

    @property
    def has_mouth(self) -> bool:
        """There is more than skin and eyeballs."""
        return not np.isin(self.part, (SKIN, SCLERA, IRIS, PUPIL)).all()

    def carried(self, displacement: np.ndarray) -> np.ndarray:
        """(T,skin_count,3) displacement of the skin -> (T,V+N,3) of every vertex."""
        if len(self.vertices) == self.skin_count:
            return displacement
        columns = np.unique(self.carry.indices)
        narrow = self.carry[:, columns].astype(displacement.dtype)
        moved = displacement[:, columns].transpose(1, 0, 2).reshape(len(columns), 3 * len(displacement))
        bag = (narrow @ moved).reshape(self.carry.shape[0], len(displacement), 3).transpose(1, 0, 2)
        if self.furniture is not None:
            bag[:, -len(self.furniture.turn) :] = self.furniture.displacement(displacement)
        return np.concatenate([displacement, bag], 1)


@dataclass(frozen=True)
class Addition:
    """N vertices and G triangles to be added to an opened mouth that has V0 of them.

    vertices (N,3); triangles (G,3): V0.. are the new ones; part (G,); side (N,); source (N,V) and carry (N,skin_count)
    sparse; triangle_source (G,); corner_weights (G,3,3): all as in OpenedMouth.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    part: np.ndarray
    side: np.ndarray
    source: sparse.csr_matrix
    carry: sparse.csr_matrix
    triangle_source: np.ndarray
    corner_weights: np.ndarray


def with_added(opened: OpenedMouth, more: Addition) -> OpenedMouth:
    """The opened mouth with more in it, after what it has."""
    return replace(
        opened,
        vertices=np.concatenate([opened.vertices, more.vertices]).astype(np.float32),
        triangles=np.concatenate([opened.triangles, more.triangles]).astype(np.int32),
        triangle_source=np.concatenate([opened.triangle_source, more.triangle_source]).astype(np.int32),
        corner_weights=np.concatenate([opened.corner_weights, more.corner_weights]),
        source=sparse.csr_matrix(sparse.vstack([opened.source, more.source])),
        part=np.concatenate([opened.part, more.part]).astype(np.int8),
        side=np.concatenate([opened.side, more.side]).astype(np.int8),
        carry=sparse.csr_matrix(sparse.vstack([opened.carry, more.carry])),
    )


def with_loose(opened: OpenedMouth, points: np.ndarray, triangles: np.ndarray, part: np.ndarray) -> OpenedMouth:
    """The mesh with loose pieces: points (N,3), mesh units, triangles (G,3) of them, part (G,).

    They stay where they are; each vertex looks like the skin's next to it.
    """
    skin = rows.present(opened.triangles[opened.part == SKIN], len(opened.vertices))
    nearest = skin[nearest_vertices(points, opened.vertices[skin])]
    more = Addition(
        points,
        triangles + len(opened.vertices),
        part,
        np.full(len(points), NEITHER, np.int8),
        opened.source[nearest],
        sparse.csr_matrix((len(points), opened.skin_count)),
        np.full(len(triangles), opened.triangle_source[0]),
        np.full((len(triangles), 3, 3), 1 / 3),
    )
    return with_added(opened, more)


def without(opened: OpenedMouth, part: int) -> OpenedMouth:
    """The opened mouth without the triangles of one part. Its vertices stay."""
    keep = opened.part != part
    return replace(
        opened,
        triangles=opened.triangles[keep],
        kept=int(keep[: opened.kept].sum()),
        triangle_source=opened.triangle_source[keep],
        corner_weights=opened.corner_weights[keep[opened.kept :]],
        part=opened.part[keep],
    )


def untouched(vertices: np.ndarray, triangles: np.ndarray) -> OpenedMouth:
    """A mesh (V,3), (F,3) to which nothing is done, as something can be added to."""
    count = len(vertices)
    none = np.empty(0, np.int32)
    return OpenedMouth(
        vertices=np.asarray(vertices, np.float32),
        triangles=np.asarray(triangles, np.int32),
        kept=len(triangles),
        triangle_source=np.arange(len(triangles), dtype=np.int32),
        corner_weights=np.empty((0, 3, 3)),
        source=sparse.identity(count, format="csr"),
        part=np.full(len(triangles), SKIN, np.int8),
        side=np.full(count, NEITHER, np.int8),
        upper_rim=none,
        lower_rim=none,
        skin_count=count,
        carry=sparse.csr_matrix((0, count)),
        landmark_vertices=none,
    )


def spread_columns(rows: sparse.csr_matrix, columns: np.ndarray, count: int) -> sparse.csr_matrix:
    """(R,C) rows over a few columns (C,) -> (R,count) over all of them; repeated columns add up."""
    rows = sparse.coo_matrix(rows)
    return sparse.csr_matrix((rows.data, (rows.row, columns[rows.col])), (rows.shape[0], count))


def barycentric_weights(
    source: sparse.csr_matrix, vertices: np.ndarray, triangles: np.ndarray, source_triangles: np.ndarray
) -> np.ndarray:
    """(G,3,3) barycentric weights, in each triangle's source triangle, of where its corners take their looks from.

    A corner merged away from its own triangle lies a little outside: linear extrapolation is right for UVs.
    """
    looks = (source @ vertices)[triangles]
    a, b, c = np.moveaxis(vertices[source_triangles], 1, 0)
    u, v = (b - a)[:, None], (c - a)[:, None]
    w = looks - a[:, None]
    uu, uv, vv, uw, vw = ((p * q).sum(-1) for p, q in ((u, u), (u, v), (v, v), (u, w), (v, w)))
    area = uu * vv - uv**2
    flat = area <= 1e-12 * uu * vv
    area = np.where(flat, 1, area)
    second, third = (vv * uw - uv * vw) / area, (uu * vw - uv * uw) / area
    weights = np.clip(np.stack([1 - second - third, second, third], -1), -1, 2)
    total = weights.sum(-1, keepdims=True)
    weights = np.where(flat[..., None] | (total < 0.1), 1 / 3, weights)
    return weights / weights.sum(-1, keepdims=True)
