"""A dense sequence as few shape keys with one curve each, at a stated maximum error.

Truncated singular value decomposition: among all sets of K shapes it leaves the least squared error (Eckart & Young
1936); K is the smallest whose largest vertex error is within the tolerance.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import cancel
from .errors import FreeTalkError

_FRAMES_AT_ONCE = 256
#: What is lost of a sequence before it is compressed, as a share of its largest component.
_EXACT = 1e-6
#: Existing shapes that, as if all were of one size, differ by less are not built upon apart: weights would explode.
_SAME = 1e-5
#: Existing shapes that a motion would need further out than this are not built upon: Blender ends weights at 10.
_FURTHEST = 2.5
#: Directions of existing curves weaker than this share of the strongest carry no change: shapes would explode.
_WEAK = 1e-2


@dataclass(frozen=True, eq=False)
class ShapeKeys:
    """dense ~ weights @ shapes: shapes (K,V,3) float32 displacement at weight 1; weights (T,K) float32 in [-1,1];
    max_error: the largest distance of any vertex in any frame, in the unit of the shapes; names: K of them where shapes
    have a meaning of their own, empty ones for those that have none."""

    shapes: np.ndarray
    weights: np.ndarray
    max_error: float
    names: tuple[str, ...] = ()


def compress(dense: np.ndarray, tolerance: float) -> ShapeKeys:
    """Shape keys of a dense sequence.

    dense (T,V,3): displacement of every vertex; tolerance >= 0: the largest vertex error allowed, in dense's own unit,
    the mesh's: a tenth of a millimetre is `0.1 * face.frame.units_per_mm`.
    Raises FreeTalkError on wrong shapes and values that are not finite.
    """
    dense = np.asarray(dense)
    if dense.ndim != 3 or dense.shape[2] != 3 or dense.dtype.kind not in "fiu":
        raise FreeTalkError(f"A dense sequence has shape (T, V, 3); got {dense.dtype} of shape {dense.shape}.")
    if not np.isfinite(dense).all():
        raise FreeTalkError("The dense sequence holds values that are not finite; deform it again.")
    code, shapes = factors(in_blocks(dense), dense.shape[1], _EXACT * float(np.abs(dense).max(initial=0)))
    return compress_factors(code, shapes, tolerance)


def in_blocks(frames: np.ndarray) -> Iterator[np.ndarray]:
    """(T,...) some frames at a time, as many as are worked on at once."""
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        yield frames[start : start + _FRAMES_AT_ONCE]


def factors(blocks: Iterable[np.ndarray], count: int, lost: float) -> tuple[np.ndarray, np.ndarray]:
    """code (T,R) and shapes (R,count,3) whose product is a sequence that comes in blocks (B,count,3) of its frames.

    Shapes are added as blocks need them, so memory does not grow with T x count. lost: what no frame differs by more
    than, as the root of the sum over its vertices of squared distances.
    """
    codes, modes = [], np.zeros((0, 3 * count))
    for block in blocks:
        cancel.check()
        flat = block.reshape(len(block), 3 * count).astype(np.float64)
        known = flat @ modes.T
        rest = flat - known @ modes
        values, vectors = np.linalg.eigh(rest @ rest.T)
        needed = np.cumsum(np.maximum(values, 0)) > lost**2
        scale, vectors = np.sqrt(values[needed]), vectors[:, needed]
        codes.append(np.concatenate([known, vectors * scale], 1))
        modes = np.concatenate([modes, (vectors / scale).T @ rest])
    code = np.zeros((sum(map(len, codes)), len(modes)))
    row = 0
    for part in codes:
        code[row : row + len(part), : part.shape[1]] = part
        row += len(part)
    return code, modes.reshape(-1, count, 3)


def compress_factors(code: np.ndarray, shapes: np.ndarray, tolerance: float, most: int | None = None) -> ShapeKeys:
    """Shape keys of the sequence code @ shapes, which is never made: memory does not grow with T x V.

    code (T,R), shapes (R,V,3), tolerance >= 0 in the shapes' unit; most: no more keys than this, whatever the error.
    Raises FreeTalkError on a negative tolerance.
    """
    if not tolerance >= 0:
        raise FreeTalkError(f"The tolerance must be 0 or more; got {tolerance}.")
    weights, modes = _principal(
        np.asarray(code, np.float64), np.asarray(shapes, np.float64).reshape(len(shapes), 3 * shapes.shape[1])
    )
    count = _smallest_count(weights, modes, tolerance)
    count = count if most is None else min(count, most)
    peak = weights[np.abs(weights[:, :count]).argmax(0), np.arange(count)] if len(weights) else np.ones(count)
    keys = (modes[:count] * peak[:, None]).astype(np.float32)
    curves = (weights[:, :count] / peak).astype(np.float32)
    return ShapeKeys(keys.reshape(count, *shapes.shape[1:]), curves, _largest_error(weights, modes, count))


def extend(shapes: np.ndarray, keys: ShapeKeys, tolerance: float) -> tuple[np.ndarray, ShapeKeys]:
    """The motion of `keys` on top of shapes that are there already: weights for those, and what they lack.

    shapes (K,V,3), keys for the same V vertices. Answers weights (T,K) in [-2.5,2.5] and the missing ShapeKeys; both
    together are the motion of `keys` within `tolerance`, in the shapes' unit. No more of the shapes are used than
    `keys` has, as what a motion uses must stay as long as it does, unless with all of them fewer are missing: many
    motions of a face need no more shapes in the end than it has ways to move. Raises FreeTalkError where the vertices
    differ in number.
    """
    if shapes.shape[1:] != keys.shapes.shape[1:]:
        raise FreeTalkError(f"Shapes of {shapes.shape[1]} vertices cannot serve a mesh of {keys.shapes.shape[1]}.")
    have = shapes.reshape(len(shapes), -1).astype(np.float64)
    wanted = keys.shapes.reshape(len(keys.shapes), -1).astype(np.float64)
    gram, alike = have @ have.T, wanted @ have.T
    told = np.linalg.qr(keys.weights.astype(np.float64), mode="r") @ alike

    def on_top(most: int) -> tuple[np.ndarray, ShapeKeys]:
        used = _most_telling(gram, told, most)
        share = _share(gram, alike, used)
        while len(keys.weights) and (peak := np.abs(keys.weights @ share).max(0)).max(initial=0) > _FURTHEST:
            used = used[used != peak.argmax()]
            share = _share(gram, alike, used)
        missing = (wanted - share @ have).reshape(keys.shapes.shape)
        added = compress_factors(keys.weights, missing, tolerance)
        return (keys.weights @ share).astype(np.float32), replace(added, max_error=added.max_error + keys.max_error)

    few = on_top(len(wanted))
    return min(few, on_top(len(have)), key=lambda found: len(found[1].shapes)) if len(have) > len(wanted) else few


def _share(gram: np.ndarray, alike: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(R,K) how much of K shapes comes nearest to each of R motions, of those `used` alone; arguments as
    `_most_telling` has them."""
    share, size = np.zeros_like(alike), np.sqrt(gram.diagonal()[used])
    angles = gram[np.ix_(used, used)] / np.outer(size, size)
    share[:, used] = (alike[:, used] / size) @ np.linalg.pinv(angles, rcond=_SAME, hermitian=True) / size
    return share


