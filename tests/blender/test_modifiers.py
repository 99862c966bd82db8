"""Faces with modifiers, animation and negative scales: filmed where they are seen, or told of in a sentence."""

import signal
import tempfile
from pathlib import Path

import bpy
import numpy as np
import pytest
import soundfile
from baking import baked, duplicate, rigged
from mathutils import Euler

from freetalk_blender.blender import (
    bake,
    compat,
    marks,
    meshes,
    modifiers,
    mouth,
    render,
    scene,
    sound,
    telling,
    unwritten,
)
from freetalk_blender.blender import seen as visibility
from freetalk_blender.blender.studio import head_view
from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.errors import MeshError
from freetalk_blender.core.frame import mean_landmarks


@pytest.fixture
def face(empty: bpy.types.Scene) -> bpy.types.Object:
    """A talking copy of which the landmarks alone are there, with a triangle of skin at each, Z up."""
    points = mean_landmarks() @ np.array([(1, 0, 0), (0, 0, 1), (0, -1, 0.0)])
    corners = (points[:, None] + 0.01 * np.identity(3)).reshape(-1, 3)
    mesh = bpy.data.meshes.new("face")
    mesh.from_pydata(corners.tolist(), [], np.arange(len(corners)).reshape(-1, 3).tolist())
    item = bpy.data.objects.new("face", mesh)
    item.shape_key_add(name="Basis")
    item[scene.LANDMARKS] = points.ravel().tolist()
    empty.collection.objects.link(item)
    return item


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


@pytest.mark.parametrize("in_meta", [False, True])
def test_a_picture_in_the_sequencer_does_not_cover_the_face_and_its_sound_is_heard(
    face: bpy.types.Object, tmp_path: Path, in_meta: bool
) -> None:
    if not compat.can_make_sound():
        pytest.skip("this bpy wheel is built without sound")
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


@pytest.mark.parametrize("scale", [(-1, 1, 1), (1, -1, 1), (-2, -2, -2)])
def test_a_face_that_a_negative_scale_mirrors_is_filmed_upright_and_from_the_front(
    face: bpy.types.Object, scale: tuple[float, float, float]
) -> None:
    face.scale = scale
    up, front = np.sign(scale[2]) * np.array((0, 0, 1.0)), np.sign(scale[1]) * np.array((0, -1.0, 0))
    axes = head_view(seen(face)).axes
    assert axes[:, 1] @ up > 0.99 and axes[:, 2] @ front > 0.99
    assert np.linalg.det(axes) > 0.99


@pytest.mark.parametrize("kind", ["REMESH", "WELD"])
def test_modifiers_that_would_close_cut_lips_are_refused_while_they_are_on(face: bpy.types.Object, kind: str) -> None:
    modifier = face.modifiers.new("joins", kind)
    with pytest.raises(MeshError, match="joins of face would close the cut lips"):
        mouth.check(face)
    modifier.show_viewport = False
    mouth.check(face)


def test_geometry_nodes_that_may_close_cut_lips_are_told(face: bpy.types.Object) -> None:
    copy = talking(face)
    inner, outer = (bpy.data.node_groups.new(name, "GeometryNodeTree") for name in ("inner", "outer"))
    merge = inner.nodes.new("GeometryNodeMergeByDistance")
    outer.nodes.new("GeometryNodeGroup").node_tree = inner
    modifier = copy.modifiers.new("tidy", "NODES")
    modifier.node_group = outer
    assert modifiers.notes(copy) == (), "its mouth was not opened"
    copy.data.vertices.add(3)
    (told,) = modifiers.notes(copy)
    assert told.startswith("Geometry nodes of face FreeTalk merge by distance,") and ": tidy;" in told
    merge.mute = True
    assert modifiers.notes(copy) == ()


def test_a_half_that_a_mirror_completes_is_refused_until_that_is_applied(face: bpy.types.Object) -> None:
    modifier = face.modifiers.new("Mirror", "MIRROR")
    with pytest.raises(MeshError, match="has a Mirror modifier; apply it or remove it first"):
        meshes.check(face)
    modifier.show_viewport = False
    meshes.check(face)


def talking(face: bpy.types.Object) -> bpy.types.Object:
    copy = duplicate(face)
    copy[scene.LANDMARKS] = face[scene.LANDMARKS]
    return copy


