"""Files that older versions of FreeTalk made open, play, go on and can be cleaned: the versions are taken from git."""

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import bpy
import pytest
from conftest import light_scene

from freetalk_blender.blender import cleanup, marks, placed, takes

ROOT = Path(__file__).resolve().parents[2]
#: The first version from the panel, before there were takes; the first with takes; the last before strips kept names.
VERSIONS = ("8e05e9d", "008e446", "bacd2d0")
_SAVE = """
import os, sys
sys.path.insert(0, sys.argv[1])
import bpy
import freetalk_blender
freetalk_blender.register()
bpy.ops.wm.open_mainfile(filepath=sys.argv[2])
scene = bpy.context.scene
scene.freetalk.face = bpy.data.objects["head"]
scene.freetalk.sound_file, scene.freetalk.landmarks, scene.freetalk.happy = sys.argv[3], sys.argv[4], 0.5
assert bpy.ops.freetalk.animate() == {"FINISHED"}
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[5])
print("SAVED", flush=True)
os._exit(0)
"""


@pytest.fixture(params=VERSIONS)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with an older version of the add-on and its networks."""
    words = ["git", "-C", str(ROOT), "archive", request.param, "freetalk_blender", "onnx_models"]
    packed = subprocess.run(words, capture_output=True)
    if packed.returncode:
        pytest.skip(f"git does not hold version {request.param} here")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(tmp_path / "older", filter="data")
    shutil.copy2(ROOT / "onnx_models/speech_encoder.data", tmp_path / "older/onnx_models")
    return tmp_path / "older"


def test_a_file_of_an_older_version_opens_plays_goes_on_and_can_be_cleaned(
    older: Path, bare_face: tuple, short_clip: Path, head_landmarks: Path, tmp_path: Path, addon: None
) -> None:
    item = light_scene(bare_face, short_clip)
    placed.forget(item)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    words = [older, tmp_path / "scene.blend", short_clip, head_landmarks, tmp_path / "older.blend"]
    done = subprocess.run([sys.executable, "-c", _SAVE, *map(str, words)], capture_output=True, text=True)
    assert "SAVED" in done.stdout, done.stderr[-2000:]

    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "older.blend"))
    scene = bpy.context.scene
    (copy,) = marks.all_copies()
    assert scene.freetalk.face.name == "head" and scene.freetalk.happy == 0.5
    before = {block.name: block.value for block in copy.data.shape_keys.key_blocks}
    scene.frame_set(30)
    assert {block.name: block.value for block in copy.data.shape_keys.key_blocks} != before, "it plays"
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    (copy,) = marks.all_copies()
    assert takes.current(copy) is not None
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert list(cleanup.found()) == [] and not scene.objects["head"].hide_get()
