"""What comes of Animate: takes to choose among, a look at the original, and everything taken back."""

import bpy
from bpy.props import StringProperty

from .. import bake, cleanup, heard, takes
from ..marks import BEFORE
from . import chosen
from .job import why_busy

#: What is told where there is no result yet.
NONE = "Animate the face first"


def why_none(context: bpy.types.Context) -> str:
    """Why there is no result to work on; empty where there is."""
    copy = chosen.talking(context)
    return why_busy() or (NONE if copy is None else takes.why_locked(copy))


def is_left_hidden(context: bpy.types.Context) -> bool:
    """Is the face still hidden for a talking copy that the person deleted?"""
    original = chosen.face(context)
    return original is not None and BEFORE in original and chosen.talking(context) is None


class _OnCopy:
    """An operator that needs a talking copy."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen.explained(cls, why_none(context))


class FREETALK_OT_take_new(_OnCopy, bpy.types.Operator):
    """Begin another take: the takes before it stay as they are, and the next Animate fills this one"""

    bl_idname = "freetalk.take_new"
    bl_label = "New Take"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        copy = chosen.talking(context)
        bare = copy is not None and copy.data.shape_keys is None  # the person deleted them
        return chosen.explained(cls, why_none(context) or (NONE if bare else ""))

    def execute(self, context: bpy.types.Context) -> set[str]:
        copy = chosen.talking(context)
        assert copy is not None, "polled"
        takes.create(copy)
        heard.tune(context.scene, *copy.users_scene)
        return {"FINISHED"}


class _Pruning(_OnCopy):
    """An operator that takes shape keys out, which Edit Mode brings back, when it is left, as nobody's."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        copy = chosen.talking(context)
        edited = copy is not None and copy.data.is_editmode
        return chosen.explained(cls, why_none(context) or (chosen.OBJECT_MODE if edited else ""))


class _OnTake(_OnCopy):
    """An operator on the take of that name; `act` does it."""

    bl_options = {"REGISTER", "UNDO"}
    take: StringProperty(name="Take")

    def act(self, copy: bpy.types.Object, take: bpy.types.Action) -> None:
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        copy = chosen.talking(context)
        assert copy is not None, "polled"
        take = next((take for take in takes.listed(copy) if take.name == self.take), None)
        if take is None:
            self.report({"ERROR"}, f"There is no take {self.take} any more.")  # type: ignore[attr-defined]
            return {"CANCELLED"}
        self.act(copy, take)
        heard.tune(context.scene, *copy.users_scene)
        return {"FINISHED"}


class FREETALK_OT_take_choose(_OnTake, bpy.types.Operator):
    """Let this take play"""

    bl_idname = "freetalk.take_choose"
    bl_label = "Play This Take"

    def act(self, copy: bpy.types.Object, take: bpy.types.Action) -> None:
        takes.choose(copy, take)


class FREETALK_OT_take_delete(_Pruning, _OnTake, bpy.types.Operator):
    """Throw this take away; the others stay"""

    bl_idname = "freetalk.take_delete"
    bl_label = "Delete Take"

    def act(self, copy: bpy.types.Object, take: bpy.types.Action) -> None:
        takes.delete(copy, take)
        bake.prune(copy)


class FREETALK_OT_lines_delete(_Pruning, bpy.types.Operator):
    """Take the lines out of this take whose sound strips were deleted; the face rests there"""

    bl_idname = "freetalk.lines_delete"
    bl_label = "Delete Lines"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        copy = chosen.talking(context)
        takes.own(copy)
        take = takes.current(copy)
        lost = heard.lost(take) if take is not None else []
        if not lost:
            return {"CANCELLED"}
        takes.silence(copy, take, lost)
        bake.prune(copy)
        return {"FINISHED"}


class FREETALK_OT_remove(bpy.types.Operator):
    """Delete the talking copy, its takes and landmarks, and show the original again; with the last face, everything \
that FreeTalk wrote into this file goes"""

    bl_idname = "freetalk.remove"
    bl_label = "Remove"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = why_none(context)
        return chosen.explained(cls, "" if reason == NONE and is_left_hidden(context) else reason)

    def execute(self, context: bpy.types.Context) -> set[str]:
        cleanup.remove(context, chosen.face(context))
        return {"FINISHED"}


CLASSES = (
    FREETALK_OT_take_new,
    FREETALK_OT_take_choose,
    FREETALK_OT_take_delete,
    FREETALK_OT_lines_delete,
    FREETALK_OT_remove,
)
