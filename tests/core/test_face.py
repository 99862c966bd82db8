"""A scan prepared and moved, answered for the vertices as they were given."""

import tracemalloc
from dataclasses import replace

import fast_simplification
import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from freetalk_blender.core import Performance, checkup, compress, frame, landmarks, movement
from freetalk_blender.core.detection import detector
from freetalk_blender.core.errors import FreeTalkError, LandmarkError, MeshError
from freetalk_blender.core.face import prepare
from freetalk_blender.core.mouth import opening
from freetalk_blender.core.mouth.opened_mouth import LOWER, SKIN
from freetalk_blender.core.movement import deform, moves, shape_keys
from freetalk_blender.scans import OwnVertices
from tests.core.grids import squares


def test_a_face_that_is_inside_out_at_given_landmarks_is_told(scan, face):
    vertices, triangles, points = scan
    (told,) = [note for note in prepare(vertices, triangles[:, ::-1], points).notes if "inside out" in note]
    assert "recalculate its normals" in told and not any("inside out" in note for note in face.notes)


def test_triangles_of_unsigned_numbers_are_the_same(scan, face):
    vertices, triangles, points = scan
    given = triangles.astype(np.uint64)
    assert np.array_equal(prepare(vertices, given, points).binding.matrix, face.binding.matrix)
    assert checkup.check_up(vertices, given, points) == checkup.check_up(vertices, triangles, points)


def jaw(opening: float = 0.25) -> np.ndarray:
    """Two frames of the average face: still, and the jaw and lower lip down."""
    motion = np.zeros((2, 68, 3), np.float32)
    motion[1, [5, 6, 7, 8, 9, 10, 11, 55, 56, 57, 58, 59, 65, 66, 67], 1] = -opening
    return motion


def mm(face, vectors):
    return np.linalg.norm(vectors, axis=-1) / face.frame.units_per_mm


def test_no_motion_moves_nothing_and_a_jaw_moves_the_chin_but_not_the_scalp(scan, face):
    dense = deform(face, jaw())
    assert dense.shape == (2, len(scan[0]), 3) and dense.dtype == np.float32
    assert mm(face, dense[0]).max() < 0.02
    canonical = face.frame.to_canonical(scan[0])
    chin = np.linalg.norm(canonical - face.frame.to_canonical(scan[2])[8], axis=1) < 0.05
    assert mm(face, dense[1, chin]).min() > 15
    assert mm(face, dense[1, canonical[:, 2] < -1.4]).max() < 0.1


def test_the_motion_of_every_vertex_is_turned_in_its_own_memory(face):
    """Of a scan whose file has other axes, and a head that turns."""
    motion, turns = np.repeat(jaw(), 500, 0), np.full((1000, 5), 0.1)
    axes = np.identity(4)[[0, 2, 1, 3]]
    tracemalloc.start()
    try:
        dense = OwnVertices(face, axes).displacement(motion, turns=turns)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.allclose(dense[0], deform(face, motion[:1], turns=turns[:1])[0] @ axes[:3, :3], atol=1e-3)
    assert peak < 2.7 * dense.nbytes, "what is moved, and it again for the vertices as given"


def test_lips_open_alike_however_far_apart_the_landmarks_of_shut_lips_lie(scan, face):
    spread = scan[2].copy()
    spread[[61, 62, 63], 1] += 1.2 * face.frame.units_per_mm
    spread[[65, 66, 67], 1] -= 1.2 * face.frame.units_per_mm
    middle = len(face.opened.upper_rim) // 2
    for bound in (face, prepare(*scan[:2], spread)):
        keys = shape_keys(bound, jaw(0.03))
        rims = np.array([bound.opened.upper_rim[middle], bound.opened.lower_rim[middle]])
        upper, lower = bound.opened.vertices[rims] + np.tensordot(keys.weights[1], keys.shapes[:, rims], 1)
        assert np.linalg.norm(upper - lower) / bound.frame.units_per_mm == pytest.approx(0.03 * 90, abs=0.6)


def test_lips_that_are_nowhere_found_to_meet_are_told(scan, face):
    vertices, points = face.opened.vertices.copy(), scan[2]
    vertices[face.opened.side == LOWER, 1] -= 10 * face.frame.units_per_mm  # the landmarks stay where lips are shut
    apart = prepare(vertices, face.opened.triangles, points, open_mouth=False)
    assert apart.contact is None and opening.NEVER_MEETING in apart.notes
    assert opening.NEVER_MEETING not in face.notes


