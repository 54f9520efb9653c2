"""Who saw personal data: rows of ``ops_audit``, each carrying the hash of the row before it.

A row says who ran it (a person, also where a job did the work), what was looked at, and for which purpose. A look-up
that finds nobody, or is refused, leaves a row too: a guessed id is an access that somebody tried.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout

from conf.errors import UserError
from runtime.lake import Lake, arrow_schema, nullable
from runtime.parquet_files import write_file

#: What a row's hash covers, in this order.
_COVERED = ("at", "who", "what", "why", "rows", "previous_hash")
#: Seconds that a look waits for its turn.
_PATIENCE = 60


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


@dataclass
class Look:
    """A look at people's data that is going on.

    Attributes:
        rows: how many were seen or written.
    """

    rows: int = 0


def name_user() -> str:
    """Who runs this process: the user's name, or the number of one that the machine has no name for."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"


@contextlib.contextmanager
def log_look(lake: Lake, what: str, why: str) -> Iterator[Look]:
    """Leave a row of a look at people's data, whatever comes of it.

    Args:
        lake: the tables.
        what: what is looked at.
        why: the purpose.
    """
    look = Look()
    try:
        yield look
    except BaseException as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        append(lake, [make_event(f"{what}: refused, {reason}", why, 0)])
        raise
    append(lake, [make_event(what, why, look.rows)])


def make_event(what: str, why: str, rows: int) -> dict[str, Any]:
    """What `append` takes, as of now and of who runs this."""
    return {"at": dt.datetime.now(dt.UTC), "who": name_user(), "what": what, "why": why, "rows": rows}


def append(lake: Lake, events: Sequence[Mapping[str, Any]]) -> None:
    """Add events to the end of the chain; nothing that is there is rewritten.

    One process at a time: two that read the same last row would both follow it, and the chain would fork.

    Raises:
        UserError: another process has held the log for a minute.
    """
    if not events:
        return
    with _turn(lake):
        written = in_order(lake.arrow("ops_audit").to_pylist())
        rows = chain_events(events, written[-1]["hash"] if written else "")
        table = pa.Table.from_pylist(rows, schema=nullable(arrow_schema(lake.table("ops_audit"))))
        lake.commit_files("ops_audit", [write_file(lake.path("ops_audit"), table, {})])


@contextlib.contextmanager
def _turn(lake: Lake) -> Iterator[None]:
    """Hold the log alone; the lock dies with its process."""
    folder = lake.path("ops_audit")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(str(folder / ".append.lock"), timeout=_PATIENCE):
            yield
    except Timeout as error:
        raise UserError(
            "the access log is held by another process",
            where=str(folder),
            remedy="wait until it ends, then look again: nobody's data is shown without a row",
        ) from error


def in_order(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows from the first to the last by following the hashes, all that follow one row by time; unreached ones last."""
    after: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["at"], row["hash"])):
        after.setdefault(row["previous_hash"] or "", []).append(row)
    ordered: list[dict[str, Any]] = after.pop("", [])
    for row in ordered:  # grows while it is walked
        ordered.extend(after.pop(row["hash"], ()))
    return ordered + [row for others in after.values() for row in others]


def broken(rows: Sequence[dict[str, Any]]) -> str:
    """Why the chain cannot be trusted; empty where every row is as it was written, each behind one other."""
    last = ""
    before: dict[str, dict[str, Any]] = {}
    for position, row in enumerate(in_order(rows), start=1):
        previous = row["previous_hash"] or ""
        if previous in before:
            return f"rows {before[previous]['what']!r} and {row['what']!r} follow the same row: the chain forks"
        if previous != last:
            return f"row {position} ({row['what']}) does not follow the row before it: one was removed or changed"
        if digest({**row, "previous_hash": last}) != row["hash"]:
            return f"row {position} ({row['what']}) was changed after it was written"
        before[previous] = row
        last = row["hash"]
    return ""
