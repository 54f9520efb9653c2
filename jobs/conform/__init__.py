"""Turns the records of every interface into one history a customer.

What a record becomes is written in its schema (`conform:`); this job unions the interfaces of an entity, finds
the customer who held the number at the time, and replaces the data dates whose deliveries differ from what was
conformed last. Numbers that belong to nobody stay out and are counted.

*Reads* `raw` of the touched dates (profiles: all dates), `ops_delivery`, `ops_quality` (deliveries held back), `ops_release`.
*Writes* `subscriber`, `customer`, and the entities of events, one commit each; `ops_conform` remembers from what.
*Cost* grows with the records of the touched dates, and with the profiles kept (one window a customer).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa

from conf.catalogue import Catalogue
from conf.errors import UserError
from jobs.conform import events
from jobs.conform.mapping import clauses_of
from jobs.conform.profiles import Profiles, conform_profiles, keep_owners
from jobs.conform.work import PROFILE, EntityRebuild, KnownDelivery, deliveries_of, sources_by_entity, work_of
from runtime import spark_tables
from runtime.clauses import Clause
from runtime.deliveries import deliveries
from runtime.figures import ConformFigures
from runtime.holds import read_holds
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
)
READS_PREVIOUS = ("subscriber", "ops_conform", "ops_release")
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
    works = [widen_dates(work, profiles.touched.get(work.entity, set()), current, schema_of) for work in works]
    todo = [work for work in works if work.entity != PROFILE and work.dates]
    with interpret(night.spark, sum(work.records for work in todo)), ThreadPoolExecutor(AT_ONCE) as pool:
        made = pool.map(lambda work: conform_events(night, work, profiles), todo)
        counts = dict(zip((work.entity for work in todo), made, strict=True))
    keep_owners(night, profiles)
    remember(night, works)
    return figures(night, works, counts)


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
    return [delivery for delivery in deliveries_of(ledger) if delivery.delivery_id not in holds]


def fingerprints(night: Night) -> dict[str, dict[dt.date, str]]:
    """What each data date of each entity was conformed from last."""
    by_entity: dict[str, dict[dt.date, str]] = {}
    for row in night.lake.arrow("ops_conform").to_pylist():
        by_entity.setdefault(row["entity"], {})[row["data_date"]] = row["fingerprint"]
    return by_entity


def widen_dates(
    work: EntityRebuild, also: set[dt.date], deliveries: Sequence[KnownDelivery], schema_of: Mapping[str, str]
) -> EntityRebuild:
    """The work with more dates to rebuild."""
    if not also:
        return work
    dates = tuple(sorted({*work.dates, *also}))
    names = {source.schema.name for source in work.sources}
    relevant = tuple(d for d in deliveries if schema_of.get(d.feed) in names and d.data_date in dates)
    return replace(work, dates=dates, deliveries=relevant)


def conform_events(night: Night, work: EntityRebuild, profiles: Profiles) -> events.EventCounts:
    """Replace the touched dates of one entity in one commit."""
    table = night.lake.table(work.entity)
    rows = events.union(night.spark, night.lake, night.catalogue, work)
    if rows is None:
        night.lake.commit_files(work.entity, [], replace=[{"data_date": date} for date in work.dates])
        return events.EventCounts(0, {}, {})
    if any(column.name == "customer_id" for column in table.columns):
        rows = events.with_customer(rows, profiles.owners, broadcast=profiles.few)
    good, observation = events.split_writable(rows, table)
    try:
        dates = [{"data_date": date} for date in work.dates]
        placed = events.laid_out(narrow(good, work.records), table, work)
        spark_tables.replace(night.lake, work.entity, placed, partitions=dates)
    except Exception as error:
        raise explain_fault(work, error) from error
    return events.counts_of(observation)


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


def figures(night: Night, works: Sequence[EntityRebuild], counts: Mapping[str, events.EventCounts]) -> ConformFigures:
    """What was done, for the run record."""
    unmatched: dict[str, int] = {}
    incomplete: dict[str, int] = {}
    for count in counts.values():
        for total, part in ((unmatched, count.unmatched), (incomplete, count.incomplete)):
            for feed, rows in part.items():
                total[feed] = total.get(feed, 0) + rows
    return ConformFigures(
        rows=sum(count.rows for count in counts.values()),
        rows_by_entity={entity: counts[entity].rows for entity in sorted(counts)},
        dates=len({date for work in works for date in work.dates}),
        owners_of_numbers=night.lake.delta("subscriber").count(),
        unmatched=sum(unmatched.values()),
        unmatched_by_feed=dict(sorted(unmatched.items())),
        incomplete_by_feed=dict(sorted(incomplete.items())),
    )
