"""Files that appear whole or not at all."""

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import FreeTalkError

#: With less than so many bytes left, a disk is full.
_BLOCK = 4096
#: Of a file's permissions: that somebody may write it. The system lets its administrator write what nobody may.
_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def output(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix; renamed to it on success, deleted on failure. Where `path` is a
    link, what it points to is written; a file that was there keeps its permissions.

    Raises FreeTalkError where the folder or a file that is there cannot be written to, and where the disk is full
    afterwards: not every writer says that its file was cut off. What the system refuses (OSError) names `path`.
    """
    refuse_protected(path)
    named, suffix, path = path, Path(path).suffix, Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _new(path.parent, suffix, _new_file)
    except OSError as error:
        raise FreeTalkError(f"Cannot write to {path.parent} ({error.strerror}); choose another folder.") from error
    try:
        yield temporary
        if shutil.disk_usage(path.parent).free < _BLOCK:
            raise FreeTalkError(f"The disk of {path.parent} is full; make room for {path.name} and write it again.")
        os.chmod(temporary, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_UMASK)
        os.replace(temporary, path)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename = str(named)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """A new folder in another, deleted afterwards with what is in it."""
    made = _new(parent, "", lambda path: os.mkdir(path, 0o700))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _new(parent: Path, suffix: str, make: Callable[[Path], None]) -> Path:
    """What make() made under a name that nothing has. On Windows, `tempfile` takes the PermissionError of a folder that
    lets nothing be made in it for a name that is taken, and tries 2^31 of them."""
    while True:
        path = parent / f".freetalk-{secrets.token_hex(4)}{suffix}"
        with suppress(FileExistsError):
            make(path)
            return path


def _new_file(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def refuse_protected(path: Path) -> None:
    """FreeTalkError where nobody shall write a file that is there, though its folder lets it be replaced."""
    try:
        writable = Path(path).stat().st_mode & _WRITE and os.access(path, os.W_OK)
    except OSError:  # there is none
        return
    if not writable:
        raise FreeTalkError(f"Cannot write {path} (it is write-protected); choose another name, or let it be written.")


def _umask() -> int:
    """The process's mask of permissions. It can be read by setting it alone, which no other thread may meet."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


#: As it was when FreeTalk was loaded.
_UMASK = _umask()
