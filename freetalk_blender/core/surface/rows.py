"""Rows of whole numbers, such as edges and triangles, told apart by one number each, and the numbers in them.

numpy's own `unique(..., axis=0)` compares rows one by one and keeps Python's lock meanwhile: ten times as slow, and
Blender's window stands still for seconds on a heavy scan. Plain `unique` takes seconds, too, for the corners of
millions of triangles.
"""

import numpy as np


def keys(rows: np.ndarray) -> np.ndarray:
    """(N,) int64 for rows (N,k) of whole numbers >= 0: equal where rows are, in their order."""
    size = int(rows.max(initial=0)) + 1
    found = rows[:, 0].astype(np.int64)
    for column in rows.T[1:]:
        if int(found.max(initial=0)) + 1 > np.iinfo(np.int64).max // size:
            found = np.unique(found, return_inverse=True)[1].ravel()
        found = found * size + column
    return found


def present(numbers: np.ndarray, count: int) -> np.ndarray:
    """(n,) the different ones among whole numbers (...) from 0 to below count, in order."""
    there = np.zeros(count, bool)
    there[numbers] = True
    return np.flatnonzero(there)


def numbered(chosen: np.ndarray, count: int) -> np.ndarray:
    """(count,) where each number below count stands among `chosen`, which are different; -1 where it does not."""
    place = np.full(count, -1)
    place[chosen] = np.arange(len(chosen))
    return place


def renumbered(numbers: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the different ones among whole numbers (...) from 0 to below count, in order, such as the vertices that some
    triangles use; and (...) where each number stands among them."""
    used = present(numbers, count)
    return used, numbered(used, count)[numbers]


def first(rows: np.ndarray) -> np.ndarray:
    """(n,) index, ascending, of the first one of each row."""
    found = keys(rows)
    in_order = np.sort(found)
    if (in_order[1:] != in_order[:-1]).all():
        return np.arange(len(rows))
    return np.sort(np.unique(found, return_index=True)[1])
