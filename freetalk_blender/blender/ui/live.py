"""The live preview: what the sliders do, shown at once on the chosen face's talking copy, before it is baked.

After Animate the face is bound and the speech was heard, so a moved slider runs the small network alone, in a thread;
a shape key of its own then shows the frame at hand, and the baked keys are muted until Bake Again or until the sliders
are back. Other faces go on as they were baked. Nothing of the preview is saved, rendered or exported. What was baked is
written on the copy, so that it follows undo; what is shown is looked at anew after it.
"""

import json
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...core import face as faces
from ...core import movement
from ...core.errors import FreeTalkError
from ...core.movement import Moves
from ...core.voice import emotion as emotions
from .. import meshes, scene, spoken, takes
from ..marks import BAKED, MUTED, PREVIEW, SAID, all_copies
from . import chosen, job, request, staleness
from .chosen import View
from .request import Voice

#: How often the sliders, and a performance in a thread, are looked at (s).
_TICK = 0.03


@dataclass
class _State:
    """A talking copy's; name: what it was called last; shown: `staleness.key` of the sliders whose preview is seen,
    None for the bake."""

    voice: Voice
    name: str
    shown: str | None = None
    moves: Moves | None = None


#: session_uid of each talking copy that was baked since this file was opened; at most one of them is shown.
_states: dict[int, _State] = {}
_thread: "_Performing | None" = None


def baked(copy: bpy.types.Object, voice: Voice, wanted: tuple[str, str], emotion: np.ndarray) -> None:
    """Animate has just written this: the preview ends, and moved sliders are judged against it; wanted: what was
    `staleness.asked` when it began; emotion (T,8): that of the performance."""
    copy[BAKED], copy[SAID] = wanted
    own = emotions.curve(np.atleast_2d(voice.emotion)[0], 1)[0]
    spoken.note(takes.current(copy), *wanted, json.dumps(np.stack([own, emotion[0], emotion[-1]]).tolist()))
    _states[copy.session_uid] = _State(voice, copy.name)
    put_away()
    if not bpy.app.background and not bpy.app.timers.is_registered(_look):
        bpy.app.timers.register(_look, first_interval=_TICK)


@persistent
def forget(*_: object) -> None:
    """Nothing can be previewed until the next Animate; as another file is opened, too."""
    global _thread
    _states.clear()
    _thread = None
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)


# The performance ------------------------------------------------------------------------------------------------------


class _Performing(threading.Thread):
    """The performance that these sliders ask for; touches no bpy."""

    def __init__(self, face: faces.Face, voice: Voice, copy: int, wanted: str):
        super().__init__(daemon=True)
        self.copy, self.wanted = copy, wanted
        self.moves: Moves | None = None
        self._face, self._voice = face, voice

    def run(self) -> None:
        with suppress(FreeTalkError):  # a sound that is gone since: Animate says so
            take = self._voice.perform()
            self.moves = movement.moves(self._face, take.displacement, take.tongue, take.turns)


def _look() -> float | None:
    """The timer, as long as there is something to preview."""
    if not _states:
        return None
    windows = bpy.context.window_manager.windows
    view = _asking(windows) if len(windows) > 1 else bpy.context
    if _thread is not None and not _thread.is_alive():
        _take(view.scene)
    watch(view)
    return _TICK


def _asking(windows: Iterable[bpy.types.Window]) -> View:
    """The first window whose scene's sliders ask for a preview of the face that is chosen there, else what is at
    hand: each main window may show a scene of its own."""
    return next((window for window in windows if _is_asked_for(window)), bpy.context)


def _is_asked_for(window: bpy.types.Window) -> bool:
    copy = chosen.talking(window) if window.scene.freetalk.live else None
    return copy is not None and copy.session_uid in _states and _wanted(window.scene, copy) is not None


def watch(view: View) -> None:
    """Where sliders moved, perform anew and show it on the face that is chosen there; all else shows what was baked."""
    if not _states or job.current is not None or bpy.app.is_job_running("RENDER"):
        return
    if not (view.scene.freetalk.live or _shown() is not None or _previews()):
        return  # this is asked in large scenes too, all the time
    mine = chosen.talking(view)
    for uid, state in _states.items():
        if mine is None or mine.session_uid != uid:
            state.shown = None
        elif mine.mode == "OBJECT":
            _follow(view.scene, mine, state)
    _hide_others(mine)


def _follow(current: bpy.types.Scene, copy: bpy.types.Object, state: _State) -> None:
    """The chosen face's copy shows what the sliders ask for."""
    wanted = _wanted(current, copy)
    if wanted is None:
        state.shown = None
        hide(copy)
    elif wanted != state.shown:
        state.shown = wanted
        _perform(current, copy.session_uid)


def _copy(uid: int) -> bpy.types.Object | None:
    """The talking copy with this session_uid: looked for only where it has not the name that it had last."""
    state = _states[uid]
    copy = bpy.data.objects.get(state.name)
    if copy is None or copy.session_uid != uid:
        copy = job.survivor(bpy.data.objects, uid)
        state.name = copy.name if copy is not None else state.name
    return copy


def _wanted(current: bpy.types.Scene, copy: bpy.types.Object) -> str | None:
    """`staleness.key` of the sliders that a copy shall show; None for the bake. With another sound or another place,
    what was baked stays until the next Animate."""
    if not current.freetalk.live or scene.remembered(copy) is None:
        return None
    wanted = staleness.key(current)
    if wanted == copy.get(BAKED):
        return None
    return wanted if json.dumps(staleness.said(current)) == copy.get(SAID) else None


