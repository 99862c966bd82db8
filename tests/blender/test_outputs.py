"""From command to file and back: every format is written by the command line and opened again.

One run on the project's own sample (0.8 s of silence, then speech) makes them all. The truth is the .npz, the
displacement of the scan's own vertices; in each file the lips must do the same at the same times.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import teeth_behind
from read_glb import read
from test_live import evaluated

from freetalk_blender import cli
from freetalk_blender.blender import compat, marks, meshes, render, scene, sound, spoken, takes
from freetalk_blender.blender.formats import files, saving
from freetalk_blender.core import arkit, landmarks
from freetalk_blender.core.frame import canonical_frame, transformed
from freetalk_blender.core.mouth import inner_mouth
from freetalk_blender.core.surface import scan_file
from freetalk_blender.core.voice import audio

#: The voice begins at frame 20; lips may prepare for it, but not in the first 0.4 s.
FPS, FRAMES, SILENT = 25, 51, 10
OUTPUTS = ("npz", "glb", "fbx", "usdc", "blend", "mp4", "png")
#: Shape keys are made to 0.1 mm; each of the two points may be off by that much, and formats round.
TOLERANCE = 0.25


@dataclass
class Run:
    folder: Path
    answer: dict
    neutral: np.ndarray
    aperture: np.ndarray
    told: str

    def __getitem__(self, suffix: str) -> Path:
        return self.folder / f"talk.{suffix}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, head: Path, head_landmarks: Path, short_clip: Path) -> Run:
    folder = tmp_path_factory.mktemp("outputs")
    words = ["animate", head, short_clip, "--landmarks", head_landmarks, "--fps", FPS, "--json"]
    words += [word for suffix in OUTPUTS for word in ("-o", folder / f"talk.{suffix}")]
    done = subprocess.run(
        [sys.executable, "-m", "freetalk_blender", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=head.parents[1],
    )
    assert done.returncode == 0, done.stderr
    points = landmarks.read(head_landmarks).points
    vertices = scan_file.read(head)[0]
    pair = [np.linalg.norm(vertices - points[mark], axis=1).argmin() for mark in (51, 57)]
    with np.load(folder / "talk.npz") as arrays:
        dense = arrays["displacement"]
    assert dense.shape == (FRAMES, len(vertices), 3)
    moved = vertices[pair] + dense[:, pair]
    aperture = np.linalg.norm(moved[:, 0] - moved[:, 1], axis=1)
    return Run(folder, json.loads(done.stdout), vertices[pair], aperture, done.stderr)


def aperture_in_scene(run: Run, item: bpy.types.Object, to_scan: np.ndarray, first: int) -> np.ndarray:
    """(T,) distance of the two lip points over the frames, of an object in Blender; to_scan (4,4): world to scan."""
    own = transformed(to_scan @ meshes.world(item), meshes.vertices(item.data))
    pair = [np.linalg.norm(own - point, axis=1).argmin() for point in run.neutral]
    assert np.linalg.norm(own[pair] - run.neutral, axis=1).max() < 0.01, "the neutral face is where the scan was"
    found = []
    for frame in range(first, first + FRAMES):
        bpy.context.scene.frame_set(frame)
        mesh = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        points = np.array([mesh.vertices[index].co for index in pair])
        points = transformed(to_scan @ meshes.world(item), points)
        found.append(np.linalg.norm(points[0] - points[1]))
    return np.array(found)


def assert_same_motion(run: Run, aperture: np.ndarray) -> None:
    assert len(aperture) == FRAMES
    assert np.abs(aperture - run.aperture).max() < TOLERANCE


def test_the_mouth_rests_in_silence_and_moves_in_speech(run: Run) -> None:
    """Without this, equal files would prove nothing."""
    still = np.ptp(run.aperture[:SILENT])
    moving = np.ptp(run.aperture[SILENT:])
    assert moving > 3 and moving > 4 * still, f"{moving:.2f} mm in speech, {still:.2f} mm in silence"


def test_the_answer_names_files_steps_and_errors(run: Run) -> None:
    assert [Path(path).suffix[1:] for path in run.answer["outputs"]] == list(OUTPUTS)
    assert run.answer["frames"] == FRAMES and run.answer["max_error_mm"] <= 0.1
    assert {"bind the face", "perform the speech", "bake", "write talk.glb"} <= set(run.answer["seconds"])
    assert sorted(path.name for path in run.folder.iterdir()) == sorted(f"talk.{suffix}" for suffix in OUTPUTS)


def test_gltf_read_by_an_independent_reader_moves_as_the_truth(run: Run) -> None:
    morphs = read(run["glb"])
    assert np.allclose(morphs.times, np.arange(FRAMES) / FPS, atol=1e-4), "second 0 is the sound's first sample"
    assert len(morphs.names) == len(morphs.shapes) == run.answer["shape_keys"]
    assert np.abs(morphs.weights).max() <= 1 + 1e-6
    pair = [np.linalg.norm(morphs.positions - point, axis=1).argmin() for point in run.neutral]
    moved = morphs.positions[pair] + np.einsum("tk,kvc->tvc", morphs.weights, morphs.shapes[:, pair])
    assert_same_motion(run, np.linalg.norm(moved[:, 0] - moved[:, 1], axis=1))


def test_the_face_is_bound_once_for_all_outputs(run: Run) -> None:
    assert run.told.count("bind the face") == 1 and run.told.count("read the scan") == 2


def test_gltf_comes_back_into_blender(run: Run) -> None:
    scan = files.load(run["glb"])
    bpy.context.scene.render.fps = FPS
    files.load(run["glb"])  # again: the importer places keys by the scene's rate, which the first reading did not know
    item = next(item for item in bpy.context.scene.objects if item.type == "MESH")
    assert item.data.shape_keys is not None and scan is not None
    names = [block.name for block in item.data.shape_keys.key_blocks]
    tongue = [*inner_mouth.KEYS]
    assert names[1:] == [*[f"FreeTalk {number:02d}" for number in range(1, len(names) - len(tongue))], *tongue]


def test_khronos_validator_finds_no_error_in_the_gltf(run: Run) -> None:
    validator = os.environ.get("FREETALK_GLTF_VALIDATOR")
    if not validator or not shutil.which("node"):
        pytest.skip("no node with gltf-validator here; build.py test fetches it where npm is installed")
    code = (
        "const v = require(process.argv[1]), fs = require('fs');"
        "v.validateBytes(new Uint8Array(fs.readFileSync(process.argv[2])))"
        ".then(r => console.log(JSON.stringify(r.issues)))"
    )
    done = subprocess.run(["node", "-e", code, validator, str(run["glb"])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    issues = json.loads(done.stdout)
    assert issues["numErrors"] == 0 and issues["numWarnings"] == 0, issues["messages"][:5]


def test_fbx_comes_back_with_its_curves(run: Run) -> None:
    files.empty_scene()
    bpy.context.scene.render.fps = FPS
    bpy.ops.import_scene.fbx(filepath=str(run["fbx"]), anim_offset=0)
    item = next(item for item in bpy.context.scene.objects if item.type == "MESH")
    assert len(item.data.shape_keys.key_blocks) == 1 + run.answer["shape_keys"]
    assert_same_motion(run, aperture_in_scene(run, item, np.linalg.inv(files.Y_UP), 0))


_USD = """
import json, sys
import numpy as np
from pxr import Usd, UsdGeom, UsdSkel
stage = Usd.Stage.Open(sys.argv[1])
neutral = np.array(json.loads(sys.argv[2]))
mesh = next(prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh))
animation = UsdSkel.Animation(next(prim for prim in stage.Traverse() if prim.IsA(UsdSkel.Animation)))
points = np.array(UsdGeom.Mesh(mesh).GetPointsAttr().Get(0))
world = np.array(UsdGeom.XformCache(0).GetLocalToWorldTransform(mesh))
placed = points @ world[:3, :3] + world[3, :3]
binding = UsdSkel.BindingAPI(mesh)
names = list(binding.GetBlendShapesAttr().Get())
shapes = []
for path in binding.GetBlendShapeTargetsRel().GetTargets():
    blend = UsdSkel.BlendShape(stage.GetPrimAtPath(path))
    offsets, indices = np.array(blend.GetOffsetsAttr().Get()), blend.GetPointIndicesAttr().Get()
    full = np.zeros_like(points)
    full[np.array(indices) if indices else slice(None)] = offsets
    shapes.append(full @ world[:3, :3])
