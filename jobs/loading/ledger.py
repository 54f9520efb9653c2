"""The ledger of deliveries: what has been accepted before, and what a new arrival therefore is."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conf.dates import SHANGHAI
from conf.feed import Feed
from conf.schema import Schema
from jobs.loading.work import File, Work

#: A resend number of at most this many is taken (code 97 beyond it).
MOST_RESENDS = 3
Key = tuple[str, dt.date, int]


@dataclass
class Past:
    """What the ledger knows of one feed, date and hour."""

    accepted: list[str] = field(default_factory=list)  # delivery ids in order of acceptance
    resend: int = -1  # the last accepted
    known: set[tuple[str, int, dt.datetime | None]] = field(default_factory=set)  # files judged before


def past_of(ledger: Iterable[Mapping[str, Any]]) -> dict[Key, Past]:
    """The ledger by feed, date and hour."""
    found: dict[Key, Past] = defaultdict(Past)
    rows = sorted(ledger, key=lambda row: (row["ordinal"] or 0, row["file"]))
    for row in rows:
        past = found[(row["feed"], row["data_date"], row["hour"])]
        past.known.add((row["file"], row["bytes"], row["arrived_at"]))
        if row["state"] in ("accepted", "replaced"):
            if row["delivery_id"] not in past.accepted:
                past.accepted.append(row["delivery_id"])
            past.resend = max(past.resend, row["resend"])
    return found


def pending(
    landing: Sequence[Mapping[str, Any]],
    past: Mapping[Key, Past],
    feeds: Mapping[str, Feed],
    schemas: Mapping[str, Schema],
) -> tuple[list[Work], list[dict[str, Any]]]:
    """Deliveries to load now, and files that are refused without being opened (rows of the landing table).

    Args:
        landing: files that the night may see.
        past: the ledger.
        feeds: by code.
        schemas: by name.
    """
    groups: dict[tuple[str, dt.date, int, int], list[Mapping[str, Any]]] = defaultdict(list)
    for row in landing:
        if row["feed"] is not None and row["state"] in ("ready", "refused"):
            groups[(row["feed"], row["data_date"], row["hour"], row["resend"])].append(row)
    works, refused = [], []
    for (code, date, hour, resend), rows in sorted(groups.items()):
        before = past.get((code, date, hour), Past())
        if all((row["file"], row["bytes"], row["arrived_at"]) in before.known for row in rows):
            continue  # judged before, nothing new
        faulty = [row for row in rows if row["state"] == "refused"]
        if faulty:  # a delivery is taken whole or not at all
            reason = f"{faulty[0]['file']}: {faulty[0]['reason']}"
            refused += [{**row, "code": faulty[0]["code"], "reason": row["reason"] or reason} for row in rows]
            continue
        files = tuple(
            File(row["file"], row["path"], row["bytes"], row["control_records"])
            for row in sorted(rows, key=lambda row: (row["part"], row["file"]))
        )
        arrived = max(row["arrived_at"] for row in rows)
        works.append(Work(feeds[code], schemas[feeds[code].schema_name], date, hour, resend, arrived, files))
    return works, refused


def verdict(work: Work, delivery_id: str, past: Past) -> tuple[str, str]:
    """Code and reason for a delivery that could be read, by what came before it: 00, 16, 94 or 97."""
    if delivery_id in past.accepted:
        return "16", "already accepted with the same content"
    if work.resend <= past.resend:
        return "97", f"resend number {work.resend} is not above the last accepted, {past.resend}"
    if work.resend > MOST_RESENDS:
        return "97", f"over {MOST_RESENDS} resends"
    if work.arrived_at > deadline(work.feed, work.data_date):
        return "94", f"after the deadline of {work.feed.deadline}"
    return "00", ""


def deadline(feed: Feed, data_date: dt.date) -> dt.datetime:
    """When a delivery is due (UTC): the next day at the feed's time; of a month, its third day after the end."""
    days = 3 if feed.granularity == "monthly" else 1
    hour, minute = map(int, feed.deadline.split(":"))
    local = dt.datetime.combine(data_date + dt.timedelta(days=days), dt.time(hour, minute), SHANGHAI)
    return local.astimezone(dt.UTC)
