"""What is installed, and what the networks really run on: the first thing to look at when something does not work."""

import sys
import tomllib
from importlib import import_module, metadata
from pathlib import Path

from . import models
from .errors import FreeTalkError

NETWORKS = ("speech_encoder", "ats", "tongue", "stm", "face_search", "landmarks", "landmark_closeups")
_PACKAGES = (
    "numpy",
    "scipy",
    "onnxruntime",
    "soundfile",
    "soxr",
    "robust_laplacian",
    "cholespy",
    "fast_simplification",
    "bpy",
)


def examine(device: str = "auto") -> dict:
    """Versions, networks present, which of them failed to load, and the execution providers that really load."""
    networks = {name: _network(name, device) for name in NETWORKS}
    return {
        "freetalk": _own_version(),
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in _PACKAGES},
        "models": str(models.folder()),
        "networks": {name: told for name, (_, told) in networks.items()},
        "failed": [name for name, (runs, _) in networks.items() if not runs],
        "providers": {name: _provider(name) for name in models.DEVICES},
    }


def report(answer: dict) -> str:
    """The same as text."""
    lines = [f"FreeTalk {answer['freetalk']}, Python {answer['python']}, networks in {answer['models']}"]
    for title in ("packages", "networks", "providers"):
        width = max(map(len, answer[title]))
        lines += ["", title.capitalize(), *(f"  {name:{width}}  {value}" for name, value in answer[title].items())]
    return "\n".join(lines)


def _version(package: str) -> str:
    """A package's version: from its metadata, or, where Blender ships it without, from the module itself."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        pass
    try:
        module = import_module(package)
    except ImportError:
        return "not installed"
    return module.app.version_string if package == "bpy" else getattr(module, "__version__", "unknown")


def _own_version() -> str:
    manifest = Path(__file__).parents[1] / "blender_manifest.toml"
    if manifest.is_file():  # installed as an extension
        return tomllib.loads(manifest.read_text(encoding="utf-8"))["version"]
    return _version("freetalk-blender")


def _network(name: str, device: str) -> tuple[bool, str]:
    """Does it run, and on what; or why not."""
    try:
        found = models.device_report(name, device)
        version = models.metadata(name).get("version", "")
    except FreeTalkError as error:
        return False, str(error)
    return True, f"version {version}, runs on {found.provider}" + (f" ({found.note})" if found.note else "")


def _provider(device: str) -> str:
    for name in NETWORKS:
        try:
            found = models.device_report(name, device)
        except FreeTalkError:
            continue
        return found.note or f"runs on {found.provider}"
    return "unknown: no network loads"