def test_what_holds_the_face_in_place_is_told(face: bpy.types.Object) -> None:
    copy = talking(face)
    wrap = copy.modifiers.new("wrap", "SHRINKWRAP")
    assert modifiers.notes(copy) == ()
    wrap.target = bpy.data.objects.new("scan", face.data)
    (told,) = telling.notes(copy)
    assert told.startswith("The modifier wrap holds the face on scan,") and "apply it to face and animate" in told
    wrap.vertex_group = copy.vertex_groups.new(name="neck").name
    assert modifiers.notes(copy) == ()
    copy.vertex_groups["neck"].add(list(range(len(copy.data.vertices))), 1.0, "REPLACE")
    assert len(modifiers.notes(copy)) == 1
    wrap.wrap_mode = "OUTSIDE"
    assert modifiers.notes(copy) == ()


def test_modifiers_bound_to_the_mesh_before_its_mouth_was_opened_are_told(face: bpy.types.Object) -> None:
    smooth = face.modifiers.new("smooth", "CORRECTIVE_SMOOTH")
    smooth.rest_source = "BIND"
    with bpy.context.temp_override(object=face, active_object=face):
        bpy.ops.object.correctivesmooth_bind(modifier="smooth")
    copy = talking(face)
    assert modifiers.notes(copy) == ()
    copy.shape_key_clear()
    copy.data.vertices.add(1)
    (told,) = modifiers.notes(copy)
    assert "bound before its mouth was opened: smooth; bind them there anew" in told
    copy.modifiers["smooth"].rest_source = "ORCO"
    assert modifiers.notes(copy) == ()


def test_what_modifiers_make_of_a_face_and_no_other_program_sees_is_told(face: bpy.types.Object) -> None:
    copy, current = talking(face), bpy.context.scene
    rig = rigged(copy, "head", current.collection)
    rig.pose.bones["head"].location = (1, 2, 3)
    files = [Path("a.glb")]
    assert unwritten.notes(copy, files) == (), "armatures are written"
    finer = copy.modifiers.new("finer", "SUBSURF")
    finer.show_viewport = False
    tidy = copy.modifiers.new("tidy", "TRIANGULATE")
    (told,) = unwritten.notes(copy, files)
    assert told.startswith("No glTF, FBX or USD holds what modifiers make of face FreeTalk: finer; apply them to face ")
    assert not finer.show_viewport and tidy.show_viewport
    assert unwritten.notes(copy, [Path("a.blend"), Path("a.mp4")]) == ()
    finer.show_render = False
    assert unwritten.notes(copy, files) == (), "it is seen nowhere"


def test_a_modifier_that_acts_while_the_face_speaks_alone_is_told(face: bpy.types.Object) -> None:
    copy = talking(face)
    shapes = np.zeros((1, len(face.data.vertices), 3), np.float32)
    shapes[0, ::3, 1] = 0.1
    copy.modifiers.new("relax", "CORRECTIVE_SMOOTH").rest_source = "ORCO"
    baked(copy, ShapeKeys(shapes, np.array([[0.0], [1.0], [0.0]], np.float32), 0.0), 10)
    bpy.context.scene.frame_set(1, subframe=0.5)
    (told,) = unwritten.notes(copy, [Path("a.usdc")])
    assert ": relax;" in told and bpy.context.scene.frame_current_final == 1.5


def test_what_hangs_on_the_skin_of_the_original_is_told(face: bpy.types.Object) -> None:
    names = ("ring", "pin", "star", "hat")
    ring, pin, star, hat = items = [bpy.data.objects.new(name, face.data if name == "ring" else None) for name in names]
    for item in items:
        bpy.context.scene.collection.objects.link(item)
    ring.location.y = 100
    ring.modifiers.new("bound", "SURFACE_DEFORM").target = face
    pin.parent, pin.parent_type, hat.parent = face, "VERTEX", face
    star.constraints.new("COPY_LOCATION").target = face
    star.constraints[0].subtarget = face.vertex_groups.new(name="nose").name
    copy = talking(face)
    (told,) = telling.notes(copy)
    assert told.startswith("Other objects hang on the surface of face, which rests: ring, pin, star; bind or parent")
    ring.modifiers[0].target = pin.parent = star.constraints[0].target = copy
    assert telling.notes(copy) == ()


