"""The add-on as Blender sees it: registered, clicked, undone, taken out again."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import ball_at, teeth_behind
from scipy.spatial.distance import pdist

import freetalk_blender
from freetalk_blender.blender import (
    cleanup,
    compat,
    hair,
    left_behind,
    marks,
    meshes,
    parts,
    scene,
    session,
    sound,
    telling,
)
from freetalk_blender.blender.formats import files
from freetalk_blender.blender.ui import animate, feeling, job, registration, request
from freetalk_blender.core import landmarks
from freetalk_blender.core.frame import transformed


@pytest.fixture
def ready(addon: None, scan: files.Scan, head_landmarks: Path, short_clip: Path) -> bpy.types.PropertyGroup:
    """The panel filled in: the sample head, a two-second clip as a file, scene at 25 frames a second."""
    current = bpy.context.scene
    current.render.fps, current.render.fps_base, current.frame_start = 25, 1.0, 1
    settings = current.freetalk
    settings.face, settings.landmarks, settings.sound_file = scan.item, str(head_landmarks), str(short_clip)
    return settings


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
    assert animate.why_not(bpy.context) == "Choose the face"
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    bpy.ops.object.camera_add()
    settings.face = bpy.context.object
    assert animate.why_not(bpy.context) == "Choose a mesh as the face"
    settings.face = cube
    assert "Choose a sound" in animate.why_not(bpy.context)
    assert not bpy.ops.freetalk.animate.poll()
    settings.sound_file = "voice.wav"
    assert animate.why_not(bpy.context) == "" and bpy.ops.freetalk.animate.poll()


def test_animate_makes_a_talking_copy_and_remove_takes_it_back(ready: bpy.types.PropertyGroup) -> None:
    original = ready.face
    count = len(bpy.data.objects)
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    (copy,) = marks.copies_of(original)
    curves = compat.fcurves(copy.data.shape_keys)
    assert len(curves) >= 4 and len(curves[0].keyframe_points) == 51 + 1, "and one at rest"
    assert [key.co.x for key in (*curves[0].keyframe_points,)][::50] == [1, 51]
    assert original.hide_get() and original.data.shape_keys is None
    assert bpy.context.view_layer.objects.active is copy

    assert bpy.ops.freetalk.animate() == {"FINISHED"}, "a second take replaces the first"
    assert len(marks.copies_of(original)) == 1

    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert len(bpy.data.objects) == count and not original.hide_get() and len(bpy.data.actions) == 0


@pytest.fixture
def teeth(ready: bpy.types.PropertyGroup, head_landmarks: Path) -> bpy.types.Object:
    return teeth_behind(ready.face, landmarks.read(head_landmarks).points, "Lower Teeth")


def test_teeth_that_are_another_object_turn_with_the_jaw_of_the_talking_copy(
    ready: bpy.types.PropertyGroup, teeth: bpy.types.Object
) -> None:
    original, count, objects = ready.face, len(ready.face.data.vertices), len(bpy.data.objects)
    for _ in range(2):
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(original)
        basis, *shapes = (
            np.array([point.co for point in block.points[count : count + len(teeth.data.vertices)]])
            for block in copy.data.shape_keys.key_blocks
        )
        assert np.allclose(
            basis,
            [original.matrix_world.inverted() @ teeth.matrix_world @ v.co for v in teeth.data.vertices],
            atol=1e-3,
        )
        wide = max(original.dimensions)
        assert max(np.linalg.norm(shape - basis, axis=1).min() for shape in shapes) > 0.005 * wide
        assert teeth.hide_get() and teeth.hide_render and left_behind.notes(copy) == ()
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert not teeth.hide_get() and not teeth.hide_render and not list(teeth.keys())
    assert len(bpy.data.objects) == objects and not list(cleanup.found())


def test_in_local_view_teeth_that_it_leaves_out_are_a_part_of_the_face_and_all_of_it_is_exported(
    ready: bpy.types.PropertyGroup, teeth: bpy.types.Object, tmp_path: Path
) -> None:
    bpy.ops.object.select_all(action="DESELECT")
    ready.face.select_set(True)
    area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(area=area, region=region):
        assert bpy.ops.view3d.localview() == {"FINISHED"} and not teeth.visible_get()
        assert bpy.ops.freetalk.animate() == {"FINISHED"} and teeth.hide_get()
        assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"}


@pytest.mark.parametrize("maps", [1, 8])
def test_teeth_keep_their_colours_and_texture(
    ready: bpy.types.PropertyGroup, teeth: bpy.types.Object, maps: int
) -> None:
    """The face's attributes have other names and another domain, and of one the teeth have none. maps: texture
    coordinates of the teeth; more than 8 Blender does not take."""
    face, count = ready.face.data, len(teeth.data.loops)
    for domain in ("POINT", "CORNER"):
        colours = face.color_attributes.new(f"painted {domain}", "BYTE_COLOR", domain)
        colours.data.foreach_set("color", np.full(4 * len(colours.data), 0.25, np.float32))
    face.uv_layers.new(name="face")
    own = teeth.data.color_attributes.new("own", "FLOAT_COLOR", "POINT")
    own.data.foreach_set("color", np.full(4 * len(own.data), 0.5, np.float32))
    uv = np.random.default_rng(0).random(2 * count).astype(np.float32)
    teeth.data.uv_layers.active.uv.foreach_set("vector", uv)
    for number in range(1, maps):
        teeth.data.uv_layers.new(name=f"other {number}")

    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    (copy,) = marks.copies_of(ready.face)
    mesh, first = copy.data, len(face.vertices)
    corner = meshes.corner_vertices(mesh)
    corner = np.flatnonzero((corner >= first) & (corner < first + len(teeth.data.vertices)))
    assert "own" not in mesh.color_attributes
    point, painted = (mesh.color_attributes[f"painted {domain}"].data for domain in ("POINT", "CORNER"))
    assert np.allclose(point[0].color, 0.25, atol=0.01) and np.allclose(point[first].color, 0.5, atol=0.01)
    assert {painted[i].color[0] for i in corner} == {1.0}
    assert np.allclose(np.ravel([mesh.uv_layers["face"].uv[i].vector for i in corner]), uv)
    assert len(teeth.data.uv_layers) == maps and "face" not in teeth.data.uv_layers


def test_what_modifiers_make_of_teeth_is_joined(ready: bpy.types.PropertyGroup, teeth: bpy.types.Object) -> None:
    """Subdivision once, while the face has none; then the face's own subdivides the teeth that are of it."""
    own = len(teeth.data.vertices)
    teeth.modifiers.new("thick", "SOLIDIFY").thickness = 0.2
    teeth.modifiers.new("round", "SUBSURF").levels = 1
    bpy.context.view_layer.update()
    finer = len(teeth.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices)
    expected = {False: finer, True: 2 * own}
    for shared, count in expected.items():
        if shared:
            ready.face.modifiers.new("round", "SUBSURF").levels = 0
        for _ in range(2):  # at first the teeth are seen, then they are hidden as a part of the copy
            (part,) = [part for part in parts.around(ready.face) if part.name == teeth.name]
            assert part.joinable and len(part.vertices) == count
        meshes_before = len(bpy.data.meshes)
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(ready.face)
        joined = meshes.vertices(copy.data)[len(ready.face.data.vertices) :][:count]
        assert np.allclose(joined, part.vertices, atol=1e-3 * max(ready.face.dimensions))
        assert teeth.hide_get() and len(teeth.modifiers) == 2 and left_behind.notes(copy) == ()
        assert len(bpy.data.meshes) <= meshes_before + 1
    teeth.modifiers.new("rig", "LATTICE")
    (part,) = [part for part in parts.around(ready.face) if part.name == teeth.name]
    assert not part.joinable


