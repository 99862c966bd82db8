"""The Face step: landmarks found, dragged, reset."""

from dataclasses import dataclass
from functools import partial

import bpy
import numpy as np

from ...core.checkup import Finding, check_up
from ...core.errors import FreeTalkError
from ...core.face import Step
from ...core.landmarks import Landmarks, doubt
from .. import landmark_points, meshes, placed
from ..steps import Steps
from . import animate, chosen, preferences, request
from .job import Job, JobOperator, survivor
from .request import FaceInput


def why_not(context: bpy.types.Context) -> str:
    """Why the landmarks cannot be worked on; empty where they can."""
    return animate.landmarks_busy() or chosen.why_no_face(context)


def why_no_edit(context: bpy.types.Context) -> str:
    """Why points cannot be dragged yet."""
    reason = why_not(context)
    if reason:
        return reason
    original = chosen.face_or_error(context)
    if placed.points(original) is None and not context.scene.freetalk.landmarks:
        return "Detect the landmarks first"
    return "" if original.name in context.view_layer.objects else f"{original.name} is not in this view layer"


@dataclass(frozen=True)
class Seen:
    """What Detect answers: landmarks in the object's own axes, and the check-up."""

    landmarks: Landmarks
    findings: tuple[Finding, ...]


def look(scan: FaceInput, uvs: np.ndarray | None, step: Step) -> Seen:
    """Find the landmarks and look the mesh over, uvs as `check_up` takes them; LandmarkError where there is no face."""
    found = scan.find(step)
    report = check_up(scan.vertices, scan.triangles, scan.shaped(found), uvs=uvs, device=scan.device, step=step)
    return Seen(found, report.findings)


class FREETALK_OT_detect(JobOperator, bpy.types.Operator):
    """Find the 68 landmarks of the face, and look the mesh over"""

    bl_idname = "freetalk.detect"
    bl_label = "Detect"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen.explained(cls, why_not(context))

    def begin(self, context: bpy.types.Context) -> Job:
        preferences.apply()
        original = chosen.face_or_error(context)
        self._face = original.session_uid
        self._scan = request.read_scan(context, original, known=False)
        times = {"find the face": animate.expected(self._scan, 0)["find the face"]}
        times |= {"look at the surface": 0.1, "look at the face": 0.5}
        return Job("Detect", partial(look, self._scan, meshes.triangle_uvs(original.data)), times)

    def finish(self, context: bpy.types.Context, result: Seen) -> Steps[None]:
        original = survivor(bpy.data.objects, self._face)
        request.check_unchanged(self._scan, original)
        yield
        placed.keep(original, result.landmarks)
        placed.keep_findings(original, result.findings)
        context.scene.freetalk.landmarks = ""
        self.report({"INFO"}, " ".join(("68 landmarks found.", *doubt(result.landmarks))))


class FREETALK_OT_landmarks_edit(bpy.types.Operator):
    """Drag the landmarks on the surface: select points and press G"""

    bl_idname = "freetalk.landmarks_edit"
    bl_label = "Edit Points"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen.explained(cls, why_no_edit(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        original = chosen.face(context)
        try:
            if context.scene.freetalk.landmarks:
                scan = request.read_scan(context, original)
                assert scan.landmarks is not None
                placed.keep(original, scan.landmarks)
            elif not placed.fit(original):
                raise placed.outdated(original)
        except FreeTalkError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        landmark_points.begin(context, original)
        return {"FINISHED"}


class _WhileEditing:
    """An operator for points that are being dragged; `act` does it."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if landmark_points.editing() is None:
            return chosen.explained(cls, "Press Edit Points first")
        return chosen.explained(cls, "" if context.mode == "OBJECT" else chosen.OBJECT_MODE)

    def act(self, context: bpy.types.Context) -> None:
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        self.act(context)
        return {"FINISHED"}


class FREETALK_OT_landmarks_done(_WhileEditing, bpy.types.Operator):
    """Keep the landmarks where the points are now"""

    bl_idname = "freetalk.landmarks_done"
    bl_label = "Done"

    def act(self, context: bpy.types.Context) -> None:
        landmark_points.keep(context)
        context.scene.freetalk.landmarks = ""


class FREETALK_OT_landmarks_cancel(_WhileEditing, bpy.types.Operator):
    """Leave the landmarks as they were"""

    bl_idname = "freetalk.landmarks_cancel"
    bl_label = "Cancel"

    def act(self, context: bpy.types.Context) -> None:
        landmark_points.end(context)


class FREETALK_OT_landmarks_reset(_WhileEditing, bpy.types.Operator):
    """Put the selected points, or all where none is selected, back to where they began"""

    bl_idname = "freetalk.landmarks_reset"
    bl_label = "Reset"

    def act(self, context: bpy.types.Context) -> None:
        landmark_points.reset(context)


CLASSES = (
    FREETALK_OT_detect,
    FREETALK_OT_landmarks_edit,
    FREETALK_OT_landmarks_done,
    FREETALK_OT_landmarks_cancel,
    FREETALK_OT_landmarks_reset,
)
