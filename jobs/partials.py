"""Keep what each night first learns of customers as daily states: calls a day, megabytes a day, last answers.

A family of features has one table ``customer_day_<family>``; a row is what events of a customer's day say alike, as it
was *first known* on a night (``business_date``), so a snapshot of any past date merges exactly what that night could
see. Only nights whose deliveries, declaration or conforming changed are rebuilt: usually tonight's, after a restatement
also the night whose delivery it replaces. Where the rows lie: `features.store.tiles`.

*Reads* the entities, ``ops_delivery``, ``ops_conform``. *Writes* ``customer_day_<family>``, ``partial_source``.
*Cost* grows with the events of the nights rebuilt, not with history, but for the tile of a month that is over: it is
written again with them (docs/benchmarks/features.md has the figures at four sizes).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.catalogue import Catalogue
from conf.dates import first_night_of
from conf.documents import Document
from conf.errors import UserError
from conf.feature import Family
from conf.partial import inputs_with_value, is_sum, keeps_time
from features.anchor import feeds_of
from features.daily import input_value, value_sql
from features.fold import fold
from features.store.tiles import change_of, group_ends, parts_of, tile_of
from runtime import spark_tables
from runtime.deliveries import deliveries
from runtime.duckdb_sql import compiler, over_files
from runtime.figures import PartialsFigures
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.parquet_files import WrittenFile, write_file
from runtime.spark_tuning import few

READS = (
    "usage",
    "bill",
    "contact",
    "order",
    "complaint",
    "visit",
    "consent",
    "decision",
    "life",
    "ops_delivery",
    "ops_conform",
)
WRITES = ("customer_day", "partial_source")
READS_PREVIOUS: tuple[str, ...] = ()
_AT_ONCE = 3
#: Rows of entity files that a task folds, at least; it holds some 200 bytes of each.
_PIECE = 2_000_000


@dataclass(frozen=True)
class Content:
    """What went into the partials of a family and night."""

    source_hash: str
    deliveries: int
    dates: frozenset[dt.date] = field(default=frozenset(), compare=False)  # data dates of the deliveries


_NOTHING = Content("", 0)


def run(night: Night) -> PartialsFigures:
    """Rebuild the partials of all families where their sources changed."""
    wanted = sources(night)
    known = {
        (row["family"], row["business_date"]): Content(row["source_hash"], row["deliveries"])
        for row in night.lake.arrow("partial_source").to_pylist()
    }
    stale = find_changed_nights(wanted, known, night.date)
    families = {family.family: family for family in night.catalogue.features.families}
    work = [(families[name], dates) for name, dates in sorted(stale.items()) if name in families]
    of = {
        family.family: find_files_of(night, family, data_dates(wanted, family.family, dates)) for family, dates in work
    }
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rows = sum(pool.map(lambda item: build(night, item[0], item[1], of[item[0].family]), work))
    later = {key: content for key, content in known.items() if key[1] > night.date}
    if wanted | later != known:
        night.lake.replace_arrow("partial_source", _rows(wanted | later))
    return PartialsFigures(
        families=len(families),
        families_rebuilt=len(work),
        nights_rebuilt=sum(len(dates) for _, dates in work),
        rows=rows,
    )


def rehearse(catalogue: Catalogue, _: dt.date) -> Iterator[UserError]:
    """What a night will compile here: every input's value and filter, by DuckDB over the columns of its source."""
    with compiler() as fault_of:
        for family in catalogue.features.families:
            rows = nullable(arrow_schema(catalogue.tables[family.source])).empty_table()
            if fault_of(value_sql(family), rows):
                yield from misread(family, rows, catalogue.features.documents[family.family], fault_of)


def misread(
    family: Family, rows: pa.Table, document: Document, fault_of: Callable[[str, pa.Table], str]
) -> Iterator[UserError]:
    """The expressions of a family that DuckDB does not understand, or that give another type."""
    for position, source in enumerate(family.inputs):
        wanted = (
            ("value", input_value(source.model_copy(update={"where": "true"}))),
            ("where", f"({source.where}) and true"),
        )
        for key, sql in wanted:
            if fault := fault_of(f"select {sql} as found from source", rows):
                yield UserError(
                    f"input {source.name}: {key}: {fault}",
                    where=document.where(("inputs", position, key)),
                    remedy=f"it is DuckDB's SQL over the columns of {family.source}: {', '.join(rows.column_names)}",
                )


def data_dates(wanted: Mapping[tuple[str, dt.date], Content], family: str, nights: Iterable[dt.date]) -> set[dt.date]:
    """The data dates of a family's source on which something was first known on ``nights``."""
    return {date for night in nights for date in wanted.get((family, night), _NOTHING).dates}


def find_files_of(night: Night, family: Family, dates: Collection[dt.date]) -> spark_tables.Held:
    """The files of a family's source that hold data ``dates``."""
    return spark_tables.read_held(night.lake, family.source, "data_date", dates)


