"""Keep what each night first learns of customers as daily states: calls a day, megabytes a day, last answers.

A family of features has one table ``customer_day_<family>``; a row is a customer's day as it was *first known* on a
night (``business_date``), so a snapshot of any past date merges exactly what that night could see. Only nights whose
deliveries, declaration or conforming changed are rebuilt: usually tonight's, after a restatement also the night
whose delivery it replaces.

*Reads* the entities, ``ops_delivery``, ``ops_conform``. *Writes* ``customer_day_<family>``, ``partial_source``.
*Cost* grows with the events of the nights rebuilt, not with history.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from conf.catalogue import Catalogue
from conf.dates import CUT_OFF, local_date
from conf.feature import Family, Input
from conf.partial import BUCKET_BITS, keeps_text, keeps_time, plain
from features.anchor import feeds_of
from features.daily import KNOWN_ON_SQL, valued
from features.fold import fold
from features.sql import date_literal
from jobs import staging
from jobs.brief import brief, few
from jobs.lake import write_file
from jobs.night import Figures, Night
from jobs.written import WRITTEN, read_written, written_batch

READS = (
    "usage", "bill", "contact", "order", "complaint", "visit", "consent", "decision", "life", "ops_delivery",
    "ops_conform",
)  # fmt: skip
WRITES = ("customer_day", "partial_source")
READS_PREVIOUS: tuple[str, ...] = ()
_AT_ONCE = 3
_MOST_TASKS = 2048


@dataclass(frozen=True)
class Content:
    """What went into the partials of a family and night."""

    source_hash: str
    deliveries: int
    dates: frozenset[dt.date] = field(default=frozenset(), compare=False)  # data dates of the deliveries


_NOTHING = Content("", 0)


def run(night: Night) -> Figures:
    """Rebuild the partials of all families where their sources changed."""
    wanted = sources(night)
    held = {
        (row["family"], row["business_date"]): Content(row["source_hash"], row["deliveries"])
        for row in night.lake.arrow("partial_source").to_pylist()
    }
    stale = changed(wanted, held, night.date)
    families = {family.family: family for family in night.catalogue.features.families}
    work = [(families[name], dates) for name, dates in sorted(stale.items()) if name in families]
    of = {family.family: kept_in(night, family, data_dates(wanted, family.family, dates)) for family, dates in work}
    rows = 0
    if work:  # the session is made once, before threads ask for it
        with brief(night.spark, sum(held.rows for held in of.values())), ThreadPoolExecutor(_AT_ONCE) as pool:
            built = pool.map(lambda item: build(night, item[0], item[1], of[item[0].family]), work)
            rows = sum(list(built))
    later = {key: content for key, content in held.items() if key[1] > night.date}
    if wanted | later != held:
        night.lake.replace_arrow("partial_source", _rows(wanted | later))
    return {
        "families": len(families),
        "families_rebuilt": len(work),
        "nights_rebuilt": sum(len(dates) for _, dates in work),
        "rows": rows,
    }


def data_dates(wanted: Mapping[tuple[str, dt.date], Content], family: str, nights: Iterable[dt.date]) -> set[dt.date]:
    """The data dates of a family's source on which something was first known on ``nights``."""
    return {date for night in nights for date in wanted.get((family, night), _NOTHING).dates}


def kept_in(night: Night, family: Family, dates: Collection[dt.date]) -> staging.Held:
    """The files of a family's source that hold data ``dates``."""
    return staging.held(night.lake, family.source, "data_date", dates)


def build(night: Night, family: Family, dates: Sequence[dt.date], of: staging.Held) -> int:
    """Write the partials of ``family`` first known on the nights ``dates``, from the files ``of``; returns rows."""
    listed = ", ".join(date_literal(date) for date in dates)
    night.lake.delta(family.table)
    files = []
    if of.files:
        source = staging.read(night.spark, night.lake, family.source, of.files)
        events = valued(source.where(f"{KNOWN_ON_SQL} in ({listed})"), family)
        tasks = min(len(dates) * ((of.customer >> BUCKET_BITS) + 1), _MOST_TASKS)
        placed = events.coalesce(1) if few(of.rows) else events.repartition(tasks, "business_date", "bucket")
        files = read_written(placed.mapInArrow(Fold(family, night.lake.path(family.table)), WRITTEN).collect())
    night.lake.commit_files(family.table, files, replace=[{"business_date": date} for date in dates])
    return sum(file.rows for file in files)


