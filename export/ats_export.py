"""The trained ATS trunk with its face as onnx_models/ats.onnx."""

import io
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from export import articulation, ats_network, feelings, ict, onnx_file
from freetalk_blender.core.landmarks import LIPS
from freetalk_blender.core.voice.emotion import EMOTIONS
from freetalk_blender.core.voice.speech import CONTEXT, FEATURES


def export(network: ats_network.Ats, output: Path, metadata: dict[str, str]) -> float:
    """Write the graph; the largest difference between it and PyTorch (canonical units)."""
    network.eval()
    traced = io.BytesIO()
    frames = 60
    random = np.random.default_rng(0)
    inputs = (
        torch.from_numpy(random.normal(size=(1, frames + 2 * CONTEXT, FEATURES)).astype(np.float32)),
        torch.from_numpy(random.uniform(0, 0.3, (1, frames, len(EMOTIONS))).astype(np.float32)),
        torch.from_numpy(random.uniform(0, 2, (1, frames, 4)).astype(np.float32)),
        torch.from_numpy(random.uniform(0, 1, (1, frames, 1)).astype(np.float32)),
        torch.from_numpy(random.uniform(0, 1, (1, frames, 1)).astype(np.float32)),
    )
    names = ["features", "emotion", "style", "blink", "brow"]
    torch.onnx.export(
        network,
        inputs,
        traced,
        input_names=names,
        output_names=["displacement", "events"],
        dynamic_axes={
            "features": {1: "frames_and_context"},
            **{name: {1: "frames"} for name in (*names[1:], "displacement", "events")},
        },
        opset_version=17,
        dynamo=False,
    )  # fmt: skip
    onnx_file.save(onnx.load_from_string(traced.getvalue()), output, metadata)
    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    ours = session.run(None, dict(zip(names, [x.numpy() for x in inputs], strict=True)))
    with torch.no_grad():
        theirs = network(*inputs)
    return max(float(np.abs(a - b.numpy()).max()) for a, b in zip(ours, theirs, strict=True))


def build_face(model: ict.IctModel, wider: float, taller: float) -> ats_network.Face:
    """The fixed part of the network: landmark shapes of speech, emotions, lids and emphasis.

    In speech lips move sideways `wider` times as far as predicted, and up and down from their middle `taller` times.
    """
    spoken = articulation.basis(model, articulation.SPEECH_CONTROLS)
    spoken[:, LIPS, 0] *= wider
    middle = spoken[:, [62, 66], 1].mean(1, keepdims=True)
    spoken[:, LIPS, 1] = middle + taller * (spoken[:, LIPS, 1] - middle)
    arrays = (
        spoken,
        spoken[list(articulation.SPEECH_CONTROLS).index("jawOpen")],
        articulation.rounding(model),
        feelings.shapes(model),
        feelings.lids(model),
        feelings.brows(model),
        feelings.energy(),
    )
    return ats_network.Face(*[torch.from_numpy(array.astype(np.float32)) for array in arrays])
