"""A person's first clip in a real Blender: install, press N, animate, think again, export, save, come back, play."""

import sys
from pathlib import Path

import numpy as np
import read_glb
from in_blender import open_file, save_file

from tools import extension, first_clip
from tools.blender_ui import Ui
from tools.first_clip import PICTURES

_FRAME = "bpy.context.scene.frame_current"


def test_the_zip_installs_without_a_network_and_every_wheel_of_it_loads(installed: Ui) -> None:
    pins = extension.bundled(Path(sys.executable), first_clip.target(installed))
    names = [pin.split("==")[0] for pin in pins]
    found = installed.ask(f"""
import importlib.metadata, importlib
found = {{}}
for name in {names!r}:
    files = importlib.metadata.distribution(name).files
    tops = {{file.parts[0].split(".")[0] for file in files if file.parts[-1] == "__init__.py" or len(file.parts) == 1}}
    for top in sorted(tops - {{"", ".", ".."}}):
        found[top] = importlib.import_module(top).__file__ or ""
answer = found
""")
    assert {"scipy", "onnxruntime", "soundfile", "soxr", "robust_laplacian", "cholespy"} <= set(found)
    assert all("user/extensions" in path for path in found.values()), found
    assert installed.value("bpy.app.online_access") is False


def test_escape_leaves_the_scene_as_it_was_at_once(silent: Ui) -> None:
    before = silent.value("everything()")
    with first_clip.held(silent, "bind the face"):
        with first_clip.finished(silent):
            silent.press("freetalk.animate(")
            silent.wait("cancel.held.is_set()", first_clip.PATIENCE)
            assert silent.value(first_clip.RUNNING)
            silent.picture(PICTURES / "running.png")
            first_clip.over_viewport(silent)
            silent.key("Escape")
        assert silent.value("everything()") == before
        silent.picture(PICTURES / "stopped.png")
    silent.wait("not working()", first_clip.PATIENCE)
    silent.settle(50)
    assert silent.value("everything()") == before, "the stopped work came back"


def test_undo_takes_a_whole_animation_back(silent: Ui) -> None:
    before = silent.value("everything()")
    first_clip.animate(silent)
    silent.picture(PICTURES / "animated.png")
    assert silent.value("everything()") != before
    first_clip.over_viewport(silent)
    silent.key("ctrl+z")
    silent.wait(f"not {first_clip.TALKING}")
    silent.picture(PICTURES / "undone.png")
    assert silent.value("everything()") == before


def test_from_zip_to_glb_takes_eight_clicks(silent: Ui, clicks: dict[str, int]) -> None:
    before = silent.clicks
    first_clip.animate(silent)
    glb = first_clip.export(silent, lambda name: silent.picture(PICTURES / f"{name}.png"))
    clicks["animate, export"] = silent.clicks - before
    assert sum(clicks.values()) == 8, clicks
    morphs = read_glb.read(glb)
    last = int(silent.value("max(action.frame_range[1] for action in bpy.data.actions)"))
    assert np.allclose(morphs.times, np.arange(1, last + 1) / 24), "each frame, and as it comes to rest"
    assert morphs.weights.shape == (len(morphs.times), len(morphs.names)) and not morphs.weights[-1].any()
    moved = np.einsum("tk,kvc->tvc", morphs.weights, morphs.shapes)
    size = np.ptp(morphs.positions, axis=0).max()
    assert 0.01 * size < np.linalg.norm(moved, axis=2).max() < 0.2 * size


def test_a_saved_file_talks_again_when_it_is_opened(silent: Ui) -> None:
    first_clip.animate(silent)
    save_file(silent, "talking")
    silent.value("bpy.ops.wm.read_homefile(use_factory_startup=False) and None")
    assert not silent.value(first_clip.TALKING)
    open_file(silent, "talking")
    assert silent.value(first_clip.TALKING)
    shapes = "[round(block.value, 4) for block in bpy.data.objects['head FreeTalk'].data.shape_keys.key_blocks]"
    silent.value("bpy.context.scene.frame_set(1)")
    first_clip.over_viewport(silent)
    silent.key("space")
    silent.wait(f"{_FRAME} > 20")
    first, second = (silent.ask(f"bpy.context.scene.frame_set({f})\nanswer = {shapes}") for f in (40, 60))
    silent.picture(PICTURES / "playing.png")
    silent.key("Escape")
    assert first != second and any(first)
