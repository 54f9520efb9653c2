"""A draft from a sample: every form that the writer writes is recognised, and the draft is a valid contract."""

from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
import zstandard

from conf.errors import UserError
from conf.feed import Feed
from conf.schema import Schema
from dialects import write_delivery
from dialects.draft import ReadBack, draft, read_back
from dialects.sniff import FileSample, encoding_of, sniff
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


CSV = "流水号,callId,bornOn,时间,备注,topicCode\n" + "".join(
    f'{n:03d},{n % 4},2020/{n % 12 + 1}/{n % 28 + 1},2026-01-09T08:00:{n:02d}+08:00,"a,""{n % 3}""",{"甲乙"[n % 2]}\n'
    for n in range(60)
)
WORDS = {"备注": "remark"}
TYPES = ["long", "phone", "code", "code", "int", "int", "decimal", "decimal", "date", "timestamp", "int"]


def drafted(name: str, content: bytes) -> tuple[FileSample, Feed, Schema, ReadBack]:
    """What is made of a file, and what the draft makes of it."""
    found = sniff(name, content)
    texts = draft(found, "drafted", {"12345"})
    feed, schema = (yaml.safe_load(text) for text in texts)
    return found, Feed.model_validate(feed), Schema.model_validate(schema), read_back(*texts, found)


def test_every_form_is_recognised(tmp_path: Path, form: str) -> None:
    feed = feed_of(form)
    path = write_delivery(feed, schema_of(), ROWS, tmp_path, dt.date(2026, 1, 8))[0]
    found, made, schema, result = drafted(path.name, path.read_bytes())
    names = ("dialect", "layout", "compression", "delimiter", "encoding", "header", "quoted", "line_numbers")
    wanted = {name: getattr(feed, name) for name in names}
    wanted["quoted"] = False  # nothing in it needs quotes
    assert {name: getattr(made, name) for name in names} == wanted
    assert (made.trailing_delimiter, made.sender) == (
        feed.trailing_delimiter,
        feed.sender if "verf" in form else made.sender,
    )
    assert found.encoding_confidence == 1.0
    assert [one.type for one in found.fields] == TYPES or feed.layout == "fixed"
    assert made.unit_code == "90000"  # the one in the name is taken
    assert (result.records, result.rows, result.obstacles) == (N, N, ())
    if feed.header or feed.dialect == "jsonl":
        assert [field.name for field in schema.fields] == ROWS.column_names
    assert schema.key == (schema.fields[0].name,)


def test_the_encoding_is_the_one_that_reads_most() -> None:
    assert encoding_of(["中文".encode()] * 9 + [b"\xff"]) == ("utf-8", 0.9)
    assert encoding_of(["中文個".encode("gb18030")]) == ("gb18030", 1.0)
    assert encoding_of([b"plain"]) == ("ascii", 1.0)


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(UserError, match="nothing in it"):
        sniff("x.dat", b"\n\n")


@pytest.mark.parametrize(
    ("encoding", "written"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("gbk", "gbk"), ("gb18030", "gb18030")]
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "$", "\x01"])
def test_a_csv_with_everything(encoding: str, written: str, separator: str) -> None:
    inside = "," if separator == "\x01" else separator  # a control character is none of a value, in quotes either
    text = CSV.replace('"a,', "\0").replace(",", separator).replace("\0", f'"a{inside}')
    text = text.replace("甲", "\u20ac" if encoding == "gb18030" else "甲")  # in GBK of 1995, the euro is not
    found = sniff("of nobody.csv", text.encode(encoding), WORDS)
    texts = draft(found, "drafted", set())
    feed, schema = Feed.model_validate(yaml.safe_load(texts[0])), Schema.model_validate(yaml.safe_load(texts[1]))
    assert found.written == written
    assert (feed.encoding, feed.delimiter) == ("utf-8" if "utf" in encoding else "gb18030", separator)
    assert (feed.header, feed.quoted, feed.line_numbers) == (True, True, False)
    assert feed.dialect == ("avl" if separator == "$" else "verf")
    assert [(one.name, one.alias, one.label, one.type) for one in schema.fields] == [
        ("field_1", "流水号", "流水号", "string"),
        ("call_id", "callId", "callId", "int"),
        ("born_on", "bornOn", "bornOn", "date"),
        ("field_4", "时间", "时间", "timestamp"),
        ("remark", "备注", "备注", "code"),
        ("topic_code", "topicCode", "topicCode", "code"),
    ]
    assert [one.format for one in schema.fields if one.format] == ["%Y/%-m/%-d", "iso"]
    assert schema.key == ("field_1",)
    result = read_back(*texts, found)
    assert (result.rows, result.records, result.good) == (60, 60, True)


