"""Hair grows on the talking copy, and on the face again afterwards."""

from pathlib import Path

import bpy
import importing
import numpy as np
import pytest
from baking import animate

from freetalk_blender.blender import cleanup, compat, hair, marks, meshes, telling, unwritten
from freetalk_blender.blender.ui import export
from freetalk_blender.core import landmarks


def test_hair_curves_follow_the_talking_skin(ready: bpy.types.PropertyGroup, head_landmarks: Path) -> None:
    """Curves are rooted by texture coordinates: here every triangle has a place of its own in the picture."""
    face = ready.face
    points, corners = meshes.vertices(face.data), meshes.triangles(face.data)
    across = int(np.ceil(np.sqrt(len(corners))))
    cell = np.stack(np.divmod(np.arange(len(corners)), across), 1)
    places = (cell[:, None] + [[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]]) / across
    face.data.uv_layers.new(name="UV").uv.foreach_set("vector", places.astype(np.float32).ravel())
    bpy.context.view_layer.objects.active = face
    bpy.ops.object.curves_empty_hair_add()
    curves = bpy.context.object
    chin, forehead = landmarks.read(head_landmarks).points[8], points[(points @ face.matrix_world[2][:3]).argmax()]
    middles = points[corners].mean(1)
    rooted = [int(np.linalg.norm(middles - place, axis=1).argmin()) for place in (chin, forehead)]
    curves.data.add_curves([2, 2])
    curves.data.attributes["position"].data.foreach_set("vector", np.repeat(middles[rooted], 2, 0).ravel())
    uv = curves.data.attributes.get("surface_uv_coordinate")
    uv = uv or curves.data.attributes.new("surface_uv_coordinate", "FLOAT2", "CURVE")
    uv.data.foreach_set("vector", places[rooted].mean(1).astype(np.float32).ravel())

    def grown() -> np.ndarray:
        shown = curves.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        return meshes.of_each(shown.attributes["position"].data, "vector", 3).reshape(-1, 2, 3)

    rest = grown()
    for _ in range(2):  # the second copy takes the first one's place
        ready.open_mouth = not ready.open_mouth
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(face)
        assert curves.data.surface is copy
        moved = []
        for frame in range(1, 51, 5):
            bpy.context.scene.frame_set(frame)
            moved.append(np.linalg.norm(grown() - rest, axis=2).max(1) / max(face.dimensions))
        assert np.max(moved, 0)[0] > max(0.01, 4 * np.max(moved, 0)[1]), "the chin's more than the forehead's"
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert curves.data.surface is face and np.allclose(grown(), rest) and not list(cleanup.found())


def surface_reader() -> bpy.types.NodeTree:
    """Geometry nodes that move everything to the mean place of an object's vertices; the object is an input."""
    tree = bpy.data.node_groups.new("at the mean", "GeometryNodeTree")
    for name, kind in (("Geometry", "NodeSocketGeometry"), ("Surface", "NodeSocketObject")):
        tree.interface.new_socket(name, in_out="INPUT", socket_type=kind)
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    made = ("GroupInput", "GroupOutput"), ("ObjectInfo", "AttributeStatistic", "InputPosition", "SetPosition")
    given, out = (tree.nodes.new(f"Node{name}") for name in made[0])
    surface, mean, place, put = (tree.nodes.new(f"GeometryNode{name}") for name in made[1])
    mean.data_type = "FLOAT_VECTOR"
    for source, target in (
        (given.outputs["Surface"], surface.inputs["Object"]),
        (surface.outputs["Geometry"], mean.inputs["Geometry"]),
        (place.outputs[0], next(each for each in mean.inputs if each.type == "VECTOR")),
        (next(each for each in mean.outputs if each.type == "VECTOR"), put.inputs["Position"]),
        (given.outputs["Geometry"], put.inputs["Geometry"]),
        (put.outputs["Geometry"], out.inputs["Geometry"]),
    ):
        tree.links.new(source, target)
    return tree


@pytest.mark.parametrize("deleted", [False, True])
def test_geometry_nodes_of_hair_read_the_talking_skin(talker: bpy.types.Object, deleted: bool, tmp_path: Path) -> None:
    bpy.context.view_layer.objects.active = talker
    bpy.ops.object.curves_empty_hair_add()
    grown, grown_name = bpy.context.object, bpy.context.object.name
    grown.modifiers.clear()
    grown.data.add_curves([2])
    nodes = grown.modifiers.new("grow", "NODES")
    nodes.node_group = surface_reader()
    (name,) = compat.object_inputs(nodes)
    compat.set_object_input(nodes, name, talker)
    bpy.context.scene.freetalk.face = talker

    def place(frame: int) -> np.ndarray:
        bpy.context.scene.frame_set(frame)
        shown = bpy.data.objects[grown_name].evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        return np.array(shown.attributes["position"].data[0].vector)

    for _ in range(2):  # the second copy takes the first one's place
        bpy.context.scene.freetalk.open_mouth = not bpy.context.scene.freetalk.open_mouth
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(talker)
        assert compat.object_inputs(nodes) == {name: copy} and telling.notes(copy) == ()
        assert np.ptp([place(frame) for frame in range(1, 40, 4)], 0).max() > 0.05
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hair.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "hair.blend"))
    face, grown = bpy.data.objects["head"], bpy.data.objects[grown_name]
    if deleted:
        bpy.data.objects.remove(marks.copy_of(face))
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert compat.object_inputs(grown.modifiers["grow"]) == {name: face} and grown.data.surface == face
    assert not [each for each in cleanup.found() if grown_name in each or not deleted]


def test_particle_hair_that_is_spread_anew_is_told(ready: bpy.types.PropertyGroup) -> None:
    ready.face.modifiers.new("hair", "PARTICLE_SYSTEM")
    system = ready.face.particle_systems[0].settings
    system.type, system.count = "HAIR", 50
    told = []
    for opened in (False, True):
        ready.open_mouth = opened
        assert bpy.ops.freetalk.animate() == {"FINISHED"}
        (copy,) = marks.copies_of(ready.face)
        told.append(hair.spread_anew(copy))
    assert told[0] == () and ready.face.name in told[1][0] and "Open Mouth" in told[1][0]


@pytest.mark.parametrize("kind", ["curves", "particles"])
def test_hair_is_told_of_files_that_lack_it_and_usd_holds_it(
    talker: bpy.types.Object, tmp_path: Path, kind: str
) -> None:
    bpy.context.view_layer.objects.active, bpy.context.scene.freetalk.face = talker, talker
    if kind == "curves":
        bpy.ops.object.curves_empty_hair_add()
        bpy.context.object.name = "beard"
        bpy.context.object.data.add_curves([4])
    else:
        talker.modifiers.new("beard", "PARTICLE_SYSTEM")
        talker.particle_systems[0].name = "beard"
        talker.particle_systems[0].settings.type, talker.particle_systems[0].settings.count = "HAIR", 5
    copy, files = animate(talker), [Path("a.glb"), Path("a.fbx"), Path("a.usdc")]
    (told,) = unwritten.notes(copy, files)
    assert told.startswith("No glTF or FBX holds the hair of head FreeTalk: beard; write USD")
    assert unwritten.notes(copy, files[2:]) == ()
    if ".usdc" in export.formats():
        assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.usdc")) == {"FINISHED"}
        importing.opened(tmp_path / "head.usdc", 25)
        assert [item for item in bpy.data.objects if item.type in ("CURVES", "CURVE")]
