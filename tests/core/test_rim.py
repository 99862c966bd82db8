"""The motion of a cut mouth's edges."""

import numpy as np

from freetalk_blender.core import rim
from freetalk_blender.core.stm import Binding


def lip(kink: float) -> tuple[Binding, np.ndarray, np.ndarray]:
    """A rim of 41 vertices and a row of skin beside it, bound to move down in a bow, with a kink beside one corner."""
    x = np.linspace(-0.25, 0.25, 41)
    points = np.concatenate([np.stack([x, 0 * x, 0 * x], 1), np.stack([x, 0 * x - 0.3, 0 * x], 1)])
    bow = -0.1 * np.cos(np.pi * x / 0.5)
    bow[2:6] -= kink
    matrix = np.zeros((204, 82, 3), np.float32)
    matrix[0, :41, 1], matrix[0, 41:, 1] = bow, -0.1
    return Binding(82, np.arange(82, dtype=np.int32), matrix.reshape(204, -1)), points, np.arange(41)


def test_a_kink_is_drawn_out_and_corners_are_held():
    binding, points, edge = lip(0.03)
    answer = rim.evened(binding, points, (edge,), (np.arange(82),))
    before, after = (one.matrix.reshape(204, -1, 3)[0, :, 1] for one in (binding, answer))
    turn = [np.abs(np.diff(values[edge], 2)).max() for values in (before, after)]
    assert turn[1] < 0.3 * turn[0]
    assert np.allclose(after[[0, 40]], before[[0, 40]], atol=1e-6)
    assert np.array_equal(after[41:], before[41:]), "skin that is far away stays"


def test_a_smooth_rim_hardly_changes():
    binding, points, edge = lip(0.0)
    answer = rim.evened(binding, points, (edge,), (np.arange(82),))
    assert np.abs(answer.matrix - binding.matrix).max() < 0.01 * np.abs(binding.matrix).max()
