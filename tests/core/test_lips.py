"""Lips that a hand brings together or keeps apart, and style that changes over time."""

import numpy as np
import pytest

from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, LOWER_INNER, MIRRORED, gaps
from freetalk_blender.core.voice import audio, performance
from freetalk_blender.core.voice.lips import corrected, parting, relaxed
from freetalk_blender.core.voice.performance import Performance
from freetalk_blender.core.voice.style import Style, StyleError

FPS = 30
MM = 90
EYES = slice(36, 48)


@pytest.fixture(scope="module")
def plain(spoken: np.ndarray) -> Performance:
    return perform(spoken)


def perform(samples: np.ndarray, **style: float | np.ndarray) -> Performance:
    return performance.perform(samples, audio.SPEECH_RATE, fps=FPS, device="cpu", style=Style(**style))


def gap(take: Performance) -> np.ndarray:
    """(T,3) mm between the inner lips."""
    return MM * gaps(take.displacement, INNER_LIP_PAIRS)


def bump(frames: int, middle: int, height: float) -> np.ndarray:
    return height * np.clip(1 - np.abs(np.arange(frames) - middle) / 3, 0, 1)


def test_a_hand_closes_the_widest_mouth_and_nothing_far_from_it(spoken: np.ndarray, plain: Performance) -> None:
    open_ = gap(plain)
    widest = int(open_[:, 1].argmax())
    assert open_[widest, 1] > 6
    closed = perform(spoken, contact=bump(len(open_), widest, 1.0))
    assert np.abs(gap(closed)[widest]).max() < 0.05
    assert (gap(closed) < open_ + 0.05).all()
    away = np.abs(np.arange(len(open_)) - widest) > 5
    assert np.array_equal(closed.displacement[away], plain.displacement[away])
    raised = closed.displacement[widest, 8, 1] - plain.displacement[widest, 8, 1]
    assert raised * MM > 1, "the jaw comes up as well"
    assert np.abs(closed.displacement - plain.displacement)[:, EYES].max() * MM < 0.05


def test_a_hand_keeps_lips_apart_that_were_heard_to_meet(spoken: np.ndarray, plain: Performance) -> None:
    shut = np.flatnonzero((gap(plain)[:, 1] < 0.3) & (np.arange(len(plain.displacement)) > 10))
    spoken_around = [frame for frame in shut if gap(plain)[max(0, frame - 6) : frame + 7, 1].max() > 5]
    assert spoken_around
    for frame in spoken_around[:3]:
        parted = gap(perform(spoken, contact=bump(len(plain.displacement), frame, -1.0)))
        assert parted[frame].min() > 2 and parted[frame, 1] < gap(plain)[:, 1].max()


def test_more_of_a_correction_does_more() -> None:
    moved = np.zeros((9, 68, 3), np.float32)
    moved[:, LOWER_INNER, 1] = -0.1
    left = [gaps(corrected(moved, value, FPS), INNER_LIP_PAIRS).mean() for value in (0.0, 0.25, 0.5, 1.0)]
    assert np.allclose(left, [0.1, 0.075, 0.05, 0.0], atol=1e-6)
    assert corrected(moved, 0.0, FPS) is moved
    assert np.allclose(corrected(moved, -1.0, FPS), moved), "lips that are apart stay as they are"


def test_a_hand_parts_lips_that_have_been_shut_all_the_while() -> None:
    shut = np.zeros((9, 68, 3), np.float32)
    parted = MM * gaps(corrected(shut, bump(9, 4, -1.0), FPS), INNER_LIP_PAIRS)
    assert parted[4].min() > 2 and not parted[[0, 8]].any()


@pytest.mark.parametrize("fps", [24, 60])
def test_lips_are_kept_apart_by_half_of_what_they_open_by_around_there(fps: int) -> None:
    """Not by what they open by in the next syllable but one."""
    open_ = np.zeros((2 * fps, 68, 3), np.float32)
    open_[[fps - round(0.19 * fps), fps + round(0.25 * fps)], LOWER_INNER[:, None], 1] = -0.1, -0.3
    for share in (0.5, 1.0):
        parted = gaps(corrected(open_, np.where(np.arange(len(open_)) == fps, -share, 0), fps), INNER_LIP_PAIRS)
        assert parted[fps] == pytest.approx(share * 0.05)


def test_lips_that_a_hand_moves_keep_most_of_their_thickness_and_their_corners() -> None:
    both = parting()
    whole = both.sum(0)[:, 1]
    assert whole[50:53] == pytest.approx(0.8 * whole[61:64]) and whole[58:55:-1] == pytest.approx(0.8 * whole[67:64:-1])
    assert whole[[49, 53]] == pytest.approx(0.4 * whole[62]) and whole[[59, 55]] == pytest.approx(0.4 * whole[66])
    assert not np.delete(whole, [*range(49, 54), *range(55, 60), *range(61, 64), *range(65, 68)]).any()
    assert np.array_equal(both[::-1, MIRRORED], both) and not both[..., [0, 2]].any()


def test_the_jaw_comes_up_where_a_hand_closes_lips_and_rests_where_it_parts_them() -> None:
    left = relaxed(Style(articulation=1.2, contact=np.array([-1.0, 0.0, 0.5, 1.0]))).articulation
    assert left == pytest.approx([1.2, 1.2, 0.9, 0.6])


@pytest.mark.parametrize("name", ["articulation", "jaw", "head", "gaze", "upper_face", "blinks"])
def test_a_factor_may_change_over_time(spoken: np.ndarray, name: str) -> None:
    long = np.tile(spoken, 3)
    frames = performance.frame_count(len(long), audio.SPEECH_RATE, FPS)
    none, all_ = perform(long, **{name: 0.0}), perform(long, **{name: 1.0})
    curve = np.where(np.arange(frames) < frames // 2, 0.0, 1.0)
    changing = perform(long, **{name: curve})
    first, last = slice(0, frames // 2 - 3), slice(frames // 2 + 3, None)
    assert np.allclose(motion(changing)[first], motion(none)[first], atol=1e-6)
    if name != "blinks":  # each blink is drawn after the one before
        assert np.allclose(motion(changing)[last], motion(all_)[last], atol=1e-6)
    assert not np.allclose(motion(changing)[last], motion(none)[last], atol=1e-3)
    throughout = perform(long, **{name: np.full(frames, 0.5)})
    assert np.allclose(motion(throughout), motion(perform(long, **{name: 0.5})), atol=1e-6)


def motion(take: Performance) -> np.ndarray:
    """(T,n) all that a style may change."""
    return np.concatenate([take.displacement.reshape(len(take.turns), -1), take.tongue, take.turns], 1)


def test_a_strength_may_change_over_time(plain: Performance) -> None:
    half = np.repeat([1.0, 0.0], [10, len(plain.turns) - 10])
    scaled = plain.scaled(half)
    assert np.array_equal(motion(scaled)[:10], motion(plain)[:10]) and not motion(scaled)[10:].any()


def test_a_curve_of_another_length_is_told(spoken: np.ndarray) -> None:
    with pytest.raises(StyleError, match="jaw"):
        perform(spoken, jaw=np.ones(7))
    with pytest.raises(StyleError, match="contact is -2"):
        Style(contact=np.array([0.0, -2.0]))
