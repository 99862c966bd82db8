"""Types of argparse's arguments that the command line and the commands of training share."""

import argparse
from collections.abc import Callable


def whole_number(least: int) -> Callable[[str], int]:
    """A whole number, at least this."""

    def check(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return check
