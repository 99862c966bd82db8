"""A performance said in ARKit's blend shapes."""

from dataclasses import replace

import numpy as np
import pytest

from freetalk_blender.core import arkit, landmarks, movement
from freetalk_blender.core import face as faces
from freetalk_blender.core.eyes.looks import Look
from freetalk_blender.core.frame import EYE_DISTANCE_MM, mean_landmarks
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS
from freetalk_blender.core.lip_contact import contact
from freetalk_blender.core.mouth import inner_mouth
from freetalk_blender.core.retarget import with_true_gaps
from freetalk_blender.core.voice import audio, performance


def test_there_are_51_names_each_once_and_each_side_has_its_partner() -> None:
    assert len(arkit.NAMES) == len(set(arkit.NAMES)) == len(arkit.shapes()) == 51
    left = {name.removesuffix("Left") for name in arkit.NAMES if name.endswith("Left")}
    right = {name.removesuffix("Right") for name in arkit.NAMES if name.endswith("Right")}
    assert left == right


@pytest.mark.parametrize(
    ("name", "point", "axis", "sign"),
    [
        ("jawOpen", 8, 1, -1),
        ("mouthSmileLeft", 54, 1, 1),
        ("mouthSmileRight", 48, 1, 1),
        ("mouthPucker", 54, 0, -1),
        ("browInnerUp", 21, 1, 1),
        ("eyeBlinkLeft", 43, 1, -1),
        ("eyeBlinkRight", 38, 1, -1),
    ],
)
def test_shapes_move_the_landmark_that_their_name_says(name: str, point: int, axis: int, sign: int) -> None:
    motion = arkit.shapes()[arkit.NAMES.index(name)]
    assert sign * motion[point, axis] * EYE_DISTANCE_MM > 1


def test_what_the_shapes_made_is_said_by_their_own_weights() -> None:
    truth = np.zeros((4, 51), np.float32)
    for row, names in enumerate((("jawOpen",), ("mouthSmileLeft", "browInnerUp"), ("mouthFunnel",), ("eyeBlinkLeft",))):
        truth[row, [arkit.NAMES.index(name) for name in names]] = 0.6
    motion = np.tensordot(truth, arkit.shapes(), 1)
    found = arkit.fit(motion, arkit.shapes(), contact.closed(motion, with_true_gaps(mean_landmarks())))
    assert np.abs(found - truth).max() < 0.1
    missed = np.tensordot(found, arkit.shapes(), 1) - motion
    assert np.abs(missed).max() * EYE_DISTANCE_MM < 0.2


def test_lips_that_are_shut_in_speech_are_shut_by_the_weights(spoken: np.ndarray) -> None:
    motion = performance.perform(spoken, audio.SPEECH_RATE, device="cpu").displacement
    shut = contact.closed(motion, with_true_gaps(mean_landmarks()))
    made = np.tensordot(arkit.fit(motion, arkit.shapes(), shut), arkit.shapes(), 1)
    apart = np.abs(landmarks.gaps(made, INNER_LIP_PAIRS))[shut > 0.9] * EYE_DISTANCE_MM
    assert len(apart) > 20 and apart.mean() < 0.25 and apart.max() < 0.6


def test_bounded_least_squares_meets_the_conditions_of_a_minimum() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(8, 40))
    hessian, gradient = rows @ rows.T, 3 * rng.normal(size=(50, 40)) @ rows.T
    found = arkit.bounded_least_squares(hessian, gradient, 3000)
    slope = found @ hessian - gradient
    inside = (found > 1e-6) & (found < 1 - 1e-6)
    assert found.min() >= 0 and found.max() <= 1 and inside.any()
    assert np.abs(slope[inside]).max() < 1e-3
    assert slope[found <= 1e-6].min() > -1e-3 and slope[found >= 1 - 1e-6].max() < 1e-3


def test_keys_of_a_scan_say_how_far_they_are_from_the_whole_motion(face: faces.Face) -> None:
    jaw, pucker = (arkit.shapes()[arkit.NAMES.index(name)] for name in ("jawOpen", "mouthPucker"))
    swing = np.sin(np.linspace(0, np.pi, 20))[:, None, None]
    motion = np.concatenate([swing * 0.7 * jaw, swing * pucker]).astype(np.float32)
    tongue = np.tile(swing[:, :, 0], (2, 3))
    keys = arkit.shape_keys(face, motion, tongue=tongue)
    assert keys.names == (*arkit.NAMES, *inner_mouth.KEYS) and len(keys.names) == len(keys.shapes)
    assert keys.weights.min() >= 0 and keys.weights.max() <= 1
    exact = movement.shape_keys(face, motion, tongue=tongue)
    dense = [np.tensordot(each.weights, each.shapes, 1) for each in (keys, exact)]
    largest = np.linalg.norm(dense[0] - dense[1], axis=2).max()
    assert largest <= keys.max_error * 1.001 < largest + 0.3 * face.frame.units_per_mm
    moved = movement.landmark_motion(face, motion)
    own = np.tensordot(keys.weights[:, :51], arkit.proportioned(arkit.shapes(), face.neutral), 1)
    gaps = [landmarks.gaps(each, INNER_LIP_PAIRS) * EYE_DISTANCE_MM for each in (own, moved)]
    assert np.abs(gaps[0] - gaps[1]).mean() < 0.3


