"""A face is bound anew where it is another one, and not where it was moved."""

from dataclasses import replace

import bpy
import numpy as np
from baking import animate
from mathutils import Matrix

from freetalk_blender.blender import bake, marks, meshes, takes
from freetalk_blender.blender.ui import live, request
from freetalk_blender.core.landmarks import Landmarks


def test_a_face_is_the_same_wherever_its_animation_has_taken_it(talker: bpy.types.Object) -> None:
    talker.scale = (0.7, 1.3, 1.1)
    copy = animate(talker)
    bpy.ops.freetalk.take_new()
    for turn in (0.3, 1.1, 2.9):
        talker.matrix_world = Matrix.Rotation(turn, 4, (0.2, 1, 0.4)) @ Matrix.Diagonal((0.7, 1.3, 1.1, 1))
        bpy.context.view_layer.update()
        assert animate(talker) == copy and len(takes.listed(copy)) == 2


def test_a_face_that_an_animation_squashes_is_the_same_in_each_frame(talker: bpy.types.Object) -> None:
    current = bpy.context.scene
    for frame, height in ((1, 1.0), (20, 1.25)):
        talker.scale.y = height
        talker.keyframe_insert("scale", frame=frame)
    current.frame_set(1)
    copy = animate(talker)
    bpy.ops.freetalk.take_new()
    animate(talker)
    current.frame_set(20)
    current.freetalk.happy = 1.0
    live.watch(bpy.context)
    previewed = meshes.places(copy.data.shape_keys.key_blocks[marks.PREVIEW])
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert marks.copy_of(talker) == copy and len(takes.listed(copy)) == 2
    current.frame_set(20)
    baked = meshes.vertices(copy.data)
    for block in bake.own_blocks(copy):
        baked = baked + block.value * (meshes.places(block) - meshes.vertices(copy.data))
    assert np.abs(previewed - baked).max() < 0.25
    talker.animation_data_clear()
    talker.scale.y, before = 1.5, copy.session_uid
    bpy.context.view_layer.update()
    assert animate(talker).session_uid != before, "another face, for the person stretched it"


def test_parts_that_lie_a_rounding_error_elsewhere_are_the_same_face(talker: bpy.types.Object) -> None:
    scan = request.read_scan(bpy.context, talker)
    points = Landmarks(scan.landmarks.points)
    ball = scan.vertices[:50], np.array([[0, 1, 2]], np.int32)
    part = request.Part("teeth", *ball, True)
    moved = request.Part("teeth", ball[0] + np.float32(1e-5), ball[1], True)
    far = request.Part("teeth", ball[0] + np.float32(3), ball[1], True)
    whole = [
        request.replace(scan, vertices=np.concatenate([scan.vertices, each.vertices]), parts=(each,))
        for each in (part, moved, far)
    ]
    first, second, third = (each.fingerprint(points) for each in whole)
    assert first == second != third


def test_another_mouth_or_other_eyes_are_another_face(talker: bpy.types.Object) -> None:
    scan = request.read_scan(bpy.context, talker)
    other = [{"open_mouth": False}, {"inner_mouth": "dark"}, {"eyeballs": True}]
    faces = [replace(scan, **options).fingerprint(scan.landmarks) for options in ({}, *other)]
    assert len(set(faces)) == 4
