"""Training and inference compute the same motion (needs torch: skipped in the product's environment)."""

import numpy as np
import pytest

from freetalk_blender.core.binding import stm
from freetalk_blender.core.binding.interpolant import interpolant
from tests.core.test_stm import MM, head, speech

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("count", "smoother"), [(1, 1.0), (2, 4.0)])
def test_torch_and_numpy_agree(count, smoother):
    from export.stm_network import Basis, Mean, displacement, gated

    vertices, triangles, landmarks = head(2000)
    smooth = interpolant(vertices, triangles, landmarks)
    seen = stm.features(vertices, triangles, smooth)
    torch.manual_seed(0)
    networks = [Basis(rank=8, width=32) for _ in range(count)]
    for each in networks:
        each.normalise(torch.from_numpy(seen.mean(0)), torch.from_numpy(seen.std(0)))
    network = networks[0] if count == 1 else Mean(networks, smoother)
    rows = np.concatenate([smooth.rows, np.arange(len(seen))])
    motion = speech()
    tensors = (seen[rows], smooth.gate[rows], smooth.weights, smooth.covariance, motion)
    with torch.no_grad():
        seen_there, gate, *rest = (torch.from_numpy(a.astype(np.float32))[None] for a in tensors)
        trained = displacement(gated(network, seen_there, gate), network, *rest)[0].numpy()
        basis = network(torch.from_numpy(seen)).numpy()
        variances = [(scale.item(), noise.item()) for scale, noise in Mean(networks, smoother).variances()]
    bound = basis * smooth.gate[:, None, None].astype(np.float32)
    code = stm.mean_posterior(bound, smooth.rows, smooth.covariance, variances)
    learned = stm.correction(bound, bound[smooth.rows], smooth.weights, code)
    matrix = stm.assemble(smooth, learned, learned[:0])
    used = (motion.reshape(5, 204) @ matrix).reshape(5, -1, 3)
    alone = np.einsum("vk,tkc->tvc", smooth.weights, motion)
    assert np.abs(trained - alone).max() > 0.2 * MM  # the networks do something
    np.testing.assert_allclose(used, trained, atol=0.02 * MM)


@pytest.mark.parametrize("trained_together", [False, True])
def test_networks_are_read_back_from_the_file_that_they_were_written_to(tmp_path, trained_together):
    from export.stm_network import Basis, Mean, read
    from export.train_stm import export

    torch.manual_seed(2)
    networks = [Basis(rank=5, width=24) for _ in range(2)]
    for network in networks:
        network.normalise(torch.randn(stm.FEATURES), torch.rand(stm.FEATURES))
        network.head.bias.data.normal_()  # as training leaves it; zeros are not written
    if trained_together:  # then their features have the same statistics, which the file holds once
        networks[1].normalise(networks[0].mean, networks[0].deviation)
    networks[1].log_noise.data += 0.5
    assert export(Mean(networks), tmp_path / "stm.onnx") < 1e-4
    seen = torch.randn(30, stm.FEATURES)
    for found, network in zip(read(tmp_path / "stm.onnx"), networks, strict=True):
        with torch.no_grad():
            np.testing.assert_allclose(found(seen), network(seen), atol=1e-6)
        np.testing.assert_allclose(found.log_noise.item(), network.log_noise.item(), rtol=1e-6)
