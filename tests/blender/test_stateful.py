"""Whatever is clicked in whatever order: nothing raises, and nothing of the person's own is lost.

100 random sequences of the panel's operators, drawn by hypothesis: the same every time, so that a failure can be run
again. Undo is not among them: background mode has no undo stack to step through.
"""

from pathlib import Path

import bpy
import numpy as np
from conftest import light_scene
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from freetalk_blender.blender import bake, cleanup, compat, landmark_points, marks, meshes, takes
from freetalk_blender.blender.ui import chosen, live
from freetalk_blender.blender.ui.properties import SLIDERS, STYLE


class Panel(RuleBasedStateMachine):
    """A face with a shape key and an action of its own, a bystander that is selected, and somebody who clicks."""

    face: tuple
    sound: Path
    folder: Path

    @initialize(animated=st.booleans(), takes=st.integers(0, 2))
    def a_scene(self, animated: bool, takes: int) -> None:
        """Half of the sequences begin with a face that talks, some of them with further takes."""
        self.original = light_scene(self.face, self.sound)
        self.original.shape_key_add(name="Basis")
        smirk = self.original.shape_key_add(name="Smirk")
        smirk.value = 0.5
        self.key = self.original.data.shape_keys
        compat.new_action(self.key, "mine")
        compat.fcurves(self.key).new('key_blocks["Smirk"].value').keyframe_points.insert(5, 0.75)
        self.shape = meshes.vertices(self.original.data)
        bystander = bpy.data.objects.new("bystander", None)
        bpy.context.scene.collection.objects.link(bystander)
        bystander.select_set(True)
        self.bystander = bystander
        for _ in range(animated * (1 + takes)):
            self.call("animate")
            self.call("take_new")

    def call(self, name: str, **options: object) -> None:
        """Press a button; greyed out ones cannot be pressed, and errors are one sentence."""
        operator = getattr(bpy.ops.freetalk, name)
        if not operator.poll():
            return
        try:
            operator(**options)
        except RuntimeError as error:
            text = str(error)
            assert "Traceback" not in text and text.startswith("Error: ") and text.strip().endswith("."), text

    @rule(name=st.sampled_from(SLIDERS), value=st.sampled_from((0.0, 0.6, 1.5)))
    def moves_an_emotion(self, name: str, value: float) -> None:
        setattr(bpy.context.scene.freetalk, name, value)
        live.watch(bpy.context)

    @rule(name=st.sampled_from(STYLE), value=st.sampled_from((0.0, 1.0, 2.0)))
    def moves_a_style(self, name: str, value: float) -> None:
        setattr(bpy.context.scene.freetalk, name, value)
        live.watch(bpy.context)

    @rule(preset=st.sampled_from(("NEUTRAL", "HAPPY", "SHOCKED")))
    def takes_a_preset(self, preset: str) -> None:
        self.call("preset", preset=preset)

    @rule(mode=st.sampled_from(("SLIDERS", "VAD")), valence=st.sampled_from((-1.0, 0.0, 1.0)))
    def turns_to_vad(self, mode: str, valence: float) -> None:
        bpy.context.scene.freetalk.emotion_mode, bpy.context.scene.freetalk.valence = mode, valence

    @rule(frame=st.sampled_from((1, 30)))
    def keys_a_slider(self, frame: int) -> None:
        bpy.context.scene.freetalk.keyframe_insert("happy", frame=frame)

    @rule(file=st.sampled_from(("short", "none", "noise")))
    def chooses_a_sound(self, file: str) -> None:
        noise = self.folder / "noise.wav"
        noise.write_bytes(b"no sound")
        paths = {"short": str(self.sound), "none": "", "noise": str(noise)}
        bpy.context.scene.freetalk.sound_file = paths[file]

    @rule(face=st.sampled_from(("original", "copy", "bystander", "none")))
    def chooses_a_face(self, face: str) -> None:
        copies = marks.all_copies()
        faces = {"original": self.original, "copy": copies[0] if copies else None, "bystander": self.bystander}
        bpy.context.scene.freetalk.face = faces.get(face)

    @rule()
    def animates(self) -> None:
        self.call("animate")

    @rule()
    def bakes_again(self) -> None:
        self.call("rebake")

    @rule()
    def begins_a_take(self) -> None:
        self.call("take_new")

    @rule(name=st.sampled_from(("take_choose", "take_delete")), number=st.integers(1, 3))
    def handles_a_take(self, name: str, number: int) -> None:
        self.call(name, take=f"head take {number}")

    @rule()
    def edits_the_landmarks(self) -> None:
        self.call("landmarks_edit")

    @precondition(lambda self: landmark_points.editing() is not None)
    @rule(number=st.integers(0, 67), offset=st.sampled_from((-2.0, 2.0)))
    def drags_a_point(self, number: int, offset: float) -> None:
        landmark_points.points()[number].location.x += offset
        bpy.context.view_layer.update()

    @rule(end=st.sampled_from(("landmarks_done", "landmarks_cancel", "landmarks_reset")))
    def ends_the_editing(self, end: str) -> None:
        self.call(end)

    @rule(frame=st.integers(1, 60))
    def goes_to_a_frame(self, frame: int) -> None:
        bpy.context.scene.frame_set(frame)

    @rule()
    def saves_and_opens(self) -> None:
        path = str(self.folder / "saved.blend")
        bpy.ops.wm.save_as_mainfile(filepath=path)
        bpy.ops.wm.open_mainfile(filepath=path)
        self.original, self.bystander = bpy.data.objects["head"], bpy.data.objects["bystander"]
        self.key = self.original.data.shape_keys

    @rule()
    def removes(self) -> None:
        self.call("remove")
        if chosen.face(bpy.context) == self.original and not marks.all_copies():
            bpy.context.scene.freetalk.face = self.original

    @invariant()
    def nothing_of_the_persons_is_lost(self) -> None:
        if not hasattr(self, "original"):
            return
        assert [block.name for block in self.key.key_blocks] == ["Basis", "Smirk"]
        assert np.array_equal(meshes.vertices(self.original.data), self.shape)
        assert self.key.animation_data.action.name == "mine" and len(compat.fcurves(self.key)) == 1
        assert compat.fcurves(self.key)[0].evaluate(5) == 0.75
        if landmark_points.editing() is None:
            assert self.bystander.select_get(), "what was selected is selected"
        for copy in marks.all_copies():
            assert "Smirk" in copy.data.shape_keys.key_blocks and marks.original_of(copy) == self.original
            if takes.current(copy) is not None:
                driven = {curve.data_path for curve in compat.fcurves(copy.data.shape_keys)}
                names = ["Smirk", *(block.name for block in bake.own_blocks(copy))]
                assert driven == {f'key_blocks["{name}"].value' for name in names}

    def teardown(self) -> None:
        """In the end Remove takes everything back."""
        if not hasattr(self, "original"):
            return
        self.call("landmarks_cancel")
        bpy.context.scene.freetalk.face = self.original
        if marks.all_copies():
            assert bpy.ops.freetalk.remove() == {"FINISHED"}
            assert list(cleanup.found()) == []
            assert not self.original.hide_get()
        live.forget()


def test_a_hundred_random_sequences_never_raise_and_lose_nothing(
    addon: None, bare_face: tuple, short_clip: Path, tmp_path: Path
) -> None:
    Panel.face, Panel.sound, Panel.folder = bare_face, short_clip, tmp_path
    run_state_machine_as_test(
        Panel,
        settings=settings(
            max_examples=100,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
