"""Faults of real records, below the threshold at which a loader refuses the whole delivery."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.feed import Feed
from conf.preset import Faults
from conf.schema import Schema
from dialects.writer import content_of

ROOM = 0.4  # share of a feed's quarantine threshold that faults may use
CUT = 0.9  # share of its rows that a delivery has that will be sent again


def incomplete(table: pa.Table) -> pa.Table:
    """The first sending of a delivery that is restated later: its last tenth is absent."""
    return table.slice(0, int(table.num_rows * CUT))


def with_faults(
    feed: Feed, schema: Schema, table: pa.Table, rng: np.random.Generator, faults: Faults
) -> tuple[pa.Table, dict[int, bytes]]:
    """Repeat some rows, give some an unknown code, and break the bytes of some.

    Returns:
        the table, and lines that stand in the place of some of its rows (row from 0 → bytes without line end).
    """
    room = int(ROOM * feed.quarantine_threshold * table.num_rows)
    wanted = rng.poisson(np.array([faults.duplicate, faults.changed_code, faults.bad_bytes]) * table.num_rows)
    if room < 1 or feed.parts > 1:
        return table, {}
    repeated = int(min(wanted[0], max(room - 2, 0)))
    table = _repeat(table, rng, repeated)
    room -= repeated
    coded = int(min(wanted[1], max(room - 1, 0)))
    table = _change_codes(schema, table, rng, coded)
    broken = int(min(wanted[2], room - coded))
    rows = rng.choice(table.num_rows, size=broken, replace=False) if broken > 0 else np.zeros(0, dtype=np.int64)
    return table, {int(row): broken_line(feed, schema, table, int(row)) for row in np.sort(rows)}


def _repeat(table: pa.Table, rng: np.random.Generator, n: int) -> pa.Table:
    if not n:
        return table
    order = np.sort(np.concatenate([np.arange(table.num_rows), rng.integers(0, table.num_rows, n)]), kind="stable")
    return table.take(pa.array(order))


def _change_codes(schema: Schema, table: pa.Table, rng: np.random.Generator, n: int) -> pa.Table:
    """Codes that the source introduced without telling."""
    coded = [k for k, field in enumerate(schema.fields) if field.type == "code" and not field.width]
    if not n or not coded:
        return table
    k = coded[int(rng.integers(0, len(coded)))]
    new = np.zeros(table.num_rows, dtype=bool)
    new[rng.integers(0, table.num_rows, n)] = True
    return table.set_column(k, table.column_names[k], pc.if_else(pa.array(new), "X9", table.column(k)))


def broken_line(feed: Feed, schema: Schema, table: pa.Table, row: int) -> bytes:
    """The line of ``row`` with a byte that no encoding knows in the place of its last letter or digit."""
    line = content_of(feed, schema, table.slice(row, 1), {}).rstrip(b"\r\n")
    if feed.dialect == "vgop":
        line = str(row + 1).encode() + line[1:]
    at = next((k for k in range(len(line) - 1, 0, -1) if line[k : k + 1].isalnum() and line[k - 1] < 0x80), 0)
    return line[:at] + b"\xff" + line[at + 1 :]
