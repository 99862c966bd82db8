"""Whether a file that another file names can be read: it may be anywhere, and called anything."""

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