def bare_rig(bone: str) -> bpy.types.Object:
    """An armature of one bone that moves nothing."""
    item = bpy.data.objects.new("nothing", bpy.data.meshes.new("nothing"))
    rig = rigged(item, bone, bpy.context.scene.collection)
    bpy.data.objects.remove(item)
    return rig


def test_a_bone_that_is_held_on_the_skin_of_the_original_is_told(face: bpy.types.Object) -> None:
    copy, rig = talking(face), bare_rig("ring")
    held = rig.pose.bones["ring"].constraints.new("COPY_LOCATION")
    held.target = face
    assert telling.notes(copy) == (), "it is held by the place alone"
    held.subtarget = face.vertex_groups.new(name="lip").name
    (told,) = telling.notes(copy)
    assert told.startswith("Other objects hang on the surface of face, which rests: rig;")


@pytest.mark.parametrize("where", ["input", "node", "group"])
def test_geometry_nodes_of_others_that_read_the_original_are_told(face: bpy.types.Object, where: str) -> None:
    stubble = bpy.data.objects.new("stubble", bpy.data.meshes.new("stubble"))
    bpy.context.scene.collection.objects.link(stubble)
    inner, outer = (bpy.data.node_groups.new(name, "GeometryNodeTree") for name in ("inner", "outer"))
    outer.nodes.new("GeometryNodeGroup").node_tree = inner
    read = (inner if where == "group" else outer).nodes.new("GeometryNodeObjectInfo")
    modifier = stubble.modifiers.new("scatter", "NODES")
    outer.interface.new_socket("Surface", in_out="INPUT", socket_type="NodeSocketObject")
    modifier.node_group = outer
    copy = talking(face)

    def choose(item: bpy.types.Object) -> None:
        if where == "input":
            (name,) = compat.object_inputs(modifier)
            compat.set_object_input(modifier, name, item)
        else:
            read.inputs["Object"].default_value = item

    assert telling.notes(copy) == ()
    choose(face)
    (told,) = telling.notes(copy)
    assert told == (
        "Geometry nodes of other objects read face, which rests: stubble; choose face FreeTalk there instead."
    )
    choose(copy)
    assert telling.notes(copy) == ()


@pytest.mark.parametrize("kind", ["VERTS", "FACES"])
def test_what_is_instanced_on_the_original_is_told(face: bpy.types.Object, kind: str) -> None:
    pore = bpy.data.objects.new("pore", bpy.data.meshes.new("pore"))
    bpy.context.scene.collection.objects.link(pore)
    pore.parent, face.instance_type = face, kind
    copy = talking(face)
    (told,) = telling.notes(copy)
    assert told.startswith("Objects are instanced on vertices or faces of face, which is hidden: pore; parent them to")
    pore.parent = copy
    assert telling.notes(copy) == () and copy.instance_type == kind


def driven_by(owner: bpy.types.ID, path: str, block: bpy.types.ShapeKey) -> bpy.types.DriverTarget:
    """A driver that takes over the value of a shape key."""
    driver = owner.driver_add(path).driver
    driver.type = "AVERAGE"
    target = driver.variables.new().targets[0]
    target.id_type, target.id, target.data_path = "KEY", block.id_data, block.path_from_id("value")
    return target


def test_drivers_that_read_the_originals_shape_keys_are_told_and_go_with_the_talking_copy(
    face: bpy.types.Object,
) -> None:
    names = ("jawOpen", "Fat")
    for name in names:
        face.shape_key_add(name=name)
    lashes, skin = bpy.data.objects.new("lashes", None), bpy.data.materials.new("skin")
    bpy.context.scene.collection.objects.link(lashes)
    jaw, fat = (face.data.shape_keys.key_blocks[name] for name in names)
    driven_by(lashes, "empty_display_size", fat)
    if skin.node_tree is None:  # before 5
        skin.use_nodes = True
    copy = talking(face)
    assert telling.notes(copy) == (), "what is no shape of speech"
    socket = skin.node_tree.nodes["Principled BSDF"].inputs["Roughness"]
    targets = [
        driven_by(skin.node_tree, socket.path_from_id("default_value"), jaw),
        driven_by(lashes, "hide_render", jaw),
    ]
    (told,) = telling.notes(copy)
    assert told == (
        "Drivers read shape keys of face, which rest: lashes, skin; let them read those of face FreeTalk, and choose "
        "ARKit's shape keys."
    )
    copy[marks.LENT] = '["jawOpen"]'
    assert telling.notes(copy)[0].endswith("let them read those of face FreeTalk.")
    for target in targets:
        target.id = copy.data.shape_keys
    assert telling.notes(copy) == ()
    another = bake.copied(face)
    bake.remove(face, another)
    assert all(target.id == another.data.shape_keys for target in targets)


