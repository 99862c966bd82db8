"""Shape keys reproduce a sequence within the tolerance they state."""

import numpy as np
import pytest

from freetalk_blender.core.compress import (
    ShapeKeys,
    changed,
    compress,
    compress_factors,
    distance,
    extend,
    limited,
    with_named,
)
from freetalk_blender.core.errors import FreeTalkError


def sequence(frames: int = 400, vertices: int = 300, rank: int = 7, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(1)
    curves = np.cumsum(rng.normal(size=(frames, rank)), 0)
    dense = np.einsum(
        "tr,rvc->tvc", curves, rng.normal(size=(rank, vertices, 3)) * 0.5 ** np.arange(rank)[:, None, None]
    )
    return dense + noise * rng.normal(size=dense.shape)


def largest_error(dense, keys):
    rebuilt = np.einsum("tk,kvc->tvc", keys.weights, keys.shapes)
    return np.linalg.norm(rebuilt - dense, axis=2).max()


@pytest.mark.parametrize("tolerance", [10.0, 1.0, 0.1, 0.001])
def test_the_error_is_within_the_tolerance_and_is_the_one_stated(tolerance):
    dense = sequence(noise=0.01)
    keys = compress(dense, tolerance)
    assert keys.max_error <= tolerance
    assert largest_error(dense, keys) == pytest.approx(keys.max_error, abs=2e-4)


def test_no_more_keys_than_the_motion_has():
    assert len(compress(sequence(rank=7), 1e-3).shapes) == 7


def test_a_looser_tolerance_needs_fewer_keys():
    dense = sequence(noise=0.05)
    counts = [len(compress(dense, tolerance).shapes) for tolerance in (0.01, 1.0, 20.0)]
    assert counts[0] > counts[1] > counts[2]


def test_weights_lie_between_minus_one_and_one_and_reach_one():
    weights = compress(sequence(), 0.01).weights
    assert np.abs(weights).max(0) == pytest.approx(np.ones(weights.shape[1]))
    assert weights.max(0) == pytest.approx(np.ones(weights.shape[1]))


def test_a_still_face_needs_no_keys():
    keys = compress(np.zeros((10, 5, 3)), 0.1)
    assert keys.shapes.shape == (0, 5, 3) and keys.weights.shape == (10, 0) and keys.max_error == 0


def test_one_frame_and_no_frames_are_sequences_too():
    assert len(compress(sequence(frames=1), 1e-4).shapes) == 1
    assert compress(np.zeros((0, 5, 3)), 0.1).weights.shape == (0, 0)


def test_factors_give_the_keys_of_their_product_without_making_it():
    rng = np.random.default_rng(2)
    code, shapes = rng.normal(size=(900, 12)), rng.normal(size=(12, 200, 3))
    keys = compress_factors(code, shapes, 0.5)
    assert largest_error(np.einsum("tr,rvc->tvc", code, shapes), keys) <= 0.5 + 1e-4


@pytest.mark.parametrize(
    "dense", [np.zeros((3, 4)), np.zeros((3, 4, 2)), np.full((2, 2, 3), np.nan), np.array([["a"]])]
)
def test_what_is_no_sequence_is_told_in_a_sentence(dense):
    with pytest.raises(FreeTalkError, match="dense sequence"):
        compress(dense, 0.1)


def test_a_negative_tolerance_is_refused():
    with pytest.raises(FreeTalkError, match="tolerance"):
        compress(sequence(frames=3), -1.0)


def test_existing_shapes_serve_again_and_only_what_they_lack_is_added() -> None:
    random = np.random.default_rng(3)
    shapes = random.normal(size=(6, 40, 3)).astype(np.float32)
    have, lacking = shapes[:4], shapes[4:]
    weights = random.uniform(-1, 1, (30, 6)).astype(np.float32)
    turned = ShapeKeys(np.concatenate([have[::-1] * 2, lacking]), weights, 0.25)
    again, added = extend(have, turned, tolerance=1e-3)
    assert added.shapes.shape[0] == 2 and again.shape == (30, 4)
    both = np.tensordot(again, have, 1) + np.tensordot(added.weights, added.shapes, 1)
    assert np.linalg.norm(both - np.tensordot(weights, turned.shapes, 1), axis=2).max() < 2e-3
    assert added.max_error >= 0.25, "what was lost before is not gained back"


def test_small_shapes_beside_large_ones_serve_again() -> None:
    """What holds lips apart is a thousandth of what a jaw moves: each line added its own anew."""
    random = np.random.default_rng(4)
    jaw, lips = random.normal(size=(2, 400, 3)) * [[[10.0]], [[0.01]]]
    keys = ShapeKeys(np.stack([jaw, lips]).astype(np.float32), random.uniform(-1, 1, (30, 2)).astype(np.float32), 0.0)
    again, added = extend(keys.shapes, keys, tolerance=1e-3)
    assert len(added.shapes) == 0 and np.allclose(again, keys.weights, atol=1e-3)


def test_a_motion_of_few_shapes_uses_few_of_many() -> None:
    random = np.random.default_rng(5)
    have = random.normal(size=(30, 40, 3)).astype(np.float32)
    wanted = ShapeKeys(have[[7, 20]] + random.normal(0, 0.1, (2, 40, 3)).astype(np.float32), np.eye(2), 0.0)
    again, added = extend(have, wanted, tolerance=1e-3)
    assert set(np.flatnonzero(again.any(0))) == {7, 20}
    both = np.tensordot(again, have, 1) + np.tensordot(added.weights, added.shapes, 1)
    assert np.linalg.norm(both - wanted.shapes, axis=2).max() < 2e-3


def test_many_motions_of_a_face_need_no_more_shapes_than_it_has_ways_to_move() -> None:
    """A dialogue of 40 lines had 704 shape keys, each line some more, and played at 27 ms a frame."""
    random = np.random.default_rng(6)
    ways = random.normal(size=(12, 80, 3))
    have = ways[:1].astype(np.float32)
    for _line in range(15):
        turn, some = np.linalg.qr(random.normal(size=(5, 5)))[0], random.permutation(12)[:5]
        said = np.tensordot(turn, ways[some], 1).astype(np.float32)
        keys = ShapeKeys(said, random.uniform(-1, 1, (30, 5)).astype(np.float32), 0.0)
        again, added = extend(have, keys, tolerance=1e-2)
        have = np.concatenate([have, added.shapes])
        both = np.tensordot(np.concatenate([again, added.weights], 1), have, 1)
        assert np.linalg.norm(both - np.tensordot(keys.weights, said, 1), axis=2).max() < 2e-2
    assert len(have) < 20


def test_shapes_that_would_have_to_go_far_beyond_themselves_are_not_built_upon() -> None:
    """Blender ends weights at 10: a happy take over the keys of a neutral one had weights of 24 and a sneer."""
    random = np.random.default_rng(3)
    jaw, smile = random.normal(size=(2, 50, 3))
    have = np.stack([jaw, jaw + 0.05 * smile])
    weights = random.uniform(-1, 1, (20, 2)).astype(np.float32)
    wanted = ShapeKeys(np.stack([jaw, smile]).astype(np.float32), weights, 0.0)
    again, added = extend(have, wanted, tolerance=1e-3)
    assert np.abs(again).max() <= 2.5 and np.abs(added.weights).max() <= 1
    found = np.tensordot(again, have, 1) + np.tensordot(added.weights, added.shapes, 1)
    assert np.linalg.norm(found - np.tensordot(weights, wanted.shapes, 1), axis=2).max() < 2e-3


def test_shapes_of_another_mesh_are_refused() -> None:
    with pytest.raises(FreeTalkError, match="40 vertices cannot serve a mesh of 41"):
        extend(np.zeros((2, 40, 3)), ShapeKeys(np.zeros((1, 41, 3)), np.zeros((5, 1)), 0.0), 0.1)


def test_at_most_so_many_keys_state_the_error_that_this_costs():
    dense = sequence(noise=0.01)
    keys = compress(dense, 0.1)
    fewer = limited(keys, 3)
    assert len(fewer.shapes) == 3 and limited(keys, 99) is keys
    assert largest_error(dense, fewer) <= fewer.max_error <= largest_error(dense, fewer) + 2 * keys.max_error


def test_keys_with_names_stay_what_they_are_among_at_most_so_many():
    keys = compress(sequence(noise=0.01), 0.1)
    turn, weights = np.ones((1, *keys.shapes.shape[1:]), np.float32), np.linspace(0, 1, len(keys.weights))[:, None]
    fewer = limited(with_named(keys, slice(None), turn, weights, ["headYaw"]), 4)
    assert fewer.names == ("", "", "", "headYaw")
    assert np.array_equal(fewer.shapes[3:], turn) and np.array_equal(fewer.weights[:, 3:], weights)
    assert fewer.max_error == limited(keys, 3).max_error


def test_names_that_leave_no_room_for_others_are_given_up():
    keys = compress(sequence(noise=0.01), 0.1)
    turn, weights = np.ones((2, *keys.shapes.shape[1:]), np.float32), np.linspace(0, 1, 2 * len(keys.weights))
    both = with_named(keys, slice(None), turn, weights.reshape(-1, 2), ["headYaw", "headPitch"])
    fewer = limited(both, 2)
    assert len(fewer.shapes) == 2 and not any(fewer.names)
    assert largest_error(np.tensordot(both.weights, both.shapes, 1), fewer) <= fewer.max_error


def test_the_distance_of_two_motions_is_that_of_their_most_distant_vertex():
    one, other = compress(sequence(), 1e-4), compress(sequence(noise=0.2), 1e-4)
    rebuilt = [np.einsum("tk,kvc->tvc", keys.weights, keys.shapes) for keys in (one, other)]
    assert distance(one, other) == pytest.approx(np.linalg.norm(rebuilt[0] - rebuilt[1], axis=2).max(), rel=1e-3)
    assert distance(one, one) == pytest.approx(0, abs=1e-3)


def test_a_change_rides_on_the_curves_that_are_there_and_only_its_rest_needs_keys() -> None:
    rng = np.random.default_rng(8)
    keys, rows = compress(sequence(), 0.01), np.arange(20, 60)
    shapes = rng.normal(size=(3, len(rows), 3))
    follows = keys.weights.astype(float) @ rng.normal(size=(len(keys.shapes), 3))
    strange = np.concatenate([follows[:, :2], rng.normal(size=(len(follows), 1))], 1)
    for code, more in ((follows, 0), (strange, 1)):
        answer = changed(keys, rows, code, shapes, 0.01)
        wanted = np.tensordot(keys.weights, keys.shapes, 1)
        wanted[:, rows] += np.tensordot(code, shapes, 1)
        assert len(answer.shapes) == len(keys.shapes) + more
        assert largest_error(wanted, answer) < 0.01 + 1e-3
        assert answer.max_error <= keys.max_error + 0.01
    still = compress(np.zeros((len(strange), 300, 3)), 0.1)
    assert len(changed(still, rows, strange, shapes, 0.01).shapes) == 3


def test_what_a_change_leaves_out_is_stated() -> None:
    rng = np.random.default_rng(9)
    keys, rows = ShapeKeys(rng.normal(size=(2, 8, 3)), rng.uniform(-1, 1, (20, 2)), 0.0), np.arange(4)
    code, shapes = rng.uniform(-1, 1, (20, 1)), 0.2 * rng.normal(size=(1, 4, 3))
    answer = changed(keys, rows, code, shapes, 1.0)
    wanted = np.tensordot(keys.weights, keys.shapes, 1)
    wanted[:, rows] += np.tensordot(code, shapes, 1)
    assert len(answer.shapes) == 2 and 0.1 < largest_error(wanted, answer) <= answer.max_error + 1e-5
