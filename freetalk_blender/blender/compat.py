"""Where Blender 4.2, 4.5 and 5.x differ, and nothing else."""

from pathlib import Path
from typing import Any, TypeAlias

import bpy

from . import meshes

#: What plays an action: all that is animated, or one strip of its NLA.
Holder: TypeAlias = bpy.types.AnimData | bpy.types.NlaStrip
#: Whether an edge or a polygon is marked for Freestyle, and the domains that have this beside their attributes: 5.x has
#: it among them.
FREESTYLE = "use_freestyle_mark"
FREESTYLE_DOMAINS = ("EDGE", "FACE") if FREESTYLE in bpy.types.MeshEdge.bl_rna.properties else ()


def exists(operator: Any) -> bool:
    """Does this Blender have the operator? Some are built without USD."""
    try:
        operator.get_rna_type()
    except KeyError:
        return False
    return True


def known_options(operator: Any, **options) -> dict:
    """The options that this Blender's operator has; newer and older ones name theirs differently."""
    properties = operator.get_rna_type().properties
    return {name: value for name, value in options.items() if name in properties}


def usd_keeps_units() -> bool:
    """Do this Blender's USD files say how long a unit is in the scene, as 4.2's do? Later ones take it for a metre."""
    return exists(bpy.ops.wm.usd_export) and not known_options(bpy.ops.wm.usd_export, convert_scene_units="METERS")


def beside_options() -> set[str]:
    """The options of a property for a file that may be named from the .blend's folder (//); 4.2 lets any be."""
    known = "is_path_supports_blend_relative" in bpy.types.Property.bl_rna.properties
    return {"ANIMATABLE", "PATH_SUPPORTS_BLEND_RELATIVE"} if known else {"ANIMATABLE"}


def save_copy(image: bpy.types.Image, path: Path) -> None:
    """Write what an image shows to a file; it stays as it is. 4.2 takes what it saves for done, so a copy is saved."""
    if "save_copy" in image.bl_rna.functions["save"].parameters:
        image.save(filepath=str(path), save_copy=True)
        return
    copy = image.copy()
    try:
        pixels = meshes.pixels(image)
        if len(copy.pixels) == len(pixels):  # not where its file is gone, which is told when it is saved
            copy.pixels.foreach_set(pixels)
        copy.filepath_raw = str(path)
        copy.save()
    finally:
        bpy.data.images.remove(copy)


# Actions --------------------------------------------------------------------------------------------------------------


def new_action(owner: bpy.types.ID, name: str) -> bpy.types.Action:
    """An empty action that drives `owner` (4.4 and later: through a slot of its own)."""
    action = bpy.data.actions.new(name)
    assign(owner, action, _new_slot(action, owner))
    return action


def copy_action(owner: bpy.types.ID, source: bpy.types.ID, name: str) -> bpy.types.Action:
    """A copy of the action that drives `source`, driving `owner`; a new one where there is none."""
    before = source.animation_data
    if before is None or before.action is None:
        return new_action(owner, name)
    action = before.action.copy()
    action.name = name
    assign(owner, action, _same_slot(action, before) or _new_slot(action, owner))
    return action


def slot(owner: bpy.types.ID) -> Any:
    """The slot through which the owner's action drives it; None in Blenders without slots."""
    return held_slot(owner.animation_data)


def assign(owner: bpy.types.ID, action: bpy.types.Action | None, through: Any) -> None:
    """Let the action drive the owner, through that slot."""
    _play(owner.animation_data_create(), action, through)


def replace_action(holder: Holder, action: bpy.types.Action) -> None:
    """Let it play a copy of the action that it plays, through the same slot."""
    _play(holder, action, _same_slot(action, holder))


def _play(holder: Holder, action: bpy.types.Action | None, through: Any) -> None:
    holder.action = action
    if action is not None and through is not None:
        holder.action_slot = through