@dataclass(frozen=True)
class Fold:
    """What a Python worker does: valued events of whole nights and buckets in, files of partials out."""

    family: Family
    target: Path

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write one file a night and bucket."""
        batches = list(batches)
        if not batches:
            return
        events = pa.Table.from_batches(batches)
        keys = events.select(["business_date", "bucket"]).group_by(["business_date", "bucket"]).aggregate([])
        files = []
        for key in keys.sort_by([("business_date", "ascending"), ("bucket", "ascending")]).to_pylist():
            mine = pc.and_(
                pc.equal(events["business_date"], pa.scalar(key["business_date"], pa.date32())),
                pc.equal(events["bucket"], key["bucket"]),
            )
            files.append(write_file(self.target, fold(events.filter(mine), self.family), key))
        yield written_batch(files)


def sources(night: Night) -> dict[tuple[str, dt.date], Content]:
    """What the partials of every family and night up to tonight should be made of."""
    ledger = night.lake.arrow("ops_delivery", columns=["delivery_id", "feed", "data_date", "arrived_at", "state"])
    conformed = {
        (row["entity"], row["data_date"]): row["fingerprint"] for row in night.lake.arrow("ops_conform").to_pylist()
    }
    accepted = {
        (row["delivery_id"], row["feed"], row["data_date"], known_on(row["arrived_at"]))
        for row in ledger.to_pylist()
        if row["state"] == "accepted" and row["arrived_at"] is not None
    }
    parts: dict[tuple[str, dt.date], list[list[str]]] = {}
    dates: dict[tuple[str, dt.date], set[dt.date]] = {}
    declared: dict[str, str] = {}
    for family in night.catalogue.features.families:
        feeds = feeds_of(family, night.catalogue)
        declared[family.family] = definition(family, night.catalogue)
        for delivery, feed, data_date, known in accepted:
            if feed in feeds and known <= night.date:
                of_entity = conformed.get((family.source, data_date), "")
                parts.setdefault((family.family, known), []).append([delivery, of_entity])
                dates.setdefault((family.family, known), set()).add(data_date)
    return {
        key: Content(_hash([declared[key[0]], *sorted(items)]), len({item[0] for item in items}), frozenset(dates[key]))
        for key, items in parts.items()
    }


def changed(
    wanted: Mapping[tuple[str, dt.date], Content], held: Mapping[tuple[str, dt.date], Content], until: dt.date
) -> dict[str, list[dt.date]]:
    """Family → nights up to ``until`` whose partials must be written again, those that lost all sources too."""
    keys = {key for key in wanted.keys() | held.keys() if key[1] <= until and wanted.get(key) != held.get(key)}
    found: dict[str, list[dt.date]] = {}
    for family, date in sorted(keys):
        found.setdefault(family, []).append(date)
    return found


def known_on(arrived_at: dt.datetime) -> dt.date:
    """The first decision date whose night may see what arrived then."""
    return local_date(arrived_at - dt.timedelta(hours=CUT_OFF.hour)) + dt.timedelta(days=1)


def definition(family: Family, catalogue: Catalogue) -> str:
    """A hash of what decides the states of ``family``: its inputs (not windows or words) and the conforming."""
    inputs = [
        [source.name, source.value, source.where, source.type, source.codes, *kept(source)] for source in family.inputs
    ]
    conforms = [
        conform.model_dump(mode="json")
        for schema in sorted(catalogue.schemas.values(), key=lambda schema: schema.name)
        for conform in schema.conform
        if conform.entity == family.source and (not family.schemas or schema.name in family.schemas)
    ]
    return _hash([family.source, family.schemas, inputs, conforms])


def kept(source: Input) -> tuple[bool, bool, bool]:
    """What of an input its partial keeps: rows of its own, times, texts."""
    return plain(source), keeps_time(source), keeps_text(source)


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _rows(contents: Mapping[tuple[str, dt.date], Content]) -> pa.Table:
    rows = [
        {"family": family, "business_date": date, "source_hash": content.source_hash, "deliveries": content.deliveries}
        for (family, date), content in sorted(contents.items())
    ]
    schema = pa.schema(
        [
            ("family", pa.string()),
            ("business_date", pa.date32()),
            ("source_hash", pa.string()),
            ("deliveries", pa.int64()),
        ]
    )
    return pa.Table.from_pylist(rows, schema)
