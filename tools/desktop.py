"""A real Blender with its window: found here or made in a Debian chroot, on a screen of its own (Xvfb).

    python3 tools/desktop.py        make the chroot (root, mmdebstrap and a Debian mirror; some minutes, 1.4 GB),
                                    in ~/.cache/freetalk

Which Blender: FREETALK_UI_BLENDER (an executable, or a chroot's folder), else `blender` on PATH, else the chroot.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Where `make` puts the chroot and `find` looks for it: one for all checkouts, and none of them has to walk through it.
CHROOT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freetalk" / "blender-root"
VARIABLE = "FREETALK_UI_BLENDER"
#: Seconds that a chroot may take; a machine that needs longer goes without.
MAKE_SECONDS = 600
SCREEN = (1600, 1000)
#: Debian's packages: Blender with what its own extension manager imports, a screen, a mouse, software OpenGL.
PACKAGES = (
    "ca-certificates,blender,python3-numpy,python3-cattr,python3-requests,xvfb,xauth,xdotool,"
    "libgl1-mesa-dri,libegl1,libgl1,imagemagick,fonts-dejavu-core"
)
#: True to its name where Blender can install extensions.
_INSTALLS = "import bpy; bpy.ops.extensions.package_install_files.get_rna_type()"
_TOOLS = ("Xvfb", "xdotool")
_BINDS = ("dev", "dev/shm")
#: What starts and ends a chroot's processes (util-linux).
_TOOLS_OF_ROOT = ("unshare", "nsenter", "setpriv")
#: Where a chroot shows the shared folder, and the person's own folder in it.
_SEEN, HOME = Path("/home"), "artist"


#: The words before a command that shall leave nothing behind: with it, or with this Python however that ends, all that
#: it started ends, and with that its mounts.
_ALONE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")


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
        raise NoDesktopError(
            "There is no Blender on PATH and no chroot with one (`python3 build.py test --ui` makes it)."
        )
    if not _is_root() or not all(map(shutil.which, _TOOLS_OF_ROOT)):
        raise NoDesktopError(f"The Blender in {root} can only be entered by root.")
    return Blender("/usr/bin/blender", root)


def can_make() -> bool:
    """Whether `make` has what it needs: root, mmdebstrap, namespaces."""
    return _is_root() and all(map(shutil.which, ("mmdebstrap", *_TOOLS_OF_ROOT)))


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def make() -> None:
    """A Debian with Blender in CHROOT, within MAKE_SECONDS; NoDesktopError where that does not work."""
    if not can_make():
        raise NoDesktopError(f"A chroot with Blender needs root, mmdebstrap, {', '.join(_TOOLS_OF_ROOT)}.")
    CHROOT.parent.mkdir(parents=True, exist_ok=True)
    for left in CHROOT.parent.glob(f"{CHROOT.name}.part-*"):  # by one that was killed
        if not Path(f"/proc/{left.suffix.removeprefix('.part-')}").exists():
            shutil.rmtree(left, ignore_errors=True)
    part = CHROOT.with_name(f"{CHROOT.name}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _fill(part)
        if not CHROOT.exists():  # another checkout was not faster
            part.rename(CHROOT)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fill(root: Path) -> None:
    """A Debian with Blender in a folder; NoDesktopError where there is none that starts."""
    options = ['APT::Install-Recommends "false"', 'Acquire::Check-Valid-Until "false"']
    words = ["mmdebstrap", "--quiet", "--variant=minbase", *[f"--aptopt={option}" for option in options]]
    words = [*_ALONE, "--mount-proc", *words, f"--include={PACKAGES}", "sid", str(root)]
    try:
        done = subprocess.run(
            words,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            timeout=MAKE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise NoDesktopError(f"The chroot with Blender was not ready after {MAKE_SECONDS} s.") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no words"])[-1]
        raise NoDesktopError(f"mmdebstrap ended with {done.returncode}: {last[:200]}")
    words = ["--background", "--factory-startup", "--python-exit-code", "1", "--python-expr", _INSTALLS]
    if subprocess.run(["chroot", str(root), "blender", *words], capture_output=True, timeout=120).returncode:
        raise NoDesktopError("Debian's Blender does not start its extension manager today.")


@dataclass(frozen=True)
class Screen:
    """A running X server and how to start programs on it. share: a folder that they reach, at `seen`."""

    blender: Blender
    share: Path
    seen: Path
    prefix: tuple[str, ...]
    display: str

    @property
    def home(self) -> Path:
        """The person's own folder, where file dialogs begin."""
        return self.share / HOME

    def inside(self, path: Path) -> Path:
        """How the programs call a file below `share`."""
        return self.seen / path.relative_to(self.share)

    def command(self, words: Sequence[object]) -> list[str]:
        """The words to start a program on this screen with."""
        settings = {
            "DISPLAY": self.display,
            "HOME": self.inside(self.home),
            "BLENDER_USER_RESOURCES": self.seen / "user",
            "LIBGL_ALWAYS_SOFTWARE": 1,
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ.get("PATH", "") + ":/usr/bin:/bin",
        }
        return [*self.prefix, "env", *(f"{name}={value}" for name, value in settings.items()), *map(str, words)]

    def run(self, *words: object) -> str:
        """What a program says; subprocess' errors where it fails, or is not done in a minute."""
        done = subprocess.run(
            self.command(words), capture_output=True, encoding="utf-8", errors="replace", check=True, timeout=60
        )
        return done.stdout

    def start(self, *words: object, log: Path) -> subprocess.Popen:
        """A program in the background, its words in a file."""
        with log.open("w", encoding="utf-8") as stream:
            return subprocess.Popen(self.command(words), stdout=stream, stderr=subprocess.STDOUT)


