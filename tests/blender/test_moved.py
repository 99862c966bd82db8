"""What is moved by more than curves of its shape keys moves in a .glb, too; what is not is written as it is keyed."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest

from freetalk_blender.blender import compat, sound
from freetalk_blender.blender.formats import files, saving

LAST = 20
#: Frames of which none is keyed.
LOOKED_AT = (3, 8, 14)


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


def move(item: bpy.types.Object, how: str) -> None:
    rig, keys, turns = item.parent, item.data.shape_keys, {1: (0, 0, -0.5), 10: (0.4, 0, 0.5), LAST: (0, 0, -0.5)}
    bone, control = rig.pose.bones
    places = {1: (0, 0, 0), 10: (1, 0, 0), LAST: (0, 2, 0)}
    own = keys.key_blocks["own"]
    if how == "bone constraint":
        keyed(control, turns, "rotation_euler")
        copy = bone.constraints.new("COPY_ROTATION")
        copy.target, copy.subtarget = rig, "control"
    elif how == "armature strip":
        keyed(bone, turns, "rotation_euler")
        pushed_down(rig)
    elif how == "cycles":
        keyed(bone, {1: (0, 0, 0), 4: (0, 0, 0.5), 6: (0, 0, 0)}, "rotation_euler")
        for curve in compat.existing_curves(rig):
            curve.modifiers.new("CYCLES")
    elif how == "bone driver":
        keyed(control, turns, "rotation_euler")
        drive(bone.driver_add("rotation_euler", 0), rig, 'pose.bones["control"].rotation_euler[2]')
    elif how == "object constraint":
        target = bpy.data.objects.new("target", None)
        bpy.context.collection.objects.link(target)
        keyed(target, places, "location")
        rig.constraints.new("COPY_LOCATION").target = target
    elif how == "object strip":
        keyed(rig, places, "location")
        pushed_down(rig)
    elif how == "parent's driver":
        stand = rig.parent = bpy.data.objects.new("stand", None)
        bpy.context.collection.objects.link(stand)
        stand.driver_add("location", 1).driver.expression = "frame / 7"
    elif how == "hidden parent":
        stand = rig.parent = bpy.data.objects.new("stand", None)
        bpy.context.collection.objects.link(stand)
        keyed(stand, places, "location")
        stand.hide_set(True)
    elif how.startswith("muted"):
        keyed(rig, places, "location")
        keyed(own, {1: 0.0, LAST: 1.0}, "value")
        owner, path = (keys, own.path_from_id("value")) if how == "muted key" else (rig, "location")
        curve = compat.find_curve(owner, path)
        (curve.group if how == "muted group" else curve).mute = True
    elif how == "whole turn":
        keyed(rig, {1: (0, 0, 0), LAST: (0, 0, 2 * np.pi)}, "rotation_euler")
    elif how == "whole turn of the parent":
        stand = rig.parent = bpy.data.objects.new("stand", None)
        bpy.context.collection.objects.link(stand)
        keyed(stand, {1: (0, 0, 0), LAST: (0, 0, 2 * np.pi)}, "rotation_euler")
    elif how == "bone's angles":
        keyed(bone, {1: (0, 0, 0), LAST: (1.5, -1, 3)}, "rotation_euler")
    elif how == "axis and angle":
        bone.rotation_mode = "AXIS_ANGLE"
        keyed(bone, {1: (0, 0, 0, 1), LAST: (3, 0, 1, 1)}, "rotation_axis_angle")
    elif how == "handles of its own":
        keyed(rig, places, "location")
        for point in [point for curve in compat.existing_curves(rig) for point in curve.keyframe_points]:
            point.handle_left_type = point.handle_right_type = "FREE"
            point.handle_right = point.co.x + 7, point.co.y
    elif how.startswith("delta"):
        rig.delta_location, rig.delta_rotation_euler = (0, 0, 1), (0.4, 0, 0)
        keyed(rig, *(places, "location") if how == "delta place" else (turns, "rotation_euler"))
    elif how == "key driver":
        drive(own.driver_add("value"), keys, 'key_blocks["talk"].value')
    else:
        assert how == "key strip"
        keys.animation_data_clear()
        keyed(own, {1: 0.0, 10: 1.0, LAST: 0.0}, "value")
        pushed_down(keys)
        keyed(keys.key_blocks["talk"], {1: -1.0, LAST: 1.0}, "value")


def drive(curve: bpy.types.FCurve, by: bpy.types.ID, path: str) -> None:
    variable = curve.driver.variables.new()
    target = variable.targets[0]
    if isinstance(by, bpy.types.Key):
        target.id_type = "KEY"
    target.id, target.data_path = by, path
    curve.driver.expression = "abs(var)"


def points(seconds: float) -> np.ndarray:
    """(8,3) sorted corners of the cube in the world at a time."""
    scene = bpy.context.scene
    frame = seconds * sound.scene_fps(scene)
    scene.frame_set(int(frame), subframe=frame % 1)
    graph = bpy.context.evaluated_depsgraph_get()
    item = next(item for item in scene.objects if item.type == "MESH" and item.data.shape_keys).evaluated_get(graph)
    found = np.array([item.matrix_world @ vertex.co for vertex in item.data.vertices])
    return np.unique(found.round(4), axis=0)


@pytest.mark.parametrize(
    "how",
    [
        "bone constraint",
        "bone driver",
        "cycles",
        "armature strip",
        "object constraint",
        "object strip",
        "parent's driver",
        "hidden parent",
        "muted curve",
        "muted group",
        "muted key",
        "whole turn",
        "whole turn of the parent",
        "bone's angles",
        "axis and angle",
        "handles of its own",
        "delta place",
        "delta turn",
        "key driver",
        "key strip",
    ],
)
def test_what_more_than_curves_of_shape_keys_moves_is_in_the_gltf(
    face: bpy.types.Object, tmp_path: Path, how: str
) -> None:
    move(face, how)
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
    content = (tmp_path / "a.glb").read_bytes()
    tree = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    samplers = [sampler for animation in tree["animations"] for sampler in animation["samplers"]]
    assert samplers and {tree["accessors"][sampler["input"]]["count"] for sampler in samplers} == {2}