def _perform(current: bpy.types.Scene, uid: int) -> None:
    """What the talking copy with this session_uid shall show."""
    global _thread
    copy, state = _copy(uid), _states[uid]
    face = scene.remembered(copy) if copy is not None else None
    if face is None or state.shown is None or (_thread is not None and _thread.is_alive()):
        return  # the latest sliders are looked up when the thread is done
    _thread = _Performing(face, request.with_sliders(state.voice, current, copy), uid, state.shown)
    if bpy.app.background:
        _thread.run()
        _take(current)
    else:
        _thread.start()


def _take(current: bpy.types.Scene) -> None:
    """A finished performance is shown, or another begun where sliders moved on or another face was chosen."""
    global _thread
    done, _thread = _thread, None
    uid = _shown()
    if done is None or uid is None:
        return
    state = _states[uid]
    if uid == done.copy:
        state.moves = done.moves
    if (uid, state.shown) == (done.copy, done.wanted):
        show(current)
    else:
        _perform(current, uid)


# What is seen ---------------------------------------------------------------------------------------------------------


def _shown() -> int | None:
    """session_uid of the talking copy whose preview is seen or awaited."""
    return next((uid for uid, state in _states.items() if state.shown is not None), None)


@persistent
def show(current: bpy.types.Scene, _graph: bpy.types.Depsgraph | None = None) -> None:
    """The frame at hand on the preview key of the copy that has one, if the scene holds it: windows show others too.
    Also before another frame is shown."""
    uid = _shown()
    copy, state = (_copy(uid), _states[uid]) if uid is not None else (None, None)
    if state is None or state.moves is None or copy is None or copy.mode != "OBJECT":
        return
    if copy.data.shape_keys is None:
        return  # the person deleted them
    if current not in copy.users_scene:
        return
    remapped = current.render.frame_map_old / current.render.frame_map_new
    frame = (current.frame_current + current.frame_subframe) * remapped
    start = state.voice.source.start
    moved = state.moves.at(frame - start)
    if len(copy.data.vertices) != len(moved):
        return  # another cut than the one that was bound
    block = _block(copy)
    block.mute = _is_of_another_line(copy, frame, start)
    if block.mute:
        _unmute(copy, copy.get(MUTED, "[]"))
        return
    for baked in takes.driven(copy):
        baked.mute = True
    back = np.linalg.inv(meshes.to_true_shape(copy)).T
    if not np.array_equal(back, np.identity(3)):
        moved = (moved @ back).astype(np.float32)
    block.points.foreach_set("co", (meshes.vertices(copy.data) + moved).ravel())
    copy.data.update_tag()


def _block(copy: bpy.types.Object) -> bpy.types.ShapeKey:
    blocks = copy.data.shape_keys.key_blocks
    if PREVIEW not in blocks:
        muted = [block.name for block in takes.driven(copy) if block.mute]
        if muted:
            copy[MUTED] = json.dumps(muted)
        block = copy.shape_key_add(name=PREVIEW, from_mix=False)
        block.relative_key, block.value = copy.data.shape_keys.reference_key, 1.0
    return blocks[PREVIEW]


def _is_of_another_line(copy: bpy.types.Object, frame: float, start: float) -> bool:
    """Is another line said in a frame than the one that begins at `start`?"""
    take = takes.current(copy)
    said = spoken.lines(take) if take is not None else []
    mine = [line for line in said if line.start == start]
    if any(line.start <= frame <= line.end for line in mine):
        return False
    return any(line.reach[0] < frame < line.reach[1] for line in said if line not in mine)


def _unmute(copy: bpy.types.Object, muted: str) -> None:
    """What was baked is seen, but for shape keys that the person muted: a JSON list of their names."""
    by_person = json.loads(muted)
    for block in takes.driven(copy):
        block.mute = block.mute and block.name in by_person


def is_shown(copy: bpy.types.Object) -> bool:
    """Does the copy show a preview instead of what was baked?"""
    return copy.data.shape_keys is not None and PREVIEW in copy.data.shape_keys.key_blocks


def hide(copy: bpy.types.Object) -> None:
    """The copy shows what was baked."""
    if not is_shown(copy):
        return
    _unmute(copy, copy.pop(MUTED, "[]"))
    copy.shape_key_remove(copy.data.shape_keys.key_blocks[PREVIEW])


def _previews() -> list[bpy.types.Key]:
    """The shape keys of meshes that show a preview; few meshes have any to be looked at."""
    return [key for key in bpy.data.shape_keys if PREVIEW in key.key_blocks]


def _hide_others(mine: bpy.types.Object | None) -> None:
    """All but the chosen face's copy show what was baked, also what was duplicated while a preview was seen."""
    others = [key for key in _previews() if mine is None or key != mine.data.shape_keys]
    for copy in all_copies() if others else ():
        if copy.data.shape_keys in others and copy.mode == "OBJECT":
            hide(copy)


@persistent
def put_away(*_: object) -> None:
    """Before the file is saved or rendered, what was baked counts; the next update shows the preview again. After
    another file was opened or read from, too: Blender saves by itself without asking, and then a preview may be in it.
    And when the add-on is switched off: nobody would hide it later."""
    for state in _states.values():
        state.shown = None
    for copy in all_copies():
        hide(copy)


@persistent
def undone(*_: object) -> None:
    """After undo and redo: what is in the file is what was seen then; it is looked at anew."""
    for state in _states.values():
        state.shown = state.moves = None
    job.redraw(bpy.context)
