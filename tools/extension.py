"""The extension's zips: which wheels for which Blender, laid out how, checked by Blender's own validator."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .steps import BUILD, ROOT, BuildError, ask, pip_download, project, requirements, run, say

#: Blender's name of a platform -> the wheel tags to accept, best first (pip takes older macOS than the one named too).
PLATFORMS = {
    "linux-x64": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_14_0_arm64",),
    "macos-x64": ("macosx_13_0_x86_64",),
}
#: What Python calls these platforms, for the markers of pyproject.toml.
MARKERS = {
    "linux-x64": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "windows-x64": {"sys_platform": "win32", "platform_machine": "AMD64"},
    "macos-arm64": {"sys_platform": "darwin", "platform_machine": "arm64"},
    "macos-x64": {"sys_platform": "darwin", "platform_machine": "x86_64"},
}
#: Blenders that run each Python: first one, first one that no longer does (3.14: as Linux distributions build them).
BLENDERS = {"3.11": ("4.2.0", "5.1.0"), "3.13": ("5.1.0", None), "3.14": ("5.1.0", None)}
#: Where each of them is built: Blender 5.0 was the first without an Intel Mac, and only distributions use Python 3.14.
PYTHONS_OF = {
    "linux-x64": ("3.11", "3.13", "3.14"),
    "windows-x64": ("3.11", "3.13"),
    "macos-arm64": ("3.11", "3.13"),
    "macos-x64": ("3.11",),
}
#: Edition -> its platforms -> their Pythons. CUDA is NVIDIA's, which has left the Mac; pyproject.toml says why it is
#: not for every Windows.
EDITIONS = {"cpu": PYTHONS_OF, "cuda": {"linux-x64": PYTHONS_OF["linux-x64"], "windows-x64": ("3.13",)}}
#: Blenders of each Python bring these themselves; a second copy would break them.
IN_BLENDER = {
    "3.11": {"numpy"},
    "3.13": {"numpy", "typing_extensions"},
    "3.14": {"numpy", "typing_extensions"},
}
#: onnxruntime's converters import these; running a network does not.
CONVERTERS = {"flatbuffers", "protobuf", "packaging"}


@dataclass(frozen=True)
class Target:
    """One zip: for which platform and Python, with which onnxruntime."""

    platform: str
    python: str
    edition: str = "cpu"

    @property
    def tag(self) -> str:
        edition = "" if self.edition == "cpu" else f"-{self.edition}"
        return f"{self.platform}-py{self.python.replace('.', '')}{edition}"


def host_platform() -> str:
    """Blender's name of this platform; BuildError where there is no zip for it."""
    system = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}.get(platform.system(), platform.system())
    machine = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    if f"{system}-{machine}" not in PLATFORMS:
        raise BuildError(f"There is no zip for {system}-{machine}; FreeTalk is built for {', '.join(PLATFORMS)}.")
    return f"{system}-{machine}"


def host_python(python: Path) -> str:
    return ask(python, "import sys; print('%d.%d' % sys.version_info[:2])", f"{python} does not run")


def here(python: Path) -> Target:
    """The zip for this machine and the Blender of this Python."""
    return Target(host_platform(), host_python(python))


def targets(name: str, version: str, edition: str) -> Iterator[Target]:
    """The zips asked for; "all" stands for every platform or Python. BuildError where there is none."""
    found = [
        Target(one, python, edition)
        for one, pythons in EDITIONS[edition].items()
        if name in ("all", one)
        for python in pythons
        if version in ("all", python)
    ]
    if not found:
        raise BuildError(f"There is no {edition} zip for {name} with Python {version}; see docs/guide.md, Install.")
    yield from found


# --- wheels ---------------------------------------------------------------------------------------------------------


def bundled(python: Path, target: Target) -> list[str]:
    """The pins of pyproject.toml that a zip bundles. python: one that has `packaging`, which reads the markers."""
    code = (
        "import json, sys; from packaging.requirements import Requirement\n"
        "pins, environment = json.load(sys.stdin)\n"
        "wanted = [pin for pin in map(Requirement, pins) if not pin.marker or pin.marker.evaluate(environment)]\n"
        "print(json.dumps([[pin.name, str(pin.specifier)] for pin in wanted]))"
    )
    environment = {**MARKERS[target.platform], "python_version": target.python}
    asked = json.dumps([requirements("runtime"), environment])
    found = json.loads(ask(python, code, "The pins of pyproject.toml cannot be read", asked))
    left_out = IN_BLENDER[target.python] | CONVERTERS | ({"onnxruntime"} if target.edition == "cuda" else set())
    pins = [name + version for name, version in found if name not in left_out]
    return pins + (requirements("cuda") if target.edition == "cuda" else [])


