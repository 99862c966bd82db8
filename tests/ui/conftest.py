"""One Blender with its window for all tests of this folder, the built zip installed in it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import in_blender
import numpy as np
import pytest
from in_blender import open_file, save_file

from tools import blender_ui, desktop, extension, first_clip
from tools.blender_ui import Ui
from tools.first_clip import PICTURES


def photograph(ui: Ui) -> first_clip.See:
    """Keep a picture of each step."""
    return lambda name: ui.picture(PICTURES / f"{name}.png")


@pytest.fixture(scope="session")
def ui() -> Iterator[Ui]:
    if not os.environ.get(desktop.VARIABLE) and not os.environ.get("FREETALK_UI"):
        pytest.skip(f"`build.py test --ui` drives a real Blender; so does {desktop.VARIABLE}=its path")
    try:
        with blender_ui.blender(PICTURES / "share") as blender:
            yield blender
    except desktop.NoDesktopError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def at_rest(ui: Ui) -> Iterator[None]:
    """What a test that failed left open or running is none of the next one's business."""
    first_clip.rest(ui)
    yield


@pytest.fixture(scope="session")
def clicks() -> dict[str, int]:
    """Clicks of each part of the way to the first clip."""
    return {}


@pytest.fixture(scope="session")
def zipped(ui: Ui) -> Path:
    """FreeTalk's zip for the Python of this Blender."""
    target = first_clip.target(ui)
    if target.python not in extension.PYTHONS_OF[target.platform]:
        pytest.skip(f"this Blender runs Python {target.python}, for which there is no zip")
    return extension.build(Path(sys.executable), target)


@pytest.fixture(scope="session")
def installed(ui: Ui, zipped: Path, clicks: dict[str, int]) -> Ui:
    """FreeTalk installed by a drop of the zip on the window; its tab open; the window knows what tests ask for."""
    first_clip.install(ui, zipped, photograph(ui))
    first_clip.open_tab(ui)
    clicks["install, open the tab"] = ui.clicks
    ui.ask(in_blender.HELPERS)
    return ui


@pytest.fixture(scope="session")
def ready(installed: Ui, clicks: dict[str, int]) -> Ui:
    """The sample scan and its sentence, chosen in the panel."""
    before = installed.clicks
    first_clip.add_scan(installed, see=photograph(installed))
    first_clip.choose_speech(installed, see=photograph(installed))
    clicks["scan, speech"] = installed.clicks - before
    save_file(installed, "ready")
    return installed


@pytest.fixture
def silent(ready: Ui) -> Ui:
    """The file that `ready` kept, opened anew: nothing animated, undone or remembered, whatever ran before."""
    open_file(ready, "ready")
    ready.ask("importlib.import_module('bl_ext.user_default.freetalk.blender.session').clear()")
    return ready


@pytest.fixture(scope="session")
def bench(installed: Ui, bare_face: tuple, short_clip: Path) -> Ui:
    """A window in which `fresh` makes the sample's face without its head, and two seconds of sound."""
    vertices, triangles, points = bare_face
    share = installed.screen.share
    np.savez(share / "face.npz", vertices=vertices, triangles=triangles, points=points)
    (share / "short.wav").write_bytes(short_clip.read_bytes())
    installed.ask(in_blender.FRESH)
    return installed
