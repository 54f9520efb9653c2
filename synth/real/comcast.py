"""Complaints to a cable operator (Comcast, 2015): open ones stop selling.

A row is a ticket with its state at the end of the set. There is nothing to learn from; the night ends with
eligibility, and must hold back exactly the customers whose ticket is open.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa

from conf.dates import SHANGHAI
from synth.real.facts import DataSetFacts, deliver, instant, numbers, read_assumptions, source

NIGHT = dt.date(2015, 12, 31)
FIRST = dt.date(2015, 1, 1)
OPEN = ("Open", "Pending")


def read() -> pd.DataFrame:
    """The tickets with ``day`` and ``opened_at``."""
    path = source("telecom_comcast_complaints", "Comcast_telecom_complaints_data.csv")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows["day"] = pd.to_datetime(rows["Date_month_year"], format="%d-%b-%y").dt.date
    times = pd.to_datetime(rows["Time"], format="%I:%M:%S %p").dt.time
    rows["opened_at"] = [dt.datetime.combine(day, time, SHANGHAI) for day, time in zip(rows["day"], times, strict=True)]
    return rows.sort_values(["day", "Ticket #"], kind="stable").reset_index(drop=True)


def lines(rows: pd.DataFrame) -> pa.Table:
    """Records of ``comcast_line``: everybody who will complain, known from the beginning."""
    return pa.table(
        {
            "line_no": pa.array([f"L{i:05d}" for i in rows.index]),
            "phone": numbers(rows.index.tolist()),
            "as_of": pa.array([instant(FIRST, 0)] * len(rows), pa.timestamp("us", "UTC")),
            "place": pa.array(rows["City"].tolist()),
            "state_name": pa.array(rows["State"].tolist()),
        }
    )


def tickets(rows: pd.DataFrame) -> pa.Table:
    """Records of ``comcast_ticket``."""
    return pa.table(
        {
            "ticket_no": pa.array(rows["Ticket #"].tolist()),
            "complainant": numbers(rows.index.tolist()),
            "opened_at": pa.array(rows["opened_at"].tolist(), pa.timestamp("us", "UTC")),
            "via": pa.array(rows["Received Via"].tolist()),
            "words": pa.array(rows["Customer Complaint"].tolist()),
            "state_at_end": pa.array(rows["Status"].tolist()),
            "for_other": pa.array((rows["Filing on Behalf of Someone"] == "Yes").tolist()),
        }
    )


def write(out: Path) -> DataSetFacts:
    """Write everybody's line, and the tickets day by day."""
    rows = read()
    written: Counter[str] = Counter()
    written["comcast_line"] = deliver("comcast", "comcast_line", lines(rows), out, FIRST)
    for day in sorted(set(rows["day"])):
        written["comcast_ticket"] += deliver("comcast", "comcast_ticket", tickets(rows[rows["day"] == day]), out, day)
    assumptions, absent = read_assumptions("comcast")
    return DataSetFacts(
        name="comcast",
        date=NIGHT,
        snapshots=(),
        records=len(rows),
        written=dict(sorted(written.items())),
        until="eligibility",
        assumptions=assumptions,
        absent=absent,
        expected=expectations(rows),
    )


def expectations(rows: pd.DataFrame) -> dict[str, float]:
    """What the night must find: tickets of a year, of the internet, and customers with an open one."""
    return {
        "complaints_count_365d": float(len(rows)),
        "complaints_internet_count_365d": float((rows["Received Via"] == "Internet").sum()),
        "reason:open_complaint": float(rows["Status"].isin(OPEN).sum()),
    }
