"""What is told on Blender's console, as much of it as the preferences say, and what its operators tell."""

import logging

import bpy

LEVELS = {"QUIET": logging.WARNING, "STEPS": logging.INFO, "ALL": logging.DEBUG}
log = logging.getLogger("freetalk")
_console = logging.StreamHandler()
_console.setFormatter(logging.Formatter("FreeTalk: %(message)s"))


def reported(error: str) -> str:
    """What an operator has reported, without Blender's word in front for an error, which is of the person's language.
    error: as the exception says it that Blender makes of a report."""
    translations = bpy.app.translations
    for word in ("Error", translations.pgettext_rpt("Error"), translations.pgettext_tip("Error")):
        error = error.removeprefix(f"{word}: ")
    return error


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
