"""A network with halved weights is smaller and says the same."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def test_halved_weights_say_the_same(tmp_path) -> None:
    from export import onnx_file

    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(64, 64)).astype(np.float32), rng.normal(size=64).astype(np.float32)
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("MatMul", ["x", "weight"], ["product"]),
            onnx.helper.make_node("Add", ["product", "bias"], ["y"]),
        ],
        "small",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None, 64])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None, 64])],
        [onnx.numpy_helper.from_array(weight, "weight"), onnx.numpy_helper.from_array(bias, "bias")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx_file.save(model, tmp_path / "whole.onnx", {})
    onnx_file.halve_weights(model)
    onnx_file.save(model, tmp_path / "half.onnx", {"unit": "none"})
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * (tmp_path / "whole.onnx").stat().st_size
    x = rng.normal(size=(5, 64)).astype(np.float32)
    answers = [
        onnxruntime.InferenceSession(str(tmp_path / name)).run(None, {"x": x})[0]
        for name in ("whole.onnx", "half.onnx")
    ]
    assert answers[1] == pytest.approx(answers[0], abs=0.03) and not np.array_equal(*answers)
    read = onnx_file.weights(tmp_path / "half.onnx")
    assert read["weight"].dtype == np.float32 and read["weight"] == pytest.approx(weight, rel=2**-10, abs=1e-6)
    assert np.array_equal(read["bias"], bias)
    onnx_file.blend(model, {"weight": np.zeros_like(weight), "bias": bias + 4}, 0.75)
    onnx_file.save(model, tmp_path / "blend.onnx", {})
    mixed = onnx_file.weights(tmp_path / "blend.onnx")
    assert mixed["weight"] == pytest.approx(0.75 * weight, rel=2**-9, abs=1e-6)
    assert mixed["bias"] == pytest.approx(bias + 1)
