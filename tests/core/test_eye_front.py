"""Skin between the lids of eyes that are one skin with their balls."""

import numpy as np
import pytest

from freetalk_blender.core.eyelids import Eyelids
from freetalk_blender.core.eyes import eye_front
from freetalk_blender.core.frame import Similarity
from tests.core.grids import squares

UNIT = Similarity(1.0, np.identity(3), np.zeros(3))


def lids() -> np.ndarray:
    return np.array([(-12, 0, 9), (-5, 4, 11), (5, 4, 11), (12, 0, 9), (5, -4, 11), (-5, -4, 11)], float)


def eye() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dome of skin (V,3) over an eye, its triangles, and a blink (V,3): the upper lid comes down to the lower, and
    what lies between overshoots by different amounts, as coarse skin does."""
    columns, rows = 17, 25
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-16, 16, columns), np.linspace(-12, 12, rows)))
    skin = np.stack([x, y, 12 - (x**2 + y**2) / 40], 1)
    top = np.interp(x, [-12, -5, 5, 12], [0, 4, 4, 0])
    share = np.clip((y + top) / np.maximum(2 * top, 0.1), 0, 1) * np.exp(-((np.maximum(y - top, 0) / 5) ** 2))
    blink = np.zeros_like(skin)
    blink[:, 1] = -2 * top * share
    between = np.abs(y) < top
    blink[between, 1] -= 1.5 * np.sin(2.7 * np.arange(between.sum())) ** 2
    blink[between, 2] += np.sin(1.3 * np.arange(between.sum()))
    return skin, squares(columns, rows), blink


@pytest.fixture(scope="module")
def held() -> Eyelids:
    skin = eye()[0]
    return Eyelids(eye_front.of_eyes(skin, np.arange(len(skin)), [lids()], UNIT))


def corrected(motion: np.ndarray, lids: Eyelids) -> np.ndarray:
    answer = motion.copy()
    lids.correct(answer, np.ones((len(answer), 2)))
    return answer


def turned(points: np.ndarray, triangles: np.ndarray) -> int:
    """How many triangles show their back from the front."""
    a, b, c = points[triangles].transpose(1, 0, 2)
    return int((np.cross(b - a, c - a)[:, 2] < -1e-6).sum())


def test_a_blink_leaves_the_skin_between_lids_in_order(held):
    skin, triangles, blink = eye()
    assert turned(skin + blink, triangles) > 20, "without it the skin folds"
    shut = corrected(blink[None], held)[0]
    assert turned(skin + shut, triangles) == 0
    inside = held.parts[0].vertices[held.parts[0].inside]
    front = skin[:, 2] + blink[:, 2]
    assert ((skin + shut)[inside, 2] <= front.max()).all() and (shut[inside, 2] <= 0).all(), "deeper, not to the front"


def test_lids_and_rest_are_left_alone(held):
    skin, _, blink = eye()
    assert not corrected(0 * blink[None], held).any()
    lid = np.abs(skin[:, 1]) > np.interp(skin[:, 0], [-12, -5, 5, 12], [0, 4, 4, 0])
    assert np.array_equal(corrected(blink[None], held)[0][lid], blink[lid])


def test_an_iris_stays_where_it_is_until_a_lid_comes_over_it(held):
    blink = eye()[2]
    (front,) = held.parts
    inside, high = front.vertices[front.inside], front.height / front.opening
    half = corrected(0.5 * blink[None], held)[0, inside]
    assert np.linalg.norm(half[high < 0.3], axis=1).max() < 0.1
    assert (half[high > 0.9, 1] < -0.3 * front.opening[high > 0.9]).all(), "and goes with the lid at its edge"
    assert (np.abs(half[:, 1]) <= 0.5 * front.opening + 1e-9).all()


def test_lower_lids_push_too_and_a_wide_eye_shows_more_above_its_iris(held):
    skin = eye()[0]
    (front,) = held.parts
    inside, high = front.vertices[front.inside], front.height / front.opening
    up, wide = np.zeros((2, *skin.shape))
    way = np.interp(skin[:, 0], [-12, -5, 5, 12], [0, 8, 8, 0])
    up[:, 1], wide[:, 1] = np.where(skin[:, 1] < 0, 0.4 * way, 0), np.where(skin[:, 1] > 0, 0.1 * way, 0)
    raised, opened = corrected(np.stack([up, wide]), held)[:, inside, 1]
    assert np.abs(raised[high > 0.7]).max() < 0.2 < raised[high < 0.2].min()
    assert np.abs(opened[high < 0.5]).max() < 0.1 and (opened >= 0).all()
    assert (opened > 0.05 * front.opening)[high > 0.9].all() and (high > 0.9).any()


def test_a_wide_open_eye_stretches_evenly(held):
    skin = eye()[0]
    (front,) = held.parts
    wide = np.zeros_like(skin)
    wide[:, 1] = np.where(skin[:, 1] > 0, np.interp(skin[:, 0], [-12, -5, 5, 12], [0, 8, 8, 0]), 0)
    _, raised, ahead = corrected(wide[None], held)[0, front.vertices[front.inside]].T
    assert np.abs(raised - front.height).max() < 0.3
    assert not ahead.any(), "only lids that shut make a pleat"


def test_skin_far_behind_the_lids_is_left_alone():
    """The back of a head, or the inner wall of a hollow one."""
    skin, _, blink = eye()
    both = np.concatenate([skin, skin - [0, 0, 20]])
    twice = Eyelids(eye_front.of_eyes(both, np.arange(len(both)), [lids()], UNIT))
    motion = np.concatenate([blink, blink])
    assert np.array_equal(corrected(motion[None], twice)[0, len(skin) :], blink)


def test_it_comes_and_goes_without_a_jump(held):
    blink = eye()[2]
    steps = np.diff(corrected(np.linspace(0, 1, 51)[:, None, None] * blink, held), axis=0)
    assert np.abs(steps).max() < 0.5


def test_eyes_that_are_shut_or_elsewhere_have_no_front():
    skin = eye()[0]
    assert eye_front.of_eyes(skin, np.arange(len(skin)), [lids() + [100, 0, 0]], UNIT) == ()
    shut = lids() * [1, 0, 1]
    assert eye_front.of_eyes(skin, np.arange(len(skin)), [shut], UNIT) == ()
    assert eye_front.of_eyes(skin, np.arange(len(skin)), [], UNIT) == ()
