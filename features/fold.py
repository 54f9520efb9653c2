"""Valued events → daily partials: events of a customer's day that say the same become one row, in compiled code.

The rows are the same whatever the order of events. *Cost*: linear where events come by customer, as the entities are
written; else a sort.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit

from conf.feature import Family
from conf.partial import inputs_with_value, is_sum, keeps_times
from features.arrays import I64, code_texts, ints

#: Stands for a null among keys: no value is as low.
_NONE = np.iinfo(np.int64).min
#: Events of one customer up to which they are put in order where they stand.
_FEW = 256


def fold(valued: pa.Table, family: Family) -> pa.Table:
    """The partial rows of valued events.

    Args:
        valued: the columns of ``features.daily.value_sql``, in any order of rows.
        family: the declaration.

    Returns:
        The columns of the family's partial table but its partition, ordered by customer, night and the rest of its
        key (texts in the order of their characters).
    """
    values = inputs_with_value(family)
    texts: dict[str, tuple[str, ...]] = {}
    apart = [source for source in values if not is_sum(source)]
    added = [source for source in values if is_sum(source)]
    times = keeps_times(family)
    rows = valued.num_rows
    keys = np.empty((4 + times + len(apart), rows), np.int64)
    keys[0], keys[1] = ints(valued["business_date"]), ints(valued["day"])
    keys[2], feeds = code_texts(valued["feed"])
    keys[3] = ints(valued["inputs"])
    if times:
        keys[4] = ints(valued["at"], _NONE)
    for place, source in enumerate(apart, 4 + times):
        if source.type == "string":
            keys[place], texts[source.name] = code_texts(valued[source.name])
        else:
            keys[place] = ints(valued[source.name], _NONE)
    sums = np.empty((len(added), rows), np.int64)
    for place, source in enumerate(added):
        sums[place] = ints(valued[source.name])
    customer = ints(valued["customer_id"])
    first, events, totals = _fold(customer, keys, sums)
    taken = [key[first] for key in keys]
    columns: dict[str, pa.Array] = {
        "business_date": _dates(taken.pop(0)),
        "customer_id": pa.array(customer[first]),
        "day": _dates(taken.pop(0)),
        "feed": _texts(taken.pop(0), feeds),
        "inputs": pa.array(taken.pop(0)),
        "events": pa.array(events),
    }
    if times:
        columns["at"] = _numbers(taken.pop(0))
    total = iter(totals)
    for source in values:
        if source.type == "string":
            columns[source.name] = _texts(taken.pop(0), texts[source.name])
        elif is_sum(source):
            holds = (columns["inputs"].to_numpy() >> family.inputs.index(source)) & 1
            columns[source.name] = pa.array(next(total), pa.int64(), mask=holds == 0)
        else:
            columns[source.name] = _numbers(taken.pop(0))
    return pa.table(columns)


def _fold(customer: I64, keys: I64, sums: I64) -> tuple[I64, I64, I64]:
    """Where each group begins, its events, and its sums int64 [sums, groups]; groups in order of all keys."""
    rows = customer.size
    first, events, totals = np.empty(rows, np.int64), np.empty(rows, np.int64), np.empty(sums.shape, np.int64)
    if not rows:
        return first, events, totals
    order = np.arange(rows) if _ascends(customer) else np.argsort(customer, kind="stable")
    bounds = np.flatnonzero(np.diff(customer[order], prepend=-1, append=-1))
    for b in np.flatnonzero(np.diff(bounds) > _FEW):  # too many to put in order one by one
        customer_rows = order[bounds[b] : bounds[b + 1]]
        order[bounds[b] : bounds[b + 1]] = customer_rows[np.lexsort(keys[::-1, customer_rows])]
    groups = _group(bounds, order, keys, sums, first, events, totals)
    return first[:groups], events[:groups], totals[:, :groups]


def _ascends(values: I64) -> bool:
    return bool((values[1:] >= values[:-1]).all())


@njit(cache=True)
def _group(bounds: I64, order: I64, keys: I64, sums: I64, first: I64, events: I64, totals: I64) -> int:
    """Put each customer's rows in order of their keys and merge those with equal ones; returns the groups."""
    groups = 0
    for b in range(bounds.size - 1):
        low, high = bounds[b], bounds[b + 1]
        for i in range(low + 1, high):
            row, j = order[i], i - 1
            while j >= low and _compare(keys, row, order[j]) < 0:
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = row
        for i in range(low, high):
            row = order[i]
            if i > low and _compare(keys, row, order[i - 1]) == 0:
                events[groups - 1] += 1
                for k in range(sums.shape[0]):
                    totals[k, groups - 1] += sums[k, row]
            else:
                first[groups], events[groups] = row, 1
                for k in range(sums.shape[0]):
                    totals[k, groups] = sums[k, row]
                groups += 1
    return groups


@njit(cache=True)
def _compare(keys: I64, left: int, right: int) -> int:
    for k in range(keys.shape[0]):
        if keys[k, left] != keys[k, right]:
            return -1 if keys[k, left] < keys[k, right] else 1
    return 0


def _numbers(values: I64) -> pa.Array:
    return pa.array(values, pa.int64(), mask=values == _NONE)


def _dates(days: I64) -> pa.Array:
    return pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32())


def _texts(positions: I64, texts: tuple[str, ...]) -> pa.Array:
    index = pa.array(positions.astype(np.int32), pa.int32(), mask=positions < 0)
    return pa.DictionaryArray.from_arrays(index, pa.array(texts, pa.string()))
