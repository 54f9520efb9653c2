"""Daily partials → cells: one pass over the rows of a bucket of customers, in compiled code.

Integers only: the result does not depend on the order of rows. Cells of a customer without any event hold ``EMPTY``
(or 0 for sums), see ``INITIAL``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from features.arrays import sealed
from features.cells import AGE, COUNT, DAYS, FIRST, GREATEST, LAST, LEAST, SLOPE, SUM, Cells

I64 = npt.NDArray[np.int64]
LOWEST, HIGHEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
#: What a cell holds before any event.
INITIAL = {LEAST: HIGHEST, AGE: HIGHEST, GREATEST: LOWEST, LAST: LOWEST, FIRST: HIGHEST}


def merge(
    cells: Cells,
    customers: int,
    step: int,
    row: dict[str, I64],
) -> tuple[I64, I64]:
    """Accumulate partial rows into cells.

    Args:
        cells: what to accumulate.
        customers: customers of the bucket, n.
        step: days of a step of a trend.
        row: int64 arrays of one length: ``customer`` (0 … n−1, −1: none of ours), ``input`` (−1: not asked), ``age``
            (days before the anchor, 0 is the anchor's day), ``at``, ``count``, ``sum``, ``least``, ``greatest``.

    Returns:
        values int64 [cells, n] and times int64 [cells, n] (of first and last).
    """
    values = np.zeros((len(cells.operation), customers), np.int64)
    for position, operation in enumerate(cells.operation):
        if int(operation) in INITIAL:
            values[position] = INITIAL[int(operation)]
    ordered = bool(np.isin(cells.operation, (FIRST, LAST)).any())
    times = np.zeros(values.shape if ordered else (0, 0), np.int64)
    for position, operation in enumerate(cells.operation):
        if operation in (FIRST, LAST):
            times[position] = INITIAL[int(operation)]
    names = ("customer", "input", "age", "at", "count", "sum", "least", "greatest")
    _accumulate(cells.start, cells.operation, cells.window, step, *(sealed(row[name]) for name in names), values, times)
    return values, times


@njit(cache=True)
def _accumulate(
    start: I64, operation: I64, window: I64, step: int, customer: I64, source: I64, age: I64, at: I64, count: I64,
    total: I64, least: I64, greatest: I64, values: I64, times: I64,
) -> None:  # fmt: skip
    for r in range(customer.size):
        c, i, a = customer[r], source[r], age[r]
        if c < 0 or i < 0 or a < 0:
            continue
        for k in range(start[i], start[i + 1]):
            w = window[k]
            if a >= w:
                continue
            op = operation[k]
            if op == SUM:
                values[k, c] += total[r]
            elif op == COUNT:
                values[k, c] += count[r]
            elif op == LEAST:
                values[k, c] = min(values[k, c], least[r])
            elif op == GREATEST:
                values[k, c] = max(values[k, c], greatest[r])
            elif op == AGE:
                values[k, c] = min(values[k, c], a)
            elif op == DAYS:
                values[k, c] |= np.int64(1) << a
            elif op == SLOPE:
                steps = w // step
                if a < steps * step:
                    values[k, c] += total[r] * (steps - 1 - 2 * (a // step))
            elif op == LAST:
                if at[r] > times[k, c]:
                    times[k, c] = at[r]
                    values[k, c] = greatest[r]
                elif at[r] == times[k, c]:
                    values[k, c] = max(values[k, c], greatest[r])
            elif op == FIRST:
                if at[r] < times[k, c]:
                    times[k, c] = at[r]
                    values[k, c] = least[r]
                elif at[r] == times[k, c]:
                    values[k, c] = min(values[k, c], least[r])


def distinct(window: int, customers: int, customer: I64, age: I64, item: I64) -> I64:
    """Number of different items of each customer within ``window`` days: exact. int64 [customers]."""
    inside = (customer >= 0) & (age >= 0) & (age < window) & (item >= 0)
    if not inside.any():
        return np.zeros(customers, np.int64)
    items = item[inside]
    pairs = np.unique(customer[inside] * (items.max() + 1) + items)
    return np.bincount(pairs // (items.max() + 1), minlength=customers).astype(np.int64)
