"""A scan made ready to move: `prepare` once; movement.py moves it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, is_dataclass, replace
from functools import cached_property, partial

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from . import (
    attached,
    cancel,
    detector,
    eye_front,
    eyes,
    frame,
    jaw,
    lids,
    lip_pairs,
    looks,
    mesh,
    mouth_curve,
    opening,
    repairs,
    rim,
    rows,
    stm,
)
from . import eyeballs as eye_balls
from . import inner_mouth as inner_mouths
from .attached import Attached
from .contact import Contact
from .errors import LandmarkError, MeshError
from .eyelids import Eyelids, Part
from .frame import Similarity
from .handles import landmark_vertices, prefer
from .landmarks import COUNT, Landmarks, by_network, doubt, nearest_vertices
from .looks import Look
from .mesh import CleanMesh, Surfaces
from .opened_mouth import LOWER, NEITHER, UPPER, OpenedMouth, untouched
from .retarget import retarget, with_true_gaps
from .stm import Binding

#: `with step("bind the face"): ...` lets a caller show a stage and time it. To end the work: cancel.py.
Step = Callable[[str], AbstractContextManager]

#: A mesh whose vertices are further than this from half of the landmarks (eye distances; 1.8 of 90 mm) is bound on a
#: finer copy: edges of more than twice that are halved, as far from the landmarks as AROUND.
COARSE, AROUND = 0.02, 0.5
#: Vertices nearer to each other than this are at one place (eye distances).
_TWIN = 1e-4


def no_step(_: str) -> AbstractContextManager:
    """A stage that nobody watches."""
    return nullcontext()


@dataclass(frozen=True)
class Face:
    """A bound scan.

    vertex_count: of the scan as it came; landmarks (68,3), mesh units; frame: similarity between canonical frame and
    mesh; opened: the scan with its fused lips cut apart, None where they already were; mesh: the cleaned skin, with the
    way back to the opened scan's skin or else to the caller's vertices; binding: of the cleaned skin, from canonical
    landmark motion to displacement in mesh units; contact: keeps the lips of that skin from crossing, None where no
    lips face each other; notes: sentences that the person should read; eyelids: keeps lids off eyeballs and holds
    skin between lids, None where there is neither; looks: what turns with its eyes.
    """

    vertex_count: int
    landmarks: np.ndarray
    frame: Similarity
    opened: OpenedMouth | None
    mesh: CleanMesh
    binding: Binding
    contact: Contact | None
    notes: tuple[str, ...] = ()
    eyelids: Eyelids | None = None
    looks: tuple[Look, ...] = ()

    @cached_property
    def neutral(self) -> np.ndarray:
        """(68,3) the landmarks in the canonical frame, inner lips as far from each other as the surface has them."""
        points = self.frame.to_canonical(self.landmarks.astype(np.float64))
        if self.contact is None:
            return with_true_gaps(points)
        return with_true_gaps(points, self.contact.at_rest(points * frame.EYE_DISTANCE_MM) / frame.EYE_DISTANCE_MM)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it holds: all its arrays, and those that it made since and keeps to move by."""
        return sum({id(array): array.nbytes for array in map(_owner, _arrays(self))}.values())


