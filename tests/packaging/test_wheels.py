"""What the zips of all platforms bundle, and that it loads under each Python and numpy that a Blender brings."""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tools import extension, steps

TARGETS = list(extension.targets("all", "all", "cpu"))
CUDA = list(extension.targets("all", "all", "cuda"))
#: Python and what its Blender brings of what the bundled wheels need: Blender 4.2, 4.5 and 5.0, 5.1 and later.
BLENDERS = (
    ("3.11", ["numpy==1.24.3"]),
    ("3.11", ["numpy==1.26.4"]),
    ("3.13", ["numpy==2.4.6", "typing_extensions==4.14.1"]),
)
HERE = Path(sys.executable)


def names(pins: list[str]) -> set[str]:
    return {pin.split("==")[0] for pin in pins}


def test_every_platform_has_a_zip_for_each_python_of_its_blenders() -> None:
    assert {target.platform for target in TARGETS} == {"linux-x64", "windows-x64", "macos-arm64", "macos-x64"}
    assert {target.python for target in TARGETS if target.platform == "linux-x64"} == {"3.11", "3.13", "3.14"}
    assert {target.platform for target in CUDA} == {"linux-x64", "windows-x64"}
    assert len({target.tag for target in [*TARGETS, *CUDA]}) == len(TARGETS) + len(CUDA)


@pytest.mark.parametrize("target", [*TARGETS, *CUDA], ids=lambda target: target.tag)
def test_a_zip_bundles_pinned_packages_and_nothing_that_blender_has(target: extension.Target) -> None:
    pins = extension.bundled(HERE, target)
    assert all(pin.count("==") == 1 for pin in pins)
    assert {"scipy", "soundfile", "soxr", "robust_laplacian", "cholespy", "fast_simplification"} <= names(pins)
    blenders = {"numpy", "requests", "urllib3", "certifi", "idna", "charset_normalizer", "zstandard", "attrs", "cattrs"}
    assert not names(pins) & (blenders | ({"typing_extensions"} if target.python != "3.11" else set()))
    runtime = {"onnxruntime", "onnxruntime-gpu"} & names(pins)
    assert runtime == {"onnxruntime-gpu" if target.edition == "cuda" else "onnxruntime"}


def test_an_intel_mac_gets_the_last_onnxruntime_made_for_it() -> None:
    pins = {target.tag: extension.bundled(HERE, target) for target in TARGETS}
    assert "onnxruntime==1.23.2" in pins["macos-x64-py311"]
    assert all("onnxruntime==1.31.1" in pins[tag] for tag in set(pins) - {"macos-x64-py311", "windows-x64-py311"})


def test_what_a_blender_for_windows_loads_suits_the_cpp_runtime_that_it_brings() -> None:
    """Blender 4.2 to 5.0 bring msvcp140.dll 14.29, and a process has one. What is built by Visual Studio 17.10 or later
    locks mutexes that it never initialised (imports `_Mtx_lock` without `_Mtx_init_in_situ`), which that runtime takes
    for a null pointer: Blender ends, or the add-on cannot be enabled. onnxruntime does so from 1.21 on and
    robust_laplacian from 1.1 on; before another version is pinned here, look at the imports of its wheel."""
    pins = extension.bundled(HERE, extension.Target("windows-x64", "3.11"))
    assert {"onnxruntime==1.20.1", "robust_laplacian==1.0.0"} <= set(pins)
    assert [target.python for target in CUDA if target.platform == "windows-x64"] == ["3.13"]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.tag)
def test_every_package_has_one_version_on_each_platform(target: extension.Target) -> None:
    pins = extension.bundled(HERE, target)
    assert len(names(pins)) == len(pins)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.tag)