order = [list(animation.GetBlendShapesAttr().Get()).index(name) for name in names]
pair = [int(np.linalg.norm(placed - point, axis=1).argmin()) for point in neutral]
found = []
for time in range(int(stage.GetStartTimeCode()), int(stage.GetEndTimeCode()) + 1):
    weights = np.array(animation.GetBlendShapeWeightsAttr().Get(time))[order]
    moved = placed[pair] + np.tensordot(weights, np.array(shapes)[:, pair], 1)
    found.append(float(np.linalg.norm(moved[0] - moved[1])))
print(json.dumps({"fps": stage.GetTimeCodesPerSecond(), "aperture": found, "keys": len(names)}))
"""


def test_usd_read_by_usd_core_moves_as_the_truth(run: Run) -> None:
    upright = transformed(files.Y_UP, run.neutral)
    done = subprocess.run(
        [sys.executable, "-c", _USD, str(run["usdc"]), json.dumps(upright.tolist())], capture_output=True, text=True
    )
    if "No module named 'pxr'" in done.stderr:
        pytest.skip("usd-core is not installed here")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["fps"] == FPS and found["keys"] == run.answer["shape_keys"]
    assert_same_motion(run, np.array(found["aperture"]))


def test_blend_holds_the_original_the_copy_and_the_sound(run: Run) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(run["blend"]))
    copy = scene.talking_object()
    original = copy["freetalk_original"]
    assert original.hide_render and original.data.shape_keys is None
    assert bpy.context.scene.render.fps == FPS
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (0, FRAMES - 1)
    if compat.can_make_sound():
        assert len(bpy.data.sounds) == 1 and bpy.data.sounds[0].packed_file is not None
    assert_same_motion(run, aperture_in_scene(run, copy, np.linalg.inv(files.Y_UP), 0))


def test_film_has_a_picture_a_sound_and_a_moving_mouth(run: Run, tmp_path: Path) -> None:
    content = run["mp4"].read_bytes()
    assert b"avc1" in content, "an H.264 picture"
    assert (b"mp4a" in content) == compat.can_make_sound(), "and AAC sound, where Blender was built with it"
    clip = bpy.data.movieclips.load(str(run["mp4"]))
    assert clip.frame_duration == FRAMES and list(clip.size) == [640, 640] and clip.fps == FPS
    widest = SILENT + int(np.abs(run.aperture[SILENT:] - run.aperture[0]).argmax())
    closed, opened, again = (picture(run["mp4"], tmp_path, frame) for frame in (1, widest, 3))
    mouth = (slice(178, 356), slice(214, 426))  # rows from the bottom
    moved, noise = np.abs(opened - closed)[mouth].mean(), np.abs(again - closed)[mouth].mean()
    assert closed[mouth].mean() > 0.1 and moved > 3 * noise


def picture(film: Path, folder: Path, frame: int) -> np.ndarray:
    """(640,640) brightness of a frame of a film, decoded by Blender's sequencer."""
    files.empty_scene()
    current = bpy.context.scene
    compat.ensure_strips(current).new_movie("film", str(film), 1, 0)
    current.render.resolution_x = current.render.resolution_y = 640
    current.view_settings.view_transform = "Standard"
    current.render.filepath = str(folder / f"{frame}.png")
    current.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(current.render.filepath)
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(640, 640, 4)[..., :3].mean(2)