def test_fused_lips_part_and_are_left_alone_when_asked(scan, face):
    assert face.opened.has_mouth and face.notes == ()
    whole = prepare(*scan, open_mouth=False)
    assert whole.opened is None and whole.contact is None, "lips that are one skin do not meet"
    assert len(whole.notes) == 1 and "lips of this scan are fused" in whole.notes[0]
    assert mm(whole, moves(whole, jaw()).at(1) - deform(whole, jaw())[1]).max() < 0.02
    rims = face.opened.upper_rim[1:-1], face.opened.lower_rim[1:-1]
    keys = shape_keys(face, jaw())
    opened = face.opened.vertices + np.tensordot(keys.weights[1], keys.shapes, 1)
    assert mm(face, opened[rims[0]] - opened[rims[1]]).max() > 12
    still = face.opened.vertices + np.tensordot(keys.weights[0], keys.shapes, 1)
    assert mm(face, still[rims[0]] - still[rims[1]]).max() < 0.3


def test_shape_keys_are_the_dense_motion_within_their_tolerance(face):
    motion = np.concatenate([jaw(0.3 * share)[1:] for share in np.linspace(0, 1, 30)])
    keys = shape_keys(face, motion, tolerance=0.05)
    on_opened = np.tensordot(keys.weights, keys.shapes, 1)
    caller = on_opened[:, : face.vertex_count]
    assert mm(face, caller - deform(face, motion)).max() <= 0.06
    assert keys.max_error <= 0.05 * face.frame.units_per_mm


def test_a_head_in_metres_needs_the_keys_of_one_in_millimetres(scan, face):
    """The tolerance of `compress` is in the mesh's unit, which none but the caller knows."""
    vertices, triangles, points = scan
    motion = np.concatenate([jaw(opening) for opening in (0.1, 0.25)])
    counts = []
    for bound in (face, prepare((vertices / 1000).astype(np.float32), triangles, points / 1000)):
        dense = deform(bound, motion)
        keys = compress(dense, tolerance=0.1 * bound.frame.units_per_mm)
        rebuilt = np.tensordot(keys.weights, keys.shapes, 1)
        assert mm(bound, rebuilt - dense).max() < 0.1 + 1e-3
        counts.append(len(keys.shapes))
        with pytest.raises(TypeError, match="tolerance"):
            compress(dense)
    assert counts[0] == counts[1] > 0


def test_what_is_looked_at_frame_by_frame_is_the_dense_motion(face):
    motion = np.concatenate([jaw(0.3 * share)[1:] for share in np.linspace(0, 1, 5)])
    looked, dense = moves(face, motion), deform(face, motion)
    between = (dense[2] + dense[3]) / 2
    for position, wanted in ((0.0, dense[0]), (3.0, dense[3]), (2.5, between), (9.0, dense[4]), (-2.0, dense[0])):
        assert mm(face, looked.at(position)[: face.vertex_count] - wanted).max() < 0.02


def test_a_tongue_moves_alike_in_shape_keys_and_frame_by_frame_and_moves_no_skin(face):
    motion, tongue = jaw(0.3), np.array([[0, 0, 0], [1, 0.2, 0.5]], np.float32)
    still, keys = shape_keys(face, motion, 0.02), shape_keys(face, motion, 0.02, tongue=tongue)
    moved = np.tensordot(keys.weights, keys.shapes, 1)
    more = moved - np.tensordot(still.weights, still.shapes, 1)
    assert len(keys.shapes) == len(still.shapes) + 3
    assert 5 < mm(face, more)[1].max() < 30 and not more[:, : face.opened.skin_count].any() and not more[0].any()
    assert mm(face, moves(face, motion, tongue).at(1) - moved[1]).max() < 0.03
    with pytest.raises(FreeTalkError, match="tongue has finite values of shape"):
        shape_keys(face, motion, tongue=tongue[:1])


@pytest.mark.parametrize("seed", [1, 2])
def test_pose_unit_and_vertex_order_change_nothing(scan, face, seed):
    vertices, triangles, points = scan
    rng = np.random.default_rng(seed)
    pose = frame.Similarity(
        10 ** rng.uniform(-3, 3), Rotation.random(random_state=seed).as_matrix(), rng.normal(size=3) * 9
    )
    order, shuffle = rng.permutation(len(vertices)), rng.permutation(len(triangles))
    index = np.argsort(order)
    other = prepare(pose.to_mesh(vertices)[order], index[triangles][shuffle], pose.to_mesh(points))
    there = pose.vectors_to_canonical(deform(other, jaw()))[:, index]
    assert mm(face, there - deform(face, jaw())).max() < 0.1


def test_triangle_soup_and_loose_vertices_answer_like_the_surface(scan, face):
    vertices, triangles, points = scan
    soup = np.concatenate([vertices[triangles].reshape(-1, 3), [[np.nan, 0, 0], vertices[0]]])
    other = prepare(soup, np.arange(3 * len(triangles)).reshape(-1, 3), points)
    dense = deform(other, jaw())
    assert np.all(dense[:, -2:] == 0)
    assert mm(face, dense[:, :-2].reshape(2, -1, 3, 3) - deform(face, jaw())[:, triangles]).max() < 0.1


