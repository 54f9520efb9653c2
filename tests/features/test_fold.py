"""Folding by hand and against a slow grouping; many events of one customer; more texts than a cell has bits."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.feature import Family
from features import fold as folding
from features.anchor import Anchor
from features.bucket import code, family_values
from features.cells import cells_of
from features.fold import fold
from tests.examples import examples

D = dt.date(2026, 1, 9)
EXAMPLE = {"unit": "", "label_zh": "数", "doc": "a number", "example": {"row": {}, "value": 1}}


def family(*inputs: dict) -> Family:
    said = [EXAMPLE | one for one in inputs]
    return Family.model_validate(
        {
            "family": "demo",
            "label_zh": "示例",
            "doc": "a demo",
            "source": "contact",
            "owner": "nobody",
            "inputs": said,
        }
    )


ADDED = family(
    {"name": "n", "features": {"count": [7]}},
    {"name": "x", "value": "v", "features": {"sum": [7], "mean": [7]}},
    {"name": "m", "value": "w", "features": {"max": [7], "sum": [7]}},
)


def events(rows: list[tuple]) -> pa.Table:
    customer, x, m = zip(*rows, strict=True) if rows else ((), (), ())
    size = len(rows)
    return pa.table(
        {
            "business_date": pa.array([D] * size, pa.date32()),
            "customer_id": pa.array(customer, pa.int64()),
            "day": pa.array([D - dt.timedelta(days=1)] * size, pa.date32()),
            "feed": pa.array(["f"] * size, pa.string()),
            "inputs": pa.array([1 + 2 * (a is not None) + 4 * (b is not None) for _, a, b in rows], pa.int64()),
            "x": pa.array(x, pa.int64()),
            "m": pa.array(m, pa.int64()),
        }
    )


def test_events_that_say_the_same_become_one_row():
    rows = fold(events([(1, 5, None), (1, 7, None), (1, None, 3), (1, None, 3), (1, None, 4), (0, 5, None)]), ADDED)
    told = [(r["customer_id"], r["inputs"], r["events"], r["x"], r["m"]) for r in rows.to_pylist()]
    # x is only summed: 5 and 7 are one row; m wants its maximum: 3 and 4 stay apart
    assert told == [(0, 3, 1, 5, None), (1, 3, 2, 12, None), (1, 5, 2, None, 3), (1, 5, 1, None, 4)]
    assert fold(events([]), ADDED).num_rows == 0


number = st.one_of(st.none(), st.integers(-3, 3))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), number, number), max_size=40), st.sampled_from([1, 256]))
def test_rows_are_the_groups_of_a_slow_count(rows, few):
    before = folding._FEW
    folding._FEW = few  # with 1 every customer's rows go through the sort for many
    try:
        found = fold(events(rows), ADDED).to_pylist()
    finally:
        folding._FEW = before
    groups = Counter((c, 1 + 2 * (x is not None) + 4 * (m is not None), m) for c, x, m in rows)
    order = sorted(groups, key=lambda g: (g[0], g[1], -9 if g[2] is None else g[2]))
    assert [(r["customer_id"], r["inputs"], r["m"]) for r in found] == order
    assert [r["events"] for r in found] == [groups[g] for g in order]
    for r in found:
        same = [
            x for c, x, m in rows if (c, m) == (r["customer_id"], r["m"]) and (x is not None) == bool(r["inputs"] & 2)
        ]
        assert r["x"] == (sum(same) if r["inputs"] & 2 else None)


def test_more_texts_than_a_cell_has_bits_are_counted_exactly():
    texts = family({"name": "s", "value": "t", "type": "string", "features": {"distinct": [2, 7], "last": [7]}})
    size = 200
    table = pa.table(
        {
            "business_date": pa.array([D] * size, pa.date32()),
            "customer_id": pa.array([0, 1] * (size // 2)),
            "day": pa.array([D - dt.timedelta(days=1 + i % 4) for i in range(size)], pa.date32()),
            "feed": ["f"] * size,
            "inputs": [1] * size,
            "at": list(range(size)),
            "s": [f"t{i % 150:03d}" for i in range(size)],
        }
    )
    last = D - dt.timedelta(days=1)
    coded = code([fold(table, texts)], texts, 0)
    found = family_values(texts, cells_of(texts), coded, Anchor(D, last, {"f": last}), np.arange(2), np.ones(2, bool))
    seen = table.to_pylist()
    for window in (2, 7):
        expected = [
            len({r["s"] for r in seen if r["customer_id"] == c and (last - r["day"]).days < window}) for c in (0, 1)
        ]
        assert found[f"s_distinct_{window}d"].to_pylist() == expected
    assert found["s_last_7d"].to_pylist() == ["t048", "t049"]


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(ValueError, match="tells texts apart"):
        family({"name": "x", "value": "v", "features": {"distinct": [7]}})
    with pytest.raises(ValueError, match="at most 62"):
        family(*({"name": f"n{i}", "features": {"count": [7]}} for i in range(63)))
