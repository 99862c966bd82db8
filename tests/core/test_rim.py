"""The motion of a cut mouth's edges."""

from dataclasses import replace

import numpy as np

from freetalk_blender.core.binding.proxy import Proxy
from freetalk_blender.core.binding.stm import Binding
from freetalk_blender.core.lip_contact import rim
from tests.core.grids import squares


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
    answer = rim.evened(binding, points, (edge,), (np.ones(82, bool),))
    before, after = (one.matrix.reshape(204, -1, 3)[0, :, 1] for one in (binding, answer))
    turn = [np.abs(np.diff(values[edge], 2)).max() for values in (before, after)]
    assert turn[1] < 0.3 * turn[0]
    assert np.allclose(after[[0, 40]], before[[0, 40]], atol=1e-6)
    assert np.array_equal(after[41:], before[41:]), "skin that is far away stays"


def test_a_smooth_rim_hardly_changes():
    binding, points, edge = lip(0.0)
    answer = rim.evened(binding, points, (edge,), (np.ones(82, bool),))
    assert np.abs(answer.matrix - binding.matrix).max() < 0.01 * np.abs(binding.matrix).max()


def test_the_coarse_rims_of_a_stand_in_stay_as_they_are():
    binding, points, edge = lip(0.03)
    itself = np.arange(82)
    light = Proxy(points, np.empty((0, 3), int), itself, np.repeat(itself[:, None], 3, 1), np.full((82, 3), 1 / 3))
    heavy = replace(binding, proxy=light)
    assert rim.evened(heavy, points, (edge,), (np.ones(82, bool),)).matrix is heavy.matrix


def slit(step: float) -> tuple[np.ndarray, np.ndarray, int]:
    """A square of skin, cut from its left side to its middle: points, triangles, and the vertex where the cut ends.

    The points below the cut come after the grid's; they are numbered from the left.
    """
    axis = np.arange(-0.2, 0.2 + step / 2, step)
    count, middle = len(axis), len(axis) // 2
    x, y = (values.ravel() for values in np.meshgrid(axis, axis))
    points = np.stack([x, y, 0 * x], 1)
    triangles = squares(count, count)
    above = middle * count + np.arange(middle)
    below = np.arange(len(points))
    below[above] = len(points) + np.arange(middle)
    under = points[triangles, 1].mean(1) < axis[middle]
    triangles[under] = below[triangles[under]]
    return np.concatenate([points, points[above]]), triangles, middle * count + middle


def test_skin_around_the_end_of_a_cut_does_not_fold_where_single_vertices_are_moved_too_far():
    points, triangles, corner = slit(0.02)
    lower = np.r_[points[:, 1][: -(len(points) - 441)] < -0.001, np.ones(len(points) - 441, bool)]
    opening = np.sqrt(np.maximum(-points[:, 0], 0) / 0.2) * np.exp(-np.abs(points[:, 1]) / 0.1) * lower
    move = np.zeros((len(points), 3), np.float32)
    move[:, 1] = -0.06 * opening
    near = np.argsort(np.linalg.norm(points - points[corner], axis=1))[1:9]
    move[near[::2], 1] -= 0.03
    binding = Binding(len(points), np.arange(len(points), dtype=np.int32), move.reshape(1, -1))
    answer = rim.rounded(binding, points, triangles, np.array([corner, corner]))

    def folded(motion: np.ndarray) -> int:
        a, b, c = np.moveaxis((points + motion.reshape(-1, 3))[triangles], 1, 0)
        return int((np.cross(b - a, c - a)[:, 2] <= 0).sum())

    assert folded(move) >= 2
    assert folded(answer.matrix[0]) == 0
    far = np.linalg.norm(points - points[corner], axis=1) > rim.REACH
    assert np.array_equal(answer.matrix[0].reshape(-1, 3)[far], move[far])


def test_motion_that_is_smooth_around_the_end_of_a_cut_hardly_changes():
    points, triangles, corner = slit(0.01)
    turn = np.cross([0.0, 0.0, 0.3], points).astype(np.float32)
    binding = Binding(len(points), np.arange(len(points), dtype=np.int32), turn.reshape(1, -1))
    answer = rim.rounded(binding, points, triangles, np.array([corner, corner]))
    assert np.abs(answer.matrix - binding.matrix).max() < 1e-3 * np.abs(turn).max()


def test_what_is_bound_by_a_stand_in_is_smoothed_there():
    points, triangles, corner = slit(0.02)
    move = np.random.default_rng(5).normal(0, 0.05, (1, 3 * len(points))).astype(np.float32)
    ends = np.array([corner, corner])
    itself = rim.rounded(Binding(len(points), np.arange(len(points), dtype=np.int32), move), points, triangles, ends)
    # A heavy scan, each of whose two vertices to one of the stand-in's lies where that does.
    twice = np.arange(2 * len(points)) // 2
    light = Proxy(points, triangles, twice, np.repeat(twice[:, None], 3, 1), np.full((len(twice), 3), 1 / 3))
    heavy = Binding(len(twice), np.arange(len(points), dtype=np.int32), move, light)
    answer = rim.rounded(heavy, points[twice], 2 * triangles, 2 * ends)
    assert np.abs(answer.matrix - itself.matrix).max() < 1e-6
    assert np.abs(answer.matrix - move).max() > 0.01
