"""The snapshot of one bucket of customers: attributes, windows merged from partials, staleness, derived features."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conf.feature import Family, Feature
from conf.featureset import FeatureSet
from conf.partial import BUCKET_BITS, inputs_with_value, keeps_times
from features.anchor import Anchor
from features.arrays import I64, dictionary, flags, floats, ints, recode_texts
from features.cells import STEP, Cells, cells_of
from features.formula import evaluate
from features.merge import BITS, DaySpan, MergeChunk, distinct, merge, months
from features.values import value

_SIZE = 1 << BUCKET_BITS


@dataclass(frozen=True)
class BucketRows:
    """Partial rows of a bucket and family, coded once for all decision dates.

    Attributes:
        feeds: what ``Chunk.feed`` counts.
        texts: text input → what its values count: the declared codes, then all others in order.
        chunks: the rows.
    """

    feeds: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]]
    chunks: tuple[MergeChunk, ...]


def code(partials: Iterable[pa.Table], family: Family, bucket: int) -> BucketRows:
    """Code partial rows (of the family's table, ordered by customer) as integers.

    Rows of other buckets are left out.
    """
    tables = [table for table in partials if table.num_rows]
    feeds = tuple(sorted(_texts(table["feed"] for table in tables)))
    texts: dict[str, tuple[str, ...]] = {}
    for source in inputs_with_value(family):
        if source.type == "string":
            others = _texts(table[source.name] for table in tables) - set(source.codes)
            texts[source.name] = (*source.codes, *sorted(others))
    return BucketRows(feeds, texts, tuple(_chunk(table, family, bucket, feeds, texts) for table in tables))


def _texts(columns: Iterable[pa.ChunkedArray]) -> set[str]:
    encoded = (chunk for column in columns for chunk in column.chunks)
    return {text for chunk in encoded for text in dictionary(chunk).dictionary.to_pylist()}


def _chunk(
    table: pa.Table, family: Family, bucket: int, feeds: Sequence[str], texts: Mapping[str, Sequence[str]]
) -> MergeChunk:
    customer = ints(table["customer_id"])
    low, high = np.searchsorted(customer, (bucket << BUCKET_BITS, (bucket + 1) << BUCKET_BITS))
    table, customer = table.slice(low, high - low), customer[low:high]
    values = np.empty((len(inputs_with_value(family)), customer.size), np.int64)
    for position, source in enumerate(inputs_with_value(family)):
        column = table[source.name]
        values[position] = recode_texts(column, texts[source.name]) if source.type == "string" else ints(column)
    return MergeChunk(
        known=ints(table["business_date"]),
        customer=customer & (_SIZE - 1),
        day=ints(table["day"]),
        feed=recode_texts(table["feed"], feeds),
        inputs=ints(table["inputs"]),
        events=ints(table["events"]),
        at=ints(table["at"]) if keeps_times(family) else np.zeros(0, np.int64),
        values=values,
    )


def family_values(
    family: Family, cells: Cells, rows: BucketRows, anchor: Anchor, customers: I64, allowed: npt.NDArray[np.bool_]
) -> dict[str, pa.Array]:
    """The features of ``family`` for the customers with ids ``customers`` (of one bucket) on the anchor's date."""
    n = customers.size
    place = np.full(_SIZE, -1, np.int64)
    place[customers & (_SIZE - 1)] = np.arange(n)
    end = np.array([_day(anchor.feeds[feed]) if feed in anchor.feeds else -1 for feed in rows.feeds], np.int64)
    span = DaySpan(_day(anchor.known or anchor.as_of), end, family.grain == "month", STEP[family.grain])
    values = merge(cells, n, place, span, rows.chunks)
    columns = {}
    for feature in family.features:
        chosen = [values[cell] for cell in cells.of[feature.name]]
        texts = rows.texts.get(feature.input.name, ())
        if feature.aggregate == "distinct":
            few = len(texts) <= BITS
            chosen = [
                np.bitwise_count(chosen[0]).astype(np.int64) if few else _distinct(feature, place, span, rows.chunks, n)
            ]
        columns[feature.name] = value(feature, chosen, texts, allowed)
    return columns


def _distinct(feature: Feature, place: I64, span: DaySpan, chunks: Sequence[MergeChunk], customers: int) -> I64:
    """A distinct number among more texts than a cell has bits."""
    bit, position = feature.family.inputs.index(feature.input), inputs_with_value(feature.family).index(feature.input)
    parts: list[tuple[I64, I64, I64]] = []
    for chunk in chunks:
        holds = np.flatnonzero((chunk.inputs >> bit) & 1)
        day, end = chunk.day[holds], span.end[chunk.feed[holds]]
        age = 30 * (months(end) - months(day)) if span.monthly else end - day
        known = (end >= 0) & (day <= end) & (chunk.known[holds] <= span.known)
        age = np.where(known, age, -1)
        parts.append((place[chunk.customer[holds]], age, chunk.values[position][holds]))
    customer, age, item = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return distinct(feature.window, customers, customer, age, item)


def snapshot(
    people: pa.Table, partials: Mapping[str, BucketRows], anchors: Mapping[str, Anchor], declared: FeatureSet
) -> pa.Table:
    """The rows of ``customer_features`` of one date and bucket, in order of ``customer_id``.

    Args:
        people: ``customer_id``, ``draw_key``, ``refused`` and the attributes of active customers.
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
        rows = partials.get(family.family) or code((), family, 0)
        columns |= family_values(family, cells_of(family), rows, anchor, customers, allowed)
    for _, derived in declared.derived:
        columns[derived.name] = pa.array(
            evaluate(derived.formula, lambda name: floats(columns[name])), from_pandas=True
        )
    keys = {name: people[name] for name in ("customer_id", "draw_key")}
    return pa.table({**keys, **{column.name: columns[column.name] for column in declared.columns}})


def _nothing(feature: Feature, customers: int) -> pa.Array:
    types = {"string": pa.string(), "int": pa.int32(), "double": pa.float64(), "bigint": pa.int64()}
    return pa.nulls(customers, types[feature.type])


def _day(date: dt.date) -> int:
    return (date - dt.date(1970, 1, 1)).days
