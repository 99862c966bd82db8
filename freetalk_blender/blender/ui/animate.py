"""Animate: from the panel's choices to a talking copy, and again from what is remembered."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from ...core import wording
from ...core.compress import ShapeKeys
from ...core.errors import TOLD, sentence
from .. import hanging, heard, landmark_points, placed, scene, session, sound, telling
from ..marks import KEY_SET, RANGE, TOLERANCE, copy_of
from ..steps import Steps
from . import chosen, live, preferences, request, staleness
from .job import Job, JobOperator, survivor, why_busy
from .request import Answer, FaceInput, Request

#: Seconds that each stage takes for 10,000 vertices, or for a second of speech (measured on two cores); what really
#: happens corrects them while a job runs.
_FIND, _OPEN, _BIND, _PERFORM, _KEYS = 1.5, 0.2, 0.6, 0.02, 0.04


def expected(scan: FaceInput, seconds: float) -> dict[str, float]:
    """Stage -> seconds that it may take."""
    size = len(scan.vertices) / 10_000
    stages = {"find the face": _FIND + 0.2 * size} if scan.landmarks is None else {}
    if scan.landmarks is None or scan.parts or session.face(scan.fingerprint(scan.landmarks)) is None:
        stages |= {"open the mouth": _OPEN * size, "bind the face": _BIND * min(size, 6)}
    return stages | {"perform the speech": 0.2 + _PERFORM * seconds, "make shape keys": 0.1 + _KEYS * seconds * size}


def why_not(context: bpy.types.Context) -> str:
    """Why Animate cannot run yet, in one sentence; empty where it can."""
    return landmarks_busy() or chosen.why_no_face(context) or chosen.why_no_sound(context.scene)


def landmarks_busy() -> str:
    return why_busy() or ("Finish editing the landmarks first" if landmark_points.editing() else "")


class _Animating(JobOperator):
    """From the panel's choices to a line in the current take."""

    bl_options = {"REGISTER", "UNDO"}
    _face: int
    _request: Request
    _asked: tuple[str, str]
    _face_asked: list

    def begin(self, context: bpy.types.Context) -> Job:
        preferences.apply()
        original = chosen.face_or_error(context)
        self._face = original.session_uid
        self._request = request.read(context, original)
        self._asked, self._face_asked = staleness.asked(context.scene), staleness.face_asked(context.scene)
        seconds = self._request.voice.source.duration()
        return Job("Animate", self._request.run, expected(self._request.scan, seconds))

    def finish(self, context: bpy.types.Context, result: Answer) -> Steps[None]:
        original = survivor(bpy.data.objects, self._face)
        request.check_unchanged(self._request.scan, original, result.joined)
        yield
        gone = scene.takes_given_up(original, result.fingerprint)
        bound = hanging.bound_to(copy_of(original))
        copy = yield from writing(context, original, self._request, result)
        with self._warning():
            _sound(context.scene, copy, self._request)
        with self._warning():
            heard.tune(context.scene, *copy.users_scene)
        staleness.keep_face(copy, self._face_asked)
        live.baked(copy, self._request.voice, self._asked, result.performance.emotion)
        if gone > 1:
            self.report({"WARNING"}, f"The face changed, so its {gone} earlier takes are gone; Undo brings them back")
        elif gone:
            self.report(
                {"WARNING"},
                "The face changed, so it has a new talking copy: what was done to the one before by hand is gone; Undo "
                "brings it back",
            )
        heard_notes = result.performance.notes(self._request.voice.source.name)
        for note in heard_notes + request.unfollowed(context.scene) + result.face.notes:
            self.report({"WARNING"}, note)
        with self._warning():
            for note in hanging.loosened(bound, copy) + hanging.parented(copy) + telling.notes(copy):
                self.report({"WARNING"}, note)
        frames = len(result.keys.weights)
        company = f" with {wording.named(result.joined)}" if result.joined else ""
        own = f" by {self._request.lent.of_arkit} shape keys of its own" if self._request.lent.of_arkit else ""
        self.report({"INFO"}, f"{copy.name} talks{company}{own}: {frames} frames, ran on {session.device}")

    @contextmanager
    def _warning(self) -> Iterator[None]:
        """What is done once the face talks does not undo it: what fails is told, and the rest goes on."""
        try:
            yield
        except TOLD as error:
            self.report({"WARNING"}, sentence(error))


class FREETALK_OT_animate(_Animating, bpy.types.Operator):
    """Make a talking copy of the face: shape keys and their curves, in the place of the original, which is hidden"""

    bl_idname = "freetalk.animate"
    bl_label = "Animate"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen.explained(cls, why_not(context))


class FREETALK_OT_rebake(_Animating, bpy.types.Operator):
    """Make the shape keys of this take anew with what the sliders say now, from the face and the sound remembered"""

    bl_idname = "freetalk.rebake"
    bl_label = "Bake Again"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen.explained(cls, why_not(context) or why_not_again(context))

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return self.execute(context)


def why_not_again(context: bpy.types.Context) -> str:
    """Why nothing is remembered of the face, so that it has to be animated anew; empty where it is."""
    copy = chosen.talking(context)
    if copy is None:
        return "Animate the face first"
    return "" if scene.remembered(copy) else "Press Animate once in this session"


def writing(
    context: bpy.types.Context, original: bpy.types.Object, wanted: Request, answer: Answer
) -> Steps[bpy.types.Object]:
    """The answer in the scene: landmarks, talking copy, frame range; the copy becomes active."""
    source = wanted.voice.source
    copy = yield from scene.talking(
        original,
        answer.face,
        answer.keys,
        source.start,
        source=wanted.source,
        fingerprint=answer.fingerprint,
        tolerance=wanted.tolerance,
        joined=answer.joined,
        lent=wanted.lent.names,
        ease=scene.EASE,
    )
    copy[KEY_SET], copy[TOLERANCE] = str(wanted.keys), wanted.tolerance
    known = placed.points(original)
    if known is None or not np.array_equal(known.astype(np.float32), answer.found.points):
        placed.keep(original, answer.found)
    if context.scene.freetalk.face is None:
        context.scene.freetalk.face = original
    if copy.name in context.view_layer.objects:
        context.view_layer.objects.active = copy
        copy.select_set(True)
    _reach(context.scene, copy, answer.keys, source.start)
    return copy


def _sound(current: bpy.types.Scene, copy: bpy.types.Object, wanted: Request) -> None:
    """A file is heard where that is wished, also in the copy's other scenes that hear what it said before; a strip is
    known by its name from now on, whatever it is renamed to."""
    kind, _, name = wanted.source.partition(" ")
    strip = sound.find_strip(current, name) if kind == "strip" else None
    if strip is not None:
        sound.remember(current, strip)
        heard.leave(current, strip, copy)
    for where in (current, *copy.users_scene) if kind == "file" else ():
        if where.freetalk.hear and (where == current or heard.own(where)):
            heard.hear(where, wanted.voice.source, wanted.source)


def _reach(current: bpy.types.Scene, copy: bpy.types.Object, keys: ShapeKeys, start: float) -> None:
    """Let the scene play until the face rests after the line; the copy remembers how far it played before."""
    end = int(np.ceil(start)) + len(keys.weights) - 1 + round(scene.EASE * sound.scene_fps(current))
    if end > current.frame_end:
        before = copy[RANGE][0] if RANGE in copy else current.frame_end
        current.frame_end = end
        copy[RANGE] = [before, end]


CLASSES = (FREETALK_OT_animate, FREETALK_OT_rebake)
