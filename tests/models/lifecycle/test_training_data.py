"""What training samples and splits by: a customer's draw key, which no order of files decides; older snapshots too."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from models.lifecycle.training_data import read_draw_keys, sample_rows
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

D = dt.date(2026, 1, 9)


def snapshot(night: Night, columns: dict[str, Any]) -> None:
    """A snapshot of D with these columns, null elsewhere."""
    schema = nullable(arrow_schema(night.lake.table("customer_features")))
    count = len(columns["customer_id"])
    given = columns | {"business_date": [D] * count}
    arrays = [pa.array(given[f.name], f.type) if f.name in given else pa.nulls(count, f.type) for f in schema]
    night.lake.replace_arrow(
        "customer_features", pa.Table.from_arrays(arrays, schema=schema), partition=night.partition
    )


def test_keys_are_those_of_the_snapshot_and_ids_where_it_has_none(night: Callable[..., Night]) -> None:
    tonight = night(D)
    snapshot(tonight, {"customer_id": [5, 3, 9], "draw_key": [50, 1 << 59, None]})
    rows = pa.table({"customer_id": pa.array([9, 5, 4, 3, 10, 1])})
    assert read_draw_keys(tonight, D)(rows).tolist() == [9, 50, 4, 1 << 59, 10, 1]


def test_the_same_people_are_sampled_under_other_ids() -> None:
    people = np.arange(4_000)
    keys = people * 7_919 + 11

    def sampled(ids: np.ndarray) -> set[int]:
        order = np.argsort(ids)
        rows = pa.table(
            {
                "customer_id": ids[order],
                "person": people[order],
                "product": pa.nulls(len(ids), pa.int16()),
                "role": ["exploit"] * len(ids),
                "ordered": np.zeros(len(ids), np.int64),
            }
        )
        found, weight = sample_rows(rows, keys[order], D, np.array([1.0, 1.0, 0.25]), 7)
        assert set(weight.tolist()) == {4.0}
        return set(found["person"].to_pylist())

    there = sampled(people + 1)
    assert 850 < len(there) < 1_150
    assert sampled(np.random.default_rng(3).permutation(people) + 1) == there
