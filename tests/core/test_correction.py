"""The last correction of landmarks is alike on either side of a face, the same wherever the face lies, uses what it is
told, and keeps its bounds."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from freetalk_blender.core.detection import correction
from freetalk_blender.core.detection.surface_fit import SurfaceFit, prior
from freetalk_blender.core.frame import Similarity
from freetalk_blender.core.landmarks import COUNT, MIRRORED


@pytest.fixture
def known() -> np.ndarray:
    """As surprising as what the training saw."""
    model = correction.load()
    return model.mean + model.scale * np.random.default_rng(3).normal(size=model.mean.shape)


def measurements(move: Similarity) -> correction.Measurements:
    """Of the average face and some disagreement, moved."""
    rng = np.random.default_rng(4)
    face = Similarity(1.1, Rotation.from_euler("xyz", [5, -8, 3], degrees=True).as_matrix(), np.array([0.1, 0.2, 0.0]))
    mean = prior().mean[:COUNT]
    laid, points, closer, rays = (move.to_mesh(mean + rng.normal(0, 0.01, mean.shape)) for _ in range(4))
    fit = SurfaceFit(laid, np.full(COUNT, 0.01), np.zeros(len(prior().modes)), face)
    height = rng.normal(0, 0.01, len(prior().normals))
    height[::7] = np.nan
    return correction.measurements(move, fit, height, points, closer, rays)


def test_a_face_in_a_mirror_is_corrected_in_the_mirror(known) -> None:
    step = correction.load()
    mirrored = correction.in_mirror(known[None])
    assert np.array_equal(correction.in_mirror(mirrored)[0], known)
    turned, there = step(mirrored)[0], step(known)[MIRRORED] * [-1, 1, 1]
    assert np.abs(turned - there).max() < 0.01 * np.linalg.norm(there, axis=1).mean()


def test_skin_points_have_twins_near_their_mirror_images() -> None:
    twins, skin = correction.twins(), prior().mean[COUNT:]
    assert np.array_equal(twins[twins], np.arange(len(skin)))
    away = np.linalg.norm(skin * [-1, 1, 1] - skin[twins], axis=1) * 90
    assert away.mean() < 4 and away.max() < 11


def test_where_a_face_lies_makes_no_difference() -> None:
    here = measurements(Similarity(1.0, np.eye(3), np.zeros(3)))
    move = Similarity(
        40.0, Rotation.from_euler("xyz", [50, 120, -30], degrees=True).as_matrix(), np.array([7.0, 0, 90])
    )
    there = measurements(move)
    assert np.isfinite(here.known).all()
    assert np.allclose(there.known, here.known)
    assert np.allclose(correction.corrected(there), move.to_mesh(correction.corrected(here)))


def test_what_the_training_never_saw_moves_no_point_without_bound(known) -> None:
    step = correction.load()
    assert np.allclose(step(1e6 * known), step(1e9 * known))
    assert np.linalg.norm(step(known), axis=1).max() < 6 / 90


def test_skin_without_surface_says_nothing() -> None:
    given = measurements(Similarity(1.0, np.eye(3), np.zeros(3)))
    heights = given.known[COUNT * correction.DIFFERENCES :]
    assert len(heights) == len(prior().normals)
    assert not heights[::7].any() and heights[1::7].all()
