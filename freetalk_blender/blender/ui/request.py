"""Everything that Animate needs, read from the scene; the work itself touches no bpy and may run in a thread."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import bpy
import numpy as np

from ...core import key_sets, landmarks, models, wording
from ...core.compress import ShapeKeys
from ...core.detection.detector import detect
from ...core.errors import FreeTalkError
from ...core.face import Face, Step, prepare
from ...core.landmarks import Landmarks, by_network
from ...core.surface.mesh import together
from ...core.voice import emotion as emotions
from ...core.voice.performance import Performance, frame_count
from ...core.voice.style import AS_PERFORMED, Style
from ...core.voice.utterance import Utterance
from .. import compat, lent, meshes, mouth, parts, placed, scene, seen, session, sound, spoken, takes
from ..lent import Lent
from ..log import log
from ..marks import is_deleted
from ..parts import Part
from ..sound import Source
from . import chosen, feeling, preferences
from .properties import PERFORMANCE_SLIDERS


@dataclass(frozen=True)
class FaceInput:
    """What a face is made from: its surface, in axes in which it has its true proportions, and how its mouth and eyes
    shall be; shape (3,3) leads there from its own axes.

    landmarks: points float32 in its own axes, or None to find them; parts: other objects around the face; of a `whole`
    one, those that are of its surface, and beside: the others. near: the middle (3,) of the selected vertices, to
    choose among several faces; None where none or all are selected.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    shape: np.ndarray
    landmarks: Landmarks | None
    parts: tuple[Part, ...]
    near: np.ndarray | None
    open_mouth: bool
    inner_mouth: str
    eyeballs: bool
    device: str
    beside: tuple[Part, ...] = ()

    def find(self, step: Step) -> Landmarks:
        """The landmarks in the object's own axes, found where they are not known."""
        if self.landmarks is not None:
            return self.landmarks
        with step("find the face"):
            found = detect(self.vertices, self.triangles, self.device, self.near)
        return replace(found, points=(found.points @ np.linalg.inv(self.shape).T).astype(np.float32))

    def shaped(self, own: Landmarks) -> Landmarks:
        """Landmarks in its own axes in those of its vertices."""
        return replace(own, points=own.points.astype(np.float64) @ self.shape.T)

    def whole(self, own: Landmarks, turning: bool) -> "FaceInput":
        """The face with these landmarks (in its own axes) and the parts that go with it, as one surface; turning: head
        or eyes shall turn."""
        points = self.shaped(own).points
        mine, beside = parts.told_apart(self.vertices, self.triangles, points, self.parts, turning)
        vertices, triangles = together([(self.vertices, self.triangles), *(part.surface for part in mine)])
        return replace(self, vertices=vertices, triangles=triangles, parts=mine, beside=beside)

    def fingerprint(self, own: Landmarks) -> str:
        """What tells a whole face with these landmarks (in its own axes) from others. Parts lie a little elsewhere in
        each frame of an animation, so they count with the box that they fill, and those beside it with their names; how
        sure the network was of the landmarks does not count, whether it placed them does."""
        options = f"{self.open_mouth} {self.inner_mouth} {self.eyeballs}"
        marks = own.points, by_network(own) or None
        skin = self.vertices[: len(self.vertices) - sum(len(part.vertices) for part in self.parts)]
        grain = 1e-3 * (np.nanmax(skin, 0) - np.nanmin(skin, 0)).max()
        corners = [np.stack([np.nanmin(part.vertices, 0), np.nanmax(part.vertices, 0)]) for part in self.parts]
        boxes = [np.round(corner / grain) + 0.0 for corner in corners]  # no -0.0
        names = [part.name for part in self.beside]
        return session.fingerprint(skin, self.triangles, self.shape, *marks, options, *boxes, *names)

    def bind(self, own: Landmarks, step: Step) -> tuple[str, Face]:
        """The bound face and its fingerprint; at once where this session bound the very same with these networks."""
        key = self.fingerprint(own)
        parts = (array for part in (*self.parts, *self.beside) for array in part.surface)
        sure = None if own.confidence is None else np.asarray(own.confidence, np.float32)  # the face's notes tell of it
        detail = session.fingerprint(str(models.folder()), sure, *parts)
        known = session.face(key, detail)
        if known is None:
            known = prepare(
                self.vertices,
                self.triangles,
                self.shaped(own),
                open_mouth=self.open_mouth,
                inner_mouth=self.inner_mouth,
                eyeballs=self.eyeballs,
                beside=[part.surface for part in self.beside],
                device=self.device,
                step=step,
            )
            session.keep(key, known, detail)
        return key, known


