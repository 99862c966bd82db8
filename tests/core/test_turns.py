"""A head that turns on its neck, and eyes in it: rigid above the jaw, at rest below the shoulders."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from freetalk_blender.core import arkit, key_sets, turns
from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.face import Face, prepare
from freetalk_blender.core.frame import mean_landmarks
from freetalk_blender.core.mouth.opened_mouth import TOOTH
from freetalk_blender.core.movement import deform, moves, shape_keys
from freetalk_blender.core.voice.performance import Performance

#: Six turns of the head of 4 degrees, after rest; and four of the eyes.
TURNS = np.radians(4) * np.concatenate([np.zeros((1, 5)), np.identity(5)[:3], -np.identity(5)[:3]]).astype(np.float32)
GAZES = np.radians(4) * np.concatenate([np.identity(5)[3:], -np.identity(5)[3:]]).astype(np.float32)


@pytest.fixture(scope="module")
def still() -> np.ndarray:
    return np.zeros((len(TURNS), 68, 3), np.float32)


def in_mm(face: Face, points: np.ndarray) -> np.ndarray:
    return 90 * face.frame.to_canonical(points.astype(float))


def test_face_and_skull_turn_as_one_and_shirt_and_shoulders_stay(scan, face, still):
    moved = deform(face, still, turns=TURNS)
    at_rest, marks = in_mm(face, scan[0]), in_mm(face, face.landmarks)
    skull, low = at_rest[:, 1] > marks[33, 1], at_rest[:, 1] < marks[8, 1] - 120
    assert skull.sum() > 3000 and low.sum() > 100
    assert not moved[0].any() and np.linalg.norm(moved[:, low], axis=2).max() / face.frame.units_per_mm < 0.1
    for turn, dense in zip(TURNS, moved, strict=True):
        places = in_mm(face, scan[0] + dense)
        found, _ = Rotation.align_vectors(
            places[skull] - places[skull].mean(0), at_rest[skull] - at_rest[skull].mean(0)
        )
        off = places - places[skull].mean(0) - found.apply(at_rest - at_rest[skull].mean(0))
        assert np.linalg.norm(off[skull], axis=1).max() < 0.5, "linear turns leave the head as large as it was"
        assert found.as_rotvec() == pytest.approx(turn[:3], abs=1e-3)


def test_a_nod_goes_down_a_turn_to_the_subjects_left_and_a_tilt_to_the_right(face):
    marks = in_mm(face, face.landmarks)
    nod, turn, tilt = 90 * face.frame.vectors_to_canonical(turns.shapes(face)[:3])
    nose, brow = (np.linalg.norm(in_mm(face, face.opened.vertices) - marks[k], axis=1).argmin() for k in (30, 27))
    assert nod[nose, 1] < -10 and abs(nod[nose, 0]) < 1
    assert turn[nose, 0] > 10 and abs(turn[nose, 1]) < 1
    assert tilt[brow, 0] < -4


def test_walls_and_floors_stay_and_hair_does_not():
    marks = 90 * mean_landmarks()
    scalp, long_hair = [0, 120, -60], [90, 60, -120]
    wall, floor, hand, chest = [0, 0, -500], [0, -900, 0], [350, -50, 100], [0, -260, 10]
    share = turns.share(np.array([scalp, long_hair, wall, floor, hand, chest], float), marks)
    assert share[:2].min() == 1 and share[2:].max() == 0


def test_the_nape_bends_at_the_height_of_the_chin_and_a_collar_is_not_on_the_head():
    marks = 90 * mean_landmarks()
    nape = marks[8] + np.array([[0, -8, -100]])
    assert 0.6 < turns.share(nape, marks)[0] < 0.9, "the neck begins higher behind"
    collar = np.array([[-50, marks[8, 1] - 70, -110], [50, marks[8, 1] - 70, -10]])
    cap = np.array([[-80, 90, -160], [80, 130, 20]])
    assert 0.05 < turns.share(collar.mean(0, keepdims=True), marks)[0] < 0.3
    assert turns.on_head(cap, marks) and not turns.on_head(collar, marks)


def test_teeth_and_bag_turn_with_the_skull(face):
    bag = in_mm(face, face.opened.vertices[face.opened.skin_count :])
    assert len(bag) and turns.share(bag, in_mm(face, face.landmarks)).min() > 0.99
    assert TOOTH in face.opened.part


def test_lips_that_meet_stay_together(face, still):
    keys = turns.with_turns(shape_keys(face, still), face, TURNS)
    moved = np.tensordot(keys.weights, keys.shapes, 1)
    gap = moved[:, face.opened.upper_rim] - moved[:, face.opened.lower_rim]
    assert np.abs(gap).max() < 1e-3 * face.frame.units_per_mm


@pytest.mark.parametrize("wanted", [key_sets.AUTO, key_sets.ARKIT, 5, np.int64(5)])
def test_shape_keys_preview_and_dense_motion_turn_alike(face, wanted):
    motion = np.zeros((len(TURNS), 68, 3), np.float32)
    motion[:, [7, 8, 9, 56, 57, 58, 65, 66, 67], 1] = -0.15 * np.linspace(0, 1, len(TURNS))[:, None]
    take = Performance(motion, mean_landmarks(), 30.0, np.zeros((len(TURNS), 8)), np.zeros((len(TURNS), 3)), TURNS)
    keys = key_sets.shape_keys(face, take, wanted, 0.05)
    dense, looked = deform(face, motion, turns=TURNS), moves(face, motion, take.tongue, TURNS)
    found = np.tensordot(keys.weights, keys.shapes, 1)
    allowed = keys.max_error + 0.05 * face.frame.units_per_mm
    assert np.linalg.norm(found[:, : face.vertex_count] - dense, axis=2).max() < allowed
    for frame in (0, 3):
        shown = looked.at(frame)[: face.vertex_count]
        assert np.linalg.norm(shown - dense[frame], axis=1).max() < 0.05 * face.frame.units_per_mm
    if wanted == 5:
        assert len(keys.shapes) == 5
    else:
        assert keys.names[-3:] == turns.KEYS[:3] and np.abs(keys.weights).max() <= 1
        assert (keys.names[: len(arkit.NAMES)] == arkit.NAMES) == (wanted == key_sets.ARKIT)


def test_eyes_that_look_move_what_is_between_the_lids_and_nothing_else(scan, face):
    dense = deform(face, np.zeros((4, 68, 3), np.float32), turns=GAZES) / face.frame.units_per_mm
    size, (down, left) = np.linalg.norm(dense, axis=2), 90 * face.frame.vectors_to_canonical(turns.shapes(face))[3:]
    marks, places = in_mm(face, face.landmarks), in_mm(face, scan[0])
    middles = marks[36:42].mean(0), marks[42:48].mean(0)
    near = np.min([np.abs(places - middle).max(1) for middle in middles], 0) < 17
    assert not size[:, ~near].any() and 0.4 < size.max() < 1.3
    for middle in middles:
        pupil = np.linalg.norm((places - middle)[:, :2], axis=1).argmin()
        assert down[pupil, 1] < -1 and left[pupil, 0] > 1
    keys = turns.with_turns(shape_keys(face, np.zeros((4, 68, 3), np.float32)), face, GAZES)
    assert keys.names[-2:] == turns.KEYS[3:]


def test_a_vertex_that_lies_nowhere_turns_nowhere(scan):
    """Its turn was not finite, and a number of keys at most could not be found."""
    bound = prepare(np.concatenate([scan[0], [[np.nan] * 3]]).astype(np.float32), *scan[1:])
    assert np.isfinite(turns.shapes(bound)).all() and not turns.shapes(bound)[:, len(scan[0])].any()


def test_where_no_eyes_were_found_gazes_need_no_keys(face):
    keys = shape_keys(face, np.zeros((4, 68, 3), np.float32))
    blind = turns.with_turns(keys, replace(face, looks=()), GAZES)
    assert not blind.names and len(blind.shapes) == len(keys.shapes)


def test_a_head_at_rest_needs_no_keys(face, still):
    keys = shape_keys(face, still)
    assert turns.with_turns(keys, face, 0 * TURNS) is keys
    assert not deform(face, still, turns=0 * TURNS).any()


@pytest.mark.parametrize("wrong", [TURNS[:2], TURNS[:, :2], np.full_like(TURNS, np.nan), TURNS.astype(str)])
def test_what_is_no_turn_is_told(face, still, wrong):
    with pytest.raises(FreeTalkError, match="Turns are finite values of shape"):
        deform(face, still, turns=wrong)