def test_contact_sheet_is_a_picture_of_sixteen_times(run: Run) -> None:
    content = run["png"].read_bytes()
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (8 * 320, 4 * 320)
    image = bpy.data.images.load(str(run["png"]))
    sheet = np.array(image.pixels[:]).reshape(4, 320, 8, 320, 4)[..., :3].mean(-1)
    lips = sheet[[2, 0], :280, :, 20:300].transpose(0, 2, 1, 3).reshape(16, -1)  # rows from the bottom, no times
    shown = np.linspace(0, FRAMES - 1, 16).round().astype(int)
    widest = np.abs(run.aperture[shown] - run.aperture[0]).argmax()
    assert np.abs(lips[widest] - lips[0]).mean() > 0.01, "the mouth moves"


def test_a_blend_talks_in_its_own_scene(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, capsys: pytest.CaptureFixture
) -> None:
    """A .blend keeps its rate, its frames and what is around the face, which speaks when it shall and then rests."""
    scan = files.load(head)
    current = bpy.context.scene
    current.render.fps, current.frame_start, current.frame_end = 24, 101, 120
    bpy.ops.mesh.primitive_cube_add(location=(500, 0, 0))
    bpy.context.object.name = "bystander"
    saving.save(tmp_path / "room.blend")
    assert scan.item.name == "head"
    words = [
        "animate",
        tmp_path / "room.blend",
        short_clip,
        "--landmarks",
        head_landmarks,
        "-o",
        tmp_path / "out.blend",
        "-o",
        tmp_path / "out.npz",
        "--start",
        110,
        "--json",
    ]
    assert cli.main([str(word) for word in words]) == cli.DONE
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["fps"] == 24 and answer["frames"] == answer["arrays"]["displacement"][0] == 49
    with np.load(tmp_path / "out.npz") as arrays:
        assert float(arrays["fps"]) == 24
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out.blend"))
    copy = scene.talking_object()
    assert copy["freetalk_original"].name == "head" and "bystander" in bpy.data.objects
    assert bpy.context.scene.render.fps == 24
    (line,) = spoken.lines(takes.current(copy))
    assert (line.start, line.end, line.reach) == (110, 158, (101, 168))
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (101, 168)
    assert all(curve.evaluate(168) == 0 for curve in compat.existing_curves(copy.data.shape_keys))
    scene.extend_range(120, 130)
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (101, 168), "the first speaker's"


