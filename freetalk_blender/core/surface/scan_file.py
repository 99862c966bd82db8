"""OBJ, PLY and STL files as the arrays they hold: every vertex, in the file's own order and axes.

Importers drop vertices that no face uses and merge others; displacement for "the file's own vertices" must not.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MeshError
from ..readable import is_readable
from . import mesh

_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
#: The numbers of a corner's texture and normal; of its texture.
_OBJ_SLASHED = re.compile(r"/\S*")
_OBJ_TEXTURE = re.compile(r"\d/(-?\d+)\S*")
#: The file of an OBJ's materials; what a material shows a picture of, and the picture, after options; a PLY's picture.
_OBJ_LIBRARY = re.compile(r"^[ \t]*mtllib[ \t]+(.*?)\s*$", re.MULTILINE)
_MTL_PICTURE = re.compile(
    r"^[ \t]*(map_\w+|bump|disp|decal|norm|refl)[ \t]+(?:-\w+ +(?:(?:on|off|[-\d.]+) +)*)*(.*?)\s*$",
    re.MULTILINE | re.IGNORECASE,
)
_PLY_PICTURE = re.compile(r"^comment[ \t]+TextureFile[ \t]+(.*?)\s*$", re.MULTILINE)
#: A PLY's header is not longer (bytes).
_PLY_HEADER = 1 << 16
_STL_VERTEX = re.compile(rb"^[ \t]*vertex\s(.*)$", re.MULTILINE | re.IGNORECASE)
#: Put after a text's numbers: where it is not the last that is read, something before it is none.
_END = -(2**31 - 1)
#: Bytes of a binary STL up to the end of its first facet.
_STL_START = 134
_STL_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(vertices (V,3) float32, triangles (F,3) int32); polygons become fans, an STL's corners stay 3 F vertices.

    Raises MeshError in one sentence where the file is missing, cannot be read, is no such format, or is damaged.
    """
    vertices, triangles, offset = read_near(path)
    return (vertices + offset).astype(np.float32) if offset.any() else vertices, triangles


