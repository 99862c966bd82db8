"""The panel's buttons. Each reads properties, lets the engine work, and writes the result."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..core import landmarks as landmark_files
from ..core import models
from ..core.compress import ShapeKeys
from ..core.emotion import EMOTIONS
from ..core.errors import Cancelled, FreeTalkError
from ..core.face import Face, Step, prepare, shape_keys
from . import bake, scene, sound
from .properties import SLIDERS
from .speech import Speech

#: How often a running job is looked at (s).
_TICK = 0.1


def why_not(context: bpy.types.Context) -> str:
    """Why Animate cannot run yet, in one sentence; empty where it can."""
    settings = context.scene.freetalk
    if context.mode != "OBJECT":
        return "Leave edit mode first"
    if settings.face is None:
        return "Choose the face"
    if settings.face.type != "MESH":
        return "Choose a mesh as the face"
    if settings.sound == "FILE" and not settings.sound_file:
        return "Choose a sound file, or a strip of the sequencer"
    if settings.sound == "STRIP" and sound.find_strip(context.scene, settings.strip) is None:
        return "Choose a sound strip of the sequencer"
    return ""


def emotion_of(settings: bpy.types.PropertyGroup) -> np.ndarray:
    """(8,) weights of the sliders."""
    weights = np.zeros(len(EMOTIONS), np.float32)
    for name in SLIDERS:
        weights[EMOTIONS.index(name)] = getattr(settings, name)
    return weights


@dataclass
class Take:
    """Everything that a worker needs, read from the scene; run() touches no bpy and may run in a thread."""

    vertices: np.ndarray
    triangles: np.ndarray
    landmarks: np.ndarray | None
    speech: Speech
    open_mouth: bool
    device: str
    tolerance: float
    start: float

    def run(self, step: Step) -> tuple[Face, ShapeKeys]:
        face = prepare(
            self.vertices, self.triangles, self.landmarks, open_mouth=self.open_mouth, device=self.device, step=step
        )
        with step("perform the speech"):
            performance = self.speech.perform(self.device)
        with step("make shape keys"):
            return face, shape_keys(face, performance.displacement, self.tolerance)


def read_take(context: bpy.types.Context, original: bpy.types.Object) -> Take:
    """The scene's settings as arrays; FreeTalkError where something is missing or cannot be read."""
    settings = context.scene.freetalk
    points = None
    if settings.landmarks:
        file = landmark_files.read(Path(bpy.path.abspath(settings.landmarks)))
        points = scene.landmarks_on(original, file.points)
    clip = _clip(context.scene)
    fps = sound.scene_fps(context.scene)
    return Take(
        *scene.read_face(original, points),
        Speech(clip.samples, clip.rate, fps, emotion_of(settings), settings.seed),
        settings.open_mouth,
        settings.device,
        settings.tolerance,
        clip.start,
    )


def _clip(current: bpy.types.Scene) -> sound.Clip:
    settings = current.freetalk
    if settings.sound == "STRIP":
        return sound.from_strip(current, sound.find_strip(current, settings.strip))
    return sound.from_file(settings.sound_file, float(current.frame_start))


class Worker(threading.Thread):
    """A take in a thread of its own. `stage` is what it does now; cancel() ends it at the next stage."""

    #: At most so many stages: find the face, open the mouth, bind, perform, make shape keys.
    STAGES = 5

    def __init__(self, take: Take):
        super().__init__(daemon=True)
        self.take, self.stage, self.done = take, "", 0
        self.result: tuple[Face, ShapeKeys] | None = None
        self.error: BaseException | None = None
        self._cancelled = threading.Event()

    def run(self) -> None:
        try:
            self.result = self.take.run(self._step)
        except BaseException as error:  # reported by the operator, in the main thread
            self.error = error

    def cancel(self) -> None:
        self._cancelled.set()

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        if self._cancelled.is_set():
            raise Cancelled("Cancelled.")
        self.stage = name
        yield
        self.done += 1


class FREETALK_OT_animate(bpy.types.Operator):
    """Make a talking copy of the face: shape keys and their curves, in the place of the original, which is hidden"""

    bl_idname = "freetalk.animate"
    bl_label = "Animate"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = why_not(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: bpy.types.Context) -> set[str]:
        """At once, with the interface waiting: scripts and background mode."""
        try:
            original = bake.original_of(context.scene.freetalk.face)
            take = read_take(context, original)
            worker = Worker(take)
            worker.run()
            return self._finish(context, original, worker)
        except FreeTalkError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """In a thread, with the interface alive; ESC ends it and leaves the scene as it was."""
        if bpy.app.background:
            return self.execute(context)
        try:
            self._original = bake.original_of(context.scene.freetalk.face)
            self._worker = Worker(read_take(context, self._original))
        except FreeTalkError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self._worker.start()
        manager = context.window_manager
        manager.progress_begin(0, Worker.STAGES)
        self._timer = manager.event_timer_add(_TICK, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC":
            self._worker.cancel()
            self._end(context)
            self.report({"INFO"}, "Cancelled; nothing was changed.")
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        if self._worker.is_alive():
            context.window_manager.progress_update(self._worker.done)
            context.workspace.status_text_set(f"FreeTalk: {self._worker.stage} ... (ESC to cancel)")
            return {"RUNNING_MODAL"}
        self._end(context)
        try:
            return self._finish(context, self._original, self._worker)
        except FreeTalkError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}

    def _end(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()
        context.workspace.status_text_set(None)

    def _finish(self, context: bpy.types.Context, original: bpy.types.Object, worker: Worker) -> set[str]:
        if worker.error:
            raise worker.error
        assert worker.result is not None
        face, keys = worker.result
        copy = scene.talk(original, face, keys, worker.take.start)
        context.view_layer.objects.active = copy
        copy.select_set(True)
        end = int(np.ceil(worker.take.start)) + len(keys.weights) - 1
        context.scene.frame_end = max(context.scene.frame_end, end)
        for note in face.notes:
            self.report({"WARNING"}, note)
        device = models.device_report("stm", worker.take.device)
        message = f"{copy.name} talks: {len(keys.shapes)} shape keys, {len(keys.weights)} frames, {device.provider}"
        self.report({"INFO"}, message + (f" ({device.note})" if device.note else ""))
        return {"FINISHED"}


class FREETALK_OT_remove(bpy.types.Operator):
    """Delete the talking copy and show the original again"""

    bl_idname = "freetalk.remove"
    bl_label = "Remove"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        face = context.scene.freetalk.face
        if face is None or not bake.copies_of(bake.original_of(face)):
            cls.poll_message_set("This face has no talking copy")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        original = bake.original_of(context.scene.freetalk.face)
        bake.remove(original)
        context.scene.freetalk.face = original
        return {"FINISHED"}


CLASSES = (FREETALK_OT_animate, FREETALK_OT_remove)
