"""Files that appear whole or not at all."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    afterwards: not every writer says that its file was cut off.
    """
    refuse_protected(path)
    suffix, path = Path(path).suffix, Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".freetalk-", suffix=suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise FreeTalkError(f"Cannot write to {path.parent} ({error.strerror}); choose another folder.") from error
    temporary = Path(name)
    try:
        yield temporary
        if shutil.disk_usage(path.parent).free < _BLOCK:
            raise FreeTalkError(f"The disk of {path.parent} is full; make room for {path.name} and write it again.")
        os.chmod(temporary, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_UMASK)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
