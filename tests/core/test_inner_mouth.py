"""What is put behind lips: darkness in the scan's own mouth, teeth and a tongue, and how they move."""

from dataclasses import replace

import numpy as np
import pytest
from test_fused_mouth import landmarks, sheet

from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.frame import frame_in_mm
from freetalk_blender.core.landmarks import nearest_vertices
from freetalk_blender.core.mouth import fused_mouth, inner_mouth, jaw, mouth_curve, mouth_hollow, opening
from freetalk_blender.core.mouth.opened_mouth import BAG, GUM, HOLLOW, SKIN, TONGUE, TOOTH, OpenedMouth
from freetalk_blender.core.ramp import smooth_step
from freetalk_blender.core.surface import mesh
from freetalk_blender.core.surface.boundary import boundary_vertices


@pytest.fixture(scope="module")
def opened() -> OpenedMouth:
    return fused_mouth.open_lips(*sheet(), landmarks())


@pytest.fixture(scope="module")
def furnished(opened) -> OpenedMouth:
    return inner_mouth.furnished(opened, landmarks())


@pytest.fixture(scope="module")
def own() -> tuple[np.ndarray, np.ndarray]:
    """A scan whose lips are apart before a mouth of its own: an opened sheet, as if it had come like that."""
    answer = fused_mouth.open_lips(*sheet(), landmarks())
    return answer.vertices, answer.triangles


def furniture_of(face: OpenedMouth, *parts: int) -> np.ndarray:
    return np.unique(face.triangles[np.isin(face.part, parts)])


