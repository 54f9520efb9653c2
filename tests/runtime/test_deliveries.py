"""Which deliveries a night sees: one answer, as a predicate on tables, on the ledger, and for one row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pyarrow as pa
import pytest

from conf.dates import SHANGHAI, cut_off, first_night_of
from runtime.deliveries import TAKEN, deliveries, first_night, in_force, own, visible_to
from runtime.night import Night
from tests.nights.published import put

D = dt.date(2026, 1, 9)


def at(day: int, hour: int, minute: int = 0, second: int = 0, micro: int = 0) -> dt.datetime:
    """A time of January in Shanghai."""
    return dt.datetime(2026, 1, day, hour, minute, second, micro, tzinfo=SHANGHAI)


def row(name: str, day: int, arrived: dt.datetime | None, **more: object) -> dict:
    """A row of the ledger."""
    base = {"delivery_id": name, "feed": "usage_cell_gz", "data_date": dt.date(2026, 1, day), "hour": -1}
    return {**base, "ordinal": 1, "state": "accepted", "loaded": 1, "arrived_at": arrived, **more}


ROWS = [
    row("in time", 8, at(9, 3, 59, 59, 999_999)),
    row("at the cut-off", 8, at(9, 4)),
    row("of a day that has begun", 9, at(9, 1)),
    row("an early hour", 8, at(8, 1), hour=0),
    row("late by a day", 7, at(8, 4)),
    row("of the night before", 7, at(8, 3, 59)),
    row("not come yet", 8, None),
]


@pytest.mark.parametrize("night", [D - dt.timedelta(days=1), D, D + dt.timedelta(days=1)])
def test_the_predicate_and_the_first_night_say_the_same(night: dt.date) -> None:
    table = pa.Table.from_pylist(ROWS)
    come = [one for one in ROWS if one["arrived_at"]]
    first = {one["delivery_id"]: first_night(one["data_date"], one["arrived_at"]) for one in come}
    assert table.filter(visible_to(night))["delivery_id"].to_pylist() == [
        name for name in first if first[name] <= night
    ]
    assert table.filter(own(night))["delivery_id"].to_pylist() == [name for name in first if first[name] == night]


def test_the_night_of_the_ninth_sees_what_the_contract_says() -> None:
    names = pa.Table.from_pylist(ROWS).filter(own(D))["delivery_id"].to_pylist()
    assert names == ["in time", "an early hour", "late by a day"]
    awaited = pa.Table.from_pylist(ROWS).filter(visible_to(D, awaited=True))["delivery_id"].to_pylist()
    assert "not come yet" in awaited
    assert "at the cut-off" not in awaited


def test_the_night_that_knows_of_an_arrival_is_the_first_whose_cut_off_comes_after_it() -> None:
    for arrived in (at(8, 3, 59), at(8, 4), at(8, 23), at(9, 0), at(9, 3, 59, 59), at(9, 4)):
        night = first_night_of(arrived)
        assert cut_off(night - dt.timedelta(days=1)) <= arrived < cut_off(night)


def test_the_ledger_is_read_by_night_state_and_date(night: Callable[..., Night]) -> None:
    lake = night(D).lake
    assert deliveries(lake, ["delivery_id"], night=D).num_rows == 0  # not written yet
    replaced = row("replaced", 6, at(7, 3), state="replaced")
    put(night(D), "ops_delivery", [*ROWS, replaced, row("refused", 8, at(9, 3), state="refused")])

    def names(**how: object) -> set[str]:
        return set(deliveries(lake, ["delivery_id"], **how)["delivery_id"].to_pylist())

    seen_accepted = {"in time", "an early hour", "late by a day", "of the night before"}
    assert names(night=D) == seen_accepted
    assert names(night=D, states=TAKEN) == seen_accepted | {"replaced"}
    assert names(night=D, since=dt.date(2026, 1, 8)) == {"in time", "an early hour"}
    assert names() == seen_accepted | {"at the cut-off", "of a day that has begun"}


def test_what_was_in_force_on_a_night_does_not_change_when_it_is_replaced_later() -> None:
    first = row("first", 8, at(9, 2), state="replaced")
    resent = row("resent", 8, at(9, 3), ordinal=2, state="replaced")
    later = row("later", 8, at(9, 20), ordinal=3)
    ledger = [first, resent, later, row("refused", 8, at(9, 3), ordinal=0, state="refused")]
    assert [one["delivery_id"] for one in in_force(ledger, D)] == ["resent"]
    assert [one["delivery_id"] for one in in_force(ledger, D + dt.timedelta(days=1))] == ["later"]
