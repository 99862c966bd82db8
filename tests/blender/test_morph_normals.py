"""Shapes in a .glb turn the normals as Blender does, so that viewers light what moves."""

import json
import struct
from pathlib import Path

import bpy
import numpy as np
import pytest
from importing import opened
from read_glb import Morphs, read

from freetalk_blender.blender import compat, meshes
from freetalk_blender.blender.formats import files, saving

#: Blender's own axes in glTF's: Y up.
TO_GLTF = np.array([(1, 0, 0), (0, 0, 1), (0, -1, 0)])


@pytest.fixture
def ball(empty: bpy.types.Scene) -> bpy.types.Object:
    """A ball of two materials, with a shape that lengthens its upper half and one that moves nothing, both keyed."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=4)
    item = bpy.context.object
    item.data.shade_smooth()
    for name in ("left", "right"):
        item.data.materials.append(bpy.data.materials.new(name))
    middles = meshes.of_each(item.data.polygons, "center", 3)
    item.data.polygons.foreach_set("material_index", (middles[:, 0] > 0).astype(np.int32))
    for name in ("Basis", "long", "still"):
        block = item.shape_key_add(name=name, from_mix=False)
        if name != "Basis":
            block.keyframe_insert("value", frame=1)
    for curve in compat.existing_curves(item.data.shape_keys):
        curve.keyframe_points[0].interpolation = "LINEAR"
    for point in item.data.shape_keys.key_blocks["long"].points:
        point.co.z += max(0, point.co.z) ** 2
    return item


def of_corners(item: bpy.types.Object, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, normals at rest and normals in a shape of all corners (C,3) of a mesh, in glTF's axes."""
    blocks = item.data.shape_keys.key_blocks
    places = meshes.vertices(item.data)[meshes.corner_vertices(item.data)]
    rest, bent = (np.array(blocks[name].normals_split_get()).reshape(-1, 3) for name in ("Basis", key))
    return places @ TO_GLTF.T, rest @ TO_GLTF.T, bent @ TO_GLTF.T


def degrees(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(first - second, axis=1) / 2, 0, 1)))


def assert_as_in_blender(item: bpy.types.Object, morphs: Morphs, within: float = 0.2) -> None:
    places, rest, bent = of_corners(item, "long")
    known = np.hstack([places, rest])
    corners = [np.abs(known - row).max(1).argmin() for row in np.hstack([morphs.positions, morphs.normals])]
    assert np.abs(known[corners, 3:] - morphs.normals).max() < 1e-3
    found = morphs.normals + morphs.turns[0]
    assert degrees(morphs.normals, bent[corners]).max() > 20
    assert degrees(found, bent[corners]).max() < within


@pytest.mark.parametrize("kind", ["smooth", "sharp", "of its own"])
def test_shapes_turn_normals_as_blender_does(ball: bpy.types.Object, tmp_path: Path, kind: str) -> None:
    mesh = ball.data
    if kind == "sharp":
        mesh.attributes.new("sharp_edge", "BOOLEAN", "EDGE").data.foreach_set(
            "value", np.arange(len(mesh.edges)) % 5 < 1
        )
    elif kind == "of its own":
        own = meshes.of_each(mesh.corner_normals, "vector", 3) + [0.2, 0.1, 0.0]
        mesh.normals_split_custom_set((own / np.linalg.norm(own, axis=1, keepdims=True)).tolist())
    saving.save(tmp_path / "ball.glb")
    morphs = read(tmp_path / "ball.glb")
    assert_as_in_blender(ball, morphs, 5 if kind == "of its own" else 0.2)
    rest = np.linalg.norm(morphs.shapes[0], axis=1) == 0
    far = rest & (morphs.positions[:, 1] < -0.3)
    assert far.sum() > 100 and not morphs.turns[0, far].any() and not morphs.turns[1].any()
    assert np.abs(np.linalg.norm(morphs.normals + morphs.turns[0], axis=1) - 1).max() < 1e-3


def test_a_surface_bends_as_one_over_its_materials_and_seams(ball: bpy.types.Object, tmp_path: Path) -> None:
    uv = ball.data.uv_layers.active.uv
    uv.foreach_set("vector", np.random.default_rng(0).random(2 * len(uv)).astype(np.float32))
    saving.save(tmp_path / "ball.glb")
    morphs = read(tmp_path / "ball.glb")
    assert len(morphs.positions) == len(ball.data.loops), "every corner is a vertex of its own"
    assert_as_in_blender(ball, morphs)


def test_normals_that_do_not_turn_take_no_room(ball: bpy.types.Object, tmp_path: Path) -> None:
    saving.save(tmp_path / "ball.glb")
    content = (tmp_path / "ball.glb").read_bytes()
    tree = json.loads(content[20 : 20 + struct.unpack_from("<I", content, 12)[0]])
    for surface in tree["meshes"][0]["primitives"]:
        long, still = (tree["accessors"][target["NORMAL"]] for target in surface["targets"])
        assert still["sparse"]["count"] == 1 and long["sparse"]["count"] < 0.7 * long["count"]
    assert len(opened(tmp_path / "ball.glb", 25).data.shape_keys.key_blocks) == 3


def test_a_gltf_without_meshes_is_written(empty: bpy.types.Scene, tmp_path: Path) -> None:
    empty.collection.objects.link(bpy.data.objects.new("nothing", None))
    bpy.context.view_layer.update()
    saving.save(tmp_path / "nothing.glb")
    files.empty_scene()
    bpy.ops.import_scene.gltf(filepath=str(tmp_path / "nothing.glb"))
    assert "nothing" in bpy.data.objects
