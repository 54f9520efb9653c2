"""Of records with one key in a delivery one counts, and no order of lines says which."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.schema import Schema
from dialects.keys import find_beaten, find_shared, fingerprints
from tests.dialects.conftest import schema_of
from tests.examples import examples

CONFORM = [{"entity": "contact", "subject": "phone", "event_time": "to_utc(at)"}]


def beaten(schema: Schema, table: pa.Table) -> list[int]:
    found = find_beaten(schema, fingerprints(schema, table), lambda rows: table.take(pa.array(rows)))
    return [int(row) for row in found]


def filled(schema: Schema, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows with every field of the schema, null where not given."""
    kinds = {"no": pa.int64(), "at": pa.int64()}
    return pa.table(
        {
            field.name: pa.array([row.get(field.name) for row in rows], kinds.get(field.name, pa.string()))
            for field in schema.fields
        }
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", None])), max_size=12))
@settings(max_examples=examples(100), deadline=None)
def test_of_equal_records_the_first_stays(keys: list[tuple[int, str | None]]) -> None:
    schema = schema_of(key=("no", "kind"))
    seen: set[object] = set()
    expected = []
    for row, key in enumerate(keys):
        expected += [row] if key in seen else []
        seen.add(key)
    assert beaten(schema, filled(schema, [{"no": no, "kind": kind} for no, kind in keys])) == expected


def test_keys_that_differ_by_type_of_nothing_differ() -> None:
    schema = schema_of(key=("kind", "word"))
    table = filled(
        schema, [{"kind": a, "word": b} for a, b in [("a", None), (None, "a"), ("", "a"), ("a", None), (None, "a")]]
    )
    prints = fingerprints(schema, table)
    rows, key = find_shared(prints)
    assert sorted(rows.tolist()) == [0, 1, 3, 4]
    assert len(set(key.tolist())) == 2
    assert beaten(schema, table) == [3, 4]
    assert len(np.unique(prints[:3], axis=0)) == 3


def test_the_latest_counts_then_the_greatest_in_any_order() -> None:
    schema = schema_of(key=("no",), conform=CONFORM)
    assert schema.moments == ("at",)
    rows = [
        {"no": 1, "at": 5, "word": "z"},
        {"no": 1, "at": 9, "word": None},
        {"no": 1, "at": 9, "word": "b"},
        {"no": 1, "at": None, "word": "zz"},
        {"no": 2, "at": 1, "word": "alone"},
    ]
    for order in itertools.permutations(range(len(rows))):
        gone = beaten(schema, filled(schema, [rows[place] for place in order]))
        assert sorted(order[place] for place in gone) == [0, 1, 3]
