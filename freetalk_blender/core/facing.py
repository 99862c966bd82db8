"""What lies below a point of the upper lip, wherever the lips have slid to.

Lips slide over each other by millimetres: pursed lips roll out, the jaw pulls the lower one back. A point of the upper
lip is therefore measured against the part of the lower one that lies below it now, not against what did at rest: a
plane through the lower lip's vertices near it, each counted by its distance in plan (moving least squares; Lancaster &
Salkauskas 1981, Mathematics of Computation 37), so that the gap is a smooth function of the motion.
"""

from dataclasses import dataclass

import numpy as np

#: Scale of the plane's fit (mm), and the mean square distance (mm²) from its middle below which it is held level.
_SCALE, _LEVEL = 1.0, 0.05
#: Lips face each other where the nearest vertex of the lower one counts for more than this.
_BELOW = 0.3
#: How far aside and in depth a vertex of the lower lip may lie to come under a point (mm).
_ASIDE, _DEEP = 2.0, 5.0
#: On fine meshes one vertex in so many mm stands for its neighbours.
_APART = 1.0
_FRAMES_AT_ONCE = 32


@dataclass(frozen=True)
class Facing:
    """P points of the upper lip over the lower one.

    vertices (N,): of the mesh, that follow. place (N,3): they at rest, canonical mm. upper (P,): the points among them.
    below (P,K): those that may come to lie under each; known (P,K): which of them are any.
    """

    vertices: np.ndarray
    place: np.ndarray
    upper: np.ndarray
    below: np.ndarray
    known: np.ndarray

    def gap(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T,P) mm of each point over the lower lip, negative where they cross, and (T,P) in [0,1]: how surely the
        lower lip lies under it; displacement (T,N,3) of `vertices`, canonical mm."""
        gap = np.empty((len(displacement), len(self.upper)), np.float32)
        near = np.empty_like(gap)
        for start in range(0, len(gap), _FRAMES_AT_ONCE):
            block = slice(start, start + _FRAMES_AT_ONCE)
            gap[block], near[block] = self._of(displacement[block])
        return gap, near

    def _of(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved = (self.place + displacement).astype(np.float32)
        point = moved[:, self.upper]
        x, y, z = (moved[:, self.below, axis] - point[..., axis, None] for axis in range(3))
        weight = np.exp(-(x**2 + z**2) / _SCALE**2) * self.known
        near = np.clip(weight.max(2, initial=0) / _BELOW, 0, 1)
        weight /= weight.sum(2, keepdims=True) + np.float32(1e-9)

        def mean(first: np.ndarray, second: np.ndarray | None = None) -> np.ndarray:
            terms = (weight, first) if second is None else (weight, first, second)
            return np.einsum(",".join(["tpk"] * len(terms)) + "->tp", *terms)

        mx, my, mz = mean(x), mean(y), mean(z)
        xx, zz, xz = mean(x, x) - mx * mx + _LEVEL, mean(z, z) - mz * mz + _LEVEL, mean(x, z) - mx * mz
        xy, zy = mean(x, y) - mx * my, mean(z, y) - mz * my
        aside, deep = xy * zz - zy * xz, zy * xx - xy * xz
        return (aside * mx + deep * mz) / (xx * zz - xz * xz) - my, near * near * (3 - 2 * near)


def of_lips(upper: np.ndarray, lower: np.ndarray, shut: np.ndarray, place: np.ndarray) -> Facing:
    """Points of the upper lip, upper (P,), over vertices of the lower one, lower (L,).

    shut (M,3): all vertices where the mouth is shut, place (M,3): at rest; canonical mm.
    """
    lower = lower[_first_of_each(shut[lower])]
    offset = shut[lower][None] - shut[upper][:, None]
    inside = (np.abs(offset[..., 0]) < _ASIDE) & (np.abs(offset[..., 2]) < _DEEP)
    order = np.argsort(~inside, axis=1, kind="stable")[:, : inside.sum(1).max()]
    vertices = np.concatenate([upper, lower])
    below = len(upper) + order
    return Facing(vertices, place[vertices], np.arange(len(upper)), below, np.take_along_axis(inside, order, 1))


def _first_of_each(points: np.ndarray) -> np.ndarray:
    """Rows of the highest points (n,3) in each square of _APART, seen from above."""
    down = np.argsort(-points[:, 1])
    return down[np.unique(np.rint(points[down][:, [0, 2]] / _APART), axis=0, return_index=True)[1]]
