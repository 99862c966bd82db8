"""Teeth and a tongue that a scan has already, as loose parts, and the jaw that they go with."""

import loose
import numpy as np
import pytest
from test_face import jaw as jaw_down

from freetalk_blender.core import arkit, landmarks
from freetalk_blender.core.binding import stm
from freetalk_blender.core.face import prepare
from freetalk_blender.core.frame import frame_in_mm, mean_landmarks
from freetalk_blender.core.mouth import jaw
from freetalk_blender.core.mouth.opened_mouth import TOOTH
from freetalk_blender.core.movement import deform, landmark_motion, shape_keys
from freetalk_blender.core.retarget import retarget, with_true_gaps
from freetalk_blender.core.surface import mesh

#: Middle, to the lips' (mm), and half sizes of each part, and whether it goes with the jaw: wholly, partly or not.
PARTS = {
    "upper incisors": ((0, 4, -10), (12, 5, 3), 0),
    "lower incisors": ((0, -7, -12), (10, 5, 3), 1),
    "lower molars": ((24, -5, -38), (5, 5, 8), 1),
    "gums of both": ((0, -1, -25), (20, 22, 10), 0.5),
    "a ball in the eye": ((31, 62, -20), (8, 8, 8), 0),
    "a button of the shirt": ((0, -95, -5), (5, 5, 3), 0),
}


