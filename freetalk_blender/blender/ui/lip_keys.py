"""Lips corrected at the frame at hand: keys of the Contact slider."""

import bpy
from bpy.props import EnumProperty

from .. import compat, sound

#: From a key back to what was there before and behind it (s), and frames at least: short as a p, slow enough to be
#: seen.
_BESIDE, _FRAMES = 0.08, 2
_SMOOTH = "AUTO_CLAMPED"
_VALUES = {"CLOSE": 1.0, "PART": -1.0, "HEARD": 0.0}
LIPS = [
    ("CLOSE", "Close", "Bring the lips together at this frame"),
    ("PART", "Part", "Keep the lips apart at this frame"),
    ("HEARD", "As Heard", "Take back at this frame what Close or Part did"),
]


class FREETALK_OT_lips(bpy.types.Operator):
    """Key Contact around this frame; Live Preview shows it, Bake Again writes it"""

    bl_idname = "freetalk.lips"
    bl_label = "Lips at This Frame"
    bl_options = {"REGISTER", "UNDO"}

    lips: EnumProperty(name="Lips", items=LIPS)

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        told = next(told for lips, _, told in LIPS if lips == properties.lips)
        return f"{told}: keys Contact around it. Live Preview shows it, Bake Again writes it"

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, settings = context.scene, context.scene.freetalk
        path = settings.path_from_id("contact")
        here, reach = scene.frame_current, max(_FRAMES, round(_BESIDE * sound.scene_fps(scene)))
        curve = compat.find_curve(scene, path)
        beside = (here - reach, here + reach)
        keys = {frame: settings.contact if curve is None else curve.evaluate(frame) for frame in beside}
        for frame, value in (keys | {here: _VALUES[self.lips]}).items():
            settings.contact = value
            settings.keyframe_insert("contact", frame=frame)
        for point in getattr(compat.find_curve(scene, path), "keyframe_points", ()):
            if round(point.co.x) in (*beside, here):
                point.interpolation, point.handle_left_type, point.handle_right_type = "BEZIER", _SMOOTH, _SMOOTH
        return {"FINISHED"}


CLASSES = (FREETALK_OT_lips,)
