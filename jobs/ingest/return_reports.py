"""Return reports of ``vgop`` feeds: one of the file, and one of its records where any were refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from dialects import FileRefused
from dialects.names import local_text

#: The one-digit errors that a record report knows; anything else is 9.
KNOWN = frozenset("1234567")


def file_report(name: str, code: str, arrived_at: dt.datetime) -> bytes:
    """Name 40 (cut off if it is longer), code 2, time 14, CRLF. The time is the delivery's own: a rerun writes the same."""
    return f"{name[:40]:<40}{code:<2}{local_text(arrived_at):<14}\r\n".encode("ascii", "replace")


def record_report(unit_code: str, refused: Sequence[FileRefused]) -> bytes:
    """A line a refused record: line number 12, unit code 5, field number 3, error 1, CRLF."""
    return "".join(
        f"{record.line:012d}{unit_code:<5}{record.position:03d}{record.code if str(record.code) in KNOWN else 9}\r\n"
        for record in refused
    ).encode("ascii")


def write_reports(
    outbox: Path, name: str, unit_code: str, code: str, arrived_at: dt.datetime, refused: Sequence[FileRefused]
) -> None:
    """Write ``f_<name>.rpt``, and ``r_<name>.rpt`` where records were refused."""
    outbox.mkdir(parents=True, exist_ok=True)
    (outbox / f"f_{name}.rpt").write_bytes(file_report(name, code, arrived_at))
    records = outbox / f"r_{name}.rpt"
    if refused:
        records.write_bytes(record_report(unit_code, refused))
    else:
        records.unlink(missing_ok=True)  # of an earlier sending under this name
