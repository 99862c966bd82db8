"""A training that was interrupted goes on only as what it was (needs torch: skipped in the product's environment)."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from export import train_landmarks  # noqa: E402
from freetalk_blender.core.errors import FreeTalkError  # noqa: E402


def loss(network, shots, rng, _generator):
    (one,) = shots.take(rng, 4, "one")
    return (network(one.float()) - one.float().flip(1)).square().mean()


def run(folder, steps=2, rate=1e-3, seed=0):
    torch.manual_seed(seed)
    shots = train_landmarks.Shots(folder, ("one",))
    return train_landmarks.train("net", torch.nn.Linear(3, 3), loss, shots, folder, steps, rate=rate)


def shard(folder, number, fill):
    np.savez(folder / f"{number:07d}.npz", one=np.full((5, 3), fill, np.int8), unread=np.zeros(2))


@pytest.fixture()
def trained(tmp_path):
    shard(tmp_path, 0, 1)
    return tmp_path, run(tmp_path)


def test_a_training_goes_on_where_it_stopped_also_with_more_pictures(trained):
    folder, network = trained
    shard(folder, 1, 2)
    again = run(folder)
    assert torch.equal(again.weight, network.weight), "there was nothing left to do"


@pytest.mark.parametrize("other", [{"steps": 3}, {"rate": 2e-3}, {"seed": 1}])
def test_a_checkpoint_of_other_settings_is_refused(trained, other):
    with pytest.raises(FreeTalkError, match=r"net\.pt was trained with other settings .* delete it"):
        run(trained[0], **other)


def test_a_checkpoint_of_other_pictures_is_refused(trained):
    folder, _ = trained
    shard(folder, 0, 3)
    with pytest.raises(FreeTalkError, match=r"net\.pt was trained on other data .*0000000\.npz"):
        run(folder)
