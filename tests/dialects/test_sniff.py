"""A draft from a sample: every form that the writer writes is recognised, and the draft is a valid contract."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from conf.errors import MendableError
from conf.feed import Feed
from conf.schema import Schema
from dialects import write_delivery
from dialects.draft import draft
from dialects.sniff import encoding_of, guess, sniff
from tests.dialects.conftest import UTC, feed_of, rows_of, schema_of

N = 60
ROWS = rows_of(
    no=[20_000_000_000 + n for n in range(N)],
    phone=[f"1000{n:07d}" for n in range(N)],
    word=["東個" if n % 2 else "中文|"[:2] for n in range(N)],
    kind=["ab"[n % 2] for n in range(N)],
    small=[n % 11 - 5 for n in range(N)],
    whole=[n * 7 for n in range(N)],
    money=[Decimal(n) / 4 for n in range(N)],
    share=[n / 64 for n in range(N)],
    day=[dt.date(2026, 1, 1 + n % 28) for n in range(N)],
    at=[dt.datetime(2026, 1, 1, n % 24, tzinfo=UTC) for n in range(N)],
    flag=[n % 2 == 0 for n in range(N)],
)


def test_every_form_is_recognised(tmp_path: Path, form: str) -> None:
    feed = feed_of(form)
    path = write_delivery(feed, schema_of(), ROWS, tmp_path, dt.date(2026, 1, 8))[0]
    found = sniff(path.name, path.read_bytes())
    assert (found.dialect, found.layout, found.compression) == (feed.dialect, feed.layout, feed.compression)
    assert (found.encoding, found.encoding_confidence) == ("utf-8" if feed.dialect == "jsonl" else "gb18030", 1.0)
    types = [one.type for one in found.fields]
    if feed.layout == "delimited":
        assert types == [
            "long",
            "phone",
            "code",
            "code",
            "int",
            "int",
            "decimal",
            "decimal",
            "date",
            "timestamp",
            "int",
        ]
        assert found.fields_confidence == 1.0
    feed_text, schema_text = draft(found, "drafted", {"12345"})
    made = Feed.model_validate(yaml.safe_load(feed_text))
    assert (made.dialect, made.layout, made.compression) == (feed.dialect, feed.layout, feed.compression)
    assert made.trailing_delimiter == feed.trailing_delimiter
    assert made.unit_code == "90000"  # the one in the name is taken
    schema = Schema.model_validate(yaml.safe_load(schema_text))
    assert len(schema.fields) == len(types)


def test_the_encoding_is_the_one_that_reads_most() -> None:
    assert encoding_of(["中文".encode()] * 9 + [b"\xff"]) == ("utf-8", 0.9)
    assert encoding_of(["中文個".encode("gb18030")]) == ("gb18030", 1.0)
    assert encoding_of([b"plain"]) == ("ascii", 1.0)


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(MendableError, match="nothing in it"):
        sniff("x.dat", b"\n\n")


def test_a_month_is_seen_in_the_name(tmp_path: Path) -> None:
    feed = feed_of("verf", granularity="monthly")
    path = write_delivery(feed, schema_of(), ROWS.slice(0, 5), tmp_path, dt.date(2025, 12, 31))[0]
    text, _ = draft(sniff(path.name, path.read_bytes()), "monthly_one", set())
    assert yaml.safe_load(text)["granularity"] == "monthly"
    assert yaml.safe_load(text)["unit_code"] == "12345"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "23", ""], "int"),
        (["1", "2001425113"], "long"),
        (["2001425113000000000", "7"], "long"),
        (["9223372036854775808"], "string"),
        (["20014251130000000000"], "string"),
        (["007", "123"], "string"),
        (["0", "-5"], "int"),
        (["1", "2.50"], "decimal"),
        (["1.5", "2e-3"], "double"),
        (["1", "x"], "string"),
        (["20260108", "20260230"], "int"),
        (["20260108000001"], "timestamp"),
        (["10012345678"], "phone"),
        (["20260108"], "date"),
    ],
)
def test_a_guess_never_loses_a_digit(values: list[str], kind: str) -> None:
    assert guess("x", tuple(values)).type == kind
