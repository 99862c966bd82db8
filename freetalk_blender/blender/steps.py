"""Work that Blender itself must do, in steps: between them the window answers, and ESC ends it.

A generator yields after each step and undoes what it did where it is closed before its end; what it returns is its
answer.
"""

import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")
#: What a piece of such work is.
Steps = Generator[None, None, T]
#: How long a step waits for work in a thread (s).
_WAIT = 0.02


def run(steps: Steps[T]) -> T:
    """All steps at once; the answer."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def aside(work: Callable[[], T]) -> Steps[T]:
    """Arithmetic that touches no bpy, in a thread; its answer."""
    done: dict[str, Any] = {}

    def call() -> None:
        try:
            done["answer"] = work()
        except BaseException as error:
            done["error"] = error

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_WAIT)
        yield
    if "error" in done:
        raise done["error"]
    return done["answer"]