def test_lips_of_facets_meet_like_the_surface_without_cracks(scan, face):
    """Lips that are cut apart, and lips that stand open, as triangles without a common vertex."""
    motion = np.concatenate([jaw(0.02), jaw(0.25), np.zeros((1, 68, 3), np.float32)])
    motion[-1, [61, 62, 63, 49, 50, 51, 52, 53], 1] = -0.03  # the upper lip pushes into the lower one
    parted, points = face.opened.skin_vertices.copy(), scan[2].copy()
    down = 6 * face.frame.units_per_mm * face.frame.rotation[:, 1]
    parted[face.opened.side[: len(parted)] == LOWER] -= down
    points[[*range(55, 60), 65, 66, 67]] -= down
    open_lips = parted, face.opened.skin_triangles, points
    for whole, (vertices, triangles, marks) in ((face, scan), (prepare(*open_lips), open_lips)):
        facets = prepare(vertices[triangles].reshape(-1, 3), np.arange(triangles.size).reshape(-1, 3), marks)
        assert whole.contact is not None and facets.contact is not None
        found, corner = deform(facets, motion), triangles.ravel()
        assert mm(face, found - deform(whole, motion)[:, corner]).max() < 0.1
        last = np.zeros(len(vertices), int)
        last[corner] = np.arange(len(corner))
        assert np.array_equal(found, found[:, last[corner]]), "what is one place stays one"


def test_motion_in_mesh_space_is_taken_as_it_is(face):
    motion = jaw()
    own = face.frame.vectors_to_mesh(movement.landmark_motion(face, motion))
    assert deform(face, own, space="mesh") == pytest.approx(deform(face, motion), abs=1e-3 * face.frame.scale)


def test_faces_performances_and_shape_keys_are_found_in_lists_and_dictionaries(face):
    take = Performance(jaw(), face.neutral, 30.0, np.zeros((2, 8)), np.zeros((2, 3)), np.zeros((2, 5)))
    for one in (face, take, shape_keys(face, jaw())):
        another = replace(one)
        assert [one, another].index(another) == 1 and {one: 1, another: 2}[another] == 2


def test_a_face_says_how_much_memory_it_holds_once_and_with_what_it_makes(face):
    anew = replace(face, binding=replace(face.binding))
    before, binding, opened = anew.nbytes, anew.binding, anew.opened
    own = [binding.matrix, binding.vertices, anew.mesh.source, opened.vertices, opened.triangles, opened.carry.data]
    assert sum(array.nbytes for array in own) < before < 2 * sum(array.nbytes for array in own)
    deform(anew, jaw())
    assert anew.nbytes >= before + binding.everywhere.nbytes
    assert replace(anew, landmarks=anew.mesh.vertices[:68]).nbytes <= anew.nbytes


def test_landmarks_may_be_vertex_indices(scan):
    vertices, triangles, points = scan
    indices = landmarks.nearest_vertices(points, vertices)
    other = prepare(vertices, triangles, indices)
    assert other.landmarks == pytest.approx(vertices[indices])


@pytest.mark.parametrize(
    "motion", [np.zeros((68, 3)), np.zeros((2, 67, 3)), np.zeros((0, 68, 3)), np.full((1, 68, 3), np.nan)]
)
def test_what_is_no_motion_is_told_in_a_sentence(face, motion):
    with pytest.raises(FreeTalkError, match="displacement"):
        deform(face, motion)


def test_an_unknown_space_is_told_in_a_sentence(face):
    with pytest.raises(FreeTalkError, match="space must be"):
        deform(face, jaw(), space="world")


def test_other_landmarks_and_other_meshes_are_told_in_a_sentence(scan):
    vertices, triangles, points = scan
    with pytest.raises(LandmarkError, match="off the mesh"):
        prepare(vertices, triangles, points * 1000)
    with pytest.raises(MeshError):
        prepare(vertices[:0], triangles[:0], points)


def test_landmarks_found_beside_the_mesh_are_a_part_of_a_face_and_told_as_such(scan, monkeypatch):
    vertices, triangles, points = scan
    right = triangles[(vertices[triangles, 0] < points[39, 0]).all(1)]  # as far as the right eye's inner corner
    used, faces = np.unique(right, return_inverse=True)
    monkeypatch.setattr(detector, "detect", lambda *_: landmarks.Landmarks(points))
    with pytest.raises(LandmarkError, match="Only a part of a face was found"):
        prepare(vertices[used], faces.reshape(right.shape))


