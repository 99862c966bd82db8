"""Whether a file that another file names can be read: it may be anywhere, and called anything. What a text
says, whatever wrote it."""

import codecs
import io
import os
from pathlib import Path


def is_readable(path: Path) -> bool:
    """Is there a file that may be read? `Path.is_file` raises, before Python 3.14, where a folder may not be looked
    into and where a name is too long."""
    if not os.path.isfile(path):  # opening a pipe would wait
        return False
    try:
        with open(path, "rb"):
            return True
    except OSError:
        return False


def text(path: Path) -> str:
    """A text in UTF-8, or in UTF-16 that says so, as Windows PowerShell's > writes it; OSError, UnicodeDecodeError."""
    content = path.read_bytes()  # once: of a pipe there is no second time
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-16" if wide else "utf-8-sig").read()
