"""Steps of a long command: their seconds, shown as a bar on a terminal and as plain lines elsewhere."""

import ctypes
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_BAR = 30


class Progress:
    """`with progress("bake") as share: ...; share(0.5)`. Keeps working while Blender's own output is held back."""

    def __init__(self, stream: TextIO):
        self.seconds: dict[str, float] = {}
        self._terminal = stream.isatty()
        self._stream = _duplicate(stream)
        self._name = ""
        self._columns = 0  # of the bar that a terminal shows

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not sys.stderr:
            with suppress(OSError):
                self._stream.close()

    def say(self, text: str) -> None:
        """One line for the person."""
        self._write(text + "\n")

    @contextmanager
    def __call__(self, name: str) -> Iterator[Callable[[float], None]]:
        """A step; what it yields takes the share done, 0..1."""
        self._name = name
        self._share(0.0)
        start = time.perf_counter()
        yield self._share
        seconds = time.perf_counter() - start
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 3)
        self.say(f"{seconds:8.2f} s  {name}")

    @contextmanager
    def quiet(self, name: str) -> Iterator[Callable[[float], None]]:
        """A step during which what Blender and libraries say by themselves (Saved: ..., EGL warnings) is held back."""
        with self(name) as share, quiet():
            yield share

    def _share(self, share: float) -> None:
        if self._terminal:
            filled = round(_BAR * min(max(share, 0.0), 1.0))
            bar = f"[{'#' * filled}{'.' * (_BAR - filled)}] {self._name}"
            self._write(bar)
            self._columns = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in bar)

    def _write(self, text: str) -> None:
        """In the place of a bar, which spaces wipe out, with a ^C behind it: Windows' console may show escape sequences
        as they stand. Where nobody reads it any more the work goes on."""
        wiped = f"\r{' ' * (self._columns + 2)}\r" if self._columns else ""
        self._columns = 0
        with suppress(OSError):
            self._stream.write(wiped + text)
            self._stream.flush()


def _duplicate(stream: TextIO) -> TextIO:
    """A stream of its own on the same file, which survives `quiet`; the stream itself where it is no file."""
    try:
        return os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8", errors="replace")
    except (OSError, ValueError, AttributeError):
        return stream


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing reaches stdout and stderr, from C either; FREETALK_VERBOSE=1 lets it through."""
    if os.environ.get("FREETALK_VERBOSE"):
        yield
        return
    _flush()
    kept = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor, _ in kept:
            os.dup2(nowhere, descriptor)
        yield
    finally:
        _flush()
        for descriptor, copy in kept:
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(nowhere)


def _flush() -> None:
    """What waits to be written goes where it belongs: the words of Python, and of C, where stdout is no terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fflush(None)
