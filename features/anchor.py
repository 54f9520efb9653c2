"""Where windows end: the last day of good data, as the night knew it.

A family whose feeds bring nothing for tonight is not 0: its windows end at the last day that did arrive, and
``<family>_staleness_days`` says how far that is behind. A single daily feed that is late while its siblings are there
stands in with its own last good days, for as long as its contract allows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conf.catalogue import Catalogue
from conf.dates import cut_off
from conf.feature import Family
from conf.feed import Feed


@dataclass(frozen=True)
class Delivered:
    """A delivery that was accepted: what it is about and when it arrived (aware)."""

    feed: str
    data_date: dt.date
    arrived_at: dt.datetime


@dataclass(frozen=True)
class Anchor:
    """A family on a decision date.

    Attributes:
        through: the last day any of its feeds had brought by the cut-off; None: nothing yet.
        feeds: the last day of the windows of each feed that has brought anything.
        known: the night by whose cut-off it had arrived; None: that of the decision date itself.
    """

    as_of: dt.date
    through: dt.date | None
    feeds: Mapping[str, dt.date]
    known: dt.date | None = None

    @property
    def staleness(self) -> int | None:
        """Days by which the last good data is behind the day before the decision date."""
        return None if self.through is None else (self.as_of - self.through).days - 1


def feeds_of(family: Family, catalogue: Catalogue) -> dict[str, Feed]:
    """The feeds whose records can become rows that ``family`` counts."""
    schemas = {
        schema.name
        for schema in catalogue.schemas.values()
        if any(conform.entity == family.source for conform in schema.conform)
        and (not family.schemas or schema.name in family.schemas)
    }
    return {feed.code: feed for feed in catalogue.feeds.values() if feed.schema_name in schemas}


def anchor(
    feeds: Mapping[str, Feed], delivered: Iterable[Delivered], as_of: dt.date, known: dt.date | None = None
) -> Anchor:
    """Where the windows of a family with these ``feeds`` end on ``as_of``.

    They rest on what had arrived by its cut-off, or by that of the later night ``known``.
    """
    limit, last_day = cut_off(known or as_of), as_of - dt.timedelta(days=1)
    last: dict[str, dt.date] = {}
    for item in delivered:
        if item.feed in feeds and item.arrived_at < limit and item.data_date <= last_day:
            last[item.feed] = max(last.get(item.feed, item.data_date), item.data_date)
    if not last:
        return Anchor(as_of, None, {}, known)
    through = max(last.values())
    ends = {code: _stand_in(feeds[code], day, through) for code, day in sorted(last.items())}
    return Anchor(as_of, through, ends, known)


def anchors(
    feeds: Mapping[str, Feed], delivered: Sequence[Delivered], dates: Iterable[dt.date], known: dt.date | None = None
) -> list[Anchor]:
    """``anchor`` on several decision dates."""
    return [anchor(feeds, delivered, date, known) for date in dates]


def _stand_in(feed: Feed, last: dt.date, through: dt.date) -> dt.date:
    late = (through - last).days
    stands = feed.granularity != "monthly" and 0 < late <= feed.stand_in_days
    return last if stands else through
