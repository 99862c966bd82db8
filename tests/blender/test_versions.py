"""The same code in the other Blenders: 4.2 LTS, 5.2 LTS, 5.3. `build.py blenders` makes their environments."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tools.steps import ROOT, STAMP, venv_python

#: At Python's end, as modules, 4.2 crashes where its glTF exporter was used, and 4.5 may wait for its sound device.
_END = """
import os
sys.stdout.flush()
os._exit(0)
"""
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


@pytest.mark.parametrize("version", ["4.2", "5.2", "5.3"])
def test_another_blender_bakes_and_exports_the_same(
    version: str, tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path
) -> None:
    told = run_in(version, _TALK, tmp_path / "talk", head, short_clip, head_landmarks)
    answer = json.loads(told.split("ANSWER")[-1])
    assert answer["code"] == 0 and answer["version"].startswith(version)
    assert len(answer["keys"]) >= 4 and set(answer["keys"]) == {51}
    assert answer["imported"] == len(answer["keys"])
    assert {path.suffix for path in tmp_path.iterdir()} >= {".glb", ".fbx", ".usdc", ".blend"}


_PANEL = """
import json, sys
sys.path.insert(0, sys.argv[1])
import bpy
import freetalk_blender
freetalk_blender.register()
from freetalk_blender.blender import cleanup, landmark_points, marks, takes
from freetalk_blender.blender.marks import PREVIEW
from freetalk_blender.blender.ui import live
from freetalk_blender.core import frame, landmarks
saved, scan, sound, points = sys.argv[2:6]
bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
bpy.ops.wm.obj_import(filepath=scan, forward_axis="Y", up_axis="Z")
face, placed = bpy.context.object, landmarks.read(points).points
canonical = frame.canonical_frame(placed)
behind = canonical.to_mesh(canonical.to_canonical(placed[57]) + [0, 0.02, -0.15])
bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2, radius=0.06 * canonical.scale, location=behind)
teeth = bpy.context.object
scene = bpy.context.scene
scene.render.fps = 25
scene.freetalk.face = face
scene.freetalk.sound_file, scene.freetalk.landmarks = sound, points
assert bpy.ops.freetalk.animate() == {"FINISHED"}
(copy,) = marks.all_copies()
own = slice(len(face.data.vertices), len(face.data.vertices) + len(teeth.data.vertices))
keys = [block.points[own] for block in copy.data.shape_keys.key_blocks]
moved = [(there.co - here.co).length for shape in keys[1:] for there, here in zip(shape, keys[0])]
assert max(moved) > 0.01 * canonical.scale and teeth.hide_get(), "teeth of their own go with the jaw"
scene.freetalk.happy = 0.9
live.watch(bpy.context)
assert PREVIEW in copy.data.shape_keys.key_blocks
scene.frame_set(30)
assert bpy.ops.freetalk.rebake() == {"FINISHED"} and PREVIEW not in copy.data.shape_keys.key_blocks
assert bpy.ops.freetalk.take_new() == {"FINISHED"}
assert bpy.ops.freetalk.preset(preset="SAD") == {"FINISHED"}
scene.freetalk.keyframe_insert("sad", frame=5)
assert bpy.ops.freetalk.animate() == {"FINISHED"} and len(takes.listed(copy)) == 2
assert bpy.ops.freetalk.landmarks_edit() == {"FINISHED"} and len(landmark_points.points()) == 68
assert bpy.ops.freetalk.landmarks_cancel() == {"FINISHED"}
for suffix in ("glb", "fbx", "usdc"):
    assert bpy.ops.freetalk.export(filepath=f"{saved}.{suffix}") == {"FINISHED"}
bpy.ops.wm.save_as_mainfile(filepath=saved)
assert bpy.ops.freetalk.remove() == {"FINISHED"} and not teeth.hide_get()
assert list(cleanup.found()) == [], list(cleanup.found())
freetalk_blender.unregister()
print("SAVED")
"""
_PLAYED = """
import sys
sys.path.insert(0, sys.argv[1])
import bpy
import numpy as np
bpy.ops.wm.open_mainfile(filepath=sys.argv[2])
copy = next(item for item in bpy.data.objects if item.name.endswith(" FreeTalk"))

