"""The ledger of deliveries: what has been accepted before, and what a new arrival therefore is."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conf.feed import Feed, deadline
from conf.schema import Schema
from jobs.ingest.deliveries import Delivery, File
from runtime.deliveries import TAKEN

#: So many resends are taken (code 97 beyond it): verf and vgop number them, of the other dialects they are counted.
MOST_RESENDS = 3
_GONE = "03"
Key = tuple[str, dt.date, int]


@dataclass
class Past:
    """What the ledger knows of one feed, date and hour."""

    accepted: list[str] = field(default_factory=list)  # delivery ids in order of acceptance
    resend: int = -1  # the last accepted
    known: set[tuple[Any, ...]] = field(default_factory=set)  # files judged before
    content: tuple[str, ...] = ()  # hashes of the files in force

    def is_known(self, row: Mapping[str, Any]) -> bool:
        """Whether a file of the landing folder is no news; one that was judged and is gone since is none either."""
        file, arrived, number, size = _identify_sending(row)
        if row["code"] == _GONE:
            return any(sending[:3] == (file, arrived, number) for sending in self.known)
        return (file, arrived, number, size) in self.known


def _identify_sending(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells one sending of a file from another; the revision is not in the name of a jsonl file."""
    return row["file"], row["arrived_at"], row["resend"] if ".jsonl" in row["file"] else 0, row["bytes"]


def past_of(ledger: Iterable[Mapping[str, Any]]) -> dict[Key, Past]:
    """The ledger by feed, date and hour."""
    by_key: dict[Key, Past] = defaultdict(Past)
    rows = sorted(ledger, key=lambda row: (row["ordinal"] or 0, row["file"]))
    for row in rows:
        past = by_key[(row["feed"], row["data_date"], row["hour"])]
        past.known.add(_identify_sending(row))
        if row["state"] in TAKEN:
            if row["delivery_id"] not in past.accepted:
                past.accepted.append(row["delivery_id"])
                past.content = ()
            past.content = tuple(sorted((*past.content, row["sha256"] or "")))
            past.resend = max(past.resend, row["resend"])
    return by_key


def pending(
    landing: Sequence[Mapping[str, Any]],
    past: Mapping[Key, Past],
    feeds: Mapping[str, Feed],
    schemas: Mapping[str, Schema],
    cut_off: dt.datetime,
) -> tuple[list[Delivery], list[dict[str, Any]]]:
    """Deliveries to load now, and files that are not opened (rows of the landing table): refused, or waited for.

    Args:
        landing: files that the night may see.
        past: the ledger.
        feeds: by code.
        schemas: by name.
        cut_off: of the night: a file that has no control file by then and is overdue is told so (01).
    """
    groups: dict[tuple[str, dt.date, int, int], list[Mapping[str, Any]]] = defaultdict(list)
    unopened: list[dict[str, Any]] = []
    for row in landing:
        before = past.get((row["feed"], row["data_date"], row["hour"]), Past())
        if row["state"] in ("ready", "refused"):
            groups[(row["feed"], row["data_date"], row["hour"], row["resend"])].append(row)
        elif row["state"] == "waiting" and deadline(feeds[row["feed"]], row["data_date"]) < cut_off:
            unopened += [] if before.is_known(row) else [{**row, "code": "01"}]
    works = []
    for (code, date, hour, resend), rows in sorted(groups.items()):
        before = past.get((code, date, hour), Past())
        if all(before.is_known(row) for row in rows):
            continue  # nothing new
        faulty = [row for row in rows if row["state"] == "refused"]
        if faulty:  # a delivery is taken whole or not at all
            reason = f"{faulty[0]['file']}: {faulty[0]['reason']}"
            refusal = {"code": faulty[0]["code"], "state": "refused"}
            unopened += [{**row, **(refusal | {"reason": reason} if row["state"] == "ready" else {})} for row in rows]
            continue
        files = tuple(
            File(row["file"], row["path"], row["bytes"], row["control_records"], row["control_sha256"])
            for row in sorted(rows, key=lambda row: (row["part"], row["file"]))
        )
        arrived = max(row["arrived_at"] for row in rows)
        works.append(Delivery(feeds[code], schemas[feeds[code].schema_name], date, hour, resend, arrived, files))
    return works, unopened


def verdict(work: Delivery, delivery_id: str, sha256: Sequence[str], past: Past) -> tuple[str, str]:
    """Code and reason for a delivery that could be read, by what came before it: 00, 16, 94 or 97.

    A resend that brings what is in force already is no news, whatever its number; one that goes back to what was
    replaced is.
    """
    if delivery_id in past.accepted:
        return "16", "already accepted with the same content"
    if work.resend > past.resend >= 0 and tuple(sorted(sha256)) == past.content:
        return "16", f"already accepted with the same content, as resend {past.resend}"
    if work.resend <= past.resend:
        return "97", f"resend number {work.resend} is not above the last accepted, {past.resend}"
    resends = work.resend if work.feed.dialect in ("verf", "vgop") else len(past.accepted)
    if resends > MOST_RESENDS:
        return "97", f"over {MOST_RESENDS} resends"
    if work.arrived_at > deadline(work.feed, work.data_date):
        return "94", f"after the deadline of {work.feed.deadline}"
    return "00", ""
