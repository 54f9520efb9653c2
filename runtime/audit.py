"""Who saw personal data: rows of ``ops_audit``, each carrying the hash of the row before it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from runtime.lake import Lake, arrow_schema, nullable
from runtime.parquet_files import write_file

#: What a row's hash covers, in this order.
_COVERED = ("at", "who", "what", "why", "rows", "previous_hash")


def digest(row: Mapping[str, Any]) -> str:
    """The hash of a row: its content and the hash of the row before it."""
    content = [row[name].isoformat() if isinstance(row[name], dt.datetime) else row[name] for name in _COVERED]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def chain_events(events: Sequence[Mapping[str, Any]], last: str) -> list[dict[str, Any]]:
    """``events`` (``at, who, what, why, rows``) as rows of the chain that ends with the hash ``last``."""
    rows = []
    for event in events:
        row = {**event, "previous_hash": last}
        row["hash"] = last = digest(row)
        rows.append(row)
    return rows


def append(lake: Lake, events: Sequence[Mapping[str, Any]]) -> None:
    """Add events to the end of the chain; nothing that is there is rewritten."""
    if not events:
        return
    written = in_order(lake.arrow("ops_audit").to_pylist())
    rows = chain_events(events, written[-1]["hash"] if written else "")
    table = pa.Table.from_pylist(rows, schema=nullable(arrow_schema(lake.table("ops_audit"))))
    lake.delta("ops_audit")
    lake.commit_files("ops_audit", [write_file(lake.path("ops_audit"), table, {})])


def in_order(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows from the first to the last by following the hashes; rows that are not reached come last."""
    after = {row["previous_hash"] or "": row for row in rows}
    ordered: list[dict[str, Any]] = []
    last = ""
    while last in after:
        row = after.pop(last)
        ordered.append(row)
        last = row["hash"]
    return ordered + list(after.values())


def broken(rows: Sequence[dict[str, Any]]) -> str:
    """Why the chain cannot be trusted; empty where every row is as it was written."""
    last = ""
    for position, row in enumerate(in_order(rows), start=1):
        if (row["previous_hash"] or "") != last:
            return f"row {position} ({row['what']}) does not follow the row before it: one was removed or changed"
        if digest({**row, "previous_hash": last}) != row["hash"]:
            return f"row {position} ({row['what']}) was changed after it was written"
        last = row["hash"]
    return ""
