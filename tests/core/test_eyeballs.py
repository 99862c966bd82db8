"""Eyeballs for hollow eyes, and lids that slide over a ball."""

from collections.abc import Callable

import numpy as np
import pytest

from freetalk_blender.core import eyelids
from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.eyelids import Eyelids
from freetalk_blender.core.eyes import eyeballs, lids
from freetalk_blender.core.eyes.eye_state import Eye
from freetalk_blender.core.frame import Similarity, mean_landmarks
from freetalk_blender.core.landmarks import LID_PAIRS
from freetalk_blender.core.mouth.opened_mouth import IRIS, PUPIL, SCLERA, untouched
from freetalk_blender.core.retarget import retarget
from freetalk_blender.core.surface.boundary import boundary_edges
from tests.core.grids import squares

UNIT = Similarity(1.0, np.identity(3), np.zeros(3))
NO_BALL = np.empty((0, 3))
OPEN = Eye(False, NO_BALL)
#: Landmarks of a face whose eyes have no ball here.
ELSEWHERE = np.full((68, 3), 100.0)


def lid_landmarks() -> np.ndarray:
    """(6,3) the average face's right eye, mm."""
    return mean_landmarks()[36:42] * 90


def plate(hole: bool) -> tuple[np.ndarray, np.ndarray]:
    """Skin around the right eye, a dome as flat as lids are, with or without a hole in the shape of the eye."""
    marks = lid_landmarks()
    middle = marks.mean(0)
    x, y = np.meshgrid(np.linspace(-30, 30, 81), np.linspace(-25, 25, 71))
    z = 1.5 - 0.02 * (x**2 + y**2)
    points = middle + np.stack([x.ravel(), y.ravel(), z.ravel()], 1)
    triangles = squares(81, 71)
    if hole:
        wide, high = np.ptp(marks[:, 0]) / 2, np.ptp(marks[:, 1]) / 2 + 1
        off = points[triangles].mean(1) - middle
        triangles = triangles[(off[:, 0] / wide) ** 2 + (off[:, 1] / high) ** 2 > 1]
    return points, triangles


def socket(hole: bool, eye: Eye = OPEN) -> eyeballs.Socket:
    return eyeballs.socket(eye, *plate(hole), lid_landmarks())


@pytest.fixture(scope="module")
def made() -> tuple:
    points, triangles = plate(True)
    return eyeballs.added(untouched(points, triangles), UNIT, [socket(True), socket(False)])


def test_a_hole_gets_a_ball_and_a_filled_eye_a_sentence(made):
    opened, balls, told = made
    assert len(balls) == 1 and told == ("An eyeball was left out: the left eye is one surface with its lids.",)
    assert {SCLERA, IRIS, PUPIL} <= set(opened.part.tolist())
    assert opened.skin_count == len(plate(True)[0]) and not opened.carry.nnz and not opened.has_mouth


@pytest.mark.parametrize(
    ("eye", "reason"),
    [(Eye(True, NO_BALL), "is shut"), (Eye(False, np.zeros((30, 3))), "has one")],
)
def test_shut_eyes_and_eyes_with_a_ball_get_none(eye, reason):
    points, triangles = plate(True)
    opened, balls, told = eyeballs.added(untouched(points, triangles), UNIT, [socket(True, eye)] * 2)
    assert not balls and told == (f"No eyeballs were made: each eye {reason}.",)
    assert len(opened.vertices) == len(points)


def test_the_ball_fits_the_lids_and_stays_behind_the_skin(made):
    ((centre, radius),) = made[1]
    assert 9 < radius < 14
    off = np.linalg.norm(lid_landmarks()[[1, 2, 4, 5]] - centre, axis=1) - radius
    assert off.min() > -0.5 and off.max() < 4, "the lids' edges lie on it"
    points, triangles = plate(True)
    skin = points[np.unique(triangles)]
    near = np.linalg.norm((skin - centre)[:, :2], axis=1) < 0.9 * radius
    assert (np.linalg.norm(skin[near] - centre, axis=1) > radius - 0.3).all()


def test_a_ball_is_closed_outward_and_looks_ahead():
    points, triangles, part = eyeballs.ball(12.0)
    assert np.allclose(np.linalg.norm(points, axis=1), 12)
    corner = points[triangles]
    outward = (np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]) * corner.mean(1)).sum(1)
    assert (outward > 0).all()
    assert points[np.unique(triangles[part == PUPIL]), 2].min() > points[np.unique(triangles[part == IRIS]), 2].min()
    places = np.unique(points.round(6), axis=0, return_inverse=True)[1].reshape(-1)
    assert not len(boundary_edges(places[triangles]))