def seen(frame):
    bpy.context.scene.frame_set(frame)
    mesh = copy.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)

assert np.linalg.norm(seen(30) - seen(1), axis=1).max() > 2, "it plays without the extension"
import freetalk_blender
freetalk_blender.register()
from freetalk_blender.blender import cleanup, marks, takes
(copy,) = marks.all_copies()
assert [take.name for take in takes.listed(copy)] == ["head take 1", "head take 2"]
assert bpy.ops.freetalk.take_choose(take="head take 1") == {"FINISHED"}
assert bpy.context.scene.freetalk.sad > 0.5
assert bpy.ops.freetalk.animate() == {"FINISHED"} and len(marks.all_copies()) == 1
assert bpy.ops.freetalk.remove() == {"FINISHED"}
assert list(cleanup.found()) == [], list(cleanup.found())
freetalk_blender.unregister()
print("PLAYED")
"""


def run_in(version: str, script: str, *words: object) -> str:
    """What a script prints in another Blender; .venv's own where the version is empty."""
    venv = ROOT / (f".venv-blender-{version}" if version else ".venv")
    python = venv_python(venv)
    if version and not (venv / STAMP).is_file():
        pytest.skip(f"no Blender {version} here; `python3 build.py blenders` installs its wheel")
    command = [str(python), "-W", "ignore", "-c", script + _END, str(ROOT), *map(str, words)]
    filled = {**os.environ, "MALLOC_PERTURB_": "165"}  # what is read before it was written is never 0 by chance
    done = subprocess.run(command, capture_output=True, text=True, env=filled)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("version", "later"), [("4.2", ("", "5.2", "5.3")), ("5.2", ("5.2", "5.3")), ("5.3", ("5.3",))]
)
def test_the_panel_works_in_another_blender_and_its_file_opens_in_the_others(
    version: str, later: tuple[str, ...], tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path
) -> None:
    """An older file in a newer Blender; a newer file in the same, which is all that Blender itself promises."""
    saved = tmp_path / "saved.blend"
    assert "SAVED" in run_in(version, _PANEL, saved, head, short_clip, head_landmarks)
    assert {f"saved.blend.{suffix}" for suffix in ("glb", "fbx", "usdc")} <= {path.name for path in tmp_path.iterdir()}
    for other in later:
        assert "PLAYED" in run_in(other, _PLAYED, saved)


_RETIMED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import bpy
from freetalk_blender.blender import compat, sound
scene = bpy.context.scene
scene.render.fps = 25
start = -30 if sys.argv[4] == "early" else 10
strip, other = (sound.add_strip(scene, Path(sys.argv[2]), start) for _ in range(2))
strip.name = "fast"
strip.retiming_keys.add(timeline_frame=start)
strip.retiming_keys.add(timeline_frame=start + 50)
strip.retiming_keys[1].timeline_frame = start + 25
if sys.argv[4] == "silenced":
    meta = compat.strips(scene).new_meta("meta", 5, 1)
    strip.move_to_meta(meta)
    meta.frame_final_end = strip.frame_final_end
    strip.volume, scene.audio_volume, scene.use_audio, meta.mute = 0, 0, False, True
    strip.keyframe_insert("volume", frame=1)
    for channel in scene.sequence_editor.channels:
        channel.mute = True
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[3])
"""
_HEARD = """
import sys
sys.path.insert(0, sys.argv[1])
import bpy
import numpy as np
from freetalk_blender.blender import compat, sound
bpy.ops.wm.open_mainfile(filepath=sys.argv[2])
scene = bpy.context.scene
strip = sound.find_strip(scene, "fast")
assert len(strip.retiming_keys)
def found():
    kept = [scene.frame_start, scene.frame_end, scene.audio_volume, scene.use_audio, strip.volume]
    kept += [channel.mute for channel in scene.sequence_editor.channels]
    kept += [(other.name, other.mute) for other in compat.all_strips(scene)]
    return kept, [len(data) for data in (bpy.data.scenes, bpy.data.sounds, bpy.data.actions)]
