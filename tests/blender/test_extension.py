"""The extension's zip, as `build.py build` makes it: what it says, what it holds, and that Blender takes it."""

import importlib.util
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_script", ROOT / "build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_script"] = module
    spec.loader.exec_module(module)
    return module


def test_the_manifest_follows_blenders_rules() -> None:
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    assert manifest["schema_version"] == "1.0.0" and manifest["id"] == "freetalk" and manifest["name"] == "FreeTalk"
    assert manifest["license"] == ["SPDX:GPL-3.0-or-later"] and manifest["blender_version_min"] == "4.2.0"
    assert len(manifest["tagline"]) <= 64 and not manifest["tagline"].endswith(".")
    assert all(0 < len(reason) <= 64 and reason[-1].isalnum() for reason in manifest["permissions"].values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert manifest["version"] == project["project"]["version"]


def test_each_zip_names_its_platform_its_blenders_and_its_wheels(build: ModuleType) -> None:
    wheels = [Path("a-1-cp311-cp311-win_amd64.whl")]
    old = tomllib.loads(build.manifest("windows-x64", "3.11", wheels))
    assert (old["blender_version_min"], old["blender_version_max"]) == ("4.2.0", "5.1.0")
    assert old["platforms"] == ["windows-x64"] and old["wheels"] == ["./wheels/a-1-cp311-cp311-win_amd64.whl"]
    assert "files" in old["permissions"]
    new = tomllib.loads(build.manifest("linux-x64", "3.13", wheels))
    assert new["blender_version_min"] == "5.1.0" and "blender_version_max" not in new


def test_every_bundled_package_is_pinned_and_numpy_is_not_bundled(build: ModuleType) -> None:
    pins = build.requirements("runtime")
    assert all("==" in pin for pin in pins)
    bundled = {pin.split("==")[0] for pin in pins} - build.IN_BLENDER
    assert {"scipy", "onnxruntime", "soundfile", "soxr", "robust_laplacian", "cholespy"} <= bundled
    assert "numpy" not in bundled


@pytest.fixture(scope="module")
def package(build: ModuleType) -> Path:
    """The zip for this machine, built anew; its wheels stay in build/wheels between runs."""
    return build.build(Path(sys.executable), build.host_platform(), build.host_python(Path(sys.executable)))


def test_the_zip_is_small_enough_and_holds_networks_and_licences(package: Path) -> None:
    assert package.stat().st_size < 100e6
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
    assert {"__init__.py", "blender_manifest.toml", "LICENSE", "NOTICE", "cli.py", "core/face.py"} <= set(names)
    assert {
        f"onnx_models/{name}" for name in ("speech_encoder.onnx", "speech_encoder.data", "ats.onnx", "stm.onnx")
    } <= {*names}
    assert not [name for name in names if "__pycache__" in name or name.startswith("wheels/numpy")]


def test_a_bare_blender_installs_the_zip_and_loads_every_network(
    build: ModuleType, package: Path, tmp_path: Path
) -> None:
    site = build.bare_blender(Path(sys.executable), tmp_path / "bare")
    words = ["-S", ROOT / "tools" / "in_blender.py", site, tmp_path / "user", package, "doctor", "--json"]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["models"].startswith(str(tmp_path / "user")), "its own networks, not the checkout's"
    assert all("runs on CPUExecutionProvider" in network for network in answer["networks"].values())
    assert answer["freetalk"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