def test_the_scans_own_ball_is_measured_where_lids_are_open_over_it():
    points, _, _ = eyeballs.ball(11.0)
    centre, radius = eyeballs.sphere(points + [30, 2, -9])
    assert np.allclose(centre, [30, 2, -9], atol=1e-6) and radius == pytest.approx(11)
    assert eyeballs.sphere(np.random.default_rng(0).normal(size=(200, 3)) * 10) is None
    filled = socket(False, Eye(False, points))
    assert eyeballs.own(filled, points) is None, "a bubble behind a filled eye is no ball"
    hollow = socket(True)
    assert eyeballs.own(hollow, points + [30, 2, -9])[1] == pytest.approx(11)
    assert eyeballs.own(hollow, np.empty((0, 3))) is None


def egg() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An eyeball as drawn characters have them, larger and flatter than a sphere, turned a little outward: its points,
    and the (3,3) that makes it of a sphere of radius 1; and an iris within it."""
    c, s = np.cos(0.25), np.sin(0.25)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    axes = turn @ np.diag([18.0, 24.0, 11.0]) @ turn.T
    radius, angle = (axis.ravel() for axis in np.meshgrid(np.linspace(0.05, 0.4, 4), np.linspace(0, 6, 10)))
    iris = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(40, 0.8)], 1)
    return eyeballs.ball(1.0)[0] @ axes, axes, iris @ axes


def test_the_ellipsoid_of_a_drawn_character_s_ball_is_measured():
    points, axes, iris = egg()
    place = np.array([-31.0, 9.0, -22.0])
    assert eyeballs.sphere(points) is None
    for own in (points, points[points[:, 2] > -2], np.concatenate([points, iris])):
        centre, found = eyeballs.own(socket(True), own + place)
        assert centre == pytest.approx(place, abs=0.6) and found == pytest.approx(axes, abs=0.8)
    box = np.random.default_rng(0).uniform(-1, 1, (300, 3)) * [18, 24, 11]
    high, angle = (axis.ravel() for axis in np.meshgrid(np.linspace(-9, 9, 9), np.linspace(0, 6, 16)))
    goblet = np.stack([np.hypot(8, high) * np.cos(angle), np.hypot(8, high) * np.sin(angle), high], 1)
    for neither in (box, points * [1, 1, 0.2], points * 2, goblet):
        found = eyeballs.own(socket(True), neither + place)
        assert np.array_equal(found[0], eyeballs.fitted(socket(True))[0]), "lids close over what fits there"


def blinking(frames: int, *eyes: float) -> np.ndarray:
    """(frames,2) how surely both eyes, or the right and the left one, are in a blink."""
    return np.broadcast_to(np.array(eyes), (frames, 2))


def corrected(motion: np.ndarray, found: lids.Lids, *eyes: float) -> np.ndarray:
    answer = motion.copy()
    Eyelids((found,)).correct(answer, blinking(len(motion), *(eyes or (1.0,))))
    return answer


def lid() -> tuple[lids.Lids, np.ndarray]:
    """A strip of skin over the upper half of a ball at the origin, and where it is when the eye is shut: it moves down
    along a straight line, into the ball."""
    x, y = np.meshgrid(np.linspace(-12, 12, 25), np.linspace(5, 16, 12))
    rest = np.stack([x.ravel(), y.ravel(), np.sqrt(np.maximum(13**2 - x**2 - y**2, 0)).ravel() + 0.5], 1)
    found = lids.of_balls(rest, squares(25, 12), [(np.zeros(3), 12.0)], UNIT, ELSEWHERE)
    down = np.zeros_like(rest)
    down[:, 1] = -9 * (16 - rest[:, 1]) / 11  # the edge most
    return found, down


def test_lids_stay_in_front_of_the_ball_and_at_rest_where_they_are():
    found, down = lid()
    motion = np.linspace(0, 1, 31)[:, None, None] * down
    assert found.clearance(motion[:, found.vertices]).min() < -0.5, "without the correction they cut through it"
    moved = corrected(motion, found)
    assert np.array_equal(moved[0], motion[0])
    assert (found.clearance(moved[:, found.vertices]) >= np.minimum(found.kept, 0) - 1e-6).all()
    step = np.abs(np.diff(moved[..., 2], axis=0)).max()
    assert step < 1.5 and np.abs(moved - motion).max() <= lids.LARGEST
    assert np.array_equal(moved[..., :2], motion[..., :2]), "only forward"


def test_the_rim_of_a_thick_lid_is_not_turned_inside_out():
    """All of it came to lie as far before the ball as the skin in front, which it crossed on its way down."""
    x, row = (axis.ravel() for axis in np.meshgrid(np.linspace(-9, 9, 19), np.arange(10)))
    high = np.interp(row, [0, 1, 2, 9], [4.4, 4.7, 5, 16])
    ahead = np.interp(row, [0, 1, 2, 9], [0.9, 1.8, 2.8, 2.8])
    rest = np.stack([x, high, np.sqrt(np.maximum(12**2 - x**2 - high**2, 0)) + ahead], 1)
    triangles = squares(19, 10)
    found = lids.of_balls(rest, triangles, [(np.zeros(3), 12.0)], UNIT, ELSEWHERE)
    down = np.zeros_like(rest)
    down[:, 1:] = np.interp(row, [0, 1, 2, 9], [-4.2, -4.8, -5.2, 0])[:, None] * [1, 0.3]
    moved = rest + corrected(down[None], found)[0]
    assert found.clearance(down[None, found.vertices]).min() < 0, "uncorrected it cuts into the ball"
    inner, middle, outer = moved.reshape(10, 19, 3)[:3, 3:-3, 2]
    assert (inner < middle - 0.05).all() and (middle < outer - 0.1).all()
    assert (found.clearance((moved - rest)[None, found.vertices])[0] >= np.minimum(found.kept, 0) - 1e-6).all()


def test_lids_slide_over_an_ellipsoid():
    """Over the sphere that would fit the eye they went through it, or bulged before it."""
    _, axes, _ = egg()
    form = np.linalg.inv(axes @ axes)
    flat = np.stack([axis.ravel() for axis in np.meshgrid(np.linspace(-9, 9, 25), np.linspace(4, 17, 15))], 1)
    half = flat @ form[:2, 2] / form[2, 2]
    square = (1 - np.einsum("ni,ij,nj->n", flat, form[:2, :2], flat)) / form[2, 2]
    rest = np.column_stack([flat, np.sqrt(half**2 + square) - half + 0.5])
    found = lids.of_balls(rest, squares(25, 15), [(np.zeros(3), axes)], UNIT, ELSEWHERE)
    down = np.zeros_like(rest)
    down[:, 1] = -14 * (17 - flat[:, 1]) / 13

    def share(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(np.linalg.solve(axes, points.T), axis=0)

    moved = rest + corrected(np.stack([0 * down, down]), found)
    assert len(found.vertices) == len(rest) and np.array_equal(moved[0], rest)
    assert share(rest + down).min() < 0.95, "uncorrected they cut into it"
    pushed = moved[1, :, 2] > rest[:, 2]
    assert share(moved[1]).min() > 1 and share(moved[1])[pushed].max() < 1.06, "nor are they pushed off it"


def eye(columns: int, rows: int, wide: float = 12) -> tuple[lids.Lids, np.ndarray]:
    """Both lids of an open eye over a ball; a blink (V,3) that leaves 1.5 mm in the middle and crosses beside it."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-wide, wide, columns), np.linspace(0, 9, rows)))
    edge = np.maximum(5 * (1 - (x / 14) ** 2), 0.3)
    high = np.concatenate([edge + y, -edge - y])
    rest = np.stack([np.tile(x, 2), high, np.sqrt(np.maximum(13**2 - np.tile(x, 2) ** 2 - high**2, 0)) + 0.5], 1)
    points = ELSEWHERE.copy()
    points[36:42, :2] = [(-11, 1.9), (-5, 4.4), (5, 4.4), (11, 1.9), (5, -4.4), (-5, -4.4)]
    points[36:42, 2] = 11
    triangles = np.concatenate([squares(columns, rows), squares(columns, rows) + len(x)])
    found = lids.of_balls(rest, triangles, [(np.zeros(3), 12.0)], UNIT, points)
    blink = np.zeros_like(rest)
    fade = np.exp(-((y / 6) ** 2))
    blink[: len(x), 1] = -fade * (2 * edge - 1.5 * np.cos(x / 4))
    return found, blink