@pytest.mark.parametrize("kind", ["curve", "metaball", "hair", "instance", "path"])
def test_what_is_no_mesh_and_does_not_turn_with_the_head_is_told(face: bpy.types.Object, kind: str) -> None:
    fringe = on_forehead(kind, np.array(face[scene.LANDMARKS]).reshape(-1, 3)[27])
    copy = talking(face)
    assert telling.notes(copy) == (), "the head does not turn"
    copy[marks.NAMED] = '["headPitch"]'
    if kind == "path":  # it draws nothing
        assert telling.notes(copy) == ()
        return
    (told,) = telling.notes(copy)
    assert told.startswith("Other objects, which are no meshes, do not turn with the head: fringe; make meshes of them")
    place = fringe.location.copy()
    fringe.location = (0, 0, -50)
    bpy.context.view_layer.update()
    assert telling.notes(copy) == (), "it lies elsewhere"
    fringe.location = place
    fringe.parent, fringe.parent_type, fringe.parent_vertices = copy, "VERTEX_3", (81, 82, 83)
    bpy.context.view_layer.update()
    assert telling.notes(copy) == ()
    if kind == "hair":
        fringe.parent, fringe.data.surface = None, copy
        assert telling.notes(copy) == ()


def on_forehead(kind: str, place: np.ndarray) -> bpy.types.Object:
    """Something that is no mesh, at a place of a face as large as its eyes are apart."""
    data = None
    if kind == "metaball":
        data = bpy.data.metaballs.new("ball")
        data.elements.new().radius = 0.1
    elif kind == "hair":
        data = bpy.data.hair_curves.new("hair")
        data.add_curves([2])
        data.points.foreach_set("position", [0, 0, 0, 0, 0, 0.1])
    else:
        data = bpy.data.curves.new("curve", "CURVE")
        data.dimensions, data.bevel_depth = "3D", 0.0 if kind == "path" else 0.01
        data.splines.new("POLY").points.add(1)
        data.splines[0].points[1].co = (0.1, 0, 0, 1)
    item = bpy.data.objects.new("strand" if kind == "instance" else "fringe", data)
    if kind == "instance":
        strands = bpy.data.collections.new("strands")
        strands.objects.link(item)
        item = bpy.data.objects.new("fringe", None)
        item.instance_type, item.instance_collection = "COLLECTION", strands
    item.location = place
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()
    return item


def test_an_original_whose_visibility_is_animated_is_told(face: bpy.types.Object) -> None:
    face.hide_render = False
    face.keyframe_insert("hide_render", frame=1)
    copy = talking(face)
    (told,) = telling.notes(copy)
    assert told.startswith("face may be rendered beside its talking copy, for its visibility in renders is animated;")
    compat.find_curve(face, "hide_render").mute = True
    assert telling.notes(copy) == ()
    face.animation_data_clear()
    face.driver_add("hide_render")
    assert len(telling.notes(copy)) == 1
    mine = bpy.data.collections.new("originals")
    mine.hide_render = True
    bpy.context.scene.collection.objects.unlink(face)
    mine.objects.link(face)
    assert telling.notes(copy) == ()
    bpy.context.scene.collection.children.link(mine)
    (told,) = telling.notes(talking(face))
    assert told == "face FreeTalk.001 is in a collection that is disabled in renders; move it into another (M)."


def test_an_original_of_another_file_is_hidden_again_when_this_one_is_opened(
    addon: None, face: bpy.types.Object, tmp_path: Path
) -> None:
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {face})
    bpy.data.objects.remove(face)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["face"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    copy = talking(wanted.objects[0])
    (told,) = visibility.notes(copy)
    assert "for it is linked from another file, and a Blender without FreeTalk shows it again;" in told
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "talk.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "talk.blend"))
    (copy,) = marks.all_copies()
    assert marks.original_of(copy).library is not None and marks.original_of(copy).hide_render
    assert not copy.hide_render and not marks.original_of(copy).visible_get()
