"""What goes by the original's skin or shape keys, or sits on its head, and stays behind as the copy talks is told."""

import bpy
import numpy as np
import pytest
from baking import rigged, talking

from freetalk_blender.blender import bake, compat, hanging, marks, scene, telling


def test_what_hangs_on_the_skin_of_the_original_is_told(face: bpy.types.Object) -> None:
    names = ("ring", "pin", "star", "hat")
    ring, pin, star, hat = items = [bpy.data.objects.new(name, face.data if name == "ring" else None) for name in names]
    for item in items:
        bpy.context.scene.collection.objects.link(item)
    ring.location.y = 100
    ring.modifiers.new("bound", "SURFACE_DEFORM").target = face
    pin.parent, pin.parent_type, hat.parent = face, "VERTEX", face
    star.constraints.new("COPY_LOCATION").target = face
    star.constraints[0].subtarget = face.vertex_groups.new(name="nose").name
    copy = talking(face)
    (told,) = telling.notes(copy)
    assert told.startswith("Other objects hang on the surface of face, which rests: ring, pin, star; bind or parent")
    ring.modifiers[0].target = pin.parent = star.constraints[0].target = copy
    assert telling.notes(copy) == ()


def test_what_is_parented_to_the_original_is_told_and_goes_back_to_it_from_the_copy(face: bpy.types.Object) -> None:
    glasses, bead, lamp = items = [bpy.data.objects.new(name, face.data) for name in ("glasses", "bead", "lamp")]
    for item in items:
        bpy.context.scene.collection.objects.link(item)
    glasses.parent, bead.parent, bead.hide_viewport, lamp.parent = face, glasses, True, glasses
    copy = talking(face)
    (told,) = hanging.parented(copy)
    assert told.startswith("Other objects are parented to face, which stays where it is when face FreeTalk is moved: ")
    assert "glasses" in told and "lamp" in told and "bead" not in told
    assert told.endswith("; parent them to face FreeTalk instead.")
    glasses.parent = copy
    glasses.matrix_parent_inverse.translation = (1, 2, 3)
    assert hanging.parented(copy) == ()
    bake.remove(face)
    assert glasses.parent == face and tuple(glasses.matrix_parent_inverse.translation) == (1, 2, 3)


def test_what_a_talking_copy_follows_is_not_hung_on_it_in_files(face: bpy.types.Object) -> None:
    aim, above, read, glasses = items = [bpy.data.objects.new(name, None) for name in ("aim", "above", "read", "lens")]
    for item in items:
        bpy.context.scene.collection.objects.link(item)
    above.parent = read.parent = glasses.parent = face
    aim.parent = above
    copy = talking(face)
    copy.constraints.new("COPY_LOCATION").target = aim
    variable = copy.driver_add("location", 0).driver.variables.new()
    variable.type, variable.targets[0].id = "TRANSFORMS", read
    with hanging.carried([copy], on_bones=True):
        assert [item.parent for item in items] == [above, face, face, copy]
    assert [item.parent for item in items] == [above, face, face, face]


def bare_rig(bone: str) -> bpy.types.Object:
    """An armature of one bone that moves nothing."""
    item = bpy.data.objects.new("nothing", bpy.data.meshes.new("nothing"))
    rig = rigged(item, bone, bpy.context.scene.collection)
    bpy.data.objects.remove(item)
    return rig


def test_a_bone_that_is_held_on_the_skin_of_the_original_is_told(face: bpy.types.Object) -> None:
    copy, rig = talking(face), bare_rig("ring")
    held = rig.pose.bones["ring"].constraints.new("COPY_LOCATION")
    held.target = face
    assert telling.notes(copy) == (), "it is held by the place alone"
    held.subtarget = face.vertex_groups.new(name="lip").name
    (told,) = telling.notes(copy)
    assert told.startswith("Other objects hang on the surface of face, which rests: rig;")


@pytest.mark.parametrize("where", ["input", "node", "group"])
def test_geometry_nodes_of_others_that_read_the_original_are_told(face: bpy.types.Object, where: str) -> None:
    stubble = bpy.data.objects.new("stubble", bpy.data.meshes.new("stubble"))
    bpy.context.scene.collection.objects.link(stubble)
    inner, outer = (bpy.data.node_groups.new(name, "GeometryNodeTree") for name in ("inner", "outer"))
    outer.nodes.new("GeometryNodeGroup").node_tree = inner
    read = (inner if where == "group" else outer).nodes.new("GeometryNodeObjectInfo")
    outer.nodes.new("GeometryNodeObjectInfo")  # of no object
    modifier = stubble.modifiers.new("scatter", "NODES")
    outer.interface.new_socket("Surface", in_out="INPUT", socket_type="NodeSocketObject")
    modifier.node_group = outer
    copy = talking(face)

    def choose(item: bpy.types.Object) -> None:
        if where == "input":
            (name,) = compat.object_inputs(modifier)
            compat.set_object_input(modifier, name, item)
        else:
            read.inputs["Object"].default_value = item

    assert telling.notes(copy) == ()
    choose(face)
    (told,) = telling.notes(copy)
    assert told == (
        "Geometry nodes of other objects read face, which rests: stubble; choose face FreeTalk there instead."
    )
    read.mute = True
    assert (telling.notes(copy) == ()) == (where != "input"), "a node that is mute reads nothing"
    choose(copy)
    assert telling.notes(copy) == ()


