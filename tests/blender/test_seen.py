"""The original gives way to its talking copy wherever both are seen: view layers, scenes, instances."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import animate, talking

from freetalk_blender.blender import compat, marks, seen, telling
from freetalk_blender.blender.formats import files


def collected(item: bpy.types.Object) -> bpy.types.Collection:
    """An object in a new collection "character", which is in no scene, instead of in the scene's own."""
    character = bpy.data.collections.new("character")
    character.objects.link(item)
    bpy.context.scene.collection.objects.unlink(item)
    return character


def meshes_seen() -> set[str]:
    graph = bpy.context.evaluated_depsgraph_get()
    return {each.object.name for each in graph.object_instances if each.object.type == "MESH"}


def test_in_other_view_layers_too_the_original_gives_way_and_is_as_it_was_afterwards(talker: bpy.types.Object) -> None:
    scene = bpy.context.scene
    for name, hidden in (("beauty", False), ("props", True)):
        talker.hide_set(hidden, view_layer=scene.view_layers.new(name))
    copy = animate(talker)
    for layer in scene.view_layers:
        assert talker.hide_get(view_layer=layer) and not copy.hide_get(view_layer=layer)
    scene.freetalk.inner_mouth = "none"
    animate(talker)
    scene.view_layers.new("later")
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert {layer.name for layer in scene.view_layers if talker.hide_get(view_layer=layer)} == {"props"}


def test_the_original_stays_hidden_in_view_layers_that_it_comes_into_later(
    talker: bpy.types.Object, tmp_path: Path
) -> None:
    scene = bpy.context.scene
    scene.collection.children.link(collected(talker))
    for name in ("beauty", "props"):
        scene.view_layers.new(name).layer_collection.children["character"].exclude = name == "props"
    bpy.context.view_layer.objects.active = talker
    copy = animate(talker)
    scene.view_layers.new("later")

    def tick(layer: bpy.types.ViewLayer, excluded: bool) -> None:
        layer.layer_collection.children["character"].exclude = excluded
        bpy.context.view_layer.update()

    for name, excluded in (("beauty", True), ("beauty", False), ("props", False)):
        tick(scene.view_layers[name], excluded)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "layers.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "layers.blend"))
    scene, talker, copy = bpy.context.scene, bpy.data.objects["head"], bpy.data.objects["head FreeTalk"]
    for layer in scene.view_layers:
        assert (copy.visible_get(view_layer=layer), talker.visible_get(view_layer=layer)) == (True, False), layer.name
    talker.hide_set(False)
    tick(scene.view_layers["beauty"], True)
    assert talker.visible_get(), "the person wants to see it"
    tick(scene.view_layers["beauty"], False)
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert all(talker.visible_get(view_layer=layer) for layer in scene.view_layers)


@pytest.mark.parametrize("disabled", [False, True])
def test_a_face_that_nothing_shows_has_its_proportions_though_its_file_was_just_opened(
    talker: bpy.types.Object, tmp_path: Path, disabled: bool
) -> None:
    scene = bpy.context.scene
    scene.collection.children.link(collected(talker))
    talker.scale.z = 1.4
    talker.hide_viewport = disabled
    bpy.context.view_layer.layer_collection.children["character"].exclude = not disabled
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "excluded.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "excluded.blend"))
    talker = bpy.data.objects["head"]
    copy = animate(talker)
    assert np.allclose(copy[marks.SHAPE], np.diag([1, 1, 1.4]).ravel(), atol=1e-3)
    assert [each.name for each in talker.users_collection] == ["character"] and talker.hide_viewport == disabled


