"""What turns with an eye: balls and what is about them, and the skin of eyes that have none."""

import numpy as np
import pytest
from loose import added

from freetalk_blender.core.eyes import eye_front, eyeballs, looks
from freetalk_blender.core.frame import Similarity, mean_landmarks
from freetalk_blender.core.mouth.opened_mouth import untouched
from tests.core.grids import squares

UNIT = Similarity(1.0, np.identity(3), np.zeros(3))
LIDS = mean_landmarks()[36:42] * 90
CENTRE = LIDS.mean(0) - [0, 0, 12.0]


def sheet(step: float, size: tuple[float, float], middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A flat grid that faces forward."""
    x, y = (np.arange(-half, half + step / 2, step) for half in size)
    points = np.stack([*(axis.ravel() for axis in np.meshgrid(x, y)), np.zeros(len(x) * len(y))], 1)
    return points + middle, squares(len(x), len(y))


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_ball_and_iris_turn_and_lashes_tears_and_skin_do_not(unit):
    points, faces, _ = eyeballs.ball(12.0)
    parts = {
        "ball": (points + CENTRE, faces),
        "iris": sheet(1.0, (5.0, 5.0), CENTRE + [0, 0, 11.0]),
        "tears": sheet(1.0, (12.0, 3.0), CENTRE + [0, -3.0, 11.5]),
        "lashes": sheet(1.0, (15.0, 4.0), CENTRE + [0, 5.0, 15.0]),
        "rim": sheet(1.0, (8.0, 1.0), CENTRE + [0, -3.0, 11.5]),
    }
    frame = Similarity(unit, UNIT.rotation, np.array([3.0, 1.0, -2.0]))
    skin = sheet(2.0, (60.0, 60.0), CENTRE + [0, 0, 13.0])
    vertices, triangles, rows = added(frame.to_mesh(skin[0]), skin[1], parts, frame)
    (look,) = looks.of_eyes(untouched(vertices, triangles), [(CENTRE, 12.0)], [], frame)
    assert sorted(look.vertices) == sorted([*rows["ball"], *rows["iris"]])
    arms = frame.to_canonical(vertices[look.vertices].astype(float)) - CENTRE
    assert (look.share == 1).all() and look.arms == pytest.approx(arms, abs=1e-3)


def test_a_ball_that_is_no_sphere_turns_in_its_own_shape():
    points, faces, _ = eyeballs.ball(1.0)
    axes = np.array([[18, 0, -2], [0, 24, 0], [-2, 0, 11.0]])
    vertices, triangles, rows = added(*sheet(2.0, (60.0, 60.0), CENTRE + [0, 0, 13.0]),
                                      {"ball": (points @ axes + CENTRE, faces)}, UNIT)  # fmt: skip
    (look,) = looks.of_eyes(untouched(vertices, triangles), [(CENTRE, axes)], [], UNIT)
    assert sorted(look.vertices) == sorted(rows["ball"])
    turned = np.cross([0, 0.2, 0], look.arms) @ look.axes + vertices[look.vertices] - CENTRE
    assert np.linalg.norm(np.linalg.solve(axes, turned.T), axis=0) == pytest.approx(1, abs=0.025), "not out of its lids"
    assert np.abs(turned - (vertices[look.vertices] - CENTRE))[:, 0].max() > 2


def test_each_eye_is_known_by_where_its_ball_lies():
    """ARKit's eyeLookInLeft and eyeLookInRight turn one each, and not the same way."""
    points, faces, _ = eyeballs.ball(12.0)
    balls = [(CENTRE * [side, 1, 1], 12.0) for side in (1, -1)]
    parts = {name: (points + centre, faces) for name, (centre, _) in zip(("right", "left"), balls, strict=True)}
    vertices, triangles, rows = added(*sheet(2.0, (90.0, 60.0), CENTRE * [0, 1, 1] + [0, 0, 13.0]), parts, UNIT)
    right, left = looks.of_eyes(untouched(vertices, triangles), balls, [], UNIT)
    assert sorted(right.vertices) == sorted(rows["right"]) and not right.left
    assert sorted(left.vertices) == sorted(rows["left"]) and left.left


def test_a_ball_that_is_not_there_turns_nothing():
    points, triangles = sheet(2.0, (60.0, 60.0), CENTRE + [0, 0, 13.0])
    assert looks.of_eyes(untouched(points, triangles), [(CENTRE, 12.0)], [], UNIT) == ()


@pytest.mark.parametrize("high", [1.0, 0.5])
def test_skin_between_lids_slides_in_the_middle_stays_at_the_edges_and_never_folds(high):
    middle = LIDS.mean(0)
    lids = middle + (LIDS - middle) * [1, high, 1]
    points, triangles = sheet(0.5, (30.0, 20.0), middle)
    fronts = eye_front.of_eyes(points, np.arange(len(points)), [lids], UNIT)
    (look,) = looks.of_eyes(untouched(points, triangles), [], fronts, UNIT)
    off = points[look.vertices] - middle
    assert look.share[np.abs(off).sum(1).argmin()] > 0.6 * high and not look.ball
    edge = np.abs(off[:, 0]) > np.abs(off[:, 0]).max() - 0.6
    assert edge.any() and look.share[edge].max() < 0.1 and np.abs(off[:, 0]).max() < 16
    assert look.arms[:, 2] == pytest.approx(12.0)
    for turn in np.radians(12) * np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)]):
        moved = points.copy()
        moved[look.vertices] += look.share[:, None] * np.cross(turn, look.arms)
        a, b, c = moved[triangles].transpose(1, 0, 2)
        assert np.cross(b - a, c - a)[:, 2].min() > 0.01, "mm², of .25"
