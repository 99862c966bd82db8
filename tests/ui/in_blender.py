"""What the tests send into Blender: everything of a scene as text, operators as the panel presses them, a scene."""

from tools.blender_ui import Ui


def folder(ui: Ui) -> str:
    """How Blender calls the folder that it shares with the tests."""
    return str(ui.screen.inside(ui.screen.share))


def path(ui: Ui, name: str) -> str:
    """How Blender calls a file of the person's own."""
    return str(ui.screen.inside(ui.screen.home / f"{name}.blend"))


def save_file(ui: Ui, name: str) -> None:
    """Keep the scene as it is."""
    ui.value(f"bpy.ops.wm.save_as_mainfile(filepath={path(ui, name)!r}) and None")


def open_file(ui: Ui, name: str) -> None:
    """Open what was kept; the window shows it."""
    ui.value(f"bpy.ops.wm.open_mainfile(filepath={path(ui, name)!r}) and None")
    ui.settle(10)


#: Leaves the functions `everything()`, `press(name, **options)`, `undo()` and `redo()` in Blender.
#: `everything` tells all that an operator may have changed but what the live preview shows for the moment.
HELPERS = '''
import hashlib
import numpy as np

def _digest(values):
    return hashlib.sha1(np.ascontiguousarray(values, np.float32).tobytes()).hexdigest()[:12]

def _points(collection, field):
    values = np.empty(3 * len(collection), np.float32)
    collection.foreach_get(field, values)
    return _digest(values)

def _custom(block):
    return {name: str(list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value)
            for name, value in sorted(block.items()) if name != "cycles"}

def _settings(group):
    told = {}
    for prop in group.bl_rna.properties:
        value = getattr(group, prop.identifier)
        if prop.type == "COLLECTION":
            told[prop.identifier] = [_settings(item) for item in value]
        elif prop.type == "POINTER":
            told[prop.identifier] = value.name if hasattr(value, "name") else ""
        elif prop.identifier != "rna_type":
            told[prop.identifier] = round(value, 5) if isinstance(value, float) else str(value)
    return told

def _curves(action):
    if hasattr(action, "layers"):
        bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
        curves = [curve for bag in bags for curve in bag.fcurves]
    else:
        curves = action.fcurves
    told = {}
    for curve in curves:
        values = np.empty(2 * len(curve.keyframe_points), np.float32)
        curve.keyframe_points.foreach_get("co", values)
        told[curve.data_path] = _digest(values)
    return told

def everything():
    scene, view = bpy.context.scene, bpy.context.window.view_layer
    told = {}
    for kind in ("objects", "meshes", "shape_keys", "actions", "materials", "collections", "sounds", "images"):
        told[kind] = {block.name: _custom(block) for block in getattr(bpy.data, kind)}
    for mesh in bpy.data.meshes:
        told[f"mesh {mesh.name}"] = [len(mesh.polygons), _points(mesh.vertices, "co")]
    for key in bpy.data.shape_keys:
        blocks = [block for block in key.key_blocks if block.name != "FreeTalk preview"]
        told[f"keys {key.name}"] = {block.name: _points(block.points, "co") for block in blocks}
        data = key.animation_data
        if data is not None:
            tracks = [(track.name, track.mute, [strip.action.name for strip in track.strips])
                      for track in data.nla_tracks]
            told[f"animation {key.name}"] = [data.action and data.action.name, tracks]
    told["curves"] = {action.name: _curves(action) for action in bpy.data.actions}
    told["seen"] = {item.name: [item.hide_get(view_layer=view), item.hide_render, item.hide_select,
                                item.select_get(view_layer=view), [round(x, 4) for x in item.location]]
                    for item in view.objects}
    active = view.objects.active
    told["active"] = [active and active.name, active and active.mode]
    told["scene"] = [scene.frame_start, scene.frame_end, _custom(scene)]
    editor = scene.sequence_editor
    strips = getattr(editor, "strips_all", getattr(editor, "sequences_all", ())) if editor else ()
    told["strips"] = sorted([strip.name, strip.frame_final_start, strip.mute, str(_custom(strip))] for strip in strips)
    told["settings"] = _settings(scene.freetalk) if hasattr(scene, "freetalk") else {}
    return repr(told)

def _in_window(call):
    window, place, part = next(_places("VIEW_3D", "WINDOW"))
    with bpy.context.temp_override(window=window, area=place, region=part):
        return call()

def press(name, **options):
    """What the button does, its undo step included: "" where it is done, else why not."""
    operator = getattr(bpy.ops.freetalk, name)
    def call():
        if not operator.poll():
            return "greyed out"
        try:
            return "" if operator("EXEC_DEFAULT", True, **options) == {"FINISHED"} else "not done"
        except RuntimeError as error:
            return str(error)
    return _in_window(call)

def push(message):
    """An undo step, as one that a slider makes."""
    _in_window(lambda: bpy.ops.ed.undo_push(message=message))

def undo():
    _in_window(bpy.ops.ed.undo)

def redo():
    _in_window(bpy.ops.ed.redo)
'''