def test_gazes_turn_eyeballs_as_their_names_say_and_no_skin(face: faces.Face) -> None:
    count, still = 40, np.zeros((1, 68, 3), np.float32)
    arms = 12 * np.array([[0, 0, 1.0], [0, 1, 0], [0, 0, -1]])
    looks = tuple(
        Look(np.arange(place, place + 3), np.ones(3), arms, left, ball)
        for place, left, ball in ((0, True, True), (10, False, True), (20, True, False))
    )
    plain, turned = (arkit.shape_keys(one, still).shapes[:, :count] for one in (face, replace(face, looks=looks)))
    mm = 90 * face.frame.vectors_to_canonical((turned - plain).astype(float))
    front = {name: mm[arkit.NAMES.index(name), [0, 10]] for name in arkit.NAMES if name.startswith("eyeLook")}
    signs = {
        "Down": (1, -1),
        "Up": (1, 1),
        "InLeft": (0, -1),
        "OutLeft": (0, 1),
        "InRight": (0, 1),
        "OutRight": (0, -1),
    }
    for what, (axis, sign) in signs.items():
        for name in (name for name in front if what in name):
            ball, other = front[name] if name.endswith("Left") else front[name][::-1]
            assert sign * ball[axis] > 4.5 and np.abs(ball[1 - axis]) < 0.1, name
            assert np.linalg.norm(ball + arms[0]) == pytest.approx(12, abs=1e-3) and not other.any()
    assert not mm[:, 20:].any() and not mm[~np.array([name.startswith("eyeLook") for name in arkit.NAMES])].any()


def test_names_of_characters_shapes_are_understood() -> None:
    given = ["Basis", "jawOpen", "Mouth_Smile_L", "eyeBlink_R", "browInnerUp", "JawOpen", "smile", "Fat", "mouthLeft"]
    given += ["Head_blendShape.mouthPucker", "rig:face|cheekPuff", "eyeWide.L"]
    meant = arkit.meant(given)
    assert meant == {
        "eyeBlinkRight": "eyeBlink_R",
        "eyeWideLeft": "eyeWide.L",
        "mouthPucker": "Head_blendShape.mouthPucker",
        "cheekPuff": "rig:face|cheekPuff",
        "jawOpen": "jawOpen",
        "mouthLeft": "mouthLeft",
        "mouthSmileLeft": "Mouth_Smile_L",
        "browInnerUp": "browInnerUp",
    }
    assert list(meant) == [name for name in arkit.NAMES if name in meant]


@pytest.fixture(scope="module")
def sculpted(face: faces.Face) -> tuple[faces.Face, dict[str, np.ndarray]]:
    """A character with lips that are apart, teeth and a tongue, bound anew, and shapes of its own for all of them."""
    assert face.opened is not None
    character = faces.prepare(face.opened.vertices, face.opened.triangles, face.landmarks)
    assert character.opened is None or not character.opened.is_cut
    made = movement.moved_by(face, arkit.proportioned(arkit.shapes(), face.neutral))
    return character, dict(zip(arkit.NAMES, made, strict=True))


def test_shapes_that_the_face_has_itself_are_moved_as_they_are(
    sculpted: tuple[faces.Face, dict[str, np.ndarray]],
) -> None:
    character, shapes = sculpted
    own = {name: 0.5 * shapes[name] for name in ("jawOpen", "mouthPucker")}
    row = [arkit.NAMES.index(name) for name in own]
    motion = np.zeros((3, 68, 3), np.float32)
    motion[1:] = 0.4 * arkit.shapes()[row]
    plain, lent = (arkit.shape_keys(character, motion, sculpted=shapes) for shapes in (None, own))
    assert np.allclose(lent.shapes[row, : character.vertex_count], [*own.values()])
    others = np.setdiff1d(np.arange(len(lent.shapes)), row)
    assert np.array_equal(lent.shapes[others], plain.shapes[others])
    said = plain.weights[[1, 2], row]
    assert said.min() > 0.2 and np.allclose(lent.weights[[1, 2], row], 2 * said, rtol=0.3), "half the shape"


def test_a_character_speaks_by_its_own_shapes_as_by_made_ones(
    face: faces.Face, sculpted: tuple[faces.Face, dict[str, np.ndarray]], spoken: np.ndarray
) -> None:
    character, shapes = sculpted
    take = performance.perform(spoken, audio.SPEECH_RATE, {"happy": 0.5}, device="cpu")
    made, own = (arkit.shape_keys(character, take.displacement, sculpted=lent) for lent in (None, shapes))
    upper, lower = face.opened.landmark_vertices[[62, 66]]
    gaps = []
    for keys in (made, own):
        moved = np.tensordot(keys.weights, keys.shapes[:, [upper, lower]], 1) / character.frame.units_per_mm
        up = character.frame.rotation[:, 1]
        gaps.append((moved[:, 0] - moved[:, 1]) @ up)
    assert np.corrcoef(gaps)[0, 1] > 0.99 and np.abs(gaps[0] - gaps[1]).max() < 1.5
    shut = gaps[0] < 0.2
    assert shut.any() and gaps[1][shut].max() < 0.7
