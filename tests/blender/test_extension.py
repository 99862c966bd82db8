"""The extension's zip for this machine, as `build.py build` makes it: what it holds, and that Blender takes it."""

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tools import extension

ROOT = Path(__file__).resolve().parents[2]


def offline() -> list[str]:
    """The words before a command that cut it off from every network; none where this system cannot."""
    words = ["unshare", "--net", "--map-root-user"]
    can = shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0
    return words if can else []


def test_the_manifest_follows_blenders_rules() -> None:
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    assert manifest["schema_version"] == "1.0.0" and manifest["id"] == "freetalk" and manifest["name"] == "FreeTalk"
    assert manifest["license"] == ["SPDX:GPL-3.0-or-later"] and manifest["blender_version_min"] == "4.2.0"
    assert len(manifest["tagline"]) <= 64 and not manifest["tagline"].endswith(".")
    assert all(0 < len(reason) <= 64 and reason[-1].isalnum() for reason in manifest["permissions"].values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert manifest["version"] == project["project"]["version"]


@pytest.fixture(scope="module")
def package() -> Path:
    """The zip for this machine, built anew; its wheels stay in build/wheels between runs."""
    python = Path(sys.executable)
    return extension.build(python, extension.here(python))


def test_the_zip_is_small_enough_and_holds_networks_and_licences(package: Path) -> None:
    assert package.stat().st_size < 100e6
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
    assert {"__init__.py", "blender_manifest.toml", "LICENSE", "NOTICE", "cli.py", "core/face.py"} <= set(names)
    assert {
        f"onnx_models/{name}"
        for name in ("speech_encoder.onnx", "speech_encoder.data", "ats.onnx", "tongue.onnx", "stm.onnx")
    } <= {*names}
    assert not [name for name in names if "__pycache__" in name or name.startswith("wheels/numpy")]


def test_a_bare_blender_without_a_network_installs_the_zip_and_loads_every_model(package: Path, tmp_path: Path) -> None:
    site = extension.bare_blender(Path(sys.executable), tmp_path / "bare")
    words = ["-S", ROOT / "tools" / "in_blender.py", site, tmp_path / "user", package, "doctor", "--json"]
    done = subprocess.run([*offline(), sys.executable, *map(str, words)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, "Blender disables the add-on at its end"
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["models"].startswith(str(tmp_path / "user")), "its own networks, not the checkout's"
    assert all("runs on CPUExecutionProvider" in network for network in answer["networks"].values())
    assert answer["freetalk"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
