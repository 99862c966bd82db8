"""Loose parts that sit on the skin go with it; what only touches it, or belongs to an eye, stays."""

import loose
import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.spatial.transform import Rotation

from freetalk_blender.core import attached, landmarks
from freetalk_blender.core.eyelids import Eyelids
from freetalk_blender.core.face import prepare
from freetalk_blender.core.frame import frame_in_mm
from freetalk_blender.core.landmarks import COUNT
from freetalk_blender.core.movement import deform
from freetalk_blender.core.surface import mesh, raster
from tests.core.grids import squares

#: Rows and columns of a strip of lashes, and how long they are (mm).
ROWS, COLUMNS, LONG = 4, 24, 8.0


def sheet(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A grid of points (rows,columns,3) as a surface."""
    rows, columns = points.shape[:2]
    return points.reshape(-1, 3), squares(columns, rows)


def lashes(skin: np.ndarray, edge: np.ndarray, first: float = 0.3, last: float = 2.7) -> tuple[np.ndarray, np.ndarray]:
    """A strip that stands on a lid, mm, between two of its landmarks (n,3)."""
    at = np.linspace(first, last, COLUMNS)
    line = np.stack([np.interp(at, range(len(edge)), axis) for axis in edge.T], 1)
    line = skin[landmarks.nearest_vertices(line, skin)] + [0, 0, 0.1]
    along = np.linspace(0, LONG, ROWS)[:, None, None] * np.array([0, 0.35, 0.94])
    return sheet(line + along)


def layer(skin: np.ndarray, triangles: np.ndarray, normals: np.ndarray, middle: np.ndarray, radius: float, off: float):
    """The skin within a radius of a place once more, so far off itself."""
    near = np.linalg.norm(skin - middle, axis=1) < radius
    used = np.flatnonzero(near)
    number = np.full(len(skin), -1)
    number[used] = np.arange(len(used))
    return skin[used] + off * normals[used], number[triangles[near[triangles].all(1)]]


def spectacles(skin: np.ndarray, placed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rims before both eyes in one piece, which touch the bridge of the nose alone."""
    x, around = np.linspace(-65, 65, 60), np.linspace(0, 2 * np.pi, 9)
    bridge = skin[landmarks.nearest_vertices(placed[27][None], skin)][0]
    ring = np.stack([np.zeros(9), 2 * np.sin(around), 2 * np.cos(around)], 1)
    points = np.stack([x, np.full(60, bridge[1]), np.full(60, bridge[2] + 2.5)], 1)
    return sheet(points[:, None] + ring)


def tube(middle: np.ndarray, radius: np.ndarray, wide: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A tube along points (n,3), upright, of radii (n,), so many times as wide as it is deep."""
    around = np.linspace(0, 2 * np.pi, 13)
    ring = np.stack([wide * np.sin(around), np.zeros(13), np.cos(around)], 1)
    return sheet(middle[:, None] + np.reshape(radius, (-1, 1, 1)) * ring)


def down(top: float, bottom: float) -> np.ndarray:
    """(16,3) offsets from one height to another, mm."""
    return np.linspace(top, bottom, 16)[:, None] * np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def with_parts(scan):
    """Vertices, triangles, and the rows of each part."""
    frame = frame_in_mm(scan[2])
    skin, placed = frame.to_canonical(scan[0].astype(float)), frame.to_canonical(scan[2])
    normals = raster.vertex_normals(skin, scan[1])
    parts = {
        "lashes": lashes(skin, placed[36:40]),
        "lashes round the corners": lashes(skin, placed[[47, 42, 43, 44, 45, 46]], 0.6, 4.4),
        "a second layer of the cheek": layer(skin, scan[1], normals, placed[54] + [8, 4, 0], 9, 0.5),
        "a layer far off the chin": layer(skin, scan[1], normals, placed[8], 9, 9.0),
        "a long beard": tube(placed[8] + down(2, -110), np.linspace(14, 2, 16)),
        "a scarf": tube(placed[8] + down(-35, -90) - [0, 0, 65], np.full(16, 68.0)),
        "a microphone": tube(placed[62] + down(10, -10) + [0, 0, 28], np.full(16, 15.0)),
        "a clear shell over the eye": layer(skin, scan[1], normals, placed[42:48].mean(0), 12, 0.4),
        "spectacles": spectacles(skin, placed),
    }
    return loose.added(*scan[:2], parts, frame)


@pytest.fixture(scope="module")
def bound(scan, with_parts):
    return prepare(*with_parts[:2], scan[2])


def moved(face) -> np.ndarray:
    """(V,3) mm: the upper lids down by 8 mm, the corners of the mouth aside by 6, the jaw down by 10."""
    motion = np.zeros((1, COUNT, 3), np.float32)
    motion[0, [37, 38, 43, 44], 1] = -8 / 90
    motion[0, [48, 60, 54, 64], 0] = np.array([-6, -6, 6, 6]) / 90
    motion[0, [6, 7, 8, 9, 10], 1] = -10 / 90
    return (
        face.frame.vectors_to_canonical(deform(face, face.frame.vectors_to_mesh(motion), "mesh")[0].astype(float)) * 90
    )


def test_lashes_stay_on_their_lid_and_their_tips_go_further(scan, with_parts, bound):
    vertices, _, rows = with_parts
    motion = moved(bound)
    roots, *_, tips = rows["lashes"].reshape(ROWS, COLUMNS)
    lid = motion[landmarks.nearest_vertices(vertices[roots], scan[0])]
    far = np.linalg.norm(lid, axis=1)
    assert far.max() > 5
    assert np.linalg.norm(motion[roots] - lid, axis=1).max() < 1
    assert (np.linalg.norm(motion[tips], axis=1) > 1.2 * far)[far > 2].all()
    steps = np.linalg.norm(np.diff(motion[tips], axis=0), axis=1)
    assert steps.max() < 3 * np.linalg.norm(np.diff(lid, axis=0), axis=1).max(), "neighbours go together"


def test_lashes_that_go_round_the_corners_stay_on_their_lid(scan, with_parts, bound):
    vertices, _, rows = with_parts
    motion = moved(bound)
    roots = rows["lashes round the corners"].reshape(ROWS, COLUMNS)[0]
    lid = motion[landmarks.nearest_vertices(vertices[roots], scan[0])]
    assert np.linalg.norm(lid, axis=1).max() > 5
    assert np.linalg.norm(motion[roots] - lid, axis=1).max() < 1


def test_a_second_layer_of_skin_goes_with_the_first(scan, with_parts, bound):
    vertices, _, rows = with_parts
    motion, part = moved(bound), rows["a second layer of the cheek"]
    below = motion[landmarks.nearest_vertices(vertices[part], scan[0])]
    assert np.linalg.norm(below, axis=1).min() > 1
    assert np.linalg.norm(motion[part] - below, axis=1).mean() < 0.2


def test_a_long_beard_goes_with_the_chin(scan, with_parts, bound):
    motion, part = moved(bound), with_parts[2]["a long beard"]
    chin = motion[landmarks.nearest_vertices(scan[2][8][None], scan[0])]
    assert np.linalg.norm(chin) > 5
    assert np.linalg.norm(motion[part] - chin, axis=1).max() < 0.4 * np.linalg.norm(chin)


STAY = ["a layer far off the chin", "a scarf", "a microphone", "a clear shell over the eye", "spectacles"]


@pytest.mark.parametrize("name", STAY)
def test_what_has_no_roots_or_is_an_eyes_or_too_large_stays(with_parts, bound, name):
    assert not moved(bound)[with_parts[2][name]].any()


def test_the_skin_does_not_notice(face, bound):
    assert np.allclose(moved(face), moved(bound)[: face.vertex_count], atol=1e-3)


def test_they_sit_on_the_skin_of_a_heavy_scan_too(scan, with_parts, bound):
    vertices, triangles, rows = with_parts
    fine = mesh.clean(vertices, triangles)
    while len(fine.vertices) < 60_000:
        fine = mesh.subdivided(fine)
    heavy = prepare(fine.vertices, fine.triangles, scan[2])
    assert heavy.binding.proxy is not None
    for name in ("lashes", "a second layer of the cheek"):
        nearest = landmarks.nearest_vertices(vertices[rows[name]], fine.vertices)
        apart = np.linalg.norm(moved(heavy)[nearest] - moved(bound)[rows[name]], axis=1)
        assert apart.mean() < 0.6 and apart.max() < 2


def test_other_objects_that_would_go_with_the_face_are_known(scan, with_parts):
    vertices, triangles, rows = with_parts

    def alone(part):
        faces = triangles[np.isin(triangles, part).all(1)]
        return vertices[part], faces - part[0]

    wanted = {name: name not in STAY for name in rows}
    moves = attached.moves_with(*scan, [alone(part) for part in rows.values()])
    assert dict(zip(rows, moves, strict=True)) == wanted
    half = scan[1][:, 0] % 2 == 0
    vertices, triangles, points = scan
    pieces = (vertices, triangles[half]), (vertices, triangles[~half])
    assert attached.moves_with(*pieces[0], points, [pieces[1]]) == [True], "a piece of the skin itself"


class Pushed:
    """Skin of a lid that is corrected by so much."""

    vertices = np.array([2, 5])

    def correction(self, displacement, shut):
        return np.zeros_like(displacement) + [0, 1, 0]


@pytest.mark.parametrize("turned", [np.zeros(3), np.array([0.4, -1.1, 0.7])], ids=["upright", "turned"])
def test_lashes_follow_what_corrects_their_lids(turned):
    """Vertices 7 and 8 are one in the cleaned mesh and follow half of the lid's vertex 5, twice as far up and three
    times as far ahead, in the face's own axes; 9 has no lid."""
    rotation = Rotation.from_rotvec(turned).as_matrix()
    source = np.array([0, 1, 2, 3, 4, 5, 6, 7, 7, 8])
    carry = sparse.csr_matrix(([0.5, 0.5, 1.0], ([0, 0, 1], [5, 6, 0])), (2, 9))
    turn = np.stack([np.diag([1.0, 2.0, 3.0]), np.identity(3)])
    lids = Eyelids((Pushed(),)).followed(attached.Attached(np.array([7, 8]), carry, turn), source, rotation)
    motion = np.zeros((3, 10, 3), np.float32)
    lids.correct(motion, np.zeros((3, 2)))
    wanted, pushed = np.zeros((10, 3)), np.array([0, 1, 0])
    wanted[[2, 5]], wanted[[7, 8]] = pushed, rotation @ ([1, 2, 3] * (rotation.T @ (0.5 * pushed)))
    assert np.allclose(motion, wanted, atol=1e-6)
