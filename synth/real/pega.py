"""Sample interaction history of a decision hub (Pega): 10,000 customers, one interaction each, about 12 offers in it.

A row is an action offered on a channel, with its outcome; the row without a channel says whether the customer
stayed. Decision nights are the Shanghai dates of the decisions, 27 January to 2 February 2021. Customers decided
on from ``HELD_FROM`` on are known, but what they were offered and answered is held back: they are part of the night.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synth.real.facts import DATA, DataSetFacts, deliver, instant, numbers, read_assumptions

NIGHT = dt.date(2021, 3, 4)
HELD_FROM = dt.date(2021, 1, 31)
POSITIVE = ("Accept", "Accepted", "Clicked")
#: Actions of the set → products of the overlay, as the schemas' ``conform`` says too.
ACTIONS = {
    "AMEXPersonal": "amex_personal",
    "MasterCardGold": "mastercard_gold",
    "MasterCardWorld": "mastercard_world",
    "UPlusFinGold": "uplus_fin_gold",
    "UPlusFinPersonal": "uplus_fin_personal",
    "UPlusGold": "uplus_gold",
    "UPlusPersonal": "uplus_personal",
    "VisaGold": "visa_gold",
}


def read() -> pd.DataFrame:
    """The set with ``row`` (number of the customer), ``night``, ``decided_at`` and ``answered_at``."""
    rows = pd.read_parquet(DATA / "pega.parquet")
    rows["row"] = rows["CustomerID"].str.removeprefix("Customer-").astype(int)
    rows["decided_at"] = moments(rows["pxDecisionTime"])
    rows["answered_at"] = rows[["decided_at"]].assign(outcome_at=moments(rows["pxOutcomeTime"])).max(axis=1)
    rows["night"] = rows["decided_at"].dt.tz_convert("Asia/Shanghai").dt.date
    return rows.sort_values(["night", "row", "pxRank", "pxFactID"], kind="stable").reset_index(drop=True)


def moments(texts: pd.Series) -> pd.Series:
    """Times as the set writes them (``20210127T132203.201 GMT``), to the second."""
    return pd.to_datetime(texts.str.slice(0, 15), format="%Y%m%dT%H%M%S", utc=True)


def profiles(people: pd.DataFrame, when: dt.date) -> pa.Table:
    """Records of ``pega_customer`` as known at the end of the day before ``when``; one a customer."""
    count = len(people)
    return pa.table(
        {
            "customer_no": pa.array(people["CustomerID"].tolist(), pa.string()),
            "phone": numbers(people["row"].tolist()),
            "as_of": pa.array([instant(when - dt.timedelta(days=1), 22)] * count, pa.timestamp("us", "UTC")),
            "propensity": pa.array([f"{p:.2f}" for p in people["pyPropensity"]], pa.string()).cast(
                pa.decimal128(18, 2)
            ),
            "model_group": _texts(people["ModelControlGroup"]),
        }
    )


def history(rows: pd.DataFrame, night: dt.date) -> dict[str, pa.Table]:
    """Decisions, messages, views and acceptances of one night, by feed."""
    sent, shown = rows[rows["pyChannel"] == "SMS"], rows[rows["pyChannel"] == "Web"]
    taken = rows[rows["pyOutcome"].isin(POSITIVE)]
    decisions = events(rows, "D", "decision_no", "decided_at") | {
        "decided_at": _times(rows["decided_at"]),
        "decided_for": pa.array([night] * len(rows), pa.date32()),
        "way": _texts(rows["pyChannel"]),
        "rank": pa.array(rows["pxRank"].astype("int16")),
        "treatment": _texts(rows["pyTreatment"]),
    }
    messages = events(sent, "D", "message_no", "answered_at") | {"answer": _texts(sent["pyOutcome"])}
    views = events(shown, "D", "view_no", "shown_at") | {
        "answer": _texts(shown["pyOutcome"]),
        "slot": pa.array(shown["pxRank"].astype("int16")),
    }
    orders = events(taken, "O", "order_no", "accepted_at") | {
        "way": _texts(taken["pyChannel"]),
        "decision_ref": _number(taken, "D"),
    }
    by_feed = {"decision": decisions, "contact": messages, "view": views, "order": orders}
    return {f"pega_{name}": pa.table(columns) for name, columns in by_feed.items()}


def events(rows: pd.DataFrame, prefix: str, key: str, time: str) -> dict[str, pa.Array]:
    """What every record says: its number, whose it is, when, about which action."""
    return {
        key: _number(rows, prefix),
        "phone": numbers(rows["row"].tolist()),
        time: _times(rows["answered_at"]),
        "action": _texts(rows["pyName"]),
    }


def _number(rows: pd.DataFrame, prefix: str) -> pa.Array:
    return pa.array([f"{prefix}{number}" for number in rows["pxFactID"]], pa.string())


def _texts(column: pd.Series) -> pa.Array:
    return pa.array([text or None for text in column], pa.string())


def _times(column: pd.Series) -> pa.Array:
    return pa.array(column, pa.timestamp("us", "UTC"))


def write(out: Path) -> DataSetFacts:
    """Write the nights before ``HELD_FROM`` with what came of them, and everybody's profile for the night."""
    everything = read()
    rows = everything[everything["pyChannel"] != ""]
    people = rows.groupby("row", as_index=False, sort=True).first()
    written: Counter[str] = Counter()
    nights = sorted(night for night in set(rows["night"]) if night < HELD_FROM)
    for night in nights:
        offered = rows[rows["night"] == night]
        arriving = profiles(people[people["night"] == night], night)
        written["pega_customer"] += deliver("pega", "pega_customer", arriving, out, night - dt.timedelta(days=1))
        for feed, records in history(offered, night).items():
            written[feed] += deliver("pega", feed, records, out, night)
    tonight = profiles(people, NIGHT)
    written["pega_customer"] += deliver("pega", "pega_customer", tonight, out, NIGHT - dt.timedelta(days=1))
    assumptions, absent = read_assumptions("pega")
    return DataSetFacts(
        name="pega",
        date=NIGHT,
        snapshots=tuple(nights),
        records=len(everything),
        written=dict(sorted(written.items())),
        held_back=hold_back(rows[rows["night"] >= HELD_FROM], out),
        assumptions=assumptions,
        absent=absent,
    )


def hold_back(later: pd.DataFrame, out: Path) -> Path:
    """What customers of the last days answered, for the report only: once for each (customer, action, channel)."""
    path = out.parent / "truth" / "pega.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    later = later.assign(converted=later["pyOutcome"].isin(POSITIVE))
    arcs = later.groupby(["row", "pyName", "pyChannel"], sort=True)["converted"].any().reset_index()
    pq.write_table(
        pa.table(
            {
                "number": numbers(arcs["row"].tolist()),
                "product": pa.array([ACTIONS[name] for name in arcs["pyName"]], pa.string()),
                "channel": pa.array(arcs["pyChannel"].str.lower().tolist(), pa.string()),
                "converted": pa.array(arcs["converted"].tolist(), pa.bool_()),
            }
        ),
        path,
    )
    return path
