"""One delivery, read and written as Parquet by the task that was given its file names; nothing is published here.

In one pass: hashes, records, pseudonyms, measures of each column, what is set aside. Memory is bounded by the
largest file of a delivery, unpacked.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from conf.errors import MendableError
from conf.feed import Feed
from conf.schema import Schema
from dialects import Records, Refused, read, unpack
from jobs.lake import WrittenFile, write_file
from jobs.loading.measure import measure
from jobs.loading.secrets import pseudonyms

#: At most so many records of a delivery are set aside one by one; over it the feed's threshold has long refused it.
MOST_REFUSED = 1_000_000


@dataclass(frozen=True)
class File:
    """A data file of a delivery, as scanned."""

    name: str
    path: str
    bytes: int
    records: int


@dataclass(frozen=True)
class Work:
    """A delivery to load: everything that one control file lists."""

    feed: Feed
    schema: Schema
    data_date: dt.date
    hour: int
    resend: int
    arrived_at: dt.datetime
    files: tuple[File, ...]

    @property
    def key(self) -> str:
        """What a later delivery replaces: feed, data date and hour."""
        return f"{self.feed.code}/{self.data_date}/{self.hour}"

    @property
    def bytes(self) -> int:
        """Size as sent."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Loaded:
    """What a task found: rows written but not published, or why the delivery is refused.

    ``code`` is that of the file level; ``numbers`` are distinct phone numbers with their pseudonyms (profiles only).
    """

    work: Work
    delivery_id: str
    sha256: tuple[str, ...]
    code: str = "00"
    reason: str = ""
    written: WrittenFile | None = None
    rows: tuple[int, ...] = ()
    refused: tuple[tuple[str, Refused], ...] = ()
    measures: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[str, bytes] = field(default_factory=dict)


def load(work: Work, landing: Path, table: Path, key: bytes) -> Loaded:
    """Read a delivery and write its rows below ``table``.

    Args:
        work: the delivery.
        landing: where its files lie.
        table: folder of ``raw_<schema>``.
        key: of the pseudonyms.
    """
    data = [(landing / file.path).read_bytes() for file in work.files]
    digests = tuple(hashlib.sha256(content).hexdigest() for content in data)
    identity = identify(work, digests)
    numbers: dict[str, bytes] = {}
    keep_numbers = any(conform.entity == "customer" for conform in work.schema.conform)

    def known(values: list[str]) -> list[bytes]:
        found = pseudonyms(key, values)
        if keep_numbers:
            numbers.update((number, name) for number, name in zip(values, found, strict=True) if number and name)
        return found  # type: ignore[return-value]

    parts: list[Records] = []
    for file, content in zip(work.files, data, strict=True):
        try:
            records = read(work.feed, work.schema, unpack(work.feed, file.name, content), known)
        except MendableError as error:
            return Loaded(work, identity, digests, "10", f"{file.name}: {error.what}")
        if records.records != file.records:
            return Loaded(
                work,
                identity,
                digests,
                "06",
                f"{file.name}: {records.records} records, its control file says {file.records}",
            )
        parts.append(records)
    refused = tuple((file.name, one) for file, part in zip(work.files, parts, strict=True) for one in part.refused)
    total = sum(part.records for part in parts)
    if code := _over(work, refused, total):
        share = (
            f"{len(refused):,} of {total:,} records are at fault, the threshold is {work.feed.quarantine_threshold:.2%}"
        )
        first = f"; the first: {refused[0][0]} line {refused[0][1].line}, {refused[0][1].reason}" if refused else ""
        return Loaded(
            work, identity, digests, code, share + first if refused else "empty, which this feed does not allow"
        )
    rows = _table(work, identity, parts)
    partition = {"data_date": work.data_date, "feed": work.feed.code}
    written = write_file(table, rows, partition) if rows.num_rows else None
    counts = tuple(part.table.num_rows for part in parts)
    return Loaded(
        work, identity, digests, "00", "", written, counts, refused, measure(work, identity, rows, refused), numbers
    )


def identify(work: Work, digests: tuple[str, ...]) -> str:
    """The id of a delivery: content, feed, data date, hour and resend number."""
    said = [work.feed.code, work.data_date.isoformat(), work.hour, work.resend, sorted(digests)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def _over(work: Work, refused: tuple[tuple[str, Refused], ...], total: int) -> str:
    """The code under which a delivery is refused for its records; empty if it is not."""
    if total == 0:
        return "" if work.feed.empty_ok else "12"
    # below a hundred records a single fault would always be over the threshold: one is always allowed
    if len(refused) <= max(1.0, work.feed.quarantine_threshold * total) and len(refused) < MOST_REFUSED:
        return ""
    undecodable = sum(one.code == 6 for _, one in refused)
    return "11" if undecodable * 2 > len(refused) else "99"


def _table(work: Work, identity: str, parts: list[Records]) -> pa.Table:
    """Rows with what the loader says of them; partition columns are in the path."""
    tables = []
    for file, part in zip(work.files, parts, strict=True):
        n = part.table.num_rows
        own = pa.table(
            {
                "hour": pa.array(np.full(n, work.hour, np.int32)),
                "delivery_id": pa.array([identity] * n, pa.string()),
                "file": pa.array([file.name] * n, pa.string()),
                "line": pa.array(part.line),
            }
        )
        for name in part.table.column_names:
            own = own.append_column(name, part.table[name])
        tables.append(own)
    return pa.concat_tables(tables).combine_chunks()


def sizes(works: list[Work], batches: int) -> list[list[Work]]:
    """Deliveries in ``batches`` of about equal bytes, the large ones first; a stable order."""
    filled: list[list[Work]] = [[] for _ in range(batches)]
    load_of = [0] * batches
    for work in sorted(works, key=lambda w: (-w.bytes, w.key, w.resend)):
        lightest = load_of.index(min(load_of))
        filled[lightest].append(work)
        load_of[lightest] += work.bytes + 20_000  # opening and closing a small file costs about as much
    return [batch for batch in filled if batch]
