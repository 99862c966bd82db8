"""The command line in this process and in one of its own, a scan for it, and what stands in for it in batches."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from freetalk_blender import cli, processes

ROOT = Path(__file__).resolve().parents[1]


def call(*words: object) -> int:
    """How a command ends in this process."""
    return cli.main([*map(str, words)])


def freetalk(
    *words: object, door: tuple[str, ...] = ("-m", "freetalk_blender"), **options
) -> subprocess.CompletedProcess:
    command = [sys.executable, *door, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **options)


def without_bpy(*words: object) -> subprocess.CompletedProcess:
    code = "import sys; sys.modules['bpy'] = None; from freetalk_blender import cli; sys.exit(cli.main(sys.argv[1:]))"
    return freetalk(*words, door=("-c", code))


def write_obj(path: Path, vertices: np.ndarray, triangles: np.ndarray) -> Path:
    """A file of a scan (V,3), (F,3), whose coordinates are read as they are here."""
    corners = "".join(f"v {x!r} {y!r} {z!r}\n" for x, y, z in np.asarray(vertices, float).tolist())
    path.write_text(corners + "".join(f"f {a} {b} {c}\n" for a, b, c in triangles + 1))
    return path


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Jobs of a batch run this code instead of the command line."""
    (folder / "stand_in.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(processes, "_door", lambda: [sys.executable, str(folder / "stand_in.py")])
