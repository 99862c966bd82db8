"""Close-ups show their part of the face, left ones in a mirror, and answers come back to where they were seen."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from freetalk_blender.core import frame, landmarks, models
from freetalk_blender.core.detection import close_view, closeups
from freetalk_blender.core.detection.close_view import SIDES
from freetalk_blender.core.detection.face_view import Patch
from freetalk_blender.core.frame import Similarity

TURN = Rotation.from_euler("xyz", [70, -130, 20], degrees=True).as_matrix()
#: The top of the bridge and the jaw's ends may lie on the border, and are then left to the first answer.
ON_THE_BORDER = (0, 16, 27)
FACE = Similarity(41.0, TURN, np.array([900.0, -3.0, 12.0]))


def places(side: close_view.Side, points: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """(P, 2) what a faultless network would say of a close-up."""
    middle = FACE.to_mesh(points[side.points].mean(0))
    camera = close_view.close_camera(side, FACE, middle, yaw, pitch)
    placed = camera.to_picture(FACE.to_mesh(points[side.points]))[:, :2]
    return placed * [-1, 1] if side.left else placed


def test_every_landmark_is_in_a_close_up() -> None:
    assert set(np.concatenate([side.points for side in SIDES])) == set(range(68))
    for side in SIDES:
        for view in closeups.VIEWS:
            within = ~np.isin(side.points, ON_THE_BORDER)
            assert np.abs(places(side, frame.mean_landmarks(), *view)[within]).max() < closeups.EDGE, side


def test_a_left_part_looks_like_the_right_one() -> None:
    points = frame.mean_landmarks()
    for right, left in ((SIDES[0], SIDES[1]), (SIDES[4], SIDES[5])):
        assert not right.left and left.left and right.channels == left.channels
        assert places(left, points, 12, 5) == pytest.approx(places(right, points, 12, 5), abs=0.03)


def test_what_a_faultless_network_says_is_where_the_points_are(monkeypatch) -> None:
    truth = FACE.to_mesh(frame.mean_landmarks())

    class Faultless:
        def run(self, _, given):
            shots = [(side, view) for side in SIDES for view in closeups.VIEWS]
            turned = [side.part.paired for side, _ in shots].count(False)
            assert given["picture"].shape == (len(shots) + turned, 4, 64, 64)
            place = np.zeros((len(given["picture"]), close_view.CHANNELS, 2), np.float32)
            mirror = len(shots)
            for row, (side, view) in enumerate(shots):
                seen = places(side, frame.mean_landmarks(), *view)
                place[row, side.channels] = seen
                if not side.part.paired:  # asked in a mirror too, where left and right change
                    order = landmarks.MIRRORED[side.points] - side.points[0]
                    place[mirror, side.channels] = seen[order] * [-1, 1]
                    assert given["picture"][mirror] == pytest.approx(close_view.mirrored(given["picture"][row]))
                    mirror += 1
            return place, np.full(place.shape[:2], 0.01, np.float32)

    monkeypatch.setattr(models, "session", lambda *_: Faultless())
    triangles = np.array([[36, 45, 8], [36, 8, 0], [45, 16, 8]])
    patch = Patch(truth, triangles, np.tile(FACE.rotation[:, 2], (68, 1)))
    found, error = closeups.measure(patch, FACE, truth, "cpu")
    seen = ~np.isin(np.arange(68), ON_THE_BORDER)
    assert np.abs(FACE.to_canonical(found) - frame.mean_landmarks())[seen].max() < 1e-4
    assert error[seen].max() < 0.02