def test_a_face_that_its_distance_from_the_origin_blurs_is_told(scan, face):
    vertices, triangles, points = scan
    far = prepare((vertices + 1e6).astype(np.float32), triangles, points + 1e6, open_mouth=False)
    assert any("from its origin" in note for note in far.notes)
    assert not any("from its origin" in note for note in face.notes)


def test_without_landmarks_they_are_found(scan):
    vertices, triangles, points = scan
    found = prepare(vertices, triangles).landmarks
    eye_distance = np.linalg.norm(points[45] - points[36])
    assert np.linalg.norm(found - points, axis=1).mean() / eye_distance * frame.EYE_DISTANCE_MM < 4


def test_lips_that_press_together_meet_and_do_not_cross(face):
    motion = np.zeros((3, 68, 3), np.float32)
    motion[1:, [49, 50, 51, 52, 53, 61, 62, 63], 1] = -0.01
    motion[1:, [55, 56, 57, 58, 59, 65, 66, 67], 1] = 0.01
    motion[2, [62, 66], 0] = 0.05
    keys = shape_keys(face, motion, tolerance=0.02)
    moved = face.opened.vertices + np.tensordot(keys.weights, keys.shapes, 1)
    gap = (moved[:, face.opened.upper_rim] - moved[:, face.opened.lower_rim]) @ face.frame.rotation[:, 1]
    assert gap.min() / face.frame.units_per_mm > -0.05
    assert gap.max() / face.frame.units_per_mm < 0.1


def test_a_surface_beside_the_landmarks_is_not_subdivided_without_end(scan):
    vertices, triangles, points = scan
    distance = cKDTree(points).query(vertices)[0] / np.linalg.norm(points[45] - points[36])
    beside = triangles[(distance > 0.1)[triangles].all(1)]
    bound = prepare(vertices, beside, points)
    assert len(bound.mesh.vertices) < 2 * len(vertices)


def test_half_a_face_whose_other_half_left_its_vertices_behind_is_told_in_a_sentence(scan):
    vertices, triangles, points = scan
    left = triangles[(vertices[triangles] - points[27] > 0)[..., 0].all(1)]
    with pytest.raises(LandmarkError, match="off the mesh"):
        prepare(vertices, left, points)


def test_a_coarse_face_on_a_body_of_many_vertices_is_bound_on_a_finer_copy(scan):
    vertices, triangles, points = scan
    coarse, faces = fast_simplification.simplify(vertices.astype(np.float32), triangles, target_count=2000)
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-300, 300, 150), np.linspace(-1000, -400, 150)))
    body = points[8] + np.stack([x, y, 0 * x - 100], 1)
    both = np.concatenate([faces, squares(150, 150) + len(coarse)])
    bound = prepare(np.concatenate([coarse, body]), both, points)
    nearest = bound.mesh.vertices[landmarks.nearest_vertices(points, bound.mesh.vertices)]
    assert np.median(mm(bound, nearest - points)) < 1.8
    assert len(bound.mesh.vertices) < len(coarse) + len(body) + 8000, "the body stays as it is"


@pytest.mark.parametrize("count", [600, 1500, 2500])
def test_no_triangle_turns_over_at_the_corners_of_an_opening_mouth(scan, count):
    vertices, triangles, points = scan
    coarse, faces_left = fast_simplification.simplify(vertices.astype(np.float32), triangles, target_count=2 * count)
    bound = prepare(coarse, faces_left, points)
    keys = shape_keys(bound, np.linspace(0, 1, 6)[:, None, None] * jaw(0.1)[1])
    rest = bound.opened.vertices.astype(float)
    skin = bound.opened.triangles[bound.opened.part == SKIN]
    away = np.linalg.norm(rest[skin].mean(1)[:, None] - points[[48, 54]], axis=2).min(1)
    skin = skin[away < 0.1 * np.linalg.norm(points[45] - points[36])]

    def normals(places: np.ndarray) -> np.ndarray:
        return np.cross(places[skin[:, 1]] - places[skin[:, 0]], places[skin[:, 2]] - places[skin[:, 0]])

    for weights in keys.weights:
        assert ((normals(rest + np.tensordot(weights, keys.shapes, 1)) * normals(rest)).sum(1) > 0).all()


@pytest.mark.parametrize("count", [200, 1000])
def test_a_coarse_scan_moves_like_the_fine_one(scan, face, count):
    vertices, triangles, points = scan
    coarse, faces_left = fast_simplification.simplify(vertices.astype(np.float32), triangles, target_count=2 * count)
    dense = deform(prepare(coarse, faces_left, points), jaw())[1]
    nearest = landmarks.nearest_vertices(coarse, vertices)
    error = mm(face, dense - deform(face, jaw())[1, nearest])
    assert len(coarse) < 1.1 * count and error.mean() < 1
