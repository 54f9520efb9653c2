"""Daily partials → cells: one pass over the rows of a bucket of customers, in compiled code.

Integers only: the result does not depend on the order of rows. Cells of a customer without any event hold ``INITIAL``
(or 0). *Cost*: some nanoseconds a row and cell that it enters; rows by customer keep a customer's cells at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

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


class CellPlan(NamedTuple):
    """What the kernel looks up: the arrays of ``Cells`` under their names, and where windows end.

    Attributes:
        place: position of every offset of the bucket among the customers, −1: none; int64 [bucket].
        until: days since 1970; what later nights learned is not known.
        end_day: last day of the windows of each feed, −1: not known yet; int64 [feeds].
        end: the same in days or months; int64 [feeds].
        unit: days of a step of ``end``.
        step: days of a step of a trend.
    """

    start: I64
    operation: I64
    window: I64
    value: I64
    summed: npt.NDArray[np.bool_]
    coded: I64
    codes: I64
    place: I64
    until: int
    end_day: I64
    end: I64
    unit: int
    step: int


class ChunkArrays(NamedTuple):
    """A ``MergeChunk`` as the kernel reads it; ``when`` is the day, or the month where windows are of months."""

    known: I64
    customer: I64
    day: I64
    when: I64
    feed: I64
    inputs: I64
    events: I64
    at: I64
    values: I64


class Entry(NamedTuple):
    """What one row says to one input: whose it is, how old, how many events, their value, its sum, their time."""

    customer: int
    age: int
    events: int
    value: int
    total: int
    time: int


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
    plan = CellPlan(
        start=cells.start,
        operation=cells.operation,
        window=cells.window,
        value=cells.value,
        summed=cells.summed,
        coded=cells.coded,
        codes=cells.codes,
        place=place,
        until=span.known,
        end_day=span.end,
        end=seal(months(span.end) if span.monthly else span.end),
        unit=30 if span.monthly else 1,
        step=span.step,
    )
    for chunk in chunks:
        when = months(chunk.day) if span.monthly else chunk.day
        columns = (chunk.known, chunk.customer, chunk.day, when, chunk.feed, chunk.inputs, chunk.events, chunk.at)
        _accumulate(plan, ChunkArrays(*map(seal, (*columns, chunk.values))), values, times)
    return np.ascontiguousarray(values.T)


def months(day: I64) -> I64:
    """Months since January 1970 of days since 1970."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


@njit(cache=True)
def _accumulate(plan: CellPlan, rows: ChunkArrays, values: I64, times: I64) -> None:
    """Enter rows into cells; ``values`` and ``times``: int64 [customers, cells], changed."""
    for r in range(rows.customer.size):
        c = plan.place[rows.customer[r]]
        f = rows.feed[r]
        # within the month of the end, days after it are not known yet
        if c < 0 or rows.known[r] > plan.until or plan.end_day[f] < 0 or rows.day[r] > plan.end_day[f]:
            continue
        age = plan.unit * (plan.end[f] - rows.when[r])
        n = rows.events[r]
        time = rows.at[r] if rows.at.size else 0
        bits = rows.inputs[r]
        i = 0
        while bits:
            if bits & 1:
                v = rows.values[plan.value[i], r] if plan.value[i] >= 0 else 1
                total = v if plan.summed[i] and plan.value[i] >= 0 else v * n
                entry = Entry(c, age, n, v, total, time)
                _enter(i, plan, entry, values, times)
                if plan.coded[i] >= 0 and 0 <= v < plan.codes[i]:
                    _enter(plan.coded[i] + v, plan, entry, values, times)
            bits >>= 1
            i += 1


@njit(inline="always")
def _enter(i: int, plan: CellPlan, entry: Entry, values: I64, times: I64) -> None:
    """Enter one row into the cells of an input or of one of its codes."""
    c, age, n, v, total, time = entry
    window, operation, step = plan.window, plan.operation, plan.step
    for k in range(plan.start[i], plan.start[i + 1]):
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