def block(half: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A closed block, its sides divided."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    cube = mesh.clean(corners, np.array([t for a, b, c, d in sides for t in ((a, b, c), (a, c, d))]))
    for _ in range(2):
        cube = mesh.subdivided(cube)
    return cube.vertices * half, cube.triangles


@pytest.fixture(scope="module")
def with_parts(scan):
    """Vertices, triangles, and the rows of each part."""
    frame = frame_in_mm(scan[2])
    lips = frame.to_canonical(scan[2])[landmarks.LIPS].mean(0)
    blocks = {name: (block(half), middle + lips) for name, (middle, half, _) in PARTS.items()}
    parts = {name: (points + place, faces) for name, ((points, faces), place) in blocks.items()}
    return loose.added(*scan[:2], parts, frame)


@pytest.fixture(scope="module")
def bound(scan, with_parts):
    return prepare(*with_parts[:2], scan[2])


@pytest.fixture(scope="module")
def opening() -> np.ndarray:
    return jaw_down(0.15)


def test_the_bone_opens_with_the_chin_and_rests_in_a_smile():
    names, motion = arkit.NAMES, arkit.shapes() * 90
    chin, bone = motion[:, jaw.CHIN].mean(1), jaw.motion(motion)
    opened, both = names.index("jawOpen"), [names.index(f"mouthSmile{side}") for side in ("Left", "Right")]
    assert -36 < bone[opened, 1] < chin[opened, 1] < -20
    assert np.linalg.norm(chin[both].sum(0)) > 3 and np.linalg.norm(bone[both].sum(0)) < 1
    mirrored = jaw.motion(motion[:, landmarks.MIRRORED] * [-1, 1, 1])
    assert np.allclose(mirrored, bone * [-1, 1, 1], atol=1e-3)


def test_lower_teeth_go_with_the_jaw_and_upper_ones_stay(scan, with_parts, bound, opening):
    vertices, _, rows = with_parts
    moved = bound.frame.vectors_to_canonical(deform(bound, opening)[1].astype(float)) * 90
    frame = frame_in_mm(scan[2])
    points = frame.to_canonical(vertices.astype(float))
    chin = landmarks.nearest_vertices(scan[2][list(jaw.CHIN)], scan[0])
    bone = jaw.motion(landmark_motion(bound, opening)[1]) * 90
    turned = np.einsum("nij,j->ni", jaw.with_teeth(points, points[chin].mean(0)), bone)
    assert 0.8 < np.linalg.norm(bone) / np.linalg.norm(moved[chin].mean(0)) < 1.3 and np.linalg.norm(bone) > 8
    for name, (_, _, share) in PARTS.items():
        part = rows[name]
        if share in (0, 1):
            assert np.abs(moved[part] - share * turned[part]).max() < 0.2, name
        else:
            low, high = (points[part, 1] == end(points[part, 1]) for end in (np.min, np.max))
            assert np.abs(moved[part][low] - turned[part][low]).max() < 0.2 and not moved[part][high].any()


def test_shape_keys_carry_them_and_the_skin_does_not_notice(scan, with_parts, bound, opening, monkeypatch):
    dense = deform(bound, opening)
    keys = shape_keys(bound, opening, tolerance=0.1)
    made = np.tensordot(keys.weights, keys.shapes, 1)[:, : len(with_parts[0])]
    assert np.linalg.norm(made - dense, axis=2).max() < 0.1 * bound.frame.units_per_mm
    lower = with_parts[2]["lower incisors"]
    assert np.linalg.norm(made[1, lower], axis=1).min() > 5 * bound.frame.units_per_mm
    monkeypatch.setattr(jaw, "with_own_teeth", lambda binding, *_: binding)
    without = deform(prepare(*with_parts[:2], scan[2]), opening)
    assert np.array_equal(without[:, : len(scan[0])], dense[:, : len(scan[0])]) and not without[1, lower].any()


def opened_wide(share: float) -> np.ndarray:
    """(68,3) mm: the average face with its jaw open by this share of jawOpen."""
    return 90 * (mean_landmarks() + share * arkit.shapes()[arkit.NAMES.index("jawOpen")])


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_lower_teeth_of_a_mouth_that_stands_wide_open_come_back_with_its_lips(share):
    """Incisors and molars where ICT-FaceKit's stand in the average face, and where its jawOpen takes them: they stayed
    4.5 mm too low and 3.1 mm too high."""
    shut = np.array([[0, -66.5, -0.9], [0, -65.0, -46.8]])
    teeth, marks = shut + share * np.array([[0, -33.4, -22.7], [0, -14.1, -17.4]]), opened_wide(share)
    closing = retarget(np.zeros((1, 68, 3)), with_true_gaps(marks / 90))[0] * 90
    moved = teeth + jaw.with_teeth(teeth, marks[list(jaw.CHIN)].mean(0)) @ jaw.motion(closing)
    assert np.abs(moved - shut).max() < 1.5, "mm"


def test_teeth_of_a_mouth_that_stands_wide_open_lie_inside_it():
    """Middles of single incisors lie more than 25 mm over or under the middle of the lips; none of them moved."""
    tooth, marks = block((2.5, 5.0, 3.0))[0], opened_wide(1.0)
    middle, apart = marks[landmarks.LIPS].mean(0), marks[[66, 62], 1]
    for place, inside in (([4, -27.5, -24], True), ([4, 27.5, -6], True), ([4, apart[0] - middle[1] - 30, -24], False)):
        assert jaw.lies_inside(tooth + middle + place, marks) == inside, place
    assert not jaw.lies_inside(tooth + middle + [4, -40, -24], mean_landmarks() * 90)


@pytest.mark.parametrize("height", [12.0, -12.0])
def test_of_two_teeth_over_each_other_the_lower_one_goes_with_the_jaw_however_high_they_stand(height):
    curve = jaw.mouth_curve.mouth_curve(mean_landmarks() * 90)
    tooth = block((3.0, 4.0, 3.0))[0] + [0, curve.y[1:-1].mean() + height, curve.z[2] - 10]
    over, under, alone = jaw._shares([tooth + [0, 5, 0], tooth - [0, 5, 0], tooth + [20, 0, 0]], curve)
    assert not over.any() and (under == 1).all() and (alone == (height < 0)).all()


def test_no_mouth_is_drawn_for_what_lies_far_from_the_lips(monkeypatch):
    """In a scene of 6,000 objects Animate and Bake Again stood still for 4 s over them."""
    monkeypatch.setattr(jaw.mouth_curve, "mouth_curve", lambda landmarks: pytest.fail("drawn"))
    assert not jaw.lies_inside(block((200, 200, 200))[0] + [0, 900, 0], mean_landmarks() * 90)


def test_they_go_with_the_jaw_of_a_heavy_scan_too(scan, with_parts, bound, opening, monkeypatch):
    vertices, triangles, rows = with_parts
    fine = mesh.subdivided(mesh.clean(vertices, triangles))
    monkeypatch.setattr(stm, "HEAVY", len(fine.vertices) - 1)
    heavy = prepare(fine.vertices, fine.triangles, scan[2])
    assert heavy.binding.proxy is not None
    nearest = landmarks.nearest_vertices(vertices[rows["lower molars"]], fine.vertices)
    apart = deform(heavy, opening)[1, nearest] - deform(bound, opening)[1, rows["lower molars"]]
    assert np.linalg.norm(apart, axis=1).max() < 1.0 * heavy.frame.units_per_mm


def test_a_head_that_talked_before_keeps_its_upper_teeth(scan, face, opening):
    """What was exported with made teeth, each a part of its own, comes back as a scan."""
    points, triangles = face.opened.vertices, face.opened.triangles
    again = np.linalg.norm(deform(prepare(points, triangles, scan[2]), opening)[-1], axis=1)
    before = np.linalg.norm(shape_keys(face, opening).shapes[0], axis=1)
    teeth = np.unique(triangles[face.opened.part == TOOTH])
    upper, lower = teeth[before[teeth] < 0.01], teeth[before[teeth] > 0.01]
    assert len(upper) > 400 and len(lower) > 400
    assert again[upper].max() < 0.01 and np.allclose(again[lower], before[lower], rtol=0.2)


def test_what_lies_before_skin_is_on_the_face_but_not_between_parted_lips():
    shut = mean_landmarks() * 90
    parted = shut.copy()
    parted[[61, 62, 63], 1] += 6
    parted[[65, 66, 67], 1] -= 6
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-8, 8, 9), np.linspace(-3, 3, 5)))
    middle = parted[48:].mean(0)
    teeth = middle + np.stack([x, y, np.full(len(x), 5.0)], 1)
    behind = np.full((120, 120), middle[2])
    assert not jaw._on_face(teeth, behind, parted) and jaw._on_face(teeth, behind, shut)
    assert jaw._on_face(teeth + [0, 15, 0], behind, parted), "as a moustache does"


