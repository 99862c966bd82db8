"""The add-on as Blender sees it: registered, clicked, undone, taken out again."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import animate
from mathutils import Matrix
from scipy.spatial.distance import pdist
from wheel import NEEDS_SOUND

import freetalk_blender
from freetalk_blender.blender import compat, marks, meshes, scene, session, sound, telling
from freetalk_blender.blender.formats import files
from freetalk_blender.blender.ui import animate as animating
from freetalk_blender.blender.ui import feeling, job, registration, request
from freetalk_blender.core import landmarks
from freetalk_blender.core.errors import LandmarkError
from freetalk_blender.core.frame import transformed


def handlers() -> dict[str, list]:
    """Every list of bpy.app.handlers, copied."""
    names = [name for name in dir(bpy.app.handlers) if isinstance(getattr(bpy.app.handlers, name), list)]
    return {name: list(getattr(bpy.app.handlers, name)) for name in names}


def test_unregister_leaves_nothing_behind() -> None:
    before = handlers()
    for _ in range(2):
        freetalk_blender.register()
        assert hasattr(bpy.types.Scene, "freetalk")
        freetalk_blender.unregister()
    assert not hasattr(bpy.types.Scene, "freetalk")
    assert not [name for name in dir(bpy.types) if "FREETALK" in name]
    assert handlers() == before
    assert registration._commands == []


def test_what_is_missing_is_told_in_order(addon: None, empty: bpy.types.Scene) -> None:
    settings = empty.freetalk
    assert animating.why_not(bpy.context) == "Choose the face"
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    bpy.ops.object.camera_add()
    settings.face = bpy.context.object
    assert animating.why_not(bpy.context) == "Choose a mesh as the face"
    settings.face = cube
    assert "Choose a sound" in animating.why_not(bpy.context)
    assert not bpy.ops.freetalk.animate.poll()
    settings.sound_file = "voice.wav"
    assert animating.why_not(bpy.context) == "" and bpy.ops.freetalk.animate.poll()


def test_animate_makes_a_talking_copy_and_remove_takes_it_back(ready: bpy.types.PropertyGroup) -> None:
    original = ready.face
    count = len(bpy.data.objects)
    copy = animate(original)
    curves = compat.fcurves(copy.data.shape_keys)
    assert len(curves) >= 4 and len(curves[0].keyframe_points) == 51 + 1, "and one at rest"
    assert [key.co.x for key in (*curves[0].keyframe_points,)][::50] == [1, 51]
    assert original.hide_get() and original.data.shape_keys is None
    assert bpy.context.view_layer.objects.active is copy

    assert bpy.ops.freetalk.animate() == {"FINISHED"}, "a second take replaces the first"
    assert len(marks.copies_of(original)) == 1

    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert len(bpy.data.objects) == count and not original.hide_get() and len(bpy.data.actions) == 0


def test_a_path_that_the_system_refuses_is_told(ready: bpy.types.PropertyGroup) -> None:
    heard = ready.sound_file
    for ready.sound_file in ("/" + "x" * 300 + ".wav", "/dev/null"):
        with pytest.raises(RuntimeError) as error:
            bpy.ops.freetalk.animate()
        assert "check the path" in str(error.value) and "Traceback" not in str(error.value)
    with pytest.raises(RuntimeError, match="check path and disk"), pytest.MonkeyPatch.context() as full:
        full.setattr(sound.Source, "clip", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        session.clear()
        ready.sound_file = heard
        bpy.ops.freetalk.animate()


@NEEDS_SOUND
def test_a_sound_strip_says_when_the_speech_starts(ready: bpy.types.PropertyGroup, short_clip: Path) -> None:
    strip = sound.add_strip(bpy.context.scene, short_clip, 120)
    ready.sound = "STRIP"
    assert animating.why_not(bpy.context) == "", "the first strip where none is named"
    ready.strip = "gone"
    assert animating.why_not(bpy.context) == "Choose a sound strip of the sequencer"
    ready.strip = strip.name
    copy = animate(ready.face)
    keys = compat.fcurves(copy.data.shape_keys)[0].keyframe_points
    assert [key.co.x for key in keys[:2]] == [110, 120] and keys[0].co.y == 0, "it comes from rest"


def test_bad_input_is_one_report_and_changes_nothing(ready: bpy.types.PropertyGroup, tmp_path: Path) -> None:
    (tmp_path / "noise.wav").write_bytes(b"no sound")
    ready.sound_file = str(tmp_path / "noise.wav")
    names = sorted(bpy.data.objects.keys())
    with pytest.raises(RuntimeError, match=r"noise\.wav cannot be read"):
        bpy.ops.freetalk.animate()
    assert sorted(bpy.data.objects.keys()) == names and not ready.face.hide_get()


def test_a_worker_that_is_cancelled_stops(ready: bpy.types.PropertyGroup) -> None:
    worker = job.Job("Animate", request.read(bpy.context, ready.face).run, {})
    worker.cancel()
    worker.start()
    worker.join(timeout=30)
    assert not worker.is_alive() and worker.result is None and type(worker.error).__name__ == "Cancelled"


@pytest.mark.parametrize("turn", [np.identity(4), files.Y_UP])
def test_landmarks_find_the_object_however_it_was_imported(
    scan: files.Scan, scan_landmarks: np.ndarray, turn: np.ndarray
) -> None:
    """OBJ keeps its axes and gets a turned object; glTF turns the vertices themselves."""
    scan.item.data.transform(Matrix(turn.tolist()))
    scan.item.matrix_world = Matrix.Translation((5, 6, 7)) @ Matrix.Scale(2, 4)
    bpy.context.view_layer.update()
    wanted = scan_landmarks @ turn[:3, :3].T
    for points in (scan_landmarks, transformed(meshes.world(scan.item), wanted)):
        assert np.allclose(scene.landmarks_on(scan.item, points), wanted, atol=1e-3), "the scan's axes, or the scene's"


def test_landmarks_of_another_scan_are_refused(scan: files.Scan, scan_landmarks: np.ndarray) -> None:
    with pytest.raises(LandmarkError, match="belong to another scan"):
        scene.landmarks_on(scan.item, scan_landmarks + 500)


def test_the_panel_has_a_slider_for_each_emotion_up_to_exaggeration(ready: bpy.types.PropertyGroup) -> None:
    for name in ("happy", "sad", "angry", "fearful", "disgusted", "surprised", "contempt"):
        assert ready.bl_rna.properties[name].hard_max == 1.5
    ready.happy, ready.surprised = 0.75, 0.25
    weights = feeling.weights(bpy.context.scene, ready, 1, 10)
    assert weights.tolist() == [0, 0.75, 0, 0, 0, 0, 0.25, 0]


def test_uneven_object_scale_changes_nothing_that_the_person_sees(
    ready: bpy.types.PropertyGroup, scan_landmarks: np.ndarray, tmp_path: Path
) -> None:
    """A head squashed in its mesh and stretched back by its object talks like the plain one."""
    original = ready.face

    def seen() -> tuple[np.ndarray, np.ndarray]:
        """(51,V,3) places in the world as it talks, (68,3) those of the landmarks."""
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(original)
        blocks, curves = copy.data.shape_keys.key_blocks, compat.fcurves(copy.data.shape_keys)
        rest, *moved = map(meshes.places, blocks)
        weights = np.array([[point.co.y for point in curve.keyframe_points] for curve in curves]).T
        places = rest + np.tensordot(weights, np.stack(moved) - rest, 1)
        return places @ np.array(copy.matrix_world)[:3, :3].T, scene.world_landmarks(copy)

    plain, marked = seen()
    squash = Matrix.Diagonal((0.5, 2.0, 1.25, 1.0))
    original.data.transform(squash)
    own = scan_landmarks * (0.5, 2.0, 1.25)
    landmarks.write(tmp_path / "squashed.json", landmarks.Landmarks(own, None, None))
    ready.landmarks = str(tmp_path / "squashed.json")
    original.matrix_world = Matrix.Rotation(0.4, 4, "Z") @ squash.inverted()
    bpy.context.view_layer.update()
    turned, marked_again = (places @ np.array(Matrix.Rotation(0.4, 3, "Z")) for places in seen())
    assert np.linalg.norm(plain - plain[0], axis=2).max() > 4, "millimetres: it does move"
    assert np.linalg.norm(turned - plain, axis=2).max() < 0.3, "both are made to 0.1 mm"
    assert np.abs(marked_again - marked).max() < 1e-3
    read = scene.read_face(original, own)[2]
    assert np.allclose(pdist(read), pdist(scan_landmarks), atol=0.1), "as the command line reads it"


def test_a_vertex_that_is_nowhere_is_left_alone(
    talker: bpy.types.Object, head_landmarks: Path, scan_landmarks: np.ndarray
) -> None:
    """Scanners leave some (NaN); the face talks, again and by a landmark file too."""
    talker.data.vertices.add(1)
    talker.data.vertices[-1].co = (np.nan,) * 3
    settings = bpy.context.scene.freetalk
    for happy, file in ((0.0, ""), (0.5, ""), (0.5, str(head_landmarks))):
        settings.happy, settings.landmarks = happy, file
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
    copy = marks.copy_of(talker)
    wrap = copy.modifiers.new("wrap", "SHRINKWRAP")
    wrap.target, wrap.vertex_group = talker, copy.vertex_groups.new(name="none").name
    assert np.abs(scene.world_landmarks(copy) - scan_landmarks).max() < 10, "mm, as it speaks"
    assert telling.notes(copy) == ()
    assert bpy.ops.freetalk.detect() == {"FINISHED"}
