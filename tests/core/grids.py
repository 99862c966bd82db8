"""Grids of vertices, of which tests make skin."""

import numpy as np


def squares(columns: int, rows: int) -> np.ndarray:
    """(F,3) two triangles for each square of a grid whose vertices are numbered row by row."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    right, up = corner + 1, corner + columns
    return np.concatenate([np.stack([corner, right, up], 1), np.stack([right, up + 1, up], 1)])


def flat(columns: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """A flat sheet of columns x rows vertices (V,3), unit spacing, and its triangles (F,3)."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(columns), np.arange(rows)))
    return np.stack([x, y, 0 * x], 1).astype(float), squares(columns, rows)
