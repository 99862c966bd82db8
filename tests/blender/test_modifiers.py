"""Faces with modifiers and negative scales: filmed where they are seen, or refused in a sentence."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Euler

from freetalk_blender.blender import meshes, mouth, render, scene
from freetalk_blender.blender.render import head_view
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
    armature = bpy.data.objects.new("bones", bpy.data.armatures.new("bones"))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    armature.data.edit_bones.new("head").tail = (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    face.vertex_groups.new(name="head").add(list(range(len(face.data.vertices))), 1.0, "REPLACE")
    face.modifiers.new("bones", "ARMATURE").object = armature
    assert np.abs(seen(face) - rest).max() < 1e-5
    bone = armature.pose.bones["head"]
    bone.rotation_mode, bone.rotation_euler = "XYZ", (0.2, 0.5, 0.1)
    turn = np.array(bone.bone.matrix_local) @ np.array(Euler((0.2, 0.5, 0.1)).to_matrix().to_4x4())
    turn = (turn @ np.linalg.inv(np.array(bone.bone.matrix_local)))[:3, :3]
    assert np.abs(seen(face) - rest @ turn.T).max() < 0.01
    assert np.ptp(rest @ turn.T - rest, axis=0).max() > 0.3


def test_a_face_with_more_vertices_by_a_modifier_is_filmed_where_it_rests(face: bpy.types.Object) -> None:
    rest = seen(face)
    face.modifiers.new("thicker", "SOLIDIFY")
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


def test_a_half_that_a_mirror_completes_is_refused_until_that_is_applied(face: bpy.types.Object) -> None:
    modifier = face.modifiers.new("Mirror", "MIRROR")
    with pytest.raises(MeshError, match="has a Mirror modifier; apply it or remove it first"):
        meshes.check(face)
    modifier.show_viewport = False
    meshes.check(face)
