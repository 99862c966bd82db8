"""Closures close and blinks meet on faces unlike the average one."""

import numpy as np
import pytest

from freetalk_blender.core import frame
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, LID_PAIRS
from freetalk_blender.core.mouth import jaw
from freetalk_blender.core.retarget import CLOSED_GAP, retarget, shut_jaw, with_true_gaps


def face(lip_gap: float = 0.0, lid_share: float = 1.0) -> np.ndarray:
    """The average face with its inner lips `lip_gap` apart and its eyes open by `lid_share` of the usual."""
    points = frame.mean_landmarks()
    for upper, lower in INNER_LIP_PAIRS:
        middle = points[[upper, lower], 1].mean()
        points[[upper, lower], 1] = middle + lip_gap / 2, middle - lip_gap / 2
    for upper, lower in LID_PAIRS:
        middle = points[[upper, lower]].mean(0)
        points[[upper, lower]] = middle + lid_share * (points[[upper, lower]] - middle)
    return points


def mouth(opening: float) -> np.ndarray:
    """One frame in which the lower lip and chin go down by `opening`."""
    motion = np.zeros((1, 68, 3))
    motion[:, [6, 7, 8, 9, 10, 55, 56, 57, 58, 59, 65, 66, 67], 1] = -opening
    return motion


def blink() -> np.ndarray:
    motion = np.zeros((1, 68, 3))
    average = frame.mean_landmarks()
    for upper, lower in LID_PAIRS:
        motion[0, upper] = average[lower] - average[upper]
    return motion


def gaps(points, pairs):
    return np.array([points[upper, 1] - points[lower, 1] for upper, lower in pairs])


@pytest.mark.parametrize("lip_gap", [0.0, 0.005, 0.05, 0.15])
def test_lips_closed_in_the_performance_close_here(lip_gap):
    neutral = face(lip_gap)
    moved = neutral + retarget(mouth(0.0), neutral)[0]
    assert gaps(moved, INNER_LIP_PAIRS) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("lip_gap", [0.0, 0.005, 0.05, 0.15])
def test_an_opening_is_as_wide_here_as_there(lip_gap):
    neutral = face(lip_gap)
    moved = neutral + retarget(mouth(0.2), neutral)[0]
    assert gaps(moved, INNER_LIP_PAIRS) == pytest.approx(0.2, abs=1e-6)


def measured(*apart: float) -> np.ndarray:
    """What the surface says of the three pairs of inner lips (mm)."""
    return np.array(apart) / frame.EYE_DISTANCE_MM


def test_lips_that_touch_are_shut_however_far_apart_their_landmarks_lie():
    true = with_true_gaps(face(0.03), measured(0.0, -0.2, 0.1))
    assert gaps(true, INNER_LIP_PAIRS) * 90 == pytest.approx([0, 0, 0.1], abs=1e-6)


def test_lips_are_as_far_apart_as_their_surfaces_and_no_further_than_landmarks_can_err():
    true = with_true_gaps(face(0.005), measured(1.0, 1.0, 40.0))
    assert gaps(true, INNER_LIP_PAIRS) * 90 == pytest.approx([1, 1, 2 * 90 * CLOSED_GAP], abs=1e-6)
    ajar = with_true_gaps(face(0.025), measured(2.0, 3.0, 40.0))
    assert gaps(ajar, INNER_LIP_PAIRS) * 90 == pytest.approx([2, 2.7, 2.7], abs=1e-6)


def test_where_no_surface_was_measured_near_landmarks_are_shut_lips():
    for apart in (None, measured(np.inf, np.inf, np.inf)):
        assert gaps(with_true_gaps(face(0.01), apart), INNER_LIP_PAIRS) == pytest.approx(0, abs=1e-9)
        assert gaps(with_true_gaps(face(0.1), apart), INNER_LIP_PAIRS) == pytest.approx(0.1)


def test_the_gap_of_the_neutral_mouth_depends_smoothly_on_its_landmarks():
    openings = np.linspace(0, 0.05, 200)
    true = [gaps(with_true_gaps(face(gap)), INNER_LIP_PAIRS) for gap in openings]
    assert np.abs(np.diff(true, axis=0)).max() < 2.1 * openings[1]


