"""The one family of exceptions that a user may read.

Each carries one sentence: what is wrong, where, and what to do. The command line prints it and exits with 3, the panel
shows it. What the system refuses (OSError: a full disk, a permission; MemoryError) ends a command and an export in the
same way; any other exception that gets that far is a bug and keeps its traceback.
"""


class FreeTalkError(Exception):
    """Bad input or a missing part, told in one sentence for the person who can mend it."""


class MeshError(FreeTalkError):
    """The mesh cannot be animated as it is."""


class LandmarkError(FreeTalkError):
    """The 68 landmarks are missing, malformed, or not on this face."""


class AudioError(FreeTalkError):
    """The sound cannot be read or holds nothing to animate."""


class UnknownSoundError(AudioError):
    """The file is of a kind that this library does not know; others may."""


class ModelError(FreeTalkError):
    """A network file is missing, damaged, or does not fit this version."""


class Cancelled(FreeTalkError):
    """The person pressed ESC or Ctrl-C."""


#: What is told in a sentence.
TOLD = (FreeTalkError, OSError, MemoryError)


def sentence(error: FreeTalkError | OSError | MemoryError) -> str:
    """The sentence for the person: FreeTalk's own, or what the system refused."""
    if isinstance(error, FreeTalkError):
        return str(error)
    if isinstance(error, MemoryError):
        asked = f" ({error})" if str(error) else ""
        return f"There is not enough memory{asked}; take a shorter recording, a lower frame rate or a lighter scan."
    named = error.filename2 or error.filename or "A file"  # the second is what the first was to replace
    return f"{named} cannot be read or written ({error.strerror or error}); check path and disk."
