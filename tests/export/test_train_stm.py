"""A training of the STM that was interrupted goes on only as what it was (needs torch: skipped in the product's
environment)."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from export import stm_batches, train_stm  # noqa: E402
from freetalk_blender.core.binding import stm  # noqa: E402
from freetalk_blender.core.errors import FreeTalkError  # noqa: E402

OPTIONS = train_stm.Options(steps=1, rank=4, width=8)


class Faces:
    """One batch of nothing but noise; read: checksums of its samples."""

    def __init__(self, folder, **read):
        self.folder, self.read = folder, read

    def statistics(self):
        return torch.zeros(stm.FEATURES), torch.ones(stm.FEATURES)

    def draw(self, rng, _meshes, _how):
        torch.manual_seed(int(rng.integers(1000)))
        marks, inside, frames = 68, 3, 2
        return stm_batches.Batch(
            features=torch.randn(1, marks + inside, stm.FEATURES),
            gate=torch.ones(1, marks + inside),
            weights=torch.rand(1, inside, marks) / marks,
            covariance=torch.eye(marks)[None],
            motion=torch.randn(1, frames, marks, 3) / 100,
            truth=torch.randn(1, frames, inside, 3) / 100,
            importance=torch.ones(1, inside),
            region=torch.zeros(1, inside, dtype=torch.long),
            shapes=torch.randn(1, marks + inside, 3, 2) / 100,
        )


@pytest.fixture()
def run(tmp_path):
    def train(options=OPTIONS, **read):
        told = []
        faces = Faces(tmp_path / "samples", **(read or {"one": [1]}))
        return train_stm.train(faces, options, tmp_path / "stm_0.pt", {}, told.append), told

    return train


def test_a_training_goes_on_where_it_stopped(run):
    (first, _), (again, told) = run(), run()
    assert told == ["resumed at step 1"]
    assert torch.equal(first.head.weight, again.head.weight)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"held_out": (3, 4)}, r"held_out \(\), now \(3, 4\)"),
        ({"rate": 1e-4}, "rate 0.002, now 0.0001"),
        ({"drawing": stm_batches.Drawing(style=3.0)}, "style 2.0, now 3.0"),
        ({"rank": 5}, "rank 4, now 5"),
    ],
)
def test_a_checkpoint_of_other_options_is_refused(run, other, named):
    run()
    with pytest.raises(FreeTalkError, match=rf"stm_0\.pt was trained with other settings \({named}\); delete it"):
        run(replace(OPTIONS, **other))


def test_a_checkpoint_of_other_samples_is_refused(run):
    run()
    with pytest.raises(FreeTalkError, match=r"on other data \(.*one is not what it was\)"):
        run(one=[2])
    with pytest.raises(FreeTalkError, match=r"samples 1, now 2"):
        run(one=[1], two=[3])


def test_a_checkpoint_that_says_nothing_of_its_training_is_refused(run, tmp_path):
    torch.save({"network": {}, "done": 1}, tmp_path / "stm_0.pt")
    with pytest.raises(FreeTalkError, match="steps unknown, now 1"):
        run()


def test_a_file_beside_that_holds_no_network_is_told_before_anything_is_trained(tmp_path, monkeypatch):
    empty = tmp_path / "former.onnx"
    empty.touch()  # as `git show` leaves it in a clone without that commit
    words = ["train_stm", "--data", str(tmp_path), "--beside", str(empty)]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(FreeTalkError, match=r"former\.onnx is no network of STM"):
        train_stm.main()
