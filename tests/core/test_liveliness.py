"""Blinks, brow beats and nods: from the seed, where the voice asks for them, still in silence."""

import numpy as np
import pytest

from freetalk_blender.core import frame
from freetalk_blender.core.landmarks import LID_PAIRS, gaps
from freetalk_blender.core.voice import liveliness, prosody
from freetalk_blender.core.voice.audio import SPEECH_RATE


def talking(frames: int = 1500, last: int = 900) -> np.ndarray:
    speech = np.zeros(frames)
    speech[100:last] = 1.0
    return speech


#: Second and strength of what is stressed.
ACCENTS = np.array([(2.5, 0.4), (3.1, 0.8), (5.0, 0.6), (9.0, 0.5)])


def voice(semitones: np.ndarray, level: np.ndarray) -> np.ndarray:
    """A buzz whose pitch (above 100 Hz) and level (0..1) are given at 50 Hz."""
    times = np.arange(len(semitones) * SPEECH_RATE // 50) / SPEECH_RATE
    clock = np.arange(len(semitones)) / 50
    hertz = 100 * 2 ** (np.interp(times, clock, semitones) / 12)
    phase = 2 * np.pi * np.cumsum(hertz) / SPEECH_RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 9))
    return (0.1 * buzz * np.interp(times, clock, level)).astype(np.float32)


