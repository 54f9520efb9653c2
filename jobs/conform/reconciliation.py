"""What became of every record of a delivery: rows in = rows in the entity + set aside + without owner + repeated.

Each term is counted where it arises: records by the ledger, those that a mapping does not mean by its `where` alone,
rows by the entity's own files, the rest while rows are written. What is left is *lost*, and nothing should be.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import functions as sf

from jobs.conform.events import FAULTS, EventCounts
from jobs.conform.mapping import raw_paths, read_raw
from jobs.conform.work import PROFILE, EntityRebuild, KnownDelivery
from runtime.deliveries import first_night
from runtime.holds import REFUSALS, tolerate_unowned
from runtime.lake import Lake, arrow_schema, nullable
from runtime.night import Night

TABLE = "ops_reconciliation"
#: How the checks of this module begin in ``ops_quality``.
RECONCILED, UNOWNED, TOTAL = "reconciled · ", "without owner · ", "rows of the table"
Row = Mapping[str, Any]


def account(night: Night, work: EntityRebuild, counts: EventCounts) -> list[dict[str, Any]]:
    """Rows of ``ops_reconciliation``: one for each delivery of the touched dates of an entity of events."""
    there = count_rows(night.lake, work.entity, work.dates)
    records, meant = count_meant(night, work)
    return [
        _row(
            work.entity,
            delivery,
            records[delivery.delivery_id],
            records[delivery.delivery_id] - meant[delivery.delivery_id],
            there[delivery.delivery_id],
            {name: counts.faults.get(name, {}).get(delivery.delivery_id, 0) for name in FAULTS},
        )
        for delivery in work.deliveries
    ]


def account_profiles(work: EntityRebuild, heard: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """The same of profiles: they are heard, or lack a number or a time.

    Args:
        work: what was rebuilt of `customer`.
        heard: by delivery: how many profiles its mappings made, and how many of them lack number or time.
    """
    rows = []
    for delivery in work.deliveries:
        mappings = [source.conform.where for source in work.sources if source.schema.name == delivery.schema]
        number, incomplete = heard.get(delivery.delivery_id, (0, 0))
        records = delivery.records * len(mappings)
        not_meant = 0 if all(where == "true" for where in mappings) else records - number
        faults = {"incomplete": incomplete, "unmatched": 0, "repeated": 0}
        rows.append(_row(work.entity, delivery, records, not_meant, number - incomplete, faults))
    return rows


def _row(
    entity: str, delivery: KnownDelivery, records: int, not_meant: int, rows: int, faults: Mapping[str, int]
) -> dict[str, Any]:
    return {
        "entity": entity,
        "data_date": delivery.data_date,
        "feed": delivery.feed,
        "delivery_id": delivery.delivery_id,
        "arrived_at": delivery.arrived_at,
        "records": records,
        "not_meant": not_meant,
        "rows": rows,
        **faults,
        "lost": records - not_meant - rows - sum(faults.values()),
    }


def count_rows(lake: Lake, entity: str, dates: Collection[dt.date]) -> Counter[str]:
    """Rows of an entity's data dates by delivery, read from its files."""
    counts: Counter[str] = Counter()
    for file in lake.live_files(entity):
        if file.partition["data_date"] in dates:
            column = pq.read_table(file.path, columns=["delivery_id"], partitioning=None)["delivery_id"]
            for row in pc.value_counts(column).to_pylist():
                counts[row["values"]] += row["counts"]
    return counts


def count_meant(night: Night, work: EntityRebuild) -> tuple[Counter[str], Counter[str]]:
    """Records of each delivery, once a mapping, and how many of them the mappings mean: those with a `where` are asked."""
    records: Counter[str] = Counter()
    meant: Counter[str] = Counter()
    asked = []
    for source in work.sources:
        of_schema = [delivery for delivery in work.deliveries if delivery.schema == source.schema.name]
        for delivery in of_schema:
            records[delivery.delivery_id] += delivery.records
            if source.conform.where == "true":
                meant[delivery.delivery_id] += delivery.records
        if of_schema and source.conform.where != "true":
            paths = raw_paths(night.lake, source.schema.name, {delivery.data_date for delivery in of_schema})
            if paths:
                raw = read_raw(night.spark, night.lake, source, paths)
                asked.append(raw.where(source.conform.where).select("delivery_id"))
    if asked:
        rows = reduce(lambda left, right: left.union(right), asked)
        for row in rows.groupBy("delivery_id").agg(sf.count("*").alias("records")).collect():
            if row["delivery_id"] in records:
                meant[row["delivery_id"]] += row["records"]
    return records, meant


