"""Files of one JSON object a line, with which what is begun again goes on."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def read(path: Path) -> list[dict]:
    """The objects of a file, without what a run that was killed left of a line."""
    found = []
    for text in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        try:
            found.append(json.loads(text))
        except (ValueError, RecursionError):
            continue
    return [row for row in found if isinstance(row, dict)]


@contextmanager
def adding(path: Path) -> Iterator[Callable[[dict], None]]:
    """A function that adds an object to a file, which is made where it is missing. Others may add to it, or write
    another in its place, meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        if path.read_bytes()[-1:] not in (b"", b"\n"):
            stream.write("\n")  # after half a line of a run that was killed

    def add(row: dict) -> None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    yield add
