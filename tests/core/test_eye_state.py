"""Open eyes, shut eyes, eyeballs and sockets, told by their relief and their parts."""

import numpy as np
import pytest

from freetalk_blender.core.eyes import eye_state, eyeballs
from freetalk_blender.core.frame import mean_landmarks
from freetalk_blender.core.landmarks import LID_PAIRS
from freetalk_blender.core.surface import mesh
from tests.core.grids import squares


def landmarks() -> np.ndarray:
    return mean_landmarks() * 90


def sheet(right: str | None, left: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A face of bare skin with eyes that bulge, and a crease along the upper or the lower lids, of both where left is
    not told; mm."""
    points = landmarks()
    columns, rows = 181, 101
    u, v = np.meshgrid(np.linspace(-60, 60, columns), np.linspace(-35, 25, rows))
    x, y = u.ravel(), v.ravel()
    z = np.full(x.shape, points[36:48, 2].mean())
    for corner, pairs, crease in ((36, LID_PAIRS[:2], right), (42, LID_PAIRS[2:], left or right)):
        middle = points[corner : corner + 6].mean(0)
        z += 6 * np.exp(-(((x - middle[0]) / 14) ** 2) - ((y - middle[1]) / 11) ** 2)
        if crease:
            lid = points[[pair[crease == "lower"] for pair in pairs], 1].mean()
            line = lid + 0.01 * (x - middle[0]) ** 2 * (1 if crease == "lower" else -1)
            z -= 1.5 * np.exp(-(((y - line) / 0.9) ** 2)) * (np.abs(x - middle[0]) < 14)
    return np.stack([x, y, z], 1).astype(np.float32), squares(columns, rows).astype(np.int32)


def found(
    vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray | None = None
) -> tuple[eye_state.Eye, eye_state.Eye]:
    """Both eyes where the network has placed these landmarks (68,3), or those of open eyes."""
    points = landmarks() if points is None else points
    return eye_state.look(
        vertices, triangles, eye_state.shut_landmarks(points, eye_state.shut_lines(vertices, triangles, points))
    )


@pytest.mark.parametrize(("crease", "shut"), [("upper", False), ("lower", True), (None, False)])
def test_the_crease_tells_shut_eyes_from_open_ones(crease, shut):
    right, left = found(*sheet(crease))
    assert right.shut is left.shut is shut
    assert not len(right.eyeball)


def test_creases_at_both_lids_or_hardly_any_are_no_shut_eyes():
    (smooth, triangles), (upper, _), (lower, _) = sheet(None), sheet("upper"), sheet("lower")
    for skin in (np.minimum(upper, lower), smooth + 0.01 * (lower - smooth)):
        assert not any(len(line) for line in eye_state.shut_lines(skin, triangles, landmarks()))


def lids_together(points: np.ndarray, share: float) -> np.ndarray:
    """Landmarks (68,3) with the left eye's upper lid so much of the way down."""
    upper, lower = np.array(LID_PAIRS[2:]).T
    points[upper] += share * (points[lower] - points[upper])
    return points


def test_one_eye_alone_is_shut_where_landmarks_say_so_too():
    """An open eye without a crease under its upper lid made a face wink at each blink."""
    mesh_ = sheet("upper", "lower")
    assert [eye.shut for eye in found(*mesh_)] == [False, False]
    assert [eye.shut for eye in found(*mesh_, lids_together(landmarks(), 0.4))] == [False, True]
    assert eye_state.shut(lids_together(landmarks(), 0.8)) == (False, True)


def test_an_eye_with_a_hole_between_its_lids_is_open_whatever_its_edges_look_like():
    vertices, triangles = sheet("lower")
    points = landmarks()
    for corner in (36, 42):
        middle = points[corner : corner + 6].mean(0)
        inside = np.hypot(*((vertices[:, :2] - middle[:2]) / [12, 3]).T) < 1
        triangles = triangles[~inside[triangles].any(1)]
    assert all(len(line) for line in eye_state.shut_lines(*sheet("lower"), points))
    assert not any(len(line) for line in eye_state.shut_lines(vertices, triangles, points))


def test_a_person_who_places_lids_apart_says_that_eyes_are_open():
    assert not any(eye.shut for eye in eye_state.look(*sheet("lower"), landmarks()))


def test_the_landmarks_of_shut_lids_meet_on_the_crease():
    vertices, triangles = sheet("lower")
    lines = eye_state.shut_lines(vertices, triangles, landmarks())
    moved = eye_state.shut_landmarks(landmarks(), lines)
    for upper, lower in LID_PAIRS:
        assert np.array_equal(moved[upper], moved[lower])
        assert abs(moved[upper, 1] - landmarks()[lower, 1]) < 1.5
        assert abs(moved[upper, 0] - landmarks()[[upper, lower], 0].mean()) < 1, "on the line, where they were"
        assert np.linalg.norm(vertices - moved[upper], axis=1).min() < 1, "on the skin"
    others = np.setdiff1d(np.arange(68), np.ravel(LID_PAIRS))
    assert np.array_equal(moved[others], landmarks()[others])


def test_lids_whose_landmarks_touch_are_shut_whatever_the_relief():
    points = landmarks()
    upper, lower = np.array(LID_PAIRS).T
    points[upper] = points[lower] + [0, 1, 0]
    assert all(eye.shut for eye in eye_state.look(*sheet(None), points))


def test_eyeballs_and_sockets_are_found():
    vertices, triangles = sheet("upper")
    middle = landmarks()[36:42].mean(0)
    inside = np.hypot(*((vertices[:, :2] - middle[:2]) / [13, 4]).T) < 1
    triangles = triangles[~inside[triangles].any(1)]
    ball, more = blob((12, 12, 12), 12)
    cleaned = mesh.clean(
        np.concatenate([vertices, ball]).astype(np.float32), np.concatenate([triangles, more + len(vertices)])
    )
    skin = np.arange(len(cleaned.vertices)) < cleaned.source[: len(vertices)].max() + 1
    right, left = eyeballs.sockets(cleaned.vertices, cleaned.triangles, skin, landmarks())
    assert right.hollow and len(right.eye.eyeball) > 100
    assert not left.hollow and not len(left.eye.eyeball)

    alone, beside = mesh.clean(vertices, triangles), [(ball, more)]
    skin = np.ones(len(alone.vertices), bool)
    right, left = eyeballs.sockets(alone.vertices, alone.triangles, skin, landmarks(), beside)
    assert len(right.eye.eyeball) > 100 and not len(left.eye.eyeball), "an object of its own"
    assert not eyeballs.sockets(alone.vertices, alone.triangles, skin, landmarks())[0].eye.eyeball.size


def blob(sizes: tuple[float, float, float], back: float, share: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The front of an ellipsoid of these half-axes before or behind the right eye's lids, its middle so far back: so
    much of it from its foremost point on; mm."""
    t, p = (grid.ravel() for grid in np.meshgrid(np.linspace(0.05, 3.09 * share, 12), np.linspace(0, 6, 14)))
    points = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], 1) * sizes
    corner = (np.arange(13)[:, None] * 12 + np.arange(11)).ravel()
    triangles = np.stack([corner, corner + 12, corner + 1], 1)
    return (landmarks()[36:42].mean(0) + points - [0, 0, back]).astype(np.float32), triangles


def shifted(part: tuple[np.ndarray, np.ndarray], right: float, up: float) -> tuple[np.ndarray, np.ndarray]:
    return part[0] + np.float32([right, up, 0]), part[1]


def taken_for_a_ball(part: tuple[np.ndarray, np.ndarray]) -> bool:
    return len(eye_state.look(*sheet("upper"), landmarks(), [part])[0].eyeball) > 0


@pytest.mark.parametrize("radius", [12.0, 19.0, 23.0, 28.0])
def test_an_eyeball_may_be_as_large_as_a_drawn_character_s(radius):
    """From 40 mm on it was none: the eyes were called empty, got a second ball each, and did not look about."""
    ball = blob((radius, radius, radius), 0.75 * radius)
    assert taken_for_a_ball(ball)
    centre, size = eyeballs.sphere(ball[0])
    assert size == pytest.approx(radius, abs=0.5)
    assert centre == pytest.approx(landmarks()[36:42].mean(0) - [0, 0, 0.75 * radius], abs=0.5)


@pytest.mark.parametrize(("sizes", "back"), [((18, 24, 11), 8), ((23, 23, 10), 8), ((17, 28, 16), 12)])
def test_an_eyeball_may_be_flatter_than_a_sphere(sizes, back):
    """It was none: lids closed over a small sphere in its place, and folded before it."""
    assert taken_for_a_ball(blob(sizes, back))


@pytest.mark.parametrize(
    "part",
    [
        blob((24, 20, 1.5), -12),
        blob((23, 21, 3), -3),
        blob((28, 22, 14), -2, 0.5),
        blob((26, 24, 24), 4, 0.6),
        blob((24, 14, 10), 9, 0.5),
        blob((75, 40, 60), 45, 0.5),
        blob((3, 3, 2), 1),
        shifted(blob((12, 12, 12), 12), 12, 0),
        shifted(blob((14, 6, 6), 3), 0, 6),
        blob((12, 12, 12), 27),
        blob((31, 31, 31), 22),
        blob((5.5, 5.5, 5.5), 4),
    ],
    ids=[
        "lens",
        "lens close by",
        "goggle",
        "deep goggle",
        "lashes' cap",
        "visor",
        "tear duct",
        "beside an eye",
        "over its upper lid",
        "deep in the head",
        "too large",
        "bead",
    ],
)
def test_what_else_is_before_an_eye_is_no_ball(part):
    assert not taken_for_a_ball(part)


def test_of_a_ball_and_its_cornea_the_ball_is_taken():
    ball, cornea = blob((12, 12, 12), 12), blob((12.5, 12.5, 8), 6)
    for parts in ([ball, cornea], [cornea, ball]):
        found_ball = eye_state.look(*sheet("upper"), landmarks(), parts)[0].eyeball
        assert np.ptp(found_ball[:, 2]) == pytest.approx(np.ptp(ball[0][:, 2]), abs=1e-3)