def test_blinks_follow_the_seed_and_silence_has_none() -> None:
    first, again, other = (liveliness.blinks(talking(), ACCENTS, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.max() == pytest.approx(1.0, abs=0.05) and first.min() == 0.0
    assert not first[1100:].any()
    assert not liveliness.blinks(np.zeros(1500), ACCENTS[:0], 1).any()


def test_no_recording_ends_with_shut_lids() -> None:
    """Blinks are drawn to the ends of phrases, and a trimmed recording ends with one."""
    for frames in (5, 60, 150, 290, 400):
        for seed in range(20):
            lids = liveliness.blinks(np.r_[np.zeros(min(frames, 10)), np.ones(max(frames - 10, 0))], ACCENTS, seed)
            assert lids[-1] < 0.1
    assert any(liveliness.blinks(np.ones(150), ACCENTS, seed)[-20:].any() for seed in range(20))


def test_two_talkers_blink_and_look_about_each_in_their_own_time() -> None:
    one, other = talking(3000, 2000), np.roll(talking(3000, 2000), 400)
    together = (liveliness.blinks(one, ACCENTS, 1) > 0.5) & (liveliness.blinks(other, ACCENTS + (8, 0), 1) > 0.5)
    assert together.sum() < 0.3 * (liveliness.blinks(one, ACCENTS, 1) > 0.5).sum()
    still = np.zeros((3000, 3))
    looks = (liveliness.gaze(one, said, still, 1)[700:1900] for said in (ACCENTS, ACCENTS + (8, 0)))
    assert np.abs(np.subtract(*looks)).mean() > np.radians(0.5)


def test_how_a_recording_ends_changes_nothing_before() -> None:
    whole, shorter = talking(1500, 1400), talking(1500, 1400)[:1290]
    one, other = (liveliness.blinks(speech, ACCENTS, 1) for speech in (whole, shorter))
    assert one[:1250].any() and np.array_equal(one[:1250], other[:1250])
    fewer, still = ACCENTS[:3], np.zeros((1500, 3))
    one, other = (liveliness.gaze(whole, said, still, 1) for said in (ACCENTS, fewer))
    assert one.any() and np.array_equal(one, other)
    moves = (liveliness.head(whole, said, np.zeros((1500, 8)), 1)[:400] for said in (ACCENTS, fewer))
    assert np.array_equal(*moves)


def test_more_blinks_when_asked_and_none_at_zero() -> None:
    def count(rate: float) -> int:
        lids = liveliness.blinks(talking(30000, 29900), ACCENTS, 3, rate) > 0.5
        return int((np.diff(lids.astype(int)) == 1).sum())

    minutes = 10
    counts = [count(rate) for rate in (0, 0.5, 1, 2)]
    assert counts[0] == 0 and np.all(np.diff(counts) > 0)
    assert 20 < counts[2] / minutes < 30  # people blink 26 times a minute when they talk


def test_lids_that_fall_again_have_been_open_before() -> None:
    for seed in range(4):
        shut = liveliness.blinks(np.ones(3000), ACCENTS, seed, 8.0) > 0.1
        begin, end = np.flatnonzero(np.diff(shut, prepend=False, append=False)).reshape(-1, 2).T
        assert len(begin) > 50 and (end - begin).max() / 50 < 0.3, "a blink takes 0.26 s"


def test_a_blink_waits_for_the_end_of_a_phrase() -> None:
    speech = np.tile(np.r_[np.ones(130), np.zeros(20)], 40)
    ends = np.flatnonzero((speech[:-1] > 0) & (speech[1:] == 0))
    falling = np.flatnonzero(np.diff((liveliness.blinks(speech, ACCENTS, 1) > 0).astype(int)) == 1)
    near = np.abs(falling[:, None] - ends).min(1) <= 3
    assert near.mean() > 0.2  # 3 frames either side of an end are 5 % of all


@pytest.mark.parametrize("height", [110, 150, 220, 330])
def test_pitch_is_the_voices(height: int) -> None:
    semitones = np.full(100, 12 * np.log2(height / 100))
    pitch, level = prosody.pitch_and_level(voice(semitones, np.ones(100)))
    assert np.abs(pitch[5:95] - semitones[5:95]).max() < 0.5
    assert np.ptp(level[5:95]) < 1.0


def test_noise_has_no_pitch() -> None:
    pitch, _ = prosody.pitch_and_level(np.random.default_rng(0).normal(0, 0.1, SPEECH_RATE).astype(np.float32))
    assert np.isfinite(pitch).mean() < 0.1


def test_brows_rise_with_the_accent_and_not_elsewhere() -> None:
    times = np.arange(400) / 50
    bump = np.exp(-(((times - 4.0) / 0.12) ** 2))
    samples = voice(5 * bump, 0.3 + 0.7 * bump)
    found = prosody.accents(samples, np.ones(400))
    assert len(found) == 1 and found[0, 0] == pytest.approx(4.0, abs=0.1) and found[0, 1] > 0.3
    strong = np.array([[4.0, 1.0]])
    curves = [liveliness.beats(strong, 400, seed) for seed in range(40)]
    raised = [curve for curve in curves if curve.any()]
    assert len(raised) > 20
    assert all(3.6 < times[curve.argmax()] < 4.1 and not curve[times < 3.5].any() for curve in raised)
    assert np.array_equal(curves[5], liveliness.beats(strong, 400, 5))


def test_brows_rise_with_most_strong_accents_and_some_weak_ones_and_further_with_strong_ones() -> None:
    raised = {}
    for strength in (0.2, 0.9):
        each = np.column_stack([np.arange(1, 301), np.full(300, strength)])
        raised[strength] = liveliness.beats(each, 302 * 50, seed=0)[25:-75].reshape(300, 50).max(1)
    assert 0.3 < (raised[0.2] > 0).mean() < 0.6 < 0.7 < (raised[0.9] > 0).mean() < 0.95
    assert raised[0.2].max() < 0.5 < raised[0.9].max() <= 1


def test_of_two_accents_within_half_a_second_the_stronger_one_counts() -> None:
    times = np.arange(400) / 50
    weak, strong, later = (np.exp(-(((times - moment) / 0.07) ** 2)) for moment in (3.66, 4.0, 4.8))
    bump = 0.8 * weak + strong + later
    found = prosody.accents(voice(5 * bump, 0.3 + 0.7 * bump), np.ones(400))
    assert found[:, 0] == pytest.approx([4.0, 4.8], abs=0.1)


@pytest.mark.parametrize("samples", [1, 100, 319, 4800])
def test_short_and_silent_sounds_have_no_accents(samples: int) -> None:
    frames = -(-samples // 320)
    for sound in (np.zeros(samples, np.float32), np.ones(samples, np.float32)):
        assert prosody.accents(sound, np.ones(frames)).shape == (0, 2)


def test_accents_do_not_depend_on_how_much_is_analysed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = voice(np.sin(np.arange(300) / 20), np.ones(300))
    whole = prosody.pitch_and_level(samples)
    monkeypatch.setattr(prosody, "_BLOCK", 37)
    for a, b in zip(whole, prosody.pitch_and_level(samples), strict=True):
        assert np.allclose(a, b, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize(("share", "direct"), [(0.01, 0.0), (1.0, 0.5)])
def test_loudness_and_direct_current_change_no_accent(spoken: np.ndarray, share: float, direct: float) -> None:
    speech = np.ones(len(spoken) // 320)
    found = prosody.accents(np.float32(share) * spoken + np.float32(direct), speech)
    assert np.abs(found - prosody.accents(spoken, speech)).max() < 0.01


def accented(moments: np.ndarray) -> np.ndarray:
    return np.stack([moments, np.full(len(moments), 0.8)], 1)


def test_a_head_follows_the_seed_and_rests_before_and_after_speech() -> None:
    accents, calm = accented(np.arange(2.5, 17.5)), np.zeros((1500, 8))
    first, again, other = (liveliness.head(talking(), accents, calm, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (1500, 3) and first.dtype == np.float32
    later = liveliness.head(np.roll(talking(), 10), accents + [0.2, 0], calm, 1)
    assert np.abs(later[10:] - first[:-10]).max() > 0.01, "other words, other turns"
    assert not first[:25].any() and not first[1000:].any()
    degrees = np.degrees(first)
    assert (degrees[100:900].std(0) > 0.3).all() and np.abs(degrees).max() < 10
    assert np.abs(np.diff(degrees, axis=0)).max() * 50 < 60, "degrees a second"


@pytest.mark.parametrize("accent", [56, 57, 113])
def test_a_head_turns_elsewhere_around_the_frame_of_the_accent(accent: int) -> None:
    times = np.array([[accent / 50, 0.0]])
    turns = liveliness.head(np.ones(400, np.float32), times, np.zeros((400, 8), np.float32), 0)
    assert turns[accent - 1] + turns[accent] == pytest.approx(turns[accent + 40], abs=1e-6), "half of the way is there"


def test_heads_nod_down_with_most_accents() -> None:
    moments = np.arange(3.0, 57.0, 2.0)
    turned = [liveliness.head(np.ones(3000), accented(moments), np.zeros((3000, 8)), seed)[:, 0] for seed in range(6)]
    at = (50 * moments).astype(int)
    dips = np.degrees(np.concatenate([curve[at + 5] - (curve[at - 15] + curve[at + 40]) / 2 for curve in turned]))
    assert 0.65 < (dips > 0.5).mean() < 0.95 and 1 < np.median(dips) < 3.5


def test_sadness_hangs_the_head_in_silence_too() -> None:
    sad = np.zeros((500, 8))
    sad[:, 2] = 1.0
    turned = np.degrees(liveliness.head(np.zeros(500), np.zeros((0, 2)), sad, 1))
    assert turned[:, 0] == pytest.approx(6.0) and not turned[:, 1:].any()


def test_eyes_stay_on_who_is_looked_at_while_the_head_turns_and_rest_in_silence() -> None:
    head = np.radians(3 * np.sin(np.arange(1500)[:, None] / [40.0, 60.0, 50.0]))
    head[1100:] = 0
    eyes = np.degrees(liveliness.gaze(talking(), ACCENTS, head, 1))
    assert eyes.shape == (1500, 2) and not eyes[1100:].any()
    looked = eyes + np.degrees(head[:, :2])
    jumps = np.flatnonzero(np.abs(np.diff(looked[150:850], axis=0)).max(1) > 1e-3)
    assert 6 < len(jumps) < 30 and np.diff(jumps).min() >= 12, "fixations, and quick steps between them"
    assert 0.4 < looked[150:850].std() < 4 and np.abs(eyes).max() <= 12


def test_eyes_that_look_about_further_stay_on_who_is_looked_at_all_the_same() -> None:
    head = np.radians(6 * np.sin(np.arange(1500)[:, None] / [40.0, 60.0, 50.0]))
    for factor, stays in ((0.5, 0.5), (1.0, 1.0), (2.0, 1.0)):
        eyes = liveliness.gaze(talking(), ACCENTS, head, 1, factor)
        about = liveliness.gaze(talking(), ACCENTS, np.zeros_like(head), 1, factor)
        assert np.degrees(np.abs(eyes).max()) <= 12.001
        free = np.abs(about - stays * head[:, :2]) < np.radians(12)
        assert np.allclose(eyes[free], (about - stays * head[:, :2])[free], atol=1e-6)


def test_lids_go_where_the_eyes_look_and_shut_ones_stay_shut() -> None:
    neutral = frame.mean_landmarks()
    upper, lower = np.array(LID_PAIRS).T
    shut = np.zeros((68, 3), np.float32)
    shut[upper] = neutral[lower] - neutral[upper]
    pitch = np.radians([-12.0, 0.0, 12.0, 24.0, 24.0]).astype(np.float32)
    given = np.stack([*np.zeros((4, 68, 3), np.float32), shut])
    moved = liveliness.with_lids(given, neutral, pitch)
    down = -90 * moved[:4, upper, 1].mean(1)
    assert np.allclose(down[:3], [-down[2], 0, down[2]], atol=1e-5) and 1.5 < down[2] < 2.5, (
        "mm: most of the eye's turn"
    )
    assert (np.diff(down) > 1).all()
    assert 0.2 < -90 * moved[2, lower, 1].mean() / down[2] < 0.5, "the lower lid goes along, by less"
    open_ = 90 * gaps(neutral + moved, LID_PAIRS)
    assert open_[3].min() > 3 and np.abs(open_[4]).max() < 0.01
    assert not np.delete(moved[:4], [*upper, *lower], 1).any() and np.allclose(moved[4], shut, atol=1e-6)
    assert liveliness.with_lids(given, neutral, np.zeros(5)) is given


def test_feeling_leaves_eyes_a_little_open_and_a_blink_shuts_them() -> None:
    neutral = frame.mean_landmarks()
    upper, lower = np.array(LID_PAIRS).T
    rest = gaps(neutral, LID_PAIRS)

    def shares(narrowed: np.ndarray, blink: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        given = np.zeros((len(narrowed), 68, 3), np.float32)
        between = neutral[lower] - neutral[upper]
        gone = (narrowed * (1 - blink) + blink)[:, None, None] * between
        given[:, upper], given[:, lower], given[:, 20] = 0.7 * gone, -0.3 * gone, 0.1
        moved = liveliness.with_open_eyes(given, neutral, blink)
        assert np.array_equal(np.delete(moved, [*upper, *lower], 1), np.delete(given, [*upper, *lower], 1))
        return moved - given, 1 + gaps(moved, LID_PAIRS) / rest

    narrowed = np.linspace(-0.8, 1.6, 49)
    change, left = shares(narrowed, np.zeros(49))
    assert not change[narrowed < 0.64].any(), "wide eyes stay wide, and a smile's as narrow"
    assert left.min() > 0.249 and np.abs(left[narrowed > 0.9] - 0.25).max() < 1e-5
    assert (np.diff(left.mean(1)) < 1e-6).all() and np.abs(np.diff(left, 2, axis=0)).max() < 0.02, "softly"
    blink = np.linspace(0, 1, 49)
    for strength in (0.0, 0.6, 1.0, 1.4):
        change, left = shares(np.full(49, strength), blink)
        assert np.abs(left[-1]).max() < 1e-5 and not change[-1].any(), "shut"
        assert strength > 0.65 or not change.any()
        assert np.diff(left.mean(1)).max() < 0.01 and left.min() > -0.03


@pytest.mark.parametrize("fps", [12, 24, 25, 30, 60])
def test_some_frame_shows_the_lids_shut_in_every_blink(fps: float) -> None:
    curve = liveliness.blinks(talking(), ACCENTS, 2)
    frames = int(len(curve) / 50 * fps)
    seen = np.interp(liveliness.shown(curve, frames, fps), np.arange(len(curve)) / 50, curve)
    shut = np.flatnonzero(np.diff(curve > 0.95, prepend=False, append=False)).reshape(-1, 2) - (0, 1)
    assert len(shut) > 5
    for first, last in shut / 50:
        instants = np.arange(frames) / fps
        near = (instants >= first - 0.04 - 1e-9) & (instants <= last + 0.04 + 1e-9)
        assert not near.any() or seen[near].max() > 0.95 - 1e-6
