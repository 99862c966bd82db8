"""Sparse-To-Mesh on procedural faces: what must hold on any mesh, whatever the network has learned."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import ConvexHull, cKDTree

from freetalk_blender.core import frame
from freetalk_blender.core.binding import evidence, stm
from freetalk_blender.core.binding.interpolant import REACH, interpolant
from freetalk_blender.core.errors import MeshError, ModelError
from freetalk_blender.core.surface import mesh, nearest

MM = 1 / frame.EYE_DISTANCE_MM


def head(
    count: int = 3000, seed: int = 0, through: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An egg with bumps for a nose and lips, irregularly sampled: vertices (V,3), triangles (F,3), landmarks (68,).

    through (68,3): directions from the egg's middle that have a vertex of their own, the landmarks.
    """
    points = np.random.default_rng(seed).normal(size=(count, 3)) if seed else _lattice(count)
    if through is not None:
        points = points[cKDTree(through).query(points)[0] > 0.5 * count**-0.5]
        points = np.concatenate([through, points])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    triangles = ConvexHull(points).simplices
    corners = points[triangles]
    outward = np.einsum(
        "fc,fc->f", np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), corners[:, 0]
    )
    triangles = np.where(outward[:, None] < 0, triangles[:, ::-1], triangles)
    landmarks = frame.mean_landmarks()
    vertices = points * [0.85, 1.2, 1.0] + [0, -0.15, -0.85]
    # Pull the front onto the landmarks, so that the egg has a face's depth.
    offset, near = cKDTree(landmarks[:, :2]).query(vertices[:, :2])
    pull = np.exp(-((offset / 0.15) ** 2)) * (vertices[:, 2] > -0.7)
    vertices[:, 2] += pull * (landmarks[near, 2] - vertices[:, 2]) * 0.5
    found = cKDTree(vertices).query(landmarks)[1] if through is None else np.arange(len(through))
    return vertices, triangles.astype(np.int32), found.astype(np.int32)


def _lattice(count: int) -> np.ndarray:
    step = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * step / count), np.pi * (1 + 5**0.5) * step
    return np.stack([np.cos(turn) * np.sin(polar), np.cos(polar), np.sin(turn) * np.sin(polar)], 1)


def speech(frames: int = 5, seed: int = 1) -> np.ndarray:
    """(frames,68,3) landmark motion: a jaw that opens, lips that follow, a little of everything else."""
    rng = np.random.default_rng(seed)
    motion = rng.normal(0, 0.3 * MM, (frames, 68, 3))
    drop = np.zeros(68)
    drop[4:13], drop[55:60], drop[65:68] = 0.7, 1.0, 1.0
    motion[:, :, 1] -= np.linspace(0, 12 * MM, frames)[:, None] * drop
    return motion.astype(np.float32)


@pytest.fixture(scope="module")
def face():
    return head()


@pytest.fixture(scope="module")
def binding(face):
    return stm.bind(*face, device="cpu")


def test_landmarks_arrive_exactly(face, binding):
    motion = speech()
    found = binding.displace(motion)[:, face[2]]
    owner = [np.flatnonzero(face[2] == vertex) for vertex in face[2]]
    expected = np.stack([motion[:, same].mean(1) for same in owner], 1)  # landmarks on one vertex share it
    np.testing.assert_allclose(found, expected, atol=0.01 * MM)


def test_no_motion_moves_nothing(binding):
    assert not binding.displace(np.zeros((3, 68, 3))).any()


def test_the_back_of_the_head_is_still(face, binding):
    vertices, _, landmarks = face
    far = cKDTree(vertices[landmarks]).query(vertices)[0] > REACH
    assert far.sum() > 300
    assert not binding.displace(speech())[:, far].any()


def test_loose_parts_are_still(face, binding):
    vertices, triangles, landmarks = face
    shirt = vertices * 0.3 + [0, -1.0, 0.2]
    both = np.concatenate([vertices, shirt])
    bound = stm.bind(both, np.concatenate([triangles, triangles + len(vertices)]), landmarks, device="cpu")
    moved = bound.displace(speech())
    assert not moved[:, len(vertices) :].any()
    np.testing.assert_allclose(moved[:, : len(vertices)], binding.displace(speech()), atol=0.02 * MM)


