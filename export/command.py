"""How the commands of `export` and `evaluation` begin and end."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from freetalk_blender.core.errors import FreeTalkError, sentence


def run(main: Callable[[], None]) -> NoReturn:
    """Call a command and end the process: with 3 and one sentence on standard error for a FreeTalkError or what the
    system refused, with 130 after Ctrl C. Any other exception is a bug and keeps its traceback."""
    try:
        main()
    except (FreeTalkError, OSError) as error:
        print(f"{Path(sys.argv[0]).name}: {sentence(error)}", file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def files(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder in the order of their names; FreeTalkError where there are none."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise FreeTalkError(f"{folder} has no files {pattern}; check the folder that was given.")
    return found