def edges_of(found: lids.Lids) -> Callable[[np.ndarray], np.ndarray]:
    """What tells how far the edges of its first eye stand apart (C,), mm, in a motion (1,V,3)."""
    return lambda motion: found.edges[0].across @ (found.place[:, 1] + motion[0, found.vertices, 1])


def test_the_edges_of_lids_meet_all_along_a_blink():
    found, blink = eye(33, 13)
    gap = edges_of(found)
    assert len(found.edges) == 1
    before, after = gap(blink[None]), gap(corrected(blink[None], found))
    assert before.max() > 1.3 and before.min() < -0.5
    assert after.max() < 0.15 and after.min() > -0.5
    assert np.median(after) < -0.03, "edges are known to a pixel, so they overlap a little"
    clear = found.clearance(corrected(blink[None], found)[:, found.vertices])
    assert (clear >= np.minimum(found.kept, 0) - 1e-6).all()
    assert not corrected(0 * blink[None], found, 0.0).any(), "at rest nothing moves"
    half = 0.3 * blink[None]
    assert np.abs(gap(corrected(half, found, 0.0)) - gap(half)).max() < 0.1, "nor half open"
    assert gap(half).min() > 2 and gap(corrected(half, found)).max() < 0.15, "however far the landmarks are off them"
    assert np.array_equal(gap(corrected(half, found, 0.0, 1.0)), gap(corrected(half, found, 0.0))), "the other eye's"