@contextmanager
def screen(blender: Blender, share: Path) -> Iterator[Screen]:
    """A screen for one Blender; at its end nothing of it runs and nothing is mounted any more."""
    for folder in (share / HOME, share / "user"):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        prefix = stack.enter_context(_entered(blender.root, share)) if blender.root else ()
        words = [*prefix, "Xvfb", "-displayfd", "1", "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24", "-nolisten", "tcp"]
        server = stack.enter_context(_running(words))
        assert server.stdout
        number = server.stdout.readline().strip()
        if not number:
            raise NoDesktopError("Xvfb does not start here.")
        yield Screen(blender, share, _SEEN if blender.root else share, prefix, f":{number}")


@contextmanager
def _entered(root: Path, share: Path) -> Iterator[tuple[str, ...]]:
    """The words before each command inside the chroot, without a network; its mounts end with their namespace."""
    places = {f"/{name}": f"{root}/{name}" for name in _BINDS} | {str(share): f"{root}{_SEEN}"}
    binds = [f"mount --bind '{source}' '{target}'" for source, target in places.items()]
    mounts = " && ".join([f"mount -t proc proc '{root}/proc'", *binds])
    script = f"{mounts} && exec chroot '{root}' sh -c 'echo in; exec sleep infinity'"
    with _running([*_ALONE, "--net", "sh", "-c", script], signal.SIGKILL) as holder:
        assert holder.stdout
        if holder.stdout.readline().strip() != "in":
            raise NoDesktopError(f"The chroot {root} cannot be entered (mounting is not allowed here).")
        first = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text(encoding="utf-8").split()[0]
        yield ("nsenter", "--target", first, "--mount", "--net", "--pid", "--root", "--wdns=/")


@contextmanager
def _running(words: list[str], end: int = signal.SIGTERM) -> Iterator[subprocess.Popen]:
    """A process for as long as it is needed; `end`: how it is told to stop (unshare hears nothing but SIGKILL)."""
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", errors="replace"
    )
    try:
        yield process
    finally:
        process.send_signal(end)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    try:
        make()
    except NoDesktopError as error:
        sys.exit(f"[build] {error}")
