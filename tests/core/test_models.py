"""Networks say what they run on, and a missing or damaged file is told in a sentence."""

import os
import shutil
import subprocess
import sys

import pytest

from freetalk_blender.core import models
from freetalk_blender.core.errors import ModelError
from freetalk_blender.core.face import prepare
from freetalk_blender.core.voice import performance


@pytest.fixture
def model_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FREETALK_MODELS", str(tmp_path))
    models.forget()
    yield tmp_path
    models.forget()


def test_a_missing_network_is_told_in_a_sentence(model_folder):
    with pytest.raises(ModelError, match=r"stm\.onnx is missing"):
        models.session("stm")


def test_a_damaged_network_is_told_in_a_sentence(model_folder):
    (model_folder / "stm.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.session("stm", "cpu")


def test_who_lacks_what_git_does_not_hold_is_told_how_to_get_it(model_folder):
    shutil.copy(models._PACKAGE.parent / "onnx_models" / "speech_encoder.onnx", model_folder)
    with pytest.raises(ModelError, match=r"speech_encoder\.data are missing, .*; run `python3 build\.py setup`"):
        models.session("speech_encoder", "cpu")


def test_every_network_runs_on_what_was_asked_for(bare_face, spoken, monkeypatch):
    asked, session = set(), models.session

    def watched(name, device="auto"):
        asked.add((name, device))
        return session(name, "cpu")

    monkeypatch.setattr(models, "session", watched)
    prepare(*bare_face[:2], device="cuda")
    performance.perform(spoken[:16000], 16000, device="cuda")
    networks = {file.stem for file in models.folder().glob("*.onnx")}
    assert len(networks) == 7 and asked - {("stm", "cpu")} == {(name, "cuda") for name in networks}


@pytest.mark.skipif(sys.platform != "linux", reason="onnxruntime keeps them elsewhere")
def test_networks_keep_and_send_nothing_of_this_computer(tmp_path):
    """onnxruntime's telemetry makes a folder before it asks for the network."""
    left = ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    home = {name: value for name, value in os.environ.items() if name not in left} | {"HOME": str(tmp_path)}
    code = "from freetalk_blender.core import models; models.session('tongue', 'cpu')"
    subprocess.run([sys.executable, "-c", code], env=home, cwd=models._PACKAGE.parent, check=True)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_device_is_told_in_a_sentence():
    with pytest.raises(ModelError, match="Unknown device 'abacus'; choose one of auto, cuda"):
        models.session("stm", "abacus")


@pytest.mark.parametrize("device", models.DEVICES)
def test_whatever_is_asked_for_the_report_names_what_really_runs(device):
    session = models.session("stm", device)
    report = models.device_report("stm", device)
    assert report.provider == session.get_providers()[0]
    fell_back = device not in ("auto", "cpu") and report.provider == models.CPU
    assert ("is not available" in report.note) == fell_back


@pytest.mark.parametrize(("name", "largest"), [("ats", 4 * 2**20), ("tongue", 2**20)])
def test_a_network_says_what_it_is_and_is_small(name, largest):
    assert {"version", "unit", "licence", "training data"} <= set(models.metadata(name))
    assert models.path(name).stat().st_size < largest


def test_a_network_takes_the_threads_that_it_is_given(monkeypatch):
    monkeypatch.setattr(models, "_settings", models._settings)
    try:
        for threads in (1, 2):
            models.configure(threads)
            assert models.session("stm", "cpu").get_session_options().intra_op_num_threads == threads
    finally:
        models.forget()


@pytest.mark.parametrize(("configured", "said", "taken"), [(0, "3", 3), (2, "3", 2), (0, "many", 0), (0, "", 0)])
def test_where_nothing_is_configured_a_network_takes_the_threads_of_the_environment(
    configured, said, taken, monkeypatch
):
    monkeypatch.setattr(models, "_settings", models._Settings(configured))
    monkeypatch.setenv("FREETALK_THREADS", said)
    models.forget()
    try:
        assert models.session("stm", "cpu").get_session_options().intra_op_num_threads == taken
    finally:
        models.forget()


def test_threads_that_wait_leave_their_core_to_others():
    options = models.session("stm", "cpu").get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
