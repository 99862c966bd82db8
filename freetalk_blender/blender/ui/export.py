"""Export: the talking face as glTF, FBX or USD, with the settings that keep its shape-key animation."""

import math
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ...core import wording
from ...core.errors import TOLD, FreeTalkError, sentence
from .. import compat, log, movers, seen, sound, spoken, takes, unwritten
from ..formats import saving
from ..marks import named_keys, original_of
from ..spoken import Line
from . import animate, chosen, live, staleness
from .result import why_none

#: Weights of shape keys that move nothing to be seen.
_RESTING = 1e-4
FORMATS = {".glb": "glTF", ".fbx": "FBX", ".usdc": "USD"}


@seen.beyond_local_view()
def hanging_on(copy: bpy.types.Object) -> list[bpy.types.Object]:
    """The talking copy, its armatures, and what is seen of its parents and children, its original's children too."""
    original, rigs = original_of(copy), movers.armatures(copy)
    found = [copy, *copy.children_recursive, *original.children_recursive, *rigs, *movers.with_parents([copy])]
    return [item for item in dict.fromkeys(found) if item != original and (item in rigs or item.visible_get())]


def formats() -> dict[str, str]:
    """The formats that this Blender can write: suffix -> name."""
    can = {".usdc": compat.exists(bpy.ops.wm.usd_export)}
    return {suffix: name for suffix, name in FORMATS.items() if can.get(suffix, True)}


def why_not(context: bpy.types.Context) -> str:
    """Why nothing can be exported yet; empty where it can."""
    return why_none(context) or animate.landmarks_busy()


def _baked_again(context: bpy.types.Context) -> bpy.types.Object:
    """The talking copy, a new one where the face changed, with what is chosen now; FreeTalkError where it cannot be."""
    reason = animate.why_not(context) or animate.why_not_again(context)
    if reason:
        raise FreeTalkError(f"The shape keys that are chosen under Export are not baked yet: {reason}.")
    try:
        bpy.ops.freetalk.rebake()
    except RuntimeError as error:  # how Blender hands on what an operator reports
        raise FreeTalkError(log.reported(error)) from error
    copy = chosen.talking(context)
    assert copy is not None, "baked"
    return copy


def lines_by_other_keys(copy: bpy.types.Object) -> list[Line]:
    """The lines of the take that plays that move numbered shape keys: these have no meaning of their own."""
    take, keys = takes.current(copy), copy.data.shape_keys
    numbered = [block for block in takes.made(copy) if block.name not in named_keys(copy)]
    curves = [compat.find_curve(keys, block.path_from_id("value")) for block in numbered]

    def is_moved(line: Line) -> bool:
        frames = range(math.ceil(line.start), math.floor(line.end) + 1)
        return any(abs(curve.evaluate(frame)) > _RESTING for curve in curves if curve for frame in frames)

    return [line for line in spoken.lines(take) if is_moved(line)] if take is not None else []


class FREETALK_OT_export(bpy.types.Operator):
    """Write the talking face to a file that other programs read, shape keys and their animation included"""

    bl_idname = "freetalk.export"
    bl_label = "Export"

    filepath: StringProperty(subtype="FILE_PATH")
    check_existing: BoolProperty(default=True, options={"HIDDEN"})
    filter_glob: StringProperty(default=";".join(f"*{suffix}" for suffix in FORMATS), options={"HIDDEN"})
    format: EnumProperty(
        name="Format", items=[(suffix, name, f"Write {suffix}") for suffix, name in FORMATS.items()], default=".glb"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen.explained(cls, why_not(context))

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        name = bpy.path.clean_name(original_of(chosen.talking(context)).name)
        folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
        self.filepath = str(folder / f"{name}{self.format}")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, _context: bpy.types.Context) -> bool:
        """The name of the file ends as the format does that is chosen beside it; was it changed?"""
        path = Path(self.filepath)
        if path.suffix.lower() not in FORMATS or path.suffix.lower() == self.format:
            return False
        self.filepath = str(path.with_suffix(self.format))
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(self.filepath))
        if not bpy.path.basename(self.filepath):
            self.report({"ERROR"}, "The file has no name yet; type one, and export again.")
            return {"CANCELLED"}
        if path.suffix.lower() not in saving.EXPORTS:
            path = path.with_name(path.name + self.format)
        copy = chosen.talking(context)
        assert copy is not None, "polled"
        if not seen.is_seen(copy):
            self.report({"ERROR"}, f"{copy.name} is hidden; show it, for only what is seen is exported.")
            return {"CANCELLED"}
        try:
            if live.is_shown(copy) or staleness.has_other_keys(context.scene, copy):
                copy = _baked_again(context)
            saving.save(path, hanging_on(copy) if context.scene.freetalk.only_face else None)
        except TOLD as error:
            self.report({"ERROR"}, sentence(error))
            return {"CANCELLED"}
        for note in unwritten.notes(copy, [path]) + sound.notes(context.scene):
            self.report({"WARNING"}, note)
        take = takes.current(copy)
        self._tell_of_time(path, staleness.off_time(context.scene, take) if take is not None else [])
        if context.scene.freetalk.keys == "ARKIT":
            self._tell_of_others(path, lines_by_other_keys(copy))
        self.report({"INFO"}, f"{path} written, {path.stat().st_size / 1e6:.1f} MB")
        return {"FINISHED"}

    def _tell_of_time(self, path: Path, lines: list[str]) -> None:
        if lines:
            self.report(
                {"WARNING"},
                f"{path.name} says what was baked before its sound was moved or trimmed, or the frame rate changed: "
                f"{wording.named(lines)}; choose each of these sounds, press Bake Again, and export again.",
            )

    def _tell_of_others(self, path: Path, lines: list[Line]) -> None:
        if lines:
            told = wording.named([f"{line.told} (frames {line.start:.0f} to {line.end:.0f})" for line in lines])
            self.report(
                {"WARNING"},
                f"{path.name} moves other shape keys than ARKit's too, for they were baked before: {told}; "
                "choose each of these sounds, press Bake Again, and export again.",
            )


CLASSES = (FREETALK_OT_export,)
