"""The sidebar is drawn, in every state, with words and icons that this Blender knows."""

import os
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
import soundfile
from baking import animate
from wheel import NEEDS_SOUND

from freetalk_blender.blender import marks, placed, session, sound
from freetalk_blender.blender.formats import files
from freetalk_blender.blender.ui import feeling, job, panel_face, panel_result, panel_speech, registration, waveform
from freetalk_blender.blender.ui.panel import FREETALK_PT_main
from freetalk_blender.core import landmarks

FUNCTIONS = bpy.types.UILayout.bl_rna.functions
ICONS = set(FUNCTIONS["label"].parameters["icon"].enum_items.keys())
PANELS = (FREETALK_PT_main, *panel_face.CLASSES, *panel_speech.CLASSES, *panel_result.CLASSES)


class Layout:
    """A layout that takes only what Blender's takes, and writes down what is drawn."""

    def __init__(self, drawn: list[str]):
        self.__dict__["drawn"] = drawn

    def __setattr__(self, name: str, value: object) -> None:
        assert name in bpy.types.UILayout.bl_rna.properties, name
        self.__dict__[name] = value

    def __getattr__(self, name: str):
        known = FUNCTIONS[name].parameters

        def draw(*given: object, **options: object):
            assert set(options) <= set(known.keys()), f"{name}({', '.join(options)})"
            assert options.get("icon", "NONE") in ICONS, options["icon"]
            words = name in ("label", "progress") and options.get("text")
            assert not words or options.get("translate") is False, f"{words} would be translated where Blender knows it"
            if name in ("prop", "prop_search"):
                item, prop = given[:2]
                self.drawn.append(options.get("text", item.bl_rna.properties[prop].name))
                return None
            if name in ("operator", "operator_menu_enum"):
                operator = bpy.ops
                for part in given[0].split("."):
                    operator = getattr(operator, part)
                self.drawn.append(options.get("text", operator.get_rna_type().name))
                return SimpleNamespace()
            self.drawn.append(str(options.get("text", "")))
            if name == "panel":
                return Layout(self.drawn), Layout(self.drawn)
            return Layout(self.drawn)

        return draw


def drawn() -> list[str]:
    """Every word in the sidebar, top down, all sub-panels open."""
    words: list[str] = []
    for panel in PANELS:
        this = SimpleNamespace(layout=Layout(words), bl_rna=panel.bl_rna)
        this.state = lambda context, panel=panel: panel.state(None, context)
        for name in vars(panel):
            if name.startswith("_") and callable(getattr(panel, name)) and not name.startswith("__"):
                setattr(this, name, getattr(panel, name).__get__(this))
        if hasattr(panel, "draw_header"):
            assert panel.state(None, bpy.context) in ICONS
        if hasattr(panel, "draw_header_preset"):
            panel.draw_header_preset(this, bpy.context)
        panel.draw(this, bpy.context)
    return [word for word in words if word]


def test_an_empty_scene_says_what_to_do(addon: None, empty: bpy.types.Scene) -> None:
    words = drawn()
    assert words.count("Choose the face") == 2 and words.count("Animate the face first") == 1
    assert "Select a face scan and press Animate" in " ".join(words)


def test_each_state_of_the_way_is_drawn(talker: bpy.types.Object) -> None:
    scene = bpy.context.scene
    assert "68 landmarks, by hand" in drawn()
    scene.freetalk.sound_file = ""
    assert drawn().count("Choose a sound file") == 1
    scene.freetalk.sound = "STRIP"
    assert drawn().count("The sequencer has no sound") == 2
    scene.freetalk.sound = "FILE"
    scene.freetalk.emotion_mode = "VAD"
    assert {"Valence", "Arousal", "Dominance"} <= set(drawn())
    assert bpy.ops.freetalk.landmarks_edit() == {"FINISHED"}
    assert "Done" in drawn() and "Finish editing the landmarks" in " ".join(drawn())
    assert bpy.ops.freetalk.landmarks_cancel() == {"FINISHED"}


