"""Baking: exact curves on a copy, and an original that nobody touched."""

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import baked, duplicate
from read_glb import read

from freetalk_blender.blender import bake, compat, marks, meshes, sound
from freetalk_blender.blender.formats import files, saving
from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.errors import MeshError


def evaluated(item: bpy.types.Object, frame: float) -> np.ndarray:
    """(V,3) the object's vertices as Blender shows them at a frame."""
    bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
    mesh = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    return meshes.of_each(mesh.vertices, "co", 3)


def quad(scene: bpy.types.Scene) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("quad")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [], [(0, 1, 2, 3)])
    item = bpy.data.objects.new("quad", mesh)
    scene.collection.objects.link(item)
    return item


def two_keys(frames: int = 5) -> ShapeKeys:
    shapes = np.zeros((2, 4, 3), np.float32)
    shapes[0, 2, 2], shapes[1, 3, 0] = 1.0, -0.5
    weights = np.stack([np.linspace(0, 1, frames), np.linspace(0, -1, frames)], 1).astype(np.float32)
    return ShapeKeys(shapes, weights, 0.0)


def test_every_frame_shows_the_basis_plus_the_weighted_shapes(scan: files.Scan, chin_keys: ShapeKeys) -> None:
    copy = duplicate(scan.item)
    baked(copy, chin_keys, start=7)
    basis = meshes.vertices(scan.item.data)
    size = np.ptp(basis, axis=0).max()
    for number in (0, 1, 17, 29):
        wanted = basis + np.tensordot(chin_keys.weights[number], chin_keys.shapes, 1)
        assert np.abs(evaluated(copy, 7 + number) - wanted).max() < 1e-6 * size
    between = np.tensordot(chin_keys.weights[4:6].mean(0), chin_keys.shapes, 1)
    assert np.abs(evaluated(copy, 7 + 4.5) - basis - between).max() < 1e-6 * size


def test_weights_beyond_a_slider_are_shown_whole(empty: bpy.types.Scene) -> None:
    item, keys = quad(empty), two_keys()
    baked(item, replace(keys, weights=1.7 * keys.weights), start=1)
    assert np.allclose(evaluated(item, 5)[2:], [(1, 1, 1.7), (0.85, 1, 0)], atol=1e-6)


def test_before_the_first_frame_and_after_the_last_the_ends_are_held(empty: bpy.types.Scene) -> None:
    item = quad(empty)
    baked(item, two_keys(), start=10)
    assert np.allclose(evaluated(item, 3), meshes.vertices(item.data))
    assert np.allclose(evaluated(item, 40)[2], (1, 1, 1))


def test_the_original_keeps_its_mesh_shape_keys_action_and_place(empty: bpy.types.Scene) -> None:
    item = quad(empty)
    item.location, item.rotation_euler, item.scale = (1, 2, 3), (0.1, 0.2, 0.3), (1, 2, 0.5)
    item["note"] = "mine"
    item.vertex_groups.new(name="lips").add([2, 3], 0.5, "REPLACE")
    item.data.uv_layers.new(name="map")
    item.modifiers.new("smoother", "SMOOTH")
    item.shape_key_add(name="Basis")
    smile = item.shape_key_add(name="Smile")
    smile.points[1].co = (1, 0, 0.25)
    smile.keyframe_insert("value", frame=1)
    smile.value = 1.0
    smile.keyframe_insert("value", frame=11)
    mesh, action = item.data, item.data.shape_keys.animation_data.action

    copy = duplicate(item)
    baked(copy, two_keys(), start=1)

    assert item.data is mesh and len(mesh.shape_keys.key_blocks) == 2
    assert mesh.shape_keys.animation_data.action is action
    assert len(compat.fcurves(mesh.shape_keys)) == 1
    assert item.hide_get() and item.hide_render and not copy.hide_get() and not copy.hide_render

    assert [block.name for block in copy.data.shape_keys.key_blocks][:2] == ["Basis", "Smile"]
    assert len(copy.data.shape_keys.key_blocks) == 4
    assert len(compat.fcurves(copy.data.shape_keys)) == 3
    assert copy.matrix_world == item.matrix_world and copy["note"] == "mine"
    assert copy.vertex_groups["lips"].weight(2) == 0.5 and copy.data.uv_layers.keys() == ["map"]
    assert [modifier.type for modifier in copy.modifiers] == ["SMOOTH"]
    copy.modifiers.clear()
    assert np.allclose(evaluated(copy, 11)[1], (1, 0, 0.25)), "the person's own key still plays"


def test_remove_leaves_the_file_as_it_was(empty: bpy.types.Scene) -> None:
    item = quad(empty)
    before = {name: len(getattr(bpy.data, name)) for name in ("objects", "meshes", "actions", "shape_keys")}
    copy = duplicate(item)
    baked(copy, two_keys(), start=1)
    assert marks.original_of(copy) is item and marks.copies_of(item) == [copy]
    bake.remove(item)
    assert {name: len(getattr(bpy.data, name)) for name in before} == before
    assert not item.hide_get() and not item.hide_render


def test_one_undo_step_takes_all_of_it_back(empty: bpy.types.Scene) -> None:
    item = quad(empty)
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="before")
    baked(duplicate(item), two_keys(), start=1)
    bpy.ops.ed.undo_push(message="animated")
    assert len(bpy.data.objects) == 2 and len(bpy.data.actions) == 1
    assert bpy.ops.ed.undo() == {"FINISHED"}
    assert bpy.data.objects.keys() == ["quad"] and len(bpy.data.actions) == 0
    assert not bpy.data.objects["quad"].hide_get() and not bpy.data.objects["quad"].hide_render


def test_a_thousand_frames_take_no_more_than_the_shapes_themselves(scan: files.Scan, chin_keys: ShapeKeys) -> None:
    weights = np.tile(chin_keys.weights, (50, 1))
    copy = duplicate(scan.item)
    baked(copy, ShapeKeys(chin_keys.shapes, weights, 0.0), start=0)
    curve = compat.fcurves(copy.data.shape_keys)[1]
    at, stored = meshes.of_each(curve.keyframe_points, "co", 2).T
    assert np.array_equal(at, np.arange(len(weights))) and np.array_equal(stored, weights[:, 1])


def test_absolute_shape_keys_and_empty_meshes_are_refused_in_a_sentence(empty: bpy.types.Scene) -> None:
    item = quad(empty)
    item.shape_key_add(name="Basis")
    item.data.shape_keys.use_relative = False
    with pytest.raises(MeshError, match="absolute shape keys"):
        baked(item, two_keys(), start=1)
    hollow = bpy.data.objects.new("hollow", bpy.data.meshes.new("hollow"))
    with pytest.raises(MeshError, match="no faces"):
        meshes.check(hollow)


def test_gltf_keeps_time_at_frame_rates_that_are_no_whole_numbers(
    scan: files.Scan, chin_keys: ShapeKeys, tmp_path: Path
) -> None:
    sound.set_scene_fps(bpy.context.scene, 30 / 1.001)
    baked(duplicate(scan.item), chin_keys, 0)
    saving.save(tmp_path / "head.glb")
    assert np.allclose(read(tmp_path / "head.glb").times, np.arange(30) * 1.001 / 30, atol=1e-5)
    assert sound.scene_fps(bpy.context.scene) == pytest.approx(30 / 1.001)
