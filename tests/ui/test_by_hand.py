"""What the first clip does without: sliders, landmarks, takes, other formats, the add-on switched off and on."""

from in_blender import folder

from tools import first_clip
from tools.blender_ui import Ui
from tools.first_clip import PICTURES

_COPY = "marks.all_copies()[0]"
_PREVIEW = f"'FreeTalk preview' in {_COPY}.data.shape_keys.key_blocks"
_PLACES = (
    "[list(round(x, 3) for x in bpy.data.objects[f'FreeTalk {n:02d}'].matrix_world.translation) for n in range(68)]"
)


def begin(ui: Ui, talks: bool = True) -> None:
    """A fresh scene, seen from the front; the face talks."""
    ui.value(f"fresh({folder(ui)!r})")
    if talks:
        assert ui.value("press('animate')") == ""
    ui.ask(
        "bpy.data.objects['bystander'].select_set(False); bpy.context.window.view_layer.objects.active.select_set(True)"
    )
    first_clip.look_at_face(ui)


def write(ui: Ui, slider: str, value: str, across: float) -> None:
    """Double-click a slider and type a number."""
    ui.find(slider, across)
    ui.screen.run("xdotool", "click", "--repeat", 2, "--delay", 60, 1)
    ui.settle()
    ui.screen.run("xdotool", "key", "ctrl+a")
    ui.screen.run("xdotool", "type", "--", value)
    ui.key("Return")
    ui.settle()


def test_a_slider_shows_what_it_does_at_once_and_bake_again_keeps_it(bench: Ui) -> None:
    begin(bench)
    write(bench, "freetalk.happy", "0.9", 0.3)
    assert abs(bench.value("bpy.context.scene.freetalk.happy") - 0.9) < 1e-3
    bench.wait(_PREVIEW)
    bench.value("bpy.context.scene.frame_set(30)")
    bench.picture(PICTURES / "preview.png")
    bench.press("freetalk.rebake(", 0.75)
    bench.wait(f"not ({_PREVIEW})")
    bench.press("freetalk.emotion_mode", 0.7)
    bench.wait("bpy.context.scene.freetalk.emotion_mode == 'VAD'")
    write(bench, "freetalk.valence", "-0.8", 0.6)
    bench.wait(_PREVIEW)
    bench.picture(PICTURES / "vad.png")


def test_lips_are_closed_at_a_frame_by_a_button(bench: Ui) -> None:
    begin(bench)
    bench.value("bpy.context.scene.frame_set(30)")
    bench.press("freetalk.lips(", 0.3)
    bench.wait("bpy.context.scene.freetalk.contact == 1")
    bench.wait(_PREVIEW)
    bench.picture(PICTURES / "lips.png")
    bench.key("ctrl+z")
    bench.wait("bpy.context.scene.freetalk.contact == 0")


def test_a_landmark_is_dragged_on_the_surface_and_its_mirror_image_follows(bench: Ui) -> None:
    begin(bench, talks=False)
    bench.press("freetalk.landmarks_edit(", 0.75)
    bench.wait("'FreeTalk 48' in bpy.data.objects")
    bench.picture(PICTURES / "points.png")
    before = bench.value(_PLACES)
    bench.ask("bpy.data.objects['FreeTalk 48'].select_set(True)")
    first_clip.over_viewport(bench)
    bench.key("g")
    left, top, width, height = bench.box("VIEW_3D", "WINDOW")
    bench.move(left + width * 0.4 + 25, top + height * 0.45 - 15)
    bench.click()
    bench.wait("not list(bpy.context.window_manager.windows[0].modal_operators)")
    bench.picture(PICTURES / "dragged.png")
    after = bench.value(_PLACES)
    moved = [number for number in range(68) if before[number] != after[number]]
    assert moved == [48, 54], "the mouth corner, and its counterpart"
    bench.press("freetalk.landmarks_done(", 0.3)
    bench.wait("'FreeTalk 48' not in bpy.data.objects")
    assert bench.value("list(placed.points(bpy.data.objects['head'])[48])") != before[48]
    assert bench.value("placed.confidence(bpy.data.objects['head']) is None"), "a person placed them"


def test_two_takes_are_made_and_chosen_by_their_buttons(bench: Ui) -> None:
    begin(bench)
    bench.press("freetalk.take_new(", 0.3)
    bench.wait(f"len({_COPY}.data.shape_keys.animation_data.nla_tracks) == 2")
    bench.value("slide('sad', 0.8)")
    first_clip.animate(bench)
    bench.picture(PICTURES / "takes.png")
    playing = f"{_COPY}.data.shape_keys.animation_data.action.name"
    assert bench.value(playing) == "head take 2"
    bench.press("head take 1", 0.4)
    bench.wait(f"{playing} == 'head take 1'")


def test_fbx_is_written_from_its_button_and_what_cannot_be_is_told(bench: Ui) -> None:
    begin(bench)
    bench.press("freetalk.export(format='.fbx'", 0.5)
    bench.wait("box('FILE_BROWSER', 'EXECUTE') is not None")
    bench.press("file.execute()", 0.9, "FILE_BROWSER", "EXECUTE")
    bench.wait("box('FILE_BROWSER', 'WINDOW') is None")
    written = bench.screen.home / "head.fbx"
    assert written.stat().st_size > 100_000
    written.unlink()
    usd = bench.value("'usd_export' in dir(bpy.ops.wm)")
    said = bench.value(f"press('export', filepath={folder(bench) + '/head.usdc'!r})")
    assert said == "" if usd else "built without" in said and "Traceback" not in said, said


def test_the_add_on_is_switched_off_and_on_again_and_leaves_nothing_behind(bench: Ui) -> None:
    begin(bench)
    ours = """sum(getattr(function, "__module__", "").startswith(package)
        for name in dir(bpy.app.handlers) if isinstance(getattr(bpy.app.handlers, name), list)
        for function in getattr(bpy.app.handlers, name))"""
    count = bench.value(ours)
    assert count > 0
    bench.ask("import addon_utils; addon_utils.disable(package)")
    assert bench.value(ours) == 0 and not bench.value("hasattr(bpy.types.Scene, 'freetalk')")
    assert bench.value("[name for name in dir(bpy.types) if 'FREETALK' in name]") == []
    bench.value("bpy.context.scene.frame_set(30)")
    bench.picture(PICTURES / "without.png")
    bench.ask("addon_utils.enable(package)")
    assert bench.value(ours) == count
    assert bench.value("press('take_new')") == "" and bench.value("press('animate')") == ""
    assert bench.value("press('remove')") == ""
    left = 'list(importlib.import_module(f"{package}.blender.cleanup").found())'
    found = bench.value(left)
    assert found == [], found