def keep_accounts(
    night: Night, works: Sequence[EntityRebuild], accounts: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Replace the touched dates' rows of ``ops_reconciliation``; returns all that it holds."""
    touched = {(work.entity, date) for work in works for date in work.dates}
    before = night.lake.arrow(TABLE).to_pylist()
    rows = [row for row in before if (row["entity"], row["data_date"]) not in touched]
    rows += accounts
    rows.sort(key=lambda row: (row["entity"], row["data_date"], row["feed"], row["delivery_id"]))
    if touched:
        schema = nullable(arrow_schema(night.lake.table(TABLE)))
        night.lake.replace_arrow(TABLE, pa.Table.from_pylist(rows, schema))
    return rows


# -- judged ------------------------------------------------------------------------------------------------------


def judge_accounts(night: Night, accounts: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of ``ops_quality``: is anything lost, by feed and entity; what has no owner; do tables hold their rows?"""
    catalogue = night.catalogue
    by_feed: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in accounts:
        if row["feed"] in catalogue.feeds:
            by_feed[row["feed"], row["entity"]].update({name: row[name] for name in _TERMS})
    checks = [
        _check(feed, RECONCILED + entity, float(terms["lost"]), 0.0, 0.0, "stop", dict(terms))
        for (feed, entity), terms in sorted(by_feed.items())
    ]
    return [*checks, *judge_owners(night, accounts), *judge_tables(night, accounts)]


_TERMS = ("records", "not_meant", "rows", "incomplete", "unmatched", "repeated", "lost")


def judge_owners(night: Night, accounts: Sequence[Row]) -> list[dict[str, Any]]:
    """Deliveries with more records without owner than their feed tolerates.

    Of refusals every delivery is looked at, each night again, until its numbers have owners or it is released; of
    others those that this night is the first to see.
    """
    checks = []
    for row in accounts:
        feed = night.catalogue.feeds.get(row["feed"])
        if feed is None or not row["unmatched"]:
            continue
        is_refusal = row["entity"] == REFUSALS
        seen = first_night(row["data_date"], row["arrived_at"])
        if seen > night.date or (seen < night.date and not is_refusal):
            continue
        meant = row["records"] - row["not_meant"]
        details = {"delivery_id": row["delivery_id"], "records": meant, "without_owner": row["unmatched"]}
        name = f"{UNOWNED}{row['entity']} · {row['data_date']} {row['delivery_id'][:8]}"
        most = float(tolerate_unowned(feed, meant))
        severity = "stop" if is_refusal else "warn"
        checks.append(_check(row["feed"], name, float(row["unmatched"]), None, most, severity, details))
    return sorted(checks, key=lambda check: check["check"])


def judge_tables(night: Night, accounts: Sequence[Row]) -> list[dict[str, Any]]:
    """Whether each entity's dates hold, by the table's log, the rows that are accounted for."""
    wanted: dict[str, Counter[dt.date]] = defaultdict(Counter)
    for row in accounts:
        if row["entity"] != PROFILE:  # it keeps what is true of a customer, not who said so
            wanted[row["entity"]][row["data_date"]] += row["rows"]
    checks = []
    for entity, rows in sorted(wanted.items()):
        there: Counter[dt.date] = Counter()
        for file in night.lake.live_files(entity):
            if file.partition["data_date"] in rows:
                there[file.partition["data_date"]] += file.rows
        off = {str(date): there[date] - count for date, count in sorted(rows.items()) if there[date] != count}
        figure = float(sum(abs(count) for count in off.values()))
        checks.append(_check(entity, TOTAL, figure, 0.0, 0.0, "stop", off))
    return checks


def _check(
    subject: str, name: str, observed: float, low: float | None, high: float | None, severity: str, details: Row
) -> dict[str, Any]:
    success = (low is None or observed >= low) and (high is None or observed <= high)
    return {
        "subject": subject,
        "check": name,
        "success": success,
        "observed": observed,
        "low": low,
        "high": high,
        "severity": severity,
        "details": json.dumps(dict(details), ensure_ascii=False, sort_keys=True),
    }


def keep_checks(night: Night, checks: Sequence[Row]) -> None:
    """Put tonight's checks of this module beside those of `quality`, in the place of earlier ones."""
    table = night.lake.arrow("ops_quality", partition=night.partition)
    ours = (RECONCILED, UNOWNED, TOTAL)
    rows = [row for row in table.to_pylist() if not row["check"].startswith(ours)]
    rows += [{"business_date": night.date, **check} for check in checks]
    rows.sort(key=lambda row: (row["subject"], row["check"]))
    made = pa.Table.from_pylist(rows, schema=nullable(arrow_schema(night.lake.table("ops_quality"))))
    night.lake.replace_arrow("ops_quality", made, partition=night.partition)