def _same_slot(action: bpy.types.Action, holder: Holder) -> Any:
    """The slot of an action, which is a copy of the one that is played there, through which that is played."""
    through = held_slot(holder)
    return action.slots[through.identifier] if through else None


def _new_slot(action: bpy.types.Action, owner: bpy.types.ID) -> Any:
    """A slot for an owner; None in Blenders without slots."""
    return action.slots.new(id_type=owner.id_type, name=owner.name) if hasattr(action, "slots") else None


def fcurves(owner: bpy.types.ID) -> bpy.types.bpy_prop_collection:
    """The curves that drive `owner`, in its action (5.x: in the channel bag of its slot, made where missing)."""
    return curves(owner.animation_data.action, slot(owner))


def curves(action: bpy.types.Action, through: Any) -> bpy.types.bpy_prop_collection:
    """An action's curves for one slot."""
    if not hasattr(action, "slots"):
        return action.fcurves
    layer = action.layers[0] if action.layers else action.layers.new("FreeTalk")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(through, ensure=True).fcurves


def all_curves(action: bpy.types.Action) -> list[bpy.types.FCurve]:
    """The curves of an action, whatever they drive."""
    if not hasattr(action, "slots"):
        return [*action.fcurves]
    strips = [strip for layer in action.layers for strip in layer.strips]
    return [curve for strip in strips for bag in strip.channelbags for curve in bag.fcurves]


def existing_curves(owner: bpy.types.ID) -> bpy.types.bpy_prop_collection | list:
    """The curves that drive `owner`; an empty list where nothing does. Nothing is made."""
    data = owner.animation_data
    return [] if data is None or data.action is None else held_curves(data)


def nla_strips(data: bpy.types.AnimData | None) -> list[bpy.types.NlaStrip]:
    """Everything on the tracks of the NLA."""
    return [strip for track in data.nla_tracks for strip in track.strips] if data is not None else []


def holders(data: bpy.types.AnimData | None) -> list[Holder]:
    """Of these and what holds them, what plays an action."""
    return [holder for holder in (data, *nla_strips(data)) if holder is not None and holder.action is not None]


def held_curves(holder: Holder) -> bpy.types.bpy_prop_collection | list:
    """The curves that it plays of its action; nothing is made."""
    action, through = holder.action, held_slot(holder)
    if not hasattr(action, "slots"):
        return action.fcurves
    if through is None or not action.layers or not action.layers[0].strips:
        return []
    bag = action.layers[0].strips[0].channelbag(through)
    return bag.fcurves if bag else []


def held_slot(holder: Holder | None) -> Any:
    """Through which slot it plays its action; None in Blenders without slots."""
    return getattr(holder, "action_slot", None)


def find_curve(owner: bpy.types.ID, path: str) -> bpy.types.FCurve | None:
    """The curve that animates a property of `owner`; None where nothing does. Nothing is made."""
    found = existing_curves(owner)
    return None if isinstance(found, list) else found.find(path)


def playing_curve(owner: bpy.types.ID, path: str) -> bpy.types.FCurve | None:
    """The same of a curve that is not muted, nor is its group where Blender heeds that (4.2 to 4.3)."""
    curve = find_curve(owner, path)
    if curve is None or curve.mute:
        return None
    heeded = curve.group is not None and not hasattr(owner.animation_data.action, "slots")
    return None if heeded and curve.group.mute else curve


def is_driven(owner: bpy.types.ID, path: str) -> bool:
    """Is a property of `owner` moved by a driver, or by strips of the NLA and no curve? Nothing is made."""
    data = owner.animation_data
    if data is None:
        return False
    if any(curve.data_path == path and not curve.mute for curve in data.drivers):
        return True
    return any(curve.data_path == path for curve in curves_of_strips(owner)) and playing_curve(owner, path) is None