def test_arrays_of_a_blend_keep_its_rate_and_hear_what_blender_hears(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path
) -> None:
    """Also without any output that is a scene."""
    files.load(head)
    current = bpy.context.scene
    current.render.fps, current.frame_start, current.frame_end = 24, 1, 48
    saving.save(tmp_path / "room.blend")
    strip = sound.add_strip(current, short_clip, 1)
    if strip is None:
        pytest.skip("this Blender is built without audio")
    bpy.ops.sound.mixdown(filepath=str(tmp_path / "voice.mkv"), container="MATROSKA", codec="AAC")
    words = ["animate", tmp_path / "room.blend", tmp_path / "voice.mkv", "--landmarks", head_landmarks]
    assert cli.main([*map(str, [*words, "-o", tmp_path / "out.npz"])]) == cli.DONE
    with np.load(tmp_path / "out.npz") as arrays:
        assert float(arrays["fps"]) == 24 and abs(len(arrays["displacement"]) - 49) <= 2


def test_a_film_is_heard_for_arrays_and_scenes_alike(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr(sound, "load", lambda path, _channel: heard.append(path) or audio.load(short_clip))
    words = ["animate", head, "film.mkv", "--landmarks", head_landmarks]
    words += ["-o", tmp_path / "out.npz", "-o", tmp_path / "out.glb"]
    monkeypatch.setattr(sound, "add_strip", lambda *_: None)
    assert cli.main([*map(str, words)]) == cli.DONE
    assert heard == [Path("film.mkv")], "once for both"
    assert (tmp_path / "out.npz").is_file() and (tmp_path / "out.glb").is_file()


def test_a_character_of_several_objects_talks(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, capsys: pytest.CaptureFixture
) -> None:
    """Hair has more vertices than the head and is not taken for it; teeth become a part of the talking copy."""
    face = files.load(head).item
    count, points = len(face.data.vertices), landmarks.read(head_landmarks).points
    placed = canonical_frame(points)
    teeth_behind(face, points, "teeth")
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=7, radius=placed.scale, location=points[27] + [0, 400, -100])
    bpy.context.object.name = "hair"
    saving.save(tmp_path / "character.blend")
    words = [tmp_path / "character.blend", short_clip, "-o", tmp_path / "out.blend"]
    assert cli.main(["animate", *map(str, words)]) == cli.DONE
    told = capsys.readouterr().err
    assert "Of the 3 meshes in character.blend, head has the face." in told
    assert "These objects go with the face: teeth." in told
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out.blend"))
    copy = scene.talking_object()
    assert copy["freetalk_original"].name == "head" and bpy.data.objects["hair"].visible_get()
    assert bpy.data.objects["teeth"].hide_render and not bpy.data.objects["teeth"].visible_get()
    rest, *shapes = (
        np.array([point.co for point in block.points[count : count + 42]]) for block in copy.data.shape_keys.key_blocks
    )
    assert max(np.linalg.norm(shape - rest, axis=1).min() for shape in shapes) > 0.01 * placed.scale


def test_arkit_keys_have_their_names_and_weights_that_engines_may_clamp(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, run: Run
) -> None:
    out, saved = tmp_path / "arkit.glb", tmp_path / "arkit.blend"
    words = ["animate", head, short_clip, "--landmarks", head_landmarks, "--fps", FPS, "--keys", "arkit"]
    assert cli.main([str(word) for word in [*words, "-o", out, "-o", saved]]) == cli.DONE
    morphs = read(out)
    assert morphs.names[:51] == list(arkit.NAMES)
    assert morphs.weights.min() >= 0 and morphs.weights.max() <= 1
    jaw = morphs.weights[:, morphs.names.index("jawOpen")]
    assert jaw[:SILENT].max() < 0.1 < jaw.max()
    assert np.corrcoef(jaw[: len(run.aperture)], run.aperture)[0, 1] > 0.7