def test_the_order_of_vertices_and_faces_does_not_matter(face, binding):
    vertices, triangles, landmarks = face
    rng = np.random.default_rng(3)
    order = rng.permutation(len(vertices))
    place = np.argsort(order)
    shuffled = place[triangles][rng.permutation(len(triangles))].astype(np.int32)
    moved = stm.bind(vertices[order], shuffled, place[landmarks], device="cpu").displace(speech())
    np.testing.assert_allclose(moved[:, place], binding.displace(speech()), atol=0.02 * MM)


def test_pose_and_unit_do_not_matter(face):
    vertices, triangles, landmarks = face
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    scan = 1000.0 * vertices @ turn.T + [5e4, -3e4, 100]
    here, there = frame.canonical_frame(vertices[landmarks]), frame.canonical_frame(scan[landmarks])
    motion = speech()
    one = stm.bind(here.to_canonical(vertices), triangles, landmarks, device="cpu").displace(motion)
    two = stm.bind(there.to_canonical(scan), triangles, landmarks, device="cpu").displace(motion)
    np.testing.assert_allclose(one, two, atol=0.02 * MM)


@pytest.fixture(scope="module")
def samplings():
    """The same egg at 60, 10 and 3 thousand vertices, with the same landmarks, and its displacement."""
    places = (frame.mean_landmarks() - [0, -0.15, -0.85]) / [0.85, 1.2, 1.0]
    through = places / np.linalg.norm(places, axis=1, keepdims=True)
    heads = [head(count, through=through) for count in (60_000, 10_000, 3_000)]
    return [(*one, stm.bind(*one, device="cpu").displace(speech())) for one in heads]


@pytest.mark.parametrize("coarse", [1, 2])
def test_samplings_of_one_surface_agree(samplings, coarse):
    fine, triangles, _, finest = samplings[0]
    vertices, _, _, moved = samplings[coarse]
    near = cKDTree(fine[triangles].mean(1)).query(vertices, 8)[1]
    corners = fine[triangles[near]].reshape(-1, 3, 3)
    shares, squared = nearest.closest_on_triangles(np.repeat(vertices, 8, 0), corners)
    best = squared.reshape(-1, 8).argmin(1)
    chosen = triangles[near[np.arange(len(vertices)), best]]
    carried = np.einsum("tpkc,pk->tpc", finest[:, chosen], shares.reshape(-1, 8, 3)[np.arange(len(vertices)), best])
    apart = np.linalg.norm(moved - carried, axis=2)[:, moved.any((0, 2))]
    assert np.linalg.norm(moved, axis=2).max() > 11 * MM
    assert apart.mean() < 0.15 * MM


def test_doubled_vertices_change_nothing(face, binding):
    vertices, triangles, landmarks = face
    soup = vertices[triangles].reshape(-1, 3)
    corner = np.zeros(len(vertices), int)
    corner[triangles.ravel()] = np.arange(triangles.size)
    welded = mesh.clean(soup, np.arange(len(soup)).reshape(-1, 3))
    bound = stm.bind(welded.vertices, welded.triangles, welded.source[corner[landmarks]], device="cpu")
    moved = welded.to_caller(bound.displace(speech()))[:, corner]
    np.testing.assert_allclose(moved, binding.displace(speech()), atol=0.02 * MM)


def test_ears_and_skull_are_still(face, binding):
    vertices, _, landmarks = face
    points = vertices[landmarks]
    skull = (vertices[:, 2] < points[:, 2].min() - 0.15) & (vertices[:, 1] > points[33, 1])
    near = cKDTree(points).query(vertices[skull])[0] < 0.5 * REACH
    assert near.sum() > 30
    assert not binding.displace(speech())[:, skull].any()


def test_ears_begin_behind_the_ends_of_the_jaw_line_however_far_back_its_second_landmark_lies(face):
    vertices, triangles, landmarks = face
    behind = landmarks.copy()
    ends = vertices[landmarks[[0, 16]], 2].min()
    behind[1] = cKDTree(vertices).query(vertices[landmarks[1]] * [1, 1, 0] + [0, 0, ends - 0.1])[1]
    assert vertices[behind[1], 2] < ends - 0.05
    ear = (vertices[:, 2] < ends - 0.15) & (vertices[:, 1] > vertices[behind[33], 1])
    moved = stm.bind(vertices, triangles, behind, device="cpu").displace(speech())
    assert (cKDTree(vertices[behind]).query(vertices[ear])[0] < 0.5 * REACH).sum() > 30
    assert not moved[:, ear].any()


