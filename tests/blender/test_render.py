"""Films and contact sheets: of the face where it is seen, and with no settings but their own."""

import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
import soundfile
from baking import rigged
from mathutils import Euler
from wheel import NEEDS_SOUND

from freetalk_blender.blender import compat, render, scene, sound
from freetalk_blender.blender.studio import head_view
from freetalk_blender.core.errors import FreeTalkError


def seen(item: bpy.types.Object) -> np.ndarray:
    bpy.context.view_layer.update()
    return scene.world_landmarks(item)


@pytest.mark.parametrize("subdivided", [False, True])
def test_a_face_that_a_bone_turns_is_filmed_where_it_has_turned_to(face: bpy.types.Object, subdivided: bool) -> None:
    if subdivided:
        face.modifiers.new("finer", "SUBSURF")
    rest = seen(face)
    armature = rigged(face, "head", bpy.context.scene.collection)
    assert np.abs(seen(face) - rest).max() < 1e-5
    bone = armature.pose.bones["head"]
    bone.rotation_mode, bone.rotation_euler = "XYZ", (0.2, 0.5, 0.1)
    turn = np.array(bone.bone.matrix_local) @ np.array(Euler((0.2, 0.5, 0.1)).to_matrix().to_4x4())
    turn = (turn @ np.linalg.inv(np.array(bone.bone.matrix_local)))[:3, :3]
    assert np.abs(seen(face) - rest @ turn.T).max() < 0.01
    assert np.ptp(rest @ turn.T - rest, axis=0).max() > 0.3


def test_a_face_with_more_vertices_by_a_modifier_is_filmed_where_it_rests(face: bpy.types.Object) -> None:
    rest = seen(face)
    face.modifiers.new("thicker", "SOLIDIFY").offset = 1.0
    assert np.abs(seen(face) - rest).max() < 1e-6


def test_pictures_of_subdivided_faces_are_quick_and_leave_the_settings(face: bpy.types.Object) -> None:
    finer, render = face.modifiers.new("finer", "SUBSURF"), bpy.context.scene.render
    finer.render_levels = 3
    render.use_simplify, render.simplify_subdivision_render = True, 2
    with scene.subdivided(face, 3):
        assert render.use_simplify and render.simplify_subdivision_render == 2
        assert not finer.use_limit_surface
    render.use_simplify = False
    with scene.subdivided(face, 1):
        assert render.use_simplify and render.simplify_subdivision_render == 1
    assert not render.use_simplify and render.simplify_subdivision_render == 2
    assert finer.use_limit_surface and finer.render_levels == 3


def settings_of_pictures(current: bpy.types.Scene) -> dict[str, object]:
    """Every value that a panel of the scene's pictures shows."""
    output, display = current.render, current.display
    groups = output, output.image_settings, output.ffmpeg, display, display.shading, current.view_settings
    found = {"frame": current.frame_current}
    for group in groups:
        for prop in group.bl_rna.properties:
            if prop.type not in ("POINTER", "COLLECTION"):
                value = getattr(group, prop.identifier)
                name = f"{group.bl_rna.identifier}.{prop.identifier}"
                found[name] = tuple(value) if getattr(prop, "is_array", False) else value
    return found


@pytest.mark.parametrize("picture", [render.film, render.contact_sheet])
def test_pictures_leave_the_persons_settings(face: bpy.types.Object, picture, tmp_path: Path) -> None:
    current = bpy.context.scene
    current.frame_start = current.frame_end = 3
    current.frame_set(7)
    current.render.use_stamp, current.render.stamp_note_text = True, "mine"
    current.render.image_settings.file_format, current.render.image_settings.color_depth = "OPEN_EXR", "32"
    current.display.shading.light = "FLAT"
    before = settings_of_pictures(current)
    picture(tmp_path / "face.mp4", face, lambda share: None)
    after = settings_of_pictures(current)
    assert {name: (before[name], after[name]) for name in before if before[name] != after[name]} == {}


