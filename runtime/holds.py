"""What failed checks hold back: deliveries, each by its id, until somebody releases it.

A check that stops is about one delivery or about a feed. What is said of a feed (nothing new has come, less than usual)
is an alarm and holds nothing back: what did come is as good as it was. A refusal of contact is never held back: whatever
is wrong with its file, that somebody does not want to be called is believed.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from conf.catalogue import Catalogue
from conf.feed import Feed
from runtime.deliveries import first_night
from runtime.lake import Lake

#: The entity of refusals of contact: deliveries that become rows of it are never held back.
REFUSALS = "consent"
#: The step of the funnel that stops every outbound contact of a night, its last.
OUTBOUND_STOP = "refusals_without_owner"


@dataclass(frozen=True)
class Hold:
    """A delivery that is held back.

    Attributes:
        delivery_id: the delivery.
        feed: its feed.
        night: the decision date of the last night that judged it.
        checks: what failed, by the names of ``ops_quality``.
        records: how many it is about, where they are counted.
    """

    delivery_id: str
    feed: str
    night: dt.date
    checks: tuple[str, ...]
    records: int = 0


def refusal_feeds(catalogue: Catalogue) -> frozenset[str]:
    """The feeds whose records say whom not to contact."""
    schemas = {
        name
        for name, schema in catalogue.schemas.items()
        if any(conform.entity == REFUSALS for conform in schema.conform)
    }
    return frozenset(code for code, feed in catalogue.feeds.items() if feed.schema_name in schemas)


def tolerate_unowned(feed: Feed, records: int) -> int:
    """So many records of a delivery may be about numbers that nobody holds: a share, and one whatever the share is.

    None may where the share is 0.
    """
    return int(max(1.0, feed.without_owner_threshold * records)) if feed.without_owner_threshold else 0


def read_unowned_refusals(lake: Lake, catalogue: Catalogue, night: dt.date) -> list[Hold]:
    """Deliveries of refusals, as a night sees them, of which too many are of numbers that nobody holds.

    Who refused is not known then, so nobody may be contacted until the numbers are put right (by a resend, a profile, a
    prefix declared) or somebody who looked at them releases the delivery.
    """
    released = set(lake.arrow("ops_release", columns=["delivery_id"])["delivery_id"].to_pylist())
    rows = lake.arrow("ops_reconciliation")
    rows = rows.filter(pc.and_(pc.equal(rows["entity"], REFUSALS), pc.greater(rows["unmatched"], 0)))
    stops = []
    for row in rows.to_pylist():
        feed, meant = catalogue.feeds.get(row["feed"]), row["records"] - row["not_meant"]
        if feed is None or row["delivery_id"] in released or first_night(row["data_date"], row["arrived_at"]) > night:
            continue
        if row["unmatched"] > tolerate_unowned(feed, meant):
            words = f"{row['unmatched']:,} of {meant:,} refusals of {row['data_date']} without owner"
            stops.append(Hold(row["delivery_id"], row["feed"], night, (words,), row["unmatched"]))
    return sorted(stops, key=lambda hold: (hold.feed, hold.delivery_id))


def read_holds(lake: Lake, catalogue: Catalogue) -> Mapping[str, Hold]:
    """Deliveries that are held back now, by id."""
    columns = ["business_date", "subject", "check", "success", "severity", "details"]
    checks = lake.arrow("ops_quality", columns=columns)
    failed = checks.filter(pc.and_(pc.equal(checks["severity"], "stop"), pc.invert(checks["success"])))
    free = refusal_feeds(catalogue)
    released = set(lake.arrow("ops_release", columns=["delivery_id"])["delivery_id"].to_pylist())
    holds: dict[str, Hold] = {}
    for row in failed.sort_by([("business_date", "ascending"), ("check", "ascending")]).to_pylist():
        name = delivery_of(row["details"])
        if not name or name in released or row["subject"] in free:
            continue
        before = holds[name].checks if name in holds else ()
        checks_ = tuple(dict.fromkeys((*before, row["check"])))
        holds[name] = Hold(name, row["subject"], row["business_date"], checks_)
    return holds


def delivery_of(details: str | None) -> str:
    """The delivery that a check is about, by its details; empty where it is about a feed."""
    content = json.loads(details) if details else {}
    return str(content.get("delivery_id", "")) if isinstance(content, dict) else ""
