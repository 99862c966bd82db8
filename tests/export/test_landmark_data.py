"""Strong expressions among the scans that train landmark detection (training environment only)."""

import numpy as np
import pytest

pytest.importorskip("pymeshlab", reason="needs the training environment")

from export import ict, landmark_data

SINGLE = ("jawOpen", "mouthFunnel", "mouthClose")
PAIRED = [name for name in (*landmark_data.STRONG, "eyeBlink") if name not in SINGLE]
NAMES = (*SINGLE, *(f"{name}_{side}" for name in PAIRED for side in "LR"))


def model() -> ict.IctModel:
    """No face: the names of its expressions alone."""
    flat = np.zeros((len(NAMES), 1, 3), np.float32)
    return ict.IctModel(flat[0], flat[:1], flat, np.zeros((0, 4), np.int32), NAMES, np.zeros(68, np.int32))


@pytest.mark.parametrize("seed", range(20))
def test_weights_stay_within_the_models_and_the_lips_are_not_shut(seed: int) -> None:
    weights = landmark_data._strong_expression(model(), np.random.default_rng(seed))
    assert weights.min() >= 0 and weights.max() <= 1
    assert weights[NAMES.index("mouthClose")] == 0


def test_both_sides_move_nearly_alike() -> None:
    drawn = np.array([landmark_data._strong_expression(model(), np.random.default_rng(seed)) for seed in range(200)])
    left, right = (drawn[:, NAMES.index(f"mouthSmile_{side}")] for side in "LR")
    assert 0.4 < (left > 0.05).mean() < 0.75
    assert np.median(np.abs(left - right)[left > 0.05]) < 0.15
