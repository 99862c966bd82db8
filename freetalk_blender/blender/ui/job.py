"""Long work in a thread, watched by a modal operator: progress, time left, ESC.

The work gets a `step` (core.face.Step) and touches no bpy; the operator reads the scene before it and writes after it,
in steps (steps.py) that are taken back where ESC ends them: a cancelled job has changed nothing.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import bpy

from ...core import cancel
from ...core.errors import TOLD, FreeTalkError, sentence
from .. import steps
from ..log import log
from ..steps import Steps

#: How often a running job is looked at, and how long its answer is written before the window has its turn again (s).
_TICK, _TURN = 0.1, 0.2
#: How often progress is drawn within a stage (s): where the processor draws the window too, that takes 0.1 s of it.
_DRAWN = 0.5

#: The stage of a job whose answer is being written, and of one whose answer waits: meshes in Edit Mode cannot be read.
WRITING, WAITING = "write it into the scene", "leave Edit Mode to finish"

#: The job whose progress the panel shows; None where nothing runs.
current: "Job | None" = None
#: The operator that runs it in a window.
_operator: "JobOperator | None" = None


class Job(threading.Thread):
    """work(step) in a thread of its own; `stage` is what it does now.

    cancel() ends it where it asks next (core/cancel.py), which it does several times a second; what it was working out
    is thrown away. expected: stage -> seconds it may take, in order; what really happens corrects them.
    """

    def __init__(self, title: str, work: Callable[[Any], Any], expected: dict[str, float]):
        super().__init__(daemon=True)
        self.title, self.stage = title, ""
        self.result: Any = None
        self.error: BaseException | None = None
        self._work, self._expected = work, expected
        self._done: dict[str, float] = {}
        self._since = time.monotonic()
        self._cancelled = threading.Event()

    def run(self) -> None:
        try:
            with cancel.until(self._cancelled.is_set):
                self.result = self._work(self._step)
        except BaseException as error:  # told by the operator, in the main thread
            self.error = error

    def cancel(self) -> None:
        self._cancelled.set()

    def told(self) -> str:
        """What it does now, in a few words."""
        return self.stage if self.stage == WAITING else f"{self.stage}, {self.progress()[1]:.0f} s left"

    def progress(self) -> tuple[float, float]:
        """(share done in [0,1], seconds left)."""
        planned = sum(self._expected[name] for name in self._done if name in self._expected)
        taken = sum(seconds for name, seconds in self._done.items() if name in self._expected)
        pace = taken / planned if planned > 0 else 1.0
        running = time.monotonic() - self._since
        names = list(self._expected)
        reached = max((names.index(name) for name in [*self._done, self.stage] if name in names), default=-1)
        ahead = pace * sum(self._expected[name] for name in names[reached + 1 :])
        now = 0.0 if self.stage in self._done else max(pace * self._expected.get(self.stage, 0.0) - running, 0.1)
        spent, left = sum(self._done.values()) + running, ahead + now
        return spent / max(spent + left, 1e-6), left

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        cancel.check()
        self.stage, self._since = name, time.monotonic()
        yield
        self._done[name] = time.monotonic() - self._since
        log.info("%s: %.2f s", name, self._done[name])
        self._since = time.monotonic()


def why_busy() -> str:
    """Why no other job can start; empty where one can."""
    return f"{current.title} is running; ESC stops it" if current is not None else ""


class JobOperator:
    """The part of an operator that runs a job; a subclass says what to do before and after.

    begin(context) -> Job reads the scene, finish(context, result) writes to it, in steps, whichever scene is shown by
    then; both may raise FreeTalkError, which is reported in one sentence. finish must change nothing that is seen
    before it can no longer fail or be ended.
    """

    _job: Job
    #: session_uid of the scene where it began, and the name of its view layer.
    _home: tuple[int, str]
    _timer: bpy.types.Timer
    _writing: Steps[None] | None = None
    _shown: tuple[str, float] = ("", 0.0)
    #: session_uid of the workspace whose status bar tells of it.
    _told_in = 0
    report: Callable[[set[str], str], None]

    def begin(self, context: bpy.types.Context) -> Job:
        raise NotImplementedError

    def finish(self, context: bpy.types.Context, result: Any) -> Steps[None]:
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        """At once, with the interface waiting: scripts and background mode."""
        try:
            self._job = self._begun(context)
            self._job.run()
            with self._at_home(context):
                steps.run(self._answered(context))
        except TOLD as error:
            return self._told(error)
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """In a thread, with the interface alive; ESC ends it and leaves the scene as it was."""
        global current, _operator
        if bpy.app.background:
            return self.execute(context)
        try:
            self._job = current = self._begun(context)
        except TOLD as error:
            return self._told(error)
        _operator = self
        self._job.start()
        manager = context.window_manager
        manager.progress_begin(0, 100)
        self._timer = manager.event_timer_add(_TICK, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self._follow(context)
        if event.type == "ESC" and event.value == "PRESS":  # what ends G or a field that is typed in lets it go here
            self._end(context)
            self.report({"INFO"}, "Cancelled; nothing was changed.")
            return {"CANCELLED"}
        if event.type != "TIMER":
            # what is being written is nobody else's to change
            return {"PASS_THROUGH"} if self._writing is None else {"RUNNING_MODAL"}
        if self._job.is_alive():
            self._show(context)
            return {"RUNNING_MODAL"}
        if self._writing is None:
            waits = self._job.error is None and self._is_editing()
            self._writing = None if waits else self._answered(context)
            self._job.stage = WAITING if waits else WRITING
            self._show(context)
            return {"RUNNING_MODAL"}
        try:
            end = time.monotonic() + _TURN
            with self._at_home(context):
                next(self._writing)
                while time.monotonic() < end:
                    next(self._writing)
            return {"RUNNING_MODAL"}
        except StopIteration:
            self._end(context)
            return {"FINISHED"}
        except BaseException as error:
            self._end(context)
            if not isinstance(error, TOLD):
                raise
            return self._told(error)

    def _begun(self, context: bpy.types.Context) -> Job:
        self._home = context.scene.session_uid, context.view_layer.name
        return self.begin(context)

    def _at_home(self, context: bpy.types.Context) -> AbstractContextManager:
        """The context in the scene where it began; FreeTalkError where that was deleted."""
        uid, layer = self._home
        scene = survivor(bpy.data.scenes, uid)
        if scene is None:
            raise FreeTalkError("The scene was deleted while FreeTalk was working on it.")
        if scene == context.scene:
            return nullcontext()
        return context.temp_override(scene=scene, view_layer=scene.view_layers.get(layer) or scene.view_layers[0])

    def _is_editing(self) -> bool:
        """Is an object of the scene where it began in Edit Mode?"""
        scene = survivor(bpy.data.scenes, self._home[0])
        return scene is not None and any(item.mode == "EDIT" for item in scene.objects)

    def _follow(self, context: bpy.types.Context) -> None:
        """Each workspace has a status bar of its own: one that the person has left tells nothing any more."""
        left = survivor(bpy.data.workspaces, self._told_in)
        self._told_in = context.workspace.session_uid
        if left is not None and left != context.workspace:
            with context.temp_override(workspace=left):
                left.status_text_set(None)

    def _show(self, context: bpy.types.Context) -> None:
        stage, since = self._shown
        if stage == self._job.stage and time.monotonic() < since + _DRAWN:
            return
        self._shown = self._job.stage, time.monotonic()
        context.window_manager.progress_update(round(100 * self._job.progress()[0]))
        context.workspace.status_text_set(f"FreeTalk: {self._job.told()} (ESC to cancel)")
        redraw(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: another file is opened, or Blender quits."""
        self._end(context)

    def _end(self, context: bpy.types.Context) -> None:
        global current, _operator
        self._job.cancel()
        if self._writing is not None:
            self._writing.close()
        current = _operator = None
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        redraw(context)

    def _answered(self, context: bpy.types.Context) -> Steps[None]:
        """What came of the work, in the scene."""
        if self._job.error:
            raise self._job.error
        yield from self.finish(context, self._job.result)

    def _told(self, error: FreeTalkError | OSError | MemoryError) -> set[str]:
        log.debug("%s", error)
        self.report({"ERROR"}, sentence(error))
        return {"CANCELLED"}


def stop() -> None:
    """End the running job, if any, as ESC would: an operator that is unregistered is not asked again."""
    if _operator is not None:
        _operator.cancel(bpy.context)


def survivor(blocks: Iterable[bpy.types.ID], uid: int) -> bpy.types.ID | None:
    """The one with this session_uid, whatever it is called by now; None where it was deleted."""
    return next((block for block in blocks if block.session_uid == uid), None)


def redraw(context: bpy.types.Context) -> None:
    """Draw the sidebars of all 3D viewports anew."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
