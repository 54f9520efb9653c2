"""Text to types: what a value becomes depends on the value alone, not on its neighbours, and follows the contract."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialects.conftest import FIELDS, UTC, convert, pseudonym, schema_of
from tests.examples import examples

ODD = [
    "",
    " ",
    "0",
    "-0",
    "+1",
    "1 ",
    " 1",
    "00012",
    "1.",
    ".5",
    "1.5",
    "1.50",
    "1.234",
    "1e3",
    "1E-2",
    "0x10",
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "NaN",
    "true",
    "TRUE",
    "2",
    "99999999999999999999",
    "-32768",
    "32768",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "9999999999999999.99",
    "99999999999999999.99",
    "１２",
    "٣",
    "1_000",
    "1,5",
    "20260230",
    "20260229",
    "20240229",
    "2026-01-01",
    "20260101",
    "20260101000000",
    "20260101240000",
    "20260101235960",
    "2026010100000",
    "00010101",
    "99991231",
    "10000000001",
    "100x",
    "123",
    "a",
    "b",
    "c",
    "ａ",
    "六个字的文字",
    "七个字的文字了",
]
VALUES = st.one_of(st.none(), st.sampled_from(ODD), st.text("0123456789+-.eEx a", max_size=6))


def single(name: str, **changes: Any) -> Any:
    """A schema of this one field."""
    field = next(field for field in FIELDS if field["name"] == name)
    return schema_of(fields=[{**field, **changes}], key=())


def typed(name: str, values: list[str | None], **changes: Any) -> list[tuple[Any, int]]:
    """Value and code of fault (0 none) of each text."""
    columns, faults = convert(single(name, **changes), [pa.array(values, pa.string())])
    codes = [0] * len(values)
    for fault in faults:
        for row in fault.rows.tolist():
            codes[row] = codes[row] or fault.code
    return list(zip(columns[0].to_pylist(), codes, strict=True))


@pytest.mark.parametrize("name", [field["name"] for field in FIELDS])
@given(values=st.lists(VALUES, min_size=1, max_size=8))
@settings(max_examples=examples(60), deadline=None)
def test_a_value_does_not_depend_on_its_neighbours(name: str, values: list[str | None]) -> None:
    together = typed(name, values)
    assert repr(together) == repr([typed(name, [value])[0] for value in values])


@pytest.mark.parametrize("name", [field["name"] for field in FIELDS])
def test_odd_texts_all_at_once(name: str) -> None:
    assert repr(typed(name, list(ODD))) == repr([typed(name, [value])[0] for value in ODD])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("whole", "-12", -12),
        ("whole", "007", 7),
        ("no", "9223372036854775807", 2**63 - 1),
        ("small", "-5", -5),
        ("money", "12.3", Decimal("12.30")),
        ("money", "-0.01", Decimal("-0.01")),
        ("share", "1e-3", 0.001),
        ("day", "20240229", dt.date(2024, 2, 29)),
        ("at", "20260101000000", dt.datetime(2025, 12, 31, 16, tzinfo=UTC)),
        ("flag", "1", True),
        ("flag", "0", False),
        ("kind", "b", "b"),
        ("word", "六个字的文字", "六个字的文字"),
        ("phone", "10000000001", pseudonym(pa.array(["10000000001"]))[0].as_py()),
        ("whole", None, None),
    ],
)
def test_what_fits(name: str, text: str | None, value: object) -> None:
    assert typed(name, [text]) == [(value, 0) if not (name == "no" and text is None) else (None, 4)]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("whole", "1.5", 1),
        ("whole", "2147483648", 1),
        ("whole", "0x10", 1),
        ("whole", "1e3", 1),
        ("whole", " 1", 1),
        ("whole", "1_000", 1),
        ("whole", "１２", 1),
        ("money", "1.234", 1),
        ("money", "1e3", 1),
        ("money", "nan", 1),
        ("money", "99999999999999999.99", 1),
        ("share", "nan", 1),
        ("share", "inf", 1),
        ("share", "0x10", 1),
        ("day", "20260230", 1),
        ("day", "2026-01-01", 1),
        ("day", "2026011", 1),
        ("at", "20260101240000", 1),
        ("at", "2026010100000", 1),
        ("flag", "2", 1),
        ("flag", "yes", 1),
        ("kind", "c", 3),
        ("kind", "A", 3),
        ("word", "七个字的文字了", 2),
        ("phone", "100x", 1),
        ("phone", "１０００００００００１", 1),
        ("small", "6", 9),
        ("small", "-6", 9),
        ("no", None, 4),
    ],
)
def test_what_does_not(name: str, text: str | None, code: int) -> None:
    [(_, found)] = typed(name, [text])
    assert found == code


def test_a_date_of_another_form() -> None:
    assert typed("day", ["2026-01-08", "20260108"], format="%Y-%m-%d") == [(dt.date(2026, 1, 8), 0), (None, 1)]


def at(*moment: int) -> dt.datetime:
    return dt.datetime(*moment, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-09T08:00:00+08:00", at(2026, 1, 9)),
        ("2026-01-09T08:00:00+0800", at(2026, 1, 9)),
        ("2026-01-09 08:00:00+08", None),
        ("2026-01-09T08:00:00Z", at(2026, 1, 9, 8)),
        ("2026-01-09T08:00:00.5Z", at(2026, 1, 9, 8, 0, 0, 500_000)),
        ("2026-01-09T08:00:00.123456789-05:30", at(2026, 1, 9, 13, 30, 0, 123_456)),
        ("2026-01-09T08:00:00,25", at(2026, 1, 9, 0, 0, 0, 250_000)),
        ("2026-01-09 08:00:00", at(2026, 1, 9)),
        ("1988-07-01T09:00:00", at(1988, 7, 1)),  # Shanghai had summer time
        ("1988-07-01T08:00:00+08:00", at(1988, 7, 1)),
        ("1969-12-31T23:59:59.999999Z", at(1969, 12, 31, 23, 59, 59, 999_999)),
        ("2026-02-30T08:00:00Z", None),
        ("2026-01-09T24:00:00Z", None),
        ("2026-01-09T08:00:60Z", None),
        ("2026-01-09T08:00:00+24:00", None),
        ("2026-01-09T08:00:00z", None),
        ("2026-01-09T08:00:00.Z", None),
        ("2026-01-09T08:00Z", None),
        ("2026-1-9T08:00:00Z", None),
        ("0001-01-01T00:00:00+08:00", None),  # before the year 1, in UTC
        ("20260109080000", None),
        ("2026-01-09T08:00:00Z ", None),
        ("２026-01-09T08:00:00Z", None),
    ],
)
def test_an_instant_says_its_zone(text: str, value: dt.datetime | None) -> None:
    assert typed("at", [text], format="iso") == [(value, 0 if value else 1)]
    assert typed("at", ["2026-01-01T00:00:00Z", text, None], format="iso")[1:] == [
        (value, 0 if value else 1),
        (None, 0),
    ]


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        ("%Y/%-m/%-d", "2020/3/18", dt.date(2020, 3, 18)),
        ("%Y/%-m/%-d", "2020/03/18", dt.date(2020, 3, 18)),
        ("%Y-%-m-%-d", "2020-3-8", dt.date(2020, 3, 8)),
        ("%Y-%-m-%-d", "2020-12-31", dt.date(2020, 12, 31)),
        ("%Y年%-m月%-d日", "2020年2月29日", dt.date(2020, 2, 29)),
        ("%Y-%-m-%-d", "2020-3-8 ", None),
        ("%Y-%-m-%-d", "2020-003-8", None),
        ("%Y-%-m-%-d", "2020-2-30", None),
        ("%Y-%-m-%-d", "2020-13-1", None),
        ("%Y-%-m-%-d", "0000-1-1", None),
        ("%Y.%-m.%-d", "2020x3x8", None),
        ("%Y-%m-%d", "2020-3-8", None),
    ],
)
def test_a_date_may_be_written_without_leading_zeros(form: str, text: str, value: dt.date | None) -> None:
    assert typed("day", [text], format=form) == [(value, 0 if value else 1)]


def test_a_time_may_be_written_without_leading_zeros() -> None:
    form = "%Y/%-m/%-d %-H:%M"
    assert typed("at", ["2026/1/9 8:05", "2026/1/9 8:5", "2026/1/9 25:05"], format=form) == [
        (at(2026, 1, 9, 0, 5), 0),
        (None, 1),
        (None, 1),
    ]
