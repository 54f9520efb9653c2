"""Churn, and churn of those whom nothing of their own has changed."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from planning.plan.churn import stability

ARCS = {"customer_id": [1, 2, 3, 4, 5], "product": [1] * 5, "channel": [0] * 5, "value_micro": [10, 20, 30, 40, 50]}


def plan(product: list[int | None], **changed: Any) -> pa.Table:
    """Five customers who exploit, each with an arc on channel 0 or none."""
    channel = [None if p is None else 0 for p in product]
    columns = {
        "customer_id": [1, 2, 3, 4, 5],
        "product": pa.array(product, pa.int16()),
        "channel": pa.array(channel, pa.int16()),
        "role": ["exploit"] * 5,
        "eligible_hash": ["a"] * 5,
    }
    return pa.table(columns | changed)


def arcs(**changed: Any) -> pa.Table:
    return pa.table(ARCS | changed)


def test_who_moved_without_a_reason_of_their_own() -> None:
    before = plan([1, 1, 1, None, None])
    tonight = plan(
        [1, 2, None, 1, None],
        eligible_hash=["a", "a", "b", "a", "a"],
        role=["exploit", "exploit", "exploit", "exploit", "control"],
    )
    told = stability(tonight, before, arcs(value_micro=[10, 20, 30, 41, 50]), arcs())
    assert told["churn"] == 0.75  # of 1 to 4: 2, 3 and 4 moved
    assert told["unchanged"] == 2  # 3 has other arcs, 4 another value
    assert told["churn_unchanged"] == 0.5


def test_an_arc_that_only_one_night_kept_changes_nobody() -> None:
    more = pa.concat_tables(
        [arcs(), pa.table({"customer_id": [1], "product": [9], "channel": [0], "value_micro": [1]})]
    )
    told = stability(plan([1, 1, 1, 1, 1]), plan([1, 1, 1, 1, 1]), more, arcs())
    assert told == {"churn": 0.0, "churn_unchanged": 0.0, "unchanged": 5}


def test_the_first_night_and_nobody_in_common() -> None:
    assert stability(plan([1] * 5), None, arcs(), arcs())["churn"] is None
    others = plan([1] * 5, role=["control"] * 5)
    assert stability(plan([1] * 5), others, arcs(), arcs()) == {"churn": None, "churn_unchanged": None, "unchanged": 0}