def _most_telling(gram: np.ndarray, alike: np.ndarray, most: int) -> np.ndarray:
    """Which of K shapes, at most so many, leave little of a motion: each takes the most of what those before it left
    (orthogonal matching pursuit). gram (K,K), alike (R,K): their products with each other and with the motion."""
    gram, alike, used = gram.copy(), alike.copy(), np.zeros(0, int)
    least = _SAME * gram.diagonal()
    while len(used) < most:
        own = gram.diagonal()
        told = np.divide((alike**2).sum(0), own, where=own > least, out=np.zeros(len(own)))
        if not told.any():
            break
        best = told.argmax()
        used, along = np.append(used, best), gram[best] / own[best]
        alike -= np.outer(alike[:, best], along)
        gram -= np.outer(gram[best], along)
    return used


def with_more(
    keys: ShapeKeys, vertices: np.ndarray | slice, shapes: np.ndarray, weights: np.ndarray, max_error: float
) -> ShapeKeys:
    """The keys, copied, and more of them: shapes (M,n,3) of the n `vertices` among all, weights (T,M); max_error: of
    the sum."""
    more = np.zeros((len(shapes), *keys.shapes.shape[1:]), np.float32)
    more[:, vertices] = shapes
    return ShapeKeys(np.concatenate([keys.shapes, more]), np.concatenate([keys.weights, weights], 1), max_error)


