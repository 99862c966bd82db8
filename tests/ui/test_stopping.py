"""ESC, whatever is being worked out: the scene is as it was at once, and the work ends."""

import pytest
from in_blender import folder

from tools import first_clip
from tools.blender_ui import Ui

#: Leaves `start(operator)` in Blender: what its button does.
_START = """
def start(operator):
    _in_window(lambda: getattr(bpy.ops.freetalk, operator)("INVOKE_DEFAULT"))
"""
#: Leaves in `beats` the processor seconds that Blender had used at each turn of its main loop.
_BEAT = """
beats = []
def beat():
    beats.append(time.process_time())
    return 0.01
"""
STAGES = ("find the face", "open the mouth", "bind the face", "perform the speech", "make shape keys")
#: Processor seconds that Blender may use from the key to the end, drawing in software and answering the test included.
_SECONDS = 1.0
#: Processor seconds, of all threads, that may pass between two turns of the main loop: a second by the clock where the
#: window draws and the work goes on at the same time.
_LONGEST = 2.0


def begun(bench: Ui, scene: str = "") -> str:
    """A scene in which start() can be called, nothing remembered of it; all that is in it. scene: what makes it so."""
    bench.ask(_START)
    bench.ask(f"fresh({folder(bench)!r}); {scene}session.clear()")
    return bench.value("everything()")


@pytest.mark.parametrize("stage", STAGES)
def test_escape_in_the_middle_of_each_stage_leaves_the_scene_as_it_was(bench: Ui, stage: str) -> None:
    before = begun(bench, "placed.forget(bpy.data.objects['head']); ")
    with first_clip.held(bench, stage):
        with first_clip.finished(bench):
            bench.value("start('animate')")
            bench.wait("cancel.held.is_set()", first_clip.PATIENCE)
            assert bench.value("everything()") == before
            first_clip.over_viewport(bench)
            used = bench.value("time.process_time()")
            bench.key("Escape")
        used = bench.value("time.process_time()") - used
        assert bench.value("everything()") == before
        assert used < _SECONDS
        bench.wait("not working()", first_clip.PATIENCE)
        assert bench.value("everything()") == before


def test_escape_while_the_answer_is_written_takes_back_what_was_written(bench: Ui) -> None:
    before = begun(bench)
    bench.ask("job._TURN = 0  # one step in each turn of the window: more than fifty, each a tenth of a second")
    try:
        with first_clip.finished(bench):
            bench.value("start('animate')")
            first_clip.over_viewport(bench)
            bench.wait("job.current is not None and job.current.stage == job.WRITING", first_clip.PATIENCE)
            bench.wait("len(bpy.data.objects) == 3")
            bench.key("Escape")
    finally:
        bench.ask("job._TURN = 0.2")
    assert bench.value("everything()") == before


def test_an_answer_waits_until_edit_mode_is_left(bench: Ui) -> None:
    begun(bench)
    bench.ask("bpy.data.objects['head'].select_set(True)")
    with first_clip.finished(bench):
        with first_clip.held(bench, "make shape keys"):
            bench.value("start('animate')")
            bench.wait("cancel.held.is_set()", first_clip.PATIENCE)
            first_clip.over_viewport(bench)
            bench.key("Tab")
            bench.wait("bpy.context.mode == 'EDIT_MESH'")
        bench.wait("job.current.stage == job.WAITING", first_clip.PATIENCE)
        assert bench.value(first_clip.TALKING) == []
        bench.key("Tab")
    assert bench.value(first_clip.TALKING) == ["head FreeTalk"]


def test_the_window_answers_while_a_heavy_scan_is_worked_on_and_escape_ends_that(bench: Ui) -> None:
    """Sixteen times as many vertices, bound in the background: Python's lock is never held for long meanwhile."""
    before = begun(bench, "subdivide(2); ")
    bench.ask(_BEAT)
    with first_clip.finished(bench), first_clip.held(bench, "make shape keys"):
        bench.value("start('animate')")
        bench.ask("beats.clear(); bpy.app.timers.register(beat)")
        bench.wait("cancel.held.is_set()", first_clip.PATIENCE)
        longest = bench.value("max(after - before for before, after in zip(beats, beats[1:]))")
        first_clip.over_viewport(bench)
        bench.key("Escape")
        bench.wait("job.current is None", first_clip.PATIENCE)
    bench.ask("bpy.app.timers.unregister(beat)")
    assert longest < _LONGEST
    bench.wait("not working()", first_clip.PATIENCE)
    assert bench.value("everything()") == before


def test_another_file_ends_the_work_too(bench: Ui) -> None:
    begun(bench)
    with first_clip.held(bench, "bind the face"):
        bench.value("start('animate')")
        bench.wait("cancel.held.is_set()", first_clip.PATIENCE)
        bench.value("bpy.ops.wm.read_homefile(use_factory_startup=False) and None")
        bench.wait("not working()", first_clip.PATIENCE)
        assert bench.value(first_clip.TALKING) == [] and bench.value("job.current is None")
