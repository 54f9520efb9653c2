"""Features that say nothing: a column with one value for everyone, or with the values of another column."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.arrays import floats


def constant(rows: pa.Table, names: Sequence[str]) -> list[str]:
    """Columns with at most one value among all rows; a missing value counts as a value of its own."""
    return [name for name in names if pc.count_distinct(rows[name], mode="all").as_py() < 2]


def duplicates(rows: pa.Table, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of columns that are equal in every row, whatever their types; each group in the order of ``names``."""
    groups: dict[bytes, list[str]] = {}
    for name in names:
        groups.setdefault(_fingerprint(rows[name]), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _fingerprint(column: pa.ChunkedArray) -> bytes:
    """A hash of a column's values, the same for 1 and 1.0; a missing number is NaN."""
    if pa.types.is_string(column.type):
        digest = hashlib.sha256(b"text")
        for value in column.to_pylist():
            digest.update(b"\x00" if value is None else b"\x01" + value.encode() + b"\x00")
        return digest.digest()
    values = floats(column)
    return hashlib.sha256(np.where(np.isnan(values), np.nan, values + 0.0).tobytes()).digest()