def test_particles_that_show_the_original_are_told(face: bpy.types.Object) -> None:
    bpy.ops.mesh.primitive_plane_add()
    crowd = bpy.context.object
    crowd.modifiers.new("crowd", "PARTICLE_SYSTEM")
    settings = crowd.particle_systems[0].settings
    settings.render_type, settings.instance_object = "OBJECT", face
    copy = talking(face)
    (told,) = telling.notes(copy)
    assert told == "Particles of other objects show face, which rests: Plane; choose face FreeTalk there instead."
    settings.instance_object = copy
    assert telling.notes(copy) == ()


@pytest.mark.parametrize("kind", ["VERTS", "FACES"])
def test_what_is_instanced_on_the_original_is_told(face: bpy.types.Object, kind: str) -> None:
    pore = bpy.data.objects.new("pore", bpy.data.meshes.new("pore"))
    bpy.context.scene.collection.objects.link(pore)
    pore.parent, face.instance_type = face, kind
    copy = talking(face)
    (told,) = telling.notes(copy)
    assert told.startswith("Objects are instanced on vertices or faces of face, which is hidden: pore; parent them to")
    pore.parent = copy
    assert telling.notes(copy) == () and copy.instance_type == kind


def driven_by(owner: bpy.types.ID, path: str, block: bpy.types.ShapeKey) -> bpy.types.DriverTarget:
    """A driver that takes over the value of a shape key."""
    driver = owner.driver_add(path).driver
    driver.type = "AVERAGE"
    target = driver.variables.new().targets[0]
    target.id_type, target.id, target.data_path = "KEY", block.id_data, block.path_from_id("value")
    return target


def test_drivers_that_read_the_originals_shape_keys_are_told_and_go_with_the_talking_copy(
    face: bpy.types.Object,
) -> None:
    names = ("jawOpen", "Fat")
    for name in names:
        face.shape_key_add(name=name)
    lashes, skin = bpy.data.objects.new("lashes", None), bpy.data.materials.new("skin")
    bpy.context.scene.collection.objects.link(lashes)
    jaw, fat = (face.data.shape_keys.key_blocks[name] for name in names)
    driven_by(lashes, "empty_display_size", fat)
    if skin.node_tree is None:  # before 5
        skin.use_nodes = True
    copy = talking(face)
    assert telling.notes(copy) == (), "what is no shape of speech"
    socket = skin.node_tree.nodes["Principled BSDF"].inputs["Roughness"]
    targets = [
        driven_by(skin.node_tree, socket.path_from_id("default_value"), jaw),
        driven_by(lashes, "hide_render", jaw),
    ]
    (told,) = telling.notes(copy)
    assert told == (
        "Drivers read shape keys of face, which rest: lashes, skin; let them read those of face FreeTalk, and choose "
        "ARKit's shape keys."
    )
    copy[marks.LENT] = '["jawOpen"]'
    assert telling.notes(copy)[0].endswith("let them read those of face FreeTalk.")
    for target in targets:
        target.id = copy.data.shape_keys
    assert telling.notes(copy) == ()
    another = bake.copied(face)
    bake.remove(face, another)
    assert all(target.id == another.data.shape_keys for target in targets)


@pytest.mark.parametrize("kind", ["curve", "metaball", "hair", "instance", "path"])
def test_what_is_no_mesh_and_does_not_turn_with_the_head_is_told(face: bpy.types.Object, kind: str) -> None:
    fringe = on_forehead(kind, np.array(face[scene.LANDMARKS]).reshape(-1, 3)[27])
    copy = talking(face)
    assert telling.notes(copy) == (), "the head does not turn"
    copy[marks.NAMED] = '{"headPitch": "headPitch"}'
    if kind == "path":  # it draws nothing
        assert telling.notes(copy) == ()
        return
    (told,) = telling.notes(copy)
    assert told.startswith("Other objects, which are no meshes, do not turn with the head: fringe; make meshes of them")
    place = fringe.location.copy()
    fringe.location = (0, 0, -50)
    bpy.context.view_layer.update()
    assert telling.notes(copy) == (), "it lies elsewhere"
    fringe.location = place
    fringe.parent, fringe.parent_type, fringe.parent_vertices = copy, "VERTEX_3", (81, 82, 83)
    bpy.context.view_layer.update()
    assert telling.notes(copy) == ()
    if kind == "hair":
        fringe.parent, fringe.data.surface = None, copy
        assert telling.notes(copy) == ()


def on_forehead(kind: str, place: np.ndarray) -> bpy.types.Object:
    """Something that is no mesh, at a place of a face as large as its eyes are apart."""
    data = None
    if kind == "metaball":
        data = bpy.data.metaballs.new("ball")
        data.elements.new().radius = 0.1
    elif kind == "hair":
        data = bpy.data.hair_curves.new("hair")
        data.add_curves([2])
        data.points.foreach_set("position", [0, 0, 0, 0, 0, 0.1])
    else:
        data = bpy.data.curves.new("curve", "CURVE")
        data.dimensions, data.bevel_depth = "3D", 0.0 if kind == "path" else 0.01
        data.splines.new("POLY").points.add(1)
        data.splines[0].points[1].co = (0.1, 0, 0, 1)
    item = bpy.data.objects.new("strand" if kind == "instance" else "fringe", data)
    if kind == "instance":
        strands = bpy.data.collections.new("strands")
        strands.objects.link(item)
        item = bpy.data.objects.new("fringe", None)
        item.instance_type, item.instance_collection = "COLLECTION", strands
    item.location = place
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()
    return item
