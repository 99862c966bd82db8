"""The FreeTalk tab of the 3D viewport's sidebar: one step a sub-panel, each showing whether it is done."""

from typing import ClassVar

import bpy

from . import animate, chosen, compat, export, job, landmark_points, placed, preferences, result, session, takes
from .animate import FREETALK_OT_animate, FREETALK_OT_rebake
from .export import FREETALK_OT_export
from .feeling import group_of
from .landmarks import (
    FREETALK_OT_detect,
    FREETALK_OT_landmarks_cancel,
    FREETALK_OT_landmarks_done,
    FREETALK_OT_landmarks_edit,
    FREETALK_OT_landmarks_reset,
    why_no_edit,
)
from .marks import copy_of
from .properties import SLIDERS, STYLE
from .result import FREETALK_OT_remove, FREETALK_OT_take_choose, FREETALK_OT_take_delete, FREETALK_OT_take_new

DONE, OPEN, WRONG, RUNNING = "CHECKMARK", "RADIOBUT_OFF", "ERROR", "TIME"


class _Tab:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "FreeTalk"


class FREETALK_PT_main(_Tab, bpy.types.Panel):
    """The steps from a scan to a file, from top to bottom."""

    bl_idname = "FREETALK_PT_main"
    bl_label = "FreeTalk"

    def draw(self, context: bpy.types.Context) -> None:
        if context.scene.freetalk.face is None and chosen.face(context) is None:
            self.layout.label(text="Select a face scan and press Animate", icon="INFO")


class _Step(_Tab):
    bl_parent_id = "FREETALK_PT_main"

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.label(text="", icon=self.state(context))  # type: ignore[attr-defined]

    def state(self, _context: bpy.types.Context) -> str:
        return OPEN


def say(layout: bpy.types.UILayout, text: str, icon: str = "INFO") -> None:
    """One sentence, broken where the sidebar ends."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    line = ""
    for word in text.split():
        if line and len(line) + len(word) > 34:
            column.label(text=line, icon=icon)
            line, icon = "", "BLANK1"
        line = f"{line} {word}".strip()
    column.label(text=line, icon=icon)


def button(layout: bpy.types.UILayout, operator: type, reason: str, **options) -> bpy.types.OperatorProperties:
    """An operator's button; greyed out where there is a reason, which is told beneath."""
    column = layout.column()
    row = column.row(align=True)
    row.enabled = not reason
    found = row.operator(operator.bl_idname, **options)  # type: ignore[attr-defined]
    if reason:
        say(column, reason)
    return found


