"""The Animate, Result and Export steps of the sidebar."""

import bpy

from ...core import wording
from .. import heard, session, takes
from . import animate, chosen, export, job, preferences, result, staleness
from .animate import FREETALK_OT_animate, FREETALK_OT_rebake
from .export import FREETALK_OT_export
from .lip_keys import LIPS, FREETALK_OT_lips
from .panel import DONE, OPEN, RUNNING, Step, is_narrow, pair, say
from .result import (
    FREETALK_OT_lines_delete,
    FREETALK_OT_remove,
    FREETALK_OT_take_choose,
    FREETALK_OT_take_delete,
    FREETALK_OT_take_new,
)

#: Letters that a device's name may have beside a step's.
_SHORT = 12


class FREETALK_PT_animate(Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_animate"
    bl_label = "Animate"
    bl_order = 5

    def state(self, context: bpy.types.Context) -> str:
        if job.current is not None:
            return RUNNING
        return DONE if chosen.talking(context) is not None else OPEN

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        if job.current is not None:
            told = job.current.told()
            text = told[:1].upper() + told[1:]
            layout.progress(factor=job.current.progress()[0], text=text, translate=False)
            say(layout, "ESC stops it; nothing is changed before the end")
            return
        column, reason = layout.column(), animate.why_not(context)
        row = column.row(align=True)
        row.enabled, row.scale_y = not reason, 1.5
        row.operator(FREETALK_OT_animate.bl_idname, icon="PLAY")
        if reason:
            say(column, reason)
        if len(session.device) > _SHORT:  # what it says besides a name: why not on the card that was wished for
            say(layout, f"Ran on {session.device}", "MEMORY")

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        """What the networks ran on, or shall run on."""
        if len(session.device) > _SHORT or is_narrow():
            return
        device = preferences.get().device
        wanted = "Automatic" if device == "auto" else device.upper()
        told = f"Ran on {session.device}" if session.device else f"Device: {wanted}"
        self.layout.label(text=told, translate=False)


class FREETALK_PT_result(Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_result"
    bl_label = "Result"
    bl_order = 6

    def state(self, context: bpy.types.Context) -> str:
        return DONE if chosen.talking(context) is not None else OPEN

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        copy = chosen.talking(context)
        if copy is None:
            if result.is_left_hidden(context):
                say(layout, "The talking copy was deleted; Remove shows the face again")
                layout.operator(FREETALK_OT_remove.bl_idname, icon="TRASH")
            elif job.current is None:
                say(layout, result.NONE)
            return
        layout.enabled = job.current is None  # that something runs is told beside Animate
        self._takes(layout, copy)
        column = layout.column(align=True)
        column.label(text="Lips at this frame:", translate=False, icon="KEY_HLT")
        row = column.row(align=True)
        for lips, name, _ in LIPS:
            row.operator(FREETALK_OT_lips.bl_idname, text=name).lips = lips
        reason = animate.why_not(context) or animate.why_not_again(context)
        row = pair(layout)
        row.prop(context.scene.freetalk, "live", toggle=True, icon="HIDE_OFF")
        row = row.row(align=True)
        row.enabled = not reason
        row.operator(FREETALK_OT_rebake.bl_idname, icon="FILE_REFRESH")
        if reason and job.current is None:
            say(layout, reason)
        elif staleness.is_stale(context):
            anew = staleness.has_other_face(context.scene, copy)
            where = ": to a new talking copy, without other takes and lines" if anew else ""
            say(layout, f"Bake Again applies your changes{where}", "KEYFRAME")
        take = takes.current(copy)
        self._other_lines(layout, [] if reason else staleness.moved_lines(context), take)
        moved = heard.moved(context.scene, take) if take is not None else []
        if moved:
            told = f"Moved or trimmed away from the lips: {wording.named(moved)}"
            say(layout, f"{told}; choose it under Speech (Strip) and press Animate", "KEYFRAME")

    def _takes(self, layout: bpy.types.UILayout, copy: bpy.types.Object) -> None:
        """Each take with its buttons, another one, and the way back."""
        current, column = takes.current(copy), layout.column(align=True)
        for take in takes.listed(copy):
            row = column.row(align=True)
            icon = "RADIOBUT_ON" if take == current else "RADIOBUT_OFF"
            row.operator(FREETALK_OT_take_choose.bl_idname, text=take.name, icon=icon).take = take.name
            row.operator(FREETALK_OT_take_delete.bl_idname, text="", icon="X").take = take.name
        row = pair(layout)
        row.operator(FREETALK_OT_take_new.bl_idname, icon="ADD")
        row.operator(FREETALK_OT_remove.bl_idname, icon="TRASH")

    def _other_lines(self, layout: bpy.types.UILayout, moved: list[str], current: bpy.types.Action | None) -> None:
        """Those that no longer fit, by name, and those of the take that plays whose strip is gone."""
        if moved:
            told = f"Other lines no longer fit their sound or the line before them: {wording.named(moved)}"
            say(layout, f"{told}; choose each and bake it again", "KEYFRAME")
        lost = heard.lost(current) if current is not None else []
        if lost:
            names = wording.named([line.told.removeprefix("strip ") for line in lost])
            say(layout, f"Lines whose strip is gone are still spoken: {names}", "KEYFRAME")
            layout.operator(FREETALK_OT_lines_delete.bl_idname, icon="TRASH")


class FREETALK_PT_export(Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_export"
    bl_label = "Export"
    bl_order = 7

    def draw(self, context: bpy.types.Context) -> None:
        layout, reason = self.layout, export.why_not(context)
        row = layout.row(align=True)
        row.enabled = not reason
        for suffix, name in export.formats().items():
            row.operator(FREETALK_OT_export.bl_idname, text=name).format = suffix
        if reason not in ("", result.NONE) and job.current is None:  # that one stands under Result
            say(layout, reason)
        settings = context.scene.freetalk
        row = layout.row(align=True)
        row.prop(settings, "keys", text="")
        if settings.keys == "MOST":
            row.prop(settings, "most", text="")
        row.prop(settings, "only_face", text="", icon="RESTRICT_SELECT_OFF")


CLASSES = (FREETALK_PT_animate, FREETALK_PT_result, FREETALK_PT_export)