def playing_strips(owner: bpy.types.ID) -> list[bpy.types.NlaStrip]:
    """The strips of the NLA, which the owner must have, that are not muted."""
    data = owner.animation_data
    tracks = [track for track in data.nla_tracks if not track.mute] if data.use_nla else []
    return [strip for track in tracks for strip in track.strips if not strip.mute]


def curves_of_strips(owner: bpy.types.ID) -> list[bpy.types.FCurve]:
    """The curves that these strips play of their actions; nothing is made."""
    strips = [strip for strip in playing_strips(owner) if strip.action is not None]
    return [curve for strip in strips for curve in held_curves(strip)]


def stash(owner: bpy.types.ID, name: str, action: bpy.types.Action, through: Any) -> None:
    """Put the action on a muted NLA track of its own: kept with the owner, ready to be chosen again."""
    track = owner.animation_data_create().nla_tracks.new()
    track.name, track.mute = name, True
    strip = track.strips.new(action.name, int(action.frame_range[0]), action)
    if through is not None:
        strip.action_slot = through


# Geometry nodes -------------------------------------------------------------------------------------------------------


def object_inputs(modifier: bpy.types.NodesModifier, kind: str = "Object") -> dict[str, bpy.types.ID | None]:
    """The objects, or collections, that a modifier hands to its geometry nodes, by the identifiers of the inputs."""
    tree = modifier.node_group
    sockets = [each for each in tree.interface.items_tree if each.item_type == "SOCKET"] if tree else []
    names = [each.identifier for each in sockets if each.in_out == "INPUT" and each.socket_type == f"NodeSocket{kind}"]
    if hasattr(modifier, "properties"):  # 5.2
        return {name: getattr(modifier.properties.inputs, name).value for name in names}
    return {name: modifier.get(name) or None for name in names}


def set_object_input(modifier: bpy.types.NodesModifier, name: str, item: bpy.types.Object) -> None:
    """Hand over another object."""
    if hasattr(modifier, "properties"):
        getattr(modifier.properties.inputs, name).value = item
    else:
        modifier[name] = item
    modifier.id_data.update_tag()


# The sequencer --------------------------------------------------------------------------------------------------------


def strips(scene: bpy.types.Scene) -> bpy.types.bpy_prop_collection | list:
    """The top-level strips of the scene's sequencer; an empty list where it has none."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def strips_around(strip: bpy.types.ID) -> bpy.types.bpy_prop_collection:
    """The strips of what holds a strip: a meta strip, or the sequencer."""
    holder = strip.parent_meta() or strip.id_data.sequence_editor
    return holder.strips if hasattr(holder, "strips") else holder.sequences


def all_strips_name(scene: bpy.types.Scene) -> str:
    """The editor's property that holds every strip, those in meta strips too."""
    return "strips_all" if hasattr(scene.sequence_editor, "strips_all") else "sequences_all"


def all_strips(scene: bpy.types.Scene) -> bpy.types.bpy_prop_collection | list:
    """Every strip of the scene's sequencer; an empty list where it has none."""
    editor = scene.sequence_editor
    return [] if editor is None else getattr(editor, all_strips_name(scene))


def ensure_strips(scene: bpy.types.Scene) -> bpy.types.bpy_prop_collection:
    """The top-level strips, with the sequencer made where the scene has none."""
    scene.sequence_editor_create()
    return strips(scene)


# Output ---------------------------------------------------------------------------------------------------------------


def use_video(settings: bpy.types.ImageFormatSettings) -> None:
    """Choose a movie as the render's output (5.x asks for the medium first)."""
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"


def use_png(settings: bpy.types.ImageFormatSettings) -> None:
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"


def output_path(path: Path) -> str:
    """The path of a file as a scene's output takes it (4.5 and later read variables in braces there)."""
    return str(path).replace("{", "{{").replace("}", "}}") if bpy.app.version >= (4, 5, 0) else str(path)


def can_make_sound() -> bool:
    """False in the 4.2 wheel, which is built without the audio library."""
    try:
        import aud  # noqa: F401
    except ImportError:
        return False
    return True
