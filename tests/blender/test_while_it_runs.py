"""What the person does while Animate or Detect works: Blender stays usable meanwhile."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

from freetalk_blender.blender import compat, marks, placed, sound, spoken, takes
from freetalk_blender.blender.steps import Steps
from freetalk_blender.blender.ui import job, live, staleness

#: Lets a call happen when the work is done, before its answer is written.
Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    work = job.Job.run

    def once(change: Callable[[], object]) -> None:
        def run(self: job.Job) -> None:
            monkeypatch.setattr(job.Job, "run", work)
            work(self)
            change()

        monkeypatch.setattr(job.Job, "run", run)

    return once


def test_a_slider_that_was_moved_meanwhile_is_previewed_and_asks_to_be_baked(
    talker: bpy.types.Object, meanwhile: Meanwhile
) -> None:
    settings = bpy.context.scene.freetalk
    meanwhile(lambda: setattr(settings, "happy", 1.0))
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    copy = marks.copy_of(talker)
    assert staleness.is_stale(bpy.context)
    live.watch(bpy.context)
    assert live.is_shown(copy)
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert not staleness.is_stale(bpy.context) and not live.is_shown(copy)


def test_a_frame_rate_or_sound_that_was_changed_meanwhile_is_not_what_was_baked(
    talker: bpy.types.Object, meanwhile: Meanwhile, tmp_path: Path
) -> None:
    scene = bpy.context.scene
    meanwhile(lambda: setattr(scene.render, "fps", 50))
    assert bpy.ops.freetalk.animate() == {"FINISHED"} and staleness.is_stale(bpy.context)
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and not staleness.is_stale(bpy.context)
    copy, other = marks.copy_of(talker), tmp_path / "other.wav"
    other.write_bytes(Path(scene.freetalk.sound_file).read_bytes())
    meanwhile(lambda: setattr(scene.freetalk, "sound_file", str(other)))
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    scene.freetalk.happy = 1.0
    live.watch(bpy.context)
    assert not live.is_shown(copy), "of another sound than is chosen"
    assert [line.told for line in spoken.lines(takes.current(copy))] == ["file short.wav"]


def test_a_face_that_was_renamed_meanwhile_is_the_same_face(talker: bpy.types.Object, meanwhile: Meanwhile) -> None:
    for operator in (bpy.ops.freetalk.detect, bpy.ops.freetalk.animate):
        meanwhile(lambda: setattr(talker, "name", f"{talker.name} of Bob"))
        assert operator() == {"FINISHED"}
    assert placed.confidence(talker) is not None
    assert marks.copy_of(talker).name == "head of Bob of Bob FreeTalk"


def test_another_scene_that_is_shown_meanwhile_is_left_alone(talker: bpy.types.Object, meanwhile: Meanwhile) -> None:
    home, window = bpy.context.scene, bpy.context.window
    home.freetalk.face, home.frame_end = None, 10
    other = bpy.data.scenes.new("other")
    before = other.frame_end, list(other.keys())
    meanwhile(lambda: setattr(window, "scene", other))
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert bpy.context.scene == other and (other.frame_end, list(other.keys())) == before
    assert other.freetalk.face is None and not sound.sound_strips(other)
    copy = marks.copy_of(talker)
    assert copy.name in home.objects and home.freetalk.face == talker and home.frame_end == 61
    assert home.view_layers[0].objects.active == copy and talker.hide_get(view_layer=home.view_layers[0])
    assert len(sound.sound_strips(home)) == int(compat.can_make_sound())
    window.scene = home
    assert not staleness.is_stale(bpy.context)


@pytest.mark.parametrize("deleted", ["face", "scene"])
def test_what_was_deleted_meanwhile_is_told_in_a_sentence(
    talker: bpy.types.Object, meanwhile: Meanwhile, deleted: str
) -> None:
    home, other = bpy.context.scene, bpy.data.scenes.new("other")
    other.collection.objects.link(talker)

    def delete() -> None:
        if deleted == "scene":
            bpy.context.window.scene = other
            bpy.data.scenes.remove(home)
        else:
            for collection in (*talker.users_collection,):
                collection.objects.unlink(talker)

    meanwhile(delete)
    with pytest.raises(RuntimeError, match=f"The {deleted} was deleted while FreeTalk was working on it."):
        bpy.ops.freetalk.animate()
    assert not marks.all_copies()


class Waiting(job.JobOperator):
    """Work that is done, in a window with nothing in it; told: what its status bar says."""

    def __init__(self) -> None:
        self.told, self.written = [], []
        window = SimpleNamespace(progress_update=lambda _: None, progress_end=lambda: None, windows=())
        window.event_timer_remove = lambda _: None
        self.context = SimpleNamespace(
            scene=bpy.context.scene,
            view_layer=bpy.context.view_layer,
            window_manager=window,
            workspace=SimpleNamespace(session_uid=-1, status_text_set=self.told.append),
            temp_override=bpy.context.temp_override,
        )
        self._timer, self._job = None, self._begun(self.context)
        self._job.run()
        job.current = self._job

    def begin(self, context: bpy.types.Context) -> job.Job:
        return job.Job("Animate", lambda step: "answer", {})

    def finish(self, context: bpy.types.Context, result: str) -> Steps[None]:
        yield
        self.written.append(result)

    def report(self, _kind: set[str], text: str) -> None:
        self.told.append(text)

    def turn(self, event: str = "TIMER", value: str = "PRESS") -> set[str]:
        return self.modal(self.context, SimpleNamespace(type=event, value=value))


def test_the_answer_waits_until_edit_mode_is_left(talker: bpy.types.Object) -> None:
    work = Waiting()
    bpy.ops.object.mode_set(mode="EDIT")
    assert all(work.turn() == {"RUNNING_MODAL"} for _ in range(3)) and not work.written
    assert work.told == ["FreeTalk: leave Edit Mode to finish (ESC to cancel)"]
    assert work.turn("TAB") == {"PASS_THROUGH"}
    bpy.ops.object.mode_set(mode="OBJECT")
    while work.turn() != {"FINISHED"}:
        assert work.turn("TAB") == {"RUNNING_MODAL"}
    assert work.written == ["answer"] and job.current is None

    work = Waiting()
    bpy.ops.object.mode_set(mode="EDIT")
    work.turn()
    assert work.turn("ESC") == {"CANCELLED"} and not work.written and job.current is None
    bpy.ops.object.mode_set(mode="OBJECT")


def test_escape_that_ended_something_else_and_is_let_go_does_not_stop_it(talker: bpy.types.Object) -> None:
    work = Waiting()
    assert work.turn("ESC", "RELEASE") == {"PASS_THROUGH"} and job.current is not None
    while work.turn() != {"FINISHED"}:
        assert work.turn("ESC", "RELEASE") == {"RUNNING_MODAL"}
    assert work.written == ["answer"]


def test_a_workspace_that_is_left_meanwhile_tells_nothing_any_more(
    talker: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    monkeypatch.setattr(bpy.types.WorkSpace, "status_text_set", lambda _, text: said.append((here(), text)))

    def here() -> str:
        return bpy.context.workspace.name

    work, (first, other, *_) = Waiting(), bpy.data.workspaces
    bpy.ops.object.mode_set(mode="EDIT")
    for workspace in (first, first, other):
        work.context.workspace = workspace
        with bpy.context.temp_override(workspace=workspace):
            work.turn()
    assert [place for place, text in said if text is None] == [first.name]
    assert work.turn("ESC") == {"CANCELLED"}
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_mesh_that_is_edited_cannot_be_read_and_is_told(talker: bpy.types.Object, meanwhile: Meanwhile) -> None:
    meanwhile(lambda: bpy.ops.object.mode_set(mode="EDIT"))
    with pytest.raises(RuntimeError, match=r"The mesh of head is in Edit Mode; leave that first \(Tab\)."):
        bpy.ops.freetalk.animate()
    bpy.ops.object.mode_set(mode="OBJECT")


def test_switched_off_while_its_answer_is_written_the_add_on_takes_that_back(
    addon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_back, told = [], []
    context = SimpleNamespace(
        workspace=SimpleNamespace(status_text_set=told.append),
        window_manager=SimpleNamespace(
            windows=[], event_timer_remove=lambda _: None, progress_end=lambda: told.append("end")
        ),
    )

    def writing() -> Steps[None]:
        try:
            yield
        finally:
            taken_back.append(True)

    operator = job.JobOperator()
    operator._job = job.Job("Animate", lambda step: None, {})
    operator._timer, operator._writing = None, writing()
    next(operator._writing)
    monkeypatch.setattr(job, "current", operator._job)
    monkeypatch.setattr(job, "_operator", operator)
    monkeypatch.setattr(job, "bpy", SimpleNamespace(context=context))
    job.stop()
    assert taken_back == [True] and told == ["end", None] and job.current is None
