"""The last step of every export: what a network says of itself, and nothing of the machine that made it."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from freetalk_blender.core import atomic

#: Fewer weights than this are not worth a cast.
_HALVED = 256


def save(model: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a model, whole or not at all, with its metadata and without the exporter's traces."""
    graph = model.graph
    for item in [graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output]:
        del item.metadata_props[:]  # PyTorch keeps stack traces here, with the paths of the machine
    for node in graph.node:
        node.doc_string = ""
    model.producer_name = "FreeTalk"
    onnx.helper.set_model_props(model, dict(metadata))
    with atomic.output(path) as temporary:
        onnx.save(model, temporary)


def halve_weights(model: onnx.ModelProto) -> None:
    """Store float32 weights of at least _HALVED numbers as float16, cast back when the network loads: half the file.

    Reckoning stays float32; what changes is each weight's last digits (relative error up to 2**-11).
    """
    graph = model.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or math.prod(weight.dims) < _HALVED:
            continue
        name = weight.name
        half = onnx.numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])


def weights(path: Path) -> dict[str, np.ndarray]:
    """Every stored number of a model by its name; those stored in half precision as float32."""
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    return {
        name.removesuffix(".half"): value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in stored.items()
    }


def blend(model: onnx.ModelProto, other: Mapping[str, np.ndarray], share: float) -> None:
    """Make a model's weights `share` of its own and the rest those of another of the same architecture, as `weights`
    reads them. KeyError where the other lacks one.

    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models": between the weights from which a network was
    trained further and those that it reached lie better ones than either.
    """
    for weight in model.graph.initializer:
        own = onnx.numpy_helper.to_array(weight)
        if own.dtype.kind == "f":
            mixed = share * own.astype(np.float32) + (1 - share) * other[weight.name.removesuffix(".half")]
            weight.CopyFrom(onnx.numpy_helper.from_array(mixed.astype(own.dtype), weight.name))
