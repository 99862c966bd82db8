"""Rows of whole numbers, such as edges and triangles, told apart by one number each.

numpy's own `unique(..., axis=0)` compares rows one by one and keeps Python's lock meanwhile: ten times as slow, and
Blender's window stands still for seconds on a heavy scan.
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


def unique(rows: np.ndarray) -> np.ndarray:
    """(n,k) the different rows among (N,k), in order."""
    return rows[np.unique(keys(rows), return_index=True)[1]]


def first(rows: np.ndarray) -> np.ndarray:
    """(n,) index of the first one of each row, in the order in which `unique` lists them."""
    return np.unique(keys(rows), return_index=True)[1]
