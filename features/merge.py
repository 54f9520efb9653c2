"""Daily partials → cells: one pass over the rows of a bucket of customers, in compiled code.

Integers only: the result does not depend on the order of rows. Cells of a customer without any event hold ``INITIAL``
(or 0). *Cost*: some nanoseconds a row and cell that it enters; rows by customer keep a customer's cells at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from features.arrays import I64, seal
from features.cells import AGE, COUNT, DAYS, DISTINCT, FIRST, GREATEST, LAST, LEAST, SLOPE, SUM, Cells

LOWEST, HIGHEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
#: What a cell holds before any event.
INITIAL = {LEAST: HIGHEST, AGE: HIGHEST, GREATEST: LOWEST, LAST: LOWEST, FIRST: HIGHEST}
#: Different texts that fit into the bits of a cell.
BITS = 63


@dataclass(frozen=True)
class MergeChunk:
    """Partial rows coded as integers; int64 arrays of one length, best in order of customers.

    Attributes:
        known: the night that first knew them, days since 1970.
        customer: offset in the bucket.
        day: of the events, since 1970.
        feed: position among the feeds.
        inputs: bit i: the events count in the i-th input.
        events: how many say this.
        at: their time; empty where the family keeps none.
        values: int64 [valued inputs, rows]: integers, or positions of texts (−1: none).
    """

    known: I64
    customer: I64
    day: I64
    feed: I64
    inputs: I64
    events: I64
    at: I64
    values: I64


@dataclass(frozen=True)
class DaySpan:
    """Where windows end, and in which steps days count back from there.

    Attributes:
        known: days since 1970: what later nights learned is not known.
        end: last day of the windows of each feed; −1: the feed is not known yet. int64 [feeds].
        monthly: days count by months of 30.
        step: days of a step of a trend.
    """

    known: int
    end: I64
    monthly: bool
    step: int


def merge(cells: Cells, customers: int, place: I64, span: DaySpan, chunks: Iterable[MergeChunk]) -> I64:
    """Accumulate partial rows into cells.

    Args:
        cells: what to accumulate.
        customers: n.
        place: position of every offset of the bucket among the customers; −1: none of them. int64 [bucket].
        span: where windows end.
        chunks: the rows.

    Returns:
        int64 [cells, n].
    """
    # a customer's cells side by side: with 2^16 customers a row apart, all would compete for one set of the cache
    values = np.zeros((customers, cells.operation.size), np.int64)
    ordered = np.isin(cells.operation, (FIRST, LAST))
    times = np.zeros(values.shape if ordered.any() else (0, 0), np.int64)
    for position, operation in enumerate(cells.operation):
        if int(operation) in INITIAL:
            values[:, position] = INITIAL[int(operation)]
        if ordered[position]:
            times[:, position] = INITIAL[int(operation)]
    asked = (cells.start, cells.operation, cells.window, cells.value, cells.summed, cells.coded, cells.codes)
    for chunk in chunks:
        month = months(chunk.day) if span.monthly else chunk.day
        end = months(span.end) if span.monthly else span.end
        _accumulate(
            *asked,
            place,
            span.known,
            span.end,
            seal(end),
            30 if span.monthly else 1,
            span.step,
            *(
                seal(column)
                for column in (
                    chunk.known,
                    chunk.customer,
                    chunk.day,
                    month,
                    chunk.feed,
                    chunk.inputs,
                    chunk.events,
                    chunk.at,
                    chunk.values,
                )
            ),
            values,
            times,
        )
    return np.ascontiguousarray(values.T)


def months(day: I64) -> I64:
    """Months since January 1970 of days since 1970."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


@njit(cache=True)
def _accumulate(
    start: I64,
    operation: I64,
    window: I64,
    value: I64,
    summed: npt.NDArray[np.bool_],
    coded: I64,
    codes: I64,
    place: I64,
    until: int,
    end_day: I64,
    end: I64,
    unit: int,
    step: int,
    known: I64,
    customer: I64,
    day: I64,
    when: I64,
    feed: I64,
    inputs: I64,
    events: I64,
    at: I64,
    input_values: I64,
    values: I64,
    times: I64,
) -> None:
    for r in range(customer.size):
        c = place[customer[r]]
        f = feed[r]
        # within the month of the end, days after it are not known yet
        if c < 0 or known[r] > until or end_day[f] < 0 or day[r] > end_day[f]:
            continue
        age = unit * (end[f] - when[r])
        n = events[r]
        time = at[r] if at.size else 0
        bits = inputs[r]
        i = 0
        while bits:
            if bits & 1:
                v = input_values[value[i], r] if value[i] >= 0 else 1
                total = v if summed[i] and value[i] >= 0 else v * n
                _enter(start[i], start[i + 1], operation, window, step, c, age, n, v, total, time, values, times)
                if coded[i] >= 0 and 0 <= v < codes[i]:
                    a = coded[i] + v
                    _enter(start[a], start[a + 1], operation, window, step, c, age, n, v, total, time, values, times)
            bits >>= 1
            i += 1


@njit(inline="always")
def _enter(
    low: int,
    high: int,
    operation: I64,
    window: I64,
    step: int,
    c: int,
    age: int,
    n: int,
    v: int,
    total: int,
    time: int,
    values: I64,
    times: I64,
) -> None:
    for k in range(low, high):
        w = window[k]
        if age >= w:
            break  # the windows that follow are shorter
        op = operation[k]
        if op == COUNT:
            values[c, k] += n
        elif op == SUM:
            values[c, k] += total
        elif op == AGE:
            values[c, k] = min(values[c, k], age)
        elif op == LEAST:
            values[c, k] = min(values[c, k], v)
        elif op == GREATEST:
            values[c, k] = max(values[c, k], v)
        elif op == DAYS:
            values[c, k] |= np.int64(1) << age
        elif op == DISTINCT:
            if v < BITS:
                values[c, k] |= np.int64(1) << v
        elif op == SLOPE:
            steps = w // step
            if age < steps * step:
                values[c, k] += total * (steps - 1 - 2 * (age // step))
        elif op == LAST:
            if time > times[c, k] or (time == times[c, k] and v > values[c, k]):
                times[c, k] = time
                values[c, k] = v
        elif time < times[c, k] or (time == times[c, k] and v < values[c, k]):
            times[c, k] = time
            values[c, k] = v


def distinct(window: int, customers: int, customer: I64, age: I64, item: I64) -> I64:
    """Number of different items of each customer within ``window`` days, however many items there are.

    Args:
        window: days.
        customers: n.
        customer: int64 [rows], −1: none of ours.
        age: days before the anchor, negative: not known yet.
        item: position of the text.

    Returns:
        int64 [n].
    """
    inside = (customer >= 0) & (age >= 0) & (age < window)
    if not inside.any():
        return np.zeros(customers, np.int64)
    items = item[inside]
    pairs = np.unique(customer[inside] * (items.max() + 1) + items)
    return np.bincount(pairs // (items.max() + 1), minlength=customers).astype(np.int64)