def test_in_a_narrow_sidebar_sentences_are_broken_sooner_and_nothing_is_beside_a_header(
    talker: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "Animate finds the landmarks; Detect shows them before"
    placed.forget(talker)
    monkeypatch.setattr("freetalk_blender.blender.ui.panel._width", lambda: 222.0)
    words = drawn()
    assert said in " ".join(words) and max(len(word) for word in words if word in said) <= 25
    placed.keep(talker, landmarks.Landmarks(np.zeros((68, 3))))
    monkeypatch.setattr(session, "device", "CPU")
    beside = {"68 landmarks, by hand", "Ran on CPU"}
    assert not beside & set(drawn())
    monkeypatch.setattr("freetalk_blender.blender.ui.panel._width", lambda: 280.0)
    assert beside <= set(drawn())


def test_which_shape_keys_are_made_can_be_chosen(talker: bpy.types.Object) -> None:
    settings = bpy.context.scene.freetalk
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert "Bake Again applies your changes" not in drawn()
    settings.keys = "ARKIT"
    assert "Bake Again applies your changes" in drawn()
    settings.keys = "MOST"
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert "Bake Again applies your changes" not in drawn()
    settings.most = 5
    assert "Bake Again applies your changes" in drawn()


def test_changes_of_the_face_and_of_the_tolerance_ask_for_a_bake(
    talker: bpy.types.Object, head_landmarks: Path
) -> None:
    settings, asks = bpy.context.scene.freetalk, "Bake Again applies your changes"

    def told() -> str:
        found = " ".join(drawn())
        return asks + ": to a new talking copy" * (": to a new talking copy" in found) if asks in found else ""

    copy = animate(talker)
    for name, value in (("open_mouth", False), ("inner_mouth", "none"), ("eyeballs", True)):
        before = getattr(settings, name)
        setattr(settings, name, value)
        assert told() == f"{asks}: to a new talking copy", name
        setattr(settings, name, before)
        assert told() == "", name
    settings.tolerance = 1.0
    assert told() == asks
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and told() == "" and marks.copy_of(talker) == copy
    settings.landmarks = str(head_landmarks)
    assert told() == f"{asks}: to a new talking copy"
    settings.landmarks = ""
    points = placed.points(talker)
    placed.keep(talker, landmarks.Landmarks(points + 1))
    assert told() == f"{asks}: to a new talking copy"
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and told() == ""
    made = marks.copy_of(talker)
    settings.inner_mouth, settings.tolerance = "none", 0.1
    for name in (marks.MADE, marks.TOLERANCE):
        del made[name]
    assert told() == "", "an older version baked it"


@NEEDS_SOUND
def test_each_line_of_a_take_asks_for_a_bake_by_its_own_sliders_place_and_speed(
    talker: bpy.types.Object, short_clip: Path
) -> None:
    scene, asks = bpy.context.scene, "Bake Again applies your changes"
    told = "Other lines no longer fit their sound or the line before them:"
    strips = {name: sound.new_strip(scene, name, short_clip, frame) for name, frame in (("one", 1), ("two", 90))}
    scene.freetalk.sound, scene.freetalk.strip = "STRIP", "one"
    assert bpy.ops.freetalk.own_emotion() == {"FINISHED"}
    feeling.own_group(scene, strips["one"]).sad = 0.5

    def seen(name: str) -> str:
        scene.freetalk.strip = name
        return " ".join(drawn())

    def baked(name: str) -> None:
        scene.freetalk.strip = name
        assert bpy.ops.freetalk.animate() == {"FINISHED"}

    for name in strips:
        baked(name)
    assert not any(asks in seen(name) or told in seen(name) for name in strips), "nothing was touched"
    feeling.own_group(scene, strips["one"]).sad = 0.75
    assert asks in seen("one") and asks not in seen("two")
    baked("one")
    strips["one"].frame_start, strips["one"].name = 300, "first"
    assert f"{told} first; choose each and bake it again" in seen("two") and asks not in seen("two")
    assert asks in seen("first") and told not in seen("first")
    baked("first")
    scene.render.fps = 30
    assert asks in seen("first") and f"{told} two;" in seen("first")
    baked("first")
    assert asks not in seen("first") and f"{told} two;" in seen("first")
    assert asks in seen("two") and told not in seen("two")
    assert bpy.ops.freetalk.take_new() == {"FINISHED"}
    assert asks not in seen("two") and told not in seen("two"), "nothing is said in it yet"
    scene.freetalk.happy = 1.0
    assert asks in seen("two"), "no take has it so"


@NEEDS_SOUND
def test_a_files_strip_that_was_moved_is_named(talker: bpy.types.Object) -> None:
    animate(talker)
    assert "Moved or trimmed" not in " ".join(drawn())
    sound.find_strip(bpy.context.scene, "FreeTalk short.wav").frame_start += 9
    told = "Moved or trimmed away from the lips: FreeTalk short.wav; choose it under Speech (Strip) and press Animate"
    assert told in " ".join(drawn())


def test_a_result_and_a_running_job_are_drawn(talker: bpy.types.Object) -> None:
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert {"head take 1", "Live Preview", "Bake Again", "glTF"} <= set(drawn())
    assert bpy.ops.freetalk.landmarks_edit() == {"FINISHED"}
    assert drawn().count("Finish editing the landmarks first") == 3, "Animate, Bake Again and Export say why not"
    assert bpy.ops.freetalk.landmarks_cancel() == {"FINISHED"}
    job.current = job.Job("Animate", lambda step: None, {"find the face": 2.0})
    try:
        assert any(word.endswith("s left") for word in drawn())
        assert " ".join(drawn()).count("ESC stops it") == 1, "once is enough"
        assert "head take 1" in drawn()
    finally:
        job.current = None


def test_a_mesh_that_is_selected_beside_the_picked_face_is_told(talker: bpy.types.Object) -> None:
    bpy.ops.mesh.primitive_cube_add()
    assert "Cube is selected; the face is head" in " ".join(drawn())
    talker.select_set(True)
    bpy.context.view_layer.objects.active = talker
    assert "is selected" not in " ".join(drawn())


def test_a_sound_is_looked_at_again_where_its_file_is_another_one(addon: None, tmp_path: Path) -> None:
    def write(path: Path, seconds: int, written: int) -> None:
        soundfile.write(path, np.zeros(16000 * seconds), 16000)
        os.utime(path, (written, written))

    def looked() -> waveform._Looked:
        return waveform.look(bpy.context.scene)

    files.empty_scene()
    voice = tmp_path / "voice.wav"
    bpy.context.scene.freetalk.sound_file = str(voice)
    assert "does not exist" in looked().problem
    write(voice, 1, 1)
    assert looked().seconds == 1 and looked() is looked()
    write(voice, 3, 2)
    assert looked().seconds == 3
    for name, seconds in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "line.wav", seconds, 3)
        files.empty_scene()
        bpy.context.scene.freetalk.sound_file = "//line.wav"
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / name / "face.blend"))
    for name, seconds in (("a", 1), ("b", 2)):
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / name / "face.blend"))
        assert len(waveform._known) == 0 and looked().seconds == seconds


