"""Nothing that build.py starts goes on after it: neither what takes too long, nor a screen whose Python was killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import desktop, steps

_SCREEN = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tools import desktop
with desktop.screen(desktop.find(), Path(sys.argv[2])) as screen:
    screen.start("sleep", sys.argv[3], log=Path(sys.argv[2]) / "log")
    print("up", flush=True)
    time.sleep(60)
"""


#: Seconds that only this run's processes sleep, more than any machine needs here.
_LONG = f"4{os.getpid()}"


def running() -> int:
    """How many processes sleep for exactly so many seconds."""
    return sum(words(path)[:2] == [b"sleep", _LONG.encode()] for path in Path("/proc").glob("[0-9]*"))


def words(process: Path) -> list[bytes]:
    """A process' command; none where it has just ended."""
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def soon(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system does not list processes in /proc")
def test_what_takes_too_long_is_ended_with_all_that_it_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert steps.limited(["sh", "-c", f"sleep {_LONG} & sleep {_LONG}"], 0.5, dict(os.environ)) == 1
    assert soon(lambda: running() == 0)
    assert "was ended: it did not finish" in capsys.readouterr().out
    assert steps.limited(["true"], 60, dict(os.environ)) == 0


def test_a_killed_python_leaves_no_process_and_no_mount_of_its_screen(tmp_path: Path) -> None:
    try:
        found = desktop.find()
    except desktop.NoDesktopError as error:
        pytest.skip(str(error))
    if found.root is None:
        pytest.skip("this Blender lives in no chroot")
    command = [sys.executable, "-c", _SCREEN, str(steps.ROOT), str(tmp_path / "share"), _LONG]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "up\n"
        assert soon(lambda: running() > 0)
        process.send_signal(signal.SIGKILL)
    assert soon(lambda: running() == 0)
    assert str(found.root) not in Path("/proc/mounts").read_text(encoding="utf-8")
