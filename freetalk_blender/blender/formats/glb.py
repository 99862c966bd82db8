"""A .glb as Blender's exporter writes it: its numbers read, and more of them added."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

#: Sizes of the file's header, and of a chunk's, in bytes.
_HEADER, _CHUNK = 12, 8
_KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_SHORT, _INT, _FLOAT = 5123, 5125, 5126
#: What a buffer view is for: vertices' own numbers.
_VERTICES = 34962


class Glb:
    """tree: what the file says, as a dictionary."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        (size,) = struct.unpack_from("<I", content, _HEADER)
        self._path, self._start = path, content[:8]
        self.tree: dict[str, Any] = json.loads(content[_HEADER + _CHUNK : _HEADER + _CHUNK + size])
        self._binary = bytearray(content[_HEADER + size + 2 * _CHUNK :])

    def count(self, number: int) -> int:
        """How many rows an accessor has."""
        return self.tree["accessors"][number]["count"]

    def read(self, number: int) -> np.ndarray:
        """(n, width) what an accessor holds."""
        found = self.tree["accessors"][number]
        width, kind = _WIDTHS[found["type"]], _KINDS[found["componentType"]]
        if "bufferView" in found:
            answer = self._read(found, kind, found["count"] * width).reshape(-1, width)
        else:
            answer = np.zeros((found["count"], width), kind)
        if "sparse" in found:
            few = found["sparse"]
            held = self._read(few["values"], kind, few["count"] * width).reshape(-1, width)
            answer = answer.copy()
            answer[self._read(few["indices"], _KINDS[few["indices"]["componentType"]], few["count"])] = held
        return answer

    def _read(self, found: dict, kind: str, count: int) -> np.ndarray:
        view = self.tree["bufferViews"][found["bufferView"]]
        return np.frombuffer(self._binary, kind, count, view.get("byteOffset", 0) + found.get("byteOffset", 0)).copy()

    def add(self, rows: np.ndarray) -> int:
        """The accessor of these (n,3) float32, which holds those alone that are not zero where that is shorter."""
        held = np.flatnonzero(rows.any(1))
        if not len(held):
            held = np.array([0])  # few readers know one that holds nothing
        kind = _SHORT if held[-1] < 1 << 16 else _INT
        entry: dict[str, Any] = {"componentType": _FLOAT, "count": len(rows), "type": "VEC3"}
        index = held.astype(_KINDS[kind])
        if index.nbytes + rows[held].nbytes < rows.nbytes:
            indices, values = self._lay(index.tobytes()), self._lay(rows[held].tobytes())
            indices["componentType"] = kind
            entry["sparse"] = {"count": len(held), "indices": indices, "values": values}
        else:
            entry |= self._lay(rows.tobytes(), target=_VERTICES)
        self.tree["accessors"].append(entry)
        return len(self.tree["accessors"]) - 1

    def _lay(self, data: bytes, **words: int) -> dict[str, Any]:
        """What names a buffer view of these bytes, which stand behind all others."""
        self._binary += bytes(-len(self._binary) % 4)
        views = self.tree["bufferViews"]
        views.append({"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(data), **words})
        self._binary += data
        return {"bufferView": len(views) - 1}

    def write(self) -> None:
        """Put the file in its place again."""
        self._binary += bytes(-len(self._binary) % 4)
        self.tree["buffers"][0]["byteLength"] = len(self._binary)
        text = json.dumps(self.tree, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 4)
        length = _HEADER + 2 * _CHUNK + len(text) + len(self._binary)
        with self._path.open("wb") as stream:
            stream.write(self._start + struct.pack("<2I4s", length, len(text), b"JSON") + text)
            stream.write(struct.pack("<I4s", len(self._binary), b"BIN\0"))
            stream.write(self._binary)