def test_hair_curves_follow_the_talking_skin(ready: bpy.types.PropertyGroup, head_landmarks: Path) -> None:
    """Curves are rooted by texture coordinates: here every triangle has a place of its own in the picture."""
    face = ready.face
    points, corners = meshes.vertices(face.data), meshes.triangles(face.data)
    across = int(np.ceil(np.sqrt(len(corners))))
    cell = np.stack(np.divmod(np.arange(len(corners)), across), 1)
    places = (cell[:, None] + [[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]]) / across
    face.data.uv_layers.new(name="UV").uv.foreach_set("vector", places.astype(np.float32).ravel())
    bpy.context.view_layer.objects.active = face
    bpy.ops.object.curves_empty_hair_add()
    curves = bpy.context.object
    chin, forehead = landmarks.read(head_landmarks).points[8], points[(points @ face.matrix_world[2][:3]).argmax()]
    middles = points[corners].mean(1)
    rooted = [int(np.linalg.norm(middles - place, axis=1).argmin()) for place in (chin, forehead)]
    curves.data.add_curves([2, 2])
    curves.data.attributes["position"].data.foreach_set("vector", np.repeat(middles[rooted], 2, 0).ravel())
    uv = curves.data.attributes.get("surface_uv_coordinate")
    uv = uv or curves.data.attributes.new("surface_uv_coordinate", "FLOAT2", "CURVE")
    uv.data.foreach_set("vector", places[rooted].mean(1).astype(np.float32).ravel())

    def grown() -> np.ndarray:
        shown = curves.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        return meshes.of_each(shown.attributes["position"].data, "vector", 3).reshape(-1, 2, 3)

    rest = grown()
    for _ in range(2):  # the second copy takes the first one's place
        ready.open_mouth = not ready.open_mouth
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(face)
        assert curves.data.surface is copy
        moved = []
        for frame in range(1, 51, 5):
            bpy.context.scene.frame_set(frame)
            moved.append(np.linalg.norm(grown() - rest, axis=2).max(1) / max(face.dimensions))
        assert np.max(moved, 0)[0] > max(0.01, 4 * np.max(moved, 0)[1]), "the chin's more than the forehead's"
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert curves.data.surface is face and np.allclose(grown(), rest) and not list(cleanup.found())


