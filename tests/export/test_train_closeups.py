"""What photogrammetry does to close-ups, drawn on the pictures (needs torch: skipped in the product's environment)."""

import pytest

torch = pytest.importorskip("torch")

from export import train_closeups  # noqa: E402
from freetalk_blender.core.errors import FreeTalkError  # noqa: E402


def picture(batch=3, size=64):
    """A step across the picture's middle, with an empty border on the right."""
    shot = torch.zeros(batch, 4, size, size)
    shot[:, 2] = 1.0
    shot[:, 3, size // 2 :] = 0.2
    shot[:, 1, size // 2] = 0.8
    shot[:, 2, size // 2] = 0.6
    shot[..., -6:] = 0.0
    shot[:, 3, :, -6:] = -1.0
    return shot


def washed(shot, at=(0.0, 0.0)):
    place = torch.tensor(at).expand(len(shot), 20, 2)
    own = torch.ones(len(shot), 20, dtype=torch.bool)
    return train_closeups.wash(shot, place, own, torch.Generator().manual_seed(4))


def test_washing_softens_the_step_at_the_point():
    shot = picture()
    result = washed(shot)
    assert (result[:, 1, 32, 32] < 0.75 * shot[:, 1, 32, 32]).all()
    assert torch.allclose(result[:, :3, 32, 32].norm(dim=1), torch.ones(3), atol=0.05)


def test_washing_leaves_what_is_not_seen_and_what_is_far():
    shot = picture()
    result = washed(shot, (-0.9, 0.9))
    assert torch.equal(result[..., -6:], shot[..., -6:])
    assert torch.allclose(result[:, :, -8:, 40:58], shot[:, :, -8:, 40:58], atol=1e-3)


def test_only_own_points_are_washed():
    shot = picture(1)
    place = torch.zeros(1, 20, 2)
    place[:, 0], place[:, 1:] = torch.tensor([-0.9, 0.9]), torch.tensor([0.0, 0.0])
    own = torch.arange(20)[None] < 1
    result = train_closeups.wash(shot, place, own, torch.Generator().manual_seed(4))
    assert torch.allclose(result[:, :, 32, 40:56], shot[:, :, 32, 40:56], atol=1e-3)


def test_shares_cover_every_part():
    assert set(train_closeups.SHARES) == {part.name for part in train_closeups.PARTS}
    assert sum(train_closeups.SHARES.values()) == pytest.approx(1)


def test_an_export_that_is_interrupted_leaves_the_network_that_was_there(tmp_path, monkeypatch):
    committed = tmp_path / "landmark_closeups.onnx"
    committed.write_bytes(b"as it was")
    average = train_closeups.CloseLandmarks().state_dict()
    torch.save({"average": average}, tmp_path / "landmark_closeups.pt")
    monkeypatch.setenv("FREETALK_MODELS", str(tmp_path))

    def interrupted(*_):
        assert committed.read_bytes() == b"as it was", "written before it is blended"
        raise KeyboardInterrupt

    monkeypatch.setattr(train_closeups.onnx_file, "weights", interrupted)
    words = f"train --data {tmp_path} --work {tmp_path} --snapshot --start {committed} --share 0.5"
    monkeypatch.setattr("sys.argv", words.split())
    with pytest.raises(KeyboardInterrupt):
        train_closeups.main()
    assert committed.read_bytes() == b"as it was"


def test_a_folder_without_close_ups_is_one_sentence_also_with_first_weights(tmp_path, monkeypatch):
    words = f"train --data {tmp_path} --work {tmp_path} --scans 0 --start {tmp_path / 'first.onnx'}"
    monkeypatch.setattr("sys.argv", words.split())
    with pytest.raises(FreeTalkError, match="close has no pictures to train on; give --scans"):
        train_closeups.main()


def test_photographing_alone_trains_and_writes_nothing(tmp_path, monkeypatch):
    shot = []
    monkeypatch.setenv("FREETALK_MODELS", str(tmp_path))
    monkeypatch.setattr(train_closeups.ict, "load", lambda data: None)
    monkeypatch.setattr(train_closeups.landmark_data, "write", lambda *given: shot.append((given[1].name, given[4])))
    words = f"train --data {tmp_path} --work {tmp_path} --melted 0.6 --photograph-only"
    monkeypatch.setattr("sys.argv", words.split())
    train_closeups.main()
    assert [name for name, _ in shot] == ["close", *train_closeups.HELD_OUT]
    assert shot[0][1].keywords["shares"] == {"strong": 0.0, "reshaped": 0.0, "melted": 0.6}
    assert not list(tmp_path.iterdir())