@pytest.mark.parametrize(("suffix", "wanted"), [("glb", "auto"), ("usdc", "auto"), ("glb", "arkit")])
def test_a_face_that_talked_and_was_exported_talks_anew(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, run: Run, suffix: str, wanted: str
) -> None:
    """Its lips stay two, its teeth stay what they are, and what it said before rests."""
    first = run[suffix]
    if not first.exists():
        pytest.skip("this Blender is built without USD")
    how = ["--fps", FPS, "--keys", wanted]
    if wanted == "arkit":
        how += ["--head", 1]
        first = tmp_path / "first.glb"
        words = ["animate", head, short_clip, "--landmarks", head_landmarks, *how, "-o", first]
        assert cli.main([*map(str, words)]) == cli.DONE
    assert cli.main([*map(str, ["animate", first, short_clip, *how, "-o", tmp_path / "again.blend"])]) == cli.DONE
    copy = scene.talking_object()
    assert len(copy.data.vertices) == len(marks.original_of(copy).data.vertices), "no mouth is made again"
    lent, old = marks.lent_keys(copy), marks.spoken_before(marks.original_of(copy))
    theirs = {*arkit.NAMES, "headPitch", "headYaw", "headRoll"} if wanted == "arkit" else set()
    assert set(lent) == theirs | {*inner_mouth.KEYS} and (set(old) == set(lent)) == (wanted == "arkit")
    points, rest = scene.world_landmarks(copy), meshes.vertices(copy.data)
    placed = transformed(meshes.world(copy), rest)
    pair = [np.linalg.norm(placed - points[mark], axis=1).argmin() for mark in (51, 57)]
    opened, moved = [], set()
    for number in range(FRAMES):
        bpy.context.scene.frame_set(number)
        blocks = copy.data.shape_keys.key_blocks
        moved |= {name for name in old if abs(blocks[name].value) > 1e-6}
        shown = transformed(meshes.world(copy), evaluated(copy))
        opened.append(np.linalg.norm(shown[pair[0]] - shown[pair[1]]))
    assert moved <= set(lent) and {"tongueTipUp", "tongueBodyUp"} <= moved
    unit = np.linalg.norm(points[36] - points[45]) / 90
    opened = (np.array(opened) - np.linalg.norm(placed[pair[0]] - placed[pair[1]])) / unit
    assert np.corrcoef(opened, run.aperture)[0, 1] > 0.95 and np.ptp(opened) == pytest.approx(
        np.ptp(run.aperture), rel=0.3
    )


def test_a_number_of_keys_is_not_exceeded(tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path) -> None:
    out = tmp_path / "few.glb"
    words = ["animate", head, short_clip, "--landmarks", head_landmarks, "--keys", "6", "-o", out]
    assert cli.main([str(word) for word in words]) == cli.DONE
    assert len(read(out).names) == 6


def test_render_films_a_saved_scene(run: Run, tmp_path: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(run["blend"]))
    bpy.context.scene.frame_end = 2
    settings = bpy.context.scene.render
    kept = (settings.engine, settings.resolution_x, settings.filepath, len(bpy.data.objects), len(bpy.data.materials))
    saving.save(tmp_path / "short.blend")
    assert cli.main(["render", str(tmp_path / "short.blend"), "-o", str(tmp_path / "short.mp4")]) == cli.DONE
    assert bpy.data.movieclips.load(str(tmp_path / "short.mp4")).frame_duration == 3
    settings = bpy.context.scene.render
    after = (settings.engine, settings.resolution_x, settings.filepath, len(bpy.data.objects), len(bpy.data.materials))
    assert after == kept, "camera, lamps, clay and settings are gone again"


def test_render_tells_of_a_scene_that_stretches_time(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(render, "film", lambda *_: None)
    for stretched, told in ((100, ""), (200, "plays animation slower than sound"), (50, "plays animation faster")):
        bpy.ops.wm.open_mainfile(filepath=str(run["blend"]))
        bpy.context.scene.render.frame_map_new = stretched
        saving.save(tmp_path / "scene.blend")
        assert cli.main(["render", str(tmp_path / "scene.blend"), "-o", str(tmp_path / "face.mp4")]) == cli.DONE
        said = capsys.readouterr().err
        assert told in said and bool(told) == ("Time Stretching" in said)


def test_render_refuses_a_scene_in_which_nobody_talks(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    files.empty_scene()
    bpy.ops.mesh.primitive_cube_add()
    saving.save(tmp_path / "mute.blend")
    assert cli.main(["render", str(tmp_path / "mute.blend"), "-o", str(tmp_path / "mute.mp4")]) == cli.BAD_INPUT
    assert "No object in this scene was animated by FreeTalk" in capsys.readouterr().err
    assert not (tmp_path / "mute.mp4").exists()
