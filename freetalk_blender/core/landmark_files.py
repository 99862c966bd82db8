"""68 landmarks from the files of other programs: plain lists of coordinates, 3D Slicer's markups, iBUG's .pts.

Slicer's scene is RAS (right, anterior, superior), but since 4.11 it takes mesh files to be LPS; so points given in RAS
are turned to LPS, which are the mesh file's own coordinates. Sources: slicer.readthedocs.io, "Markups";
ibug.doc.ic.ac.uk, "Facial point annotations".
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from . import readable
from .errors import LandmarkError

COUNT = 68
_TO_LPS = {"LPS": (1.0, 1.0, 1.0), "1": (1.0, 1.0, 1.0), "RAS": (-1.0, -1.0, 1.0), "0": (-1.0, -1.0, 1.0)}


def read_points(path: Path) -> np.ndarray:
    """(68, 3) points of a .xyz, .txt, .fcsv, .mrk.json or .pts file; LandmarkError says what is wrong with it."""
    path = Path(path)
    try:
        text = readable.text(path)
    except OSError as error:
        raise LandmarkError(f"The landmark file {path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise LandmarkError(f"The landmark file {path} is not text; write it again.") from error
    points = READERS[suffix(path)](text, path)
    if len(points) != COUNT:
        raise LandmarkError(f"The landmark file {path} holds {len(points)} points; 68 in iBUG order are needed.")
    return np.array(points)


def suffix(path: Path) -> str:
    """The ending that says what a landmark file is: .mrk.json for Slicer's, else the last one, in small letters."""
    name = Path(path).name.lower()
    return ".mrk.json" if name.endswith(".mrk.json") else Path(name).suffix


def _read_list(text: str, path: Path) -> list[list[float]]:
    """x y z in every line, parted by spaces, commas or semicolons; # begins a comment."""
    return [_three(words, number, path) for number, words in _lines(text)]


def _read_pts(text: str, path: Path) -> list[list[float]]:
    """iBUG's version 1 files with three numbers a line; the usual two are places in a photograph."""
    before, _, rest = text.partition("{")
    inside, end, _ = rest.partition("}")
    if not end:
        raise LandmarkError(f"The landmark file {path} has no points between {{ and }}; is it a .pts file of iBUG?")
    lines = list(_lines("\n" * before.count("\n") + inside))
    if lines and all(len(words) == 2 for _, words in lines):
        raise LandmarkError(
            f"The landmark file {path} holds places in a photograph (x y); a scan needs x y z, so let FreeTalk find "
            "the landmarks, or export them in three dimensions."
        )
    return [_three(words, number, path) for number, words in lines]


def _read_fcsv(text: str, path: Path) -> list[list[float]]:
    """Slicer's fiducial list: a header of comments, then id, x, y, z and more in every line."""
    said = re.search(r"^#\s*CoordinateSystem\s*=\s*(\w+)", text, re.MULTILINE)
    turn = _to_lps(said[1] if said else "RAS", path)
    rows = [(number, line.split(",")) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [(np.array(_three(row[1:4], k, path)) * turn).tolist() for k, row in rows if not row[0].startswith("#")]


def _read_markups(text: str, path: Path) -> list[list[float]]:
    """Slicer's markups: the control points of the file's first list."""
    try:
        markup = json.loads(text)["markups"][0]
        points = [(place.get("positionStatus", "defined"), place["position"]) for place in markup["controlPoints"]]
        system = str(markup.get("coordinateSystem", "LPS"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise LandmarkError(
            f"The landmark file {path} holds no list of control points as 3D Slicer writes it; save it there again."
        ) from error
    for number, (status, _) in enumerate(points):
        if status != "defined":
            raise LandmarkError(f"Point {number} of the landmark file {path} is not placed yet; place it in 3D Slicer.")
    turn = _to_lps(system, path)
    return [(np.array(_numbers(place, f"point {k}", path)) * turn).tolist() for k, (_, place) in enumerate(points)]


def _to_lps(system: str, path: Path) -> np.ndarray:
    if system.upper() not in _TO_LPS:
        raise LandmarkError(f"The landmark file {path} is in coordinates {system!r}; save it as LPS or RAS.")
    return np.array(_TO_LPS[system.upper()])


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """Number and words of every line that is not empty or a comment."""
    stripped = ((number, line.split("#")[0]) for number, line in enumerate(text.splitlines(), 1))
    return [(number, re.split(r"[\s,;]+", line.strip(" \t,;"))) for number, line in stripped if line.strip()]


def _three(words: list[str], line: int, path: Path) -> list[float]:
    return _numbers(words, f"line {line}", path)


def _numbers(values: list, where: str, path: Path) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != 3 or not np.isfinite(numbers).all():
        raise LandmarkError(f"The landmark file {path} needs three finite numbers x y z in {where}.")
    return numbers


READERS: dict[str, Callable[[str, Path], list[list[float]]]] = {
    ".xyz": _read_list,
    ".txt": _read_list,
    ".pts": _read_pts,
    ".fcsv": _read_fcsv,
    ".mrk.json": _read_markups,
}
