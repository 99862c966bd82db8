"""The Face step of the sidebar: the object, its check-up, its landmarks."""

import bpy

from ...core.checkup import GOOD, LEVELS, NOTICE, PROBLEM
from .. import landmark_points, placed
from . import chosen, job
from .landmarks import (
    FREETALK_OT_detect,
    FREETALK_OT_landmarks_cancel,
    FREETALK_OT_landmarks_done,
    FREETALK_OT_landmarks_edit,
    FREETALK_OT_landmarks_reset,
    why_not,
)
from .panel import DONE, OPEN, WRONG, Step, is_narrow, pair, say

_LIGHTS = {GOOD: "CHECKMARK", NOTICE: "INFO", PROBLEM: "ERROR"}


class FREETALK_PT_face(Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_face"
    bl_label = "Face"
    bl_order = 1

    def state(self, context: bpy.types.Context) -> str:
        original = chosen.face(context)
        if original is None or original.type != "MESH":
            return OPEN
        return DONE if placed.points(original) is not None or context.scene.freetalk.landmarks else OPEN

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        """How many landmarks are known, and how surely."""
        original = chosen.face(context)
        if original is not None and placed.points(original) is not None and not is_narrow():
            sure = placed.confidence(original)
            how = "by hand" if sure is None else f"{100 * sure.mean():.0f} %"
            self.layout.label(text=f"68 landmarks, {how}", translate=False)

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = context.scene.freetalk, self.layout
        original = chosen.face(context)
        row = layout.row()
        row.enabled = landmark_points.editing() is None
        active = original.name if settings.face is None and original is not None else "Select a mesh"
        row.prop(settings, "face", text="", icon="MESH_MONKEY", placeholder=active)
        other = chosen.selected_beside(context)
        if other is not None and original is not None:
            say(layout, f"{other.name} is selected; the face is {original.name}")
        if landmark_points.editing():
            self._editing(layout, settings)
            return
        known = placed.points(original) if original is not None else None
        row = pair(layout)
        reason = why_not(context)
        row.enabled = not reason
        row.operator(FREETALK_OT_detect.bl_idname, icon="VIEWZOOM", text="Detect" if known is None else "Detect Again")
        row.operator(FREETALK_OT_landmarks_edit.bl_idname, icon="EMPTY_DATA")
        if job.current is None:  # that something runs is told beside Animate
            self._told(layout, settings, original, reason)
        if original is not None:
            self._checked(layout, original)
        header, body = layout.panel("freetalk_face_options", default_closed=True)
        header.label(text="Options", translate=False)
        if body is not None:
            body.prop(settings, "landmarks", text="", placeholder="Landmark file (optional)")
            body.prop(settings, "open_mouth")
            body.prop(settings, "inner_mouth", text="")
            body.prop(settings, "eyeballs")

    def _told(
        self, layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, original: bpy.types.Object, reason: str
    ) -> None:
        """Why there is nothing to press, where the landmarks come from, and which of them to look at."""
        if reason:
            say(layout, reason)
        elif placed.points(original) is None:
            found = "Animate finds the landmarks; Detect shows them before"
            say(layout, "Landmarks from a file" if settings.landmarks else found)
        elif parts := placed.doubtful_parts(original):
            say(layout, f"Please check: {', '.join(parts[:4])}{' ...' if len(parts) > 4 else ''}", WRONG)

    def _checked(self, layout: bpy.types.UILayout, original: bpy.types.Object) -> None:
        """What the check-up says, and what is done about it; what is good in a word."""
        findings = placed.findings(original)
        if not findings:
            return
        worst = max((finding.level for finding in findings), key=LEVELS.index)
        notable = [finding for finding in findings if finding.level != GOOD]
        header, body = layout.panel("freetalk_checkup", default_closed=worst != PROBLEM)
        told = f"Check-up: {len(notable)} to note" if notable else "Check-up: all in order"
        header.label(text=told, translate=False, icon=_LIGHTS[worst])
        if body is None:
            return
        for finding in sorted(notable, key=lambda finding: finding.level != PROBLEM):
            say(body, f"{finding.sentence} {finding.fix}", _LIGHTS[finding.level])
        good = ", ".join(dict.fromkeys(finding.topic for finding in findings if finding.level == GOOD))
        say(body, f"In order: {good}", _LIGHTS[GOOD])

    def _editing(self, layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
        say(layout, "Select points and press G: they stay on the surface")
        row = pair(layout)
        row.prop(settings, "mirror", toggle=True, icon="MOD_MIRROR")
        row.operator(FREETALK_OT_landmarks_reset.bl_idname, icon="LOOP_BACK")
        row = pair(layout)
        row.operator(FREETALK_OT_landmarks_done.bl_idname, icon="CHECKMARK")
        row.operator(FREETALK_OT_landmarks_cancel.bl_idname, icon="X")


CLASSES = (FREETALK_PT_face,)
