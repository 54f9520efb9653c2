"""Fingerprints of keys, compiled: two times 64 bits of the typed values.

A key that stands twice is found across pieces of a delivery by them alone: among 10⁹ records, two that differ agree
in 128 bits with chance 10⁻²¹. Which of its records counts, no order of lines decides: `find_beaten`.
"""

# ruff: noqa: ANN001, ANN202  (numba infers the types of its kernels)
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from conf.schema import Schema

Prints = npt.NDArray[np.uint64]
_MISSING = 0x9E3779B97F4A7C15


def fingerprints(schema: Schema, table: pa.Table) -> Prints:
    """A fingerprint of each row's key, uint64 [rows, 2]; no rows where the schema has no key."""
    prints = np.zeros((table.num_rows if schema.key else 0, 2), np.uint64)
    if not len(prints):
        return prints
    for name in schema.key:
        column = table[name].combine_chunks()
        column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        valid = np.asarray(pc.is_valid(column))
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
            data = column.buffers()[2]
            _mix_bytes(prints, offsets, np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8), valid)
        else:
            _mix(prints, _number(column), valid)
    return prints


def _number(column: pa.Array) -> npt.NDArray[np.int64]:
    if pa.types.is_decimal(column.type):
        words = np.frombuffer(column.buffers()[1], np.int64)
        return words[2 * column.offset : 2 * (column.offset + len(column)) : 2]
    if pa.types.is_floating(column.type):
        return np.asarray(pc.fill_null(column, 0.0)).view(np.int64)
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    integers = pc.cast(pc.cast(column, pa.int32()) if pa.types.is_date(column.type) else column, pa.int64())
    return np.asarray(pc.fill_null(integers, 0))


@njit(cache=True, nogil=True)
def _stir(value, factor):  # type: ignore[no-untyped-def]
    """The finalizer of MurmurHash3 (A. Appleby)."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(factor)
    value = (value ^ (value >> np.uint64(29))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(32))


@njit(cache=True, nogil=True)
def _mix(prints, numbers, valid):  # type: ignore[no-untyped-def]
    for row in range(len(prints)):
        value = np.uint64(numbers[row]) if valid[row] else np.uint64(_MISSING)
        prints[row, 0] = _stir(prints[row, 0] * np.uint64(31) + value, 0xFF51AFD7ED558CCD)
        prints[row, 1] = _stir(prints[row, 1] * np.uint64(37) ^ value, 0xBF58476D1CE4E5B9)


@njit(cache=True, nogil=True)
def _mix_bytes(prints, offsets, data, valid):  # type: ignore[no-untyped-def]
    for row in range(len(prints)):
        fnv, lcg = np.uint64(_MISSING), np.uint64(1)
        if valid[row]:
            fnv = np.uint64(0xCBF29CE484222325)
            for k in range(offsets[row], offsets[row + 1]):
                fnv = (fnv ^ np.uint64(data[k])) * np.uint64(0x100000001B3)  # FNV-1a
                lcg = lcg * np.uint64(0x5851F42D4C957F2D) + np.uint64(data[k]) + np.uint64(1)
        prints[row, 0] = _stir(prints[row, 0] * np.uint64(31) + fnv, 0xFF51AFD7ED558CCD)
        prints[row, 1] = _stir(prints[row, 1] * np.uint64(37) ^ lcg, 0xBF58476D1CE4E5B9)


def find_shared(prints: Prints) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows whose key stands in another row as well, in order of key and row, and the number of each one's key."""
    none = np.zeros(0, np.int64)
    first = np.sort(prints[:, 0])
    suspects = first[1:][first[1:] == first[:-1]]
    if not len(suspects):
        return none, none
    rows = np.flatnonzero(np.isin(prints[:, 0], suspects))
    order = rows[np.lexsort((rows, prints[rows, 1], prints[rows, 0]))]
    same = (prints[order[1:]] == prints[order[:-1]]).all(axis=1)
    shared = np.append(same, False) | np.insert(same, 0, False)
    return order[shared], np.cumsum(np.insert(~same, 0, False))[shared]


def find_beaten(
    schema: Schema, prints: Prints, contents: Callable[[npt.NDArray[np.int64]], pa.Table]
) -> npt.NDArray[np.int64]:
    """Rows, ascending, that give way to another of the same key: of each key the latest counts, then the greatest.

    The latest is it by the fields that event times are made of; records that agree there are compared field by field in
    the order of the schema, what is told over what is not. Equal ones are the same record, the first of which stays.

    Args:
        schema: the fields.
        prints: of all rows.
        contents: gives the fields of some rows, in their order; it is asked only of keys that stand twice.
    """
    rows, key = find_shared(prints)
    if not len(rows):
        return rows
    names = tuple(dict.fromkeys((*schema.moments, *schema.by_name)))
    table = contents(rows).select(names)
    compared = {name: _comparable(table[name]) for name in names}
    compared |= {"_key": pa.array(key), "_row": pa.array(-rows)}
    by = [(name, "ascending", "at_start") for name in ("_key", *names, "_row")]
    order = pc.sort_indices(pa.table(compared), sort_keys=by).to_numpy()
    last = np.append(key[order][1:] != key[order][:-1], True)
    return np.sort(rows[order[~last]])


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