def test_teeth_and_tongue_lie_behind_the_lips_and_are_manifold(furnished):
    vertices, _ = sheet()
    inside = furniture_of(furnished, TOOTH, GUM, TONGUE)
    assert inside.min() == len(furnished.vertices) - len(inside)
    for index in inside:
        place = furnished.vertices[index]
        near = np.linalg.norm(vertices[:, :2] - place[:2], axis=1) < 2.5
        assert place[2] < vertices[near, 2].min() - 1
    bodies = furnished.triangles[np.isin(furnished.part, (TOOTH, TONGUE))]
    edges = np.concatenate([bodies[:, [0, 1]], bodies[:, [1, 2]], bodies[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges), "every edge once in each direction"


def test_what_is_behind_a_pursed_lip_stays_behind_the_fold_under_it_as_lips_shut():
    """A lip that hung over the fold was taken for cover: as it rose, gum and bag came through the chin."""
    vertices, triangles = sheet()
    line = landmarks()[60:68, 1].mean()
    vertices[:, 2] -= 16 * smooth_step((line - 16 - vertices[:, 1]) / 4)
    furnished = inner_mouth.furnished(fused_mouth.open_lips(vertices, triangles, landmarks()), landmarks())
    places = furnished.vertices[furniture_of(furnished, BAG, TOOTH, GUM, TONGUE)]
    for place in places[places[:, 1] < line - 6]:
        for risen in (0.0, 2.0, 4.0, 6.0):
            near = np.linalg.norm(vertices[:, :2] - place[:2] + [0, risen], axis=1) < 1.8
            assert place[2] < vertices[near, 2].max()


def test_the_lower_gum_gives_way_where_a_smile_draws_the_fold_under_the_lip_back():
    """It lay right behind the fold, by which the teeth go back, and showed on it as a dark fleck."""
    vertices, triangles = sheet()
    line = landmarks()[60:68, 1].mean()
    vertices[:, 2] -= 12 * smooth_step((line - 12 - vertices[:, 1]) / 4)
    furnished = inner_mouth.furnished(fused_mouth.open_lips(vertices, triangles, landmarks()), landmarks())
    places = furnished.vertices[furniture_of(furnished, GUM)]
    places = places[(places[:, 1] < line - 12) & (np.abs(places[:, 0]) < 15)]
    near = np.linalg.norm(vertices[:, None, :2] - places[:, :2], axis=2) < 1.8
    skin = np.where(near, vertices[:, None, 2], np.inf).min(0)
    assert len(places) > 20 and (skin - places[:, 2]).min() > 2.0, "mm"


def test_every_tooth_and_the_tongue_face_outward(furnished):
    """The flux of x through a surface that faces outward, closed from the middle of its border, is its volume."""
    bodies = furnished.triangles[np.isin(furnished.part, (TOOTH, TONGUE))]
    label = mesh.connected_components(bodies, len(furnished.vertices))[bodies[:, 0]]
    assert len(np.unique(label)) == 29
    for body in (bodies[label == number] for number in np.unique(label)):
        base = furnished.vertices[boundary_vertices(body)].mean(0)
        a, b, c = np.moveaxis(furnished.vertices[body].astype(float) - base, 1, 0)
        assert (a * np.cross(b, c)).sum() / 6 > 80


def test_the_upper_arch_has_the_form_of_ict_facekit_s():
    """Half its width so many mm behind the incisors' front; before, canines stood 4 mm too near to the middle."""
    curve = mouth_curve.mouth_curve(landmarks())
    upper = [p.points for p in inner_mouth._pieces(curve, 0.0)[0] if p.part == TOOTH and not p.jaw]
    teeth = np.concatenate(upper) / np.clip((curve.x[-1] - curve.x[0]) / inner_mouth.MOUTH_WIDTH, *inner_mouth.SCALE)
    teeth -= [(teeth[:, 0].min() + teeth[:, 0].max()) / 2, 0, teeth[:, 2].max()]
    for behind, half in ((6, 15.0), (12, 20.1), (20, 24.4), (30, 28.4)):
        there = np.abs(teeth[:, 2] + behind) < 1.5
        assert np.abs(teeth[there, 0]).max() == pytest.approx(half, abs=1.2)


def test_the_gum_leaves_crowns_bare_and_fills_what_is_between_them():
    """A lip that rises by 6 mm, as in disgust, shows teeth: the gum hid all but 6 of an incisor's 10.5 mm before."""
    pieces = [p for p in inner_mouth._pieces(mouth_curve.mouth_curve(landmarks()), 0.0)[0] if not p.jaw]
    (gum,) = (p.points for p in pieces if p.part == GUM)
    incisors = [p.points for p in pieces if p.part == TOOTH][:4]
    for crown in incisors:
        before = gum[(np.abs(gum[:, 0] - crown[:, 0].mean()) < 0.5) & (gum[:, 2] > crown[:, 2].max() - 2)]
        assert 0.85 < (before[:, 1].min() - crown[:, 1].min()) / np.ptp(crown[:, 1]) < 0.95
    middle = gum[(np.abs(gum[:, 0] - incisors[0][:, 0].min()) < 0.5) & (gum[:, 2] > incisors[0][:, 2].max() - 2)]
    assert middle[:, 1].min() < incisors[0][:, 1].min() + 0.8 * np.ptp(incisors[0][:, 1])


def test_lower_teeth_stay_below_a_lip_line_that_sinks_to_the_corners():
    for sunk in (0.0, 3.0):
        marks = landmarks()
        marks[[48, 60, 54, 64], 1] -= sunk
        curve = mouth_curve.mouth_curve(marks)
        for piece in inner_mouth._pieces(curve, 0.0)[0]:
            if piece.part == TOOTH and piece.jaw:
                line = np.interp(piece.points[:, 0], curve.x, curve.y)
                assert (piece.points[:, 1] < line - 1.5).all()


def drawn_along(bone: np.ndarray) -> np.ndarray:
    """(34,3) the least motion of landmarks jaw.TELLING that tells of this displacement (3,) of the jaw's bone."""
    told = jaw.told().transpose(1, 0, 2).reshape(3, -1)
    return (np.linalg.pinv(told) @ bone).reshape(-1, 3)


def test_upper_teeth_stay_and_the_rest_turns_with_the_jaw(furnished):
    face = frame_in_mm(landmarks())
    points = face.to_canonical(furnished.vertices.astype(float))
    angle = np.radians(15)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    hinge = np.array([0, *jaw.HINGE])
    turned = (points - hinge) @ turn.T + hinge - points
    chin = nearest_vertices(landmarks()[list(jaw.CHIN)], furnished.skin_vertices)
    skin = np.zeros((furnished.skin_count, 3))
    skin[furnished.furniture.telling] = face.vectors_to_mesh(drawn_along(turned[chin].mean(0)))
    moved = face.vectors_to_canonical(furnished.carried(skin[None])[0].astype(float))
    upper = points[:, 1] > face.to_canonical(landmarks())[[62, 66], 1].mean() - 2
    teeth = furniture_of(furnished, TOOTH)
    still = np.linalg.norm(moved[teeth], axis=1) < 1e-6
    assert still.sum() == len(teeth) / 2 and upper[teeth[still]].all()
    lower = np.concatenate([teeth[~still], furniture_of(furnished, TONGUE)])
    assert np.abs(moved[lower] - turned[lower])[:, 1:].max() < 0.3, "a hinged body is carried exactly"


def test_the_skin_does_not_notice_and_the_bag_moves_as_before(opened, furnished):
    motion = np.random.default_rng(0).normal(size=(3, opened.skin_count, 3)).astype(np.float32)
    assert np.array_equal(furnished.carried(motion)[:, : len(opened.vertices)], opened.carried(motion))
    bag = np.unique(opened.triangles[opened.part == BAG])
    moved = np.linalg.norm(furnished.vertices[: len(opened.vertices)] - opened.vertices, axis=1) > 0
    assert moved.any() and not np.setdiff1d(np.flatnonzero(moved), bag).size, "the dark bag alone makes room"


def test_the_bag_has_room_for_the_front_of_the_tongue_and_stays_behind_the_skin(opened, furnished):
    face = frame_in_mm(landmarks())
    points = face.to_canonical(furnished.vertices.astype(float))
    bag, tongue = furniture_of(furnished, BAG), furniture_of(furnished, TONGUE)
    tip = points[tongue, 2].max()
    front = points[tongue][points[tongue, 2] > tip - 0.35 * inner_mouth.TONGUE_SIZE[1]]
    for place in front[front[:, 1] > np.median(front[:, 1])]:
        near = points[bag][np.argsort(np.abs(points[bag, 2] - place[2]))[:30]]
        assert near[:, 1].min() < place[1] < near[:, 1].max(), "between floor and ceiling"
    before = face.to_canonical(opened.vertices.astype(float))
    assert points[bag, 2].min() < before[bag, 2].min() - 10
    skin = before[: opened.skin_count]
    for place in points[bag][points[bag, 2] < before[bag, 2].max() - 8]:
        near = np.linalg.norm(skin[:, :2] - place[:2], axis=1) < 2.5
        assert place[2] < skin[near, 2].min() - 1


def sinking(drop: float) -> np.ndarray:
    """(1,68,3) canonical motion in which the jaw's bone sinks by so many mm."""
    motion = np.zeros((1, 68, 3))
    motion[:, jaw.TELLING] = drawn_along(np.array([0, -drop / 90, 0]))
    return motion


@pytest.mark.parametrize("drop", [0.0, 5.0, 10.0])
def test_the_tongues_tip_comes_to_the_ridge_or_between_the_teeth_however_far_the_jaw_has_sunk(furnished, drop):
    face = frame_in_mm(landmarks())
    points = face.to_canonical(furnished.vertices.astype(float))
    teeth, tongue = furniture_of(furnished, TOOTH), furniture_of(furnished, TONGUE)
    upper = points[teeth[points[teeth, 1] > np.median(points[teeth, 1])]]
    front = upper[np.abs(upper[:, 0]) < 8]
    skin = np.zeros((1, furnished.skin_count, 3))
    skin[:, furnished.furniture.telling] = face.vectors_to_mesh(drawn_along(np.array([0, -drop, 0])))
    jaw = furnished.carried(skin)[0]
    tips = []
    for tongue_ in np.identity(3)[:2]:
        weights = inner_mouth.tongue_weights(furnished, tongue_[None], sinking(drop))
        moved = furnished.vertices + jaw
        moved[-furnished.furniture.tongue.shape[1] :] += np.tensordot(weights[0], furnished.furniture.tongue, 1)
        tips.append(face.to_canonical(moved)[tongue][-1])
    edge = front[:, 1].min()
    assert tips[0][1] - edge == pytest.approx(inner_mouth.RIDGE, abs=1.0), "at the ridge"
    assert tips[1][1] - edge == pytest.approx(-inner_mouth.UNDER, abs=1.0), "under the edge of the upper teeth"
    assert tips[0][2] < front[:, 2].max() - 2 < front[:, 2].max() < tips[1][2], "behind the teeth, and before them"


@pytest.mark.parametrize("share", [0.8, 1.0])
def test_the_tongue_of_a_scan_with_an_open_mouth_comes_between_its_teeth_as_its_jaw_rises(opened, share):
    """Before, it went as far up as from the open mouth, over the teeth; share: of the way to a shut mouth."""
    marks = landmarks()
    marks[[65, 66, 67], 1] -= 12 + inner_mouth.SHUT_GAP
    face, furnished = frame_in_mm(marks), inner_mouth.furnished(opened, marks)
    points = face.to_canonical(furnished.vertices.astype(float))
    lips = mouth_curve.mouth_curve(face.to_canonical(marks)).z[2]
    arm = points[nearest_vertices(marks[list(jaw.CHIN)], furnished.skin_vertices)].mean(0)[1:] - jaw.HINGE
    bone = share * 12 / (lips - jaw.HINGE[1]) * np.array([0, arm[1], -arm[0]])
    skin = np.zeros((1, furnished.skin_count, 3))
    skin[:, furnished.furniture.telling] = face.vectors_to_mesh(drawn_along(bone))
    motion = np.zeros((1, 68, 3))
    motion[:, jaw.TELLING] = drawn_along(bone / 90)
    weights = inner_mouth.tongue_weights(furnished, np.array([[0, 1.0, 0]]), motion)
    turned = furnished.carried(skin)[0]
    moved = furnished.vertices + turned
    moved[-furnished.furniture.tongue.shape[1] :] += np.tensordot(weights[0], furnished.furniture.tongue, 1)
    tip = face.to_canonical(moved)[furniture_of(furnished, TONGUE)][-1]
    teeth = furniture_of(furnished, TOOTH)
    upper = points[teeth[~turned[teeth].any(1)]]
    edge = upper[np.abs(upper[:, 0]) < 8]
    assert tip[1] - edge[:, 1].min() == pytest.approx(-inner_mouth.UNDER, abs=1.0)
    assert tip[2] - edge[:, 2].max() == pytest.approx(inner_mouth.BEFORE, abs=1.5)


def test_teeth_of_a_mouth_that_stands_open_are_where_its_jaw_shuts(opened):
    """Before, both arches stood as far back as the middle between the open lips, here 6 mm."""
    shut, low = landmarks(), [6, 7, 8, 9, 10, 55, 56, 57, 58, 59, 65, 66, 67]
    face, wide = frame_in_mm(shut), shut.copy()
    wide[low] += face.vectors_to_mesh(jaw.opening(face.to_canonical(shut)[low], 0.2))
    fronts = []
    for marks in (shut, wide):
        furnished = inner_mouth.furnished(opened, marks)
        teeth = furniture_of(furnished, TOOTH)
        upper = teeth[~furnished.carried(np.ones((1, furnished.skin_count, 3)))[0, teeth].any(1)]
        fronts.append(face.to_canonical(furnished.vertices[upper].astype(float))[:, 2].max())
    assert fronts[0] == pytest.approx(fronts[1], abs=1.5), "mm"


def test_the_tongue_rises_no_further_than_its_shape_goes():
    tongue = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    weights = [inner_mouth.risen(tongue, np.repeat(sinking(drop), 2, 0)) for drop in (60.0, -20.0)]
    assert np.array_equal(weights[0][:, 0], [1, 1]) and np.array_equal(weights[1][:, 0], [0, 0])


def test_the_tongue_gets_shape_keys_of_its_own_and_moves_nothing_else(furnished):
    keys = ShapeKeys(np.zeros((1, len(furnished.vertices), 3), np.float32), np.zeros((2, 1), np.float32), 0.0)
    weights = inner_mouth.tongue_weights(furnished, np.array([[0, 0, 0], [1, 0, 0.5]]), np.zeros((2, 68, 3)))
    assert weights.min() == 0 and weights.max() <= 1
    more = inner_mouth.with_tongue(keys, furnished, weights)
    tongue = furniture_of(furnished, TONGUE)
    assert more.weights.shape == (2, 4) and np.array_equal(more.weights[:, 1:], weights)
    assert more.names == ("", *inner_mouth.KEYS)
    assert np.linalg.norm(more.shapes[1:, tongue], axis=2).max(1).min() > 4
    assert not np.delete(more.shapes[1:], tongue, 1).any()
    assert inner_mouth.with_tongue(keys, furnished, 0 * weights) is keys, "a tongue at rest needs no keys"
    bare = replace(furnished, furniture=None)
    none = inner_mouth.tongue_weights(bare, np.ones((2, 3)), np.zeros((2, 68, 3)))
    assert none.shape == (2, 0) and inner_mouth.with_tongue(keys, bare, none) is keys


def test_a_mouth_of_its_own_is_found_and_told_from_the_face(own):
    found = mouth_hollow.find(*own, landmarks())
    assert found.own and found.deepest > 15 and not found.open_behind
    added = np.arange(len(own[0])) >= len(sheet()[0])
    assert not found.behind[found.depth < -3].any() and found.behind[added & (found.depth > 5)].all()


def test_a_hole_behind_the_lips_and_teeth_of_its_own_are_told(own):
    vertices, triangles = own
    found = mouth_hollow.find(vertices, triangles, landmarks())
    cut = triangles[~(found.behind & (found.depth > 8))[triangles].any(1)]
    assert mouth_hollow.find(vertices, cut, landmarks()).open_behind
    middle = landmarks()[60:68].mean(0) - [0, 0, 12]
    blob = middle + np.random.default_rng(1).normal(size=(40, 3)) * 3
    faces = len(vertices) + np.stack([np.arange(38), np.arange(1, 39), np.arange(2, 40)], 1)
    with_teeth = np.concatenate([vertices, blob]).astype(np.float32), np.concatenate([triangles, faces])
    assert mouth_hollow.find(*with_teeth, landmarks()).parts == 1


def test_a_mouth_of_its_own_that_is_torn_deep_inside_is_dark_too(own):
    """A scanner that looked into it, or decimation, tears it: it stayed as light as the skin, and without teeth."""
    vertices, triangles = own
    found = mouth_hollow.find(vertices, triangles, landmarks())
    torn = triangles[~(triangles == np.argmax(np.where(found.behind, found.depth, 0))).any(1)]
    opened, notes = opening.opened(vertices, torn, landmarks(), "dark")
    assert mouth_hollow.find(vertices, torn, landmarks()).open_behind and not notes
    assert opened is not None and (opened.part == HOLLOW).sum() > 100


def test_the_dark_begins_on_a_smooth_line_inside_the_lips(own):
    vertices, triangles = own
    found = mouth_hollow.find(vertices, triangles, landmarks())
    answer = mouth_hollow.darkened(vertices, triangles, found)
    assert np.array_equal(answer.vertices[: len(vertices)], vertices) and not answer.is_cut
    dark, rest = (np.unique(answer.triangles[answer.part == part]) for part in (HOLLOW, SKIN))
    line = np.intersect1d(dark, rest)
    assert (line >= len(vertices)).mean() > 0.95
    curve = mouth_curve.mouth_curve(frame_in_mm(landmarks()).to_canonical(landmarks()))
    points = frame_in_mm(landmarks()).to_canonical(answer.vertices.astype(float))
    assert np.abs(-curve.in_front(points[line]) - mouth_hollow.DARK).mean() < 0.5
    area = np.linalg.norm(np.cross(*(np.diff(answer.vertices[answer.triangles], axis=1).transpose(1, 0, 2))), axis=1)
    before = np.linalg.norm(np.cross(*(np.diff(vertices[triangles], axis=1).transpose(1, 0, 2))), axis=1)
    assert area.sum() == pytest.approx(before.sum(), rel=1e-5)
    place = np.einsum("gks,gsc->gkc", answer.corner_weights, vertices[triangles[answer.triangle_source[answer.kept :]]])
    assert np.abs(place - answer.vertices[answer.triangles[answer.kept :]]).max() < 1e-3
