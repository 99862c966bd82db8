"""Where phones put the tongue, and what its network learns from."""

import numpy as np
import pytest

from freetalk_blender.core.voice.speech import CONTEXT
from freetalk_blender.core.voice.tongue import CHANNELS

pytest.importorskip("pocketsphinx")


def spoken(*phones: tuple[str, float]) -> list:
    from export.phones import Phone

    ends = np.cumsum([length for _, length in phones])
    return [Phone(name, end - length, end) for (name, length), end in zip(phones, ends, strict=True)]


def test_the_tip_is_at_the_ridge_in_l_and_low_in_a_vowel_however_short() -> None:
    from export.tongue_postures import targets

    up, out, body = targets(spoken(("SIL", 0.4), ("L", 0.1), ("AA", 0.2), ("D", 0.02), ("IY", 0.2), ("SIL", 0.4)), 66).T
    assert up[0] == 0 and up[22] == 1 and up[30] == 0 and up[35:37].max() > 0.95 and up[-1] == 0
    assert body[40] == 1 and body[30] == 0 and not out.any()
    assert np.abs(np.diff(up)).max() < 0.8, "a tongue takes its time"


def test_lips_sounds_leave_the_tongue_on_its_way() -> None:
    from export.tongue_postures import targets

    up = targets(spoken(("TH", 0.1), ("P", 0.1), ("L", 0.1)), 15)[:, :2]
    assert np.all(np.diff(up[3:13, 0]) >= 0) and np.all(np.diff(up[3:13, 1]) <= 0)
    assert 0.2 < up[7, 0] < 0.8 and up[7].sum() == pytest.approx(1)


def test_nobody_speaks_and_the_tongue_rests() -> None:
    from export.tongue_postures import targets

    assert not targets([], 20).any() and not targets(spoken(("SIL", 1.0)), 50).any()


def test_every_phone_of_the_aligner_is_known() -> None:
    from export.phones import Aligner
    from export.tongue_postures import POSTURES

    names = set(Aligner.phones.func(Aligner.__new__(Aligner)))
    assert names - set(POSTURES) == {"P", "B", "M", "F", "V", "HH"}
    assert all(len(posture) == len(CHANNELS) for postures in POSTURES.values() for posture in postures)


def test_parts_are_joined_with_silence_between_and_agreement_is_measured_on_trusted_frames() -> None:
    pytest.importorskip("torch")
    from export import train_tongue

    random = np.random.default_rng(0)
    parts = [
        (random.normal(size=(n, 384)).astype(np.float16), random.random((n, 3)).astype(np.float32), np.ones(n))
        for n in (40, 60)
    ]
    data = train_tongue.joined(parts)
    assert len(data.features) == 100 + 4 * CONTEXT and data.trust.sum() == 100
    assert np.array_equal(np.bincount(data.stream), [40 + 2 * CONTEXT, 60 + 2 * CONTEXT])
    network = train_tongue.Tongue(np.zeros(384), np.ones(384)).eval()
    assert np.isfinite(train_tongue.agreement(network, data)).all()


def test_the_exported_network_is_the_trained_one(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from export import train_tongue

    torch.manual_seed(0)
    network = train_tongue.Tongue(np.zeros(384), np.ones(384))
    assert train_tongue.export(network, tmp_path / "tongue.onnx", {"version": "0"}) < 2e-3
