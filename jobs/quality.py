"""Quality: hold every delivery of the night against its suite and every feed against its own past.

What was loaded is not read again: the loader measured each column while writing (`ops_load`), and Great Expectations
judges all suites in one validation of these figures. Counts are reconciled against the tables themselves: rows that
Delta's log says are there = rows loaded, and loaded + quarantined = records of the control file. A delivery is judged
on the night that first sees it; running the night again judges the same deliveries. The model is held against what
its own nights brought (`models.lifecycle.monitoring`), the last snapshot against the one before (`features.store.drift`).

*Reads* ops_load, ops_delivery, ops_quarantine (places and reasons, not bytes), the log (not the rows) of raw_*;
of earlier nights ops_quality and feature_profile, and for the model candidate, outcome and customer_features.
*Writes* ops_quality (what failed, one line a delivery, volume, freshness, every check of the model and of features),
Data Docs below `$CPC_HOME/docs`.
*Cost* grows with deliveries × columns, not with rows: some 5,000 checks a night, a few seconds; for the model, with
the contacts of four weeks and at most a million scores a night of them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.catalogue import Catalogue
from conf.errors import UserError
from expectations import docs, history
from expectations.measure import check, checks, frame, sample
from expectations.suite import EXTENDED, Expect, read_extension, suite
from expectations.verdict import judge
from features.store import drift
from models.lifecycle import monitoring
from runtime.deliveries import deliveries
from runtime.figures import QualityFigures
from runtime.holds import refusal_feeds
from runtime.lake import Lake
from runtime.night import Night

READS = ("ops_load", "ops_delivery", "ops_quarantine", "raw")
READS_PREVIOUS = ("ops_quality", "candidate", "outcome", "customer_features", "feature_profile")
WRITES = ("ops_quality",)

Row = Mapping[str, Any]
#: Days of deliveries that a night looks at for history.
HISTORY_DAYS = 400
#: Bad records shown of a delivery.
SAMPLES = 5


def run(night: Night) -> QualityFigures:
    """Judge what this night is the first to see."""
    lake, catalogue = night.lake, night.catalogue
    accepted = read_accepted(lake, night.date)
    fresh = select_unjudged(accepted, read_judged(lake, night.date))
    loads = read_measures(lake, fresh)
    rows = [
        *suite_checks(catalogue, fresh, loads),
        *count_checks(accepted, fresh, table_rows(lake, catalogue, fresh)),
        *history_checks(catalogue, accepted, fresh, night.date),
        *monitoring.model_checks(night),
        *drift.feature_checks(night),
    ]
    verdict = judge(frame(rows))
    lines = report(verdict.checks, fresh, loads, set_aside(lake, verdict.checks))
    lake.replace_arrow("ops_quality", as_table(lines, night.date), partition=night.partition)
    docs.build(verdict, catalogue, night.settings.home / "docs", folder(catalogue))
    return figures(verdict.checks, fresh, refusal_feeds(catalogue))


def folder(catalogue: Catalogue) -> Path:
    """Where the extensions of a catalogue lie: an overlay may bring its own."""
    own = catalogue.root / "expectations"
    beside = catalogue.root.parent / "expectations" / "extended"
    if own.is_dir():
        return own
    return beside if catalogue.root == catalogue.whole and beside.is_dir() else EXTENDED


def rehearse(catalogue: Catalogue, _: dt.date) -> Iterator[UserError]:
    """What a night will refuse here: an extension of expectations that does not fit its schema."""
    mistakes: list[UserError] = []
    where = folder(catalogue)
    broken = {path.stem for path in (catalogue.root / "schemas").rglob("*.yml")} - set(catalogue.schemas)
    for path in sorted(where.glob("*.yml")):
        if where == EXTENDED and path.stem not in catalogue.schemas and catalogue.root != catalogue.whole:
            continue  # conf's own say nothing of an overlay's schemas
        try:
            read_extension(path, catalogue.schemas, mistakes.append, broken)
        except UserError as error:
            mistakes.append(error)
    yield from mistakes


# -- what is there -----------------------------------------------------------------------------------------------


def read_accepted(lake: Lake, date: dt.date) -> list[Row]:
    """Accepted deliveries that count in the night of ``date``, one row each (a delivery may have several files)."""
    keys = ["delivery_id", "feed", "data_date", "hour"]
    columns = [*keys, "control_records", "loaded", "quarantined", "arrived_at"]
    files = deliveries(lake, columns, night=date, since=date - dt.timedelta(days=HISTORY_DAYS))
    summed = files.group_by(keys).aggregate(
        [("control_records", "sum"), ("loaded", "sum"), ("quarantined", "sum"), ("arrived_at", "max")]
    )
    named = summed.rename_columns([*keys, "control_records", "loaded", "quarantined", "arrived_at"])
    return cast(list[Row], named.sort_by([(key, "ascending") for key in ("feed", "data_date", "hour")]).to_pylist())


def _recent(lake: Lake, table: str, date: dt.date, columns: Sequence[str]) -> pa.Table:
    """Columns of the rows with a data date in the year before ``date``."""
    if not lake.exists(table):
        return lake.arrow(table, columns=columns)
    since = pc.field("data_date") >= pa.scalar(date - dt.timedelta(days=HISTORY_DAYS))
    until = pc.field("data_date") < pa.scalar(date)
    return lake.delta(table).to_pyarrow_dataset().to_table(columns=list(columns), filter=since & until)


def read_judged(lake: Lake, date: dt.date) -> frozenset[str]:
    """Deliveries that an earlier night has judged already."""
    rows = lake.arrow("ops_quality", columns=["business_date", "check", "details"])
    chosen = rows.filter(
        pc.and_(pc.less(rows["business_date"], pa.scalar(date)), pc.starts_with(rows["check"], "suite · "))
    )
    return frozenset(json.loads(text)["delivery_id"] for text in chosen["details"].to_pylist())


def select_unjudged(accepted: Iterable[Row], before: frozenset[str]) -> list[Row]:
    """What is left to judge."""
    return [row for row in accepted if row["delivery_id"] not in before]


def read_measures(lake: Lake, fresh: Sequence[Row]) -> dict[tuple[str, str], dict[str, Row]]:
    """What the loader measured: (feed, delivery) → column → figures."""
    if not fresh:
        return {}
    newest = max(row["data_date"] for row in fresh) + dt.timedelta(days=1)
    wanted = {row["delivery_id"] for row in fresh}
    columns = [column.name for column in lake.table("ops_load").columns]
    rows = _recent(lake, "ops_load", newest, columns)
    measures: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows.filter(pc.is_in(rows["delivery_id"], pa.array(sorted(wanted)))).to_pylist():
        measures[row["feed"], row["delivery_id"]][row["column"]] = row
    return measures


def table_rows(lake: Lake, catalogue: Catalogue, fresh: Sequence[Row]) -> dict[tuple[str, dt.date], dict[str, int]]:
    """Rows in the raw tables by feed and data date, and in each by delivery, from Delta's log.

    Only a file that holds rows of several deliveries, which the loader never writes, is read.
    """
    wanted = {(row["feed"], row["data_date"]) for row in fresh if row["feed"] in catalogue.feeds}
    counts: dict[tuple[str, dt.date], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for schema in sorted({catalogue.feeds[feed].schema_name for feed, _ in wanted}):
        for file in lake.live_files(f"raw_{schema}", bounds=("delivery_id",)):
            key = (file.partition["feed"], file.partition["data_date"])
            if key not in wanted:
                continue
            name = file.low["delivery_id"]
            if name is not None and name == file.high["delivery_id"]:
                counts[key][name] += file.rows
                continue
            for name in pq.read_table(file.path, columns=["delivery_id"], partitioning=None)["delivery_id"].to_pylist():
                counts[key][name] += 1
    return counts


# -- what is checked ---------------------------------------------------------------------------------------------


def suite_checks(
    catalogue: Catalogue, fresh: Sequence[Row], loads: Mapping[tuple[str, str], Mapping[str, Row]]
) -> list[dict[str, Any]]:
    """Every expectation of every delivery's suite."""
    suites: dict[str, tuple[Expect, ...]] = {}
    rows = []
    for delivery in fresh:
        feed = catalogue.feeds.get(delivery["feed"])
        columns = loads.get((delivery["feed"], delivery["delivery_id"]))
        if feed is None or columns is None:
            continue
        schema = catalogue.schemas[feed.schema_name]
        if feed.code not in suites:
            suites[feed.code] = suite(schema, feed, folder(catalogue))
        rows += checks(feed.code, suites[feed.code], columns, schema, delivery["data_date"], delivery["hour"])
    return rows


