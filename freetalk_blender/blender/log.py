"""What is told on Blender's console, as much of it as the preferences say."""

import logging

LEVELS = {"QUIET": logging.WARNING, "STEPS": logging.INFO, "ALL": logging.DEBUG}
log = logging.getLogger("freetalk")
_console = logging.StreamHandler()
_console.setFormatter(logging.Formatter("FreeTalk: %(message)s"))


def tell(level: str) -> None:
    """Say this much from now on."""
    log.setLevel(LEVELS[level])
    if _console not in log.handlers:
        log.addHandler(_console)
    log.propagate = False


def silence() -> None:
    """The add-on is disabled."""
    log.removeHandler(_console)
    log.propagate = True
