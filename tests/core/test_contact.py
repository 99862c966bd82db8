"""Lips that touch and never cross."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from evaluation import lip_crossing
from freetalk_blender.core.compress import ShapeKeys, compress
from freetalk_blender.core.errors import LandmarkError
from freetalk_blender.core.frame import mean_landmarks
from freetalk_blender.core.lip_contact import contact, facing, sliding
from freetalk_blender.core.mouth import fused_mouth, lip_pairs
from freetalk_blender.core.retarget import with_true_gaps
from tests.core.grids import squares


def landmarks() -> np.ndarray:
    return mean_landmarks() * 90


def sheet(columns: int = 61, rows: int = 61, deep: float = 3, high: float = 2) -> tuple[np.ndarray, np.ndarray]:
    """Fused lips: a curved sheet with a crease on the landmarks' lip line."""
    points = landmarks()
    u, v = np.meshgrid(np.linspace(-60, 60, columns), np.linspace(-50, 50, rows))
    x, y = u.ravel(), v.ravel() + points[60:68, 1].mean() + 0.013
    groove = deep * np.exp(-((v.ravel() / high) ** 2)) / (1 + np.exp((np.abs(x) - 24) / 2))
    z = points[62, 2] + 4 - 0.02 * x**2 - groove
    return np.stack([x, y, z], 1).astype(np.float32), squares(columns, rows).astype(np.int32)


@pytest.fixture(scope="module")
def opened() -> fused_mouth.OpenedMouth:
    return fused_mouth.open_lips(*sheet(), landmarks())


@pytest.fixture(scope="module")
def lips(opened) -> contact.Contact:
    return lip_pairs.of_opened(opened, landmarks())


def corrected(lips: contact.Contact, motion: np.ndarray, shut: np.ndarray | float = 0.0) -> np.ndarray:
    """(T,V,3) a copy of the motion with lips that meet and do not cross."""
    answer = motion.copy()
    lips.correct(answer, shut)
    return answer


def chatter(opened: fused_mouth.OpenedMouth, frames: int, seed: int) -> np.ndarray:
    """(T,S,3) lips that open and cross by up to 4 mm, differently along the mouth; smooth in time at 30 fps."""
    rng = np.random.default_rng(seed)
    skin = opened.skin_vertices
    time_ = np.arange(frames)[:, None] / 30
    wave = sum(
        rng.uniform(0.5, 2)
        * np.sin(2 * np.pi * rng.uniform(0.5, 4) * time_ + rng.uniform(-0.08, 0.08) * skin[:, 0] + k)
        for k in range(3)
    )
    height = np.where(opened.side[: len(skin)] == fused_mouth.LOWER, wave, 0)
    motion = np.zeros((frames, len(skin), 3), np.float32)
    motion[..., 1] = height
    motion[..., 0] = 0.3 * wave
    return motion


@pytest.mark.parametrize("shut", [0.0, 0.5, 1.0])
def test_lips_never_cross_in_a_thousand_random_frames(opened, lips, shut):
    deepest = []
    for seed in range(5):
        motion = chatter(opened, 200, seed)
        assert lips.gap(motion).min() < -2, "the motion itself crosses"
        deepest.append(lips.gap(corrected(lips, motion, shut)).min())
    assert min(deepest) > -0.05


def test_a_face_at_rest_and_open_lips_stay_as_they_are(opened, lips):
    still = np.zeros((3, opened.skin_count, 3), np.float32)
    assert not corrected(lips, still).any()
    still[:, opened.side[: opened.skin_count] == fused_mouth.LOWER, 1] = -2.0
    assert np.abs(corrected(lips, still) - still)[:, opened.lower_rim[5:-5]].max() < 1e-5


def test_nearly_closed_lips_close(opened, lips):
    ajar = np.zeros((1, opened.skin_count, 3), np.float32)
    ajar[:, opened.side[: opened.skin_count] == fused_mouth.LOWER, 1] = -0.25
    before, after = lips.gap(ajar), lips.gap(corrected(lips, ajar))
    assert before.mean() > 0.2 and after.min() > -1e-6 and after.max() < 0.15


