"""Scenes for the tests of the Blender layer."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

bpy = pytest.importorskip("bpy", reason="the bpy wheel is not installed")

import freetalk_blender  # noqa: E402
from freetalk_blender.blender import marks, meshes, placed, session  # noqa: E402
from freetalk_blender.blender.formats import files  # noqa: E402
from freetalk_blender.core import frame, landmarks  # noqa: E402
from freetalk_blender.core.compress import ShapeKeys  # noqa: E402


@pytest.fixture
def empty() -> bpy.types.Scene:
    """An empty scene at 25 frames a second."""
    files.empty_scene()
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 25, 1.0
    return scene


@pytest.fixture
def cube(empty: bpy.types.Scene) -> bpy.types.Object:
    """In the empty scene, active."""
    bpy.ops.mesh.primitive_cube_add()
    return bpy.context.object


@pytest.fixture
def face(empty: bpy.types.Scene) -> bpy.types.Object:
    """A talking copy of which the landmarks alone are there, with a triangle of skin at each, Z up."""
    points = frame.mean_landmarks() @ np.array([(1, 0, 0), (0, 0, 1), (0, -1, 0.0)])
    corners = (points[:, None] + 0.01 * np.identity(3)).reshape(-1, 3)
    mesh = bpy.data.meshes.new("face")
    mesh.from_pydata(corners.tolist(), [], np.arange(len(corners)).reshape(-1, 3).tolist())
    item = bpy.data.objects.new("face", mesh)
    item.shape_key_add(name="Basis")
    item[marks.LANDMARKS] = points.ravel().tolist()
    empty.collection.objects.link(item)
    return item


@pytest.fixture
def scan(head: Path, head_landmarks: Path) -> files.Scan:
    return files.load(head, landmarks.read(head_landmarks).points)


@pytest.fixture
def scan_landmarks(head_landmarks: Path) -> np.ndarray:
    return landmarks.read(head_landmarks).points


@pytest.fixture
def chin_keys(scan: files.Scan, scan_landmarks: np.ndarray) -> ShapeKeys:
    """Two shapes around the lower lip (down, back) with known curves of 30 frames."""
    vertices = meshes.vertices(scan.item.data)
    face = frame.canonical_frame(scan_landmarks)
    near = np.exp(-((np.linalg.norm(vertices - scan_landmarks[57], axis=1) / (0.25 * face.scale)) ** 2))
    directions = face.vectors_to_mesh(np.array([[0, -0.2, 0], [0, 0, -0.1]]))
    phase = np.arange(30) / 10
    weights = np.stack([np.sin(phase) ** 2, np.cos(phase)], 1)
    shapes = near[None, :, None] * directions[:, None, :]
    return ShapeKeys(shapes.astype(np.float32), weights.astype(np.float32), 0.0)


@pytest.fixture
def addon() -> Iterator[None]:
    """FreeTalk enabled, and disabled again whatever happens; the next test need not bind and hear the same anew."""
    freetalk_blender.register()
    yield
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "clear", lambda: session.limit(256 * 2**20))
        freetalk_blender.unregister()


def light_scene(bare_face: tuple[np.ndarray, np.ndarray, np.ndarray], sound: Path) -> bpy.types.Object:
    """An empty scene at 25 frames a second with the bare face in it, landmarks placed, the panel filled in."""
    files.empty_scene()
    vertices, triangles, points = bare_face
    mesh = bpy.data.meshes.new("head")
    mesh.from_pydata(vertices.tolist(), [], triangles.tolist())
    item = bpy.data.objects.new("head", mesh)
    scene = bpy.context.scene
    scene.collection.objects.link(item)
    bpy.context.view_layer.objects.active = item
    scene.render.fps, scene.render.fps_base, scene.frame_start, scene.frame_end = 25, 1.0, 1, 20
    scene.freetalk.face, scene.freetalk.sound_file = item, str(sound)
    placed.keep(item, landmarks.Landmarks(points))
    return item


@pytest.fixture
def talker(addon: None, bare_face: tuple, short_clip: Path) -> bpy.types.Object:
    """`light_scene` with two seconds of sound."""
    return light_scene(bare_face, short_clip)


@pytest.fixture
def ready(addon: None, scan: files.Scan, head_landmarks: Path, short_clip: Path) -> bpy.types.PropertyGroup:
    """The panel filled in: the sample head, a two-second clip as a file, scene at 25 frames a second."""
    current = bpy.context.scene
    current.render.fps, current.render.fps_base, current.frame_start = 25, 1.0, 1
    settings = current.freetalk
    settings.face, settings.landmarks, settings.sound_file = scan.item, str(head_landmarks), str(short_clip)
    return settings


@pytest.fixture
def other_clip(tmp_path: Path, short_clip: Path) -> str:
    """Another recording, shorter than the first: its last second, which ends in the middle of a word."""
    samples, rate = soundfile.read(short_clip)
    soundfile.write(tmp_path / "other.wav", samples[-rate:], rate)
    return str(tmp_path / "other.wav")
