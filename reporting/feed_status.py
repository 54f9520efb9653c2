"""What has become of every feed: expected, loaded, late, refused or missing; and who reads it.

The one answer: `cpc feeds status`, the night report and the KPIs count these states. Pure functions over the ledger
(`ops_delivery`), what lies in the landing folder (`landing`) and the catalogue; ``read`` gets both.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from conf.catalogue import Catalogue
from conf.dates import cut_off, month_end
from conf.feed import Feed, deadline
from runtime.deliveries import TAKEN, deliveries, in_force, own
from runtime.holds import Hold, read_holds
from runtime.night import Night

Row = Mapping[str, Any]
#: What a feed can be, from good to bad, in words. *Late* came after the cut-off: the next night loads it. What came
#: after its deadline and before the cut-off is loaded, with code 94.
STATES = {
    "loaded": "complete 完整",
    "partly": "hours lacking 部分到达",
    "ready": "not loaded yet 待加载",
    "waiting": "no control file 缺控制文件",
    "late": "after the cut-off 迟到",
    "refused": "refused 拒收",
    "missing": "not delivered 未到",
    "not due": "not due 未到期",
}
#: Of these something was loaded.
IN = ("loaded", "partly")
_LEDGER = (
    "delivery_id",
    "feed",
    "data_date",
    "hour",
    "resend",
    "ordinal",
    "file",
    "loaded",
    "quarantined",
    "code",
    "state",
    "reason",
    "arrived_at",
)


@dataclass(frozen=True)
class FeedState:
    """One feed on one night.

    Attributes:
        data_date: what the night expects of it.
        state: one of ``STATES``.
        code: of the file level, of what was seen last; empty if nothing was.
        periods: loaded and expected (24 hours of an hourly feed, else 1).
        stand_in: data date whose last good data stands in; None where nothing is lacking or nothing can.
        held_back: checks that hold back what was loaded; it is in no entity until it is released.
    """

    feed: Feed
    data_date: dt.date
    state: str
    code: str = ""
    periods: tuple[int, int] = (0, 1)
    files: int = 0
    rows: int = 0
    quarantined: int = 0
    resend: int | None = None
    arrived_at: dt.datetime | None = None
    stand_in: dt.date | None = None
    reason: str = ""
    held_back: tuple[str, ...] = ()

    @property
    def due(self) -> bool:
        """Whether the night may expect it by now."""
        return self.state != "not due"

    @property
    def came(self) -> bool:
        """Whether the night has data of it, if not of every hour."""
        return self.state in IN

    @property
    def odd(self) -> bool:
        """Whether somebody should look at it: not all there, after its deadline, or held back."""
        return self.due and (self.state != "loaded" or self.code == "94" or bool(self.held_back))

    def as_row(self) -> dict[str, Any]:
        """What ``cpc feeds status --json`` prints."""
        feed = self.feed
        return {
            "feed": feed.code,
            "service": feed.service,
            "dialect": feed.dialect,
            "granularity": feed.granularity,
            "required": feed.required,
            "data_date": self.data_date,
            "deadline": deadline(feed, self.data_date),
            "state": self.state,
            "code": self.code,
            "periods_loaded": self.periods[0],
            "periods": self.periods[1],
            "files": self.files,
            "rows": self.rows,
            "quarantined": self.quarantined,
            "resend": self.resend,
            "arrived_at": self.arrived_at,
            "stand_in": self.stand_in,
            "reason": self.reason,
            "held_back": list(self.held_back),
        }


def expect_data_date(feed: Feed, night: dt.date) -> dt.date:
    """The data date that the night of ``night`` expects of a feed: yesterday, or the last month that is due."""
    yesterday = night - dt.timedelta(days=1)
    if feed.granularity != "monthly":
        return yesterday
    last = yesterday if month_end(yesterday) == yesterday else yesterday.replace(day=1) - dt.timedelta(days=1)
    while deadline(feed, last) > cut_off(night):
        last = last.replace(day=1) - dt.timedelta(days=1)
    return last


def read(night: Night) -> list[FeedState]:
    """Every feed of the catalogue on a night, in order of their codes."""
    return states(night.catalogue, *records(night), night.date, read_holds(night.lake, night.catalogue))


def records(night: Night) -> tuple[list[Row], list[Row]]:
    """What states are told from: rows of the ledger and of the landing table."""
    return night.lake.arrow("ops_delivery", columns=_LEDGER).to_pylist(), night.lake.arrow("landing").to_pylist()


def counts(feeds: Iterable[FeedState]) -> dict[str, int]:
    """How many feeds are in each state, in the order of ``STATES``."""
    number = Counter(feed.state for feed in feeds)
    return {state: number[state] for state in STATES}


@dataclass(frozen=True)
class Loads:
    """What a night took in that no night before had seen."""

    files: int
    rows: int
    quarantined: int


def loads(night: Night) -> Loads:
    """What the night took in, whichever run loaded it: a night that runs again has loaded the same files."""
    table = deliveries(night.lake, ["data_date", "arrived_at", "loaded", "quarantined"], states=TAKEN)
    rows = table.filter(own(night.date))
    return Loads(rows.num_rows, *(pc.sum(rows[name]).as_py() or 0 for name in ("loaded", "quarantined")))


def states(
    catalogue: Catalogue,
    ledger: Iterable[Row],
    landing: Iterable[Row],
    night: dt.date,
    holds: Mapping[str, Hold] | None = None,
) -> list[FeedState]:
    """Every feed of the catalogue on the night of ``night``, in order of their codes.

    Args:
        catalogue: the feeds.
        ledger: rows of ``ops_delivery``.
        landing: rows of ``landing``.
        night: the decision date.
        holds: deliveries that are held back, by id.
    """
    of_feed: dict[str, list[Row]] = defaultdict(list)
    of_date: dict[tuple[str, dt.date], list[Row]] = defaultdict(list)
    for row in ledger:
        of_feed[row["feed"]].append(row)
    for row in landing:
        if row["feed"] is not None:
            of_date[row["feed"], row["data_date"]].append(row)
    return [
        state_of(feed, of_feed[code], of_date[code, expect_data_date(feed, night)], night, holds or {})
        for code, feed in sorted(catalogue.feeds.items())
    ]


def state_of(
    feed: Feed, ledger: Sequence[Row], landing: Sequence[Row], night: dt.date, holds: Mapping[str, Hold]
) -> FeedState:
    """One feed on one night.

    Args:
        feed: its contract.
        ledger: its rows of ``ops_delivery``, of all dates.
        landing: its rows of ``landing`` of the date that is expected.
        night: the decision date.
        holds: deliveries that are held back, by id.
    """
    date = expect_data_date(feed, night)
    wanted = 24 if feed.granularity == "hourly" else 1
    judged = [row for row in ledger if row["data_date"] == date]
    taken = in_force(judged, night)
    if taken:
        hours = len({row["hour"] for row in taken})
        late = any(row["code"] == "94" for row in taken)
        failed = sorted(
            {check for row in taken if row["delivery_id"] in holds for check in holds[row["delivery_id"]].checks}
        )
        reasons = ["after its deadline, before the cut-off"] * late
        reasons += [f"held back, cpc feeds release {feed.code}: {'; '.join(failed)}"] * bool(failed)
        return FeedState(
            feed,
            date,
            "loaded" if hours >= wanted else "partly",
            "94" if late else "00",
            (hours, wanted),
            len(taken),
            sum(row["loaded"] for row in taken),
            sum(row["quarantined"] for row in taken),
            max(row["resend"] for row in taken),
            max(row["arrived_at"] for row in taken),
            reason="; ".join(reasons),
            held_back=tuple(failed),
        )
    state, code, reason, arrived = _explain_absence(feed, judged, landing, night)
    return FeedState(
        feed,
        date,
        state,
        code,
        (0, wanted),
        files=len(landing),
        arrived_at=arrived,
        stand_in=_stand_in(feed, ledger, date, night),
        reason=reason,
    )


def _explain_absence(
    feed: Feed, judged: Sequence[Row], landing: Sequence[Row], night: dt.date
) -> tuple[str, str, str, dt.datetime | None]:
    limit = cut_off(night)
    refused = [row for row in judged if row["state"] == "refused"]
    if refused:
        last = max(refused, key=lambda row: (row["resend"], row["file"]))
        return "refused", last["code"], last["reason"] or "", last["arrived_at"]
    known = [row for row in landing if row["arrived_at"] is not None]
    arrived = max((row["arrived_at"] for row in known), default=None)
    if any(row["arrived_at"] >= limit for row in known):
        return "late", "", "arrived after the cut-off: the next night loads it", arrived
    if bad := [row for row in landing if row["state"] == "refused"]:
        return "refused", bad[0]["code"], bad[0]["reason"], arrived
    if known:
        return "ready", "", "not loaded yet: cpc ingest", arrived
    if landing:
        return "waiting", "01", landing[0]["reason"], None
    if deadline(feed, expect_data_date(feed, night)) > limit:
        return "not due", "", "", None
    return "missing", "", "nothing has come", None


def _stand_in(feed: Feed, ledger: Sequence[Row], date: dt.date, night: dt.date) -> dt.date | None:
    """The last good data date that may stand in."""
    days = feed.stand_in_days * (31 if feed.granularity == "monthly" else 1)
    near = (row for row in ledger if date - dt.timedelta(days) <= row["data_date"] < date)
    return max((row["data_date"] for row in in_force(near, night)), default=None)


def readers(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """Schema → what its records reach: entities, with the families of features that are made of them."""
    by_schema: dict[str, tuple[str, ...]] = {}
    for name, schema in sorted(catalogue.schemas.items()):
        reached = []
        for entity in sorted({conform.entity for conform in schema.conform}):
            families = [
                family.family
                for family in catalogue.features.families
                if family.source == entity and (not family.schemas or name in family.schemas)
            ]
            reached.append(entity + (f" → {', '.join(families)}" if families else ""))
        by_schema[name] = tuple(reached)
    return by_schema
