"""Which Python makes the environments: the one that runs build.py, or another that is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .steps import BuildError

#: Pythons that a bpy wheel exists for, the preferred one first.
PYTHONS = ((3, 11), (3, 13))


@dataclass(frozen=True)
class Interpreter:
    """A Python that can make virtual environments."""

    command: tuple[str, ...]
    version: tuple[int, int]


def candidates() -> Iterator[tuple[str, ...]]:
    """Commands that may start a fitting Python: this one, PATH, pyenv, uv."""
    yield (sys.executable,)
    for major, minor in PYTHONS:
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            name = f"python{major}.{minor}" + (".exe" if os.name == "nt" else "")
            if (Path(folder) / name).is_file():
                yield (str(Path(folder) / name),)
        if os.name == "nt" and shutil.which("py"):
            yield ("py", f"-{major}.{minor}")
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        yield from ((str(path),) for path in sorted(pyenv.glob(f"{major}.{minor}.*/bin/python"), reverse=True))
        if shutil.which("uv"):
            found = subprocess.run(
                ["uv", "python", "find", f"{major}.{minor}"], capture_output=True, encoding="utf-8", errors="replace"
            )
            if found.returncode == 0:
                yield (found.stdout.strip(),)


def probe(command: tuple[str, ...]) -> Interpreter | None:
    """The interpreter behind a command, or None where it does not start or cannot make an environment with pip."""
    code = "import sys, venv, ensurepip; print(sys.version_info[0], sys.version_info[1])"
    try:
        done = subprocess.run(
            [*command, "-c", code], capture_output=True, encoding="utf-8", errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    major, minor = done.stdout.split()
    return Interpreter(command, (int(major), int(minor)))


def find_pythons() -> list[Interpreter]:
    """Every Python that fits, PYTHONS' order first."""
    found = [interpreter for interpreter in map(probe, candidates()) if interpreter and interpreter.version in PYTHONS]
    return sorted(found, key=lambda interpreter: PYTHONS.index(interpreter.version))


def find_python() -> Interpreter:
    """The best Python for the product; BuildError where there is none."""
    found = find_pythons()
    if not found:
        raise BuildError(f"FreeTalk needs Python 3.11 (or 3.13) with venv; {_how_to_get_it()}, and start again.")
    return found[0]


def _how_to_get_it() -> str:
    """How this system's people get a Python 3.11."""
    if os.name == "nt":
        return "install Python 3.11 from python.org, or run `winget install Python.Python.3.11`"
    packages = "python3.11 and python3.11-venv" if shutil.which("apt-get") else "python3.11"
    return f"install {packages}, or run `uv python install 3.11` or `pyenv install 3.11`"