def test_lips_close_further_where_the_performance_keeps_them_closed(opened, lips):
    ajar = np.zeros((1, opened.skin_count, 3), np.float32)
    ajar[:, opened.side[: opened.skin_count] == fused_mouth.LOWER, 1] = -1.2
    assert lips.gap(corrected(lips, ajar)).mean() > 0.4
    assert lips.gap(corrected(lips, ajar, np.ones(1))).max() < 0.05
    assert not corrected(lips, 0 * ajar, np.ones(1)).any()


def test_closed_lips_are_told_from_the_landmarks():
    neutral = with_true_gaps(mean_landmarks())
    motion = np.zeros((4, 68, 3))
    motion[1, [65, 66, 67], 1] = -2 / 90
    motion[2, :, 1] = -0.3
    motion[3, 65, 1] = -1.2 / 90  # on one side alone
    assert np.allclose(contact.closed(motion, neutral), [1, 0, 1, 0])


def test_the_correction_is_bounded_smooth_in_time_and_local(opened, lips):
    motion = chatter(opened, 200, 3)
    change = corrected(lips, motion) - motion
    wild = 10 * motion
    assert lips.gap(wild).min() < -20 and 3 < np.abs(corrected(lips, wild) - wild).max() < 6.1, "mm"
    jerk = np.abs(np.diff(corrected(lips, motion), 2, axis=0)).max()
    assert jerk < 2.5 * np.abs(np.diff(motion, 2, axis=0)).max()
    distance = np.abs(opened.skin_vertices[:, 1] - landmarks()[60:68, 1].mean())
    assert not change[:, distance > 20].any()


def test_the_lower_lip_may_tuck_behind_the_upper_one(opened, lips):
    tucked = np.zeros((1, opened.skin_count, 3), np.float32)
    tucked[:, opened.side[: opened.skin_count] == fused_mouth.LOWER] = [0, 2, -6]
    assert np.abs(corrected(lips, tucked) - tucked).max() < 1e-5


def test_a_rim_that_has_slid_forward_stays_out_of_the_skin_of_the_other_lip():
    """The rims are too far apart in depth to meet; the upper one lies over the front of the lower lip."""
    opened = fused_mouth.open_lips(*sheet(121, 121, deep=7, high=4), landmarks())
    lips, side = lip_pairs.of_opened(opened, landmarks()), opened.side[: opened.skin_count]
    slid = np.zeros((1, opened.skin_count, 3), np.float32)
    slid[:, side == fused_mouth.LOWER] = [0, 6, -4.5]

    def deepest(motion: np.ndarray) -> float:
        moved = opened.skin_vertices + motion[0]
        return lip_crossing.lip_clearance(moved.astype(float), opened.skin_triangles, side).min()

    assert deepest(slid) < -1 and deepest(corrected(replace(lips, slid=()), slid)) < -1
    assert -0.15 < deepest(corrected(lips, slid)) < -0.02, "it lies on that skin, no higher than it must"


def test_lips_that_lie_in_each_other_at_rest_are_drawn_apart_and_still_close():
    """A crease folded in the mesh itself: in front of its rim the lower lip is raised into the upper one."""
    opened = fused_mouth.open_lips(*sheet(121, 241, deep=9, high=3), landmarks())
    side = opened.side[: opened.skin_count]
    vertices = opened.vertices.copy()
    rim = vertices[opened.lower_rim[6:-6]]
    distance = cKDTree(rim).query(vertices[: opened.skin_count])[0]
    fold = np.where(side == fused_mouth.LOWER, np.clip(distance - 0.5, 0, 1) * np.exp(-((distance / 5) ** 2)), 0)
    vertices[: opened.skin_count, 1] += 2.6 * fold
    vertices[: opened.skin_count, 2] += 0.5 * fold
    lips = lip_pairs.of_opened(replace(opened, vertices=vertices), landmarks())
    still = np.zeros((1, opened.skin_count, 3), np.float32)

    def clearance(motion: np.ndarray) -> np.ndarray:
        return lip_crossing.lip_clearance(vertices[: opened.skin_count] + motion[0], opened.skin_triangles, side)

    assert clearance(still).min() < -0.6, "the mesh itself crosses"
    assert clearance(corrected(lips, still)).min() > -0.3
    assert corrected(lips, still).max() < 1.0
    # A frame in which the fold has opened by itself needs no drawing apart.
    parted = still.copy()
    parted[:, side == fused_mouth.LOWER, 1] -= 2.6 * fold[side == fused_mouth.LOWER]
    gap = lips.gap(corrected(lips, parted, np.ones(1)))[0]
    assert np.abs(gap[8:-8]).max() < 0.2


