"""Arcs to kinds: rows of integers are given numbers, then reduced to what the limits see of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from models.arrays import Ints, list_places
from models.assignment.problem import Kinds


@njit(cache=True, nogil=True)
def _number(columns, table, rows, count, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Give each row of ``columns`` its number; known rows are in ``rows`` [:count], found through ``table``.

    Stops when the table is two thirds full; returns how many rows were done and how many are known.
    """
    n, width = columns.shape
    mask = np.uint64(len(table) - 1)
    for i in range(n):
        h = np.uint64(0x9E3779B97F4A7C15)
        for c in range(width):
            h = (h ^ np.uint64(columns[i, c])) * np.uint64(0xBF58476D1CE4E5B9)
            h ^= h >> np.uint64(29)
        spot = h & mask
        while True:
            k = table[spot]
            if k < 0:
                if 3 * (count + 1) > 2 * len(table) or count >= len(rows):
                    return i, count
                for c in range(width):
                    rows[count, c] = columns[i, c]
                table[spot] = count
                out[i] = count
                count += 1
                break
            same = True
            for c in range(width):
                if rows[k, c] != columns[i, c]:
                    same = False
                    break
            if same:
                out[i] = k
                break
            spot = (spot + np.uint64(1)) & mask
    return n, count


class Numbering:
    """Numbers for distinct rows of integers, in the order in which they are first seen."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.rows: Ints = np.empty((1 << 11, width), np.int64)
        self.table: Ints = np.full(1 << 12, -1, np.int64)

    def number(self, columns: Ints) -> Ints:
        """The number of each row of ``columns`` [n, width]."""
        out = np.empty(len(columns), np.int64)
        done = 0
        while done < len(columns):
            more, self.count = _number(columns[done:], self.table, self.rows, self.count, out[done:])
            done += more
            if done < len(columns):
                self._grow()
        return out

    @property
    def known(self) -> Ints:
        """The distinct rows [count, width]."""
        return self.rows[: self.count]

    def _grow(self) -> None:
        known = self.known.copy()
        size = len(self.table) * 4
        self.rows = np.empty((size // 2, known.shape[1]), np.int64)
        self.table = np.full(size, -1, np.int64)
        self.count = 0
        again = np.empty(len(known), np.int64)
        _, self.count = _number(known, self.table, self.rows, 0, again)


@dataclass(frozen=True)
class Use:
    """What a limit takes of each distinct row: ``units`` int64 [rows] (0: the arc is none of its business)."""

    units: Ints
    sign: int


def reduce_kinds(
    product: Ints, channel: Ints, uses: Sequence[Use], parts: Mapping[str, Ints] | None = None
) -> tuple[Kinds, Ints]:
    """Kinds of distinct rows: those of one key and use of every limit are one; canonical order.

    Args:
        product, channel: of each row.
        uses: of each limit.
        parts: the other parts of the key, where there are any.

    Returns:
        The kinds, and the kind of each row.
    """
    n, parts = len(product), parts or {}
    limit = [np.full(np.count_nonzero(use.units), m) for m, use in enumerate(uses)]
    row = [np.flatnonzero(use.units) for use in uses]
    unit = [use.sign * use.units[r] for use, r in zip(uses, row, strict=True)]
    lim, at, amount = (np.concatenate([*part, np.empty(0, np.int64)]).astype(np.int64) for part in (limit, row, unit))
    order = np.lexsort((lim, at))
    lim, at, amount = lim[order], at[order], amount[order]
    first = np.concatenate(([0], np.cumsum(np.bincount(at, minlength=n)))).astype(np.int64)
    return reduce_rows(product, channel, first, lim, amount, parts)


def reduce_rows(
    product: Ints, channel: Ints, first: Ints, limit: Ints, use: Ints, parts: Mapping[str, Ints]
) -> tuple[Kinds, Ints]:
    """The same of sparse rows: uses begin at ``first``, limits ascending within a row, signed for the at-most form.

    The order is that of key, limits and uses as big-endian bytes. Takes 16 bytes a row and use of the longest row.
    """
    key = np.stack([product, channel, *parts.values()], 1).astype(np.int64)
    index, kind = distinct_rows(pad_rows(key, first, limit + 1, use).view(np.uint64))  # limit 0: the row has ended
    start, source = list_places(first[index], first[index + 1] - first[index])
    others = {name: part[index] for name, part in parts.items()}
    return Kinds(product[index], channel[index], start, limit[source], use[source], others), kind


def pad_rows(key: Ints, first: Ints, left: Ints, right: Ints) -> Ints:
    """Sparse rows as a table: key [n, k], then ``left`` and ``right`` of each entry in turn, 0 behind the last; int64."""
    size = np.diff(first)
    table = np.zeros((len(key), key.shape[1] + 2 * int(size.max(initial=0))), np.int64)
    table[:, : key.shape[1]] = key
    row = np.repeat(np.arange(len(key)), size)
    place = key.shape[1] + 2 * (np.arange(len(row)) - np.repeat(first[:-1], size))
    table[row, place], table[row, place + 1] = left, right
    return table


def distinct_rows(table: np.ndarray) -> tuple[Ints, Ints]:
    """Distinct rows of ``table`` [n, c] in ascending order: the first of each, and of each row which, int64."""
    if not len(table):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = np.lexsort(table.T[::-1]) if table.shape[1] else np.arange(len(table))
    ordered = table[order]
    new = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1)))
    which = np.empty(len(table), np.int64)
    which[order] = np.cumsum(new) - 1
    return order[new], which


def narrow(kind: Ints, count: int) -> np.ndarray:
    """Kinds in as few bytes as they need."""
    return kind.astype(np.uint16 if count <= 1 << 16 else np.uint32)
