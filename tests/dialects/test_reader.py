"""Headers, aliases, and what a writer puts into a file of any form: read back as it was."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from conf.schema import Schema
from dialects import HeaderError, find_columns, pieces, read, write_delivery
from tests.dialects.conftest import FIELDS, UTC, feed_of, pseudonym, rows_of, schema_of

DAY = dt.date(2026, 1, 8)
FORMS: dict[str, dict[str, Any]] = {
    "csv": {},
    "csv of GB18030 by ;": {"encoding": "gb18030", "delimiter": ";"},
    "header without quotes, by \\x01": {"quoted": False, "delimiter": "\x01"},
    "line numbers and a trailing tab": {"line_numbers": True, "delimiter": "\t", "trailing_delimiter": True},
}
ALIASES = {"no": "流水号", "word": "freeText", "at": 'a"b', "flag": "是否,否"}


def aliased(**changes: Any) -> Schema:
    """The schema with every type, some of whose fields files call otherwise."""
    fields = [field | ({"alias": ALIASES[field["name"]]} if field["name"] in ALIASES else {}) for field in FIELDS]
    return schema_of(fields=[field | changes.get(str(field["name"]), {}) for field in fields])


def rows() -> pa.Table:
    """Rows with what quotes are for."""
    return rows_of(
        no=[1, 2, 3],
        word=['a,"b', None, "東;中"],
        kind=["a", None, "b"],
        day=[DAY, None, dt.date(2026, 11, 12)],
        at=[dt.datetime(2026, 1, 8, 3, 4, 5, tzinfo=UTC), None, dt.datetime(1971, 1, 1, tzinfo=UTC)],
        flag=[True, None, False],
    )


@pytest.mark.parametrize("name", FORMS)
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    feed, schema = feed_of("csv", **FORMS[name]), aliased()
    schema = schema if feed.quoted else schema_of()
    path, _ = write_delivery(feed, schema, rows(), tmp_path, DAY)
    [piece] = pieces(path)
    found = read(feed, schema, piece, pseudonym)
    assert (found.refused, found.records, found.lines) == ([], 3, 4)
    for column in ("no", "word", "kind", "day", "at", "flag"):
        assert found.table[column].to_pylist() == rows()[column].to_pylist()
    assert found.line.tolist() == [2, 3, 4]


def test_a_file_of_json_may_call_fields_otherwise(tmp_path: Path) -> None:
    feed, schema = feed_of("jsonl_gz"), aliased()
    path, _ = write_delivery(feed, schema, rows(), tmp_path, DAY)
    [piece] = pieces(path)
    assert '"流水号":1'.encode() in piece
    found = read(feed, schema, piece, pseudonym)
    assert found.table["word"].to_pylist() == rows()["word"].to_pylist()
    assert found.table["at"].to_pylist() == rows()["at"].to_pylist()
    assert found.table["_rest"].null_count == 3
    plain = read(feed, schema, '{"no": 7, "流水号": 8}\n{"流水号": "x"}\n'.encode(), pseudonym)
    assert plain.table.select(["no", "_rest"]).to_pylist() == [{"no": 8, "_rest": '{"no": 7}'}]
    assert [(one.field, one.offset) for one in plain.refused] == [("no", 26)]


def test_a_byte_order_mark_before_json_is_no_part_of_it() -> None:
    found = read(feed_of("jsonl_gz"), schema_of(), b'\xef\xbb\xbf{"no":1}\n{"no":"x"}\n', pseudonym)
    assert found.table["no"].to_pylist() == [1]
    assert [(one.line, one.offset) for one in found.refused] == [(2, 12)]


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("no,word", "does not name the 3 columns of schema every: it has about 2"),
        ("no,word,colour", "does not name 'kind'; names what the schema does not know: 'colour'"),
        ("no,word,word", "does not name 'kind'; names twice 'word'"),
        ("1,a,b", "names what the schema does not know: '1', 'a', 'b'"),
    ],
)
def test_a_header_names_every_column_once_and_no_other(head: str, says: str, tmp_path: Path) -> None:
    schema = schema_of(fields=[field for field in FIELDS if field["name"] in ("no", "word", "kind")])
    (tmp_path / "sent").write_text(f"{head}\n1,a,a\n")
    with pytest.raises(HeaderError, match=says):
        read(feed_of("csv"), schema, (tmp_path / "sent").read_bytes(), pseudonym)
    with pytest.raises(HeaderError, match=says):
        find_columns(feed_of("csv"), schema, tmp_path / "sent")


def test_a_file_with_nothing_has_no_header(tmp_path: Path) -> None:
    (tmp_path / "sent").touch()
    assert find_columns(feed_of("csv"), schema_of(), tmp_path / "sent") == ()
    assert read(feed_of("csv"), schema_of(), b"", pseudonym).lines == 0
