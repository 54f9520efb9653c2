"""Files whose first line names their columns: loaded in spans and pieces as whole, or refused by name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from jobs.ingest import deliveries, task
from tests.jobs.ingest.conftest import Desk

NUMBERS = list(range(1, 301))
BAD = b"x;;;;;;;"


def reorder(path: Path) -> None:
    """Put the first column last, in a file of ;."""
    lines = [line.split(b";") for line in path.read_bytes().splitlines()]
    path.write_bytes(b"".join(b";".join([*rest, first]) + b"\n" for first, *rest in lines))


@pytest.mark.parametrize("span", [1 << 26, 1_000])
def test_every_span_reads_columns_as_the_header_has_them(
    desk: Desk, span: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SPAN", span)
    data, _ = desk.send("headed_verf", NUMBERS, raw={200: BAD})
    reorder(data)
    assert desk.load()["codes"] == {"00": 1}
    assert desk.numbers("headed_verf") == [n for n in NUMBERS if n != 201]
    assert sorted(line for (line,) in desk.rows("line")) == [n + 1 for n in NUMBERS if n != 201]
    [bad] = desk.aside()
    content = data.read_bytes()
    assert (bad["line"], bad["raw"]) == (202, b";;;;;;;x")
    assert content[bad["byte_offset"] :].startswith(bad["raw"] + b"\n")


def test_a_packed_file_is_read_in_threads(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "THREADED", 0)
    monkeypatch.setattr("dialects.streams.PIECE", 1_000)
    desk.send("headed_csv", NUMBERS, raw={200: b"x,,,,,,,"})
    assert desk.load()["codes"] == {"00": 1}
    assert desk.numbers("headed_csv") == [n for n in NUMBERS if n != 201]
    assert [bad["line"] for bad in desk.aside()] == [202]


def test_a_header_of_other_columns_refuses_the_file_by_name(desk: Desk) -> None:
    data, control = desk.send("headed_csv", NUMBERS)
    content = gzip.decompress(data.read_bytes()).replace(b"no,phone", b"no,mobile", 1)
    old = data.stat().st_size
    data.write_bytes(gzip.compress(content, 4, mtime=0))
    control.write_text(control.read_text().replace(f"${old}$", f"${data.stat().st_size}$"))
    assert desk.load()["codes"] == {"99": 1}
    [row] = desk.night().lake.arrow("ops_delivery").to_pylist()
    assert "the header does not name 'phone'; names what the schema does not know: 'mobile'" in row["reason"]
    assert desk.rows() == []
    assert set(desk.rejected("headed_csv")) == {data.name, control.name}
