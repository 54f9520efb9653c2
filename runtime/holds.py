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
from runtime.lake import Lake

#: The entity of refusals of contact: deliveries that become rows of it are never held back.
REFUSALS = "consent"


@dataclass(frozen=True)
class Hold:
    """A delivery that is held back.

    Attributes:
        delivery_id: the delivery.
        feed: its feed.
        night: the decision date of the last night that judged it.
        checks: what failed, by the names of ``ops_quality``.
    """

    delivery_id: str
    feed: str
    night: dt.date
    checks: tuple[str, ...]


def refusal_feeds(catalogue: Catalogue) -> frozenset[str]:
    """The feeds whose records say whom not to contact."""
    schemas = {
        name
        for name, schema in catalogue.schemas.items()
        if any(conform.entity == REFUSALS for conform in schema.conform)
    }
    return frozenset(code for code, feed in catalogue.feeds.items() if feed.schema_name in schemas)


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