def test_json_with_keys_of_any_kind() -> None:
    lines = [
        f'{{"callId":"c{n}","是否投诉":{"true" if n % 2 else "false"},"at":"2026-01-0{n % 9 + 1}T00:00:00Z","x-y":{{"a":[{n}]}}}}'
        for n in range(50)
    ]
    found, feed, schema, result = drafted("events_2026010807_001.jsonl.gz", gzip.compress("\n".join(lines).encode()))
    assert (feed.dialect, feed.compression, feed.granularity) == ("jsonl", "gzip", "hourly")
    assert [(one.name, one.alias, one.type, one.format) for one in schema.fields] == [
        ("call_id", "callId", "string", ""),
        ("field_2", "是否投诉", "bool", ""),
        ("at", "", "timestamp", "iso"),
        ("x_y", "x-y", "string", ""),
    ]
    assert schema.key == ("call_id",)
    assert (result.rows, result.records) == (50, 50)
    assert "x_y is nested: kept as JSON text" in found.remarks()


def test_a_key_may_need_several_columns() -> None:
    lines = "".join(f"{n // 3}|{'abc'[n % 3]}|1.5\n" for n in range(90))
    _, _, schema, result = drafted("x.dat", lines.encode())
    assert schema.key == ("field_1", "field_2")
    found, _, schema, result = drafted("x.dat", b"1|a\n2|b\n1|a\n" * 20)
    assert schema.key == ()
    assert result.good
    assert any("without a key" in one for one in found.remarks())


def test_a_first_line_that_looks_like_the_others_is_no_header() -> None:
    _, feed, _, result = drafted("x.dat", "".join(f"n{n}|{'甲乙'[n % 2]}\n" for n in range(40)).encode())
    assert (feed.header, result.records) == (False, 40)
    _, feed, _, result = drafted("x.dat", b"id|kind\n" + "".join(f"n{n}|{'ab'[n % 2]}\n" for n in range(40)).encode())
    assert (feed.header, result.records) == (True, 40)


def test_a_column_that_counts_the_records_is_told() -> None:
    found, feed, _, _ = drafted("x.dat", "".join(f"{n}|{n % 3}\n" for n in range(1, 31)).encode())
    assert not feed.line_numbers
    assert any("field_1 counts the records" in one for one in found.remarks())


def test_what_nearly_fits_is_text_and_told() -> None:
    found, _, schema, _ = drafted("x.dat", "".join(f"a{n}|{'n/a' if n == 7 else n}.5\n" for n in range(60)).encode())
    assert schema.fields[1].type == "string"
    assert "field_2: text, though most values are decimal: 'n/a.5' is not" in found.remarks()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.xlsx", b"PK\x03\x04rest", "Excel workbook"),
        ("x.parquet", b"PAR1rest", "Parquet"),
        ("x.csv", "a,b\n".encode("utf-16"), "UTF-16"),
        ("x.json", b'[{"a":1},\n{"a":2}]\n', "one JSON value over the whole file"),
        ("x.json", b'{\n"a": 1\n}\n', "one JSON value over the whole file"),
        ("x.dat", b"1||a||b\n2||c||d\n" * 9, "separated by '||'"),
        ("x.dat", b"1|+|a|+|b\n2|+|c|+|d\n" * 9, "separated by '|[+]|'"),
        ("x.csv", b"no,no\n1,2\n3,4\n", "two columns are called 'no'"),
        ("x.csv", b",b\n1,2\n3,4\n", "column 1 has no name"),
        ("x.csv", b"# made by me\nid,n\n" + b"a,1\nb,2\n" * 9, "lines stand before the header"),
        ("x.dat", b"\xef\xbb\xbf1|\xd6\xd0\xce\xc4\n", "byte order mark of UTF-8 stands before text of GB18030"),
        ("x.dat", "\ufeff1|中\n".encode("gb18030"), "GB18030 behind a byte order mark"),
    ],
)
def test_what_cannot_be_declared_is_named(name: str, content: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        sniff(name, content)
    assert caught.value.remedy
    assert caught.value.where.startswith(name)


def test_a_delimited_file_in_zstd_is_named() -> None:
    with pytest.raises(UserError, match="packed by zstd"):
        sniff("x.zst", zstandard.compress(b"1|2\n3|4\n"))
