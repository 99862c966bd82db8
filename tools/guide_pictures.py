"""The pictures of docs/guide.md, made by going through it: `python3 build.py pictures --scan FILE` makes them anew."""

from pathlib import Path

from . import blender_ui, extension, first_clip
from .blender_ui import Ui
from .steps import BUILD, ROOT, BuildError, say

PICTURES = ROOT / "docs" / "images"
#: Pixels across; what a page shows.
_WIDTH = 1280
_LIMIT = 150_000
#: A frame in mid-sentence.
_SPEAKING = 60


def make(python: Path, scan: Path = first_clip.SCAN) -> list[Path]:
    """Go through the guide with a scan (.obj); the pictures. python: the one that builds the zip."""
    made: list[Path] = []
    with blender_ui.blender(BUILD / "guide") as ui:
        package = extension.build(python, first_clip.target(ui))

        def see(name: str) -> None:
            if name == "talking":
                ui.value(f"bpy.context.scene.frame_set({_SPEAKING})")
            made.append(ui.picture(PICTURES / f"guide-{name}.jpg", _WIDTH))

        first_clip.install(ui, package, see)
        first_clip.open_tab(ui)
        first_clip.add_scan(ui, scan, see=see)
        first_clip.choose_speech(ui, see=see)
        first_clip.animate(ui, see)
        glb = first_clip.export(ui, see)
        say(f"{ui.clicks} clicks from {package.name} to {glb.name} of {scan.name}, {glb.stat().st_size / 1e6:.1f} MB")
        _feel(ui)
        see("emotion")
        _place(ui)
        see("landmarks")
        _prefer(ui)
        see("preferences")
    heavy = [path.name for path in made if path.stat().st_size > _LIMIT]
    if heavy:
        raise BuildError(f"More than {_LIMIT // 1000} kB for a page: {', '.join(heavy)}.")
    return made


def _feel(ui: Ui) -> None:
    """A happy face in mid-sentence, from close by."""
    ui.value("setattr(bpy.context.scene.freetalk, 'happy', 0.9)")
    first_clip.animate(ui)
    first_clip.over_viewport(ui)
    ui.scroll(-4)


def _place(ui: Ui) -> None:
    """The landmarks as points that can be dragged."""
    ui.press("freetalk.landmarks_edit(", 0.75)
    ui.wait("'FreeTalk 48' in bpy.data.objects")


def _prefer(ui: Ui) -> None:
    """FreeTalk's preferences."""
    ui.press("freetalk.landmarks_cancel(", 0.75)
    ui.value("bpy.ops.preferences.addon_show(module='bl_ext.user_default.freetalk') and None")
    ui.settle(50)
