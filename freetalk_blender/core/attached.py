"""Loose parts that sit on the skin, as lashes, brows, beards and piercings do: they go where the skin at their roots
goes.

Roots are vertices that touch the skin. A part sits on it where nearly all of it is near its own roots: a shirt whose
collar touches the neck does not, nor do glasses that touch nose and ears, nor the eyeball behind its lids. A beard in
one piece may be as long and thick as it likes: it is near the skin around mouth and chin alone. Lashes turn about the
eye with their lid, so that their tips go further than their roots.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from .binding.handles import landmark_vertices
from .binding.proxy import places
from .binding.stm import Binding
from .eyes.eye_state import EYES
from .eyes.eyeballs import sphere
from .frame import EYE_DISTANCE_MM, frame_in_mm
from .landmarks import nearest_vertices
from .mouth.jaw import hinged, parts_inside
from .ramp import smooth_step
from .surface.mesh import CleanMesh, Surfaces, clean, together
from .surface.rows import present

#: A vertex of a part this near to the skin is a root; the second: how far the others are from a root of their part, at
#: most, but for those beyond the share (mm).
_ROOT, _REACH, _SHARE = 1.5, 15.0, 0.95
#: What sits on the face lies within this of the box around its landmarks, and a beard ends so far below that box (mm).
_AROUND, _LONG = 30.0, 250.0
#: A beard comes this near to the skin (mm), nearly all there (a share) next to landmarks below the nose, and some (a
#: share) next to those of mouth and chin; what is further than this below the chin is the neck's (mm).
_BEARD, _ALONE, _IN_FRONT, _NECK = 6.0, 0.9, 0.3, 20.0
_LOWER_FACE, _FRONT = (*range(1, 16), *range(31, 36), *range(48, 68)), (*range(6, 11), *range(48, 68))
#: What lies within this of an eyeball's surface, or has this share of its roots on the upper and on the lower lid of
#: one eye, of those that are not at its corners, is the eye's: an iris, a cornea, a rim of tears (mm; the share of its
#: vertices). On ICT-FaceKit's rims it is .23 at least, of its lashes none.
_ON_BALL, _ON_BOTH, _MOST = 2.5, 0.2, 0.8
#: An eyeball is this wide, high and deep, and its vertices this near to the middle of the lids (mm).
_BALL, _AROUND_EYE = 14.0, 40.0
#: The eye about which a lid turns: above and behind the mean of the lids' landmarks, in widths of the eye. Means of
#: ICT-FaceKit's (standard deviation .04).
_EYE = (0.07, -0.46)
#: Roots this near to the lids' landmarks turn about the eye, less and less up to the second (mm).
_ON_LID = (5.0, 9.0)
#: A vertex follows so many roots, by the inverse squares of their distances from it and of the second beside (mm); one
#: that is a millimetre off the skin counts as so much further away. What separates parts in the search for them.
_COUNT, _SOFT, _OFF, _FAR = 6, 1.0, 5.0, 1e4


@dataclass(frozen=True)
class Attached:
    """Vertices (n,) of a mesh that move by turn (n,3,3) times what its skin moves by at their roots: carry (n,V) times
    the displacement of the V vertices. The axes are canonical."""

    vertices: np.ndarray
    carry: sparse.csr_matrix
    turn: np.ndarray


def attached(
    points: np.ndarray, cleaned: CleanMesh, inside: list[np.ndarray], handles: np.ndarray, landmarks: np.ndarray
) -> Attached:
    """The loose parts of a face that sit on its skin.

    points (V,3): vertices of the mesh `cleaned`; inside: its `jaw.parts_inside`; handles (68,): those at the landmarks
    (68,3); canonical mm.
    """
    found, carry = _sitting(points, cleaned, inside, handles, landmarks)
    return Attached(found, carry, _about_eyes(points[found], carry @ points, landmarks))


def with_attached(binding: Binding, points: np.ndarray, parts: Attached) -> Binding:
    """The binding of a mesh of vertices (V,3), canonical mm, whose loose parts that sit on its skin move with it."""
    plain = np.zeros(len(parts.vertices), bool)
    if binding.proxy is not None:  # the scan's own triangles are small: one vertex tells the motion, at no cost
        plain = (parts.turn == np.identity(3)).all((1, 2))
        binding = binding.with_like(parts.vertices[plain], np.asarray(parts.carry[plain].argmax(1)).ravel())
    rows, carry = parts.vertices[~plain], parts.carry[~plain]
    if not len(rows):
        return binding
    used = np.unique(carry.indices)
    motion = binding.motion_of(used).transpose(1, 0, 2).reshape(len(used), -1)
    moved = (carry[:, used].astype(np.float32) @ motion).reshape(len(rows), -1, 3)
    turned = np.einsum("nij,nrj->rni", parts.turn[~plain], moved, optimize=True)
    return binding.with_more(rows, points[rows] / EYE_DISTANCE_MM, turned)


def moves_with(vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, others: Surfaces) -> list[bool]:
    """Which of other surfaces, each vertices and triangles, would move with a face (V,3), (F,3) if they were of its
    mesh: those in its mouth, on its skin, and pieces of the skin itself. landmarks (68,3); all in one frame."""
    surfaces = [(vertices, triangles), *others]
    cleaned = clean(*together(surfaces))
    points = frame_in_mm(landmarks).to_canonical(cleaned.vertices.astype(float))
    placed = frame_in_mm(landmarks).to_canonical(np.asarray(landmarks, float))
    inside = parts_inside(points, cleaned, placed)
    handles = landmark_vertices(placed, points, cleaned.triangles)
    moves = np.isin(cleaned.components, cleaned.components[handles])
    moves[np.concatenate([_sitting(points, cleaned, inside, handles, placed)[0], *inside])] = True
    of_caller = moves[cleaned.source] & (cleaned.source >= 0)
    ends = np.cumsum([len(vertices) for vertices, _ in surfaces])
    return [bool(part.mean() > 0.5) for part in np.split(of_caller, ends[:-1])[1:]]


def _sitting(
    points: np.ndarray, cleaned: CleanMesh, inside: list[np.ndarray], handles: np.ndarray, placed: np.ndarray
) -> tuple[np.ndarray, sparse.csr_matrix]:
    """(n,) vertices of loose parts that sit on the skin, and (n,V) where those of it are that they follow; arguments as
    `attached`."""
    label = cleaned.components
    rows = _candidates(points, label, inside, handles, placed) if label.any() else np.empty(0, int)
    if not len(rows):
        return rows, sparse.csr_matrix((0, len(points)))
    skin = cleaned.triangles[np.isin(label, label[handles])[cleaned.triangles[:, 0]]]
    place = _on_skin(points[rows], points, skin)
    follows, carry = _roots(points[rows], label[rows], place, points, placed)
    return rows[follows], carry


def _candidates(
    points: np.ndarray, label: np.ndarray, inside: list[np.ndarray], handles: np.ndarray, placed: np.ndarray
) -> np.ndarray:
    """(n,) vertices of loose parts that lie wholly around or below the face, but for those inside the mouth."""
    low, high = placed.min(0) - [_AROUND, _LONG, _AROUND], placed.max(0) + _AROUND
    free = ~np.isin(label, label[handles])
    for part in inside:
        free[part] = False
    out = np.unique(label[free & ~((points > low) & (points < high)).all(1)])
    return np.flatnonzero(free & ~np.isin(label, out))


def _on_skin(points: np.ndarray, vertices: np.ndarray, skin: np.ndarray) -> sparse.csr_matrix:
    """(n,V) barycentric places on the skin (F,3) of a mesh (V,3) that are nearest to points (n,3)."""
    used = present(skin, len(vertices))
    nearest = used[nearest_vertices(points, vertices[used])]
    place, shares = places(points, nearest, vertices, skin)
    row = np.repeat(np.arange(len(points)), 3)
    return sparse.csr_matrix((shares.ravel(), (row, skin[place].ravel())), (len(points), len(vertices)))


def _roots(
    points: np.ndarray, label: np.ndarray, place: sparse.csr_matrix, vertices: np.ndarray, placed: np.ndarray
) -> tuple[np.ndarray, sparse.csr_matrix]:
    """(n,) bool, which of points (n,3) of parts `label` (n,) sit on the skin, and (m,V) where those have their roots.

    place (n,V): the skin nearest to each point, among the mesh's vertices (V,3); placed (68,3): landmarks, mm.
    """
    distance = np.linalg.norm(place @ vertices - points, axis=1)
    part = np.unique(label, return_inverse=True)[1].ravel()
    beard = _beards(points, part, distance, placed)
    touches = distance < np.where(beard[part], _BEARD, _ROOT)
    rooted = np.flatnonzero(touches)
    if not len(rooted):
        return touches, place[rooted]
    apart = np.column_stack([points, part * _FAR, np.zeros(len(points))])
    tree = cKDTree(np.column_stack([apart[rooted, :4], _OFF * distance[rooted]]))
    away, which = tree.query(apart, np.arange(1, min(_COUNT, len(rooted)) + 1))
    first = rooted[which[:, 0]]
    near = (part[first] == part) & (np.linalg.norm(points - points[first], axis=1) < _REACH)
    sits = (np.bincount(part, near) >= _SHARE * np.bincount(part)) | beard
    sits &= ~_of_an_eye(points, part, touches, sits, placed)
    follows = sits[part]
    weight = np.where(part[rooted[which]] == part[:, None], 1 / (away**2 + _SOFT**2), 0)[follows]
    weight /= weight.sum(1, keepdims=True)
    row = np.repeat(np.arange(len(weight)), weight.shape[1])
    among = sparse.csr_matrix((weight.ravel(), (row, rooted[which[follows]].ravel())), (len(weight), len(points)))
    return follows, (among @ place).tocsr()


def _beards(points: np.ndarray, part: np.ndarray, distance: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """(k,) which of the parts are near the skin around mouth and chin alone: `part` (n,) numbers of points (n,3), which
    are so far (n,) from it."""
    near = distance < _BEARD
    beside = cKDTree(placed).query(points[near])[1]
    below = np.isin(beside, _LOWER_FACE) & (points[near, 1] > placed[8, 1] - _NECK)
    all_of, lower, front = (
        np.bincount(part[near], some, part.max() + 1) for some in (None, below, below & np.isin(beside, _FRONT))
    )
    return (all_of > 0) & (lower >= _ALONE * all_of) & (front >= _IN_FRONT * all_of)


def _of_an_eye(
    points: np.ndarray, part: np.ndarray, touches: np.ndarray, wanted: np.ndarray, placed: np.ndarray
) -> np.ndarray:
    """(k,) which of the parts are an eye's own: `part` (n,) numbers of points (n,3); wanted (k,): those asked about."""
    own = np.zeros(len(wanted), bool)
    for lids in EYES:
        edge = placed[lids]
        near = np.linalg.norm(points - edge.mean(0), axis=1) < _AROUND_EYE
        mine = {number: points[part == number] for number in np.unique(part[near])}
        balls = [sphere(ball) for ball in mine.values() if np.ptp(ball, axis=0).min() > _BALL]
        for number in mine:
            if not wanted[number]:
                continue
            off = [np.abs(np.linalg.norm(mine[number] - ball[0], axis=1) - ball[1]) for ball in balls if ball]
            own[number] |= any((distance < _ON_BALL).mean() > _MOST for distance in off)
            own[number] |= _on_both_lids(points[touches & (part == number)], edge)
    return own


