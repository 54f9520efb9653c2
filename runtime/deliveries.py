"""Which deliveries a night may see: the one answer that loading, identity, checks, snapshots and reports share.

Night D sees what is of a data date before D and arrived before its cut-off. What it took in is *accepted*, and
*replaced* once a later delivery took its place; which of the two is in force depends on when one asks:
``deliveries`` reads the ledger as it stands, ``in_force`` says what was in force on one night.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.dates import cut_off, first_night_of
from runtime.lake import Lake

#: States of the ledger of what was taken in.
ACCEPTED = ("accepted",)
TAKEN = ("accepted", "replaced")
_DAY = dt.timedelta(days=1)
Row = Mapping[str, Any]


def first_night(data_date: dt.date, arrived_at: dt.datetime) -> dt.date:
    """The first night that sees a delivery: not before its data date is over, however early it came."""
    return max(first_night_of(arrived_at), data_date + _DAY)


def visible_to(night: dt.date, *, awaited: bool = False) -> pc.Expression:
    """The rows of ``ops_delivery`` or ``landing`` that a night sees; ``awaited``: also files that are still to come."""
    come = pc.field("arrived_at") < pa.scalar(cut_off(night), pa.timestamp("us", tz="UTC"))
    if awaited:
        come = come | pc.field("arrived_at").is_null()
    return (pc.field("data_date") < pa.scalar(night)) & come


def own(night: dt.date) -> pc.Expression:
    """The rows that a night is the first to see."""
    return visible_to(night) & ~visible_to(night - _DAY)


def deliveries(
    lake: Lake,
    columns: Sequence[str],
    *,
    night: dt.date | None = None,
    states: Sequence[str] = ACCEPTED,
    since: dt.date | None = None,
) -> pa.Table:
    """Rows of the ledger (one a file) of what was taken in, by its states of now.

    Args:
        lake: the tables.
        columns: of ``ops_delivery``.
        night: only what this night sees; None: all that ever came, for tables that are no night's.
        states: which of ``TAKEN``.
        since: first data date.
    """
    if not lake.exists("ops_delivery"):
        return lake.arrow("ops_delivery", columns=columns)
    chosen = pc.field("state").isin(list(states)) & pc.field("arrived_at").is_valid()
    if night is not None:
        chosen &= visible_to(night)
    # only dates are asked of the reader: it takes a file without statistics of a text for one that cannot hold it
    dates = pc.field("data_date") >= pa.scalar(since) if since else None
    needed = [*dict.fromkeys((*columns, "data_date", "arrived_at", "state"))]
    rows = lake.delta("ops_delivery").to_pyarrow_dataset().to_table(columns=needed, filter=dates)
    return rows.filter(chosen).select(list(columns))


def in_force(ledger: Iterable[Row], night: dt.date) -> list[Row]:
    """Of rows of the ledger those in force on a night: of each feed, date and hour what was taken in last by then."""
    rows = [
        row
        for row in ledger
        if row["state"] in TAKEN and row["arrived_at"] and first_night(row["data_date"], row["arrived_at"]) <= night
    ]
    newest: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = (row["feed"], row["data_date"], row["hour"])
        newest[key] = max(newest.get(key, 0), row["ordinal"])
    return [row for row in rows if row["ordinal"] == newest[row["feed"], row["data_date"], row["hour"]]]