@dataclass(frozen=True)
class Voice:
    """What is said and how; source: where the sound is; emotion: (8,) or (T,8); strength: how much of it is made, a
    number or (T,); after: the emotion (8,) that the line before ends with, where it goes on from one."""

    source: Source
    fps: float
    emotion: np.ndarray
    seed: int
    style: Style
    strength: float | np.ndarray
    device: str
    after: np.ndarray | None = None

    def perform(self) -> Performance:
        """The sound as a performance, from the session where it was read or heard before; FreeTalkError where it cannot
        be."""
        clip, emotion = session.clip(self.source), self.emotion
        if self.after is not None:
            frames = frame_count(len(clip.samples), clip.rate, self.fps)
            emotion = emotions.going_on(emotion, self.after, frames, self.fps)
        said = Utterance(clip.samples, clip.rate, self.fps, emotion, self.seed, self.style, self.strength)
        return said.perform(self.device)


@dataclass(frozen=True)
class Answer:
    """What comes of a request; found: landmarks in the object's own axes; joined: objects that are of the face too."""

    found: Landmarks
    joined: tuple[str, ...]
    fingerprint: str
    face: Face
    performance: Performance
    keys: ShapeKeys


@dataclass(frozen=True)
class Request:
    """One press of Animate: whose face says what, and in which shape keys.

    source: the line's, as takes name it; tolerance: largest vertex error of the shape keys (mm); keys: which of them,
    as `wanted_keys`; lent: those that the face has itself.
    """

    scan: FaceInput
    voice: Voice
    tolerance: float
    source: str
    keys: str | int = key_sets.AUTO
    lent: Lent = field(default_factory=Lent)

    def run(self, step: Step) -> Answer:
        """Raises FreeTalkError, each one sentence, and Cancelled."""
        found = self.scan.find(step)
        whole = self.scan.whole(found, self.voice.style.turning)
        key, face = whole.bind(found, step)
        with step("perform the speech"):
            performed = self.voice.perform()
        with step("make shape keys"):
            keys = key_sets.shape_keys(face, performed, self.keys, self.tolerance, self.lent.shapes)
        device = runs_on(self.scan.device)
        session.ran_on(device)
        log.debug("%d shape keys, %d frames, %s", len(keys.shapes), len(keys.weights), device)
        return Answer(found, tuple(part.name for part in whole.parts), key, face, performed, keys)


def runs_on(device: str) -> str:
    """What the networks really run on, in words."""
    report = models.device_report("stm", device)
    name = report.provider.removesuffix("ExecutionProvider")
    return f"{name} ({report.note})" if report.note else name


def read_scan(context: bpy.types.Context, original: bpy.types.Object, known: bool = True) -> FaceInput:
    """The face as arrays, with its landmarks where they are known; FreeTalkError where it cannot be animated."""
    settings = context.scene.freetalk
    seen.work_out_place(original)
    vertices, triangles, _ = scene.read_face(original, None)
    own = _landmarks(original, settings.landmarks) if known else None
    if own is not None:
        own = replace(own, points=own.points.astype(np.float32))
    shape, around = meshes.to_true_shape(original), parts.around(original)
    near, device = _selected_middle(original, vertices), preferences.get().device
    wished = settings.open_mouth, settings.inner_mouth, settings.eyeballs
    return FaceInput(vertices, triangles, shape, own, around, near, *wished, device)


def _landmarks(original: bpy.types.Object, file: str) -> Landmarks | None:
    """Those of a file, where one is named, else those of the face in the object's own axes; None where they have to be
    found: none are known, or the mesh is another than the one that they were found on."""
    if file:
        read = landmarks.read(Path(bpy.path.abspath(file)))
        return replace(read, points=scene.landmarks_on(original, read.points))
    own = placed.landmarks(original)
    if own is None or placed.fit(original):
        return own
    if own.confidence is None:  # a person placed them
        raise placed.outdated(original)
    return None