def test_rims_that_have_passed_each_other_in_depth_close_where_the_performance_keeps_them_closed(opened, lips):
    passed = np.zeros((1, opened.skin_count, 3), np.float32)
    passed[:, opened.side[: opened.skin_count] == fused_mouth.LOWER] = [0, -0.6, -6]
    assert lips.gap(corrected(lips, passed)).max() > 0.5, "nothing is said about these lips"
    assert lips.gap(corrected(lips, passed, np.ones(1))).max() < 0.05


def test_the_correction_is_a_product_of_amounts_and_modes(opened, lips):
    motion = chatter(opened, 20, 1)
    amount = lips.amount(motion[:, lips.vertices])
    wanted = corrected(lips, motion)[:, lips.vertices] - motion[:, lips.vertices]
    assert np.allclose(np.tensordot(amount, lips.modes(), 1), wanted, atol=1e-4)


def test_shape_keys_get_a_few_more_that_make_lips_meet(opened, lips):
    motion = chatter(opened, 90, 2)
    keys = compress(motion, 0.05)
    met = contact.met(keys, lips, np.zeros(90), 0.05)
    dense = np.tensordot(met.weights, met.shapes, 1)
    assert lips.gap(np.tensordot(keys.weights, keys.shapes, 1)).min() < -2
    assert lips.gap(dense).min() > -0.15
    assert np.linalg.norm(dense - corrected(lips, motion), axis=2).max() < met.max_error + 0.15
    assert len(met.shapes) - len(keys.shapes) < 40
    still = ShapeKeys(keys.shapes, 0 * keys.weights, 0.0)
    assert contact.met(still, lips, np.zeros(90)) is still


def test_lips_that_were_modelled_apart_are_paired_by_what_lies_below(opened):
    """The opened sheet with its bag is such a mesh: nothing tells but its shape."""
    lips = lip_pairs.of_open_lips(opened.vertices, opened.triangles, landmarks())
    motion = np.zeros((3, len(opened.vertices), 3), np.float32)
    lower = opened.side == fused_mouth.LOWER
    motion[1, lower, 1], motion[2, lower, 1] = 2.0, -5.0
    after = lips.gap(corrected(lips, motion))
    assert lips.gap(motion)[1].min() < -1.5
    assert after[1].min() > lips.gap(motion)[0].min() - 0.3
    assert np.allclose(corrected(lips, motion)[2], motion[2], atol=1e-5)


def test_a_push_at_one_place_parts_the_lips_there_and_hardly_beside_it():
    opened = fused_mouth.open_lips(*sheet(121, 61), landmarks())
    lips = lip_pairs.of_open_lips(opened.vertices, opened.triangles, landmarks())
    lower, place = opened.side == fused_mouth.LOWER, (lips.upper @ lips.place)[:, 0]
    motion = np.zeros((1, len(opened.vertices), 3), np.float32)
    motion[0, lower, 1] = 2.5 * np.exp(-((opened.vertices[lower, 0] / 0.7) ** 2))
    pushed = lips.amount(motion[:, lips.vertices])[0]
    assert pushed[np.abs(place) < 0.1].max() > 1.5, "mm"
    assert pushed[np.abs(place) > 1.9].max() < 0.4 and pushed[np.abs(place) > 3.9].max() < 0.05


def test_lips_that_stand_a_little_open_close_where_the_performance_keeps_them_closed(opened):
    vertices = opened.vertices.copy()
    lower = opened.side == fused_mouth.LOWER
    vertices[lower, 1] -= 0.8
    lips = lip_pairs.of_open_lips(vertices, opened.triangles, landmarks())
    still = np.zeros((2, *vertices.shape), np.float32)
    after = lips.gap(corrected(lips, still, np.array([0.0, 1.0])))
    middle = np.abs(lips.upper @ vertices[lips.vertices, 0]) < 15
    assert np.allclose(after[0], lips.gap(still)[0], atol=1e-5), "a face at rest is left as it is"
    nearest = after[1][middle].min()
    assert -0.2 < nearest < -0.02, "they press into each other a little, so that no light shows"
    assert lips.gap(still)[0][middle].min() > 0.1


