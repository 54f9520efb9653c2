"""Look at declared features before they are live: values, cost, boundary examples, leaks. Writes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from conf.dates import cut_off, start_of_day
from conf.errors import UserError
from conf.feature import Family, Feature
from conf.featureset import PROFILED
from features.check import example_events, family_snapshot, faults, find_changed, placements
from features.daily import examples_sql, value_sql
from features.sameness import constant, duplicates
from features.store.snapshots import family_anchors
from runtime import spark_tables
from runtime.duckdb_sql import over_files, over_rows
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

#: Customers whose events the probe and the preview look at.
SAMPLE = 2000
#: Customers among whom a feature must say something.
MOST = 200_000
_DAY = 86_400_000_000  # microseconds


def check_features(night: Night, only: str = "") -> list[dict[str, Any]]:
    """Boundary examples and leakage probe of every family (or one)."""
    declared = night.catalogue.features
    families = [declared.family(only)] if only else list(declared.families)
    return [check_family(night, family) for family in families]


def silent_features(night: Night) -> dict[str, Any]:
    """Features of tonight's snapshot that say nothing, among customers that may be profiled.

    A sample of whole files, up to ``MOST`` customers, is looked at; a night without a snapshot has none to look at.
    """
    declared = night.catalogue.features
    files = night.lake.files("customer_features", night.partition)
    sample = ds.dataset(files).head(MOST) if files else None
    if sample is None or not sample.num_rows:
        return {"customers": 0, "constant": [], "duplicates": []}
    known = set(sample.column_names)
    names = [feature.name for feature in declared.features] + [derived.name for _, derived in declared.derived]
    names = [name for name in names if name in known]
    profiled = sample.filter(sample[PROFILED.name])
    silent = constant(profiled, names)
    others = [name for name in names if name not in set(silent)]
    return {"customers": profiled.num_rows, "constant": silent, "duplicates": duplicates(profiled, others)}


def check_family(night: Night, family: Family) -> dict[str, Any]:
    """The faults of one family, in words."""
    placed = placements(family, night.date)
    events = example_events(family, placed, nullable(arrow_schema(night.lake.table(family.source))))
    examples, valued = over_rows(examples_sql(family), events), over_rows(value_sql(family), events)
    messages = list(faults(family, placed, examples, valued, night.date))
    probed, leaks = probe(night, family)
    messages += [f"{name}: changes when events move past the decision date" for name in leaks]
    return {
        "family": family.family,
        "features": len(family.features),
        "examples": len(placed),
        "probed": probed,
        "faults": messages,
    }


def probe(night: Night, family: Family) -> tuple[int, list[str]]:
    """Customers looked at, and features that change when the future is added: shifted copies of all their events.

    What the night may see is computed twice: from those events alone, and beside copies of them that happen after D
    00:00 or arrive after the cut-off. No value may differ.
    """
    seen = sample(night, family)
    start, limit = start_of_day(night.date), cut_off(night.date)
    ahead = pc.subtract(pa.scalar(start, seen["event_time"].type), seen["event_time"]).cast(pa.int64())
    days = pc.multiply(pc.add(pc.divide(ahead, _DAY), 1), _DAY).cast(pa.duration("us"))
    later = _with(seen, "event_time", pc.add(seen["event_time"], days))
    late = _with(seen, "arrived_at", pa.repeat(pa.scalar(limit, seen["arrived_at"].type), seen.num_rows))
    alone = over_rows(value_sql(family), seen)
    beside = over_rows(value_sql(family), pa.concat_tables([seen, later, late]))
    before = family_snapshot(family, alone, night.date, SAMPLE)
    after = family_snapshot(family, beside, night.date, SAMPLE)
    return len(pc.unique(alone["customer_id"])), find_changed(before, after)


def sample(night: Night, family: Family) -> pa.Table:
    """The events of the first `SAMPLE` customers that the night may see, whatever the family makes of them."""
    schema = nullable(arrow_schema(night.lake.table(family.source)))
    files = spark_tables.read_held(night.lake, family.source).files
    if not files:
        return schema.empty_table()
    start, limit = (int(time.timestamp() * 1e6) for time in (start_of_day(night.date), cut_off(night.date)))
    seen = f"epoch_us(event_time) < {start} and epoch_us(arrived_at) < {limit}"
    names = ", ".join(schema.names)
    return over_files(f"select {names} from source where customer_id < {SAMPLE} and {seen}", schema, files).cast(schema)


def _with(rows: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, column)


def preview_feature(night: Night, name: str) -> dict[str, Any]:
    """Distribution, samples, seconds and leakage test of one feature, on a sample of customers.

    Raises:
        UserError: there is no such feature, or nothing to compute it from.
    """
    feature = _feature(night, name)
    family = feature.family
    if not night.lake.exists(family.source):
        raise UserError(
            f"table {family.source} has no rows yet",
            where=str(night.lake.root),
            remedy=f"run `cpc nightly --date {night.date} --until conform` first",
        )
    began = time.perf_counter()
    valued = over_rows(value_sql(family), sample(night, family))
    ends = family_anchors(night, [night.date])[family.family][0]
    column = family_snapshot(family, valued, night.date, SAMPLE, ends)[name]
    seconds = time.perf_counter() - began
    _, leaks = probe(night, family)
    return {
        "feature": name,
        "family": family.family,
        "source": family.source,
        "value": feature.input.value,
        "where": feature.input.where,
        "unit": feature.unit,
        "doc": feature.doc,
        **describe(column),
        "seconds": round(seconds, 2),
        "leaks": name in leaks,
    }


def describe(column: pa.Array) -> Mapping[str, Any]:
    """Figures of a column: missing, zeros, extremes, mean, quartiles; the commonest values of a text."""
    figures: dict[str, Any] = {"customers": len(column), "missing": column.null_count}
    if pa.types.is_string(column.type):
        counts = pc.value_counts(column.drop_null()).to_pylist()
        top = sorted(counts, key=lambda row: (-row["counts"], row["values"]))[:5]
        return figures | {"commonest": {row["values"]: row["counts"] for row in top}}
    numbers = column.cast(pa.float64())
    quartiles = pc.quantile(numbers, [0.25, 0.5, 0.75]).to_pylist()
    return figures | {
        "zeros": pc.sum(pc.equal(numbers, 0.0)).as_py() or 0,
        "least": pc.min(numbers).as_py(),
        "quartiles": quartiles,
        "mean": pc.mean(numbers).as_py(),
        "greatest": pc.max(numbers).as_py(),
    }


def _feature(night: Night, name: str) -> Feature:
    for feature in night.catalogue.features.features:
        if feature.name == name:
            return feature
    known = sorted(feature.name for feature in night.catalogue.features.features)
    near = [other for other in known if other.split("_")[0] == name.split("_")[0]][:8] or known[:8]
    raise UserError(
        f"no feature {name!r}",
        where="features/declared",
        remedy=f"`cpc features list` shows all; near: {', '.join(near)}",
    )
