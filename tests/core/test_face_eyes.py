"""Eyes of a face that is moved: blinks over balls, holes and skin, and eyes that are shut already."""

from dataclasses import replace

import numpy as np
import pytest

from freetalk_blender.core import arkit, frame, landmarks, movement, perform
from freetalk_blender.core import face as faces
from freetalk_blender.core.eyelids import Eyelids
from freetalk_blender.core.eyes.eye_state import EYES
from freetalk_blender.core.face import prepare
from freetalk_blender.core.movement import deform, moves, shape_keys
from freetalk_blender.core.surface import raster
from freetalk_blender.core.voice import audio
from tests.core.test_face import mm


def backs(points: np.ndarray, triangles: np.ndarray, middle: np.ndarray) -> float:
    """mm² within 15 mm of a point in which the back of skin (V,3), mm, is seen from the front."""
    near = triangles[(np.abs(points - middle) < [15, 15, 30]).all(1)[triangles].all(1)]
    seen = raster.render(((points - middle) / 15).astype(np.float32), near, 200)
    a, b, c = points[near].transpose(1, 0, 2)
    away = np.cross(b - a, c - a)[:, 2] < 0
    return away[seen.triangle[seen.seen]].sum() * 0.15**2


def test_a_blink_of_eyes_that_are_one_skin_shows_no_folds(scan, face, spoken):
    said = perform(spoken, audio.SPEECH_RATE).displacement
    own = movement.landmark_motion(face, said)
    gap = own[:, 37, 1] - own[:, 41, 1]
    motion = said[[0, gap.argmin() - 1, gap.argmin()]]
    dense = deform(face, motion)
    keys = shape_keys(face, motion, tolerance=0.1)
    caller = np.tensordot(keys.weights, keys.shapes, 1)[:, : face.vertex_count]
    assert mm(face, caller - dense).max() <= 0.1
    assert keys.max_error <= 0.1 * face.frame.units_per_mm
    folded = deform(replace(face, eyelids=None), motion)
    shown = [
        backs(90 * face.frame.to_canonical(scan[0] + moved[-1]), scan[1], 90 * face.neutral[rows].mean(0))
        for moved in (folded, dense)
        for rows in EYES
    ]
    assert min(shown[:2]) > 10 and max(shown[2:]) < 0.1


def test_arkit_blinks_show_no_folds_either(scan, face):
    keys = arkit.shape_keys(face, np.zeros((1, 68, 3), np.float32))
    for name, rows in zip(("eyeBlinkRight", "eyeBlinkLeft"), EYES, strict=True):
        blink = keys.shapes[keys.names.index(name), : face.vertex_count]
        for weight in (0.5, 1.0):
            points = 90 * face.frame.to_canonical(scan[0] + weight * blink)
            assert backs(points, scan[1], 90 * face.neutral[rows].mean(0)) < 0.1


@pytest.mark.parametrize(("eyes", "told"), [((0,), "The right eye is"), ((1,), "The left eye is"), ((0, 1), "eyes of")])
def test_eyes_that_landmarks_say_are_shut_are_told(scan, eyes, told):
    vertices, triangles, points = scan
    shut = points.copy()
    for upper, lower in (landmarks.LID_PAIRS[2 * eye + k] for eye in eyes for k in (0, 1)):
        shut[upper] = shut[lower]
    assert faces._eyes(vertices, triangles, points, False)[1] == ()
    (note,) = faces._eyes(vertices, triangles, shut, False)[1]
    assert told in note and note.endswith("shut.")


def test_a_blink_is_corrected_alike_in_shape_keys_frame_by_frame_and_in_dense_motion(face):
    """By how surely each frame's landmarks shut each eye; what corrects the eyes stands in for lids over balls."""
    pushed, neutral = 5 * face.frame.units_per_mm, frame.mean_landmarks()
    motion = np.zeros((4, 68, 3), np.float32)
    for upper, lower in landmarks.LID_PAIRS:
        motion[1 if upper < 42 else [1, 2], upper] = neutral[lower] - neutral[upper]
    crown = np.argsort(face.opened.vertices[: face.vertex_count, 1])[-2:]

    class Lids:
        vertices = np.sort(crown)

        def correction(self, _: np.ndarray, shut: np.ndarray) -> np.ndarray:
            return shut[:, :, None] * np.float32([0, 0, pushed])

    wanted = np.zeros((4, 2, 3))
    wanted[1], wanted[2, 1] = (0, 0, pushed), (0, 0, pushed)
    for bound, more in ((replace(face, eyelids=Eyelids((Lids(),))), wanted), (replace(face, eyelids=None), 0 * wanted)):
        keys, looked = shape_keys(bound, motion, 0.02), moves(bound, motion)
        for moved in (
            deform(bound, motion),
            np.tensordot(keys.weights, keys.shapes, 1),
            np.stack([looked.at(at) for at in range(4)]),
            movement.moved_by(bound, movement.landmark_motion(bound, motion)),
        ):
            assert mm(face, moved[:, Lids.vertices] - more).max() < 0.1


def test_lids_shut_over_holes_whose_edges_are_not_where_the_landmarks_are(scan):
    vertices, triangles, points = scan
    middles = vertices[triangles].mean(1)
    keep = np.ones(len(triangles), bool)
    for rows in EYES:
        off, half = (middles - points[rows].mean(0))[:, :2], np.ptp(points[rows], axis=0)[:2] / 2 + 1.5
        keep &= ((off / half) ** 2).sum(1) > 1
    keep |= middles[:, 2] < points[36:48, 2].min() - 15
    face = prepare(vertices, triangles[keep], points)
    average = frame.mean_landmarks()
    blink = np.zeros((1, 68, 3), np.float32)
    for upper, lower in landmarks.LID_PAIRS:
        blink[0, upper] = average[lower] - average[upper]

    def hollow(one) -> float:
        """mm² of both eyes through which the inside of the head is seen."""
        moved = one.frame.to_canonical(vertices + deform(one, blink)[0]).astype(float) * 90
        across, area = (np.arange(160) + 0.5) / 4 - 20, 0.0
        for rows in EYES:
            centre, half = one.neutral[rows].mean(0) * 90, np.ptp(one.neutral[rows], axis=0)[:2] * 45 + 1
            seen = raster.render(((moved - centre) / 20).astype(np.float32), triangles[keep], 160)
            inside = (across / half[0]) ** 2 + (across[:, None] / half[1]) ** 2 < 1
            area += float((seen.depth[inside] * 20 < -8).sum()) / 16
        return area

    assert hollow(face) < 0.15 * hollow(replace(face, eyelids=None))
