"""A network that was exported can be trained further (needs torch: skipped in the product's environment)."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from export.close_network import CloseLandmarks  # noqa: E402


def folded(network: CloseLandmarks) -> dict[str, np.ndarray]:
    """The weights as an exporter writes them: every normalisation folded into the convolution before it."""
    weights = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            before = f"{name.removesuffix('.1')}.0.weight"
            grow = (module.weight / torch.sqrt(module.running_var + module.eps)).detach().numpy()
            weights[before] *= grow[:, None, None, None]
            weights[f"{before}_bias"] = module.bias.detach().numpy() - module.running_mean.numpy() * grow
            for one in ("weight", "bias", "running_mean", "running_var"):
                del weights[f"{name}.{one}"]
    weights["select"], weights["select_1"] = weights.pop("widen")
    return weights


def test_a_network_taken_over_from_its_file_answers_as_before_and_knows_what_its_layers_see() -> None:
    torch.manual_seed(0)
    trained, pictures = CloseLandmarks(), torch.randn(8, 4, 64, 64)
    with torch.no_grad():
        trained.train()(pictures * 2)  # the normalisations have seen something
        again = CloseLandmarks()
        again.take_over(folded(trained.eval()), pictures)
        for one, other in zip(trained(pictures), again.eval()(pictures), strict=True):
            assert torch.allclose(one, other, atol=1e-4)
        assert torch.allclose(again.train()(pictures)[0], again.eval()(pictures)[0], atol=0.05)
