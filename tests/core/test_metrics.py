"""Metrics say what they are defined to say."""

import numpy as np
import pytest

from freetalk_blender.core import frame, metrics
from freetalk_blender.core.errors import FreeTalkError


def talk(frames: int = 60) -> np.ndarray:
    """(T,68,3) a jaw and lower lip that go down and up twice a second at 30 fps."""
    open_ = 0.05 * (1 - np.cos(2 * np.pi * 2 * np.arange(frames) / 30))
    moved = np.zeros((frames, 68, 3))
    moved[:, [*range(5, 12), *range(55, 60), *range(65, 68)], 1] = -open_[:, None]
    return moved


def test_the_truth_itself_has_no_error() -> None:
    scores = metrics.landmark_metrics(talk(), talk(), frame.mean_landmarks(), 30)
    assert scores["landmarks_mm"] == scores["lips_mm"] == 0 and str(scores["lag_ms"]) == "0.0"
    assert all(scores[f"{name}_{what}"] == pytest.approx(1) for name in ("aperture", "jaw") for what in ("r", "ratio"))


def test_a_late_and_small_motion_is_called_late_and_small() -> None:
    late = 0.5 * np.roll(talk(), 3, axis=0)
    scores = metrics.landmark_metrics(late, talk(), frame.mean_landmarks(), 30)
    assert scores["lag_ms"] == pytest.approx(100)
    assert scores["aperture_ratio"] == pytest.approx(0.5, abs=0.02)
    assert scores["jaw_r"] < 0.5


def test_a_still_face_correlates_with_nothing() -> None:
    scores = metrics.landmark_metrics(np.zeros_like(talk()), talk(), frame.mean_landmarks(), 30)
    assert scores["aperture_r"] == scores["aperture_ratio"] == 0 and np.isnan(scores["lag_ms"])
    other = metrics.landmark_metrics(talk(), np.zeros_like(talk()), frame.mean_landmarks(), 30)
    assert other["aperture_r"] == 0 and np.isnan(other["aperture_ratio"]) and np.isnan(other["lag_ms"])


def test_vertex_metrics_are_in_millimetres_of_a_face_of_any_unit(
    scan: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    vertices, triangles, points = scan
    face = frame.canonical_frame(points)
    true = np.zeros((10, len(vertices), 3))
    found = true + 2 * face.units_per_mm * np.array([0, 1, 0])
    for unit in (1.0, 0.001):
        scores = metrics.vertex_metrics(unit * found, unit * true, unit * vertices, triangles, unit * points)
        assert scores["MVE_mm"] == pytest.approx(2, rel=1e-4)
        assert scores["LVE_mm2"] == pytest.approx(4, rel=1e-4)
        assert scores["FDD_mm"] == pytest.approx(0, abs=1e-6)


def test_each_vertex_metric_looks_at_its_own_region(scan: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    vertices, triangles, points = scan
    unit = frame.canonical_frame(points).units_per_mm
    true = np.zeros((8, len(vertices), 3))
    brow, lip = (np.linalg.norm(vertices - points[at], axis=1).argmin() for at in (19, 57))
    for vertex, moves in ((brow, "FDD_mm"), (lip, "LVE_mm2")):
        found = true.copy()
        found[::2, vertex, 1] = 3 * unit
        scores = metrics.vertex_metrics(found, true, vertices, triangles, points)
        assert scores["MVE_mm"] == pytest.approx(1.5 / len(vertices), rel=1e-3)
        for name in ("FDD_mm", "LVE_mm2"):
            assert (scores[name] != 0) == (name == moves), (name, moves)
    assert scores["LVE_mm2"] == pytest.approx(4.5)


def test_landmarks_beside_the_scan_are_refused(scan: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    vertices, triangles, points = scan
    still = np.zeros((2, len(vertices), 3))
    with pytest.raises(FreeTalkError, match="do not lie on the scan's face"):
        metrics.vertex_metrics(still, still, vertices, triangles, points + 1e4)