def _selected_middle(original: bpy.types.Object, vertices: np.ndarray) -> np.ndarray | None:
    """(3,) mean of the vertices that edit mode left selected; None where none or all are."""
    selected = meshes.selected(original.data)
    return np.nanmean(vertices[selected], 0) if selected.any() and not selected.all() else None


def read_voice(context: bpy.types.Context) -> Voice:
    """The sound and the sliders, curves included; FreeTalkError where the sound is missing."""
    current = context.scene
    source = chosen.source(current)
    bare = Voice(source, sound.scene_fps(current), np.zeros(8), 0, AS_PERFORMED, 1.0, preferences.get().device)
    return with_sliders(bare, current, chosen.talking(context))


def with_sliders(voice: Voice, current: bpy.types.Scene, copy: bpy.types.Object | None) -> Voice:
    """The same words, said as the sliders say now, in the take of the talking copy that plays."""
    settings = current.freetalk
    frames = feeling.frames_of(voice.source.duration(), voice.fps)
    group = chosen.sliders(current)
    emotion = feeling.weights(current, group, voice.source.start, frames)
    factors = feeling.values(current, settings, PERFORMANCE_SLIDERS, voice.source.start, frames)
    strength = factors.pop("strength")
    take = takes.current(copy) if copy is not None else None
    line = spoken.Line(chosen.line_source(current), voice.source.start, frames)
    after = spoken.felt_before(take, line) if take is not None else None
    style = Style(**factors)
    return replace(voice, emotion=emotion, after=after, style=style, seed=settings.seed, strength=strength)


def unfollowed(current: bpy.types.Scene) -> tuple[str, ...]:
    """What to tell of sliders that are moved otherwise than by keys."""
    group = chosen.sliders(current)
    sliders = [(group, name) for name in feeling.sliders_of(group)]
    sliders += [(current.freetalk, name) for name in PERFORMANCE_SLIDERS]
    driven = [
        owner.bl_rna.properties[name].name
        for owner, name in sliders
        if compat.is_driven(current, owner.path_from_id(name))
    ]
    told = f"Sliders are moved by drivers or NLA strips, which FreeTalk does not follow: {wording.named(driven)}; "
    return (told + "each stayed as it was at the frame shown; give them keyframes instead.",) if driven else ()


def read(context: bpy.types.Context, original: bpy.types.Object) -> Request:
    """The scene's settings as a request; FreeTalkError where something is missing or cannot be read."""
    if context.scene.freetalk.open_mouth:
        mouth.check(original)
    voice = read_voice(context)
    settings, name = context.scene.freetalk, chosen.line_source(context.scene)
    scan, keys = read_scan(context, original), wanted_keys(context.scene)
    own = lent.read(original, keys == key_sets.ARKIT)
    return Request(scan, voice, settings.tolerance, name, keys, own)


def wanted_keys(current: bpy.types.Scene) -> str | int:
    """Which shape keys the person wants, as core.key_sets takes it."""
    settings = current.freetalk
    return settings.most if settings.keys == "MOST" else settings.keys.lower()


def check_unchanged(scan: FaceInput, original: bpy.types.Object | None, joined: tuple[str, ...] = ()) -> None:
    """FreeTalkError where the face, or another object that is of it, was edited or deleted while the work went on."""
    if original is None or is_deleted(original):
        raise FreeTalkError("The face was deleted while FreeTalk was working on it.")
    others = parts.around(original) if joined else ()
    before = {part.name: part.surface for part in scan.parts} | {original.name: (scan.vertices, scan.triangles)}
    after = {part.name: part.surface for part in others} | {original.name: scene.read_face(original, None)[:2]}
    same = partial(np.array_equal, equal_nan=True)
    for name in (original.name, *joined):
        if name not in after or not all(map(same, before[name], after[name])):
            raise FreeTalkError(f"The mesh of {name} changed while FreeTalk was working on it; start again.")
