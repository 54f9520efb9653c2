"""Customers as limits see them."""

from __future__ import annotations

import pyarrow as pa

from planning.limits.columns import LimitColumns, rows_of

POPULATION = pa.table(
    {
        "customer_id": pa.array([3, 5, 9], pa.int64()),
        "masks": [[1], [2], [3]],
        "s_rural": pa.array([1, 0, 1], pa.int16()),
        "c_centre": pa.array([2, 0, 2], pa.int16()),
    }
)


def test_they_are_found_by_their_prefix_and_put_beside_arcs() -> None:
    columns = LimitColumns.of(POPULATION)
    assert columns.names == ["s_rural", "c_centre"]
    arcs = pa.table({"customer": pa.array([3, 9, 9, 5], pa.int64())})
    beside = columns.beside(arcs, rows_of(arcs, POPULATION))
    assert beside.to_pydict() == {"customer": [3, 9, 9, 5], "s_rural": [1, 1, 1, 0], "c_centre": [2, 2, 2, 0]}
    assert beside.schema.field("c_centre").type == pa.int16()
    bare = POPULATION.select(["customer_id", "masks"])
    assert columns.onto(bare).column_names == ["customer_id", "masks", "s_rural", "c_centre"]


def test_nobody_of_the_population_has_no_row() -> None:
    arcs = pa.table({"customer": pa.array([9, 4], pa.int64())})
    assert rows_of(arcs, POPULATION).to_pylist() == [2, None]


def test_customers_who_look_alike_are_one_class() -> None:
    columns, classes, count = LimitColumns.of(POPULATION).classes()
    assert count == 2
    assert classes[0] == classes[2] != classes[1]
    assert {name: column[classes].tolist() for name, column in columns.items()} == {
        "s_rural": [1, 0, 1],
        "c_centre": [2, 0, 2],
    }
    columns, classes, count = LimitColumns.of(POPULATION.select(["customer_id"])).classes()
    assert (columns, classes.tolist(), count) == ({}, [0, 0, 0], 1)
