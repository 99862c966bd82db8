"""Rows of whole numbers are told apart as numpy does it, however large the numbers are."""

import numpy as np
import pytest

from freetalk_blender.core.surface import rows


@pytest.mark.parametrize("largest", [3, 1000, 3_000_000, 2**31 - 1])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_rows_are_told_apart_as_numpy_does_it(largest: int, columns: int) -> None:
    drawn = np.random.default_rng(0).integers(0, largest, (500, columns), endpoint=True)
    drawn = np.concatenate([drawn, drawn[::3], [[largest] * columns]]).astype(np.int32)
    wanted, index = np.unique(drawn, axis=0, return_index=True)
    assert np.array_equal(rows.first(drawn), np.sort(index))
    assert np.array_equal(rows.first(wanted.astype(np.int32)), np.arange(len(wanted)))


def test_no_rows_are_no_rows() -> None:
    none = np.empty((0, 2), np.int32)
    assert len(rows.first(none)) == 0


def test_numbers_that_are_present_are_listed_once() -> None:
    drawn = np.random.default_rng(1).integers(0, 50, (40, 3))
    assert np.array_equal(rows.present(drawn, 60), np.unique(drawn))
    assert len(rows.present(drawn[:0], 60)) == 0