def test_true_gaps_move_nothing_but_the_height_of_inner_lips():
    points = face(0.03)
    moved = with_true_gaps(points, measured(0.0, 0.0, 0.0)) - points
    assert not moved[:, [0, 2]].any()
    assert not np.delete(moved, [61, 62, 63, 65, 66, 67], axis=0).any()


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.25])
def test_a_pucker_narrows_a_mouth_in_proportion_to_its_width(ratio):
    neutral, motion = face(), np.zeros((1, 68, 3))
    neutral[48:, 0] *= ratio
    motion[0, 48, 0], motion[0, 54, 0] = 0.05, -0.05
    motion[0, [8, 20], 0] = 0.03
    moved = neutral + retarget(motion, neutral)[0]
    assert (moved - neutral)[:48, 0] == pytest.approx(motion[0, :48, 0]), "nothing beside it"
    width, before = (points[54, 0] - points[48, 0] for points in (moved, neutral))
    average = face()
    expected = 1 - 0.1 / (average[54, 0] - average[48, 0])
    assert width / before == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("ratio", [0.1, 4.0])
def test_a_corner_of_the_mouth_that_was_put_far_off_does_not_make_a_pucker_another(ratio):
    neutral, motion = face(), np.zeros((1, 68, 3))
    neutral[48:, 0] *= ratio
    motion[0, 48, 0], motion[0, 54, 0] = 0.05, -0.05
    moved = retarget(motion, neutral)[0]
    assert 0.03 < moved[48, 0] < 0.075 and -0.075 < moved[54, 0] < -0.03


def test_a_closed_mouth_takes_the_motion_as_it_is():
    assert retarget(mouth(0.2), face(0.0)) == pytest.approx(mouth(0.2), abs=1e-6)


def test_lips_never_cross():
    neutral = face(0.0)
    moved = neutral + retarget(mouth(-0.1), neutral)[0]
    assert gaps(moved, INNER_LIP_PAIRS).min() >= -1e-6


def test_outer_lips_go_with_the_inner_ones_that_they_border():
    """Lips that would cross are pushed apart, the lower one by more."""
    moved = retarget(mouth(-0.1), face(0.0))[0, :, 1]
    assert moved[61:64] == pytest.approx(0.03) and moved[49:54] == pytest.approx(0.03)
    assert moved[65:68] == pytest.approx(0.03) and moved[55:60] == pytest.approx(0.03)


@pytest.mark.parametrize("lid_share", [0.0, 0.4, 1.0, 1.6])
def test_a_blink_just_closes_eyes_however_open(lid_share):
    neutral = face(lid_share=lid_share)
    moved = neutral + retarget(blink(), neutral)[0]
    assert gaps(moved, LID_PAIRS) == pytest.approx(0, abs=1e-6)


def test_what_is_given_is_not_changed():
    motion = mouth(0.1)
    retarget(motion, face(0.1))
    assert np.array_equal(motion, mouth(0.1))


def hanging(turn: float) -> np.ndarray:
    """The average face with its jaw open by `turn` radians, as ICT-FaceKit's opens."""
    shut = face(0.0)
    return shut - shut_jaw(face(0.12)) * turn


@pytest.mark.parametrize("turn", [0.3, 0.8])
def test_a_hanging_jaw_turns_until_the_lips_meet(turn):
    neutral = hanging(turn)
    moved = neutral + retarget(mouth(0.0), neutral)[0]
    assert gaps(moved, INNER_LIP_PAIRS) == pytest.approx(0, abs=1e-6)
    assert (
        np.abs(moved[[8, 48, 54, 57, 66]] - face(0.0)[[8, 48, 54, 57, 66]]).max()
        < 0.3 * np.abs(neutral[66] - face(0.0)[66]).max()
    )


def test_a_jaw_that_hangs_low_comes_back_under_the_upper_lip():
    """It opens as ICT-FaceKit's does, by 29 mm; turned about its hinge it came back 6 to 8 mm too far forward."""
    shut, low = face(0.0), [6, 7, 8, 9, 10, 55, 56, 57, 58, 59, 65, 66, 67]
    opened = shut.copy()
    opened[low] += jaw.hinged(shut[low] * 90, shut[8] * 90) @ np.array([0, -28.6, -29.3]) / 90
    moved = opened + shut_jaw(opened)
    assert np.abs(moved - shut)[[8, 57, 62, 66], 2].max() * 90 < 2.0, "mm"


def test_a_shut_jaw_stays():
    assert not shut_jaw(face(0.0)).any()


def test_both_sides_of_the_jaw_turn_alike():
    turned = shut_jaw(face(0.1))
    assert turned[:17, 1:] == pytest.approx(turned[16::-1, 1:], abs=0.02)
    assert (turned[[0, 16, 27, 33, 36]] == 0).all()