def test_each_manifest_names_its_platform_its_blenders_and_its_wheels(target: extension.Target) -> None:
    read = tomllib.loads(extension.manifest(target, [Path("a-1-py3-none-any.whl")]))
    assert read["platforms"] == [target.platform] and read["wheels"] == ["./wheels/a-1-py3-none-any.whl"]
    ranges = {"3.11": ("4.2.0", "5.1.0"), "3.13": ("5.1.0", None), "3.14": ("5.1.0", None)}
    assert (read["blender_version_min"], read.get("blender_version_max")) == ranges[target.python]
    assert "files" in read["permissions"]


def test_asking_for_a_zip_that_cannot_be_gets_a_sentence() -> None:
    with pytest.raises(steps.BuildError, match="no cpu zip for macos-x64"):
        list(extension.targets("macos-x64", "3.13", "cpu"))
    with pytest.raises(steps.BuildError, match="no cuda zip for macos-arm64"):
        list(extension.targets("macos-arm64", "all", "cuda"))
    with pytest.raises(steps.BuildError, match=r"no cuda zip for windows-x64 with Python 3\.11"):
        list(extension.targets("windows-x64", "3.11", "cuda"))


def interpreter(version: str) -> list[str]:
    """The command of a Python of this version; skips where there is none."""
    import build as script

    if extension.host_python(HERE) == version:
        return [str(HERE)]
    found = [python for python in script.find_pythons() if ".".join(map(str, python.version)) == version]
    if not found:
        pytest.skip(f"there is no Python {version} here")
    return list(found[0].command)


def unpack(wheels: list[Path], folder: Path) -> list[str]:
    """Lay out wheels as an installer would; the modules they bring, as written in their records."""
    modules: set[str] = set()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
            entries = [name.split("/") for name in archive.namelist()]
        tops = {e[0] for e in entries if len(e) > 1 and e[-1] == "__init__.py" and len(e) == 2}
        tops |= {e[0].split(".")[0] for e in entries if len(e) == 1 and e[0].endswith((".py", ".so", ".pyd"))}
        assert tops, wheel.name
        modules |= tops
    return sorted(modules)


_LOAD = """
import importlib, json, sys
folders, modules, project = json.loads(sys.argv[1])
sys.path[:0] = [*folders, project]
for module in modules:
    importlib.import_module(module)
import numpy, scipy.signal, scipy.sparse.linalg, scipy.spatial
from freetalk_blender.core import models
networks = ("speech_encoder", "ats", "tongue", "face_search", "landmarks", "stm")
print(json.dumps({"numpy": numpy.__version__, "on": [models.device_report(name).provider for name in networks]}))
"""


@pytest.mark.parametrize(("version", "brought"), BLENDERS, ids=["4.2", "4.5", "5.2"])
def test_every_bundled_wheel_imports_with_what_each_blender_brings(
    version: str, brought: list[str], tmp_path: Path
) -> None:
    command = interpreter(version)
    wheels = extension.download_wheels(HERE, extension.Target(extension.host_platform(), version))
    modules = unpack(wheels, tmp_path / "wheels")
    assert {"scipy", "onnxruntime", "soundfile", "soxr", "robust_laplacian", "cholespy"} <= set(modules)
    options = ["--only-binary", ":all:", "--python-version", version]
    cache = steps.BUILD / "wheels" / f"{brought[0]}-py{version}"
    if len(list(cache.glob("*.whl"))) != len(brought):
        steps.pip_download(HERE, cache, brought, options)
    unpack(list(cache.glob("*.whl")), tmp_path / "blender")
    given = json.dumps([[str(tmp_path / "blender"), str(tmp_path / "wheels")], modules, str(steps.ROOT)])
    done = subprocess.run([*command, "-I", "-S", "-c", _LOAD, given], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer == {"numpy": brought[0].split("==")[1], "on": ["CPUExecutionProvider"] * 6}


def test_every_bundled_wheel_holds_its_licence() -> None:
    wheels = extension.download_wheels(HERE, extension.here(HERE))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            texts = [name for name in archive.namelist() if Path(name).name.upper().startswith(("LICEN", "COPYING"))]
        assert texts, wheel.name
