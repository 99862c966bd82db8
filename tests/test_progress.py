"""What a terminal shows of a command's steps."""

import ctypes
import io
import os
import subprocess
import sys

import pytest
from doors import ROOT

from freetalk_blender.progress import Progress, quiet


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(written: str) -> list[str]:
    """The lines of a terminal that knows no escape sequences, without the spaces at their ends."""
    lines, column = [""], 0
    for letter in written:
        if letter == "\n":
            lines.append("")
        if letter in "\r\n":
            column = 0
            continue
        lines[-1] = lines[-1][:column] + letter + lines[-1][column + 1 :]
        column += 1
    return [line.rstrip() for line in lines]


def test_a_bar_is_wiped_out_by_what_follows_it() -> None:
    terminal = Terminal()
    with Progress(terminal) as steps:
        with steps("write a file of a long name.glb") as share:
            share(0.5)
            assert shown(terminal.getvalue()) == ["[" + "#" * 15 + "." * 15 + "] write a file of a long name.glb"]
        steps.say("done")
        first, *rest = shown(terminal.getvalue())
        assert first.endswith(" s  write a file of a long name.glb") and "#" not in first and rest == ["done", ""]
        assert "\x1b" not in terminal.getvalue()


def test_a_file_gets_plain_lines() -> None:
    plain = io.StringIO()
    with Progress(plain) as steps:
        with steps("bake") as share:
            share(0.5)
        assert plain.getvalue().endswith(" s  bake\n") and "\r" not in plain.getvalue()


def says_in_c() -> None:
    """Words that C keeps until the process ends, before, in and after a step that is quiet."""
    c = ctypes.CDLL(None)
    c.puts(b"before")
    with quiet():
        c.puts(b"Blender's own")
    c.puts(b"after")


@pytest.mark.skipif(os.name == "nt", reason="C has another name there")
def test_what_c_writes_in_a_quiet_step_is_not_among_the_results() -> None:
    waiting = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    code = "import sys; sys.path.insert(0, 'tests'); import test_progress; test_progress.says_in_c()"
    words = subprocess.run([sys.executable, "-c", code], env=waiting, cwd=ROOT, capture_output=True, text=True)
    assert words.stdout.splitlines() == ["before", "after"], words
