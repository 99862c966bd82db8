"""What STM is trained on (training environment only)."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pymeshlab", reason="needs the training environment")
pytest.importorskip("fast_simplification", reason="needs the training environment")

from export import fusing, ict, remeshing, scanning, stm_data
from freetalk_blender.core import frame

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
MM = 1 / frame.EYE_DISTANCE_MM


def test_a_mouth_that_moves_as_a_whole_parts_between_its_corners_and_leaves_the_eyes_alone() -> None:
    landmarks = frame.mean_landmarks()
    moved = stm_data._mouth_motion(landmarks, 200, np.random.default_rng(0))
    assert moved.shape == (200, 68, 3)
    apart = moved[:, 62, 1] - moved[:, 66, 1]
    assert (apart > 1).sum() > 100  # mostly open, now and then pressed
    assert (apart < 0).any()
    assert np.abs(moved[:, 48] - moved[:, 60]).max() < 0.2 * np.abs(apart).max()  # corners only go along
    assert np.abs(moved[:, 36:48]).mean() < 0.1 * np.abs(moved[:, 48:]).mean()


def test_unfamiliar_motion_is_small_and_new_in_every_frame() -> None:
    landmarks = frame.mean_landmarks()
    moved = stm_data.unfamiliar(landmarks, 100, np.random.default_rng(1)) / MM
    assert 0.2 < np.abs(moved).mean() < 2
    assert len(np.unique(moved[:, 33, 1])) == 100


@pytest.mark.skipif(not (DATA / "ict_facekit").exists(), reason="needs ICT-FaceKit")
def test_lips_that_were_sealed_and_cut_follow_the_jaw_each_on_its_side() -> None:
    model = ict.load(DATA)
    scan = scanning.parts(model, model.neutral, "mask", eyeballs=False)
    scan = remeshing.remesh(fusing.seal(scan, fusing.openings(model)), 6000, np.random.default_rng(0))
    handles, _ = scanning.landmark_vertices(scan, model)
    opened, found = stm_data._cut_open(model, scan, handles, np.random.default_rng(0))
    assert len(opened.vertices) > len(scan.vertices)
    drop = -opened.transfer(model.expression[model.index("jawOpen")])[:, 1]
    assert drop[found[[65, 66, 67]]].min() > 5 * drop[found[[61, 62, 63]]].max()
    edges = opened.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    middle = np.abs(opened.vertices[edges, 0]).max(1) < 1
    at_mouth = np.linalg.norm(opened.vertices[edges[:, 0]] - model.neutral[model.landmark_vertices[62]], axis=1) < 1.5
    both = edges[middle & at_mouth & opened.real[edges].all(1)]
    assert len(both) > 100
    assert np.abs(drop[both[:, 0]] - drop[both[:, 1]]).max() < 0.5 * drop.max()  # nothing spans the lips


def test_the_skin_of_a_soft_artist_follows_smoothly_where_landmarks_are_kept() -> None:
    rng = np.random.default_rng(0)
    places = np.concatenate([frame.mean_landmarks(), rng.normal(0, 0.3, (40, 3))])
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    process = np.exp(-distance / 0.3)
    covariance = process[:68, :68]
    weights = np.linalg.solve(covariance, process[:68, 68:]).T
    shapes = rng.normal(size=(50, 108, 3)).astype(np.float32)
    soft = stm_data.softened(shapes, weights, covariance, np.random.default_rng(1))
    moved = np.abs(soft - shapes).max((0, 2))
    assert moved[[33, 36, 39, 42, 45]].max() < 0.1 < np.median(moved[68:])
    smooth = np.einsum("pk,ekc->epc", weights, soft[:, :68])
    before = np.einsum("pk,ekc->epc", weights, shapes[:, :68])
    assert np.abs(soft[:, 68:] - smooth).mean() < np.abs(shapes[:, 68:] - before).mean()
