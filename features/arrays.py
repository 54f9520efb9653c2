"""Arrow columns as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def ints(column: pa.ChunkedArray | pa.Array, null: int = 0) -> I64:
    """A column of integers or dates (days since 1970) as int64; ``null`` where it is null."""
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    filled = pc.fill_null(column.cast(pa.int64()), null) if column.null_count else column
    return _numpy(filled).astype(np.int64, copy=False)


def floats(column: pa.ChunkedArray | pa.Array) -> F64:
    """A column of numbers as float64; NaN where it is null."""
    return _numpy(column.cast(pa.float64()))


def flags(column: pa.ChunkedArray | pa.Array) -> Mask:
    """A column of booleans; False where it is null."""
    return _numpy(pc.fill_null(column, False))


def seal(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, read-only: columns from Arrow are, made ones are not, and a kernel is compiled for one kind only."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def positions(column: pa.ChunkedArray | pa.Array, values: Sequence[str]) -> I64:
    """The position of every text in ``values``; −1 where it is not among them or null."""
    index = pc.index_in(column, value_set=pa.array(values, pa.string()), skip_nulls=True)
    return _numpy(pc.fill_null(index, -1).cast(pa.int64()))


def dictionary(chunk: pa.Array) -> pa.DictionaryArray:
    """Texts as positions in a dictionary, as Parquet may hold them already."""
    return chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()


def code_texts(column: pa.ChunkedArray) -> tuple[I64, tuple[str, ...]]:
    """The position of every text among the different ones (−1: null), and those in the order of their characters."""
    texts = tuple(sorted({text for chunk in column.chunks for text in dictionary(chunk).dictionary.to_pylist()}))
    return recode_texts(column, texts), texts


def recode_texts(column: pa.ChunkedArray, texts: Sequence[str]) -> I64:
    """The position in ``texts`` of every text; −1 where it is not among them or null."""
    parts = [np.zeros(0, np.int64)]
    for chunk in map(dictionary, column.chunks):
        place = np.append(positions(chunk.dictionary, texts), -1)
        parts.append(place[_numpy(pc.fill_null(chunk.indices.cast(pa.int64()), -1))])
    return np.concatenate(parts)


def _numpy(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False))