#: Leaves `fresh(folder)` in Blender: a scene with the face of face.npz, landmarks placed, teeth as another object, the
#: sound of short.wav.
FRESH = """
import bmesh, importlib, mathutils, time
package = "bl_ext.user_default.freetalk"
placed, live, marks, session = (
    importlib.import_module(f"{package}.blender.{name}") for name in ("placed", "ui.live", "marks", "session"))
core, frame = (importlib.import_module(f"{package}.core.{name}") for name in ("landmarks", "frame"))

def fresh(folder):
    live.forget()
    scene = bpy.context.scene
    scene.freetalk.property_unset("strips")
    for name in list(scene.keys()):
        if name.startswith("freetalk"):
            del scene[name]
    scene.property_unset("freetalk")
    scene.animation_data_clear()
    if scene.sequence_editor is not None:
        scene.sequence_editor_clear()
    for kind in ("objects", "meshes", "actions", "sounds", "materials"):
        bpy.data.batch_remove(list(getattr(bpy.data, kind)))
    bpy.data.batch_remove([item for item in bpy.data.collections if item.name.startswith("FreeTalk")])
    arrays = np.load(folder + "/face.npz")
    mesh = bpy.data.meshes.new("head")
    mesh.from_pydata(arrays["vertices"].tolist(), [], arrays["triangles"].tolist())
    item = bpy.data.objects.new("head", mesh)
    item.rotation_euler[0] = np.pi / 2  # +Y up in the file, as importers stand it up
    scene.collection.objects.link(item)
    face = frame.canonical_frame(arrays["points"])
    behind = face.to_mesh(face.to_canonical(arrays["points"][57]) + [0, 0.02, -0.15])
    builder = bmesh.new()
    place = mathutils.Matrix.Translation(behind)
    bmesh.ops.create_icosphere(builder, subdivisions=2, radius=0.06 * face.scale, matrix=place)
    teeth = bpy.data.objects.new("teeth", bpy.data.meshes.new("teeth"))
    builder.to_mesh(teeth.data)
    builder.free()
    teeth.rotation_euler = item.rotation_euler
    scene.collection.objects.link(teeth)
    bystander = bpy.data.objects.new("bystander", None)
    scene.collection.objects.link(bystander)
    item.shape_key_add(name="Basis")
    item.shape_key_add(name="Smirk").value = 0.5
    item.data.shape_keys.key_blocks["Smirk"].keyframe_insert("value", frame=5)
    bystander.select_set(True)
    bpy.context.window.view_layer.objects.active = item
    scene.frame_start, scene.frame_end = 1, 20
    scene.freetalk.face, scene.freetalk.sound_file = item, folder + "/short.wav"
    placed.keep(item, core.Landmarks(arrays["points"]))
    push("a scene")

def subdivide(times):
    # the head, without the person's shape keys, every triangle as four; its landmarks stay
    head = bpy.data.objects["head"]
    head.shape_key_clear()
    with bpy.context.temp_override(object=head, active_object=head, selected_objects=[head]):
        modifier = head.modifiers.new("finer", "SUBSURF")
        modifier.subdivision_type, modifier.levels = "SIMPLE", times
        bpy.ops.object.modifier_apply(modifier="finer")
    mesh = head.data
    builder = bmesh.new()
    builder.from_mesh(mesh)
    bmesh.ops.triangulate(builder, faces=builder.faces)
    builder.to_mesh(mesh)
    builder.free()
    push("subdivided")

def slide(name, value):
    setattr(bpy.context.scene.freetalk, name, value)
    push(name)
"""
