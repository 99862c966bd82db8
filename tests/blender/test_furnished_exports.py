"""Teeth, tongue and eyeballs leave Blender with the face: glTF, FBX and USD are written and opened again."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from doors import freetalk, write_obj
from importing import opened

from freetalk_blender.core import landmarks
from freetalk_blender.core.surface import scan_file

#: The voice begins at frame 20 of 51.
FPS, FRAMES = 25, 51
SKIN, MOUTH = "FreeTalk skin", "FreeTalk mouth"
TEETH, TONGUE = "FreeTalk teeth", "FreeTalk gums and tongue"
EYES = ("FreeTalk eye white", "FreeTalk iris", "FreeTalk pupil")
FORMATS = ("glb", "fbx", "usdc")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory, head: Path, head_landmarks: Path, short_clip: Path) -> Path:
    """The folder of the sample's files, made with eyeballs in eyes that are holes."""
    folder = tmp_path_factory.mktemp("furnished")
    vertices, triangles = scan_file.read(head)
    points = landmarks.read(head_landmarks).points
    middles = vertices[triangles].mean(1)
    keep = np.ones(len(triangles), bool)
    for eye in (points[36:42], points[42:48]):
        x, y = (middles - eye.mean(0))[:, :2].T
        half = np.abs(eye - eye.mean(0)).max(0)
        keep &= ((x / half[0]) ** 2 + (y / half[1]) ** 2 > 1) | (middles[:, 2] < eye[:, 2].min() - 15)
    scan = write_obj(folder / "holes.obj", vertices, triangles[keep])
    words = ["animate", scan, short_clip, "--landmarks", head_landmarks, "--fps", FPS, "--eyeballs"]
    words += [word for suffix in FORMATS for word in ("-o", folder / f"talk.{suffix}")]
    done = freetalk(*words)
    assert done.returncode == 0 and "eyeball" not in done.stderr.lower(), done.stderr
    return folder


def of_material(item: bpy.types.Object, name: str) -> np.ndarray:
    """Vertices of the faces that have a material; formats may end its name with a number."""
    names = [slot.name.replace("_", " ") if slot else "" for slot in item.data.materials]
    slots = [number for number, own in enumerate(names) if own.startswith(name)]
    return np.unique([v for face in item.data.polygons if face.material_index in slots for v in face.vertices])


def in_frame(item: bpy.types.Object, frame: int) -> np.ndarray:
    """(V,3) places in the world."""
    bpy.context.scene.frame_set(frame)
    mesh = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    places = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", places.ravel())
    world = np.array(item.matrix_world)
    return places @ world[:3, :3].T + world[:3, 3]


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_furnishes_the_face_travels_and_moves_with_it(exports: Path, suffix: str) -> None:
    item = opened(exports / f"talk.{suffix}", FPS)
    frames = np.stack([in_frame(item, number) for number in range(FRAMES + 1)])  # formats begin at 0 or at 1
    size = np.ptp(frames[0], axis=0).max()
    travel = np.linalg.norm(frames - frames[0], axis=2).max(0) / size
    eyes = [of_material(item, name) for name in EYES]
    assert all(len(part) > 50 for part in eyes[:2]) and len(eyes[2]) > 10
    assert travel[np.concatenate(eyes)].max() < 1e-3, "eyeballs look ahead"
    teeth, tongue = of_material(item, TEETH), of_material(item, TONGUE)
    mouth, skin = of_material(item, MOUTH), of_material(item, SKIN)
    assert 50 < len(mouth) < 0.1 * len(skin), "the scan, which has no material, is not as dark as its mouth"
    still, moving = travel[teeth] < 1e-3, travel[teeth] > 5e-3
    assert still.sum() > 100 and moving.sum() > 100, "upper teeth stay with the skull, lower ones follow the jaw"
    assert travel[tongue].max() > 5e-3
