"""Rows of a sparse table put one after the other."""

from __future__ import annotations

import numpy as np

from models.arrays import list_places


def test_rows_stand_one_after_the_other() -> None:
    first, place = list_places(np.array([7, 3, 0]), np.array([2, 0, 3]))
    assert first.tolist() == [0, 2, 2, 5]
    assert place.tolist() == [7, 8, 0, 1, 2]


def test_no_row_has_no_entry() -> None:
    first, place = list_places(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert (first.tolist(), place.tolist()) == ([0], [])
    assert place.dtype == np.int64