class FREETALK_PT_face(_Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_face"
    bl_label = "Face"
    bl_order = 1

    def state(self, context: bpy.types.Context) -> str:
        original = chosen.face(context)
        if original is None or original.type != "MESH":
            return OPEN
        return DONE if placed.points(original) is not None or context.scene.freetalk.landmarks else OPEN

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = context.scene.freetalk, self.layout
        original = chosen.face(context)
        row = layout.row()
        row.enabled = landmark_points.editing() is None
        row.prop(settings, "face", text="", icon="MESH_MONKEY")
        if settings.face is None and original is not None:
            say(layout, f"Active mesh: {original.name}", "MESH_DATA")
        if landmark_points.editing():
            self._editing(layout, settings)
            return
        known = placed.points(original) if original is not None else None
        row = layout.row(align=True)
        reason = animate.landmarks_busy() or chosen.why_no_face(context)
        row.enabled = not reason
        row.operator(FREETALK_OT_detect.bl_idname, icon="VIEWZOOM", text="Detect" if known is None else "Detect Again")
        row.operator(FREETALK_OT_landmarks_edit.bl_idname, icon="EMPTY_DATA", text="Edit Points")
        if reason:
            say(layout, reason)
        elif known is None:
            say(layout, "Animate finds the landmarks by itself" if why_no_edit(context) else "68 landmarks from a file")
        else:
            self._found(layout, original)
        layout.prop(settings, "landmarks", text="", placeholder="Landmark file (optional)")
        layout.prop(settings, "open_mouth")

    def _found(self, layout: bpy.types.UILayout, original: bpy.types.Object) -> None:
        sure, doubtful = placed.confidence(original), placed.doubtful(original)
        if sure is None:
            say(layout, "68 landmarks, placed by hand", DONE)
        else:
            say(layout, f"68 landmarks, {100 * sure.mean():.0f} % sure", DONE if not doubtful else WRONG)
        if doubtful:
            numbers = ", ".join(map(str, doubtful[:8])) + (" ..." if len(doubtful) > 8 else "")
            say(layout, f"Worth a look: {numbers}", "BLANK1")

    def _editing(self, layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
        say(layout, "Select points and press G: they stay on the surface")
        row = layout.row(align=True)
        row.prop(settings, "mirror", toggle=True, icon="MOD_MIRROR")
        row.operator(FREETALK_OT_landmarks_reset.bl_idname, icon="LOOP_BACK")
        row = layout.row(align=True)
        row.operator(FREETALK_OT_landmarks_done.bl_idname, icon="CHECKMARK")
        row.operator(FREETALK_OT_landmarks_cancel.bl_idname, icon="X")


class FREETALK_PT_speech(_Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_speech"
    bl_label = "Speech"
    bl_order = 2

    def state(self, context: bpy.types.Context) -> str:
        return OPEN if chosen.why_no_sound(context.scene) else DONE

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout, scene = context.scene.freetalk, self.layout, context.scene
        layout.row().prop(settings, "sound", expand=True)
        strip = chosen.strip(scene)
        if settings.sound == "FILE":
            layout.prop(settings, "sound_file", text="", placeholder="Sound file")
        elif scene.sequence_editor is not None:
            layout.prop_search(settings, "strip", scene.sequence_editor, compat.all_strips_name(scene), text="")
        if strip is not None and strip.name != settings.strip:
            say(layout, f"First strip: {strip.name}", "SPEAKER")
        reason = chosen.why_no_sound(scene)
        if reason:
            say(layout, reason)
            return
        layout.prop(settings, "strength", slider=True)


class FREETALK_PT_emotion(_Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_emotion"
    bl_label = "Emotion"
    bl_order = 3

    def state(self, context: bpy.types.Context) -> str:
        return DONE

    def draw(self, context: bpy.types.Context) -> None:
        scene, layout = context.scene, self.layout
        strip = chosen.strip(scene)
        if strip is not None:
            layout.prop(strip.freetalk, "override", text=f"Own emotion for {strip.name}")
        group = group_of(scene, strip)
        row = layout.row(align=True)
        row.prop(group, "emotion_mode", expand=True)
        layout.use_property_split = True
        column = layout.column(align=True)
        names = ("valence", "arousal", "dominance") if group.emotion_mode == "VAD" else (*SLIDERS, "neutral")
        for name in names:
            column.prop(group, name, slider=True)
        layout.prop(group, "intensity", slider=True)


class FREETALK_PT_performance(_Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_performance"
    bl_label = "Performance"
    bl_options: ClassVar[set[str]] = {"DEFAULT_CLOSED"}
    bl_order = 4

    def state(self, context: bpy.types.Context) -> str:
        return DONE

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = context.scene.freetalk, self.layout
        layout.use_property_split = True
        column = layout.column(align=True)
        for name in STYLE:
            column.prop(settings, name, slider=True)
        column = layout.column()
        column.prop(settings, "seed")
        column.prop(settings, "tolerance", text="Tolerance (mm)")
        render = context.scene.render
        say(layout, f"{render.fps / render.fps_base:.5g} frames a second, as the scene", "TIME")


class FREETALK_PT_animate(_Step, bpy.types.Panel):
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
            share, left = job.current.progress()
            layout.progress(factor=share, text=f"{job.current.stage.capitalize()}, {left:.0f} s left")
            say(layout, "ESC stops it; nothing is changed before the end")
            return
        column = layout.column()
        column.scale_y = 1.5
        button(column, FREETALK_OT_animate, animate.why_not(context), icon="PLAY")
        device = preferences.get().device
        wanted = "automatic" if device == "auto" else device.upper()
        say(layout, f"Ran on {session.device}" if session.device else f"Device: {wanted}", "MEMORY")


class FREETALK_PT_result(_Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_result"
    bl_label = "Result"
    bl_order = 6

    def state(self, context: bpy.types.Context) -> str:
        return DONE if chosen.talking(context) is not None else OPEN

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        reason = result.why_none(context)
        if reason:
            say(layout, reason)
            return
        copy = copy_of(chosen.face(context))
        current = takes.current(copy)
        column = layout.column(align=True)
        for take in takes.listed(copy):
            row = column.row(align=True)
            icon = "RADIOBUT_ON" if take == current else "RADIOBUT_OFF"
            row.operator(FREETALK_OT_take_choose.bl_idname, text=take.name, icon=icon).take = take.name
            row.operator(FREETALK_OT_take_delete.bl_idname, text="", icon="X").take = take.name
        row = layout.row(align=True)
        row.operator(FREETALK_OT_take_new.bl_idname, icon="ADD")
        row.operator(FREETALK_OT_remove.bl_idname, icon="TRASH")
        layout.prop(context.scene.freetalk, "live")
        button(layout, FREETALK_OT_rebake, animate.why_not_again(context), icon="FILE_REFRESH")


class FREETALK_PT_export(_Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_export"
    bl_label = "Export"
    bl_order = 7

    def draw(self, context: bpy.types.Context) -> None:
        layout, reason = self.layout, result.why_none(context)
        row = layout.row(align=True)
        row.enabled = not reason
        for suffix, name in export.FORMATS.items():
            row.operator(FREETALK_OT_export.bl_idname, text=name).format = suffix
        if reason:
            say(layout, reason)
        layout.prop(context.scene.freetalk, "only_face")


CLASSES = (
    FREETALK_PT_main,
    FREETALK_PT_face,
    FREETALK_PT_speech,
    FREETALK_PT_emotion,
    FREETALK_PT_performance,
    FREETALK_PT_animate,
    FREETALK_PT_result,
    FREETALK_PT_export,
)
