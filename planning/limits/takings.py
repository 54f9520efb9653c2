"""What thousands of limits take of arcs, found from the values that their conditions name, not limit by limit.

Of rows that have some of the columns, limits ask far fewer things than there are limits: a cap a shop and product asks
of the product part what all shops' caps of that product ask. Each thing asked is a *condition*; its rows are looked up
by value. Rows are sparse throughout: time and memory grow with what is taken, not with limits x rows.
`planning.limits.evaluator.take_units` says the same densely, and is what tests hold this to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from models.arrays import Ints, list_places
from models.assignment.arc_types import distinct_rows, pad_rows
from planning.limits.evaluator import Columns, Taking


@dataclass(frozen=True)
class PartTakings:
    """What conditions take of rows that have some of the columns.

    Attributes:
        asked: the condition of each limit, int64 [M]; conditions are numbered as limits first ask them.
        first: where each row's takings begin, int64 [n + 1].
        condition: of each taking, ascending within a row, int64 [T].
        units: of each taking, not 0, int64 [T].
    """

    asked: Ints
    first: Ints
    condition: Ints
    units: Ints

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def conditions(self) -> int:
        """How many conditions there are."""
        return int(self.asked.max(initial=-1)) + 1

    def pick(self, rows: Ints) -> PartTakings:
        """Some rows."""
        begin = self.first[rows]
        first, source = list_places(begin, self.first[rows + 1] - begin)
        return PartTakings(self.asked, first, self.condition[source], self.units[source])

    def distinct(self, key: Ints) -> tuple[Ints, Ints]:
        """Rows that differ in ``key`` int64 [n, k] or in what is taken: one of each, and of each row which.

        In the order that (key, units by condition, 0 where nothing is taken) has.
        """
        # of two rows the one whose first other unit is larger comes later; what is not there is 0, like a row's end
        far = self.conditions - self.condition
        return distinct_rows(pad_rows(key, self.first, np.where(self.units > 0, far, -far), self.units))


def take_parts(limits: Sequence[Taking], columns: Columns, count: int) -> PartTakings:
    """What the limits' conditions on the columns at hand take of ``count`` rows."""
    index = _ValueIndex(columns, count)
    number: dict[object, int] = {}
    asked = np.zeros(len(limits), np.int64)
    rows, units = [], []
    for m, limit in enumerate(limits):
        where = {name: tuple(values) for name, values in limit.where.items() if name in columns}
        counts = limit.counts if isinstance(limit.counts, str) and limit.counts in columns else None
        asks = (tuple(sorted(where.items())), counts)
        if asks not in number:
            number[asks] = len(number)
            row = index.rows(where)
            unit = np.ones(len(row), np.int64) if counts is None else columns[counts][row].astype(np.int64)
            taken = np.flatnonzero(unit)
            rows.append(row[taken])
            units.append(unit[taken])
        asked[m] = number[asks]
    row = np.concatenate([*rows, np.empty(0, np.int64)])
    order = np.argsort(row, kind="stable")
    condition = np.repeat(np.arange(len(rows)), [len(part) for part in rows])[order]
    first = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=count)))).astype(np.int64)
    return PartTakings(asked, first, condition, np.concatenate([*units, np.empty(0, np.int64)])[order])


class _ValueIndex:
    """Rows by the values of their columns."""

    def __init__(self, columns: Columns, count: int) -> None:
        self.columns, self.count = columns, count
        self.sorted: dict[str, tuple[Ints, Ints]] = {}

    def rows(self, where: Mapping[str, Sequence[int]]) -> Ints:
        """Rows that hold all conditions, ascending."""
        if not where:
            return np.arange(self.count)
        by_name = {name: self._rows_of(name, values) for name, values in where.items()}
        fewest = min(by_name, key=lambda name: sum(len(part) for part in by_name[name]))
        rows = np.sort(np.concatenate([*by_name[fewest], np.empty(0, np.int64)]))
        for name, values in where.items():
            if name != fewest:
                rows = rows[np.isin(self.columns[name][rows], np.array(values, np.int64))]
        return rows

    def _rows_of(self, name: str, values: Sequence[int]) -> list[Ints]:
        if name not in self.sorted:
            order = np.argsort(self.columns[name], kind="stable")
            self.sorted[name] = (order, self.columns[name][order].astype(np.int64))
        order, ordered = self.sorted[name]
        wanted = np.unique(np.array(values, np.int64))
        begin, end = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
        return [order[a:b] for a, b in zip(begin.tolist(), end.tolist(), strict=True)]


def combine(pairs: PartTakings, pair: Ints, groups: PartTakings, group: Ints, signs: Ints) -> tuple[Ints, Ints, Ints]:
    """Uses of limits by arcs whose parts are a pair and a group, in the at-most form.

    Args:
        pairs, groups: what is taken of each.
        pair, group: of each arc, int64 [n].
        signs: of the limits, int64 [M].

    Returns:
        Where each arc's uses begin, int64 [n + 1]; limit (ascending within an arc) and use of each, int64 [U].
    """
    order = np.lexsort((np.arange(len(signs)), groups.asked, pairs.asked))  # limits of a condition on the pair together
    begin = np.searchsorted(pairs.asked[order], np.arange(pairs.conditions + 1))
    size = np.zeros(len(pair), np.int64)
    nothing = np.empty(0, np.int64)
    parts = (pairs.first, pairs.condition, pairs.units), (groups.first, groups.condition, groups.units)
    _combine(*parts, pair, group, begin, groups.asked[order], order, signs, size, nothing, nothing, nothing)
    first = np.concatenate(([0], np.cumsum(size)))
    limit, use = np.empty(first[-1], np.int64), np.empty(first[-1], np.int64)
    _combine(*parts, pair, group, begin, groups.asked[order], order, signs, size, first, limit, use)
    return first, limit, use


@njit(cache=True, nogil=True)
def _combine(pairs, groups, pair, group, begin, other, limits, signs, size, first, limit, use):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Counts the uses of each arc into ``size``, or, where ``first`` has rows, writes them, limits ascending."""
    pair_first, pair_condition, pair_units = pairs
    group_first, group_condition, group_units = groups
    for i in range(len(pair)):
        n = 0
        start = first[i] if len(first) else 0
        for x in range(pair_first[pair[i]], pair_first[pair[i] + 1]):
            low, high = begin[pair_condition[x]], begin[pair_condition[x] + 1]
            for y in range(group_first[group[i]], group_first[group[i] + 1]):
                at = low + np.searchsorted(other[low:high], group_condition[y])
                while at < high and other[at] == group_condition[y]:
                    if len(first):
                        spot = start + n
                        m, units = limits[at], pair_units[x] * group_units[y] * signs[limits[at]]
                        while spot > start and limit[spot - 1] > m:
                            limit[spot], use[spot] = limit[spot - 1], use[spot - 1]
                            spot -= 1
                        limit[spot], use[spot] = m, units
                    n += 1
                    at += 1
        size[i] = n
