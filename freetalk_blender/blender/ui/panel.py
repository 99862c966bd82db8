"""The FreeTalk tab of the 3D viewport's sidebar: one step a sub-panel, each showing whether it is done."""

import textwrap

import bpy

from . import chosen

DONE, OPEN, WRONG, RUNNING = "CHECKMARK", "RADIOBUT_OFF", "ERROR", "TIME"
#: Pixels across the sidebar as it opens, what of them is icons and margins, and those of a letter, at a UI scale of 1.
_OPENED, _MARGIN, _LETTER = 280, 70, 6
#: Letters in a line below which two buttons, or words in a header, have no room beside each other.
_NARROW = 33


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
            say(self.layout, "Select a face scan and press Animate")


class Step(Tab):
    """A sub-panel whose header shows its state."""

    bl_parent_id = "FREETALK_PT_main"

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.label(text="", icon=self.state(context))  # type: ignore[attr-defined]

    def state(self, _context: bpy.types.Context) -> str:
        """The icon that tells how far this step is."""
        return OPEN


def say(layout: bpy.types.UILayout, text: str, icon: str = "INFO") -> None:
    """One sentence, broken where the sidebar ends, as wide as it was dragged."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for line in textwrap.wrap(text, _letters(), break_long_words=False, break_on_hyphens=False):
        column.label(text=line, translate=False, icon=icon)
        icon = "BLANK1"


def pair(layout: bpy.types.UILayout) -> bpy.types.UILayout:
    """For two buttons: side by side, or in a narrow sidebar one below the other, or their names would be cut."""
    return layout.column(align=True) if is_narrow() else layout.row(align=True)


def is_narrow() -> bool:
    return _letters() < _NARROW


def _letters() -> int:
    """How many letters a line of a sentence may have."""
    return max(int((_width() - _MARGIN) / _LETTER), 1)


def _width() -> float:
    """Pixels across the sidebar that is drawn, at a UI scale of 1."""
    region = bpy.context.region
    if region is None or region.type != Tab.bl_region_type:
        return _OPENED
    return region.width / bpy.context.preferences.system.ui_scale


CLASSES = (FREETALK_PT_main,)