def _arrays(value: object) -> Iterator[np.ndarray]:
    """The arrays of a value: itself, those in a tuple, a sparse matrix, a dataclass and its cached properties."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _arrays(part)
    elif is_dataclass(value) or sparse.issparse(value):
        for part in [*vars(value).values()]:  # one may be made meanwhile, in a thread
            yield from _arrays(part)


def _owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory an array is a view of, or itself."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def prepare(
    vertices: np.ndarray,
    triangles: np.ndarray,
    landmarks: Landmarks | np.ndarray | None = None,
    *,
    open_mouth: bool = True,
    inner_mouth: str = "teeth",
    eyeballs: bool = False,
    beside: Surfaces = (),
    device: str = "auto",
    step: Step = no_step,
) -> Face:
    """Bind the engine to one neutral scan.

    vertices (V,3), any unit and pose; triangles (F,3); landmarks: 68 vertex indices (68,), 68 points (68,3), or None to
    find them; open_mouth: cut fused lips apart (on a copy; the answers stay for the caller's vertices); inner_mouth:
    one of opening.INNER_MOUTHS; eyeballs: put balls into eyes that are holes or hollow sockets; beside: other objects'
    surfaces, vertices and triangles of each, which rest: lids close over eyeballs among them, and no teeth are made
    where some are; device: a key of models.DEVICES. Raises MeshError, LandmarkError, ModelError.
    """
    sound = mesh.sound_triangles(vertices, triangles)
    vertices, faces = np.asarray(vertices), np.asarray(triangles)[sound]
    landmarks, points = detector.located(landmarks, vertices, faces, device, step)
    similarity = frame.canonical_frame(points)
    cancel.check()
    points, notes = _eyes(vertices, faces, points, by_network(landmarks))
    if isinstance(landmarks, Landmarks):
        notes += doubt(landmarks)
    beside = _solid(beside)
    inner = "dark" if inner_mouth == "teeth" and _has_teeth(beside, points) else inner_mouth
    opened, told = _opened(vertices, faces, points, inner if open_mouth else None, step)
    grown = opened is None and bool(told)  # lips that stayed one skin, which is told, do not meet
    with step("bind the face"):
        skin = _bound(vertices, faces, opened, points, similarity, device, grown)
    surface = untouched(vertices, faces) if opened is None else opened
    whole, lid, turning, more = _with_eyeballs(surface, skin.cleaned, skin.handles, points, eyeballs, beside)
    if lid is not None:
        lid = lid.followed(skin.sitting, skin.cleaned.source, similarity.rotation)
    if opened is not None and inner == "teeth":
        whole = inner_mouths.furnished(whole, points)
    notes += told + more + mesh.far_from_origin(vertices)
    notes += repairs.notes(triangles, sound, skin.cleaned.source[: len(vertices)])
    if opened is not None or whole is not surface:
        opened = replace(whole, triangle_source=sound[whole.triangle_source].astype(np.int32))
    return Face(
        vertex_count=len(vertices),
        landmarks=points.astype(np.float32),
        frame=similarity,
        opened=opened,
        mesh=skin.cleaned,
        binding=skin.binding,
        contact=skin.contact,
        notes=notes,
        eyelids=lid,
        looks=turning,
    )


def _opened(
    vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, inner_mouth: str | None, step: Step
) -> tuple[OpenedMouth | None, tuple[str, ...]]:
    """The mesh with its mouth made ready to open, None where nothing is done, and what to tell; inner_mouth: None to
    leave fused lips as they are."""
    if inner_mouth is None:
        return None, opening.left_fused(vertices, triangles, points)
    with step("open the mouth"):
        return opening.opened(vertices, triangles, points, inner_mouth)


@dataclass(frozen=True)
class _Skin:
    """The surface that is bound, its vertices at the landmarks (68,), what sits on it, and how its lips meet."""

    cleaned: CleanMesh
    handles: np.ndarray
    binding: Binding
    sitting: Attached
    contact: Contact | None


def _bound(
    vertices: np.ndarray,
    triangles: np.ndarray,
    opened: OpenedMouth | None,
    points: np.ndarray,
    similarity: Similarity,
    device: str,
    grown: bool,
) -> _Skin:
    """The skin of a mesh, whose mouth may have been opened, bound in mesh units to landmarks (68,3); grown: its lips
    are one skin."""
    cleaned, handles = _skin(vertices, triangles, opened, points)
    cancel.check()
    canonical = similarity.to_canonical(cleaned.vertices.astype(np.float64)).astype(np.float32)
    side = _lips(cleaned, opened)
    binding = stm.bind(canonical, cleaned.triangles, handles, device=device, side=side)
    if opened is not None and opened.is_cut:
        rims = cleaned.source[opened.upper_rim], cleaned.source[opened.lower_rim]
        binding = rim.evened(binding, canonical, rims, (side == UPPER, side == LOWER))
        binding = rim.rounded(binding, canonical, cleaned.triangles, rims[0][[0, -1]])
    binding, sitting = _with_parts(binding, canonical, cleaned, handles, similarity.to_canonical(points))
    cancel.check()
    binding = _in_mesh_units(binding, similarity)
    if not np.isfinite(binding.matrix).all():
        raise MeshError("The face is connected to vertices that lie too far away; delete them.")
    shut = partial(_shutting, cleaned, binding, similarity.to_canonical(points))
    contact = None if grown else _contact(vertices, triangles, opened, cleaned, side, points, shut)
    return _Skin(cleaned, handles, binding, sitting, contact)


def _eyes(
    vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, found: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The landmarks, with the lids of shut eyes together where the network placed them, and what to tell."""
    if found:
        points = eyes.shut_landmarks(points, eyes.shut_lines(vertices, triangles, points))
    shut = eyes.shut(points)
    if not any(shut):
        return points, ()
    if all(shut):
        note = "The eyes of this scan are shut: no blink moves them, and they stay shut."
    else:
        note = f"The {('left', 'right')[shut[0]]} eye is shut: no blink moves it, and it stays shut."
    return points, (note,)


def _solid(beside: Surfaces) -> Surfaces:
    """Surfaces of other objects as geometry processing wants them, without those that are none."""
    solid = []
    for vertices, triangles in beside:
        try:
            cleaned = mesh.clean(vertices, triangles)
        except MeshError:  # nothing is there that lids could close over
            continue
        solid.append((cleaned.vertices, cleaned.triangles))
    return solid


def _has_teeth(beside: Surfaces, points: np.ndarray) -> bool:
    """Does one of other objects' surfaces lie in the mouth of landmarks (68,3)?"""
    mm = mouth_curve.frame_in_mm(points)
    placed = mm.to_canonical(points)
    return any(jaw.lies_inside(mm.to_canonical(vertices.astype(float)), placed) for vertices, _ in beside)


def _with_eyeballs(
    opened: OpenedMouth, cleaned: CleanMesh, handles: np.ndarray, points: np.ndarray, wanted: bool, beside: Surfaces
) -> tuple[OpenedMouth, Eyelids | None, tuple[Look, ...], tuple[str, ...]]:
    """The mesh with eyeballs where they are wanted and fit, what corrects its eyes in motion and what turns with them,
    and what to tell.

    cleaned: its skin; handles (68,): the skin's vertices at the landmarks; beside: other objects' surfaces.
    """
    mm = mouth_curve.frame_in_mm(points)
    skin = cleaned.part_of(handles)
    sockets = eye_balls.sockets(cleaned.vertices, cleaned.triangles, skin, points, beside)
    found = (eye_balls.own(s, mm.to_canonical(s.eye.eyeball.astype(float))) for s in sockets)
    balls = [ball for ball in found if ball is not None]
    notes: tuple[str, ...] = ()
    if wanted:
        opened, more, notes = eye_balls.added(opened, mm, sockets)
        balls += more
    else:  # lids close over the ball that belongs there: it may be put in later
        balls += [eye_balls.fitted(socket) for socket in sockets if not eye_balls.why_none(socket)]
    used = np.flatnonzero((cleaned.source >= 0) & skin[cleaned.source])
    one_skin = [socket.lids for socket in sockets if socket.one_skin]
    fronts = eye_front.of_eyes(opened.skin_vertices, used, one_skin, mm)
    parts: list[Part] = [*fronts]
    if balls:
        faces = opened.skin_triangles[np.isin(opened.skin_triangles, used).all(1)]
        over_balls = lids.of_balls(opened.skin_vertices, faces, balls, mm, mm.to_canonical(points))
        parts += [over_balls] if over_balls else []
    return opened, Eyelids(tuple(parts)) if parts else None, looks.of_eyes(opened, balls, fronts, mm), notes


def _skin(
    vertices: np.ndarray, triangles: np.ndarray, opened: OpenedMouth | None, points: np.ndarray
) -> tuple[CleanMesh, np.ndarray]:
    """The surface to bind, cleaned and fine enough, and its vertices at the landmarks (68,)."""
    if opened is None or not opened.is_cut:
        surface = (vertices, triangles) if opened is None else (opened.skin_vertices, opened.skin_triangles)
        cleaned = _fine(mesh.clean(*surface), points)
        return cleaned, landmark_vertices(points, cleaned.vertices, cleaned.triangles)
    rims = np.concatenate([opened.upper_rim, opened.lower_rim])
    cleaned = mesh.clean(opened.skin_vertices, opened.skin_triangles, apart=rims)
    # The cut may have taken all triangles of a split seam's vertex; its twin at the same place answers for it.
    lost = rows.present(triangles, len(vertices))
    lost = lost[cleaned.source[lost] < 0]
    twin = nearest_vertices(vertices[lost], cleaned.vertices)
    eyes_apart = float(np.linalg.norm(points[45] - points[36]))
    there = np.linalg.norm(cleaned.vertices[twin] - vertices[lost], axis=1) < _TWIN * eyes_apart
    cleaned.source[lost[there]] = twin[there]
    handles = cleaned.source[opened.landmark_vertices]
    cleaned = _fine(cleaned, points)
    others = np.arange(48)  # the lips' are on their own sides of the cut
    handles[others] = nearest_vertices(points[others], cleaned.vertices)
    prefer(handles, others, cleaned.part_of(handles), points, cleaned.vertices, eyes_apart)
    return cleaned, handles


def _lips(cleaned: CleanMesh, opened: OpenedMouth | None) -> np.ndarray:
    """(M,) which lip each vertex of the cleaned skin belongs to, as OpenedMouth has it."""
    side = np.full(len(cleaned.vertices), NEITHER, np.int8)
    if opened is not None:
        # Of the vertices of a split seam, which are one here, some may belong to no lip.
        lips = np.flatnonzero((opened.side[: opened.skin_count] != NEITHER) & (cleaned.source >= 0))
        side[cleaned.source[lips]] = opened.side[lips]
    return side


def _fine(cleaned: CleanMesh, points: np.ndarray) -> CleanMesh:
    """The surface with edges around the landmarks halved until these have vertices near them, as far as it stays light
    and that helps: landmarks that do not lie on it get none."""
    unit, tree, last = np.linalg.norm(points[45] - points[36]), cKDTree(points), np.inf

    def long(ends: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
        return (length > 2 * COARSE * unit) & (tree.query(ends.mean(1))[0] < AROUND * unit + length / 2)

    while len(cleaned.vertices) < stm.HEAVY:
        nearest = cleaned.vertices[nearest_vertices(points, cleaned.vertices)]
        gap = np.median(np.linalg.norm(nearest - points, axis=1))
        if gap < COARSE * unit or gap > 0.9 * last:
            break
        finer, last = mesh.subdivided(cleaned, long), gap
        if len(finer.vertices) > stm.HEAVY:
            break
        cleaned = finer
    return cleaned


def _with_parts(
    binding: Binding, canonical: np.ndarray, cleaned: CleanMesh, handles: np.ndarray, landmarks: np.ndarray
) -> tuple[Binding, Attached]:
    """The binding with the mesh's loose parts that go with the face, and those of them that sit on its skin.

    canonical (V,3): vertices of the bound mesh `cleaned`; handles (68,): those at the landmarks (68,3), canonical.
    """
    points, placed = (places.astype(float) * frame.EYE_DISTANCE_MM for places in (canonical, landmarks))
    inside = jaw.parts_inside(points, cleaned, placed)
    binding = jaw.with_own_teeth(binding, points, inside, handles, placed)
    sitting = attached.attached(points, cleaned, inside, handles, placed)
    return attached.with_attached(binding, points, sitting), sitting


def _in_mesh_units(binding: Binding, similarity: Similarity) -> Binding:
    """A binding whose answers need no turning any more: it takes canonical motion and gives mesh displacement."""
    turn = (similarity.scale * similarity.rotation.T).astype(np.float32)
    return replace(binding, matrix=(binding.matrix.reshape(-1, 3) @ turn).reshape(binding.matrix.shape))


def _contact(
    vertices: np.ndarray,
    triangles: np.ndarray,
    opened: OpenedMouth | None,
    cleaned: CleanMesh,
    side: np.ndarray,
    points: np.ndarray,
    shutting: Callable[[], np.ndarray],
) -> Contact | None:
    """How the lips meet: along the cut, or where they face each other; None on a scan without two such lips.

    cleaned: the skin; side (M,): the lip of each vertex of it; shutting: displacement (V,3) that a performance with
    closed lips begins with.
    """
    if opened and opened.is_cut:
        skin, sides = np.flatnonzero(cleaned.source >= 0), opened.side.copy()
        sides[skin] = side[cleaned.source[skin]]  # where a seam is split, some vertices of a place belong to no lip
        return lip_pairs.of_opened(replace(opened, side=sides), points)
    surface = (opened.skin_vertices, opened.skin_triangles) if opened else (vertices, triangles)
    try:
        if not cleaned.has_twins:
            return lip_pairs.of_open_lips(*surface, points, shutting())
        welded = mesh.clean(*surface)  # split lips would not hang together
        moved = np.zeros_like(welded.vertices)
        there = welded.source >= 0
        moved[welded.source[there]] = shutting()[there]
        return lip_pairs.of_open_lips(welded.vertices, welded.triangles, points, moved).of_twins(welded.source)
    except LandmarkError:
        return None


def _shutting(cleaned: CleanMesh, binding: Binding, neutral: np.ndarray) -> np.ndarray:
    """(V,3) displacement of the face at which lips and lids of a silent performance stand; neutral (68,3) canonical."""
    return cleaned.to_caller(binding.displace(retarget(np.zeros((1, COUNT, 3)), with_true_gaps(neutral))))[0]
