"""Rebuild what a restatement touched, and nothing else; the plan is made without reading a record.

A table knows what it was made from: entities by date (`ops_conform`), partials by family and night
(`partial_source`). What differs from the deliveries in force is conformed and folded anew. A past snapshot sees what
had arrived by its own cut-off: it is built again only if such a delivery, or the one it replaced, came into the
ledger after the snapshot was made (a file found late, a night loaded in the wrong order). Decisions of past nights
were carried out; they stay.

*Reads* ops_delivery, ops_conform, partial_source, customer_features. *Writes* through the jobs conform, partials and
snapshot. *Cost* grows with the dates touched.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conf.dates import first_night_of
from features.anchor import feeds_of
from jobs import conform, partials
from jobs.conform.work import sources_by_entity, work_of
from runtime.deliveries import TAKEN, first_night
from runtime.deliveries import deliveries as ledger_of
from runtime.night import Night

Row = Mapping[str, Any]


@dataclass(frozen=True)
class RebuildPlan:
    """What is to be rebuilt.

    Attributes:
        deliveries: restatements since the first night: feed, data date, hour, resend.
        entities: entity → data dates to conform anew.
        families: family → nights whose partials must be folded anew.
        snapshots: decision dates whose snapshot is of other deliveries than it should be.
    """

    deliveries: tuple[tuple[str, dt.date, int, int], ...]
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
    return RebuildPlan(read_restated(ledger, since), entities, families, find_outdated_snapshots(ledger, made))


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


def carry_out(night: Night, plan: RebuildPlan) -> dict[str, int | None]:
    """Conform, fold and take the snapshots anew, in this order; each step may be repeated."""
    from features.store.snapshots import snapshots

    if not (plan.entities or plan.families or plan.snapshots):
        return {}
    nights = [date for nights in plan.families.values() for date in nights]
    last = Night(max([night.date, *nights, *plan.snapshots]), night.settings, night.landing)
    figures = {"conform": conform.run(last).rows, "partials": partials.run(last).rows}
    if plan.snapshots:
        figures["snapshots"] = snapshots(last, list(plan.snapshots)).rows
    return figures
