"""How the commands of `export` and `evaluation` begin and end."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from export.encoder_weights import EncoderWeightsError
from freetalk_blender.core.errors import FreeTalkError, sentence


def run(main: Callable[[], None]) -> NoReturn:
    """Call a command and end the process: with 3 and one sentence on standard error for a FreeTalkError, a wheel that
    is another or what the system refused, with 130 after Ctrl C. Any other exception is a bug and keeps its traceback.
    """
    try:
        main()
    except (FreeTalkError, EncoderWeightsError, OSError) as error:
        told = str(error) if isinstance(error, EncoderWeightsError) else sentence(error)
        print(f"{Path(sys.argv[0]).name}: {told}", file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def parser(told: str | None, data: str = "") -> argparse.ArgumentParser:
    """What reads a command's words, and shows its module's docstring as it stands; data: what the folder holds that
    --data names, where the command needs one."""
    made = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    if data:
        made.add_argument("--data", type=Path, required=True, help=f"folder that holds {data}")
    return made


def files(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder in the order of their names; FreeTalkError where there are none."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise FreeTalkError(f"{folder} has no files {pattern}; check the folder that was given.")
    return found
