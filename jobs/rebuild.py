"""Rebuild what a restatement or a release touched, and nothing else; the plan is made without reading a record.

A table knows what it was made from: entities by date (`ops_conform`), partials by family and night
(`partial_source`). What differs from the deliveries in force is conformed and folded anew. A past snapshot sees what
had arrived by its own cut-off: it is built again only if such a delivery, or the one it replaced, came into the
ledger after the snapshot was made (a file found late, a night loaded in the wrong order). Decisions of past nights
were carried out; they stay.

What a failed check held back comes in once it is released (`release`): its entities' dates then differ. So do those of
deliveries that an earlier release of the product left out by mistake.

*Reads* ops_delivery, ops_conform, partial_source, customer_features, ops_quality, the ids of deliveries in entities.
*Writes* ops_release, and through the jobs conform, partials and snapshot. *Cost* grows with the dates touched.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from conf.dates import first_night_of
from features.anchor import feeds_of
from jobs import conform, partials
from jobs.conform.reconciliation import count_rows
from jobs.conform.work import PROFILE, sources_by_entity, work_of
from runtime.deliveries import TAKEN, first_night
from runtime.deliveries import deliveries as ledger_of
from runtime.holds import Hold
from runtime.night import Night

Row = Mapping[str, Any]


@dataclass(frozen=True)
class LeftOut:
    """An accepted delivery of which an entity has no row; ``released`` where somebody lifted what held it back."""

    entity: str
    feed: str
    data_date: dt.date
    delivery_id: str
    records: int
    released: bool


@dataclass(frozen=True)
class RebuildPlan:
    """What is to be rebuilt.

    Attributes:
        deliveries: restatements since the first night: feed, data date, hour, resend.
        left_out: accepted deliveries of which an entity has nothing yet.
        entities: entity → data dates to conform anew.
        families: family → nights whose partials must be folded anew.
        snapshots: decision dates whose snapshot is of other deliveries than it should be.
    """

    deliveries: tuple[tuple[str, dt.date, int, int], ...]
    left_out: tuple[LeftOut, ...]
    entities: Mapping[str, tuple[dt.date, ...]]
    families: Mapping[str, tuple[dt.date, ...]]
    snapshots: tuple[dt.date, ...]

    def lines(self) -> list[tuple[str, str, str]]:
        """What, which, why: a line each."""
        return [
            *(
                ("delivery", f"{feed} {date}" + (f" hour {hour}" if hour >= 0 else ""), f"resend {resend}")
                for feed, date, hour, resend in self.deliveries
            ),
            *(
                (
                    "released" if delivery.released else "left out",
                    f"{delivery.feed} {delivery.data_date}",
                    f"{delivery.records:,} records of which {delivery.entity} has nothing",
                )
                for delivery in self.left_out
            ),
            *(
                ("entity", f"{name}: {_spoken(dates)}", "its deliveries have changed")
                for name, dates in self.entities.items()
            ),
            *(
                ("partials", f"{name}: nights {_spoken(nights)}", "their entity's dates have changed")
                for name, nights in self.families.items()
            ),
            *(("snapshot", str(date), "loaded after it was made") for date in self.snapshots),
        ]

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "deliveries": [
                {"feed": feed, "data_date": date, "hour": hour, "resend": resend}
                for feed, date, hour, resend in self.deliveries
            ],
            "left_out": [asdict(delivery) for delivery in self.left_out],
            "entities": {name: list(dates) for name, dates in self.entities.items()},
            "families": {name: list(nights) for name, nights in self.families.items()},
            "snapshots": list(self.snapshots),
        }


def _spoken(dates: Sequence[dt.date]) -> str:
    return str(dates[0]) if len(dates) == 1 else f"{len(dates)} dates, {dates[0]} … {dates[-1]}"


def plan_of(night: Night, since: dt.date) -> RebuildPlan:
    """What differs from the deliveries in force, snapshots from ``since`` on."""
    ledger = night.lake.arrow("ops_delivery").to_pylist()
    made = snapshot_times(night, since)
    last = Night(max([*made, since]), night.settings, night.landing)
    entities = entity_dates(last)
    known = {
        (row["family"], row["business_date"]): partials.Content(row["source_hash"], row["deliveries"])
        for row in night.lake.arrow("partial_source").to_pylist()
    }
    stale = partials.find_changed_nights(partials.sources(last), known, last.date)
    families = merge_plans(stale, nights_of(last, entities))
    left_out = find_left_out(last, entities)
    return RebuildPlan(
        read_restated(ledger, since), left_out, entities, families, find_outdated_snapshots(ledger, made)
    )


def find_left_out(night: Night, entities: Mapping[str, Collection[dt.date]]) -> tuple[LeftOut, ...]:
    """Deliveries in force of entities' dates of which the entity has no row, in order of entity, feed and date.

    A delivery whose records its mapping filters, or nobody owns, is one of them as long as its date is to be rebuilt.
    """
    sources = sources_by_entity(night.catalogue)
    schema_of = {feed.code: feed.schema_name for feed in night.catalogue.feeds.values()}
    released = set(night.lake.arrow("ops_release", columns=["delivery_id"])["delivery_id"].to_pylist())
    current = conform.deliveries_in_force(night)
    rows = []
    for entity, dates in entities.items():
        if entity == PROFILE:
            continue  # it keeps what is true of a customer, not who said so
        schemas = {source.schema.name for source in sources[entity]}
        there = count_rows(night.lake, entity, dates)
        rows += [
            LeftOut(entity, d.feed, d.data_date, d.delivery_id, d.records, d.delivery_id in released)
            for d in current
            if d.data_date in dates and d.records and schema_of.get(d.feed) in schemas and d.delivery_id not in there
        ]
    return tuple(sorted(rows, key=lambda row: (row.entity, row.feed, row.data_date, row.delivery_id)))


def entity_dates(night: Night) -> dict[str, tuple[dt.date, ...]]:
    """Entity → data dates whose deliveries differ from what they were conformed from."""
    deliveries = conform.deliveries_in_force(night)
    known = conform.fingerprints(night)
    schema_of = {feed.code: feed.schema_name for feed in night.catalogue.feeds.values()}
    by_entity = {
        entity: work_of(entity, sources, deliveries, schema_of, known.get(entity, {})).dates
        for entity, sources in sources_by_entity(night.catalogue).items()
    }
    return {entity: dates for entity, dates in sorted(by_entity.items()) if dates}


def nights_of(night: Night, entities: Mapping[str, tuple[dt.date, ...]]) -> dict[str, list[dt.date]]:
    """Family → nights that first saw a delivery of the dates that will be conformed anew."""
    ledger = ledger_of(night.lake, ["feed", "data_date", "arrived_at"]).to_pylist()
    by_family: dict[str, list[dt.date]] = {}
    for family in night.catalogue.features.families:
        feeds, dates = feeds_of(family, night.catalogue), set(entities.get(family.source, ()))
        nights = {
            first_night_of(row["arrived_at"]) for row in ledger if row["feed"] in feeds and row["data_date"] in dates
        }
        if past := sorted(date for date in nights if date <= night.date):
            by_family[family.family] = past
    return by_family


def merge_plans(*plans: Mapping[str, Iterable[dt.date]]) -> dict[str, tuple[dt.date, ...]]:
    """The union of plans by name."""
    names = sorted({name for plan in plans for name in plan})
    return {name: tuple(sorted({date for plan in plans for date in plan.get(name, ())})) for name in names}


def read_restated(ledger: Iterable[Row], since: dt.date) -> tuple[tuple[str, dt.date, int, int], ...]:
    """Accepted deliveries that replaced another one and that a night from ``since`` on first saw."""
    return tuple(
        sorted(
            {
                (row["feed"], row["data_date"], row["hour"], row["resend"])
                for row in ledger
                if row["state"] == "accepted"
                and row["ordinal"] > 1
                and first_night(row["data_date"], row["arrived_at"]) >= since
            }
        )
    )


def snapshot_times(night: Night, since: dt.date) -> dict[dt.date, dt.datetime]:
    """Snapshots from ``since`` on → when their files were written."""
    times: dict[dt.date, dt.datetime] = {}
    for file in night.lake.live_files("customer_features"):
        date = file.partition["business_date"]
        if date >= since:
            times[date] = min(times.get(date, file.modified), file.modified)
    return times


def find_outdated_snapshots(ledger: Iterable[Row], made: Mapping[dt.date, dt.datetime]) -> tuple[dt.date, ...]:
    """Snapshots that could have seen a delivery which was loaded after they were made."""
    loaded = [row for row in ledger if row["state"] in TAKEN and row["received_at"] and row["arrived_at"]]
    return tuple(
        date
        for date, when in sorted(made.items())
        if any(row["received_at"] > when and first_night(row["data_date"], row["arrived_at"]) <= date for row in loaded)
    )


def carry_out(night: Night, plan: RebuildPlan) -> dict[str, Any]:
    """Conform, fold and take the snapshots anew, in this order; each step may be repeated.

    Returns:
        rows by step, and ``taken_in``: rows that deliveries left out before have now, by entity and feed.
    """
    from features.store.snapshots import snapshots

    if not (plan.entities or plan.families or plan.snapshots):
        return {}
    nights = [date for nights in plan.families.values() for date in nights]
    last = Night(max([night.date, *nights, *plan.snapshots]), night.settings, night.landing)
    figures: dict[str, Any] = {"conform": conform.run(last).rows, "partials": partials.run(last).rows}
    if plan.snapshots:
        figures["snapshots"] = snapshots(last, list(plan.snapshots)).rows
    return figures | {"taken_in": count_taken_in(last, plan)}


def count_taken_in(night: Night, plan: RebuildPlan) -> dict[str, dict[str, int]]:
    """Rows that the deliveries left out before have in their entities, by entity and feed."""
    taken: dict[str, Counter[str]] = {}
    for entity in sorted({delivery.entity for delivery in plan.left_out}):
        there = count_rows(night.lake, entity, plan.entities[entity])
        taken[entity] = Counter()
        for delivery in plan.left_out:
            if delivery.entity == entity:
                taken[entity][delivery.feed] += there[delivery.delivery_id]
    return {entity: dict(sorted(counts.items())) for entity, counts in taken.items()}


def release(night: Night, holds: Sequence[Hold], who: str, why: str) -> None:
    """Lift what holds deliveries back: the next night, or a rebuild, takes them in. Each is kept with name and reason."""
    rows = night.lake.arrow("ops_release")
    names = {hold.delivery_id for hold in holds}
    others = [row for row in rows.to_pylist() if row["delivery_id"] not in names]
    at = dt.datetime.now(dt.UTC)
    lifted = [
        {
            "delivery_id": hold.delivery_id,
            "feed": hold.feed,
            "checks": "; ".join(hold.checks),
            "at": at,
            "who": who,
            "why": why,
        }
        for hold in holds
    ]
    night.lake.replace_arrow("ops_release", pa.Table.from_pylist([*others, *lifted], schema=rows.schema))
