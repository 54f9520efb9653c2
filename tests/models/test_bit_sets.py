"""Sets of ids in words of 63 bits, in memory and in tables of before and now."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bit_sets import count_words, has, join_words, read_set, read_sets, split_words, widen, write_sets
from tests.examples import examples


@given(st.sets(st.integers(0, 300)), st.integers(0, 320))
@settings(max_examples=examples(200), deadline=None)
def test_a_set_holds_what_it_holds(ids: set[int], asked: int) -> None:
    words = count_words(max(ids, default=0))
    parts = split_words(sum(1 << number for number in ids), words)
    assert all(0 <= part < 1 << 63 for part in parts)
    assert join_words(list(parts)) == sum(1 << number for number in ids)
    sets = np.array([parts], np.int64)
    assert has(sets, asked)[0] == (asked in ids)
    assert has(widen(sets, words + 2), asked)[0] == (asked in ids)


@pytest.mark.parametrize(("largest", "words"), [(0, 1), (62, 1), (63, 2), (64, 2), (125, 2), (126, 3), (129, 3)])
def test_so_many_words_are_enough(largest: int, words: int) -> None:
    assert count_words(largest) == words
    assert has(np.array(split_words(1 << largest, words), np.int64), largest)


@pytest.mark.parametrize("words", [1, 2, 3])
def test_tables_give_back_what_they_were_given(words: int) -> None:
    sets = np.random.default_rng(1).integers(0, 1 << 63, (5, 4, words), np.int64)
    first, more = write_sets(sets)
    assert (more.null_count == 5) == (words == 1)
    table = pa.table({"masks": first, "masks_more": more})
    assert (read_sets(table, "masks") == sets).all()
    ordered = pa.table(
        {"ordered": pa.array(sets[:, 0, 0]), "ordered_more": pa.array(sets[:, 0, 1:].tolist(), pa.list_(pa.int64()))}
    )
    assert (read_set(ordered, "ordered")[:, :words] == sets[:, 0]).all()


def test_a_table_of_an_older_release_has_one_word() -> None:
    table = pa.table({"masks": [[1, 2], [3]], "ordered": [4, None]})
    assert read_sets(table, "masks").tolist() == [[[1], [2]], [[3], [0]]]
    assert read_set(table, "ordered").tolist() == [[4], [0]]


def test_no_rows_are_no_sets() -> None:
    first, more = write_sets(np.zeros((0, 3, 2), np.int64))
    assert (len(first), len(more)) == (0, 0)
    assert read_sets(pa.table({"masks": first, "masks_more": more}), "masks").shape[0] == 0
