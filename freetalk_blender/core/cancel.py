"""Ending long work early: who starts it says how to tell that nobody wants it any more, and the work asks often.

    with until(event.is_set):
        prepare(...)            # raises Cancelled soon after the event

What is told holds for one thread. Work that nobody watches goes on to its end.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .errors import Cancelled

#: What ends a process from outside, as far as this system knows it.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


def _never() -> bool:
    return False


_unwanted: ContextVar[Callable[[], bool]] = ContextVar("unwanted", default=_never)


@contextmanager
def until(unwanted: Callable[[], bool]) -> Iterator[None]:
    """What is called inside ends by raising Cancelled once `unwanted` answers True."""
    before = _unwanted.set(unwanted)
    try:
        yield
    finally:
        _unwanted.reset(before)


def check() -> None:
    """Raise Cancelled where nobody wants this work any more; cheap, to be asked a few times a second."""
    if _unwanted.get()():
        raise Cancelled("Cancelled.")