def with_named(
    keys: ShapeKeys, vertices: np.ndarray | slice, shapes: np.ndarray, weights: np.ndarray, names: Sequence[str]
) -> ShapeKeys:
    """`with_more` for keys that are called by what they do, M names, and cost no accuracy."""
    more = with_more(keys, vertices, shapes, weights, keys.max_error)
    return replace(more, names=(*(keys.names or ("",) * len(keys.shapes)), *names))


def changed(keys: ShapeKeys, vertices: np.ndarray, code: np.ndarray, shapes: np.ndarray, tolerance: float) -> ShapeKeys:
    """Shape keys whose motion is that of `keys` with code (T,R) @ shapes (R,n,3) added at n of its vertices.

    What follows the curves that are there changes their shapes; more keys only for the rest, within `tolerance`, in the
    shapes' unit.
    """
    curves = keys.weights.astype(np.float64)
    share = np.linalg.pinv(curves, rcond=_WEAK) @ code
    rest = compress_factors(code - curves @ share, shapes, tolerance)
    answer = with_more(keys, vertices, rest.shapes, rest.weights, keys.max_error + rest.max_error)
    answer.shapes[: len(share), vertices] += np.tensordot(share, shapes, 1).astype(np.float32)
    return answer


def limited(keys: ShapeKeys, most: int) -> ShapeKeys:
    """The same motion in at most so many keys, with the error that this costs: those with names stay what they are,
    where they leave room for others."""
    if len(keys.shapes) <= most:
        return keys
    named = np.array([bool(name) for name in keys.names] or [False] * len(keys.shapes))
    if named.sum() >= most:
        named[:] = False
    fewer = compress_factors(keys.weights[:, ~named], keys.shapes[~named], 0.0, most - int(named.sum()))
    fewer = replace(fewer, max_error=fewer.max_error + keys.max_error)
    names = [name for name, kept in zip(keys.names, named, strict=bool(keys.names)) if kept]
    return with_named(fewer, slice(None), keys.shapes[named], keys.weights[:, named], names) if names else fewer


def distance(one: ShapeKeys, other: ShapeKeys) -> float:
    """The largest distance of any vertex in any frame between two motions of the same vertices and frames."""
    code = np.concatenate([one.weights, -other.weights], 1)
    return compress_factors(code, np.concatenate([one.shapes, other.shapes]), np.inf).max_error


def _principal(code: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """code (T,R) @ shapes (R,N) = weights (T,K) @ modes (K,N) with orthonormal modes, the strongest first.

    By the eigenvectors of two small Gram matrices, many times as fast as a QR of (N,R); what it loses is a millionth of
    the strongest shape.
    """
    scale, turn = _spectrum(shapes @ shapes.T)
    scaled = code @ turn * scale
    _, principal = _spectrum(scaled.T @ scaled)
    return scaled @ principal, ((principal / scale[:, None]).T @ turn.T) @ shapes


def _spectrum(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square roots (K,) of a Gram matrix's eigenvalues, falling, and its eigenvectors (R,K), without the void."""
    values, vectors = np.linalg.eigh(gram)
    kept = np.flatnonzero(values > 1e-12 * values.max(initial=0))[::-1]
    return np.sqrt(values[kept]), vectors[:, kept]


def _smallest_count(weights: np.ndarray, modes: np.ndarray, tolerance: float) -> int:
    """A number of modes whose error is within the tolerance while one fewer on the way to it was not (bisection)."""
    low, high = 0, len(modes)
    while low < high:
        cancel.check()
        middle = (low + high) // 2
        if _largest_error(weights, modes, middle) <= tolerance:
            high = middle
        else:
            low = middle + 1
    return low


def _largest_error(weights: np.ndarray, modes: np.ndarray, count: int) -> float:
    """The largest vertex distance that the modes from `count` on would add.

    Modes are orthonormal, so a frame's whole residual bounds its largest vertex: frames are taken in falling order of
    it, and the search ends where the bound drops below what was found.
    """
    rest = weights[:, count:]
    bound = np.sqrt((rest**2).sum(1))
    largest = 0.0
    for block in in_blocks(np.argsort(-bound)):
        if bound[block[0]] <= largest:
            break
        residual = (rest[block] @ modes[count:]).reshape(len(block), -1, 3)
        largest = max(largest, float(np.sqrt(np.einsum("tvc,tvc->tv", residual, residual).max(initial=0))))
    return largest
