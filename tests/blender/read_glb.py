"""A reader of binary glTF for the tests, written from the specification: it shares no code with the exporter."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_VECTORS = ("POSITION", "NORMAL")
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


@dataclass
class Morphs:
    """positions (V,3) in the world; shapes (K,V,3); names of the shapes; times (T,) s; weights (T,K); normals (V,3) in
    the mesh's own axes and what shapes add to them (K,V,3)."""

    positions: np.ndarray
    shapes: np.ndarray
    names: list[str]
    times: np.ndarray
    weights: np.ndarray
    normals: np.ndarray
    turns: np.ndarray


def document(path: Path) -> tuple[dict, bytes]:
    """What the file says, and the numbers beside it."""
    content = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    (size,) = struct.unpack_from("<I", content, 12)
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def read(path: Path) -> Morphs:
    """The first mesh with morph targets and its weights animation."""
    tree, binary = document(path)

    def accessor(index: int) -> np.ndarray:
        entry = tree["accessors"][index]
        width = _WIDTHS[entry["type"]]
        values = np.zeros((entry["count"], width))
        if "bufferView" in entry:
            values[:] = numbers(entry, entry["componentType"], entry["count"] * width).reshape(-1, width)
        if "sparse" in entry:
            few = entry["sparse"]
            index = numbers(few["indices"], few["indices"]["componentType"], few["count"])
            assert (np.diff(index.astype(int)) > 0).all()
            values[index] = numbers(few["values"], entry["componentType"], few["count"] * width).reshape(-1, width)
        return values.squeeze(-1 if width == 1 else ())

    def numbers(entry: dict, kind: int, count: int) -> np.ndarray:
        view = tree["bufferViews"][entry["bufferView"]]
        start = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
        return np.frombuffer(binary, _COMPONENTS[kind], count, start)

    number = next(i for i, mesh in enumerate(tree["meshes"]) if mesh["primitives"][0].get("targets"))
    mesh = tree["meshes"][number]
    node_number = next(i for i, node in enumerate(tree["nodes"]) if node.get("mesh") == number)
    turn = matrix(tree["nodes"][node_number])
    parts = mesh["primitives"]
    count = len(parts[0]["targets"])
    positions, normals = (np.concatenate([accessor(p["attributes"][name]) for p in parts]) for name in _VECTORS)
    shapes, turns = (
        np.stack([np.concatenate([accessor(p["targets"][k][name]) for p in parts]) for k in range(count)])
        for name in _VECTORS
    )
    animation = tree["animations"][0]
    channel = next(c for c in animation["channels"] if c["target"] == {"node": node_number, "path": "weights"})
    sampler = animation["samplers"][channel["sampler"]]
    assert sampler.get("interpolation", "LINEAR") == "LINEAR"
    times, weights = accessor(sampler["input"]), accessor(sampler["output"]).reshape(-1, count)
    names = mesh["extras"]["targetNames"]
    placed, moved = positions @ turn[:3, :3].T + turn[:3, 3], shapes @ turn[:3, :3].T
    return Morphs(placed, moved, names, times, weights, normals, turns)


def matrix(node: dict) -> np.ndarray:
    """(4,4) of a node without a parent."""
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    answer = np.identity(4)
    answer[:3, :3] = rotation * np.array(node.get("scale", (1, 1, 1)))
    answer[:3, 3] = node.get("translation", (0, 0, 0))
    return answer
