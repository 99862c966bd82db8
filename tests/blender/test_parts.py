"""Teeth, eyeballs and hats that are objects of their own: of the talking copy, or told of."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import animate, ball_at, teeth_behind

from freetalk_blender.blender import bake, cleanup, left_behind, marks, meshes, parts
from freetalk_blender.core import landmarks


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


def test_teeth_that_a_negative_scale_mirrors_are_joined_outside_out(
    talker: bpy.types.Object, scan_landmarks: np.ndarray
) -> None:
    """As the second of two eyes is, or upper teeth of lower ones: inside out, they were taken for a bubble in flesh."""
    teeth = teeth_behind(talker, scan_landmarks, "teeth")
    teeth.scale.x, first, count = -1, len(talker.data.vertices), len(teeth.data.vertices)
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = talker
    mesh = animate(talker).data
    places = meshes.vertices(mesh)
    middle = places[first : first + count].mean(0)
    of_teeth = [each for each in mesh.polygons if first <= min(each.vertices) and max(each.vertices) < first + count]
    assert len(of_teeth) == len(teeth.data.polygons)
    assert all(np.dot(each.normal, np.array(each.center) - middle) > 0 for each in of_teeth)


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

    copy = animate(ready.face)
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


def test_teeth_whose_shape_keys_rest_are_joined_and_others_stay_an_object(
    ready: bpy.types.PropertyGroup, teeth: bpy.types.Object
) -> None:
    def joinable() -> bool:
        (part,) = [part for part in parts.around(ready.face) if part.name == teeth.name]
        return part.joinable

    rest, wide = (teeth.shape_key_add(name=name, from_mix=False) for name in ("Basis", "wide"))
    wide.value, rest.value = 0.0, 1.0
    assert joinable(), "what the resting one's value is means nothing"
    teeth.data.shape_keys.use_relative = False
    assert not joinable()
    teeth.data.shape_keys.use_relative = True
    wide.keyframe_insert("value", frame=1)
    assert not joinable()


def test_what_rests_is_one_shape_key_whatever_it_is_called_in_each_object(cube: bpy.types.Object) -> None:
    """Blender calls it in the language in which it was made."""
    face = cube
    names = {"face": "ベース", "teeth": "Basis", "tongue": "基型"}
    for name, basis in names.items():
        if name != "face":
            bpy.ops.mesh.primitive_cube_add(size=0.1)
        item = bpy.context.object
        item.name = name
        item.shape_key_add(name=basis)
        item.shape_key_add(name="jawOpen").points[0].co.z -= 0.01
    bpy.context.view_layer.update()
    keys = bake.copied(face, ("teeth", "tongue")).data.shape_keys
    assert [(block.name, block.relative_key.name) for block in keys.key_blocks] == [
        ("ベース", "ベース"),
        ("jawOpen", "ベース"),
    ]
    moved = meshes.places(keys.key_blocks[1]) - meshes.places(keys.reference_key)
    assert np.flatnonzero(moved.any(1)).tolist() == [0, 8, 16]
    for name, basis in names.items():
        assert bpy.data.objects[name].data.shape_keys.reference_key.name == basis


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
    copy = animate(ready.face)
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