def count_checks(
    accepted: Sequence[Row], fresh: Sequence[Row], there: Mapping[tuple[str, dt.date], Mapping[str, int]]
) -> list[dict[str, Any]]:
    """Control records = loaded + quarantined, and the table holds what was loaded: of each delivery, and of its date.

    What a table holds beyond its deliveries is nobody's: the check of the date alarms and holds nothing back.
    """
    rows = []
    for delivery in fresh:
        name, when = delivery["delivery_id"], _when(delivery)
        lost = delivery["control_records"] - delivery["loaded"] - delivery["quarantined"]
        off = there.get((delivery["feed"], delivery["data_date"]), {}).get(name, 0) - delivery["loaded"]
        for what, kind, figure in ((f"control count · {when}", "control", lost), (f"rows · {when}", "table", off)):
            row = check(delivery["feed"], what, kind, float(figure), 0.0, 0.0, "stop")
            rows.append(row | {"delivery_id": name})
    loaded: dict[tuple[str, dt.date], int] = defaultdict(int)
    for delivery in accepted:
        loaded[delivery["feed"], delivery["data_date"]] += delivery["loaded"]
    for feed, day in sorted({(delivery["feed"], delivery["data_date"]) for delivery in fresh}):
        off = sum(there.get((feed, day), {}).values()) - loaded[feed, day]
        rows.append(check(feed, f"table count · {day}", "table", float(off), 0.0, 0.0, "stop"))
    return rows


