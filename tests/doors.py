"""The command line in a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def freetalk(
    *words: object, door: tuple[str, ...] = ("-m", "freetalk_blender"), **options
) -> subprocess.CompletedProcess:
    command = [sys.executable, *door, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **options)


def without_bpy(*words: object) -> subprocess.CompletedProcess:
    code = "import sys; sys.modules['bpy'] = None; from freetalk_blender import cli; sys.exit(cli.main(sys.argv[1:]))"
    return freetalk(*words, door=("-c", code))
