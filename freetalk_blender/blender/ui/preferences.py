"""The add-on's preferences: what the networks run on, what is remembered, what is told."""

from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty

from ...core import doctor, models
from .. import log, session

PACKAGE = __package__.removesuffix(".blender.ui")


@dataclass(frozen=True)
class Defaults:
    """The preferences where FreeTalk runs without being an enabled add-on: tests, the command line."""

    device: str = "auto"
    threads: int = 0
    models: str = ""
    cache: int = 1024
    logging: str = "QUIET"


def get() -> "FREETALK_AP_preferences | Defaults":
    """The add-on's preferences, or their defaults."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon is not None and addon.preferences is not None else Defaults()


def apply() -> None:
    """Let the engine and the log do what the preferences say."""
    chosen = get()
    models.configure(chosen.threads, Path(bpy.path.abspath(chosen.models)) if chosen.models else None)
    session.limit(chosen.cache * 2**20)
    log.tell(chosen.logging)


class FREETALK_AP_preferences(bpy.types.AddonPreferences):
    """No property has a Python callback (see properties.py): `apply` runs before each piece of work."""

    bl_idname = PACKAGE

    device: EnumProperty(
        name="Device",
        description="Where the networks run; what they really used is shown beside Animate",
        items=[(name, name.upper() if name != "auto" else "Automatic", "") for name in models.DEVICES],
    )
    threads: IntProperty(name="Threads", description="Threads of each network; 0: automatic", default=0, min=0, max=256)
    models: StringProperty(
        name="Networks", description="A folder of other networks; empty: those of the add-on", subtype="DIR_PATH"
    )
    cache: IntProperty(
        name="Memory",
        description="How much heard speech and how many bound faces are remembered, each (MB)",
        default=1024,
        min=0,
        soft_max=8192,
        subtype="NONE",
    )
    logging: EnumProperty(
        name="Log",
        description="What is written to Blender's console",
        items=[
            ("QUIET", "Warnings", "Only what goes wrong"),
            ("STEPS", "Steps", "Each step and its seconds"),
            ("ALL", "Everything", "Details too"),
        ],
    )

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        column = layout.column()
        column.prop(self, "device")
        told = f"Ran on: {session.device}" if session.device else "Nothing has run yet"
        column.label(text=told, translate=False, icon="INFO")
        column.prop(self, "threads")
        column.prop(self, "models")
        row = layout.row(align=True)
        row.prop(self, "cache", text="Memory (MB)")
        row.operator(FREETALK_OT_clear_cache.bl_idname, text=f"Clear ({session.used() / 2**20:.0f} MB used)")
        layout.prop(self, "logging")
        layout.operator(FREETALK_OT_doctor.bl_idname, icon="HEART")


class FREETALK_OT_clear_cache(bpy.types.Operator):
    """Forget heard speech and bound faces; the next Animate works them out again"""

    bl_idname = "freetalk.clear_cache"
    bl_label = "Clear"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        session.clear()
        return {"FINISHED"}


class FREETALK_OT_doctor(bpy.types.Operator):
    """Look at what is installed and what the networks run on; the report can be copied"""

    bl_idname = "freetalk.doctor"
    bl_label = "Doctor"

    copy: BoolProperty(name="Copy to Clipboard", default=True)
    report_text: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.report_text = examined()
        return context.window_manager.invoke_props_dialog(self, width=700)

    def draw(self, _context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        for line in self.report_text.splitlines():
            column.label(text=line, translate=False)
        self.layout.prop(self, "copy")

    def execute(self, context: bpy.types.Context) -> set[str]:
        text = self.report_text or examined()
        if self.copy:
            context.window_manager.clipboard = text
        print(text)
        return {"FINISHED"}


def examined() -> str:
    """The doctor's report for the device of the preferences, with Blender's version."""
    apply()
    return f"Blender {bpy.app.version_string}\n{doctor.report(doctor.examine(get().device))}"


CLASSES = (FREETALK_OT_clear_cache, FREETALK_OT_doctor, FREETALK_AP_preferences)
