"""The FreeTalk tab of the 3D viewport's sidebar."""

import bpy

from . import bake
from .operators import FREETALK_OT_animate, FREETALK_OT_remove, why_not
from .properties import SLIDERS


class FREETALK_PT_main(bpy.types.Panel):
    """From top to bottom: the face, what it says, how it feels, Animate."""

    bl_idname = "FREETALK_PT_main"
    bl_label = "FreeTalk"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "FreeTalk"

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = context.scene.freetalk, self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "face", icon="MESH_MONKEY")
        layout.prop(settings, "landmarks", placeholder="Automatic")
        layout.row().prop(settings, "sound", expand=True)
        editor = context.scene.sequence_editor
        if settings.sound == "FILE":
            layout.prop(settings, "sound_file")
        elif editor is None:
            layout.label(text="The scene's sequencer is empty", icon="INFO")
        else:
            name = "strips" if hasattr(editor, "strips") else "sequences"
            layout.prop_search(settings, "strip", editor, name, icon="SPEAKER")
        column = layout.column(align=True, heading="Emotion")
        for name in SLIDERS:
            column.prop(settings, name, slider=True)
        column = layout.column()
        column.prop(settings, "open_mouth")
        column.prop(settings, "tolerance", text="Tolerance (mm)")
        column.prop(settings, "device")
        column.prop(settings, "seed")
        self._buttons(context)

    def _buttons(self, context: bpy.types.Context) -> None:
        reason = why_not(context)
        if reason:
            self.layout.label(text=reason, icon="INFO")
        column = self.layout.column()
        column.scale_y = 1.5
        column.operator(FREETALK_OT_animate.bl_idname, icon="PLAY")
        face = context.scene.freetalk.face
        if face is not None and bake.copies_of(bake.original_of(face)):
            self.layout.operator(FREETALK_OT_remove.bl_idname, icon="TRASH")


CLASSES = (FREETALK_PT_main,)
