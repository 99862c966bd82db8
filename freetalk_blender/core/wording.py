"""Words that sentences for the person share: numbers with their nouns, lists of names."""

from collections.abc import Sequence


def counted(number: int, one: str, many: str) -> str:
    """A number and its noun."""
    return f"{number:,} {one if number == 1 else many}"


def named(names: Sequence[str], most: int = 3) -> str:
    """Some of the names, for a sentence."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def listed(names: Sequence[str]) -> str:
    """All of the names, of which there is at least one, the last after an "and"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def without_pictures(whose: str, which: str) -> tuple[str, str]:
    """What to tell of pictures that are not there, and what to do; whose: "Pictures of ..."."""
    found = f"{whose} are missing, and what they would colour comes out pink: {which}"
    return found, "put them there, or mend their paths in the scan"
