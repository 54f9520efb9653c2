"""A draft is read back: what it does not read is told by kind, with its first place and a remedy."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import yaml

from dialects import write_delivery
from dialects.draft import draft
from dialects.sniff import sniff
from tests.dialects.conftest import feed_of, schema_of
from tests.dialects.test_sniff import ROWS, drafted


def test_a_month_is_seen_in_the_name(tmp_path: Path) -> None:
    feed = feed_of("verf", granularity="monthly")
    path = write_delivery(feed, schema_of(), ROWS.slice(0, 5), tmp_path, dt.date(2025, 12, 31))[0]
    text, _ = draft(sniff(path.name, path.read_bytes()), "monthly_one", set())
    assert yaml.safe_load(text)["granularity"] == "monthly"
    assert yaml.safe_load(text)["unit_code"] == "12345"


def test_a_draft_that_does_not_read_its_sample_says_why() -> None:
    lines = [f'{n},"two\nlines",{n}.5\n' if n % 10 == 0 else f'{n},"a,b",{n}.5\n' for n in range(1, 101)]
    _, _, _, result = drafted("x.csv", "".join(lines).encode())
    assert (result.records, result.rows, result.good) == (110, 90, False)
    assert {one.what.split(" (")[0]: one.count for one in result.obstacles} == {
        "quotes do not enclose one field of this line": 10,
        "column count": 10,
    }
    assert result.obstacles[0].where.startswith("line 10, byte ")
    assert all(one.remedy for one in result.obstacles)


def test_most_of_a_sample_is_enough() -> None:
    content = "".join(f"{n}|a\n" for n in range(200)).encode() + b"total\n"
    _, _, _, result = drafted("x.dat", content)
    assert (result.records, result.rows, result.good) == (201, 200, True)
    assert [(one.count, one.what, one.where) for one in result.obstacles] == [
        (1, "column count", "line 201, byte 1090")
    ]


def test_every_kind_of_obstacle_has_its_remedy() -> None:
    lines = [b"1|a|2026-01-08\n", b"\n", b"2|b\n", b"3|\xff|2026-01-08\n", b"4|\x01|2026-01-08\n", b"\r\n"]
    content = b"".join(b"1%d|a|2026-01-08\n" % n for n in range(10, 40)) + b"".join(lines)
    *_, result = drafted("x.dat", content)
    assert not result.good
    assert [(one.count, one.what, one.where.split(",")[0]) for one in result.obstacles] == [
        (2, "an empty line", "line 32"),
        (1, "column count", "line 33"),
        (1, "undecodable bytes", "line 34"),
        (1, "a control character", "line 35"),
    ]
    asked = ("leave empty lines out", "delimiter out of values", "in UTF-8 or GB18030", "no control character")
    assert all(what in one.remedy for what, one in zip(asked, result.obstacles, strict=True))


def test_what_the_name_says_goes_into_the_draft(tmp_path: Path) -> None:
    for form, key, value in (("avl", "letter", "t"), ("verf", "sender", "20086")):
        path = write_delivery(feed_of(form), schema_of(), ROWS, tmp_path, dt.date(2026, 1, 8))[0]
        text, _ = draft(sniff(path.name, path.read_bytes()), "x", set())
        assert (yaml.safe_load(text)[key], yaml.safe_load(text)["unit_code"]) == (value, "12345")