def history_checks(
    catalogue: Catalogue, accepted: Sequence[Row], fresh: Sequence[Row], date: dt.date
) -> list[dict[str, Any]]:
    """Volume and punctuality of what is new, freshness of every feed."""
    by_feed: dict[str, dict[dt.date, history.Load]] = defaultdict(dict)
    for row in accepted:
        day, loads = row["data_date"], by_feed[row["feed"]]
        rest = loads.get(day, history.Load(day, 0, row["arrived_at"]))
        loads[day] = history.Load(day, rest.rows + row["loaded"], max(rest.arrived_at, row["arrived_at"]))
    new = {(row["feed"], row["data_date"]) for row in fresh}
    rows = []
    for code, feed in sorted(catalogue.feeds.items()):
        loads = by_feed.get(code, {})
        past = history.series(list(loads.values()))
        for day in sorted(loads):
            if (code, day) in new:
                rows += [history.volume(feed, loads[day], past), history.punctual(feed, loads[day])]
        rows.append(history.freshness(feed, date, max(loads, default=None)))
    return rows


def _when(delivery: Row) -> str:
    hour = f" {delivery['hour']:02d}h" if delivery["hour"] >= 0 else ""
    return f"{delivery['data_date']}{hour}"


# -- what is kept ------------------------------------------------------------------------------------------------