def build(night: Night, family: Family, dates: Sequence[dt.date], of: spark_tables.Held) -> int:
    """Write the partials of ``family`` first known on the nights ``dates``, from the files ``of``; returns their rows."""
    night.lake.fit(family.table)
    target, parts = night.lake.path(family.table), parts_of(night.lake, family)
    at_hand = max([night.date, *(part.last for part in parts)])
    tiles = {date: tile_of(date, at_hand) for date in dates}
    task = Fold(family, nullable(arrow_schema(night.lake.table(family.source))), tiles, target)
    fresh = spread(night, task, pieces(of), of.rows)
    change = change_of(family, parts, fresh, dates, at_hand, target)
    settled = spread(night, operator.call, change.settle, change.rows)
    night.lake.commit_files(
        family.table, [*change.stay, *settled], replace=[{"tile": tile} for tile in change.replaced]
    )
    for file in fresh:
        if file not in change.stay:
            (target / file.path).unlink()
    return sum(file.rows for file in fresh)


def spread(
    night: Night, task: Callable[[Any], list[WrittenFile]], parts: Sequence[Any], rows: int
) -> list[WrittenFile]:
    """What ``task`` makes of the parts: of few rows in this process, else by Spark."""
    if few(rows) or len(parts) < 2:
        return [file for part in parts for file in task(part)]
    return list(night.spark.sparkContext.parallelize(parts, len(parts)).flatMap(task).collect())


def pieces(of: spark_tables.Held) -> list[list[str]]:
    """The files in their order, in groups of some `_PIECE` rows: whole files, whatever the number of cores."""
    groups: list[list[str]] = []
    rows = _PIECE
    for file, records in zip(of.files, of.records, strict=True):
        if rows >= _PIECE:
            groups.append([])
            rows = 0
        groups[-1].append(file)
        rows += records
    return groups


@dataclass(frozen=True)
class Fold:
    """What a task does: files of events in, a file of partials a tile out.

    Attributes:
        family: the declaration.
        schema: the source table's columns.
        tiles: what to keep, events first known on one of these nights → the tile they go to.
        target: the folder of the family's partials.
    """

    family: Family
    schema: pa.Schema
    tiles: Mapping[dt.date, dt.date]
    target: Path

    def __call__(self, files: Sequence[str]) -> list[WrittenFile]:
        """Write the files; none where no event counts."""
        rows = fold(over_files(value_sql(self.family, self.tiles), self.schema, files), self.family)
        tiles = sorted({self.tiles[night] for night in pc.unique(rows["business_date"]).to_pylist()})
        parts = []
        for tile in tiles:
            nights = pa.array([night for night in self.tiles if self.tiles[night] == tile], pa.date32())
            tile_rows = rows if len(tiles) == 1 else rows.filter(pc.is_in(rows["business_date"], value_set=nights))
            parts.append(write_file(self.target, tile_rows, {"tile": tile}, group_ends(tile_rows)))
        return parts


def sources(night: Night) -> dict[tuple[str, dt.date], Content]:
    """What the partials of every family and night up to tonight should be made of."""
    ledger = deliveries(night.lake, ["delivery_id", "feed", "data_date", "arrived_at"])
    conformed = {
        (row["entity"], row["data_date"]): row["fingerprint"] for row in night.lake.arrow("ops_conform").to_pylist()
    }
    accepted = {
        (row["delivery_id"], row["feed"], row["data_date"], first_night_of(row["arrived_at"]))
        for row in ledger.to_pylist()
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


def find_changed_nights(
    wanted: Mapping[tuple[str, dt.date], Content], known: Mapping[tuple[str, dt.date], Content], until: dt.date
) -> dict[str, list[dt.date]]:
    """Family → nights up to ``until`` whose partials must be written again, those that lost all sources too."""
    keys = {key for key in wanted.keys() | known.keys() if key[1] <= until and wanted.get(key) != known.get(key)}
    nights: dict[str, list[dt.date]] = {}
    for family, date in sorted(keys):
        nights.setdefault(family, []).append(date)
    return nights


def definition(family: Family, catalogue: Catalogue) -> str:
    """A hash of what decides the states of ``family``: its inputs (not windows or words) and the conforming."""
    valued = inputs_with_value(family)
    inputs = [
        [entry.name, entry.value, entry.where, entry.type, entry in valued, is_sum(entry), keeps_time(entry)]
        for entry in family.inputs
    ]
    conforms = [
        conform.model_dump(mode="json")
        for schema in sorted(catalogue.schemas.values(), key=lambda schema: schema.name)
        for conform in schema.conform
        if conform.entity == family.source and (not family.schemas or schema.name in family.schemas)
    ]
    return _hash([family.source, family.schemas, inputs, conforms])


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
