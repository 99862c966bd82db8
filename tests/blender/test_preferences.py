"""Preferences, memory, the doctor, and an add-on that leaves nothing behind."""

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

import freetalk_blender
from freetalk_blender.blender import landmark_points, marks, session
from freetalk_blender.blender.ui import preferences, request
from freetalk_blender.core import models
from freetalk_blender.core.face import no_step
from freetalk_blender.core.voice import performance

ROOT = Path(__file__).resolve().parents[2]


def test_the_doctor_names_blender_and_every_network(addon: None, capsys: pytest.CaptureFixture) -> None:
    assert bpy.ops.freetalk.doctor(copy=False) == {"FINISHED"}
    told = capsys.readouterr().out
    assert bpy.app.version_string in told and "stm" in told and "CPUExecutionProvider" in told


def test_clear_forgets_faces_and_speech(talker: bpy.types.Object) -> None:
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert session.used() > 1e6 and performance.cache_size() > 0
    assert bpy.ops.freetalk.rebake.poll()
    assert bpy.ops.freetalk.clear_cache() == {"FINISHED"}
    assert session.used() == 0 and not bpy.ops.freetalk.rebake.poll()
    assert bpy.ops.freetalk.animate() == {"FINISHED"}, "it works them out again"


def test_the_engine_does_what_the_preferences_say(addon: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = preferences.Defaults(threads=1, models=str(tmp_path), cache=3, logging="STEPS")
    monkeypatch.setattr(preferences, "get", lambda: wanted)
    preferences.apply()
    try:
        assert models.folder() == tmp_path and logging.getLogger("freetalk").level == logging.INFO
        with pytest.raises(models.ModelError, match="is missing from"):
            models.session("stm", "cpu")
    finally:
        monkeypatch.undo()
        preferences.apply()
    assert models.folder() != tmp_path


def test_faces_used_longest_ago_give_way_to_others(addon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def bound(size: int) -> Any:
        return SimpleNamespace(nbytes=size)

    def remembered() -> str:
        return "".join(key for key in "abcd" if session.face(key))

    monkeypatch.setattr(preferences, "get", lambda: preferences.Defaults(cache=1))
    preferences.apply()
    session.clear()
    try:
        for key in "ab":
            session.keep(key, bound(400_000))
        assert session.face("a") is not None
        session.limit(500_000)
        assert remembered() == "a", "what is more is forgotten at once"
        preferences.apply()
        session.keep("c", bound(400_000))
        assert remembered() == "ac"
        session.keep("d", bound(2_000_000))
        assert remembered() == "d", "the one at work, whatever its size"
    finally:
        session.clear()
        monkeypatch.undo()
        preferences.apply()


def test_a_face_bound_by_other_networks_is_bound_anew(
    talker: bpy.types.Object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(request, "prepare", lambda *_, **__: SimpleNamespace(nbytes=0))
    scan = request.read_scan(bpy.context, talker)
    assert scan.landmarks is not None
    first, again = (scan.bind(scan.landmarks, no_step) for _ in range(2))
    monkeypatch.setenv("FREETALK_MODELS", str(tmp_path))
    others = scan.bind(scan.landmarks, no_step)
    session.clear()
    assert again[1] is first[1] and others[0] == first[0] and others[1] is not first[1]


def test_disabling_ends_what_is_going_on(talker: bpy.types.Object) -> None:
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert bpy.ops.freetalk.landmarks_edit() == {"FINISHED"}
    freetalk_blender.unregister()
    assert session.used() == 0 and not logging.getLogger("freetalk").handlers
    freetalk_blender.register()
    assert landmark_points.editing() == talker and len(marks.all_copies()) == 1, "the file's own data stays"
    assert bpy.ops.freetalk.landmarks_done() == {"FINISHED"}


@pytest.mark.parametrize("then", ["pass", "bpy.ops.wm.read_homefile(use_factory_startup=True)"])
def test_python_may_end_without_disabling(then: str) -> None:
    """Handlers left behind hang 4.5 for ever and crash 4.2; so does a timer that another file made Blender forget."""
    code = f"import bpy, freetalk_blender; freetalk_blender.register(); {then}; print('LAST')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0 and "LAST" in done.stdout, done.stderr
