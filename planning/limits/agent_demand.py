"""What agents who answer have to do anyway: calls of the last weeks, and call-backs of waves that are out already."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from conf.catalogue import Catalogue
from conf.dates import start_of_day
from conf.offer import ShiftAmount
from planning.limits.columns import LimitColumns, rows_of
from planning.limits.evaluator import select_arcs
from planning.limits.translation import DeclaredLimit
from runtime.lake import arrow_schema
from runtime.night import Night

#: Days of calls that a forecast rests on: four weeks, so that every weekday counts alike.
DAYS = 28
#: How many nights back a wave can still cause call-backs.
WAVES = 3


@dataclass(frozen=True)
class Demand:
    """Work that is there before tonight's plan.

    Attributes:
        answered: (service, centre) → seconds of calls on each of the last 28 days.
        committed: limit → seconds of call-backs that waves of the last nights will cause on its day.
    """

    answered: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)
    committed: Mapping[str, int] = field(default_factory=dict)

    def inbound(self, amount: ShiftAmount) -> int:
        """Seconds of calls to expect on a day: mean + z sd of the last four weeks, rounded up; 0 if not asked."""
        days = self.answered.get((amount.service, amount.centre), ())
        if amount.inbound_z is None or len(days) < 2:
            return 0
        return math.ceil(mean(days) + amount.inbound_z * stdev(days))


def demand(night: Night, limits: Sequence[DeclaredLimit], population: pa.Table) -> Demand:
    """Tonight's, as far as limits ask for it."""
    amounts = [each.limit.amount for each in limits]
    services = sorted({a.service for a in amounts if isinstance(a, ShiftAmount) and a.inbound_z is not None})
    return Demand(
        read_answered_seconds(night, services) if services else {}, read_committed_seconds(night, limits, population)
    )


def read_answered_seconds(night: Night, services: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """Seconds of calls that services answered at each centre on each of the last 28 days, streamed."""
    first = night.date - dt.timedelta(days=DAYS)
    since, until = start_of_day(first), start_of_day(night.date)
    days_told = [first + dt.timedelta(days=k) for k in range(-1, DAYS)]
    files = [path for day in days_told for path in night.lake.files("contact", {"data_date": day})]
    # by file, not through the table's statistics: those leave out texts and times, and a filter on them finds nothing
    source = ds.dataset(files, format="parquet", schema=arrow_schema(night.lake.table("contact")))
    wanted = (
        (ds.field("direction") == "in")
        & ds.field("channel").isin(list(services))
        & (ds.field("event_time") >= pa.scalar(since, pa.timestamp("us", tz="UTC")))
        & (ds.field("event_time") < pa.scalar(until, pa.timestamp("us", tz="UTC")))
        & (ds.field("arrived_at") < pa.scalar(night.cut_off, pa.timestamp("us", tz="UTC")))
        & ds.field("centre").is_valid()
        & ds.field("seconds").is_valid()
    )
    seconds: dict[tuple[str, str], list[int]] = {}
    for batch in source.to_batches(columns=["channel", "centre", "event_time", "seconds"], filter=wanted):
        hours = pc.subtract(batch["event_time"], pa.scalar(since, pa.timestamp("us", tz="UTC")))
        day = pc.divide(pc.cast(hours, pa.int64()), 86_400_000_000)  # Shanghai keeps no summer time
        rows = pa.table({"who": batch["channel"], "centre": batch["centre"], "day": day, "seconds": batch["seconds"]})
        for row in rows.group_by(["who", "centre", "day"]).aggregate([("seconds", "sum")]).to_pylist():
            days = seconds.setdefault((row["who"], row["centre"]), [0] * DAYS)
            days[row["day"]] += row["seconds_sum"]
    return seconds


def read_committed_seconds(night: Night, limits: Sequence[DeclaredLimit], population: pa.Table) -> dict[str, int]:
    """Seconds that contacts of the last three nights will cause on the day of each call-back limit."""
    later = [(each, each.limit.lag) for each in limits if each.limit.lag is not None]
    total = dict.fromkeys((each.limit.name for each, _ in later), 0)
    for ago in range(1, WAVES + 1) if later else ():
        sent = wave(night, night.date - dt.timedelta(days=ago), population)
        seen = {name: sent[name].to_numpy() for name in sent.column_names}
        for each, lag in later:
            match = select_arcs(each.where, seen, (sent.num_rows,))
            total[each.limit.name] += int(count_callback_seconds(sent, night.catalogue, lag + ago)[match].sum())
    return {name: seconds for name, seconds in total.items() if seconds}


def wave(night: Night, date: dt.date, population: pa.Table) -> pa.Table:
    """Contacts of an earlier night to customers of tonight, with the columns that limits look at."""
    sent = night.lake.arrow(
        "assignment", partition={"business_date": date}, columns=["customer_id", "product", "channel"]
    )
    sent = sent.filter(pc.is_valid(sent["channel"]))
    rows = rows_of(sent, population, "customer_id")
    return LimitColumns.of(population).beside(sent.filter(pc.is_valid(rows)), rows.filter(pc.is_valid(rows)))


def count_callback_seconds(sent: pa.Table, catalogue: Catalogue, lag: int) -> np.ndarray:
    """Seconds of call-backs that each contact causes ``lag`` days after it, int64 [n]."""
    by_channel = np.zeros(64, np.int64)
    for channel in catalogue.channels:
        by_channel[channel.id] = channel.callback(lag)
    return by_channel[sent["channel"].to_numpy().astype(np.int64)]
