"""Modifiers that would undo what FreeTalk does to a face are refused, or told of in a sentence."""

import itertools
import re
from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import baked, rigged, talking
from wheel import NEEDS_USD

from freetalk_blender.blender import marks, meshes, modifiers, mouth, telling, unwritten
from freetalk_blender.blender.formats import saving
from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.errors import MeshError


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


def passing(node: str | None) -> bpy.types.NodeTree:
    """Geometry nodes through which a mesh passes, by one of a type: a new material, or flat."""
    tree = bpy.data.node_groups.new("passing", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    chain = [tree.nodes.new(kind) for kind in ("NodeGroupInput", node, "NodeGroupOutput") if kind]
    for one, after in itertools.pairwise(chain):
        tree.links.new(one.outputs[0], after.inputs[0])
    if node == "GeometryNodeSetMaterial":
        chain[1].inputs["Material"].default_value = bpy.data.materials.new("new")
    elif node:
        chain[1].inputs["Shade Smooth"].default_value = False
    return tree


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


def test_modifiers_that_change_uv_maps_shading_or_materials_alone_are_told(empty: bpy.types.Scene) -> None:
    bpy.ops.mesh.primitive_monkey_add()  # it has a UV map
    head = bpy.context.object
    head[marks.LANDMARKS] = []
    head.data.shade_smooth()
    copy = talking(head)
    new = copy.modifiers.new
    assert unwritten.notes(copy, [Path("a.glb")]) == ()
    new("finer", "SUBSURF").levels, copy.modifiers["finer"].render_levels = 0, 1
    new("warped", "UV_WARP").scale = (0.5, 0.5)
    new("weighted", "WEIGHTED_NORMAL").weight = 1
    (told,) = unwritten.notes(copy, [Path("a.glb")])
    assert f" make of {copy.name}: finer, warped, weighted; apply" in told
    assert copy.modifiers["finer"].levels == 0
    copy.modifiers.clear()
    new("nothing", "NODES").node_group = passing(None)
    new("painted", "NODES").node_group = passing("GeometryNodeSetMaterial")
    new("flat", "NODES").node_group = passing("GeometryNodeSetShadeSmooth")
    (told,) = unwritten.notes(copy, [Path("a.glb")])
    assert f" make of {copy.name}: painted, flat; apply" in told


@pytest.mark.parametrize("kind", ["SURFACE_DEFORM", "MESH_DEFORM", "SHRINKWRAP"])
def test_what_modifiers_move_with_a_talking_copy_is_told_of_files_in_which_it_rests(
    face: bpy.types.Object, kind: str
) -> None:
    copy, mask = talking(face), bpy.data.objects.new("mask", face.data.copy())
    bpy.context.scene.collection.objects.link(mask)
    modifier, files = mask.modifiers.new("with the face", kind), [Path("a.glb"), Path("a.fbx"), Path("a.usdc")]
    assert unwritten.notes(copy, files) == ()
    setattr(modifier, "object" if kind == "MESH_DEFORM" else "target", copy)
    (told,) = unwritten.notes(copy, files)
    assert told.startswith("No glTF or FBX holds how modifiers move other objects with face FreeTalk: mask; write USD")
    assert unwritten.notes(copy, files[2:]) == ()


def test_pictures_in_tiles_are_told_of_an_fbx(face: bpy.types.Object) -> None:
    copy = talking(face)
    copy.data.materials.append(bpy.data.materials.new("skin"))
    copy.data.materials[0].use_nodes = True
    node = copy.data.materials[0].node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.new("skin.1001.png", 2, 2, tiled=True)
    assert unwritten.notes(copy, [Path("a.glb"), Path("a.usdc"), Path("a.blend")]) == ()
    (told,) = unwritten.notes(copy, [Path("a.fbx")])
    assert told == "FBX holds no pictures in tiles, as face FreeTalk shows them: skin.1001.png; write glTF or USD."
    node.image.source = "FILE"
    assert unwritten.notes(copy, [Path("a.fbx")]) == ()


def test_a_modifier_that_acts_while_the_face_speaks_alone_is_told(face: bpy.types.Object) -> None:
    copy = talking(face)
    shapes = np.zeros((1, len(face.data.vertices), 3), np.float32)
    shapes[0, ::3, 1] = 0.1
    copy.modifiers.new("relax", "CORRECTIVE_SMOOTH").rest_source = "ORCO"
    baked(copy, ShapeKeys(shapes, np.array([[0.0], [1.0], [0.0]], np.float32), 0.0), 10)
    bpy.context.scene.frame_set(1, subframe=0.5)
    (told,) = unwritten.notes(copy, [Path("a.usdc")])
    assert ": relax;" in told and bpy.context.scene.frame_current_final == 1.5


def test_a_size_that_formats_do_not_hold_is_told(cube: bpy.types.Object) -> None:
    units, cube.name = bpy.context.scene.unit_settings, "head"
    files = [Path("a.glb"), Path("a.usdc"), Path("a.blend"), Path("a.fbx")]
    assert unwritten.notes(cube, files) == ()
    units.scale_length = 0.001
    (told,) = unwritten.notes(cube, files[:2])
    assert " head 1000 times as large as it is here, where Unit Scale is 0.001" in told
    assert unwritten.notes(cube, files[2:]) == ()


@NEEDS_USD
def test_a_size_is_told_of_usd_where_the_file_does_not_hold_it(cube: bpy.types.Object, tmp_path: Path) -> None:
    """Blender 4.2's does: scaled as was told, it was too small."""
    bpy.context.scene.unit_settings.scale_length = 0.001
    saving.save(tmp_path / "a.usda")
    (unit,) = re.findall(r"metersPerUnit = (\S+)", (tmp_path / "a.usda").read_text())
    assert bool(unwritten.notes(cube, [Path("a.usda")])) == (float(unit) == 1)
    assert ("USD" in unwritten.notes(cube, [Path("a.glb")])[0]) == (float(unit) == 1)