def _on_both_lids(roots: np.ndarray, edge: np.ndarray) -> bool:
    """Do roots (n,3) lie along the upper and along the lower lid of landmarks (6,3)? Those at its corners do not tell:
    lashes go round them."""
    beside = np.bincount(nearest_vertices(roots, edge), minlength=len(edge))
    above, below = beside[1:3].sum(), beside[4:6].sum()
    return bool(min(above, below) > _ON_BOTH * (above + below))


def _about_eyes(points: np.ndarray, roots: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """(n,3,3): displacement of points (n,3) = matrix @ that of their roots (n,3): the identity but on lids; mm."""
    turn = np.tile(np.identity(3), (len(points), 1, 1))
    for lids in EYES:
        edge = placed[lids]
        width = np.linalg.norm(edge[3] - edge[0])
        hinge = edge[:, 1].mean() + _EYE[0] * width, edge[:, 2].mean() + _EYE[1] * width
        distance = np.linalg.norm(roots[:, None] - edge, axis=2).min(1)
        near = np.flatnonzero(distance < _ON_LID[1])
        share = smooth_step((_ON_LID[1] - distance[near]) / (_ON_LID[1] - _ON_LID[0]))[:, None, None]
        turn[near] += share * (hinged(points[near], roots[near], hinge) - np.identity(3))
    return turn