def download_wheels(python: Path, target: Target) -> list[Path]:
    """The wheels of one zip, fetched from PyPI where they are not in build/wheels yet."""
    packages = bundled(python, target)
    folder = BUILD / "wheels" / target.tag
    stamp = folder / "stamp"
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == "\n".join(packages)):
        say(f"downloading {len(packages)} wheels for {target.tag}")
        shutil.rmtree(folder, ignore_errors=True)
        abi = "cp" + target.python.replace(".", "")
        options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", target.python]
        options += [word for tag in (abi, "abi3", "none") for word in ("--abi", tag)]
        options += [word for tag in PLATFORMS[target.platform] for word in ("--platform", tag)]
        pip_download(python, folder, packages, options)
        stamp.write_text("\n".join(packages), encoding="utf-8")
    return sorted(folder.glob("*.whl"))


# --- zips -----------------------------------------------------------------------------------------------------------


def build(python: Path, target: Target) -> Path:
    """One extension zip, checked by Blender's own validator; its path."""
    wheels = download_wheels(python, target)
    source = BUILD / "extension" / target.tag
    stage(source, target, wheels)
    package = BUILD / f"freetalk-{project()['project']['version']}-{target.tag}.zip"
    tool = extension_tool(python)
    say(f"packing {package.name}")
    quiet = {"stdout": subprocess.DEVNULL}
    run([python, tool, "build", "--source-dir", source, "--output-filepath", package], "The zip was not built", **quiet)
    run([python, tool, "validate", package], "Blender's validator refused the zip", **quiet)
    shutil.rmtree(source)
    say(f"{package.relative_to(ROOT)}: {package.stat().st_size / 1e6:.1f} MB, {len(wheels)} wheels, valid")
    return package


def stage(folder: Path, target: Target, wheels: list[Path]) -> None:
    """Lay out the extension: the package, its networks, its wheels and licences, and the manifest that names them."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "freetalk_blender", folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    (folder / "onnx_models").mkdir()
    for model in sorted((ROOT / "onnx_models").iterdir()):
        if model.suffix in {".onnx", ".data", ".md"}:
            shutil.copy2(model, folder / "onnx_models")
    (folder / "wheels").mkdir()
    for wheel in wheels:
        _link(wheel, folder / "wheels" / wheel.name)
    for text in ("LICENSE", "NOTICE", "README.md", "CHANGELOG.md"):
        shutil.copy2(ROOT / text, folder)
    (folder / "blender_manifest.toml").write_text(manifest(target, wheels), encoding="utf-8")


def _link(source: Path, target: Path) -> None:
    """The same file in two places where the disk can do that (NVIDIA's libraries are large), else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def manifest(target: Target, wheels: list[Path]) -> str:
    """The committed manifest with this zip's platform, Blender range and wheels, before its first table."""
    content = (ROOT / "blender_manifest.toml").read_text(encoding="utf-8")
    first, last = BLENDERS[target.python]
    content = content.replace('blender_version_min = "4.2.0"', f'blender_version_min = "{first}"')
    lines = [f'platforms = ["{target.platform}"]', "wheels = ["]
    lines += [f'  "./wheels/{wheel.name}",' for wheel in wheels] + ["]"]
    lines += [f'blender_version_max = "{last}"'] if last else []
    head, table, tail = content.partition("\n[")
    return head.rstrip() + "\n" + "\n".join(lines) + "\n" + table + tail


def _library(python: Path) -> Path:
    """Where a Python keeps its packages."""
    code = "import json, sysconfig; print(json.dumps(sysconfig.get_path('platlib')))"
    return Path(json.loads(ask(python, code, f"{python} does not run")))


def extension_tool(python: Path) -> Path:
    """Blender's own builder of extensions, which comes with the bpy wheel and runs without Blender."""
    found = sorted(_library(python).glob("bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    if not found:
        raise BuildError("The bpy package has no blender_ext.py; delete .venv and start again.")
    return found[0]


def bare_blender(python: Path, folder: Path) -> Path:
    """A folder with what a Blender has and no more (bpy and its own packages), for testing the zip as a user would.

    The wheels in the zip must do without anything else that the Python's environment holds.
    """
    library = _library(python)
    ours = {"bpy", "numpy", "numpy.libs", "Cython", "requests", "urllib3", "idna", "certifi", "charset_normalizer"}
    ours |= {"zstandard", "attr", "attrs", "cattr", "cattrs"}
    if (library / "cattrs").is_dir():  # brought by the Blenders that have cattrs, for cattrs
        ours |= {"typing_extensions.py"}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for entry in library.iterdir():
        if entry.name not in ours:
            continue
        if not entry.is_dir():  # Windows lets not everybody make symbolic links
            _link(entry, folder / entry.name)
        elif os.name == "nt":
            subprocess.run(["cmd", "/c", "mklink", "/J", str(folder / entry.name), str(entry)], check=True)
        else:
            (folder / entry.name).symlink_to(entry)
    return folder
