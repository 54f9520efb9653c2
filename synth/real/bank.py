"""Bank Marketing (UCI): calls of a campaign from May 2008 to November 2010, in the order in which they were made.

A row is a client and the last call of the campaign: client, line (mobile or fixed), indicators of the economy, answer.
The set gives month and weekday; the year follows from the order of rows. Decision nights are first days of months;
the clients called in a month are that month's list. The night is that of ``NIGHT``: its list is everybody called
from then on, their answers are held back.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from conf.dates import month_end
from synth.real.facts import DATA, DataSetFacts, deliver, instant, numbers, read_assumptions

NIGHT = dt.date(2010, 5, 1)
_MONTHS = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "apr": 4,
    "may": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "sep": 9,
    "oct": 10,
    "nov": 11,
    "dec": 12,
}
_WEEKDAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4}
_INDICATORS = {
    "emp.var.rate": ("employment_variation", 1),
    "cons.price.idx": ("consumer_prices", 3),
    "cons.conf.idx": ("consumer_confidence", 1),
    "euribor3m": ("euribor_3m", 3),
    "nr.employed": ("employed_thousand", 1),
}


def read() -> pd.DataFrame:
    """The set as shipped, with ``year``, ``list`` (first day of the month of the call) and ``called_on``."""
    rows = pd.read_csv(DATA / "bank.csv.gz", sep=";", keep_default_na=False)
    month = rows["month"].map(_MONTHS)
    rows["year"] = 2008 + (month.diff() < 0).cumsum()
    rows["list"] = [dt.date(y, m, 1) for y, m in zip(rows["year"], month, strict=True)]
    rows["called_on"] = days(rows["list"].tolist(), rows["day_of_week"].map(_WEEKDAYS).tolist())
    return rows


def days(months: list[dt.date], weekdays: list[int]) -> list[dt.date]:
    """A day for each call: the first with its weekday not before the call before it, none beyond its month.

    Args:
        months: first day of each call's month, ascending.
        weekdays: 0 (Monday) to 4.
    """
    dates: list[dt.date] = []
    day = dt.date.min
    for month, weekday in zip(months, weekdays, strict=True):
        day = max(day, month)
        day += dt.timedelta(days=(weekday - day.weekday()) % 7)
        if day > month_end(month):
            day -= dt.timedelta(days=7)
        dates.append(day)
    return dates


def shift_indicators(rows: pd.DataFrame) -> pd.DataFrame:
    """For each list the indicators of the last call before it begins: what its night could know."""
    columns = [name for name, _ in _INDICATORS.values()]
    renamed = rows.rename(columns={old: new for old, (new, _) in _INDICATORS.items()})
    last = renamed.groupby("list", sort=True)[columns].last()
    return last.shift(1)  # the first list has no call before it: nothing is known


def profiles(rows: pd.DataFrame, macro: pd.DataFrame, when: dt.date) -> pa.Table:
    """Records of ``bank_client``: the clients ``rows`` as known at the end of the day before ``when``."""
    moment = instant(when - dt.timedelta(days=1), 22)
    indicators = macro.loc[when] if when in macro.index else None
    missing = rows["pdays"] == 999
    columns = {
        "client_no": pa.array([f"C{i:06d}" for i in rows.index]),
        "phone": numbers(rows.index.tolist()),
        "as_of": pa.array([moment] * len(rows), pa.timestamp("us", "UTC")),
        "line_state": _text(rows, "active"),
        "age": pa.array(rows["age"].to_numpy(np.int16)),
        "job": _column(rows, "job"),
        "marital": _column(rows, "marital"),
        "education": _column(rows, "education"),
        "in_default": _column(rows, "default"),
        "housing_loan": _column(rows, "housing"),
        "personal_loan": _column(rows, "loan"),
        "previous_outcome": _column(rows, "poutcome"),
        "previous_contacts": pa.array(rows["previous"].to_numpy(np.int16)),
        "days_since_previous": pa.array(rows["pdays"].to_numpy(np.int16), mask=missing.to_numpy()),
    }
    for name, scale in _INDICATORS.values():
        value = None if indicators is None or pd.isna(indicators[name]) else f"{indicators[name]:.{scale}f}"
        columns[name] = pa.array([value] * len(rows), pa.string()).cast(pa.decimal128(18, scale))
    return pa.table(columns)


def departures(rows: pd.DataFrame, when: dt.date) -> pa.Table:
    """Records of ``bank_client`` that end a list: its clients are asked no more."""
    active = profiles(rows, pd.DataFrame(), when)
    state = active.column_names.index("line_state")
    return active.set_column(state, "line_state", _text(rows, "closed"))


def _column(rows: pd.DataFrame, name: str) -> pa.Array:
    return pa.array(rows[name].tolist(), pa.string())


def _text(rows: pd.DataFrame, value: str) -> pa.Array:
    return pa.array([value] * len(rows), pa.string())


def _times(rows: pd.DataFrame, first_hour: int) -> pa.Array:
    """A time of day for each call: spread over the day in the order of rows."""
    start = [instant(day, first_hour) for day in rows["called_on"]]
    return pa.array(
        [moment + dt.timedelta(seconds=int(i) % 28_800) for moment, i in zip(start, rows.index, strict=True)],
        pa.timestamp("us", "UTC"),
    )


def campaign(rows: pd.DataFrame, when: dt.date) -> dict[str, pa.Table]:
    """Decisions, calls and deposits of the list of ``when``, by feed."""
    decision, phone = pa.array([f"D{i:06d}" for i in rows.index]), numbers(rows.index.tolist())
    line = _column(rows, "contact")
    called = _times(rows, 9)
    signed = rows["y"] == "yes"
    seconds = pa.array(rows["duration"].to_numpy(np.int32))
    return {
        "bank_decision": pa.table(
            {
                "decision_no": decision,
                "phone": phone,
                "decided_for": pa.array([when] * len(rows), pa.date32()),
                "decided_at": pa.array([instant(when, 5)] * len(rows), pa.timestamp("us", "UTC")),
                "line_kind": line,
            }
        ),
        "bank_contact": pa.table(
            {
                "decision_ref": decision,
                "phone": phone,
                "called_at": called,
                "line_kind": line,
                "talk_seconds": seconds,
                "calls_made": pa.array(rows["campaign"].to_numpy(np.int16)),
                "answer": _column(rows, "y"),
            }
        ),
        "bank_order": pa.table(
            {
                "order_no": pa.array([f"O{i:06d}" for i in rows.index]),
                "phone": phone,
                "signed_at": called,
                "decision_ref": decision,
                "line_kind": line,
            }
        ).filter(pa.array(signed)),
    }


def write(out: Path) -> DataSetFacts:
    """Write every list before ``NIGHT`` with what came of it, and the night's list without."""
    rows = read()
    macro = shift_indicators(rows)
    written: Counter[str] = Counter()
    lists = sorted(month for month in set(rows["list"]) if month < NIGHT)
    tonight = rows[rows["list"] >= NIGHT]
    leaving: dict[dt.date, list[pa.Table]] = {}
    for when in lists:
        called = rows[rows["list"] == when]
        end = month_end(when)
        leaving.setdefault(end, []).append(departures(called, end + dt.timedelta(days=1)))
        leaving.setdefault(when - dt.timedelta(days=1), []).append(profiles(called, macro, when))
        for feed, records in campaign(called, when).items():
            written[feed] += deliver("bank", feed, records, out, end)
    leaving.setdefault(NIGHT - dt.timedelta(days=1), []).append(profiles(tonight, macro, NIGHT))
    for data_date, tables in sorted(leaving.items()):
        written["bank_client"] += deliver("bank", "bank_client", pa.concat_tables(tables), out, data_date)
    assumptions, absent = read_assumptions("bank")
    return DataSetFacts(
        name="bank",
        date=NIGHT,
        snapshots=tuple(lists),
        records=len(rows),
        written=dict(sorted(written.items())),
        held_back=hold_back(tonight, out),
        assumptions=assumptions,
        absent=absent,
    )


def hold_back(tonight: pd.DataFrame, out: Path) -> Path:
    """What the night's list answered later, for the report only."""
    path = out.parent / "truth" / "bank.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = pa.table(
        {
            "number": numbers(tonight.index.tolist()),
            "product": _text(tonight, "term_deposit"),
            "channel": _column(tonight, "contact"),
            "converted": pa.array((tonight["y"] == "yes").to_numpy()),
        }
    )
    pq.write_table(answers, path)
    return path