def test_in_another_scene_too_the_original_gives_way_and_remove_there_shows_it_everywhere(
    talker: bpy.types.Object,
) -> None:
    scene, other = bpy.context.scene, bpy.data.scenes.new("A shot")
    shared = collected(talker)
    for each in (scene, other):
        each.collection.children.link(shared)
    bpy.context.view_layer.objects.active = talker
    animate(talker)
    layers = [each.view_layers[0] for each in (scene, other)]
    assert [talker.hide_get(view_layer=layer) for layer in layers] == [True, True]
    other.freetalk.face = talker
    with bpy.context.temp_override(scene=other, view_layer=layers[1]):
        assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert [talker.hide_get(view_layer=layer) for layer in layers] == [False, False] and not talker.hide_render


def test_an_instance_of_a_linked_talking_character_shows_the_copy_alone(
    talker: bpy.types.Object, tmp_path: Path
) -> None:
    bpy.context.scene.collection.children.link(collected(talker))
    bpy.context.view_layer.objects.active = talker
    animate(talker)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "character.blend"))
    files.empty_scene()
    with bpy.data.libraries.load(str(tmp_path / "character.blend"), link=True) as (_, wanted):
        wanted.collections = ["character"]
    empty = bpy.data.objects.new("instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", wanted.collections[0]
    bpy.context.scene.collection.objects.link(empty)
    if hasattr(bpy.app.handlers, "blend_import_post"):  # 4.2 does not tell when something was linked
        assert meshes_seen() == {"head FreeTalk"}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert meshes_seen() == {"head FreeTalk"}


def test_an_instance_in_the_characters_own_file_shows_the_copy_alone(talker: bpy.types.Object) -> None:
    scene = bpy.context.scene
    props = bpy.data.collections.new("props")
    props.children.link(collected(talker))
    scene.collection.children.link(props)
    empty = bpy.data.objects.new("instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", props
    scene.collection.objects.link(empty)
    bpy.context.view_layer.objects.active = talker
    animate(talker)
    assert meshes_seen() == {"head FreeTalk"}
    scene.view_layers[0].layer_collection.children["props"].exclude = True
    bpy.context.view_layer.update()
    assert meshes_seen() == {"head FreeTalk"}
    scene.view_layers[0].layer_collection.children["props"].exclude = False
    scene.freetalk.sad = 1.0
    assert bpy.ops.freetalk.rebake() == bpy.ops.freetalk.remove() == {"FINISHED"}
    assert meshes_seen() == {"head"} and talker.visible_get()


def scattered(heads: bpy.types.Collection, apart: bool = False) -> bpy.types.NodeTree:
    """Geometry nodes that put a collection on each point; apart: one of its objects on each."""
    tree = bpy.data.node_groups.new("scatter", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    points, shown, end, heads_info = map(
        tree.nodes.new,
        ("NodeGroupInput", "GeometryNodeInstanceOnPoints", "NodeGroupOutput", "GeometryNodeCollectionInfo"),
    )
    heads_info.inputs["Collection"].default_value = heads
    heads_info.inputs["Separate Children"].default_value = shown.inputs["Pick Instance"].default_value = apart
    tree.links.new(points.outputs[0], shown.inputs["Points"])
    tree.links.new(heads_info.outputs[0], shown.inputs["Instance"])
    tree.links.new(shown.outputs[0], end.inputs[0])
    return tree


@pytest.mark.parametrize("how", ["particles", "nodes"])
def test_a_crowd_of_instances_shows_the_copy_alone(talker: bpy.types.Object, how: str) -> None:
    heads = collected(talker)
    bpy.context.scene.collection.children.link(heads)
    bpy.ops.mesh.primitive_plane_add(size=2000)
    crowd = bpy.context.object
    if how == "nodes":
        crowd.modifiers.new("scatter", "NODES").node_group = scattered(heads)
    else:
        crowd.modifiers.new("scatter", "PARTICLE_SYSTEM")
        settings = crowd.particle_systems[0].settings
        settings.type, settings.count, settings.render_type, settings.instance_collection = (
            *("HAIR", 3, "COLLECTION"),
            heads,
        )
    bpy.context.view_layer.objects.active = talker
    assert meshes_seen() == {"Plane", "head"}
    animate(talker)
    bpy.context.view_layer.update()
    assert meshes_seen() == {"Plane", "head FreeTalk"}
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert meshes_seen() == {"Plane", "head"} and talker.visible_get()


@pytest.mark.parametrize("by_modifier", [False, True])
def test_a_crowd_of_which_the_original_goes_on_being_one_is_told(face: bpy.types.Object, by_modifier: bool) -> None:
    """Nodes show the objects of a collection one by one whether they are hidden or not."""
    heads = collected(face)
    bpy.context.scene.collection.children.link(heads)
    bpy.ops.mesh.primitive_plane_add()
    modifier = bpy.context.object.modifiers.new("scatter", "NODES")
    modifier.node_group = tree = scattered(heads, apart=True)
    if by_modifier:
        tree.interface.new_socket("Heads", in_out="INPUT", socket_type="NodeSocketCollection")
        reads = next(node for node in tree.nodes if node.bl_idname == "GeometryNodeCollectionInfo")
        tree.links.new(tree.nodes["Group Input"].outputs["Heads"], reads.inputs["Collection"])
        (name,) = compat.object_inputs(modifier, "Collection")
        compat.set_object_input(modifier, name, heads)
    copy = talking(face)
    assert {"face", "face FreeTalk"} <= meshes_seen()
    (told,) = telling.notes(copy)
    assert told == (
        "Geometry nodes of other objects show face, which rests, as one of a collection: Plane; move face into a "
        "collection of its own (M)."
    )
    bpy.data.collections.new("scans").objects.link(face)
    heads.objects.unlink(face)
    assert telling.notes(copy) == () and "face" not in meshes_seen()


def test_an_original_whose_visibility_is_animated_is_told(face: bpy.types.Object) -> None:
    face.hide_render = False
    face.keyframe_insert("hide_render", frame=1)
    copy = talking(face)
    (told,) = telling.notes(copy)
    assert told.startswith("face may be rendered beside its talking copy, for its visibility in renders is animated;")
    compat.find_curve(face, "hide_render").mute = True
    assert telling.notes(copy) == ()
    face.animation_data_clear()
    face.driver_add("hide_render")
    assert len(telling.notes(copy)) == 1
    mine = bpy.data.collections.new("originals")
    mine.hide_render = True
    bpy.context.scene.collection.objects.unlink(face)
    mine.objects.link(face)
    assert telling.notes(copy) == ()
    bpy.context.scene.collection.children.link(mine)
    (told,) = telling.notes(talking(face))
    assert told == "face FreeTalk.001 is in a collection that is disabled in renders; move it into another (M)."


@pytest.mark.parametrize("way", ["exclude", "hide_viewport"])
def test_a_copy_that_a_collection_keeps_out_of_sight_is_told(talker: bpy.types.Object, way: str) -> None:
    bpy.context.scene.collection.children.link(collected(talker))
    setattr(bpy.context.view_layer.layer_collection.children["character"], way, True)
    bpy.context.scene.freetalk.face = talker
    copy = animate(talker)
    assert telling.notes(copy) == (f"{copy.name} is not seen; show it in the outliner, or its collection.",)
    setattr(bpy.context.view_layer.layer_collection.children["character"], way, False)
    assert telling.notes(copy) == ()


def test_an_original_of_another_file_is_hidden_again_when_this_one_is_opened(
    addon: None, face: bpy.types.Object, tmp_path: Path
) -> None:
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {face})
    bpy.data.objects.remove(face)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["face"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    copy = talking(wanted.objects[0])
    (told,) = seen.notes(copy)
    assert "for it is linked from another file, and a Blender without FreeTalk shows it again;" in told
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "talk.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "talk.blend"))
    (copy,) = marks.all_copies()
    assert marks.original_of(copy).library is not None and marks.original_of(copy).hide_render
    assert not copy.hide_render and not marks.original_of(copy).visible_get()
