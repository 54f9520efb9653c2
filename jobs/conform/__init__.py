"""Turns the records of every interface into one history a customer.

What a record becomes is written in its schema (`conform:`); this job unions the interfaces of an entity, finds
the customer who held the number at the time, and replaces the data dates whose deliveries differ from what was
conformed last. Numbers that belong to nobody stay out, are counted, and are tried again when a number gets an owner. An
event that the file before told already counts once. What became of every record is accounted for, by feed and entity.

*Reads* `raw` of the touched dates (profiles: all dates), `ops_delivery`, `ops_quality` (deliveries held back), `ops_release`.
*Writes* `subscriber`, `customer`, and the entities of events, one commit each; `ops_conform` remembers from what, `ops_reconciliation` what
became of each delivery's records; its checks are added to `ops_quality`.
*Cost* grows with the records of the touched dates, and with the profiles kept (one window a customer).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa

from conf.catalogue import Catalogue
from conf.errors import UserError
from jobs.conform import events
from jobs.conform.mapping import clauses_of
from jobs.conform.profiles import Profiles, conform_profiles, keep_owners
from jobs.conform.reconciliation import account, account_profiles, judge_accounts, keep_accounts, keep_checks
from jobs.conform.work import PROFILE, EntityRebuild, KnownDelivery, deliveries_of, sources_by_entity, work_of
from runtime import spark_tables
from runtime.clauses import Clause
from runtime.deliveries import deliveries
from runtime.figures import ConformFigures
from runtime.holds import read_holds, read_unowned_refusals
from runtime.night import Night
from runtime.spark_tuning import interpret, narrow

READS = ("raw", "ops_delivery", "ops_quality")
WRITES = (
    "subscriber",
    "customer",
    "bill",
    "complaint",
    "consent",
    "contact",
    "decision",
    "impression",
    "life",
    "order",
    "shift",
    "usage",
    "visit",
    "ops_conform",
    "ops_reconciliation",
)
#: Its checks of what became of records stand beside those of `quality`, in the same table and night.
ADDS = ("ops_quality",)
READS_PREVIOUS = ("subscriber", "ops_conform", "ops_release", "ops_reconciliation")
#: Entities written at the same time: planning and commits of one overlap with the tasks of another.
AT_ONCE = 3


def run(night: Night) -> ConformFigures:
    """Conform what has changed since it was conformed last."""
    sources = sources_by_entity(night.catalogue)
    current = deliveries_in_force(night)
    schema_of = {feed.code: feed.schema_name for feed in night.catalogue.feeds.values()}
    known = fingerprints(night)
    works = [
        work_of(entity, entity_sources, current, schema_of, known.get(entity, {}))
        for entity, entity_sources in sorted(sources.items())
    ]
    works += [
        EntityRebuild(entity, (), tuple(sorted(known[entity])), (), {}) for entity in sorted(set(known) - set(sources))
    ]
    profiles = conform_profiles(night, works, current)
    works = [widen_dates(work, profiles.touched.get(work.entity, set()), current) for work in works]
    todo = [work for work in works if work.entity != PROFILE and work.dates]
    with interpret(night.spark, sum(work.records for work in todo)), ThreadPoolExecutor(AT_ONCE) as pool:
        made = pool.map(lambda work: conform_events(night, work, profiles, current), todo)
        counts = dict(zip((work.entity for work in todo), made, strict=True))
        accounts = [row for work in todo for row in account(night, work, counts[work.entity])]
    accounts += [
        row for work in works if work.entity == PROFILE and work.dates for row in account_profiles(work, profiles.heard)
    ]
    keep_owners(night, profiles)
    keep_checks(night, judge_accounts(night, keep_accounts(night, works, accounts)))
    remember(night, works)
    return figures(night, works, counts, accounts)


def rehearse(catalogue: Catalogue, _: dt.date) -> Iterator[Clause]:
    """What a night will compile here: every mapping, over the columns of its schema."""
    for entity, sources in sources_by_entity(catalogue).items():
        if table := catalogue.tables.get(entity):
            for source in sources:
                yield from clauses_of(catalogue, source, table)


def deliveries_in_force(night: Night) -> list[KnownDelivery]:
    """Accepted deliveries, without those that a check of their own holds back (`runtime.holds`).

    Entities are no night's: they hold what is accepted now, and each reader asks what had arrived by its cut-off.
    """
    ledger = deliveries(night.lake, ["delivery_id", "feed", "data_date", "arrived_at", "loaded"])
    holds = read_holds(night.lake, night.catalogue)
    schema_of = {feed.code: feed.schema_name for feed in night.catalogue.feeds.values()}
    return [delivery for delivery in deliveries_of(ledger, schema_of) if delivery.delivery_id not in holds]


def fingerprints(night: Night) -> dict[str, dict[dt.date, str]]:
    """What each data date of each entity was conformed from last."""
    by_entity: dict[str, dict[dt.date, str]] = {}
    for row in night.lake.arrow("ops_conform").to_pylist():
        by_entity.setdefault(row["entity"], {})[row["data_date"]] = row["fingerprint"]
    return by_entity


def widen_dates(work: EntityRebuild, also: set[dt.date], deliveries: Sequence[KnownDelivery]) -> EntityRebuild:
    """The work with more dates to rebuild."""
    if not also:
        return work
    dates = tuple(sorted({*work.dates, *also}))
    names = {source.schema.name for source in work.sources}
    relevant = tuple(d for d in deliveries if d.schema in names and d.data_date in dates)
    return replace(work, dates=dates, deliveries=relevant)


def conform_events(
    night: Night, work: EntityRebuild, profiles: Profiles, current: Sequence[KnownDelivery]
) -> events.EventCounts:
    """Replace the touched dates of one entity in one commit."""
    table = night.lake.table(work.entity)
    rows = events.union(night.spark, night.lake, night.catalogue, work, marked=True)
    if rows is None:
        night.lake.commit_files(work.entity, [], replace=[{"data_date": date} for date in work.dates])
        return events.EventCounts()
    around = with_dates_before(work, current)
    two_days = None
    if events.may_repeat(night.lake, around):
        two_days = events.union(night.spark, night.lake, night.catalogue, around, marked=True)
    rows = events.without_repeats(rows, two_days, around.records)
    if any(column.name == "customer_id" for column in table.columns):
        rows = events.with_customer(rows, profiles.owners, broadcast=profiles.few)
    good, observation = events.split_writable(rows, table, len(work.deliveries))
    try:
        dates = [{"data_date": date} for date in work.dates]
        placed = events.laid_out(narrow(good, work.records), table, work)
        spark_tables.replace(night.lake, work.entity, placed, partitions=dates)
    except Exception as error:
        raise explain_fault(work, error) from error
    return events.counts_of(observation)


def with_dates_before(work: EntityRebuild, current: Sequence[KnownDelivery]) -> EntityRebuild:
    """The work with the data date before each of its own, on which an event may have been told already."""
    dates = {*work.dates, *(date - dt.timedelta(days=1) for date in work.dates)}
    return widen_dates(work, dates, current)


def explain_fault(work: EntityRebuild, error: Exception) -> Exception:
    """A fault of a value met by a mapping, as something to mend; any other error as it is."""
    kind = str(getattr(error, "getCondition", lambda: None)() or "")
    if not kind.startswith(("CAST_", "DIVIDE_BY_ZERO", "ARITHMETIC_OVERFLOW", "INVALID_")):
        return error
    schemas = ", ".join(sorted({source.schema.name for source in work.sources}))
    return UserError(
        f"conform to {work.entity}: a value does not fit its expression: {str(error).splitlines()[0]}",
        where=f"conf/schemas: one of {schemas}",
        remedy="use try_cast, try_divide or nullif in the expression",
    )


def remember(night: Night, works: Sequence[EntityRebuild]) -> None:
    """Record what every date of every entity is made from now; written last, so that a killed job starts over."""
    rows = [
        {"entity": work.entity, "data_date": date, "fingerprint": print_, "deliveries": count}
        for work in works
        for date, (print_, count) in sorted(work.fingerprints.items())
    ]
    if any(work.dates for work in works):
        schema = night.lake.arrow("ops_conform").schema
        night.lake.replace_arrow("ops_conform", pa.Table.from_pylist(rows, schema=schema))


def figures(
    night: Night,
    works: Sequence[EntityRebuild],
    counts: Mapping[str, events.EventCounts],
    accounts: Sequence[Mapping[str, Any]],
) -> ConformFigures:
    """What was done, for the run record."""
    by_feed: dict[str, Counter[str]] = {name: Counter() for name in (*events.FAULTS, "lost")}
    for row in accounts:
        for name, feeds in by_feed.items():
            if row[name]:
                feeds[row["feed"]] += row[name]
    refusals: Counter[str] = Counter()
    for hold in read_unowned_refusals(night.lake, night.catalogue, night.date):
        refusals[hold.feed] += hold.records
    return ConformFigures(
        rows=sum(count.rows for count in counts.values()),
        rows_by_entity={entity: counts[entity].rows for entity in sorted(counts)},
        dates=len({date for work in works for date in work.dates}),
        owners_of_numbers=night.lake.delta("subscriber").count(),
        unmatched=by_feed["unmatched"].total(),
        unmatched_by_feed=dict(sorted(by_feed["unmatched"].items())),
        incomplete_by_feed=dict(sorted(by_feed["incomplete"].items())),
        repeated_by_feed=dict(sorted(by_feed["repeated"].items())),
        lost_by_feed=dict(sorted(by_feed["lost"].items())),
        refusals_without_owner=dict(sorted(refusals.items())),
    )
