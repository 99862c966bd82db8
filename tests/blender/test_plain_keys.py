"""Muted shape keys, and such as a vertex group or another key limits, do in files what they do in Blender."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from importing import opened

from freetalk_blender.blender import compat, meshes
from freetalk_blender.blender.formats import plain_keys, saving
from freetalk_blender.core.errors import FreeTalkError

LAST = 10


@pytest.fixture
def cube(empty: bpy.types.Scene) -> bpy.types.Object:
    """A cube with shape keys that are limited in every way, all of them used, and two that move."""
    empty.frame_start, empty.frame_end = 1, LAST
    bpy.ops.mesh.primitive_cube_add()
    item = bpy.context.object
    item.vertex_groups.new(name="half").add(range(4), 0.5, "REPLACE")
    item.vertex_groups.new(name="nobody")
    names = ("Basis", "talk", "muted", "wide", "of wide", "grouped", "of nobody", "of no group", "muted child")
    for number, name in enumerate(names):
        block = item.shape_key_add(name=name, from_mix=False)
        block.value = 0.6 if number else 0.0
        for point in block.points:
            point.co *= 1 + 0.1 * number
    keys = item.data.shape_keys.key_blocks
    keys["muted"].mute = keys["muted child"].mute = True
    keys["of wide"].relative_key = keys["muted child"].relative_key = keys["wide"]
    for name, group in (("grouped", "half"), ("of nobody", "nobody"), ("of no group", "gone")):
        keys[name].vertex_group = group
    for name in ("talk", "muted"):
        for frame, value in ((1, 0.0), (LAST, 1.0)):
            keys[name].value = value
            keys[name].keyframe_insert("value", frame=frame)
    return item


def shown(frame: int) -> np.ndarray:
    """(8,3) places of the only mesh's corners in the world, in an order of their own."""
    bpy.context.scene.frame_set(frame)
    (item,) = (item for item in bpy.context.scene.objects if item.type == "MESH")
    posed = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    found = np.array([item.matrix_world @ vertex.co for vertex in posed.data.vertices])
    return np.unique(found.round(4), axis=0)


@pytest.mark.parametrize("suffix", [".glb", ".fbx", ".usdc"])
@pytest.mark.parametrize("how", ["", "weightless", "another file's"])
def test_limited_shape_keys_move_in_files_what_they_move_in_blender(
    cube: bpy.types.Object, tmp_path: Path, suffix: str, how: str
) -> None:
    if suffix == ".usdc" and not compat.exists(bpy.ops.wm.usd_export):
        pytest.skip("this bpy wheel is built without USD")
    if how == "weightless":
        cube.vertex_groups.clear()
        cube.vertex_groups.new(name="half")
    elif how == "another file's":
        bpy.data.libraries.write(str(tmp_path / "cube.blend"), {cube})
        bpy.data.objects.remove(cube)
        with bpy.data.libraries.load(str(tmp_path / "cube.blend"), link=True) as (there, here):
            here.objects = there.objects
        bpy.context.scene.collection.objects.link(here.objects[0])
    wanted = [shown(frame) for frame in (1, 4, LAST)]
    saving.save(tmp_path / f"a{suffix}")
    opened(tmp_path / f"a{suffix}", 25)
    for corners, frame in zip(wanted, (1, 4, LAST), strict=True):
        assert np.abs(shown(frame) - corners).max() < 1e-3


def state(item: bpy.types.Object) -> list:
    blocks = item.data.shape_keys.key_blocks
    return [
        (block.mute, block.vertex_group, block.relative_key.name, meshes.places(block).tolist()) for block in blocks
    ]


def test_shape_keys_are_what_they_were_after_an_export_also_one_that_fails(
    cube: bpy.types.Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = state(cube), shown(4)
    saving.save(tmp_path / "a.fbx")
    assert state(cube) == before and np.array_equal(shown(4), seen)

    def fails(*_: object) -> None:
        assert state(cube) != before
        raise RuntimeError("Error: no")

    monkeypatch.setitem(saving._WRITERS, ".fbx", fails)
    with pytest.raises(FreeTalkError):
        saving.save(tmp_path / "b.fbx")
    assert state(cube) == before and np.array_equal(shown(4), seen)


def test_a_mesh_that_is_edited_is_left_alone(cube: bpy.types.Object) -> None:
    before = state(cube)
    bpy.ops.object.mode_set(mode="EDIT")
    with plain_keys.written([cube]):
        assert state(cube) == before
    bpy.ops.object.mode_set(mode="OBJECT")