def test_unreferenced_vertices_are_still(face, binding):
    vertices, triangles, landmarks = face
    loose = np.concatenate([vertices, [[0, 0, 0.2], [9, 9, 9]]])
    moved = stm.bind(loose, triangles, landmarks, device="cpu").displace(speech())
    assert not moved[:, -2:].any()
    np.testing.assert_allclose(moved[:, :-2], binding.displace(speech()), atol=1e-3 * MM)


def test_two_hundred_vertices_are_enough():
    vertices, triangles, landmarks = head(200)
    assert len(np.unique(landmarks)) < 68  # several landmarks share a vertex
    moved = stm.bind(vertices, triangles, landmarks, device="cpu").displace(speech())
    assert np.isfinite(moved).all() and 0 < np.abs(moved).max() < 20 * MM


def test_fused_lips_do_not_break_the_solve(face):
    vertices, triangles, landmarks = face
    fused = landmarks.copy()
    fused[[67, 66, 65]] = fused[[61, 62, 63]]
    moved = stm.bind(vertices, triangles, fused, device="cpu").displace(speech())
    motion = speech()
    np.testing.assert_allclose(moved[:, fused[61]], motion[:, [61, 67]].mean(1), atol=0.02 * MM)


def test_binding_twice_gives_the_same_bits(face, binding):
    assert np.array_equal(stm.bind(*face, device="cpu").matrix, binding.matrix)


def test_long_clips_are_the_same_in_chunks(binding):
    motion = speech(50)
    pieces = [binding.displace(motion[start : start + 7]) for start in range(0, len(motion), 7)]
    np.testing.assert_allclose(np.concatenate(pieces), binding.displace(motion), atol=1e-4 * MM)


def test_the_network_is_believed_at_the_lips_and_elsewhere_by_a_share_that_changes_smoothly(face, binding):
    rows = binding.codes(speech())[:, :204]
    path = np.linspace(0, 1, 400)[:, None] * rows[-1] + np.sin(np.linspace(0, 9, 400))[:, None] * rows[1]
    gate = binding.belief.gate(path.astype(np.float32))
    assert 0 < gate.min() < gate.max() < 1
    assert np.abs(np.diff(gate)).max() < 0.05
    lips = face[0][face[2][48:]]
    near = np.linalg.norm(face[0][binding.vertices][:, None] - lips, axis=2).min(1) < stm.LIP_REACH
    taken = binding.matrix[204:].reshape(-1, len(binding.vertices), 3)
    assert not taken[:, near].any()
    assert np.abs(taken[:, ~near]).max() > MM


def test_motion_that_the_columns_explain_is_believed_more_than_motion_that_they_do_not(binding):
    rng = np.random.default_rng(0)
    belief = binding.belief
    known = (rng.normal(size=(200, belief.code.shape[1])) @ np.linalg.pinv(belief.code)).astype(np.float32)
    strange = rng.permuted(known.reshape(200, 68, 3), axis=1).reshape(200, 204)
    assert belief.gate(known).mean() > belief.gate(strange).mean() + 0.1


def test_of_motion_that_is_not_believed_cheeks_take_less_from_the_network(face, binding):
    vertices, _, landmarks = face
    rng, smooth = np.random.default_rng(0), interpolant(*face).weights
    code = binding.belief.code
    known = (rng.normal(size=(50, code.shape[1])) @ np.linalg.pinv(code)).astype(np.float32).reshape(50, 68, 3)
    whole = replace(binding, belief=None, matrix=binding.matrix[:204])
    cheeks = evidence.region(vertices[binding.vertices], vertices[landmarks]) > 0.9
    taken = []
    for motion in (known, rng.permuted(known, axis=1)):
        plain = np.einsum("nl,tlc->tnc", smooth[cheeks], motion)
        used, all_ = (bound.displace(motion)[:, binding.vertices[cheeks]] - plain for bound in (binding, whole))
        taken.append(np.linalg.norm(used) / np.linalg.norm(all_))
    assert cheeks.sum() > 300 and 0.75 < taken[0] < 0.95 and 0.35 < taken[1] < 0.65


