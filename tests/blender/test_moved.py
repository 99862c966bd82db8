"""What is moved by more than curves of its shape keys moves in a .glb, too; what is not is written as it is keyed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import bpy
import numpy as np
import pytest
from read_glb import document

from freetalk_blender.blender import compat, sound
from freetalk_blender.blender.formats import files, saving

LAST = 20
#: Frames of which none is keyed.
LOOKED_AT = (3, 8, 14)
#: Frame -> angles, and places, of what is keyed there.
TURNS = {1: (0, 0, -0.5), 10: (0.4, 0, 0.5), LAST: (0, 0, -0.5)}
WHOLE_TURN = {1: (0, 0, 0), LAST: (0, 0, 2 * np.pi)}
PLACES = {1: (0, 0, 0), 10: (1, 0, 0), LAST: (0, 2, 0)}


def keyed(owner: bpy.types.bpy_struct, values: dict[int, object], path: str) -> None:
    """Keys frame -> value of a property of the object, a bone or a shape key."""
    for frame, value in values.items():
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame, group="keyed")


def pushed_down(owner: bpy.types.ID) -> None:
    """The action becomes a strip."""
    data = owner.animation_data
    through, action = compat.slot(owner), data.action
    data.action = None
    strip = data.nla_tracks.new().strips.new("strip", 1, action)
    if through is not None:
        strip.action_slot = through


@pytest.fixture
def face(empty: bpy.types.Scene) -> bpy.types.Object:
    """A cube with a shape key that plays, on a bone beside one that controls; both at rest."""
    empty.frame_end = LAST
    sound.set_scene_fps(empty, 30 / 1.001)
    rig = bpy.data.objects.new("rig", bpy.data.armatures.new("rig"))
    empty.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name in ("head", "control"):
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail = (0, 0, -1), (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    for bone in rig.pose.bones:
        bone.rotation_mode = "XYZ"
    bpy.ops.mesh.primitive_cube_add()
    item = bpy.context.object
    item.vertex_groups.new(name="head").add(range(8), 1, "REPLACE")
    item.modifiers.new("rig", "ARMATURE").object = rig
    item.parent = rig
    item.shape_key_add(name="Basis")
    for name in ("talk", "own"):
        for point in item.shape_key_add(name=name).data:
            point.co.x *= 2 if name == "talk" else 0.5
    keyed(item.data.shape_keys.key_blocks["talk"], {1: -1.0, LAST: 1.0}, "value")
    return item


def drive(curve: bpy.types.FCurve, by: bpy.types.ID, path: str) -> None:
    variable = curve.driver.variables.new()
    target = variable.targets[0]
    if isinstance(by, bpy.types.Key):
        target.id_type = "KEY"
    target.id, target.data_path = by, path
    curve.driver.expression = "abs(var)"


def stand_of(rig: bpy.types.Object) -> bpy.types.Object:
    """An empty that the armature hangs on from now on."""
    rig.parent = bpy.data.objects.new("stand", None)
    bpy.context.collection.objects.link(rig.parent)
    return rig.parent


def bone_constraint(face: bpy.types.Object) -> None:
    bone, control = face.parent.pose.bones
    keyed(control, TURNS, "rotation_euler")
    copy = bone.constraints.new("COPY_ROTATION")
    copy.target, copy.subtarget = face.parent, "control"


def bone_driver(face: bpy.types.Object) -> None:
    bone, control = face.parent.pose.bones
    keyed(control, TURNS, "rotation_euler")
    drive(bone.driver_add("rotation_euler", 0), face.parent, 'pose.bones["control"].rotation_euler[2]')


def cycles(face: bpy.types.Object) -> None:
    keyed(face.parent.pose.bones["head"], {1: (0, 0, 0), 4: (0, 0, 0.5), 6: (0, 0, 0)}, "rotation_euler")
    for curve in compat.existing_curves(face.parent):
        curve.modifiers.new("CYCLES")


def armature_strip(face: bpy.types.Object) -> None:
    keyed(face.parent.pose.bones["head"], TURNS, "rotation_euler")
    pushed_down(face.parent)


def object_constraint(face: bpy.types.Object) -> None:
    target = bpy.data.objects.new("target", None)
    bpy.context.collection.objects.link(target)
    keyed(target, PLACES, "location")
    face.parent.constraints.new("COPY_LOCATION").target = target


def object_strip(face: bpy.types.Object) -> None:
    keyed(face.parent, PLACES, "location")
    pushed_down(face.parent)


def driver_of_the_parent(face: bpy.types.Object) -> None:
    stand_of(face.parent).driver_add("location", 1).driver.expression = "frame / 7"


def hidden_parent(face: bpy.types.Object) -> None:
    stand = stand_of(face.parent)
    keyed(stand, PLACES, "location")
    stand.hide_set(True)


def muted(what: str, face: bpy.types.Object) -> None:
    rig, keys = face.parent, face.data.shape_keys
    own = keys.key_blocks["own"]
    keyed(rig, PLACES, "location")
    keyed(own, {1: 0.0, LAST: 1.0}, "value")
    owner, path = (keys, own.path_from_id("value")) if what == "key" else (rig, "location")
    curve = compat.find_curve(owner, path)
    (curve.group if what == "group" else curve).mute = True


def whole_turn(face: bpy.types.Object) -> None:
    keyed(face.parent, WHOLE_TURN, "rotation_euler")


def whole_turn_of_the_parent(face: bpy.types.Object) -> None:
    keyed(stand_of(face.parent), WHOLE_TURN, "rotation_euler")


def angles_of_a_bone(face: bpy.types.Object) -> None:
    keyed(face.parent.pose.bones["head"], {1: (0, 0, 0), LAST: (1.5, -1, 3)}, "rotation_euler")


def axis_and_angle(face: bpy.types.Object) -> None:
    bone = face.parent.pose.bones["head"]
    bone.rotation_mode = "AXIS_ANGLE"
    keyed(bone, {1: (0, 0, 0, 1), LAST: (3, 0, 1, 1)}, "rotation_axis_angle")


def handles_of_its_own(face: bpy.types.Object) -> None:
    keyed(face.parent, PLACES, "location")
    for point in [point for curve in compat.existing_curves(face.parent) for point in curve.keyframe_points]:
        point.handle_left_type = point.handle_right_type = "FREE"
        point.handle_right = point.co.x + 7, point.co.y


def delta(values: dict[int, object], path: str, face: bpy.types.Object) -> None:
    face.parent.delta_location, face.parent.delta_rotation_euler = (0, 0, 1), (0.4, 0, 0)
    keyed(face.parent, values, path)


def key_driver(face: bpy.types.Object) -> None:
    keys = face.data.shape_keys
    drive(keys.key_blocks["own"].driver_add("value"), keys, 'key_blocks["talk"].value')


def key_strip(face: bpy.types.Object) -> None:
    keys = face.data.shape_keys
    keys.animation_data_clear()
    keyed(keys.key_blocks["own"], {1: 0.0, 10: 1.0, LAST: 0.0}, "value")
    pushed_down(keys)
    keyed(keys.key_blocks["talk"], {1: -1.0, LAST: 1.0}, "value")


#: What may move a face beside curves of its shape keys.
MOVERS: dict[str, Callable[[bpy.types.Object], None]] = {
    "bone constraint": bone_constraint,
    "bone driver": bone_driver,
    "cycles": cycles,
    "armature strip": armature_strip,
    "object constraint": object_constraint,
    "object strip": object_strip,
    "parent's driver": driver_of_the_parent,
    "hidden parent": hidden_parent,
    "muted curve": partial(muted, "curve"),
    "muted group": partial(muted, "group"),
    "muted key": partial(muted, "key"),
    "whole turn": whole_turn,
    "whole turn of the parent": whole_turn_of_the_parent,
    "bone's angles": angles_of_a_bone,
    "axis and angle": axis_and_angle,
    "handles of its own": handles_of_its_own,
    "delta place": partial(delta, PLACES, "location"),
    "delta turn": partial(delta, TURNS, "rotation_euler"),
    "key driver": key_driver,
    "key strip": key_strip,
}


def points(seconds: float) -> np.ndarray:
    """(8,3) sorted corners of the cube in the world at a time."""
    scene = bpy.context.scene
    frame = seconds * sound.scene_fps(scene)
    scene.frame_set(int(frame), subframe=frame % 1)
    graph = bpy.context.evaluated_depsgraph_get()
    item = next(item for item in scene.objects if item.type == "MESH" and item.data.shape_keys).evaluated_get(graph)
    found = np.array([item.matrix_world @ vertex.co for vertex in item.data.vertices])
    return np.unique(found.round(4), axis=0)


@pytest.mark.parametrize("how", MOVERS)
def test_what_more_than_curves_of_shape_keys_moves_is_in_the_gltf(
    face: bpy.types.Object, tmp_path: Path, how: str
) -> None:
    MOVERS[how](face)
    assert_written_as_shown(tmp_path / "a.glb")


def assert_written_as_shown(path: Path) -> None:
    seconds = [frame * 1.001 / 30 for frame in LOOKED_AT]
    wanted = [points(each) for each in seconds]
    assert np.ptp(wanted, axis=0).max() > 0.1
    saving.save(path)
    files.read(path, 30 / 1.001)
    for keys in bpy.data.shape_keys:
        for block in keys.key_blocks:
            block.slider_min = -1
    for each, corners in zip(seconds, wanted, strict=True):
        assert np.allclose(points(each), corners, atol=2e-3)


@pytest.mark.parametrize("how", ["no bone is keyed", "another bone is keyed", "parented to the bone", "sampled"])
def test_a_pose_that_no_key_holds_is_in_the_gltf(face: bpy.types.Object, tmp_path: Path, how: str) -> None:
    rig = face.parent
    bone, control = rig.pose.bones
    bone.rotation_euler = (0.4, 0, 0.5)
    if how == "another bone is keyed":
        keyed(control, {1: (0, 0, 0), LAST: (0, 0, 0.5)}, "rotation_euler")
    elif how == "parented to the bone":
        face.modifiers.clear()
        face.parent_type, face.parent_bone = "BONE", bone.name
    elif how == "sampled":
        drive(face.data.shape_keys.key_blocks["own"].driver_add("value"), rig, 'pose.bones["head"].rotation_euler[2]')
    assert_written_as_shown(tmp_path / "a.glb")


def test_what_curves_of_shape_keys_alone_move_is_written_as_it_is_keyed(face: bpy.types.Object, tmp_path: Path) -> None:
    """Beside other takes, clips that do not play, and a camera, of which a file has the place alone."""
    rig, keys = face.parent, face.data.shape_keys
    keyed(rig, {1: (0, 0, 0), LAST: (1, 0, 0)}, "location")
    for owner in (rig, keys):
        compat.stash(owner, "take", owner.animation_data.action, compat.slot(owner))
    compat.assign(rig, None, None)
    face.constraints.new("COPY_LOCATION").mute = True
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    bpy.context.scene.collection.objects.link(camera)
    camera.constraints.new("TRACK_TO").target = face
    keyed(camera, {1: (0, 0, 9), LAST: (9, 0, 9)}, "location")
    saving.save(tmp_path / "a.glb")
    tree, _ = document(tmp_path / "a.glb")
    samplers = [sampler for animation in tree["animations"] for sampler in animation["samplers"]]
    assert samplers and {tree["accessors"][sampler["input"]]["count"] for sampler in samplers} == {2}
