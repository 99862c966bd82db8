"""Surfaces without a material have a plain one in files, and none in Blender."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import baked, duplicate, from_library
from importing import opened
from read_glb import document, read

from freetalk_blender.blender import compat, exchange, mouth
from freetalk_blender.blender.formats import files, plain_skin, saving
from freetalk_blender.core.compress import ShapeKeys
from freetalk_blender.core.errors import FreeTalkError

SUFFIXES = [".glb", ".fbx", ".usdc"]


def without_usd(suffix: str) -> None:
    if suffix == ".usdc" and not compat.exists(bpy.ops.wm.usd_export):
        pytest.skip("this bpy wheel is built without USD")


def material(name: str) -> bpy.types.Material:
    return mouth._material(name, (0.1, 0.0, 0.0, 1.0), 1.0)


def names(path: Path) -> list[str]:
    """The material of each face of a file's only mesh."""
    item = opened(path, 25)
    slots = [slot.material.name.replace("_", " ") for slot in item.material_slots]
    return [slots[face.material_index] for face in item.data.polygons]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("link", ["DATA", "OBJECT"])
def test_faces_of_an_empty_slot_have_a_plain_material_in_files(
    cube: bpy.types.Object, tmp_path: Path, suffix: str, link: str
) -> None:
    without_usd(suffix)
    for held in (None, material("dark"), None):
        cube.data.materials.append(held)
    cube.material_slots[0].link = link
    cube.data.polygons[5].material_index = 1
    saving.save(tmp_path / f"cube{suffix}")
    assert [slot.material and slot.material.name for slot in cube.material_slots] == [None, "dark", None]
    assert [each.name for each in bpy.data.materials] == ["dark"]
    found = names(tmp_path / f"cube{suffix}")
    assert {*found} == {"FreeTalk skin", "dark"} and 6 * found.count("dark") == len(found)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_surface_without_slots_has_a_plain_material_in_files(
    cube: bpy.types.Object, tmp_path: Path, suffix: str
) -> None:
    without_usd(suffix)
    index = np.arange(6, dtype=np.int32)[:, None]
    exchange.write(cube.data.attributes.new("material_index", "INT", "FACE"), index)
    twin = bpy.data.objects.new("twin", cube.data)
    bpy.context.scene.collection.objects.link(twin)
    saving.save(tmp_path / f"cube{suffix}")
    assert not len(cube.material_slots) and not len(twin.material_slots) and not len(bpy.data.materials)
    assert (exchange.values(cube.data.attributes["material_index"]) == index).all()
    bpy.data.objects.remove(twin)
    bpy.context.view_layer.update()
    saving.save(tmp_path / f"cube{suffix}")
    assert {*names(tmp_path / f"cube{suffix}")} == {"FreeTalk skin"}


def test_slots_are_empty_again_after_a_failure(cube: bpy.types.Object, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("the disk is full")

    cube.data.materials.append(None)
    monkeypatch.setitem(saving._WRITERS, ".fbx", failing)
    with pytest.raises(FreeTalkError, match="the disk is full"):
        saving.save(Path("cube.fbx"))
    assert cube.material_slots[0].material is None and not len(bpy.data.materials)


def test_what_a_collection_shows_and_what_a_library_holds_have_a_plain_material_too(
    cube: bpy.types.Object, tmp_path: Path
) -> None:
    dark = material("dark")
    for held in (None, dark):
        cube.data.materials.append(held)
    shared = from_library([cube], tmp_path / "library.blend")
    shown = bpy.data.objects.new("shown", None)
    shown.instance_type, shown.instance_collection = "COLLECTION", shared
    bpy.context.scene.collection.objects.link(shown)
    bpy.context.view_layer.update()
    saving.save(tmp_path / "shown.glb")
    tree, _ = document(tmp_path / "shown.glb")
    (surface,) = (surface for mesh in tree["meshes"] for surface in mesh["primitives"])
    assert tree["materials"][surface["material"]]["name"] == "FreeTalk skin"
    (item,) = shared.all_objects
    assert item.material_slots[0].material is None


def test_text_and_curves_have_a_plain_material_too(empty: bpy.types.Scene) -> None:
    letters = bpy.data.objects.new("letters", bpy.data.curves.new("letters", "FONT"))
    empty.collection.objects.link(letters)
    with plain_skin.worn([letters], coloured=True):
        assert letters.material_slots[0].material.name == "FreeTalk skin"
    assert not len(letters.material_slots)


def test_colours_of_skin_without_a_material_are_not_darkened_in_gltf(cube: bpy.types.Object, tmp_path: Path) -> None:
    for colours, shade in ((False, 0.8), (True, 1.0)):
        if colours:
            cube.data.color_attributes.new("Col", "FLOAT_COLOR", "POINT")
        saving.save(tmp_path / "cube.glb")
        tree, _ = document(tmp_path / "cube.glb")
        (surface,), (found,) = tree["meshes"][0]["primitives"], tree["materials"]
        assert ("COLOR_0" in surface["attributes"]) == colours
        factor = found["pbrMetallicRoughness"].get("baseColorFactor", [1.0, 1.0, 1.0, 1.0])
        assert np.allclose(factor, [shade, shade, shade, 1.0], rtol=0, atol=1e-6)


def test_skin_without_a_material_is_no_metal_in_gltf(scan: files.Scan, chin_keys: ShapeKeys, tmp_path: Path) -> None:
    baked(duplicate(scan.item), chin_keys, 0)
    saving.save(tmp_path / "head.glb")
    tree, _ = document(tmp_path / "head.glb")
    (surface,) = tree["meshes"][0]["primitives"]
    found = tree["materials"][surface["material"]]
    assert found["name"] == "FreeTalk skin" and found["doubleSided"]
    assert found["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert found["pbrMetallicRoughness"]["roughnessFactor"] == 0.5
    assert len(read(tmp_path / "head.glb").shapes) == 2
