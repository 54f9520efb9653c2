"""Offers of a coffee programme (Starbucks capstone, simulated): six waves, ten offers, 17,000 members.

A row of the set is an offer that a member received, with the hour, and whether and when it was completed. Waves are
decision nights; the last one is held back. Most columns of the set sum over the whole experiment, later waves
included: they know the future and are not read.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synth.real.facts import DataSetFacts, deliver, instant, numbers, read_assumptions, source

START = dt.date(2018, 7, 27)
NIGHT = dt.date(2018, 9, 20)
HELD_HOUR = 576
_SET = "starbucks_offers"
_COLUMNS = ["customer_id", "offer_received_time", "offer_id", "offer_completed", "offer_completed_time"]
_WAYS = ("web", "email", "mobile", "social")


def portfolio() -> dict[str, tuple[str, str, int, int]]:
    """Offers by id: product code, code of the set of channels, what has to be spent, reward."""
    offers = {}
    for line in source(_SET, "portfolio.json").read_text(encoding="utf-8").splitlines():
        if line.strip():
            offer = json.loads(line)
            kind = offer["offer_type"].replace("informational", "info")
            code = f"{kind}_{offer['difficulty']}_{offer['reward']}_{int(offer['duration'])}d"
            ways = "_".join(way for way in _WAYS if way in offer["channels"])
            offers[offer["id"]] = (code, ways, int(offer["difficulty"]), int(offer["reward"]))
    return offers


def members() -> pd.DataFrame:
    """Members in the order of the set, unknown values missing."""
    people = pd.read_json(source(_SET, "profile.json"), lines=True, dtype={"became_member_on": str})
    people["age"] = people["age"].where(people["age"] != 118)
    people["since"] = pd.to_datetime(people["became_member_on"], format="%Y%m%d").dt.date
    return people


def read_offers() -> pd.DataFrame:
    """Offers sent, in the order of the set: ``row`` (of the member), ``night``, ``product``, ``ways`` and what came."""
    files = [source(_SET, f"impressions_{part}_v3.csv.gz") for part in ("train", "test")]
    rows = pd.concat([pd.read_csv(file, usecols=_COLUMNS) for file in files], ignore_index=True)
    position = {member: row for row, member in enumerate(members()["id"])}
    offers = portfolio()
    rows["row"] = rows["customer_id"].map(position)
    rows["night"] = [START + dt.timedelta(hours=int(hour)) for hour in rows["offer_received_time"]]
    names = ("product", "ways", "least", "reward")
    for column, name in enumerate(names):
        rows[name] = rows["offer_id"].map({offer: facts[column] for offer, facts in offers.items()})
    return rows.sort_values(["offer_received_time", "row"], kind="stable").reset_index(drop=True)


def profiles(people: pd.DataFrame, when: dt.date) -> pa.Table:
    """Records of ``starbucks_member`` as known at the end of the day before ``when``."""
    moment = instant(when - dt.timedelta(days=1), 22)
    return pa.table(
        {
            "member_no": pa.array(people["id"].tolist(), pa.string()),
            "phone": numbers(people.index.tolist()),
            "as_of": pa.array([moment] * len(people), pa.timestamp("us", "UTC")),
            "member_since": pa.array(people["since"].tolist(), pa.date32()),
            "age": pa.array(_whole(people["age"]), pa.int16()),
            "sex": pa.array(people["gender"].tolist(), pa.string()),
            "income": pa.array(_whole(people["income"]), pa.int32()),
        }
    )


def _whole(column: pd.Series) -> list[int | None]:
    return [None if pd.isna(value) else int(value) for value in column]


def _at(hours: pd.Series, minute: int) -> pa.Array:
    start = instant(START, 6, minute)
    return pa.array([start + dt.timedelta(hours=int(hour)) for hour in hours], pa.timestamp("us", "UTC"))


def _texts(column: pd.Series) -> pa.Array:
    return pa.array(column.tolist(), pa.string())


def wave(rows: pd.DataFrame) -> dict[str, pa.Table]:
    """Offers sent in a wave, by feed."""
    number, phone = pa.array([f"D{i:06d}" for i in rows.index]), numbers(rows["row"].tolist())
    return {
        "starbucks_offer": pa.table(
            {
                "decision_no": number,
                "phone": phone,
                "sent_at": _at(rows["offer_received_time"], 0),
                "sent_on": pa.array(rows["night"].tolist(), pa.date32()),
                "offer": _texts(rows["product"]),
                "channels": _texts(rows["ways"]),
            }
        ),
        "starbucks_send": pa.table(
            {
                "send_no": number,
                "phone": phone,
                "went_at": _at(rows["offer_received_time"], 30),
                "what": _texts(rows["product"]),
                "where_to": _texts(rows["ways"]),
            }
        ),
    }


def list_redemptions(rows: pd.DataFrame) -> pa.Table:
    """Records of ``starbucks_redeem`` of offers that were completed."""
    return pa.table(
        {
            "redeem_no": pa.array([f"R{i:06d}" for i in rows.index]),
            "phone": numbers(rows["row"].tolist()),
            "completed_at": _at(rows["offer_completed_time"], 45),
            "completed_offer": _texts(rows["product"]),
            "on_channels": _texts(rows["ways"]),
            "answers": pa.array([f"D{i:06d}" for i in rows.index]),
            "spend_least": pa.array(rows["least"].tolist(), pa.int32()),
            "reward": pa.array(rows["reward"].tolist(), pa.int32()),
        }
    )


def write(out: Path) -> DataSetFacts:
    """Write the waves before the last with what was completed of them, and profiles for each wave and the night."""
    people, rows = members(), read_offers()
    before, later = rows[rows["offer_received_time"] < HELD_HOUR], rows[rows["offer_received_time"] >= HELD_HOUR]
    written: Counter[str] = Counter()
    nights = sorted(set(before["night"]))
    for night in (*nights, NIGHT):
        written["starbucks_member"] += _deliver("member", profiles(people, night), out, night - dt.timedelta(days=1))
    for night in nights:
        for feed, records in wave(before[before["night"] == night]).items():
            written[feed] += deliver("starbucks", feed, records, out, night)
    done = before[before["offer_completed"] == 1]
    days = pd.Series([START + dt.timedelta(days=int(hour) // 24) for hour in done["offer_completed_time"]], done.index)
    for day in sorted(set(days)):
        written["starbucks_redeem"] += _deliver("redeem", list_redemptions(done[days == day]), out, day)
    assumptions, absent = read_assumptions("starbucks")
    return DataSetFacts(
        name="starbucks",
        date=NIGHT,
        snapshots=tuple(nights),
        records=len(rows),
        written=dict(sorted(written.items())),
        held_back=hold_back(later, out),
        assumptions=assumptions,
        absent=absent,
    )


def _deliver(feed: str, records: pa.Table, out: Path, data_date: dt.date) -> int:
    return deliver("starbucks", f"starbucks_{feed}", records, out, data_date)


def hold_back(later: pd.DataFrame, out: Path) -> Path:
    """What came of the last wave, for the report only."""
    path = out.parent / "truth" / "starbucks.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    arcs = later.groupby(["row", "product", "ways"], sort=True)["offer_completed"].max().reset_index()
    pq.write_table(
        pa.table(
            {
                "number": numbers(arcs["row"].tolist()),
                "product": _texts(arcs["product"]),
                "channel": _texts(arcs["ways"]),
                "converted": pa.array((arcs["offer_completed"] == 1).tolist()),
            }
        ),
        path,
    )
    return path