@pytest.mark.parametrize("picture", [render.film, render.contact_sheet])
def test_pictures_are_written_where_a_folder_has_braces_in_its_name(
    face: bpy.types.Object, picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blender 4.5 and later read variables there, of which it knows some."""
    folder = tmp_path / "v{fps} {x}"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    bpy.context.scene.frame_start = bpy.context.scene.frame_end = 3
    picture(folder / "face.mp4", face, lambda share: None)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["face.mp4"]
    assert (folder / "face.mp4").stat().st_size > 100 and [*tmp_path.iterdir()] == [folder]


#: What people set for pictures of their own: by the path from the scene.
THEIRS = {
    "frame_step": 3,
    "use_audio": False,
    "render.use_border": True,
    "render.use_crop_to_border": True,
    "render.border_max_x": 0.5,
    "render.use_multiview": True,
    "render.resolution_percentage": 50,
    "render.pixel_aspect_x": 2.0,
    "render.frame_map_new": 300,
    "render.use_overwrite": False,
    "render.use_placeholder": True,
    "render.use_file_extension": False,
    "render.film_transparent": True,
    "render.use_freestyle": True,
    "render.dither_intensity": 2.0,
    "render.metadata_input": "STRIPS",
    "render.use_stamp_lens": True,
    "render.use_stamp_marker": True,
    "render.stamp_foreground": (0, 0, 0, 1),
    "render.use_sequencer": False,
    "render.image_settings.color_mode": "BW",
    "render.image_settings.color_management": "OVERRIDE",
    "render.ffmpeg.use_autosplit": True,
    "render.ffmpeg.use_lossless_output": True,
    "render.ffmpeg.audio_volume": 0.0,
    "display.shading.type": "WIREFRAME",
    "display.shading.show_xray": True,
    "display.shading.show_object_outline": True,
    "display.shading.show_backface_culling": True,
    "display.shading.background_type": "VIEWPORT",
    "display_settings.display_device": "Display P3",
    "view_settings.look": "AgX - Punchy",
    "view_settings.gamma": 2.0,
    "view_settings.use_curve_mapping": True,
    "view_settings.use_white_balance": True,
}


def sheet(face: bpy.types.Object, folder: Path) -> np.ndarray:
    """The pixels of its contact sheet."""
    render.contact_sheet(folder / "sheet.png", face, lambda share: None)
    image = bpy.data.images.load(str(folder / "sheet.png"))
    pixels = np.array(image.pixels)
    bpy.data.images.remove(image)
    return pixels


def test_pictures_are_the_same_whatever_the_persons_settings_are(face: bpy.types.Object, tmp_path: Path) -> None:
    current, layer = bpy.context.scene, bpy.context.view_layer
    current.frame_start, current.frame_end = 1, 4
    widen = face.shape_key_add(name="wide")
    widen.points[0].co.x += 0.5
    for frame in (1, 4):
        widen.value = frame / 4
        widen.keyframe_insert("value", frame=frame)
    plain = sheet(face, tmp_path)
    for path, value in THEIRS.items():
        group, _, name = path.rpartition(".")
        group = current.path_resolve(group) if group else current
        if name in group.bl_rna.properties:
            setattr(group, name, value)
    current.view_settings.curve_mapping.curves[3].points[0].location = (0, 0.5)
    current.view_layers.new("other")
    layer.use, layer.material_override = False, bpy.data.materials.new("grey")
    away = bpy.data.objects.new("away", bpy.data.cameras.new("away"))
    current.collection.objects.link(away)
    current.timeline_markers.new("shot", frame=2).camera = away
    before = settings_of_pictures(current)
    assert np.array_equal(sheet(face, tmp_path), plain)
    render.film(tmp_path / "face.mp4", face, lambda share: None)
    clip = bpy.data.movieclips.load(str(tmp_path / "face.mp4"))
    assert clip.frame_duration == 4 and list(clip.size) == [render.FILM_SIZE] * 2
    assert settings_of_pictures(current) == before and current.timeline_markers[0].camera == away
    assert [*bpy.data.scenes] == [current] and not layer.use


def compositor(current: bpy.types.Scene) -> bpy.types.NodeTree:
    """An empty compositor that the scene's renders go through."""
    if not hasattr(current, "compositing_node_group"):
        current.use_nodes = True
        current.node_tree.nodes.clear()
        return current.node_tree
    tree = bpy.data.node_groups.new("compositor", "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    current.compositing_node_group = tree
    return tree


def test_pictures_do_not_go_through_the_persons_compositor_nor_write_its_files(
    face: bpy.types.Object, tmp_path: Path
) -> None:
    current, folder = bpy.context.scene, tmp_path / "theirs"
    current.frame_start = current.frame_end = 2
    plain, tree = sheet(face, tmp_path), compositor(current)
    layers, inverted = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("CompositorNodeInvert")
    files, shared = tree.nodes.new("CompositorNodeOutputFile"), hasattr(current, "compositing_node_group")
    shown = tree.nodes.new("NodeGroupOutput" if shared else "CompositorNodeComposite")
    setattr(files, "directory" if shared else "base_path", str(folder))
    if shared:
        files.file_output_items.new("RGBA", "Image")
    tree.links.new(layers.outputs[0], inverted.inputs["Color"])
    for node in (shown, files):
        tree.links.new(inverted.outputs[0], node.inputs[0])
    assert np.array_equal(sheet(face, tmp_path), plain)
    render.film(tmp_path / "face.mp4", face, lambda share: None)
    assert not folder.exists() and current.render.use_compositing


@NEEDS_SOUND
@pytest.mark.parametrize("in_nla", [False, True])
def test_of_what_is_animated_in_the_scene_its_sound_alone_is_in_pictures(
    face: bpy.types.Object, tmp_path: Path, in_nla: bool
) -> None:
    import aud

    current = bpy.context.scene
    current.frame_start, current.frame_end = 1, 25
    soundfile.write(tmp_path / "hum.wav", 0.3 * np.sin(np.arange(16000) / 5), 16000)
    strip, view, plain = sound.add_strip(current, tmp_path / "hum.wav", 1), current.view_settings, sheet(face, tmp_path)
    for frame, exposure, volume in ((1, 0, 1), (12, -8, 1), (13, -8, 0)):
        view.exposure, strip.volume = exposure, volume
        view.keyframe_insert("exposure", frame=frame)
        strip.keyframe_insert("volume", frame=frame)
    view.driver_add("gamma").driver.expression = "0.2"
    keyed, data = compat.existing_curves(current)[:], current.animation_data
    if in_nla:
        compat.stash(current, "mine", data.action, compat.slot(current))
        compat.assign(current, None, None)
        data.nla_tracks[0].mute = False
    assert np.array_equal(sheet(face, tmp_path), plain)
    render.film(tmp_path / "face.mp4", face, lambda share: None)
    heard = aud.Sound(str(tmp_path / "face.mp4")).data()
    assert np.std(heard[: len(heard) // 3]) > 0.01 and np.std(heard[-len(heard) // 3 :]) < 1e-3
    assert len(bpy.data.actions) == 1 and len(data.drivers) == 1
    assert [curve.data_path.rpartition(".")[2] for curve in keyed] == ["exposure", "volume"]


def test_a_film_that_blender_stopped_is_no_film(
    face: bpy.types.Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blender may say why on the console alone, and leave a header without frames."""

    def stopped(**_options) -> set[str]:
        next(tmp_path.iterdir()).write_bytes(b"header")
        return {"CANCELLED"}

    monkeypatch.setattr(bpy.ops, "render", SimpleNamespace(render=stopped), raising=False)
    with pytest.raises(FreeTalkError, match="could not render"):
        render.film(tmp_path / "face.mp4", face, lambda share: None)
    assert not list(tmp_path.iterdir())


@NEEDS_SOUND
@pytest.mark.parametrize("in_meta", [False, True])
def test_a_picture_in_the_sequencer_does_not_cover_the_face_and_its_sound_is_heard(
    face: bpy.types.Object, tmp_path: Path, in_meta: bool
) -> None:
    import aud

    current = bpy.context.scene
    current.frame_start = current.frame_end = 2
    plain = sheet(face, tmp_path)
    soundfile.write(tmp_path / "hum.wav", 0.3 * np.sin(np.arange(16000) / 5), 16000)
    heard, unheard = (sound.add_strip(current, tmp_path / "hum.wav", 1) for _ in range(2))
    strips, length = compat.strips(current), "length" if bpy.app.version >= (5, 0, 0) else "frame_end"
    picture = strips.new_effect("picture", "COLOR", 9, frame_start=1, **{length: 40})
    unheard.mute = True
    if in_meta:
        meta = strips.new_meta("meta", 10, 1)
        for strip in (heard, unheard, picture):
            strip.move_to_meta(meta)
        meta.frame_final_end = 40
    assert np.array_equal(sheet(face, tmp_path), plain)

    def loudness() -> float:
        render.film(tmp_path / "face.mp4", face, lambda share: None)
        return float(np.std(aud.Sound(str(tmp_path / "face.mp4")).data()))

    once = loudness()
    unheard.mute, heard.mute = False, True
    assert loudness() == pytest.approx(once, rel=0.05) and once > 0.01, "one of them, not both"
    assert not picture.mute and (picture.parent_meta() is not None) == in_meta
    unheard.mute = True
    assert loudness() < 1e-4


@NEEDS_SOUND
def test_the_sound_of_a_film_is_on_time_whatever_its_format(
    face: bpy.types.Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read bit by bit, an mp3 would be 25 ms before the lips."""
    monkeypatch.setattr(render, "FILM_SIZE", 64)
    monkeypatch.setattr(render, "TRACED_SIZE", 64)
    current = bpy.context.scene
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 3 * 44100)
    soundfile.write(tmp_path / "noise.mp3", np.stack([noise, noise], 1), 44100)
    strip = sound.add_strip(current, tmp_path / "noise.mp3", 1)
    current.frame_start, current.frame_end = 1, 50
    render.film(tmp_path / "face.mp4", face, lambda share: None)
    heard, _ = sound.load(tmp_path / "face.mp4")
    said = sound.from_strip(current, strip).clip().samples[: len(heard)]
    alike = np.correlate(heard, said[1600:-1600])
    assert abs(int(alike.argmax()) - 1600) < 40 and not strip.sound.use_memory_cache, "16000 samples a second"


def test_ctrl_c_ends_a_film_at_the_next_frame_and_leaves_nothing(face: bpy.types.Object, tmp_path: Path) -> None:
    current, frames = bpy.context.scene, []
    current.frame_start, current.frame_end = 1, 40
    camera = current.camera

    def press(share: float) -> None:
        frames.append(share)
        if len(frames) == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        render.film(tmp_path / "face.mp4", face, press)
    assert len(frames) <= 3 and current.camera == camera and not list(tmp_path.iterdir())
    current.frame_end = 2
    render.film(tmp_path / "face.mp4", face, lambda share: None)
    assert (tmp_path / "face.mp4").stat().st_size


@pytest.mark.parametrize("scale", [(-1, 1, 1), (1, -1, 1), (-2, -2, -2)])
def test_a_face_that_a_negative_scale_mirrors_is_filmed_upright_and_from_the_front(
    face: bpy.types.Object, scale: tuple[float, float, float]
) -> None:
    face.scale = scale
    up, front = np.sign(scale[2]) * np.array((0, 0, 1.0)), np.sign(scale[1]) * np.array((0, -1.0, 0))
    axes = np.array(head_view(seen(face)))[:3, :3]
    assert axes[:, 1] @ up > 0.99 and axes[:, 2] @ front > 0.99
    assert np.linalg.det(axes) > 0.99
