"""Which paths lead to one file: by links, or because a folder takes Talk.glb and talk.glb for one name."""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path


def identity(path: Path) -> str:
    """What all paths of a file have in common, whether it is there yet or not."""
    real = os.path.realpath(path)
    there = next((folder for folder in Path(real).parents if os.path.isdir(folder)), None)
    return unicodedata.normalize("NFC", real.casefold()) if there and _ignores_case(there) else real


@lru_cache(maxsize=1024)
def _ignores_case(folder: Path) -> bool:
    """Whether a folder takes names for the same that differ in case alone, as those of Windows and macOS do: seen by a
    name that is there, in it or else above it."""
    for known in _known(folder):
        other = known.name.swapcase()
        if known.name.isascii() and other != known.name:
            try:
                return os.path.samestat(os.lstat(known), os.lstat(known.with_name(other)))
            except OSError:
                return False
    return False


def _known(folder: Path) -> Iterator[Path]:
    """Paths that are there: what is in a folder, it, and those above it."""
    with suppress(OSError), os.scandir(folder) as entries:
        yield from (Path(entry.path) for entry in entries)
    yield from (folder, *folder.parents)
