"""The last step of every export: what a network says of itself, and nothing of the machine that made it."""

from collections.abc import Mapping
from pathlib import Path

import onnx


def save(model: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a model, whole or not at all, with its metadata and without the exporter's traces."""
    graph = model.graph
    for item in [graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output]:
        del item.metadata_props[:]  # PyTorch keeps stack traces here, with the paths of the machine
    for node in graph.node:
        node.doc_string = ""
    model.producer_name = "FreeTalk"
    onnx.helper.set_model_props(model, dict(metadata))
    temporary = path.with_suffix(".partial")
    onnx.save(model, temporary)
    temporary.replace(path)
