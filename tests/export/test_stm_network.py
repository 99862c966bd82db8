"""Training and inference compute the same motion (needs torch: skipped in the product's environment)."""

import numpy as np
import pytest

from freetalk_blender.core import stm
from freetalk_blender.core.interpolant import interpolant
from tests.core.test_stm import MM, head, speech

torch = pytest.importorskip("torch")


def test_the_mean_of_two_networks_is_the_process_whose_kernel_is_the_mean_of_theirs():
    from export.stm_network import Basis, Mean

    torch.manual_seed(1)
    one, two = Basis(rank=4, width=16), Basis(rank=6, width=16)
    two.log_noise.data += 1
    both = Mean([one, two], smoother=3.0)
    seen = torch.randn(20, stm.FEATURES)
    with torch.no_grad():
        kernels = [torch.einsum("ncr,mdr->ncmd", *[network(seen)] * 2) for network in (one, two, both)]
    assert both.rank == 10
    np.testing.assert_allclose(kernels[2], (kernels[0] + kernels[1]) / 2, atol=1e-6)
    np.testing.assert_allclose(both.log_scale.exp(), 3 * np.exp(-4.0), rtol=1e-6)
    np.testing.assert_allclose(both.log_noise.exp(), (np.exp(-11.0) + np.exp(-10.0)) / 2, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_torch_and_numpy_agree(count):
    from export.stm_network import Basis, Mean, displacement, gated

    vertices, triangles, landmarks = head(2000)
    smooth = interpolant(vertices, triangles, landmarks)
    seen = stm.features(vertices, triangles, smooth)
    torch.manual_seed(0)
    networks = [Basis(rank=8, width=32) for _ in range(count)]
    for each in networks:
        each.normalise(torch.from_numpy(seen.mean(0)), torch.from_numpy(seen.std(0)))
    network = networks[0] if count == 1 else Mean(networks)
    rows = np.concatenate([smooth.rows, np.arange(len(seen))])
    motion = speech()
    tensors = (seen[rows], smooth.gate[rows], smooth.weights, smooth.covariance, motion)
    with torch.no_grad():
        seen_there, gate, *rest = (torch.from_numpy(a.astype(np.float32))[None] for a in tensors)
        trained = displacement(gated(network, seen_there, gate), network, *rest)[0].numpy()
        basis = network(torch.from_numpy(seen)).numpy()
        scale, noise = network.log_scale.exp().item(), network.log_noise.exp().item()
    bound = basis * smooth.gate[:, None, None].astype(np.float32)
    code = stm.posterior(bound, smooth.rows, smooth.covariance, scale, noise)
    matrix = stm.assemble(smooth, bound, code)
    used = (motion.reshape(5, 204) @ matrix).reshape(5, -1, 3)
    np.testing.assert_allclose(used, trained, atol=0.02 * MM)