def test_where_there_is_no_mouth_nothing_lies_inside_it(scan, with_parts):
    vertices, _, rows = with_parts
    frame = frame_in_mm(scan[2])
    points, placed = frame.to_canonical(vertices.astype(float)), frame.to_canonical(scan[2])
    assert jaw.lies_inside(points[rows["lower molars"]], placed)
    assert not jaw.lies_inside(points[rows["a button of the shirt"]], placed)
    placed[48:68] = placed[48]
    assert not jaw.lies_inside(points[rows["lower molars"]], placed)


def test_no_teeth_are_made_where_another_object_is_some(scan, face, with_parts):
    rows = with_parts[2]["lower incisors"]
    triangles = with_parts[1][np.isin(with_parts[1], rows).all(1)] - rows[0]
    teeth, nothing = (with_parts[0][rows], triangles), (np.full((3, 3), np.nan), np.array([[0, 1, 2]]))
    assert face.opened.furniture is not None
    assert prepare(*scan, beside=[nothing]).opened.furniture is not None
    assert prepare(*scan, beside=[teeth]).opened.furniture is None


def test_specks_inside_the_mouth_are_no_teeth(scan):
    frame = frame_in_mm(scan[2])
    placed = frame.to_canonical(scan[2])
    middle = placed[landmarks.LIPS].mean(0) + [0, 0, -12]
    tooth = block((4.0, 5.0, 3.0))
    speck = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float), np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3]])
    for part, count in ((tooth, 1), (speck, 0)):
        vertices, triangles, _ = loose.added(*scan[:2], {"part": (part[0] + middle, part[1])}, frame)
        cleaned = mesh.clean(vertices, triangles)
        points = frame.to_canonical(cleaned.vertices.astype(float))
        assert len(jaw.parts_inside(points, cleaned, placed)) == count