def test_what_a_landmark_leaves_when_the_others_predict_it_is_the_conditional_mean():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(12, 12))
    covariance, motion = root @ root.T, rng.normal(size=12)
    own, others = np.arange(3, 6), np.r_[0:3, 6:12]
    predicted = covariance[np.ix_(own, others)] @ np.linalg.solve(covariance[np.ix_(others, others)], motion[others])
    np.testing.assert_allclose((evidence.held_out(covariance) @ motion)[own], motion[own] - predicted)


def test_weights_of_a_landmark_are_one_there_and_zero_at_the_others(face):
    vertices, triangles, _ = face
    apart = np.argsort(-vertices[:, 2])[:680:10]
    smooth = interpolant(vertices, triangles, apart)
    np.testing.assert_allclose(smooth.weights[smooth.rows], np.identity(68), atol=1e-9)
    assert np.linalg.eigvalsh(smooth.covariance).min() > 0


@pytest.mark.parametrize("landmarks", [np.zeros(5, int), np.zeros((68, 3)), np.full(68, 10**6), np.arange(68) - 1])
def test_wrong_landmarks_are_one_sentence(face, landmarks):
    with pytest.raises(MeshError, match=r"68 vertex indices|vertex 1000000,|vertex -1,") as caught:
        stm.bind(face[0], face[1], landmarks, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("motion", [np.zeros((4, 67, 3)), np.zeros((68, 3)), np.zeros((4, 68, 2))])
def test_wrong_motion_is_one_sentence(binding, motion):
    with pytest.raises(ModelError) as caught:
        binding.displace(motion)
    assert "(T, 68, 3)" in str(caught.value) and "\n" not in str(caught.value)


def test_the_correction_is_trusted_less_at_the_lips_and_wholly_elsewhere():
    landmarks = frame.mean_landmarks()
    chin = landmarks[8] + [0, -0.2, 0.2]  # far from all landmarks
    away = np.array([0.5, 1.5, 3.0])[:, None] * [stm.LIP_REACH, 0, 0]
    shares = stm.trust(np.concatenate([landmarks[54] + away, [chin]]), landmarks)
    expected = [stm.LIP_TRUST, (1 + stm.LIP_TRUST) / 2, 1, 1]
    np.testing.assert_allclose(shares, np.tile(expected, (68, 1)), atol=1e-12)
    assert (shares[:, 0] < shares[:, 3]).all()


@pytest.mark.parametrize("landmark, reach, outward", [(41, stm.LID_REACH, [0, -1, 0]), (19, stm.BROW_REACH, [0, 1, 0])])
def test_lids_and_brows_listen_to_the_mouth_by_a_share_and_wholly_to_themselves(landmark, reach, outward):
    landmarks = frame.mean_landmarks()
    away = np.array([0.5, 1.5, 2.5])[:, None] * reach * np.array(outward)
    shares = stm.trust(landmarks[landmark] + away, landmarks)
    own = np.isin(np.arange(68), [*range(17, 27), *range(36, 48)])
    np.testing.assert_allclose(shares[own], 1)
    assert (shares[~own, 0] == shares[0, 0]).all()
    assert shares[0, 0] == pytest.approx(stm.FAR_TRUST)
    assert stm.FAR_TRUST < shares[0, 1] < 1
    assert shares[0, 2] == 1


def test_what_one_landmark_adds_is_used_by_its_own_share():
    rng = np.random.default_rng(0)
    basis, rows, code = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 3, 4), (68, 3, 4), (4, 204)))
    weights, trusted = rng.random((5, 68)), rng.random((68, 5))
    whole = stm.correction(basis, rows, weights, code).reshape(68, 3, 5, 3)
    used = stm.correction(basis, rows, weights, code, trusted).reshape(68, 3, 5, 3)
    np.testing.assert_allclose(used, whole * trusted[:, None, :, None], rtol=1e-5, atol=1e-5)