def test_skin_goes_with_the_edges_of_lids_the_less_the_further_off_it_is():
    found, blink = eye(45, 13, wide=16.4)
    change = np.abs(corrected(blink[None], found) - blink)[0, :, 1].reshape(2, 13, 45)  # of both lids, row by row
    upper, lower = change[:, :, 22]
    assert upper[0] > 0.9 and lower[0] > 0.3, "in the middle of the eye"
    for lid in (upper, lower):
        assert (np.diff(lid) < 0).all() and lid[-1] < 0.02 * lid[0]
    assert change[0, 0, [5, -6]].min() > 0.6 and change[:, 0, [0, -1]].max() < 0.1, "beyond the corners"


def test_a_squint_is_no_blink_however_near_the_edges_come_and_they_do_not_cross():
    found, blink = eye(33, 13)
    narrow, gap = 0.9 * blink[None], edges_of(found)
    before, after = gap(narrow), gap(corrected(narrow, found, 0.0))
    assert before.min() < -0.4 and np.median(before / gap(0 * narrow)) < 0.25
    assert np.abs(after - before)[before > 1].max() < 0.1 and after.min() > -0.2


def test_landmarks_tell_which_eyes_blink():
    neutral = mean_landmarks()
    motion = np.zeros((6, 68, 3), np.float32)
    for frame, share in enumerate((1.0, 0.9, 0.75, 0.5, -0.8)):
        for upper, lower in LID_PAIRS:
            motion[frame, upper] = share * (neutral[lower] - neutral[upper])
    motion[5, [37, 38]] = neutral[[41, 40]] - neutral[[37, 38]]
    shut = lids.closed(motion, neutral)
    assert np.allclose(shut[:5].T, [1, 1, 0, 0, 0], atol=1e-4)
    assert shut[5].tolist() == [1, 0], "one eye alone"
    upper, lower = np.array(LID_PAIRS[:2]).T
    for apart, blinks in (([-0.01, 0], 0), ([0.04, 0], 1), ([0.04, 0.05], 1)):
        sleeper = neutral.copy()
        sleeper[upper, 1] = sleeper[lower, 1] + apart
        told = lids.closed(retarget(motion, sleeper), sleeper)
        assert np.allclose(told, shut * [blinks, 1], atol=1e-4), (
            "an eye that is shut at rest does not, one half shut does"
        )


@pytest.mark.parametrize(("columns", "rows"), [(33, 13), (9, 4)])
def test_the_corners_of_fine_and_coarse_lids_meet_in_a_blink(columns, rows):
    found, blink = eye(columns, rows)
    moved = np.zeros(len(blink))
    moved[found.vertices] = found.place[:, 1] + corrected(blink[None], found)[0, found.vertices, 1]
    gap = (moved[:columns] - moved[columns * rows :][:columns])[2:-2]
    assert gap.max() < 0.15 and gap.min() > -0.7


def test_shape_keys_get_a_few_more_that_keep_lids_off():
    found, down = lid()
    keys = ShapeKeys(down[None].astype(np.float32), np.linspace(0, 1, 31, dtype=np.float32)[:, None], 0.0)
    answer = eyelids.met(keys, Eyelids((found,)), blinking(31, 1.0), 0.05, 0.01)
    assert 1 < len(answer.shapes) < 16
    dense = np.tensordot(answer.weights, answer.shapes, 1)
    exact = corrected(np.tensordot(keys.weights, keys.shapes, 1), found)
    assert np.abs(dense - exact).max() < 0.06
    assert 0 < answer.max_error <= 0.06
    still = ShapeKeys(keys.shapes, 0 * keys.weights, 0.0)
    assert eyelids.met(still, Eyelids((found,)), blinking(31, 0.0), 0.05, 0.01).shapes.shape == keys.shapes.shape