def test_the_surface_tells_how_far_lips_are_apart(opened):
    lower = opened.side == fused_mouth.LOWER
    for gap in (0.0, 1.5):
        vertices = opened.vertices.copy()
        vertices[lower, 1] -= gap
        apart = lip_pairs.of_open_lips(vertices, opened.triangles, landmarks())
        assert apart.at_rest(landmarks()) == pytest.approx(gap, abs=0.3)
        beside = landmarks() + [200, 0, 0]
        assert np.isinf(apart.at_rest(beside)).all()


def test_a_cut_lies_where_lips_touch_or_deep_in_a_mouth_that_stood_open(lips):
    points = landmarks()
    seam = lips.upper @ lips.place
    points[60:68, 2] = np.interp(points[60:68, 0], *seam[:, [0, 2]].T) + 1
    upper, lower = [61, 62, 63], [67, 66, 65]
    points[upper, 1], points[lower, 1] = seam[:, 1].mean() + 2.5, seam[:, 1].mean() - 2.5
    assert lips.at_rest(points) == pytest.approx(0, abs=1e-6)
    points[60:68, 2] += 5
    assert lips.at_rest(points) == pytest.approx(5)
    both = np.array([lips.at_rest(points - [0, 0, back]) for back in np.linspace(0, 5, 51)])
    assert (np.diff(both, axis=0) <= 0).all() and np.abs(np.diff(both, axis=0)).max() < 0.3
    points[upper, 1], points[lower, 1] = seam[:, 1].mean() + 1.2, seam[:, 1].mean() - 1.2
    assert not lips.at_rest(points).any(), "under an overhanging lip a cut lies deep, too"


def test_a_mouth_that_stands_open_pairs_where_it_shuts(opened):
    vertices, lower = opened.vertices.copy(), opened.side == fused_mouth.LOWER
    vertices[lower, 1] -= 10
    with pytest.raises(LandmarkError):
        lip_pairs.of_open_lips(vertices, opened.triangles, landmarks())
    shut = np.zeros_like(vertices)
    shut[lower, 1] = 10
    lips = lip_pairs.of_open_lips(vertices, opened.triangles, landmarks(), shut)
    assert lips.gap(np.zeros((1, *vertices.shape), np.float32)).min() > 9
    assert lips.gap(corrected(lips, 1.2 * shut[None])).min() > -0.5


def test_lips_of_a_mouth_wide_open_are_paired_as_along_a_shut_one(opened):
    """Before, they were looked for around the middle between the open lips, and none were found."""
    vertices, marks, lower = opened.vertices.copy(), landmarks(), opened.side == fused_mouth.LOWER
    vertices[lower, 1:] -= 28, 15
    marks[[*range(55, 60), 65, 66, 67], 1:] -= 28, 15
    shut = np.zeros_like(vertices)
    shut[lower, 1:] = 28, 15
    lips = lip_pairs.of_open_lips(vertices, opened.triangles, marks, shut)
    usual = lip_pairs.of_open_lips(opened.vertices, opened.triangles, landmarks())
    place, there = ((one.upper @ one.place)[:, 0] for one in (lips, usual))
    assert place.min() < there.min() + 2 and place.max() > there.max() - 2
    assert lips.gap(shut[None]).max() == pytest.approx(usual.gap(0 * shut[None]).max(), abs=0.5)
    assert lips.gap(corrected(lips, 1.05 * shut[None])).min() > -0.5


def test_lips_that_slide_over_each_other_do_not_cross(opened):
    """Where the lower lip rises towards the back, an upper one that is pushed back must rise with it."""
    lips = lip_pairs.of_open_lips(opened.vertices, opened.triangles, landmarks())
    skin = np.isin(np.arange(len(opened.vertices)), lips.vertices)
    motion = np.zeros((1, len(opened.vertices), 3), np.float32)
    motion[:, skin & (opened.side == fused_mouth.LOWER)] = [0, 1.0, 1.0]
    before, after = lips.gap(motion).min(), lips.gap(corrected(lips, motion)).min()
    assert before < -0.8 and after > lips.gap(0 * motion).min() - 0.1


