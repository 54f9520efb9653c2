"""Arcs to kinds: rows of integers are given numbers, then reduced to what the limits see of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from models.arrays import Ints
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
    texts = _signatures((product, channel, *parts.values()), first, lim, amount)
    _, index, kind = np.unique(texts, return_index=True, return_inverse=True)
    size = first[index + 1] - first[index]
    start = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
    source = np.repeat(first[index] - start[:-1], size) + np.arange(start[-1])
    others = {name: part[index] for name, part in parts.items()}
    kinds = Kinds(product[index], channel[index], start, lim[source], amount[source], others)
    return kinds, kind.reshape(-1).astype(np.int64)


def _signatures(key: Sequence[Ints], first: Ints, limit: Ints, use: Ints) -> np.ndarray:
    """What identifies each row's kind, as bytes that sort in one order everywhere."""
    big = np.stack(key, 1).astype(">i8")
    pairs = np.stack([limit, use], 1).astype(">i8")
    out = np.empty(len(big), object)
    for i in range(len(big)):
        out[i] = big[i].tobytes() + pairs[first[i] : first[i + 1]].tobytes()
    return out


def narrow(kind: Ints, count: int) -> np.ndarray:
    """Kinds in as few bytes as they need."""
    return kind.astype(np.uint16 if count <= 1 << 16 else np.uint32)


def grid_kinds(product: Ints, channel: Ints, pairs: Ints, groups: Ints, parts: Mapping[str, Ints]) -> Kinds:
    """Kinds of every group and pair, a group's together: a use is the product of the group's part and the pair's.

    Args:
        product, channel: of each pair, int64 [P].
        pairs: each pair's part of the use of each limit, int64 [P, M], signed for the at-most form.
        groups: each group's part, int64 [G, M].
        parts: the other parts of each pair's key, where there are any.
    """
    limit, use, size = [], [], []
    for part in groups:
        uses = pairs * part
        at, m = np.nonzero(uses)
        limit.append(m)
        use.append(uses[at, m])
        size.append(np.bincount(at, minlength=len(pairs)))
    first = np.concatenate(([0], np.cumsum(np.concatenate(size)))).astype(np.int64)
    times = len(groups)
    return Kinds(
        np.tile(product, times),
        np.tile(channel, times),
        first,
        np.concatenate(limit).astype(np.int64),
        np.concatenate(use).astype(np.int64),
        {name: np.tile(part, times) for name, part in parts.items()},
    )