def set_aside(lake: Lake, judged: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """For deliveries with too many bad records: the first of them, by line, field and reason (never their bytes)."""
    blamed = judged[(judged["kind"] == "faults") & ~judged["success"]]
    wanted = sorted(set(blamed["delivery_id"]))
    if not wanted or not lake.exists("ops_quarantine"):
        return {}
    columns = ["delivery_id", "file", "line", "field", "code", "reason"]
    # a filter on a text column would find nothing: its files carry no statistics, which the reader takes for bounds
    rows = lake.arrow("ops_quarantine", columns=columns)
    rows = rows.filter(pc.is_in(rows["delivery_id"], pa.array(wanted)))
    samples: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.sort_by([("delivery_id", "ascending"), ("file", "ascending"), ("line", "ascending")]).to_pylist():
        if len(samples[row["delivery_id"]]) < SAMPLES:
            samples[row.pop("delivery_id")].append(row)
    return samples


def report(
    judged: pd.DataFrame,
    fresh: Sequence[Row],
    loads: Mapping[tuple[str, str], Mapping[str, Row]],
    bad: Mapping[str, Sequence[Row]],
) -> list[dict[str, Any]]:
    """What `ops_quality` keeps: all that failed, volume, freshness, model and features, and a line for each delivery's suite."""
    always = judged["kind"].isin(["volume", "freshness", *monitoring.KINDS, *drift.KINDS])
    lines = cast(list[dict[str, Any]], judged[~judged["success"] | always].to_dict("records"))
    lines = [row | {"details": with_sample(row, loads, bad)} for row in lines]
    suites = judged.groupby(["subject", judged["check"].str.rpartition(" · ")[2]])["success"].agg(["size", "sum"])
    for delivery in fresh:
        key = (delivery["feed"], _when(delivery))
        size, passed = (int(n) for n in suites.loc[key]) if key in suites.index else (0, 0)
        line = check(
            delivery["feed"],
            f"suite · {_when(delivery)}",
            "suite",
            passed / size if size else None,
            1.0,
            1.0,
            "info",
            delivery_id=delivery["delivery_id"],
            checks=size,
            failed=size - passed,
        )
        lines.append({**line, "success": passed == size})
    return sorted(lines, key=lambda row: (row["subject"], row["check"]))


def with_sample(row: Row, loads: Mapping[tuple[str, str], Mapping[str, Row]], bad: Mapping[str, Sequence[Row]]) -> str:
    """The details of a check, with the delivery it is about and what was seen there."""
    if not row["delivery_id"]:
        return str(row["details"])
    details: dict[str, Any] = {"delivery_id": row["delivery_id"]}
    columns = loads.get((row["subject"], row["delivery_id"]), {})
    if metrics := columns.get(row["column"]):
        details |= sample(row["kind"], metrics)
    if row["kind"] == "faults":
        details["records"] = list(bad.get(row["delivery_id"], ()))
    return json.dumps(details, ensure_ascii=False, sort_keys=True)


def as_table(rows: Sequence[Row], date: dt.date) -> pa.Table:
    """Rows of `ops_quality`; NaN is null."""
    names = ("subject", "check", "success", "severity", "details")
    columns: dict[str, pa.Array] = {name: pa.array([row[name] for row in rows]) for name in names}
    columns["success"] = pa.array([bool(row["success"]) for row in rows], pa.bool_())
    for name in ("observed", "low", "high"):
        columns[name] = pa.array([row[name] for row in rows], pa.float64(), from_pandas=True)
    columns["business_date"] = pa.array([date] * len(rows), pa.date32())
    return pa.table(columns)


def count_held(stops: pd.DataFrame, free: Collection[str]) -> dict[str, int]:
    """Deliveries that tonight's failed checks hold back, by feed; those of the feeds ``free`` never are."""
    about = stops[(stops["delivery_id"] != "") & ~stops["subject"].isin(free)]
    counts = about.groupby("subject")["delivery_id"].nunique()
    return {str(feed): int(count) for feed, count in sorted(counts.items())}


def figures(judged: pd.DataFrame, fresh: Sequence[Row], free: Collection[str]) -> QualityFigures:
    """What the summary shows."""
    failed = judged[~judged["success"]]
    stops = failed[failed["severity"] == "stop"]
    of_model, of_features = (failed["subject"] == watch.SUBJECT for watch in (monitoring, drift))
    return QualityFigures(
        deliveries=len(fresh),
        checks=len(judged),
        failed=len(failed),
        warned_feeds=int(failed.loc[(failed["severity"] == "warn") & ~of_model & ~of_features, "subject"].nunique()),
        model_alarms=sorted(failed.loc[of_model, "check"]),
        feature_alarms=sorted(failed.loc[of_features, "check"]),
        stopped_feeds=sorted(set(stops["subject"])),
        held_back=count_held(stops, free),
        behind=sorted(set(failed.loc[failed["kind"] == "freshness", "subject"])),
    )
