"""A year of calls, sessions and messages of 500 users (Megaline, a fictional operator): records into usage features.

There is nothing to learn from; the night ends with eligibility, and the features of the last 30 and 90 days must be
the sums that the records themselves give.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa

from conf.dates import month_end
from synth.real.facts import DataSetFacts, deliver, instant, numbers, read_assumptions, source

NIGHT = dt.date(2019, 1, 1)
_SET = "telecom_megaline_cdr"
_RECORDS = {"call": "call_date", "session": "session_date", "message": "message_date"}
_FILES = {"call": "calls", "session": "internet", "message": "messages"}


def users() -> pd.DataFrame:
    """The users with ``began`` and ``ended`` as dates and the fee of their tariff."""
    rows = pd.read_csv(source(_SET, "megaline_users_noname.csv"))
    fees = pd.read_csv(source(_SET, "megaline_plans.csv")).set_index("plan_name")["usd_monthly_pay"]
    rows["began"] = _dates(rows["reg_date"])
    rows["ended"] = _dates(rows["churn_date"])
    rows["fee"] = rows["tariff"].map(fees)
    return rows


def records(kind: str) -> pd.DataFrame:
    """Calls, sessions or messages with ``day``, in the order of the set."""
    rows = pd.read_csv(source(_SET, f"megaline_{_FILES[kind]}.csv.gz"))
    rows["day"] = _dates(rows[_RECORDS[kind]])
    return rows.sort_values(["day", "user_id"], kind="stable").reset_index(drop=True)


def _dates(texts: pd.Series) -> pd.Series:
    return pd.to_datetime(texts, format="%d/%m/%Y").dt.date


def states(rows: pd.DataFrame, state: str, day: str) -> pa.Table:
    """Records of ``megaline_user``: contracts that begin (at midnight) or end (at midnight of the last day)."""
    return pa.table(
        {
            "user_no": pa.array(rows["user_id"].astype(str).tolist(), pa.string()),
            "phone": numbers(rows["user_id"].tolist()),
            "since": pa.array([instant(date, 0) for date in rows[day]], pa.timestamp("us", "UTC")),
            "user_state": pa.array([state] * len(rows), pa.string()),
            "began": pa.array(rows["began"].tolist(), pa.date32()),
            "age": pa.array(rows["age"].tolist(), pa.int16()),
            "tariff": pa.array(rows["tariff"].tolist(), pa.string()),
            "monthly_fee": pa.array([f"{fee:.2f}" for fee in rows["fee"]], pa.string()).cast(pa.decimal128(18, 2)),
        }
    )


def list_use(kind: str, rows: pd.DataFrame) -> pa.Table:
    """Records of one of the three feeds of use."""
    key, who, when = {
        "call": ("call_no", "caller", "began_at"),
        "session": ("session_no", "surfer", "surfed_at"),
        "message": ("message_no", "texter", "texted_at"),
    }[kind]
    columns = {
        key: pa.array(rows["id"].tolist(), pa.string()),
        who: numbers(rows["user_id"].tolist()),
        when: pa.array([instant(day, 12) for day in rows["day"]], pa.timestamp("us", "UTC")),
    }
    measured = {"call": ("minutes", "duration"), "session": ("megabytes", "mb_used")}.get(kind)
    if measured:
        values = [f"{value:.2f}" for value in rows[measured[1]]]
        columns[measured[0]] = pa.array(values).cast(pa.decimal128(18, 2))
    return pa.table(columns)


def write(out: Path) -> DataSetFacts:
    """Write a delivery a month of every feed."""
    people = users()
    use = {kind: records(kind) for kind in _RECORDS}
    written: Counter[str] = Counter()
    for month in range(1, 13):
        end = month_end(dt.date(2018, month, 1))
        began, ended = people[_in(people["began"], end)], people[_in(people["ended"], end)]
        told_users = pa.concat_tables([states(began, "active", "began"), states(ended, "closed", "ended")])
        written["megaline_user"] += deliver("megaline", "megaline_user", told_users, out, end)
        for kind, rows in use.items():
            feed = f"megaline_{kind}"
            written[feed] += deliver("megaline", feed, list_use(kind, rows[_in(rows["day"], end)]), out, end)
    assumptions, absent = read_assumptions("megaline")
    total = sum(map(len, use.values())) + len(people)
    return DataSetFacts(
        name="megaline",
        date=NIGHT,
        snapshots=(),
        records=total,
        written=dict(sorted(written.items())),
        until="eligibility",
        assumptions=assumptions,
        absent=absent,
        expected=expectations(people, use),
    )


def _in(days: pd.Series, end: dt.date) -> pd.Series:
    """Whether days fall into the month that ends on ``end``."""
    stamps = pd.to_datetime(days)
    return (stamps.dt.month == end.month) & (stamps.dt.year == end.year)


def expectations(people: pd.DataFrame, use: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Sums over users who have not left, of the days that the windows cover."""
    staying = set(people.loc[people["ended"].isna(), "user_id"])

    def last(kind: str, days: int) -> pd.DataFrame:
        rows = use[kind]
        return rows[(rows["day"] >= NIGHT - dt.timedelta(days=days)) & rows["user_id"].isin(staying)]

    return {
        "call_seconds_sum_30d": float((last("call", 30)["duration"] * 60 + 0.5 + 1e-6).astype(int).sum()),
        "calls_missed_count_30d": float((last("call", 30)["duration"] == 0).sum()),
        "data_volume_sum_90d": float(last("session", 90)["mb_used"].sum()),
        "messages_sent_count_90d": float(len(last("message", 90))),
        "reason:has_ultimate": float((people["ended"].isna() & (people["tariff"] == "ultimate")).sum()),
    }
