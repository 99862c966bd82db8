"""A real Blender with its window: found here or made in a Debian chroot, on a screen of its own (Xvfb).

    python3 tools/desktop.py ROOT        make the chroot (root, mmdebstrap and a Debian mirror; some minutes, 1.4 GB)

Which Blender: FREETALK_UI_BLENDER (an executable, or a chroot's folder), else `blender` on PATH, else the chroot.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Where `make` puts the chroot and `find` looks for it.
CHROOT = ROOT / "build" / "blender-root"
VARIABLE = "FREETALK_UI_BLENDER"
#: Seconds that a chroot may take; a machine that needs longer goes without.
MAKE_SECONDS = 600
SCREEN = (1600, 1000)
#: Debian's packages: Blender with what its own extension manager imports, a screen, a mouse, software OpenGL.
PACKAGES = (
    "ca-certificates,blender,python3-numpy,python3-cattr,python3-requests,xvfb,xauth,xdotool,"
    "libgl1-mesa-dri,libegl1,libgl1,imagemagick,fonts-dejavu-core"
)
_TOOLS = ("Xvfb", "xdotool")
_BINDS = ("proc", "dev", "dev/shm")


class NoDesktopError(Exception):
    """One sentence: why there is no Blender with a window here."""


@dataclass(frozen=True)
class Blender:
    """An executable; `root` is the chroot that it lives in, None where it is this system's own."""

    executable: str
    root: Path | None = None


def find() -> Blender:
    """The Blender to drive; NoDesktopError where there is none."""
    named = os.environ.get(VARIABLE, "")
    if named and Path(named).is_dir():
        return _in_root(Path(named).resolve())
    if named and not shutil.which(named):
        raise NoDesktopError(f"{VARIABLE} names {named}, which is neither an executable nor a folder.")
    if found := shutil.which(named or "blender"):
        missing = [tool for tool in _TOOLS if not shutil.which(tool)]
        if missing:
            raise NoDesktopError(f"Blender is here, but {' and '.join(missing)} to drive it are not.")
        return Blender(found)
    return _in_root(CHROOT)


def _in_root(root: Path) -> Blender:
    if not (root / "usr/bin/blender").exists():
        raise NoDesktopError("There is no Blender on PATH and no chroot with one; `python3 build.py test --ui` makes it.")
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("nsenter")):
        raise NoDesktopError(f"The Blender in {root} can only be entered by root.")
    return Blender("/usr/bin/blender", root)


def make(root: Path = CHROOT, seconds: float = MAKE_SECONDS) -> None:
    """A Debian with Blender in a folder, within so many seconds; NoDesktopError where that does not work."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise NoDesktopError("A chroot with Blender can only be made by root.")
    if not (shutil.which("mmdebstrap") and shutil.which("unshare")):
        raise NoDesktopError("A chroot with Blender needs mmdebstrap, which is not here.")
    part = root.with_name(root.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    options = ["APT::Install-Recommends \"false\"", "Acquire::Check-Valid-Until \"false\""]
    words = ["mmdebstrap", "--quiet", "--variant=minbase", *[f"--aptopt={option}" for option in options]]
    # a mount namespace of its own: whatever mmdebstrap mounts is gone with it
    words = ["unshare", "--mount", *words, f"--include={PACKAGES}", "sid", str(part)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        shutil.rmtree(part, ignore_errors=True)
        raise NoDesktopError(f"The chroot with Blender was not ready after {seconds:.0f} s.") from None
    if process.returncode:
        shutil.rmtree(part, ignore_errors=True)
        last = (errors.strip().splitlines() or ["no words"])[-1]
        raise NoDesktopError(f"mmdebstrap ended with {process.returncode}: {last[:200]}")
    part.rename(root)


@dataclass(frozen=True)
class Screen:
    """A running X server and how to start programs on it; paths below `share` are the same in and out of a chroot."""

    blender: Blender
    share: Path
    prefix: tuple[str, ...]
    display: str

    def command(self, words: Sequence[object]) -> list[str]:
        """The words to start a program on this screen with."""
        settings = {
            "DISPLAY": self.display,
            "HOME": self.share / "home",
            "BLENDER_USER_RESOURCES": self.share / "user",
            "LIBGL_ALWAYS_SOFTWARE": 1,
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ.get("PATH", "") + ":/usr/bin:/bin",
        }
        return [*self.prefix, "env", *(f"{name}={value}" for name, value in settings.items()), *map(str, words)]

    def run(self, *words: object, seconds: float = 60) -> str:
        """What a program says; subprocess' errors where it fails."""
        done = subprocess.run(self.command(words), capture_output=True, text=True, check=True, timeout=seconds)
        return done.stdout

    def start(self, *words: object, log: Path) -> subprocess.Popen:
        """A program in the background, its words in a file."""
        with log.open("w") as stream:
            return subprocess.Popen(self.command(words), stdout=stream, stderr=subprocess.STDOUT)


@contextmanager
def screen(blender: Blender, share: Path) -> Iterator[Screen]:
    """A screen for one Blender; at its end nothing of it runs and nothing is mounted any more."""
    for folder in (share / "home", share / "user"):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        prefix = stack.enter_context(_entered(blender.root, share)) if blender.root else ()
        words = [*prefix, "Xvfb", "-displayfd", "1", "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24", "-nolisten", "tcp"]
        server = stack.enter_context(_running(words))
        assert server.stdout
        number = server.stdout.readline().strip()
        if not number:
            raise NoDesktopError("Xvfb does not start here.")
        yield Screen(blender, share, prefix, f":{number}")


@contextmanager
def _entered(root: Path, share: Path) -> Iterator[tuple[str, ...]]:
    """The words before each command inside the chroot. The mounts live in a namespace and die with it."""
    inside = root / share.relative_to("/")
    inside.mkdir(parents=True, exist_ok=True)
    binds = " && ".join(f"mount --bind /{name} '{root}/{name}'" for name in _BINDS)
    script = f"{binds} && mount --bind '{share}' '{inside}' && exec chroot '{root}' sh -c 'echo in; exec sleep infinity'"
    with _running(["unshare", "--mount", "sh", "-c", script]) as holder:
        assert holder.stdout
        if holder.stdout.readline().strip() != "in":
            raise NoDesktopError(f"The chroot {root} cannot be entered (mounting needs more rights than there are here).")
        yield ("nsenter", "--target", str(holder.pid), "--mount", "--root", "--wdns=/")


@contextmanager
def _running(words: list[str]) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    try:
        make(Path(sys.argv[1]) if len(sys.argv) > 1 else CHROOT)
    except NoDesktopError as error:
        sys.exit(f"desktop.py: {error}")
