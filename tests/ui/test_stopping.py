"""ESC, whatever is being worked out: the scene is as it was within a second, and the work ends."""

import time

import pytest
from in_blender import folder

from tools import first_clip
from tools.blender_ui import Ui

_HOLD = """
import threading
job, session = (importlib.import_module(f"{package}.blender.{name}") for name in ("job", "session"))
cancel = importlib.import_module(f"{package}.core.cancel")
ask = cancel.check

def hold(stage):
    # the work waits in the middle of this stage until somebody stops it
    global held
    held = threading.Event()
    def check():
        if not held.is_set() and job.current is not None and job.current.stage == stage:
            held.set()
            while job.current is not None:
                time.sleep(0.01)
        ask()
    cancel.check = check

def start(operator):
    _in_window(lambda: getattr(bpy.ops.freetalk, operator)("INVOKE_DEFAULT"))

def working():
    return any(type(thread).__name__ == "Job" for thread in threading.enumerate())
"""
STAGES = ("find the face", "open the mouth", "bind the face", "perform the speech", "make shape keys")


@pytest.mark.parametrize("stage", STAGES)
def test_escape_in_the_middle_of_each_stage_leaves_the_scene_as_it_was(bench: Ui, stage: str) -> None:
    bench.ask(_HOLD)
    bench.ask(f"fresh({folder(bench)!r}); placed.forget(bpy.data.objects['head']); session.clear(); hold({stage!r})")
    before = bench.value("everything()")
    try:
        bench.value("start('animate')")
        bench.wait("held.is_set()", 300)
        assert bench.value("everything()") == before
        first_clip.over_viewport(bench)
        lag, pressed = bench.lag(), time.perf_counter()
        bench.key("Escape")
        bench.wait(f"not {first_clip.RUNNING}")
        assert time.perf_counter() - pressed < 1 + 10 * lag
        assert bench.value("everything()") == before
        bench.wait("not working()", 10)
        assert bench.value("everything()") == before
    finally:
        bench.ask("cancel.check = ask; job.stop()")


def test_another_file_ends_the_work_too(bench: Ui) -> None:
    bench.ask(_HOLD)
    bench.ask(f"fresh({folder(bench)!r}); session.clear(); hold('bind the face')")
    try:
        bench.value("start('animate')")
        bench.wait("held.is_set()", 300)
        bench.value("bpy.ops.wm.read_homefile(use_factory_startup=False) and None")
        bench.wait("not working()", 10)
        assert bench.value(first_clip.TALKING) == [] and bench.value("job.current is None")
    finally:
        bench.ask("cancel.check = ask; job.stop()")
