"""Arrow columns as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def ints(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    """A column of integers as int64; 0 where it is null."""
    return _numpy(pc.fill_null(column.cast(pa.int64()), 0))


def floats(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.float64]:
    """A column of numbers as float64; NaN where it is null."""
    return _numpy(column.cast(pa.float64()))


def flags(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.bool_]:
    """A column of booleans; False where it is null."""
    return _numpy(pc.fill_null(column, False))


def sealed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, read-only: columns from Arrow are, made ones are not, and a kernel is compiled for one kind only."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def positions(column: pa.ChunkedArray | pa.Array, values: Sequence[str]) -> npt.NDArray[np.int64]:
    """The position of every text in ``values``; −1 where it is not among them or null."""
    found = pc.index_in(column, value_set=pa.array(values, pa.string()), skip_nulls=True)
    return _numpy(pc.fill_null(found, -1).cast(pa.int64()))


def _numpy(column: pa.ChunkedArray | pa.Array) -> npt.NDArray:
    return np.asarray(column.to_numpy(zero_copy_only=False))