def test_lips_far_apart_are_not_worked_on_and_nothing_is_lost_by_that(opened, monkeypatch):
    cut = fused_mouth.open_lips(*sheet(), landmarks())
    kinds = (
        (sliding.Slid, lip_pairs.of_opened(cut, landmarks())),
        (facing.Facing, lip_pairs.of_open_lips(opened.vertices, opened.triangles, landmarks())),
    )
    motion = np.zeros((90, len(opened.vertices), 3), np.float32)
    motion[:, : opened.skin_count] = chatter(opened, 90, 5)
    motion[30:, opened.side == fused_mouth.LOWER, 1] -= 15
    for kind, lips in kinds:
        lips.amount(motion[:1, lips.vertices])  # what is made once
        looked_at = []

        def watched(
            self: object, height: np.ndarray, reach: np.ndarray, within=kind.within, to=looked_at
        ) -> np.ndarray:
            to.append((where := within(self, height, reach)).mean(0))
            return where

        with monkeypatch.context() as patch:
            patch.setattr(kind, "within", watched)
            few = lips.amount(motion[:, lips.vertices])
        share = np.concatenate(looked_at)
        assert share.mean() < 0.4 and (share == 0).mean() > 0.6
        assert np.abs(few).max() > 1 and not few[30:].any()
        with monkeypatch.context() as patch:
            patch.setattr(kind, "within", lambda self, height, reach: np.ones((len(reach), height.shape[1]), bool))
            everything = lips.amount(motion[:, lips.vertices])
        assert np.abs(few - everything).max() < 0.01


def test_a_finer_mesh_takes_no_more_pairs(opened):
    fine = fused_mouth.open_lips(*sheet(241, 211), landmarks())
    few, many = (lip_pairs.of_open_lips(one.vertices, one.triangles, landmarks()) for one in (opened, fine))
    assert fine.skin_count > 10 * opened.skin_count
    assert len(few.neighbours) < len(many.neighbours) < 350 and many.facing.below.shape[1] < 60


def test_no_lips_is_a_sentence():
    vertices, triangles = sheet()
    vertices = vertices.copy()
    vertices[:, 2] = landmarks()[62, 2]
    with pytest.raises(LandmarkError, match=r"[Nn]o facing lips|do not face"):
        lip_pairs.of_open_lips(vertices, triangles, landmarks())


def facets(gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Two lips `gap` mm apart whose vertices stand 9 mm apart along the mouth, none above another: front and edge."""
    middle, vertices, triangles = landmarks()[60:68, 1].mean(), [], []
    for sign, x in ((1, np.arange(-27.0, 28, 9)), (-1, np.arange(-31.5, 32, 9))):
        for height, back in ((11, 0), (1, 0), (0.3, 3), (0.6, 9)):
            y = middle + sign * (height + gap / 2 - 0.3)
            vertices.append(np.stack([x, np.full(len(x), y), 9 - 0.02 * x**2 - back], 1))
        first = sum(map(len, vertices[:-4]))
        corner = (np.arange(3)[:, None] * len(x) + np.arange(len(x) - 1)).ravel() + first
        quads = np.stack([corner, corner + 1, corner + len(x) + 1, corner + len(x)], 1)[:, ::-sign]
        triangles += [quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]
    return np.concatenate(vertices), np.concatenate(triangles)


def test_lips_of_few_large_facets_meet_along_the_whole_mouth():
    """What counts is where their surfaces are, not what lies between few points."""
    vertices, triangles = facets(1.2)
    lips = lip_pairs.of_open_lips(vertices, triangles, landmarks())
    place = (lips.upper @ lips.place)[:, 0]
    inside = np.sort(place[np.abs(place) < 20])
    assert inside[0] < -18 and inside[-1] > 18 and np.diff(inside).max() < 1.6, "mm"
    still = np.zeros((1, *vertices.shape), np.float32)
    apart = facing.columns(place).least(lips.gap(corrected(lips, still, np.ones(1))).T)[:, 0]
    assert np.abs(apart[np.abs(place) < 20]).max() < 0.3


def test_lips_that_stand_further_apart_beside_the_middle_are_paired_there_too(opened):
    vertices, lower = opened.vertices.copy(), opened.side == fused_mouth.LOWER
    vertices[lower, 1] -= np.interp(np.abs(vertices[lower, 0]), [3, 10, 18, 24], [0.5, 4.0, 4.0, 0.0])
    lips = lip_pairs.of_open_lips(vertices, opened.triangles, landmarks())
    assert np.isfinite(lips.at_rest(landmarks())).all()
    place, gap = np.abs((lips.upper @ lips.place)[:, 0]), lips.gap(np.zeros((1, *vertices.shape), np.float32))[0]
    assert gap[(place > 10) & (place < 16)].min() > 3.5
