"""The Speech, Emotion and Performance steps of the sidebar."""

from typing import ClassVar

import bpy

from .. import compat, sound
from . import chosen, waveform
from .feeling import group_of, own_group
from .panel import DONE, OPEN, WRONG, Step, is_narrow, pair, say
from .presets import FREETALK_OT_own_emotion, FREETALK_OT_preset
from .properties import SLIDERS, STYLE


class FREETALK_PT_speech(Step, bpy.types.Panel):
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
            layout.prop(settings, "sound_file", text="", placeholder="Choose a sound file")
        elif scene.sequence_editor is not None:
            layout.prop_search(settings, "strip", scene.sequence_editor, compat.all_strips_name(scene), text="")
        if strip is not None and strip.name != settings.strip:
            say(layout, f"{'Now called' if settings.strip else 'First strip:'} {strip.name}", "SPEAKER")
        reason = chosen.why_no_sound(scene)
        if reason:
            if settings.sound == "STRIP":  # the empty field for a file says so itself
                say(layout, reason)
            return
        self._sound(layout, scene, strip)
        row = pair(layout)
        row.prop(settings, "channel")
        row.prop(settings, "strength", slider=True)

    def _sound(self, layout: bpy.types.UILayout, scene: bpy.types.Scene, strip: bpy.types.ID | None) -> None:
        """The picture of the sound, how long it is and where it starts."""
        if strip is not None and len(strip.retiming_keys):
            say(layout, "Its speed was changed; it is heard as Blender plays it", "TIME")
            return
        looked = waveform.look(scene)
        if looked.problem:
            say(layout, looked.problem, WRONG)
            return
        row = layout.row(align=True)
        row.alignment = "CENTER"
        for icon in looked.icons:
            row.template_icon(icon, scale=2.0)
        start = sound.span(strip)[0] if strip is not None else scene.frame_start
        length = f"{looked.seconds:.2f} s from frame {start}" if looked.seconds else "Reading ..."
        row = layout.row()
        row.label(text=length, translate=False, icon="TIME")
        if strip is None and compat.can_make_sound():
            row.prop(scene.freetalk, "hear", text="", icon="PLAY_SOUND")


class FREETALK_PT_emotion(Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_emotion"
    bl_label = "Emotion"
    bl_order = 3

    def state(self, context: bpy.types.Context) -> str:
        return DONE

    def draw(self, context: bpy.types.Context) -> None:
        scene, layout = context.scene, self.layout
        strip = chosen.strip(scene)
        if strip is not None:
            own = own_group(scene, strip) is not None
            icon = "CHECKBOX_HLT" if own else "CHECKBOX_DEHLT"
            layout.operator(FREETALK_OT_own_emotion.bl_idname, text=f"Own for {strip.name}", icon=icon, depress=own)
        group = group_of(scene, strip)
        row = layout.row(align=True)
        row.prop(group, "emotion_mode", expand=True)
        row.operator_menu_enum(FREETALK_OT_preset.bl_idname, "preset", text="", icon="PRESET")
        if group.emotion_mode == "VAD":
            column = layout.column(align=True)
            for name in ("valence", "arousal", "dominance"):
                column.prop(group, name, slider=True)
        else:
            grid = layout.grid_flow(row_major=True, columns=1 if is_narrow() else 2, even_columns=True, align=True)
            for name in (*SLIDERS, "neutral"):
                grid.prop(group, name, slider=True)
        layout.prop(group, "intensity", slider=True)


class FREETALK_PT_performance(Step, bpy.types.Panel):
    bl_idname = "FREETALK_PT_performance"
    bl_label = "Performance"
    bl_options: ClassVar[set[str]] = {"DEFAULT_CLOSED"}
    bl_order = 4

    def state(self, context: bpy.types.Context) -> str:
        return DONE

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = context.scene.freetalk, self.layout
        layout.use_property_split = not is_narrow()
        column = layout.column(align=True)
        for name in STYLE:
            column.prop(settings, name, slider=True)
        column = layout.column()
        column.prop(settings, "contact", slider=True)
        column.prop(settings, "seed")
        column.prop(settings, "tolerance")
        render = context.scene.render
        say(layout, f"{render.fps / render.fps_base:.5g} frames a second, as the scene", "TIME")


CLASSES = (FREETALK_PT_speech, FREETALK_PT_emotion, FREETALK_PT_performance)