def surface_reader() -> bpy.types.NodeTree:
    """Geometry nodes that move everything to the mean place of an object's vertices; the object is an input."""
    tree = bpy.data.node_groups.new("at the mean", "GeometryNodeTree")
    for name, kind in (("Geometry", "NodeSocketGeometry"), ("Surface", "NodeSocketObject")):
        tree.interface.new_socket(name, in_out="INPUT", socket_type=kind)
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    made = ("GroupInput", "GroupOutput"), ("ObjectInfo", "AttributeStatistic", "InputPosition", "SetPosition")
    given, out = (tree.nodes.new(f"Node{name}") for name in made[0])
    surface, mean, place, put = (tree.nodes.new(f"GeometryNode{name}") for name in made[1])
    mean.data_type = "FLOAT_VECTOR"
    for source, target in (
        (given.outputs["Surface"], surface.inputs["Object"]),
        (surface.outputs["Geometry"], mean.inputs["Geometry"]),
        (place.outputs[0], next(each for each in mean.inputs if each.type == "VECTOR")),
        (next(each for each in mean.outputs if each.type == "VECTOR"), put.inputs["Position"]),
        (given.outputs["Geometry"], put.inputs["Geometry"]),
        (put.outputs["Geometry"], out.inputs["Geometry"]),
    ):
        tree.links.new(source, target)
    return tree


@pytest.mark.parametrize("deleted", [False, True])
def test_geometry_nodes_of_hair_read_the_talking_skin(talker: bpy.types.Object, deleted: bool, tmp_path: Path) -> None:
    bpy.context.view_layer.objects.active = talker
    bpy.ops.object.curves_empty_hair_add()
    grown, grown_name = bpy.context.object, bpy.context.object.name
    grown.modifiers.clear()
    grown.data.add_curves([2])
    nodes = grown.modifiers.new("grow", "NODES")
    nodes.node_group = surface_reader()
    (name,) = compat.object_inputs(nodes)
    compat.set_object_input(nodes, name, talker)
    bpy.context.scene.freetalk.face = talker

    def place(frame: int) -> np.ndarray:
        bpy.context.scene.frame_set(frame)
        shown = bpy.data.objects[grown_name].evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        return np.array(shown.attributes["position"].data[0].vector)

    for _ in range(2):  # the second copy takes the first one's place
        bpy.context.scene.freetalk.open_mouth = not bpy.context.scene.freetalk.open_mouth
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(talker)
        assert compat.object_inputs(nodes) == {name: copy} and telling.notes(copy) == ()
        assert np.ptp([place(frame) for frame in range(1, 40, 4)], 0).max() > 0.05
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hair.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "hair.blend"))
    face, grown = bpy.data.objects["head"], bpy.data.objects[grown_name]
    if deleted:
        bpy.data.objects.remove(marks.copy_of(face))
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert compat.object_inputs(grown.modifiers["grow"]) == {name: face} and grown.data.surface == face
    assert not [each for each in cleanup.found() if grown_name in each or not deleted]


def test_particle_hair_that_is_spread_anew_is_told(ready: bpy.types.PropertyGroup) -> None:
    ready.face.modifiers.new("hair", "PARTICLE_SYSTEM")
    system = ready.face.particle_systems[0].settings
    system.type, system.count = "HAIR", 50
    told = []
    for opened in (False, True):
        ready.open_mouth = opened
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(ready.face)
        told.append(hair.spread_anew(copy))
    assert told[0] == () and ready.face.name in told[1][0] and "Open Mouth" in told[1][0]


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


