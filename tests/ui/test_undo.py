"""Whatever is clicked in whatever order, Ctrl Z leads back the same way, step by step, and redo forth again.

Background mode has no undo, so the random sequences of tests/blender/test_stateful.py run here once more, in a window.

FREETALK_UNDO_SEQUENCES says how many; as many are the same every time.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_blender import folder

from tools.blender_ui import Ui

SEQUENCES = int(os.environ.get("FREETALK_UNDO_SEQUENCES", "20"))
#: Leaves `walk(folder, steps)` in Blender.
_WALK = """
def preview():
    # the live preview catches up, as it does between a person's clicks
    live.watch(bpy.context)
    while live._thread is not None:
        time.sleep(0.005)
        live._look()

def walk(folder, steps):
    # takes the steps, back and forth; what is wrong on the way, else nothing
    fresh(folder)
    past, at = [everything()], 0
    for number, step in enumerate(steps):
        here, name = f"step {number} of {steps}: ", step[0]
        if name in ("undo", "redo"):
            to = at + (1 if name == "redo" else -1)
            if not 0 <= to < len(past):
                continue
            (redo if name == "redo" else undo)()
            at = to
        else:
            said = slide(*step[1:]) if name == "slide" else press(step[1], **step[2])
            if said and "Traceback" in said:
                return here + said
            if not said:
                past[at + 1 :] = [everything()]
                at += 1
        preview()
        if everything() != past[at]:
            return here + difference(past[at], everything())
    for back in reversed(range(at)):
        undo()
        preview()
        if everything() != past[back]:
            return f"back to {back} of {steps}: " + difference(past[back], everything())
    return ""

def difference(wanted, found):
    wanted, found = eval(wanted), eval(found)
    return "; ".join(f"{name}: {found.get(name)} instead of {wanted.get(name)}"
                     for name in sorted({*wanted, *found}) if wanted.get(name) != found.get(name))[:2000]
"""


@pytest.fixture(scope="module")
def walker(bench: Ui) -> Ui:
    bench.ask(_WALK)
    return bench


_PRESS = st.sampled_from(("animate", "rebake", "take_new", "landmarks_edit", "landmarks_done", "remove"))
_TAKE = st.tuples(st.sampled_from(("take_choose", "take_delete")), st.sampled_from(("head take 1", "head take 2")))
_STEP = st.one_of(
    _PRESS.map(lambda name: ["press", name, {}]),
    _TAKE.map(lambda pair: ["press", pair[0], {"take": pair[1]}]),
    st.sampled_from(("NEUTRAL", "HAPPY", "SHOCKED")).map(lambda name: ["press", "preset", {"preset": name}]),
    st.tuples(st.sampled_from(("sad", "jaw")), st.sampled_from((0.0, 0.6))).map(lambda pair: ["slide", *pair]),
    st.sampled_from((["undo"], ["redo"])),
    st.sampled_from((["undo"], ["redo"])),
)


@settings(
    max_examples=SEQUENCES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(talks=st.booleans(), steps=st.lists(_STEP, min_size=4, max_size=10))
def test_undo_and_redo_lead_the_same_way_in_random_sequences(walker: Ui, talks: bool, steps: list) -> None:
    """Half of the sequences begin with a face that talks; all go back to the beginning in the end."""
    wrong = walker.value(f"walk({folder(walker)!r}, {[['press', 'animate', {}]] * talks + steps!r})")
    assert wrong == "", wrong


def test_undo_of_bake_again_shows_the_preview_again_and_not_a_still_face(walker: Ui) -> None:
    preview = "'FreeTalk preview' in marks.all_copies()[0].data.shape_keys.key_blocks"
    walker.value(f"fresh({folder(walker)!r})")
    assert walker.value("press('animate')") == ""
    assert walker.value("bpy.data.objects['teeth'].hide_get()"), "they are a part of the talking copy"
    walker.value("slide('happy', 0.9)")
    walker.wait(preview)
    assert walker.value("press('rebake')") == "" and not walker.value(preview)
    walker.value("undo()")
    walker.wait(preview)
    seen = "[_points(marks.all_copies()[0].data.shape_keys.key_blocks['FreeTalk preview'].points, 'co')]"
    first, second = (walker.ask(f"bpy.context.scene.frame_set({frame})\nanswer = {seen}") for frame in (10, 30))
    assert first != second, "it moves"
    walker.value("undo()")
    walker.wait(f"not ({preview})")
