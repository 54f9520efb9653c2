"""Sets of small ids as words of 63 bits: of any size in memory, and in tables that were made when one word was enough.

In memory a set is ``int64 [..., words]``: id ``i`` is bit ``i mod 63`` of word ``i div 63``. In a table the first word of
each set stands in the column that releases before 0.3 knew, and the others, word by word, in a list beside it,
``<name>_more``, which is null where one word is enough.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import Flags, Ints

#: Bits of a word: an int64 that is never negative.
WORD = 63
#: What the column of the further words is called, behind the name of the first one's.
MORE = "_more"
_LIST = pa.list_(pa.field("element", pa.int64()))


def count_words(largest: int) -> int:
    """Words that ids up to ``largest`` need; at least one."""
    return max(1, largest // WORD + 1)


def split_words(bits: int, words: int) -> tuple[int, ...]:
    """The words of a set whose ids are the bits of an integer of any size."""
    return tuple(bits >> WORD * word & (1 << WORD) - 1 for word in range(words))


def join_words(words: list[int]) -> int:
    """The set as an integer of any size."""
    return sum(bits << WORD * word for word, bits in enumerate(words))


def has(sets: Ints, number: int) -> Flags:
    """Which sets hold an id.

    Args:
        sets: [..., words].
        number: the id.
    """
    word, bit = divmod(number, WORD)
    if word >= sets.shape[-1]:
        return np.zeros(sets.shape[:-1], bool)
    return np.asarray((sets[..., word] >> bit & 1).astype(bool))


def widen(sets: Ints, words: int) -> Ints:
    """The same sets in at least so many words."""
    missing = words - sets.shape[-1]
    return sets if missing <= 0 else np.concatenate([sets, np.zeros((*sets.shape[:-1], missing), np.int64)], axis=-1)


def read_sets(rows: pa.Table, name: str) -> Ints:
    """The sets of a list column, [rows, sets, words]; a shorter list is filled with empty sets.

    Args:
        rows: with ``name``, and ``<name>_more`` where a table has it.
        name: of the column of first words.
    """
    first = _read_lists(rows[name])
    if name + MORE not in rows.column_names or rows[name + MORE].null_count == rows.num_rows:
        return first[:, :, None]
    more = _read_lists(rows[name + MORE])
    words = more.reshape(rows.num_rows, more.shape[1] // first.shape[1], first.shape[1])
    return np.concatenate([first[:, :, None], words.transpose(0, 2, 1)], axis=2)


def read_set(rows: pa.Table, name: str) -> Ints:
    """The sets of an integer column, [rows, words]; null is the empty set."""
    first = pc.fill_null(rows[name], 0).to_numpy().astype(np.int64)[:, None]
    if name + MORE not in rows.column_names or rows[name + MORE].null_count == rows.num_rows:
        return first
    return np.concatenate([first, _read_lists(rows[name + MORE])], axis=1)


def write_sets(sets: Ints) -> tuple[pa.ListArray, pa.ListArray]:
    """The columns ``name`` and ``<name>_more`` of sets [rows, sets, words]."""
    rows, each, words = sets.shape
    if words == 1:
        return _write_lists(sets[:, :, 0]), pa.nulls(rows, _LIST)
    more = sets[:, :, 1:].transpose(0, 2, 1).reshape(rows, each * (words - 1))
    return _write_lists(sets[:, :, 0]), _write_lists(more)


def _read_lists(column: pa.ChunkedArray) -> Ints:
    """Lists as rows, filled with 0."""
    lists = column.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    width = max(1, int(lengths.max(initial=0)))
    out = np.zeros((len(lengths), width), np.int64)
    out[np.arange(width)[None, :] < lengths[:, None]] = lists.flatten().to_numpy()
    return out


def _write_lists(rows: Ints) -> pa.ListArray:
    offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1])
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(rows).ravel()), type=_LIST)