def test_nothing_is_left_of_parts_that_could_not_be_joined(
    ready: bpy.types.PropertyGroup, teeth: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    before = len(bpy.data.meshes), len(bpy.data.objects)
    monkeypatch.setattr(parts, "_share_uv", fail)
    with pytest.raises(RuntimeError):
        parts.join(ready.face, ready.face, [teeth.name])
    assert (len(bpy.data.meshes), len(bpy.data.objects)) == before


def test_teeth_that_cannot_be_joined_stay_and_are_told(ready: bpy.types.PropertyGroup, teeth: bpy.types.Object) -> None:
    teeth.constraints.new("LIMIT_LOCATION")
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    (copy,) = marks.copies_of(ready.face)
    (told,) = left_behind.notes(copy)
    assert "Lower Teeth" in told and "join" in told and teeth.visible_get()
    teeth.hide_set(True)
    assert left_behind.notes(copy) == ()


def test_an_eyeball_that_is_an_object_is_joined_where_the_head_turns_and_stays_itself_where_not(
    ready: bpy.types.PropertyGroup, head_landmarks: Path
) -> None:
    points, count = landmarks.read(head_landmarks).points, len(ready.face.data.vertices)
    eye = ball_at(ready.face, points, points[36:42].mean(0), np.array([0, 0, -0.15]), 0.13, "Eye")
    for nods in (0.0, 1.0, 0.0):
        ready.head = nods
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(ready.face)
        assert eye.hide_get() == bool(nods) and left_behind.notes(copy) == ()
        blocks = copy.data.shape_keys.key_blocks
        assert ("headPitch" in blocks) == bool(nods)
        if nods:
            own = slice(count, count + len(eye.data.vertices))
            place, turned = (
                np.array([point.co for point in blocks[name].points[own]]) for name in ("Basis", "headYaw")
            )
            assert np.linalg.norm(turned - place, axis=1).min() > 0.02 * max(ready.face.dimensions)
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert not eye.hide_get() and not list(eye.keys())


def test_what_does_not_turn_with_a_nodding_head_is_told(ready: bpy.types.PropertyGroup) -> None:
    low, high = (np.array(ready.face.bound_box)[row] for row in (0, 6))
    hat = bpy.data.objects.new("Hat", bpy.data.meshes.new("Hat"))
    corners = [(x, y, z) for x in (-1, 1) for y in (0.7, 1.1) for z in (-1, 1)]
    hat.data.from_pydata([(low + high) / 2 + (high - low) / 2 * corner for corner in corners], [], [(0, 1, 3, 2)])
    bpy.context.scene.collection.objects.link(hat)
    for nods in (0.0, 1.0):
        ready.head = nods
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(ready.face)
        told = left_behind.notes(copy)
        assert len(told) == int(nods) and all("turn with the head: Hat" in note for note in told)


def test_teeth_on_a_bone_are_joined_where_the_face_hangs_on_the_same(
    ready: bpy.types.PropertyGroup, teeth: bpy.types.Object
) -> None:
    bpy.ops.object.armature_add()
    rig = bpy.context.object
    for item in (teeth, ready.face):
        (part,) = [part for part in parts.around(ready.face) if part.name == teeth.name]
        assert part.joinable == (item is teeth), "before either hangs there, and while only the teeth do"
        place = item.matrix_world.copy()
        item.parent, item.parent_type, item.parent_bone = rig, "BONE", rig.data.bones[0].name
        bpy.context.view_layer.update()
        item.matrix_world = place
        bpy.context.view_layer.update()
    (part,) = [part for part in parts.around(ready.face) if part.name == teeth.name]
    assert part.joinable


def test_a_sound_strip_says_when_the_speech_starts(ready: bpy.types.PropertyGroup, short_clip: Path) -> None:
    if not compat.can_make_sound():
        pytest.skip("this bpy wheel is built without sound")
    strip = sound.add_strip(bpy.context.scene, short_clip, 120)
    ready.sound = "STRIP"
    assert animate.why_not(bpy.context) == "", "the first strip where none is named"
    ready.strip = "gone"
    assert animate.why_not(bpy.context) == "Choose a sound strip of the sequencer"
    ready.strip = strip.name
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    (copy,) = marks.copies_of(ready.face)
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
    from mathutils import Matrix

    scan.item.data.transform(Matrix(turn.tolist()))
    scan.item.matrix_world = Matrix.Translation((5, 6, 7)) @ Matrix.Scale(2, 4)
    bpy.context.view_layer.update()
    wanted = scan_landmarks @ turn[:3, :3].T
    for points in (scan_landmarks, transformed(meshes.world(scan.item), wanted)):
        assert np.allclose(scene.landmarks_on(scan.item, points), wanted, atol=1e-3), "the scan's axes, or the scene's"


def test_landmarks_of_another_scan_are_refused(scan: files.Scan, scan_landmarks: np.ndarray) -> None:
    from freetalk_blender.core.errors import LandmarkError

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
    from mathutils import Matrix

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
