"""The steps of the user guide's first clip, as a person takes them: used by tests/ui and for the guide's pictures.

`see` is called with a name at each moment that is worth a picture.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import extension
from .blender_ui import Ui, UiError
from .steps import BUILD, ROOT

SCAN, SPEECH = ROOT / "examples" / "head.obj", ROOT / "examples" / "speech.flac"
#: Screenshots of the last test run; `share` below it is what Blender and its tests share.
PICTURES = BUILD / "ui"
#: Expressions for Blender: whether Animate runs, and the names of talking copies.
RUNNING = "any(op.bl_idname == 'FREETALK_OT_animate' for op in bpy.context.window_manager.windows[0].modal_operators)"
TALKING = "[item.name for item in bpy.data.objects if 'freetalk_original' in item]"
See = Callable[[str], object]
#: Leaves in Blender: `hold(stage)`, `let_go()`, `working()`, `ended()`, and in `job.end` when and where it last ended.
WORK = '''
import importlib, threading, time
job = importlib.import_module("bl_ext.user_default.freetalk.blender.ui.job")
cancel = importlib.import_module("bl_ext.user_default.freetalk.core.cancel")

if not hasattr(cancel, "asked"):
    cancel.asked, cancel.held, job.ends = cancel.check, None, 0
    job.really_end = job.JobOperator._end

    def _end(self, context):
        stage = self._job.stage
        job.really_end(self, context)
        job.ends += 1
        job.end = (time.perf_counter(), time.process_time(), stage)

    job.JobOperator._end = _end

def hold(stage):
    """The work waits in the middle of this stage, whenever it is begun next, until it is stopped or let go."""
    cancel.held = held = threading.Event()
    cancel.waits = True
    def check():
        if not held.is_set() and job.current is not None and job.current.stage == stage:
            held.set()
            while cancel.waits and job.current is not None:
                time.sleep(0.01)
        cancel.asked()
    cancel.check = check

def let_go():
    cancel.check, cancel.waits = cancel.asked, False

def working():
    """Does a thread work, wanted or not?"""
    return any(type(thread).__name__ == "Job" for thread in threading.enumerate())

def ended():
    """How many pieces of work have come to an end in the window, done or stopped, since this was asked first."""
    return job.ends
'''
#: Seconds that any step of the sample may take, on a machine that is busy with much else.
PATIENCE = 300


def blind(_name: str) -> None:
    """No picture."""


def target(ui: Ui) -> extension.Target:
    """The zip for this Blender's Python."""
    version = ui.value("'%d.%d' % __import__('sys').version_info[:2]")
    return extension.Target(extension.host_platform(), version)


def install(ui: Ui, package: Path, see: See = blind) -> None:
    """Drop the zip on Blender's window and confirm. One click."""
    file = Path(shutil.copy2(package, ui.screen.home))
    ui.drop("extensions.package_install_files", url=str(ui.screen.inside(file)))
    see("install")
    ui.confirm()
    ui.wait("hasattr(bpy.types.Scene, 'freetalk')", PATIENCE)


def open_tab(ui: Ui) -> None:
    """N over the viewport, then the tab. One click."""
    over_viewport(ui)
    if not ui.value("box('VIEW_3D', 'UI')"):
        ui.key("n")
        ui.wait("box('VIEW_3D', 'UI')")
    ui.tab("FreeTalk")


def add_scan(ui: Ui, scan: Path = SCAN, see: See = blind) -> None:
    """Empty the scene, drop the scan on the viewport, confirm, look at it. One click."""
    ui.ask("bpy.data.batch_remove(list(bpy.data.objects))")
    file = Path(shutil.copy2(scan, ui.screen.home))
    ui.drop("wm.obj_import", filepath=str(ui.screen.inside(file)))
    see("scan")
    ui.confirm()
    ui.wait("len(bpy.data.objects)")
    look_at_face(ui)
    see("panel")


def over_viewport(ui: Ui) -> None:
    """Put the mouse over the viewport, which gets the keys then."""
    left, top, width, height = ui.box("VIEW_3D", "WINDOW")
    ui.move(left + width * 0.4, top + height * 0.45)
    ui.settle()


def look_at_face(ui: Ui) -> None:
    """From the front, the selected object filling the view: numpad 1, then numpad point."""
    over_viewport(ui)
    ui.key("KP_End")
    ui.key("KP_Decimal")


def choose_speech(ui: Ui, see: See = blind) -> None:
    """The folder beside the sound file, then a double-click on the file. Two clicks."""
    shutil.copy2(SPEECH, ui.screen.home)
    _, y = ui.find("freetalk.sound_file")
    left, _, width, _ = ui.box("VIEW_3D", "UI")
    ui.click(left + width - 45, y)
    ui.choose(SPEECH.name, see=lambda: see("speech"))
    ui.wait("bpy.context.scene.freetalk.sound_file != ''")


def animate(ui: Ui, see: See = blind) -> None:
    """Press Animate and wait; it is seen while it binds the face. One click."""
    if see is blind:
        with finished(ui):
            ui.press("freetalk.animate(")
    else:
        with finished(ui), held(ui, "bind the face"):
            ui.press("freetalk.animate(")
            ui.wait("cancel.held.is_set()", PATIENCE)
            see("animate")
    if not ui.value(TALKING):
        raise UiError("Animate ended, and nothing talks")
    see("talking")


@contextmanager
def finished(ui: Ui) -> Iterator[None]:
    """What is begun inside has ended, or was stopped, when this ends."""
    ui.ask(WORK)
    before = ui.value("ended()")
    yield
    ui.wait(f"ended() > {before}", PATIENCE)


@contextmanager
def held(ui: Ui, stage: str) -> Iterator[None]:
    """Work that is begun inside stays in the middle of this stage; `cancel.held.is_set()` when it is there."""
    ui.ask(WORK)
    ui.value(f"hold({stage!r})")
    try:
        yield
    finally:
        ui.value("let_go()")


def rest(ui: Ui) -> None:
    """Close what is open, stop what runs, show the sidebar, so that whatever comes next begins in peace."""
    if ui.value("box('FILE_BROWSER', 'WINDOW')"):
        ui.ask("""
window, place, part = next(_places("FILE_BROWSER", "WINDOW"))
with bpy.context.temp_override(window=window, area=place, region=part):
    bpy.ops.file.cancel()
""")
        ui.wait("box('FILE_BROWSER', 'WINDOW') is None")
    if ui.value("hasattr(bpy.types.Scene, 'freetalk')"):
        ui.ask(WORK)
        ui.value("let_go(), job.stop()")
        ui.wait("not working()", PATIENCE)
        if not ui.value("box('VIEW_3D', 'UI')"):
            open_tab(ui)


def export(ui: Ui, see: See = blind) -> Path:
    """Press glTF, and Export in the file browser; the file. Two clicks."""
    ui.press("freetalk.export(", 0.2)
    ui.wait("box('FILE_BROWSER', 'EXECUTE') is not None")
    ui.find("file.execute()", 0.9, "FILE_BROWSER", "EXECUTE")
    see("export")
    ui.click()
    ui.wait("box('FILE_BROWSER', 'WINDOW') is None", PATIENCE)
    return max(ui.screen.home.glob("*.glb"), key=lambda path: path.stat().st_mtime)
