"""What smoothing does to a surface (training environment only)."""

import numpy as np
import pytest

pytest.importorskip("pymeshlab", reason="needs the training environment")
pytest.importorskip("fast_simplification", reason="needs the training environment")

from scipy.spatial import ConvexHull

from export.surface_prior import smoothed


def test_a_smoothed_ball_shrinks_and_a_plane_stays() -> None:
    turn = np.arange(6000) * np.pi * (3 - np.sqrt(5))
    height = np.linspace(-1, 1, len(turn))
    ring = np.sqrt(1 - height**2)
    ball = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], 1)
    radius, width = 5.0, 0.5
    seen = ball[2000:4000:50]
    sunk = smoothed(radius * seen, seen, radius * ball[ConvexHull(ball).simplices], width)
    assert sunk == pytest.approx(-(width**2) / radius, rel=0.1)  # width**2 / 2 times both curvatures

    across = np.linspace(-3, 3, 40)
    sheet = np.stack(np.meshgrid(across, across), -1)
    near, far = sheet[:-1, :-1].reshape(-1, 2), sheet[1:, 1:].reshape(-1, 2)
    corners = np.stack([near, np.stack([far[:, 0], near[:, 1]], 1), far], 1)
    flat = np.pad(corners, ((0, 0), (0, 0), (0, 1)))
    assert smoothed(np.zeros((1, 3)), np.array([[0.0, 0, 1]]), flat, width) == pytest.approx(0)
