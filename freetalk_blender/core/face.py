"""A scan made ready to move: `prepare` once (bound_skin.py binds it); movement.py moves it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, is_dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from . import bound_skin, cancel, frame
from .binding.stm import Binding
from .detection import detector
from .errors import MeshError
from .eyelids import Eyelids, Part
from .eyes import eye_front, eye_state, lids, looks
from .eyes import eyeballs as eye_balls
from .eyes.lids import Ball
from .eyes.looks import Look
from .frame import Similarity, frame_in_mm
from .landmarks import Landmarks, by_network, doubt
from .lip_contact.contact import Contact
from .mouth import inner_mouth as inner_mouths
from .mouth import jaw, opening
from .mouth.opened_mouth import OpenedMouth, untouched
from .retarget import with_true_gaps
from .surface import mesh, repairs
from .surface.mesh import CleanMesh, Surfaces

#: `with step("bind the face"): ...` lets a caller show a stage and time it. To end the work: cancel.py.
Step = Callable[[str], AbstractContextManager]


def no_step(_: str) -> AbstractContextManager:
    """A stage that nobody watches."""
    return nullcontext()


@dataclass(frozen=True, eq=False)
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
    where some are; device: a key of models.DEVICES. Raises MeshError, LandmarkError, ModelError, and FreeTalkError on
    another inner_mouth.
    """
    sound = mesh.sound_triangles(vertices, triangles)
    vertices, faces = np.asarray(vertices), np.asarray(triangles)[sound].astype(np.int32, copy=False)
    landmarks, points = detector.located(landmarks, vertices, faces, device, step)
    similarity = frame.canonical_frame(points)
    cancel.check()
    points, notes = _eyes(vertices, faces, points, by_network(landmarks))
    if by_network(landmarks) and open_mouth:
        points = opening.on_lips(vertices, faces, points)
    if isinstance(landmarks, Landmarks):
        notes += doubt(landmarks)
    beside = _solid(beside)
    inner = "dark" if inner_mouth == "teeth" and _has_teeth(beside, points) else inner_mouth
    opened, told = _opened(vertices, faces, points, inner if open_mouth else None, step)
    grown = opened is None and bool(told)  # lips that stayed one skin, which is told, do not meet
    with step("bind the face"):
        skin = bound_skin.bind(vertices, faces, opened, points, similarity, device, grown)
    if skin.contact is None and not grown:
        told += (opening.NEVER_MEETING,)
    surface = untouched(vertices, faces) if opened is None else opened
    whole, lid, turning, more = _with_eyeballs(surface, skin.cleaned, skin.handles, points, eyeballs, beside)
    if lid is not None:
        lid = lid.followed(skin.sitting, skin.cleaned.source, similarity.rotation)
    if opened is not None and inner == "teeth":
        whole = inner_mouths.furnished(whole, points)
    notes += detector.inside_out(vertices, faces, points, similarity)
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


def _eyes(
    vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, found: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The landmarks, with the lids of shut eyes together where the network placed them, and what to tell."""
    if found:
        points = eye_state.shut_landmarks(points, eye_state.shut_lines(vertices, triangles, points))
    shut = eye_state.shut(points)
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
    mm = frame_in_mm(points)
    placed = mm.to_canonical(points)
    return any(jaw.lies_inside(mm.to_canonical(vertices.astype(float)), placed) for vertices, _ in beside)


def _with_eyeballs(
    opened: OpenedMouth, cleaned: CleanMesh, handles: np.ndarray, points: np.ndarray, wanted: bool, beside: Surfaces
) -> tuple[OpenedMouth, Eyelids | None, tuple[Look, ...], tuple[str, ...]]:
    """The mesh with eyeballs where they are wanted and fit, what corrects its eyes in motion and what turns with them,
    and what to tell.

    cleaned: its skin; handles (68,): the skin's vertices at the landmarks; beside: other objects' surfaces.
    """
    mm = frame_in_mm(points)
    skin = cleaned.component_of(handles)
    sockets = eye_balls.sockets(cleaned.vertices, cleaned.triangles, skin, points, beside)
    found = (eye_balls.own(s, mm.to_canonical(s.eye.eyeball.astype(float))) for s in sockets)
    balls: list[Ball] = [ball for ball in found if ball is not None]
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
