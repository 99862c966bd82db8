"""Another version over the one that is there, in a running Blender, as a person drops it on the window."""

import zipfile
from pathlib import Path

import in_blender
from in_blender import folder

from tools import first_clip
from tools.blender_ui import Ui
from tools.first_clip import PICTURES

_VERSION = """
import sys, tomllib
def version():
    # what is on the disk, once it is switched on
    module = sys.modules.get(package)
    if module is None or not hasattr(bpy.types.Scene, "freetalk"):
        return ""
    with open(module.__path__[0] + "/blender_manifest.toml", "rb") as stream:
        return tomllib.load(stream)["version"]
"""


def as_version(package: Path, version: str, target: Path) -> Path:
    """The same zip under another version."""
    with zipfile.ZipFile(package) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename.endswith("blender_manifest.toml"):
                lines = content.decode().splitlines()
                words = [f'version = "{version}"' if line.startswith("version =") else line for line in lines]
                content = "\n".join(words).encode()
            out.writestr(entry, content)
    return target


def drop(ui: Ui, package: Path, version: str) -> None:
    """Drop the zip on the window and confirm; it is this version that runs then."""
    first_clip.install(ui, package, lambda name: ui.picture(PICTURES / f"upgrade-{version}.png"))
    ui.wait(f"version() == {version!r}", first_clip.PATIENCE)
    ui.ask(in_blender.FRESH)  # the modules of this version


def test_a_new_version_takes_the_place_of_an_old_one_without_a_restart(bench: Ui, zipped: Path, tmp_path: Path) -> None:
    log = bench.screen.share / "blender.log"
    bench.ask(_VERSION)
    new, said = bench.value("version()"), len(log.read_text())
    drop(bench, as_version(zipped, "0.0.1", tmp_path / "old.zip"), "0.0.1")
    bench.value(f"fresh({folder(bench)!r})")
    assert bench.value("press('animate')") == ""
    drop(bench, zipped, new)
    assert bench.value(first_clip.TALKING) == ["head FreeTalk"], "what the old version made"
    bench.value("slide('happy', 0.8)")
    first_clip.animate(bench)
    bench.picture(PICTURES / "upgraded.png")
    assert bench.value("press('remove')") == ""
    assert "Traceback" not in log.read_text()[said:]
