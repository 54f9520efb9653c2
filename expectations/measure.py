"""Expectations held against what the loader measured: a frame of checks, one row each, not yet judged."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from conf.dates import start_of_day
from conf.schema import Schema
from expectations.suite import Expect

#: Columns of a frame of checks. ``observed`` is NaN where there is nothing to judge; ``column`` and ``delivery_id``
#: lead back to what was measured.
COLUMNS = ("subject", "check", "kind", "observed", "low", "high", "severity", "details", "column", "delivery_id")
_EPOCH = dt.date(1970, 1, 1)
Metrics = Mapping[str, Any]


def observe(expect: Expect, metrics: Metrics, schema: Schema, data_date: dt.date) -> float | None:
    """The figure that ``expect`` is about, from one row of ``ops_load``; None where it cannot be judged.

    Args:
        expect: the expectation.
        metrics: the row of the expectation's column ('' for the record).
        schema: the schema of the feed.
        data_date: the data date of the delivery.
    """
    rows, faults = metrics["rows"], metrics["faults"]
    if expect.kind == "faults":
        return faults / (rows + faults) if rows + faults else None
    if rows < max(expect.rows, 1):
        return None
    if expect.kind == "empty":
        return metrics["nulls"] / rows
    if expect.kind == "duplicate_share":
        return None if metrics["distinct"] is None else (rows - metrics["distinct"]) / rows
    if expect.kind in ("other_codes", "share"):
        return _code_share(expect, metrics)
    if expect.kind in ("earliest", "latest"):
        return _days(metrics["minimum" if expect.kind == "earliest" else "maximum"], expect, schema, data_date)
    plain = {
        "min": "minimum",
        "max": "maximum",
        "average": "mean",
        "longest": "longest",
        "n_distinct": "distinct",
    }
    value = metrics[plain[expect.kind]]
    return None if value is None else float(value)


def _code_share(expect: Expect, metrics: Metrics) -> float | None:
    if not metrics["codes"]:
        return None
    counts: dict[str, int] = json.loads(metrics["codes"])
    total = sum(counts.values())
    if not total:
        return None
    chosen = sum(counts.get(code, 0) for code in expect.codes)
    return (total - chosen if expect.kind == "other_codes" else chosen) / total


def _days(value: float | None, expect: Expect, schema: Schema, data_date: dt.date) -> float | None:
    """Days between the data date's beginning and a stored date or instant; the direction is that of the kind."""
    if value is None:
        return None
    if schema.by_name[expect.column].type == "date":
        days = value - (data_date - _EPOCH).days
    else:
        days = (value - start_of_day(data_date).timestamp()) / 86400
    return -days if expect.kind == "earliest" else days


def checks(
    subject: str,
    suite: Sequence[Expect],
    columns: Mapping[str, Metrics],
    schema: Schema,
    data_date: dt.date,
    hour: int = -1,
) -> list[dict[str, Any]]:
    """The checks of one delivery: what each expectation observed, with its bounds."""
    when = f"{data_date}" if hour < 0 else f"{data_date} {hour:02d}h"
    rows = []
    for expect in suite:
        metrics = columns.get(expect.column)
        if metrics is None:
            continue
        observed = observe(expect, metrics, schema, data_date)
        name, bounds = f"{expect.name} · {when}", (expect.low, expect.high)
        row = check(subject, name, expect.kind, observed, *bounds, expect.severity)
        rows.append(row | {"column": expect.column, "delivery_id": metrics.get("delivery_id", "")})
    return rows


def sample(kind: str, metrics: Metrics) -> dict[str, Any]:
    """What the column looked like, to show beside a check that failed: never a record, so nothing personal."""
    shown = {name: metrics[name] for name in ("rows", "nulls", "faults")}
    if kind in ("other_codes", "share", "n_distinct") and metrics["codes"]:
        counts: dict[str, int] = json.loads(metrics["codes"])
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
        return shown | {"codes": dict(most)}
    if kind in ("min", "max", "average", "earliest", "latest"):
        return shown | {name: metrics[name] for name in ("minimum", "mean", "maximum")}
    return shown


def check(
    subject: str,
    name: str,
    kind: str,
    observed: float | None,
    low: float | None,
    high: float | None,
    severity: str,
    **details: Any,
) -> dict[str, Any]:
    """One row of a frame of checks."""
    return {
        "subject": subject,
        "check": name,
        "kind": kind,
        "observed": observed,
        "low": low,
        "high": high,
        "severity": severity,
        "details": json.dumps(details, ensure_ascii=False, sort_keys=True) if details else "",
        "column": "",
        "delivery_id": "",
    }


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Checks as a frame in the order (subject, check); numbers are floats with NaN for None."""
    made = pd.DataFrame(list(rows), columns=list(COLUMNS))
    for name in ("observed", "low", "high"):
        made[name] = made[name].astype("float64")
    return made.sort_values(["subject", "check"], kind="stable").reset_index(drop=True)