before = found()
source = sound.from_strip(scene, strip)
assert before == found()
clip = source.clip()
loud = np.convolve(np.abs(clip.samples), np.ones(800) / 800, "same")
peaks = [start + loud[round(start * clip.rate) :][: clip.rate // 2].argmax() / clip.rate for start in (0, 0.5, 1.5, 3)]
assert np.allclose(peaks, (0.25, 0.75, 1.75, 3.25), atol=0.12), peaks  # Blender's stretching itself is early by 0.09
assert clip.start == int(sys.argv[3]) and abs(len(clip.samples) / clip.rate - 4) < 0.05
print("HEARD")
"""


@pytest.mark.parametrize(
    ("version", "scene"), [("", "plain"), ("", "silenced"), ("5.2", "silenced"), ("", "early"), ("5.2", "early")]
)
def test_a_strip_whose_speed_was_changed_is_heard_as_blender_plays_it(version: str, scene: str, tmp_path: Path) -> None:
    """Beeps at 0.5, 1.5, 2.5 and 3.5 s; the first two seconds play twice as fast. What silences strips does not count,
    nor that one begins before frame 0, which no scene does.

    5.2 makes the file, for 4.5 as a module crashes on adding such keys; it hears them all the same.
    """
    time = np.arange(64000) / 16000
    beeps = np.sin(2 * np.pi * 400 * time) * (np.abs(time % 1 - 0.5) < 0.04)
    soundfile.write(tmp_path / "beeps.wav", beeps, 16000, subtype="FLOAT")
    run_in("5.2", _RETIMED, tmp_path / "beeps.wav", tmp_path / "fast.blend", scene)
    assert "HEARD" in run_in(version, _HEARD, tmp_path / "fast.blend", -30 if scene == "early" else 10)


_STOPPED = """
import sys
sys.path.insert(0, sys.argv[1])
import bpy
from freetalk_blender.blender import sound
from freetalk_blender.core.errors import AudioError
bpy.ops.wm.open_mainfile(filepath=sys.argv[2])
scene = bpy.context.scene
try:
    bpy.ops.render.render(scene=bpy.data.scenes.new("without a camera").name)
except RuntimeError:
    pass
try:
    sound.from_strip(scene, sound.find_strip(scene, "fast"))
except AudioError as error:
    print("TOLD", error)
"""


def test_a_strip_that_blender_stops_playing_is_not_taken_for_a_short_one(tmp_path: Path) -> None:
    """5.2 plays no strip to its end after a rendering was stopped or failed."""
    soundfile.write(tmp_path / "hum.wav", np.sin(np.arange(64000) / 9), 16000)
    run_in("5.2", _RETIMED, tmp_path / "hum.wav", tmp_path / "fast.blend", "plain")
    assert "TOLD The strip fast has another speed, and Blender" in run_in("5.2", _STOPPED, tmp_path / "fast.blend")


_FILM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import bpy
from freetalk_blender.blender import render, scene
from freetalk_blender.blender.formats import files
from freetalk_blender.core.frame import mean_landmarks
files.empty_scene()
bpy.ops.mesh.primitive_cube_add()
bpy.context.object[scene.LANDMARKS] = mean_landmarks().ravel().tolist()
bpy.context.scene.frame_start = bpy.context.scene.frame_end = 3
render.film(Path(sys.argv[2]), bpy.context.object, lambda share: None)
"""


@pytest.mark.parametrize("version", ["4.2", "5.2", "5.3"])
def test_a_film_is_written_where_a_folder_has_braces_in_its_name(version: str, tmp_path: Path) -> None:
    """Blender 4.5 and later read variables there, of which it knows some."""
    run_in(version, _FILM, tmp_path / "v{fps} {x}" / "face.mp4")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.mp4")] == ["v{fps} {x}/face.mp4"]
    assert len([*tmp_path.iterdir()]) == 1
