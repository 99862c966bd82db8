"""The canonical frame undoes any pose, unit and place of a scan."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from freetalk_blender.core import frame
from freetalk_blender.core.errors import LandmarkError


def moved(seed: int) -> tuple[np.ndarray, frame.Similarity]:
    """Landmarks of an average face with noise, and where it stands."""
    rng = np.random.default_rng(seed)
    pose = frame.Similarity(
        10 ** rng.uniform(-3, 3), Rotation.random(random_state=seed).as_matrix(), rng.normal(size=3) * 50
    )
    return pose.to_mesh(frame.mean_landmarks() + rng.normal(size=(68, 3)) * 0.005), pose


def test_the_average_face_is_already_canonical():
    found = frame.canonical_frame(frame.mean_landmarks())
    assert found.scale == pytest.approx(1, abs=1e-5)
    assert found.rotation == pytest.approx(np.eye(3), abs=1e-5)
    assert found.translation == pytest.approx(np.zeros(3), abs=1e-5)


def test_the_average_face_stays_what_it_is_whatever_is_done_to_a_copy():
    mine = frame.mean_landmarks()
    mine += 1
    assert frame.mean_landmarks() == pytest.approx(mine - 1)


@pytest.mark.parametrize("seed", range(5))
def test_unit_origin_and_axes_are_as_defined_in_any_pose(seed):
    points, pose = moved(seed)
    found = frame.canonical_frame(points)
    canonical = found.to_canonical(points)
    assert np.linalg.norm(canonical[45] - canonical[36]) == pytest.approx(1)
    assert canonical[frame.RIGID].mean(0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    assert np.degrees(Rotation.from_matrix(found.rotation.T @ pose.rotation).magnitude()) < 3
    assert canonical[45, 0] > 0.3, "+X is the subject's left"
    assert canonical[8, 1] < -0.5, "+Y is up"
    assert canonical[30, 2] > 0.1, "+Z is out of the face"


def test_there_and_back_again():
    points, _ = moved(7)
    found = frame.canonical_frame(points)
    assert found.to_mesh(found.to_canonical(points)) == pytest.approx(points)
    vectors = np.random.default_rng(0).normal(size=(4, 68, 3))
    assert found.vectors_to_mesh(found.vectors_to_canonical(vectors)) == pytest.approx(vectors)


def test_align_finds_a_similarity_and_never_a_mirror():
    source = np.random.default_rng(3).normal(size=(20, 3))
    fit = frame.align(source, source * [-1, 1, 1])
    assert np.linalg.det(fit.rotation) == pytest.approx(1)


def test_align_fits_what_weighs_most():
    rng = np.random.default_rng(4)
    source, (_, pose) = rng.normal(size=(20, 3)), moved(2)
    target = pose.to_mesh(source)
    target[:5] += rng.normal(size=(5, 3)) * pose.scale
    fit = frame.align(source, target, np.repeat([1e-12, 1.0], [5, 15]))
    assert fit.scale == pytest.approx(pose.scale) and fit.rotation == pytest.approx(pose.rotation, abs=1e-9)
    assert fit.to_mesh(source[5:]) == pytest.approx(target[5:])
    assert frame.align(source, target, np.full(20, 3.0)).to_mesh(source) == pytest.approx(
        frame.align(source, target).to_mesh(source)
    )


def test_a_millimetre_follows_the_eye_distance():
    assert frame.canonical_frame(frame.mean_landmarks() * 90).units_per_mm == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("points", [np.zeros((68, 3)), np.full((68, 3), np.nan)])
def test_landmarks_in_one_place_are_told_in_a_sentence(points):
    with pytest.raises(LandmarkError, match=r"at one point|at the same point"):
        frame.canonical_frame(points)