def test_sounds_are_looked_at_one_at_a_time_and_the_last_one_is_at_last(
    addon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = SimpleNamespace(background=False, timers=SimpleNamespace(is_registered=lambda function: True))
    monkeypatch.setattr(waveform, "bpy", SimpleNamespace(app=app, context=bpy.context))
    begun = list[str]()
    monkeypatch.setattr(waveform._Reading, "start", lambda reading: begun.append(reading.source.name))
    files.empty_scene()
    for name in ("a.wav", "b.wav", "c.wav"):
        bpy.context.scene.freetalk.sound_file = str(tmp_path / name)
        assert waveform.look(bpy.context.scene) == waveform._Looked()
    assert begun == ["a.wav"]
    waveform._collect()
    waveform.look(bpy.context.scene)
    assert begun == ["a.wav", "c.wav"]


def test_words_that_blender_means_otherwise_are_not_translated(addon: None) -> None:
    for cls in registration.CLASSES:
        kind = cls.bl_rna
        if issubclass(cls, bpy.types.Operator):
            kind = getattr(bpy.ops.freetalk, cls.bl_idname.partition(".")[2]).get_rna_type()
        if issubclass(cls, bpy.types.Panel | bpy.types.Operator):
            assert kind.translation_context == registration.CONTEXT, cls
        own = [
            prop for prop in kind.properties if prop.is_runtime and prop.identifier != "name"
        ]  # 5.3 gives all a name
        assert {prop.translation_context for prop in own} <= {registration.CONTEXT}, cls


def test_in_german_a_face_is_called_a_face(addon: None) -> None:
    translations, view = bpy.app.translations, bpy.context.preferences.view
    if "de_DE" not in view.bl_rna.properties["language"].enum_items:
        pytest.skip("the bpy wheel is in English alone")
    before = view.language, view.use_translate_interface
    view.language, view.use_translate_interface = "de_DE", True
    try:
        assert translations.pgettext_iface("Face") != "Face"
        assert translations.pgettext_iface("Face", registration.CONTEXT) == "Face"
    finally:
        view.language, view.use_translate_interface = before
