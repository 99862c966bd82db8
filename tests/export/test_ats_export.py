"""The ATS network: steadied against what means nothing, and exported as it answers."""

import numpy as np
import pytest

from freetalk_blender.core.voice.speech import CONTEXT, FEATURES

torch = pytest.importorskip("torch")


def answers(trunk, features: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.concatenate([part[0].numpy() for part in trunk(torch.from_numpy(features[None]))], -1)


def test_steadying_takes_out_the_direction_that_is_noise_and_leaves_the_others() -> None:
    from export import ats_network, steadying

    torch.manual_seed(0)
    trunk = ats_network.Trunk(4).eval()
    torch.nn.init.normal_(trunk.leave.weight)
    random = np.random.default_rng(0)
    features = random.normal(size=(30 + 2 * CONTEXT, FEATURES)).astype(np.float32)
    features[:, 5] = 0.0
    noisy = features.copy()
    noisy[:, 5] = random.normal(size=len(features))
    before, disturbed = answers(trunk, features), answers(trunk, noisy)
    place = np.zeros((FEATURES, FEATURES))
    place[5, 5] = 10.0
    steadying.steady(trunk, steadying.Noise(np.eye(FEATURES), place))
    after, steadied = answers(trunk, features), answers(trunk, noisy)
    assert np.abs(after - before).max() < 1e-4
    assert np.abs(steadied - after).max() < 0.2 * np.abs(disturbed - before).max()


@pytest.mark.parametrize("frames", [1, 90])
def test_the_exported_graph_moves_landmarks_as_pytorch_does(tmp_path, frames: int) -> None:
    """Trunk and face with random weights, at lengths other than the one exported, with every input at work."""
    import onnxruntime

    from export import ats_export, ats_network

    torch.manual_seed(0)
    trunk = ats_network.Trunk(6)
    torch.nn.init.normal_(trunk.leave.weight)
    shapes = [torch.randn(*size) * 0.05 for size in ((6, 68, 3), (68, 3), (68, 3), (8, 68, 3), (68, 3), (68, 3), (8,))]
    network = ats_network.Ats(trunk, ats_network.Face(*shapes)).eval()
    path = tmp_path / "ats.onnx"
    assert ats_export.export(network, path, {"version": "test"}) < 1e-4
    sizes = {"features": FEATURES, "emotion": 8, "style": 4, "blink": 1, "brow": 1}
    rows = {name: frames + 2 * CONTEXT if name == "features" else frames for name in sizes}
    inputs = {name: torch.rand(1, rows[name], size) for name, size in sizes.items()}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"version": "test"}
    moved, heard = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    with torch.no_grad():
        wanted, wanted_heard = network(*inputs.values())
    assert moved.shape == (1, frames, 68, 3) and wanted.std() > 0.01
    assert np.abs(moved - wanted.numpy()).max() < 1e-4 and np.abs(heard - wanted_heard.numpy()).max() < 1e-4


def test_an_unsure_contact_is_made_at_its_peak_and_a_sure_one_as_long_as_it_is() -> None:
    from export import ats_network

    heard = torch.tensor([0.0, 0.18, 0.42, 0.18, 0.0, 0.72, 0.98, 0.72, 0.0, 0.19, 0.2, 0.19])[None, :, None]
    made = ats_network._contact(heard)[0, :, 0].tolist()
    assert made[2] == 1.0 and max(made[1], made[3]) < 0.1
    assert made[5] == made[6] == made[7] == 1.0
    assert made[0] == made[4] == made[8] == 0.0 and max(made[9:]) < 1e-6


def test_what_is_heard_as_rounding_brings_the_corners_in_and_keeps_the_lips_as_far_apart() -> None:
    from export import ats_network

    shape = torch.zeros(68, 3)
    shape[48, 0], shape[54, 0] = 0.1, -0.1
    rest = torch.zeros(68, 3)
    jaw = rest.clone()
    jaw[8, 1] = -1.0
    face = ats_network.Face(torch.zeros(1, 68, 3), jaw, shape, torch.zeros(8, 68, 3), rest, rest, torch.zeros(8))
    events = torch.zeros(1, 9, 4)
    events[..., 0], events[:, 4:, 3] = 1.0, 1.0
    style = torch.ones(1, 9, 4)
    still = torch.zeros(1, 9, 1)
    moved = face(torch.zeros(1, 9, 1), events, torch.zeros(1, 9, 8), style, still, still)[0]
    narrower = (moved[:, 48, 0] - moved[:, 54, 0]).tolist()
    assert (
        narrower[:3] == [0.0] * 3 and narrower[5:8] == pytest.approx([0.2] * 3) and 0 < narrower[3] < narrower[4] < 0.2
    )
    assert moved[..., 1].abs().max() == 0.0
