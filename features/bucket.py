"""The snapshot of one bucket of customers: attributes, windows merged from partials, staleness, derived features."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from conf.feature import Family, Feature
from conf.featureset import FeatureSet
from conf.partial import BUCKET_BITS
from features.anchor import Anchor
from features.arrays import flags, floats, ints, positions
from features.cells import STEP, Cells, cells_of
from features.formula import evaluate
from features.merge import distinct, merge
from features.values import value

I64 = npt.NDArray[np.int64]
READ = ("feed", "day", "customer_id", "input", "at", "text", "count", "sum", "least", "greatest")


@dataclass(frozen=True)
class Rows:
    """Partial rows of a bucket and family, coded once for all decision dates.

    Arrays are int64 of one length; ``offset`` is the customer's position in the bucket, ``known`` and ``day`` count
    days since 1970, ``feed`` and ``input`` are positions in ``feeds`` and the cells' inputs (−1: not asked).
    """

    known: I64
    offset: I64
    feed: I64
    day: I64
    row: dict[str, I64]
    feeds: tuple[str, ...]
    texts: tuple[str, ...]


def code(partials: pa.Table, cells: Cells) -> Rows:
    """Code partial rows (columns ``READ`` and ``business_date``) as integers."""
    feed = pc.dictionary_encode(partials["feed"]).combine_chunks() if len(partials) else None
    feeds = tuple(feed.dictionary.to_pylist()) if feed is not None else ()
    texts = tuple(sorted(t for t in pc.unique(partials["text"]).to_pylist() if t is not None))
    item = positions(partials["text"], texts)
    textual = item >= 0
    day = ints(partials["day"].cast(pa.int32()))
    row = {name: ints(partials[name]) for name in ("at", "count", "sum", "least", "greatest")}
    for name in ("least", "greatest"):
        row[name] = np.where(textual, item, row[name])
    row["input"] = positions(partials["input"], cells.inputs)
    row["item"] = item
    return Rows(
        known=ints(partials["business_date"].cast(pa.int32())),
        offset=ints(partials["customer_id"]) & ((1 << BUCKET_BITS) - 1),
        feed=ints(feed.indices) if feed is not None else np.zeros(0, np.int64),
        day=day, row=row, feeds=feeds, texts=texts,
    )  # fmt: skip


def family_values(
    family: Family, cells: Cells, rows: Rows, anchor: Anchor, customers: I64, allowed: npt.NDArray[np.bool_]
) -> dict[str, pa.Array]:
    """The features of ``family`` for the customers with ids ``customers`` (of one bucket) on the anchor's date."""
    n = customers.size
    where = np.full(1 << BUCKET_BITS, -1, np.int64)
    where[customers & ((1 << BUCKET_BITS) - 1)] = np.arange(n)
    customer = np.where(rows.known <= _day(anchor.as_of), where[rows.offset], -1)
    age = ages(rows, anchor, family.grain)
    values, _ = merge(cells, n, STEP[family.grain], rows.row | {"customer": customer, "age": age})
    found = {}
    for feature in family.features:
        chosen = [values[cell] for cell in cells.of[feature.name]]
        if feature.aggregate == "distinct":
            mine = np.where(rows.row["input"] == cells.inputs.index(feature.input.name), customer, -1)
            chosen = [distinct(feature.window, n, mine, age, rows.row["item"])]
        found[feature.name] = value(feature, chosen, rows.texts, allowed)
    return found


def ages(rows: Rows, anchor: Anchor, grain: str) -> I64:
    """Days (months of 30) between the end of a feed's windows and an event's day; −1 for feeds not known yet."""
    ends = np.array([_day(anchor.feeds[feed]) if feed in anchor.feeds else -1 for feed in rows.feeds], np.int64)
    if not rows.feeds:
        return np.zeros(0, np.int64)
    end = ends[rows.feed]
    known = (end >= 0) & (rows.day <= end)  # within the month of the end, days after it are not known yet
    return np.where(known, 30 * (_month(end) - _month(rows.day)) if grain == "month" else end - rows.day, -1)


def snapshot(
    people: pa.Table, partials: Mapping[str, Rows], anchors: Mapping[str, Anchor], declared: FeatureSet
) -> pa.Table:
    """The rows of ``customer_features`` of one date and bucket, in order of ``customer_id``.

    Args:
        people: ``customer_id``, ``refused`` and the attributes of active customers.
        partials: family → its coded rows (families that never had any are absent).
        anchors: family → where its windows end on this date.
        declared: the features.
    """
    people = people.sort_by("customer_id")
    customers = ints(people["customer_id"])
    profiled = ~flags(people["refused"])
    if "minor" in people.column_names:
        profiled &= ~flags(people["minor"])
    columns: dict[str, pa.Array] = {a.name: people[a.name] for a in declared.attributes}
    columns["profiled"] = pa.array(profiled)
    for family in declared.families:
        anchor = anchors[family.family]
        columns[family.staleness] = pa.array([anchor.staleness] * customers.size, pa.int32())
        allowed = profiled if family.purpose == "profile" else np.ones(customers.size, bool)
        if anchor.through is None:
            columns |= {feature.name: _nothing(feature, customers.size) for feature in family.features}
            continue
        cells = cells_of(family)
        rows = partials.get(family.family) or code(empty(), cells)
        columns |= family_values(family, cells, rows, anchor, customers, allowed)
    for _, derived in declared.derived:
        columns[derived.name] = pa.array(
            evaluate(derived.formula, lambda name: floats(columns[name])), from_pandas=True
        )
    table = pa.table({"customer_id": people["customer_id"], **columns})
    return table.select(["customer_id", *(column.name for column in declared.columns)])


def empty() -> pa.Table:
    """No partial rows."""
    types = {"feed": pa.string(), "day": pa.date32(), "input": pa.string(), "text": pa.string()}
    fields = [pa.field(name, types.get(name, pa.int64())) for name in READ]
    return pa.schema([*fields, pa.field("business_date", pa.date32())]).empty_table()


def _nothing(feature: Feature, customers: int) -> pa.Array:
    types = {"string": pa.string(), "int": pa.int32(), "double": pa.float64(), "bigint": pa.int64()}
    return pa.nulls(customers, types[feature.type])


def _day(date: dt.date) -> int:
    return (date - dt.date(1970, 1, 1)).days


def _month(day: I64) -> I64:
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
