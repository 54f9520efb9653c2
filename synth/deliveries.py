"""Which deliveries a province sends, and when: every feed's dates, arrival times, and the faults of arrival."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from conf.dates import SHANGHAI, month_end
from conf.feed import Feed
from synth.keyed import key, stream
from synth.plan import LoggedPlan, date_of, day_of
from synth.rows import Period


@dataclass(frozen=True)
class SynthDelivery:
    """One delivery to write.

    ``created`` is the arrival that its control file tells; ``resend`` 1 restates what 0 sent, which ``restated``
    marks.
    """

    feed: str
    period: Period
    created: dt.datetime
    resend: int = 0
    restated: bool = False

    @property
    def data_date(self) -> dt.date:
        """The data date in its name."""
        return date_of(self.period.day)


def deliveries(plan: LoggedPlan) -> list[SynthDelivery]:
    """Everything that is sent, in order of data date and feed."""
    outgoing: list[SynthDelivery] = []
    absent, tardy = last_date_faults(plan)
    for code, feed in sorted(plan.catalogue.feeds.items()):
        for period in periods(plan, feed):
            if code in absent and period.day == plan.end_day - 1:
                continue
            late = code in tardy and period.day == plan.end_day - 1
            outgoing.extend(_draw_sendings(plan, feed, period, late))
    return sorted(outgoing, key=lambda d: (d.period.day, d.feed, d.period.hour, d.resend))


def later_deliveries(plan: LoggedPlan, codes: Iterable[str], first: int, last: int) -> list[SynthDelivery]:
    """What the named feeds send of the days ``[first, last)`` after the province's own: all of it, once and in time."""
    outgoing = []
    for code in sorted(codes):
        feed = plan.catalogue.feeds[code]
        for day in range(first, last):
            spans = [Period(day, day + 1, day, hour) for hour in (range(24) if feed.granularity == "hourly" else (-1,))]
            if feed.granularity == "monthly":
                ends = month_end(date_of(day)) == date_of(day)
                spans = [Period(day_of(date_of(day).replace(day=1)), day + 1, day)] if ends else []
            for period in spans:
                part = stream(plan.seed, "arrival", code, period.day, period.hour).random()
                outgoing.append(SynthDelivery(code, period, _arrival(feed, period, part, late=False)))
    return sorted(outgoing, key=lambda d: (d.period.day, d.feed, d.period.hour))


def periods(plan: LoggedPlan, feed: Feed) -> Iterator[Period]:
    """The deliveries that a feed owes: complete months of history and demo, or every date (and hour) of the demo."""
    if feed.granularity == "monthly":
        first = date_of(plan.first_day)
        while (last := month_end(first)) < date_of(plan.end_day):
            yield Period(day_of(first), day_of(last) + 1, day_of(last))
            first = last + dt.timedelta(days=1)
        return
    for day in range(plan.start_day, plan.end_day):
        for hour in range(24) if feed.granularity == "hourly" else (-1,):
            yield Period(day, day + 1, day, hour)


def last_date_faults(plan: LoggedPlan) -> tuple[set[str], set[str]]:
    """Optional daily feeds that send nothing, and that send too late, on the last date (of those least used)."""
    faults = plan.preset.faults
    optional = [
        code for code, feed in plan.catalogue.feeds.items() if not feed.required and feed.granularity == "daily"
    ]
    order = sorted(optional, key=lambda code: key(plan.seed, "fault of arrival", code))
    missing, late = faults.last_date_missing, faults.last_date_late
    return set(order[:missing]), set(order[missing : missing + late])


def _draw_sendings(plan: LoggedPlan, feed: Feed, period: Period, late: bool) -> Iterator[SynthDelivery]:
    faults = plan.preset.faults
    rng = stream(plan.seed, "arrival", feed.code, period.day, period.hour)
    lot, again, part = rng.random(3)
    late = late or (not feed.required and feed.granularity == "daily" and lot < faults.late_files)
    created = _arrival(feed, period, float(part), late)
    twice = bool(again < faults.resent_files and feed.granularity == "daily")
    yield SynthDelivery(feed.code, period, created, restated=twice)
    if twice:
        days = int(rng.integers(0, 3))  # at once, or a later night restates it
        yield SynthDelivery(feed.code, period, created + dt.timedelta(days=days, minutes=25), resend=1)


def _arrival(feed: Feed, period: Period, part: float, late: bool) -> dt.datetime:
    """Between 00:30 and the feed's deadline on the day after (the 2nd of the next month; the next hour)."""
    after = dt.datetime.combine(date_of(period.last), dt.time(), SHANGHAI)
    if period.hour >= 0:
        close = after + dt.timedelta(hours=period.hour - 23)
        return close + dt.timedelta(seconds=120 + int(part * 900))
    if feed.granularity == "monthly":
        after += dt.timedelta(days=1)
    if late:
        return after + dt.timedelta(hours=5, seconds=int(part * 3 * 3600))
    hour, minute = (int(text) for text in feed.deadline.split(":"))
    window = max((hour * 60 + minute - 40) * 60, 600)
    return after + dt.timedelta(minutes=30, seconds=int(part * window))