def read_near(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(vertices (V,3) float32, triangles (F,3) int32, offset (3,)): the file's coordinates are vertices + offset.

    The offset, of whole numbers, is zero but where the file holds a small mesh far from its origin more exactly than 32
    bits can, as georeferenced scans are. Raises MeshError as `read` does.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise MeshError(f"The scan {path} does not exist; check the path.")
        if path.suffix.lower() not in READERS:
            raise MeshError(f"{path} is not a scan that FreeTalk reads without Blender; use {', '.join(READERS)}.")
        with np.errstate(over="ignore", invalid="ignore"):  # numbers that are none of a place or of a vertex
            exact, triangles = READERS[path.suffix.lower()](path)
            offset = _offset(exact)
            vertices = (exact - offset if offset.any() else exact).astype(np.float32)
    except KeyError as error:
        raise MeshError(
            f"The scan {path} cannot be read ({error} is missing or unknown); the file may be damaged."
        ) from error
    except OSError as error:
        raise MeshError(f"The scan {path} cannot be read ({error.strerror or error}); check the path.") from error
    except (ValueError, IndexError, OverflowError) as error:
        raise MeshError(f"The scan {path} cannot be read ({error}); the file may be damaged.") from error
    if not len(vertices) or not len(triangles):
        raise MeshError(
            f"The scan {path} holds {len(vertices)} vertices and {len(triangles)} faces; export the surface itself."
        )
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise MeshError(f"The scan {path} has a face that names a vertex it does not hold; is it whole?")
    return vertices, triangles, offset


def _offset(exact: np.ndarray) -> np.ndarray:
    """(3,) what has to be taken from a file's coordinates (V,3) for 32 bits to hold them; nothing is gained by it where
    the file has no more than 32 itself."""
    if exact.dtype != np.float64 or not mesh.far_from_origin(exact):
        return np.zeros(3)
    return np.round(exact[np.isfinite(exact).all(1)].mean(0))


def read_uvs(path: Path) -> np.ndarray | None:
    """(F,3,2) float32 texture coordinates of the corners of the triangles that `read` answers; None where the file is
    no OBJ, or does not have them for each corner."""
    if path.suffix.lower() != ".obj":
        return None
    lines, kinds = _obj_lines(path)
    polygons = [lines[row][2:].partition("#")[0] for row in np.flatnonzero(kinds == "f ")]
    counts = np.array([len(polygon.split()) for polygon in polygons], int)
    named = _OBJ_TEXTURE.findall(" ".join(polygons))
    points = [" ".join(lines[row].split()[1:3]) for row in np.flatnonzero(kinds == "vt")]
    if len(named) != counts.sum():
        return None
    try:
        corners = _from_zero(_numbers(" ".join(named), int), counts, np.cumsum(kinds == "vt")[kinds == "f "])
        return _numbers(" ".join(points)).reshape(len(points), 2).astype(np.float32)[_fans(corners, counts)]
    except (ValueError, IndexError):
        return None


def missing_pictures(path: Path) -> list[Path]:
    """Pictures of colour that an OBJ's materials name and that are nowhere Blender looks for them, or that nobody may
    read; none of others."""
    if path.suffix.lower() != ".obj":
        return []
    places = {name: _places(path, name) for shows, name in _named_pictures(path) if shows == "map_kd"}
    return [path.parent / name for name, at in places.items() if not any(map(is_readable, at))]


def pictures(path: Path) -> list[Path]:
    """Where the pictures may be that an OBJ's materials or a PLY's header name; none of others."""
    return [place for _, name in _named_pictures(path) for place in _places(path, name)]


def _places(path: Path, name: str) -> list[Path]:
    """Where Blender looks for a picture of that name in a scan's materials."""
    return [path.parent / at for at in (name, name.replace("_", " "), Path(name).name)]


def _named_pictures(path: Path) -> list[tuple[str, str]]:
    """What is shown by a picture that a scan names, in small letters, and the picture's name."""
    found: list[tuple[str, str]] = []
    if not is_readable(path):
        return found
    if path.suffix.lower() == ".ply":
        with path.open("rb") as file:
            header = file.read(_PLY_HEADER).partition(b"end_header")[0].decode("utf-8", "replace")
        found += [("colour", name) for name in _PLY_PICTURE.findall(header)]
    elif path.suffix.lower() == ".obj":
        for named in _OBJ_LIBRARY.findall(path.read_text(encoding="utf-8-sig", errors="replace")):
            if is_readable(library := path.parent / named):
                found += _MTL_PICTURE.findall(library.read_text(encoding="utf-8-sig", errors="replace"))
    return [(shows.lower(), name.strip('"').replace("\\", "/")) for shows, name in found]


def _numbers(text: str, kind: type = float) -> np.ndarray:
    """(N,) the numbers of a text, whatever white space is between them; ValueError where anything else is."""
    with suppress(DeprecationWarning, ValueError):  # numpy 1 only warns, and answers what is before it
        numbers: np.ndarray = np.fromstring(f"{text} {_END}", kind, sep=" ")
        if numbers[-1:].tolist() == [_END]:
            return numbers[:-1]
    raise ValueError("it has something else where a number should be")


def _fans(corners: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(F,3) int32 triangles of polygons: all their corners one after the other, and how many each has."""
    fans = np.maximum(counts - 2, 0)
    first = np.repeat(np.cumsum(counts) - counts, fans)
    step = np.arange(len(first)) - np.repeat(np.cumsum(fans) - fans, fans)
    return np.stack([corners[first], corners[first + step + 1], corners[first + step + 2]], 1).astype(np.int32)


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    lines, kinds = _obj_lines(path)
    points = [" ".join(lines[row].split()[1:4]) for row in np.flatnonzero(kinds == "v ")]
    polygons = [lines[row][2:].partition("#")[0] for row in np.flatnonzero(kinds == "f ")]
    vertices = _numbers(" ".join(points)).reshape(len(points), 3)
    corners = _numbers(_OBJ_SLASHED.sub("", " ".join(polygons)), int)
    counts = np.array([len(polygon.split()) for polygon in polygons], int)
    corners = _from_zero(corners, counts, np.cumsum(kinds == "v ")[kinds == "f "])
    return vertices, _fans(corners, counts)


def _obj_lines(path: Path) -> tuple[list[str], np.ndarray]:
    """An OBJ's lines, and the first two letters of each."""
    text = path.read_text(encoding="utf-8-sig", errors="replace").replace("\\\n", " ")
    lines = [line.lstrip() for line in text.splitlines()]
    return lines, np.array([line[:2].expandtabs(1) for line in lines], "U2")


def _from_zero(corners: np.ndarray, counts: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Corners counted from 0; held: points before each polygon, from which negative ones count back."""
    return np.where(corners > 0, corners - 1, corners + np.repeat(held, counts))


@dataclass(frozen=True)
class _Element:
    """A PLY element: its name, how many, and its properties as (name, type, type of a list's length or None)."""

    name: str
    count: int
    properties: list[tuple[str, str, str | None]]


def _read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = path.read_bytes()
    end = content.find(b"end_header")
    if not content.startswith(b"ply") or end < 0:
        raise ValueError("it has no PLY header")
    form, elements = _ply_header(content[:end].decode("utf-8", "replace"))
    body = content[content.index(b"\n", end) + 1 :]
    if form == "ascii":
        body = _numbers(body.decode("latin-1")).tobytes()
    vertices, triangles = np.empty((0, 3), np.float32), np.empty((0, 3), np.int32)
    at = 0
    for element in elements:
        columns, at = _columns(element, body, at)
        if element.name == "vertex":
            vertices = np.stack([np.asarray(columns[axis]) for axis in "xyz"], 1)
        elif element.name == "face":
            corners = columns["vertex_indices"] if "vertex_indices" in columns else columns["vertex_index"]
            triangles = _fans(np.concatenate([*corners, []]).astype(int), np.array([len(row) for row in corners], int))
    return vertices, triangles


def _ply_header(header: str) -> tuple[str, list[_Element]]:
    """The form of a PLY and its elements, whose types are numpy's; a text is read as numbers of 8 bytes."""
    form, elements = "", []

    def kind(name: str) -> str:
        own = _PLY_TYPES[name]
        return "f8" if form == "ascii" else (">" if form == "binary_big_endian" else "<") + own

    for line in header.splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            form = words[1]
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[:2] == ["property", "list"]:
            elements[-1].properties.append((words[4], kind(words[3]), kind(words[2])))
        elif words[:1] == ["property"]:
            elements[-1].properties.append((words[2], kind(words[1]), None))
    return form, elements


def _columns(element: _Element, body: bytes, at: int) -> tuple[dict[str, np.ndarray | list[np.ndarray]], int]:
    """An element's values by property, from byte `at` of the body on: numbers, or arrays; and the byte after them."""
    if not element.count:
        return {name: [] for name, _, _ in element.properties}, at
    row = _row(element, body, at)
    end = at + row.itemsize * element.count
    if end <= len(body):  # as long as it is where all lists are as long as the first row's
        table = np.frombuffer(body, row, element.count, at)
        lengths = [table[_length(name)] for name, _, length in element.properties if length]
        if all((length == length[0]).all() for length in lengths):
            return {name: table[name] for name, _, _ in element.properties}, end
    rows = []
    for _ in range(element.count):
        row = _row(element, body, at)
        rows.append(_take(body, row, at))
        at += row.itemsize
    return {name: [row[name] for row in rows] for name, _, _ in element.properties}, at


def _row(element: _Element, body: bytes, at: int) -> np.dtype:
    """numpy's type of the row of an element that begins at byte `at`; its lists are as long as they say there."""
    fields: tuple[tuple, ...] = ()
    for name, kind, length in element.properties:
        if length:
            count = int(_take(body, np.dtype(length), at + _layout(fields).itemsize))
            fields += ((_length(name), length), (name, kind, (count,)))
        else:
            fields += ((name, kind),)
    return _layout(fields)


@lru_cache
def _layout(fields: tuple[tuple, ...]) -> np.dtype:
    """A row of these fields; a file has rows of few kinds."""
    return np.dtype(list(fields))


def _length(name: str) -> str:
    return f"length of {name}"


def _take(body: bytes, kind: np.dtype, at: int) -> Any:
    """The one value of that type at byte `at`."""
    if at + kind.itemsize > len(body):
        raise ValueError("it ends too early")
    return np.frombuffer(body, kind, 1, at)[0]


def _read_stl(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = path.read_bytes()
    count = int(np.frombuffer(content, "<u4", 1, 80)[0]) if len(content) >= 84 else -1
    end = 84 + _STL_RECORD.itemsize * count
    is_text = content.lstrip()[:5].lower() == b"solid" and b"\0" not in content[:_STL_START]
    if len(content) == end or (count > 0 and end < len(content) and not is_text):  # some programs append their own
        corners = np.frombuffer(content, _STL_RECORD, count, 84)["corners"]
    elif is_text:
        corners = _numbers(b" ".join(_STL_VERTEX.findall(content)).decode("latin-1")).reshape(-1, 3, 3)
    else:
        raise ValueError("it is neither a text STL nor a binary one of the length that it states")
    vertices = corners.reshape(-1, 3)
    return vertices, np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)


READERS: dict[str, Callable[[Path], tuple[np.ndarray, np.ndarray]]] = {
    ".obj": _read_obj,
    ".ply": _read_ply,
    ".stl": _read_stl,
}
