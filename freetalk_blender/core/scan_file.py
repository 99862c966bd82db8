"""OBJ, PLY and STL files as the arrays they hold: every vertex, in the file's own order and axes.

Importers drop vertices that no face uses and merge others; displacement for "the file's own vertices" must not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import MeshError

_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_STL_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(vertices (V,3) float32, triangles (F,3) int32); polygons become fans, an STL's corners stay 3 F vertices.

    Raises MeshError in one sentence where the file is missing, is no such format, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise MeshError(f"The scan {path} does not exist; check the path.")
    try:
        vertices, triangles = READERS[path.suffix.lower()](path)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise MeshError(f"The scan {path} cannot be read ({error}); is it whole?") from error
    if not len(vertices) or not len(triangles):
        raise MeshError(
            f"The scan {path} holds {len(vertices)} vertices and {len(triangles)} faces; export the surface itself."
        )
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise MeshError(f"The scan {path} has a face that names a vertex it does not hold; is it whole?")
    return vertices, triangles


def _fans(polygons: Iterator[list[int]] | list) -> np.ndarray:
    triangles = [(face[0], face[k], face[k + 1]) for face in polygons for k in range(1, len(face) - 1)]
    return np.array(triangles, np.int64).reshape(-1, 3)


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    points: list[list[str]] = []
    polygons: list[list[int]] = []
    text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith(("v ", "v\t")):
            points.append(line.split()[1:4])
        elif line.startswith(("f ", "f\t")):
            corners = [int(word.split("/", 1)[0]) for word in line.split("#", 1)[0].split()[1:]]
            polygons.append([corner - 1 if corner > 0 else corner + len(points) for corner in corners])
    vertices = np.array(points, np.float64).reshape(-1, 3)
    return vertices.astype(np.float32), _fans(polygons).astype(np.int32)


@dataclass(frozen=True)
class _Element:
    """A PLY element: its name, how many, and its properties as (name, type, type of a list's length or None)."""

    name: str
    count: int
    properties: list[tuple[str, str, str | None]]

    @property
    def has_lists(self) -> bool:
        return any(length for _, _, length in self.properties)


def _read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = path.read_bytes()
    end = content.find(b"end_header")
    if not content.startswith(b"ply") or end < 0:
        raise ValueError("it has no PLY header")
    form, elements = _ply_header(content[:end].decode("ascii"))
    body = content[content.index(b"\n", end) + 1 :]
    order = ">" if form == "binary_big_endian" else "<"
    reader: _PlyText | _PlyBinary = _PlyText(body) if form == "ascii" else _PlyBinary(body, order)
    vertices, triangles = np.empty((0, 3), np.float32), np.empty((0, 3), np.int32)
    for element in elements:
        columns = reader.columns(element)
        if element.name == "vertex":
            vertices = np.stack([np.asarray(columns[axis], np.float32) for axis in "xyz"], 1)
        elif element.name == "face":
            corners = columns["vertex_indices"] if "vertex_indices" in columns else columns["vertex_index"]
            triangles = _fans([row.tolist() for row in corners]).astype(np.int32)
    return vertices, triangles


def _ply_header(header: str) -> tuple[str, list[_Element]]:
    form, elements = "", []
    for line in header.splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            form = words[1]
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[:2] == ["property", "list"]:
            elements[-1].properties.append((words[4], _PLY_TYPES[words[3]], _PLY_TYPES[words[2]]))
        elif words[:1] == ["property"]:
            elements[-1].properties.append((words[2], _PLY_TYPES[words[1]], None))
    return form, elements


class _PlyBinary:
    """The body of a binary PLY, read from the front; order is "<" or ">"."""

    def __init__(self, body: bytes, order: str):
        self.body, self.order, self.at = body, order, 0

    def columns(self, element: _Element) -> dict[str, list | np.ndarray]:
        """The element's values by property: an array of numbers, or a list of arrays."""
        if not element.has_lists:
            table = self._take([(name, self.order + kind) for name, kind, _ in element.properties], element.count)
            return {name: table[name] for name, _, _ in element.properties}
        return _rows(element, self._some)

    def _some(self, kind: str, count: int) -> np.ndarray:
        return self._take(self.order + kind, count)

    def _take(self, kind: str | list, count: int) -> np.ndarray:
        dtype = np.dtype(kind)
        values = np.frombuffer(self.body, dtype, count, self.at)
        self.at += dtype.itemsize * count
        return values


class _PlyText:
    """The body of a text PLY, read word by word."""

    def __init__(self, body: bytes):
        self.words = body.split()
        self.at = 0

    def columns(self, element: _Element) -> dict[str, list | np.ndarray]:
        """As _PlyBinary.columns."""
        if not element.has_lists:
            width = len(element.properties)
            table = self._some("f8", width * element.count).reshape(element.count, width)
            return {name: table[:, column] for column, (name, _, _) in enumerate(element.properties)}
        return _rows(element, self._some)

    def _some(self, kind: str, count: int) -> np.ndarray:
        if self.at + count > len(self.words):
            raise ValueError("it ends too early")
        values = np.array(self.words[self.at : self.at + count], np.float64)
        self.at += count
        return values


def _rows(element: _Element, take: Callable[[str, int], np.ndarray]) -> dict[str, list | np.ndarray]:
    """An element with lists, row by row: take(type, count) reads on."""
    columns: dict[str, list] = {name: [] for name, _, _ in element.properties}
    for _ in range(element.count):
        for name, kind, length in element.properties:
            values = take(kind, int(take(length, 1)[0]) if length else 1)
            columns[name].append(values.astype(np.int64) if length else values[0])
    return {name: columns[name] for name in columns}


def _read_stl(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = path.read_bytes()
    count = int(np.frombuffer(content, "<u4", 1, 80)[0]) if len(content) >= 84 else -1
    if len(content) == 84 + _STL_RECORD.itemsize * count:
        corners = np.frombuffer(content, _STL_RECORD, count, 84)["corners"]
    elif content.lstrip().startswith(b"solid"):
        words = [line.split()[1:4] for line in content.decode("ascii", "replace").splitlines() if "vertex" in line]
        corners = np.array(words, np.float64).reshape(-1, 3, 3)
    else:
        raise ValueError("it is neither a text STL nor a binary one of the length that it states")
    vertices = corners.reshape(-1, 3).astype(np.float32)
    return vertices, np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)


READERS: dict[str, Callable[[Path], tuple[np.ndarray, np.ndarray]]] = {
    ".obj": _read_obj,
    ".ply": _read_ply,
    ".stl": _read_stl,
}
