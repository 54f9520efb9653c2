"""Which data dates of which entity must be conformed anew: the smallest rebuild, decided without reading a record.

An entity's data date is a pure function of the deliveries of that date, of the mappings of their schemas and of
the owners of numbers. The first two are hashed into a fingerprint; a change of owners names its dates itself.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from conf.catalogue import Catalogue
from conf.schema import Conform, Schema

#: Entities that are not partitioned by date and are made by `owners`, not by events.
PROFILE = "customer"


@dataclass(frozen=True)
class KnownDelivery:
    """An accepted delivery as the ledger has it."""

    delivery_id: str
    feed: str
    data_date: dt.date
    arrived_at: dt.datetime
    records: int = 0
    schema: str = ""


@dataclass(frozen=True)
class EntitySource:
    """One mapping of one schema to one entity; ``position`` is its place in the schema's ``conform`` list."""

    schema: Schema
    conform: Conform
    position: int


@dataclass(frozen=True)
class EntityRebuild:
    """What is to be done for one entity.

    Attributes:
        entity: the table.
        sources: every mapping to it, by name of the schema.
        dates: data dates to rebuild, ascending.
        deliveries: the deliveries of those dates.
        fingerprints: of every data date that has deliveries, touched or not.
    """

    entity: str
    sources: tuple[EntitySource, ...]
    dates: tuple[dt.date, ...]
    deliveries: tuple[KnownDelivery, ...]
    fingerprints: Mapping[dt.date, tuple[str, int]]

    @property
    def records(self) -> int:
        """Records of the deliveries: more than the rows they become where a mapping filters."""
        return sum(delivery.records for delivery in self.deliveries)

    @property
    def busiest(self) -> int:
        """Records of the date that has the most."""
        by_date: dict[dt.date, int] = {}
        for delivery in self.deliveries:
            by_date[delivery.data_date] = by_date.get(delivery.data_date, 0) + delivery.records
        return max(by_date.values(), default=0)


def sources_by_entity(catalogue: Catalogue) -> dict[str, tuple[EntitySource, ...]]:
    """Every mapping of the catalogue by the entity it makes (that it is one, the catalogue has checked)."""
    by_entity: dict[str, list[EntitySource]] = {}
    for schema in sorted(catalogue.schemas.values(), key=lambda schema: schema.name):
        for position, conform in enumerate(schema.conform):
            by_entity.setdefault(conform.entity, []).append(EntitySource(schema, conform, position))
    return {entity: tuple(by_entity[entity]) for entity in sorted(by_entity)}


def deliveries_of(ledger: pa.Table, schema_of: Mapping[str, str]) -> list[KnownDelivery]:
    """Deliveries of the ledger's rows (one a file), in order of date, feed, id; ``schema_of`` tells schemas by feed."""
    rows = ledger.group_by(["delivery_id", "feed", "data_date"]).aggregate([("arrived_at", "max"), ("loaded", "sum")])
    rows = rows.rename_columns(["delivery_id", "feed", "data_date", "arrived_at", "records"])
    rows = rows.set_column(4, "records", pc.fill_null(rows["records"], 0))
    deliveries = [KnownDelivery(**row, schema=schema_of.get(row["feed"], "")) for row in rows.to_pylist()]
    return sorted(deliveries, key=lambda delivery: (delivery.data_date, delivery.feed, delivery.delivery_id))


def mapping_hash(sources: Sequence[EntitySource]) -> str:
    """Hash of what the mappings say: a changed mapping rebuilds its entity."""
    mappings = [[source.schema.name, source.position, source.conform.model_dump(mode="json")] for source in sources]
    return hashlib.sha256(json.dumps(mappings, sort_keys=True).encode()).hexdigest()


def work_of(
    entity: str,
    sources: tuple[EntitySource, ...],
    deliveries: Sequence[KnownDelivery],
    schema_of: Mapping[str, str],
    known: Mapping[dt.date, str],
    also: Collection[dt.date] = (),
) -> EntityRebuild:
    """What of ``entity`` must be rebuilt.

    Args:
        entity: the table.
        sources: its mappings.
        deliveries: all deliveries in force.
        schema_of: schema by feed.
        known: fingerprint by data date, as conformed last.
        also: dates to rebuild whatever their fingerprint (owners of numbers changed).
    """
    names = {source.schema.name for source in sources}
    relevant = [delivery for delivery in deliveries if schema_of.get(delivery.feed) in names]
    by_date: dict[dt.date, list[str]] = {}
    for delivery in relevant:
        by_date.setdefault(delivery.data_date, []).append(delivery.delivery_id)
    mapping = mapping_hash(sources)
    fingerprints = {
        date: (hashlib.sha256("\n".join([mapping, *sorted(ids)]).encode()).hexdigest()[:32], len(ids))
        for date, ids in sorted(by_date.items())
    }
    touched = {date for date, (print_, _) in fingerprints.items() if known.get(date) != print_}
    touched |= set(known) - set(fingerprints)  # its deliveries are gone
    if entity != PROFILE:  # an event that is told again on the next date counts once: what it repeats has changed
        touched |= {date + dt.timedelta(days=1) for date in touched}
    touched |= set(also)
    touched &= set(fingerprints) | set(known)
    dates = tuple(sorted(touched))
    return EntityRebuild(entity, sources, dates, tuple(d for d in relevant if d.data_date in touched), fingerprints)
