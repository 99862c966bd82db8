"""The FreeTalk tab of the 3D viewport's sidebar: one step a sub-panel, each showing whether it is done."""

import textwrap

import bpy

from . import chosen

DONE, OPEN, WRONG, RUNNING = "CHECKMARK", "RADIOBUT_OFF", "ERROR", "TIME"
#: Letters in a line of the sidebar as it opens.
_WIDTH = 35


class Tab:
    """Where the panels are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "FreeTalk"


class FREETALK_PT_main(Tab, bpy.types.Panel):
    """The steps from a scan to a file, from top to bottom."""

    bl_idname = "FREETALK_PT_main"
    bl_label = "FreeTalk"

    def draw(self, context: bpy.types.Context) -> None:
        if context.scene.freetalk.face is None and chosen.face(context) is None:
            self.layout.label(text="Select a face scan and press Animate", translate=False, icon="INFO")


class Step(Tab):
    """A sub-panel whose header shows its state."""

    bl_parent_id = "FREETALK_PT_main"

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.label(text="", icon=self.state(context))  # type: ignore[attr-defined]

    def state(self, _context: bpy.types.Context) -> str:
        """The icon that tells how far this step is."""
        return OPEN


def say(layout: bpy.types.UILayout, text: str, icon: str = "INFO") -> None:
    """One sentence, broken where the sidebar ends."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for line in textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False):
        column.label(text=line, translate=False, icon=icon)
        icon = "BLANK1"


CLASSES = (FREETALK_PT_main,)
