"""What is told on Blender's console, as much of it as the preferences say, and what its operators tell."""

import logging

import bpy

LEVELS = {"QUIET": logging.WARNING, "STEPS": logging.INFO, "ALL": logging.DEBUG}
log = logging.getLogger("freetalk")
_console = logging.StreamHandler()
_console.setFormatter(logging.Formatter("FreeTalk: %(message)s"))


def reported(error: Exception) -> str:
    """Why an operator failed, in a line: of what it has reported the first, or what Python's traceback ends with,
    without Blender's word in front for an error, which is of the person's language."""
    told = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("Location: ")]
    line = told[-1] if "Traceback (most recent call last)" in told[0] else told[0]
    translations = bpy.app.translations
    for word in ("Error", translations.pgettext_rpt("Error"), translations.pgettext_tip("Error")):
        line = line.removeprefix(f"{word}: ")
    return line


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
