"""The steps of the user guide's first clip, as a person takes them: used by tests/ui and for the guide's pictures.

`see` is called with a name at each moment that is worth a picture.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from . import extension
from .blender_ui import Ui
from .steps import BUILD, ROOT

EXAMPLES = ROOT / "examples"
#: Screenshots of the last test run; `share` below it is what Blender and its tests share.
PICTURES = BUILD / "ui"
#: Expressions for Blender: whether Animate runs, and the names of talking copies.
RUNNING = "any(op.bl_idname == 'FREETALK_OT_animate' for op in bpy.context.window_manager.windows[0].modal_operators)"
TALKING = "[item.name for item in bpy.data.objects if 'freetalk_original' in item]"
See = Callable[[str], object]


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
    ui.wait("hasattr(bpy.types.Scene, 'freetalk')", 180)
    file.unlink()


def open_tab(ui: Ui) -> None:
    """N over the viewport, then the tab. One click."""
    over_viewport(ui)
    if not ui.value("box('VIEW_3D', 'UI')"):
        ui.key("n")
        ui.wait("box('VIEW_3D', 'UI')")
    ui.tab("FreeTalk")


def add_scan(ui: Ui, scan: Path = EXAMPLES / "head.obj", see: See = blind) -> None:
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


def choose_speech(ui: Ui, speech: Path = EXAMPLES / "speech.flac", see: See = blind) -> None:
    """The folder beside the sound file, then a double-click on the file. Two clicks."""
    shutil.copy2(speech, ui.screen.home)
    _, y = ui.find("freetalk.sound_file")
    left, _, width, _ = ui.box("VIEW_3D", "UI")
    ui.click(left + width - 45, y)
    ui.choose(speech.name, see=lambda: see("speech"))
    ui.wait("bpy.context.scene.freetalk.sound_file != ''")


def animate(ui: Ui, see: See = blind) -> float:
    """Press Animate and wait; the seconds it took. One click."""
    ui.press("freetalk.animate(")
    if see is not blind:
        ui.wait(RUNNING)
        see("animate")
    seconds = ui.wait(f"not {RUNNING} and {TALKING}", 180)
    see("talking")
    return seconds


def export(ui: Ui, see: See = blind) -> Path:
    """Press glTF, and Export in the file browser; the file. Two clicks."""
    ui.press("freetalk.export(", 0.2)
    ui.wait("box('FILE_BROWSER', 'EXECUTE') is not None")
    ui.find("file.execute()", 0.9, "FILE_BROWSER", "EXECUTE")
    see("export")
    ui.click()
    ui.wait("box('FILE_BROWSER', 'WINDOW') is None")
    return max(ui.screen.home.glob("*.glb"), key=lambda path: path.stat().st_mtime)
