"""Faces with a Decimate modifier, which leaves other vertices out in each frame."""

import bpy
import numpy as np
from baking import animate

from freetalk_blender.blender import meshes, placed, telling


def told(copy: bpy.types.Object) -> list[str]:
    return [note for note in telling.notes(copy) if "decimates the face anew in each frame" in note]


def is_same_surface(copy: bpy.types.Object) -> bool:
    """Do the same triangles show the face in two frames?"""
    shown = []
    for frame in (25, 35):
        bpy.context.scene.frame_set(frame)
        evaluated = copy.evaluated_get(bpy.context.evaluated_depsgraph_get())
        shown.append(meshes.surface(evaluated.data)[1].copy())
    return np.array_equal(*shown)


def test_a_face_that_is_decimated_in_each_frame_is_told(talker: bpy.types.Object) -> None:
    thinned = talker.modifiers.new("thinned", "DECIMATE")
    thinned.ratio = 0.3
    copy = animate(talker)
    thinned = copy.modifiers["thinned"]
    assert not is_same_surface(copy) and len(told(copy)) == 1
    thinned.decimate_type, thinned.angle_limit = "DISSOLVE", 0.1
    assert not is_same_surface(copy) and len(told(copy)) == 1
    thinned.decimate_type, thinned.iterations = "UNSUBDIV", 2
    assert is_same_surface(copy) and not told(copy)
    thinned.decimate_type, thinned.ratio = "COLLAPSE", 1.0
    assert is_same_surface(copy) and not told(copy)


def test_a_face_of_which_something_else_is_decimated_is_not_told(talker: bpy.types.Object) -> None:
    chin = placed.points(talker)[8]
    below = np.flatnonzero(meshes.vertices(talker.data)[:, 1] < chin[1])
    talker.vertex_groups.new(name="neck").add(below.tolist(), 1.0, "REPLACE")
    thinned = talker.modifiers.new("thinned", "DECIMATE")
    thinned.ratio, thinned.vertex_group = 0.8, "neck"
    assert not told(animate(talker))
