"""Options of the command line: how each is called, what it takes, and what it refuses of that (ArgumentTypeError)."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .core import key_sets, models
from .core.argument_types import whole_number
from .core.mouth.opening import INNER_MOUTHS
from .core.voice import emotion
from .core.voice.emotion import EmotionError
from .core.voice.style import AS_PERFORMED, MEANING, limits


def add_scan(command: argparse.ArgumentParser) -> None:
    command.add_argument("scan", type=Path, metavar="SCAN", help="OBJ, PLY, STL, glTF, FBX, USD or .blend")
    add_object(command)


def add_object(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--object", metavar="NAME", help="which of the file's meshes is the face (the largest with a face on it)"
    )


def add_outputs(command: argparse.ArgumentParser, suffixes: tuple[str, ...]) -> None:
    command.add_argument(
        "-o", "--output", type=path(*suffixes), action="append", required=True, dest="outputs", metavar="OUT",
        help=f"{', '.join(suffixes)}" + ("; may be given several times" if len(suffixes) > 1 else ""),
    )  # fmt: skip


def add_speech(command: argparse.ArgumentParser, usual_fps: str) -> None:
    """How it is spoken: feeling, frames a second, style; usual_fps: what the help says of frames that are not given."""
    feeling = command.add_mutually_exclusive_group()
    feeling.add_argument("--emotion", type=_emotion, metavar="NAME=W,...", help="for example happy=0.8,surprised=0.2")
    feeling.add_argument("--emotion-curve", type=Path, metavar="FILE.csv", help="time,happy,... in seconds and weights")
    feeling.add_argument("--vad", type=_vad, metavar="V,A,D", help="valence, arousal, dominance, each in [-1, 1]")
    command.add_argument(
        "--channel",
        type=whole_number(1),
        metavar="N",
        help="hear this channel of the sound alone, from 1 (all, as one)",
    )
    command.add_argument("--fps", type=_between(1, 1000), metavar="N", help=f"frames a second ({usual_fps})")
    command.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="another seed, another take (0)")
    for name, what in MEANING.items():
        option, usual, (low, high) = name.replace("_", "-"), getattr(AS_PERFORMED, name), limits(name)
        told = f"{what}; {low:g} to {high:g} ({usual:g})"
        command.add_argument(f"--{option}", type=_between(low, high), default=usual, metavar="X", help=told)
    command.add_argument(
        "--style-curve", type=Path, metavar="FILE.csv",
        help="time,articulation,contact,...: any of these over time, in seconds",
    )  # fmt: skip


def add_landmarks(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--landmarks",
        type=Path,
        metavar="FILE",
        help="68 landmarks in the scan file's coordinates: .json, .xyz, .txt, .fcsv, .mrk.json, .pts (they are found)",
    )


def add_face(command: argparse.ArgumentParser) -> None:
    """How a face is bound: its landmarks, its mouth, on what the networks run."""
    add_landmarks(command)
    command.add_argument("--keep-mouth", action="store_true", help="do not cut lips that the scanner fused")
    add_device(command)


def add_made_parts(command: argparse.ArgumentParser) -> None:
    """What is made for a face that lacks it."""
    command.add_argument(
        "--inner-mouth", choices=INNER_MOUTHS, default="teeth",
        help="behind lips that open: teeth and a tongue (teeth), darkness alone (dark), what the scan has (none)",
    )  # fmt: skip
    command.add_argument("--eyeballs", action="store_true", help="put eyeballs into eyes that are holes or sockets")


def add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--device", choices=tuple(models.DEVICES), default="auto", help="what the networks run on (auto)"
    )


# What they take -------------------------------------------------------------------------------------------------------


def path(*suffixes: str) -> Callable[[str], Path]:
    """A path with one of these suffixes."""

    def check(text: str) -> Path:
        if Path(text).suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"{text} must end in {', '.join(suffixes)}")
        return Path(text)

    return check


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def positive(text: str) -> float:
    """A finite number above 0."""
    if not 0 < _number(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be greater than 0")
    return float(text)


def keys(text: str) -> str | int:
    """The name of a set of shape keys, or how many at most."""
    return text if text in (key_sets.AUTO, key_sets.ARKIT) else whole_number(1)(text)


def _between(low: float, high: float) -> Callable[[str], float]:
    def check(text: str) -> float:
        if not low <= _number(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} must lie between {low:g} and {high:g}")
        return float(text)

    return check


def _emotion(text: str) -> np.ndarray:
    try:
        return emotion.parse(text)
    except EmotionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def three(text: str) -> list[float]:
    """A point: x,y,z."""
    return _three(text, "x,y,z")


def _three(text: str, names: str) -> list[float]:
    values = [_number(word) for word in text.split(",")]
    if len(values) != 3 or not np.isfinite(values).all():
        raise argparse.ArgumentTypeError(f"give three numbers: {names}")
    return values


def _vad(text: str) -> np.ndarray:
    values = _three(text, "valence,arousal,dominance")
    try:
        return emotion.from_vad(*values)
    except EmotionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
