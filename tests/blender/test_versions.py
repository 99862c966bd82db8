"""The same code in the other Blenders: 4.2 LTS, 5.2. `build.py blenders` makes their environments."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]

_TALK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import bpy
import freetalk_blender
freetalk_blender.register()
from freetalk_blender.blender import compat
from freetalk_blender import cli
out = sys.argv[2]
words = ["animate", *sys.argv[3:5], "--landmarks", sys.argv[5], "--fps", "25", "--json"]
code = cli.main(words + [word for suffix in ("glb", "fbx", "usdc", "blend") for word in ("-o", f"{out}.{suffix}")])
copy = next(item for item in bpy.context.scene.objects if "freetalk_landmarks" in item)
curves = compat.fcurves(copy.data.shape_keys)
keys = [len(curve.keyframe_points) for curve in curves]
bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
bpy.ops.import_scene.gltf(filepath=f"{out}.glb")
again = next(item for item in bpy.context.scene.objects if item.type == "MESH")
freetalk_blender.unregister()
print("ANSWER" + json.dumps({"code": code, "version": bpy.app.version_string, "keys": keys,
    "imported": len(again.data.shape_keys.key_blocks) - 1}))
"""


@pytest.mark.parametrize("version", ["4.2", "5.2"])
def test_another_blender_bakes_and_exports_the_same(
    version: str, tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path
) -> None:
    python = ROOT / f".venv-blender-{version}" / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"no Blender {version} here; `python3 build.py blenders` installs its wheel")
    words = [str(word) for word in (ROOT, tmp_path / "talk", head, short_clip, head_landmarks)]
    done = subprocess.run([str(python), "-c", _TALK, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.split("ANSWER")[-1])
    assert answer["code"] == 0 and answer["version"].startswith(version)
    assert len(answer["keys"]) >= 4 and set(answer["keys"]) == {51}
    assert answer["imported"] == len(answer["keys"])
    assert {path.suffix for path in tmp_path.iterdir()} >= {".glb", ".fbx", ".usdc", ".blend"}


_RETIMED = """
import sys
sys.path.insert(0, sys.argv[1])
import bpy
from freetalk_blender.blender import sound
scene = bpy.context.scene
scene.render.fps = 25
strip = sound.add_strip(scene, sys.argv[2], 10)
other = sound.add_strip(scene, sys.argv[2], 10)
strip.retiming_keys.add(timeline_frame=10)
strip.retiming_keys.add(timeline_frame=60)
strip.retiming_keys[1].timeline_frame = 35
before = (scene.frame_start, scene.frame_end, strip.mute, other.mute, strip.volume)
source = sound.from_strip(scene, strip)
assert before == (scene.frame_start, scene.frame_end, strip.mute, other.mute, strip.volume)
clip = source.clip()
peak = clip.samples[-2000:].max()
for second, heard in ((1.0, 2.0), (2.0, 2 + 2 / 3), (3.5, 2 + 5 / 3)):
    found = 4 * clip.samples[round(second * clip.rate)] / peak
    assert abs(found - heard) < 0.05, (second, heard, found)
assert clip.start == 10 and abs(len(clip.samples) / clip.rate - 4) < 0.01
print("HEARD")
"""


def test_a_strip_whose_speed_was_changed_is_heard_as_blender_plays_it(tmp_path: Path) -> None:
    """Four seconds whose value tells the time; the first two play twice as fast. (4.5 crashes on adding such keys.)"""
    python = ROOT / ".venv-blender-5.2" / "bin" / "python"
    if not python.is_file():
        pytest.skip("no Blender 5.2 here; `python3 build.py blenders` installs its wheel")
    soundfile.write(tmp_path / "ramp.wav", np.linspace(0, 1, 64000, endpoint=False), 16000, subtype="FLOAT")
    words = [str(python), "-W", "ignore", "-c", _RETIMED, str(ROOT), str(tmp_path / "ramp.wav")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "HEARD" in done.stdout, done.stderr
