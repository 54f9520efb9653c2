"""Types of columns, names and keys: a guess never loses a digit, and never takes a date for another."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dialects.guess import find_keys, guess, has_header, name_column


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


@pytest.mark.parametrize(
    ("values", "kind", "form"),
    [
        (["2026-01-08"], "date", "%Y-%m-%d"),
        (["2020/3/18", "2020/11/2"], "date", "%Y/%-m/%-d"),
        (["2020-3-8"], "date", "%Y-%-m-%-d"),
        (["2020年3月8日"], "date", "%Y年%-m月%-d日"),
        (["24/12/2018", "01/02/2018"], "date", "%d/%m/%Y"),
        (["01/02/2018", "03/04/2018"], "string", ""),  # nothing tells day from month
        (["22-Apr-15"], "date", "%d-%b-%y"),
        (["2026-01-08 09:00:00"], "timestamp", "%Y-%m-%d %H:%M:%S"),
        (["2026/1/8 9:00"], "timestamp", "%Y/%-m/%-d %-H:%M"),
        (["2026-01-08T09:00:00Z", "2026-01-08T09:00:00.123+08:00"], "timestamp", "iso"),
        (["2026-02-30"], "string", ""),
        (["true", "false"], "bool", ""),
    ],
)
def test_forms_of_dates_are_recognised(values: list[str], kind: str, form: str) -> None:
    found = guess("x", values)
    assert (found.type, found.format) == (kind, form)


def test_a_note_tells_what_a_guess_leaves_open() -> None:
    assert "day from month" in guess("x", ["01/02/2018"]).note
    assert guess("x", [str(n) for n in range(50)] + ["n/a"]).note == "text, though most values are int: 'n/a' is not"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("callId", "call_id"),
        ("customerID", "customer_id"),
        ("HTTPStatus", "http_status"),
        ("emp.var.rate", "emp_var_rate"),
        ("Ticket #", "ticket"),
        ("2Gmax", "field_2_gmax"),
        ("流水号", "field_7"),
        ("备注", "remark"),
        ("4\\5G用户", "field_7"),
        ("line", "sent_line"),
        ("", "field_7"),
        ("taken", "taken_2"),
    ],
)
def test_a_column_gets_a_name_that_a_schema_may_have(sent: str, name: str) -> None:
    assert name_column(sent, 7, {"备注": "remark"}, {"taken"}) == name


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        ([["id", "n"], ["a", "1"]], True),
        ([["a", "2"], ["b", "1"]], False),
        ([["用户", "主题"], *[[f"u{n}", "甲"] for n in range(9)]], True),
        ([["u", "甲"], *[[f"u{n}", "甲"] for n in range(9)]], False),  # 甲 stands in its column again
        ([["u", "乙"], ["v", "甲"]], False),  # nothing stands out
        ([["", "n"], ["a", "1"]], True),
        ([["", ""], ["a", "1"]], False),
        ([["20260108", "n"], ["20260109", "1"]], False),
    ],
)
def test_a_header_is_seen_by_what_it_names(rows: list[list[str]], header: bool) -> None:
    assert has_header(rows) == header


def test_keys_are_columns_that_tell_records_apart() -> None:
    columns = [
        pa.array(values) for values in (["1", "2", "3"], ["a", "b", None], ["1.5", "2.5", "3.5"], ["x", "y", "z"])
    ]
    names, types = ["at", "gap", "share", "id"], ["timestamp", "string", "decimal", "string"]
    assert find_keys(names, types, columns) == (("id",), ("at",))
    assert find_keys(names[:1], types[:1], [pa.array(["1", "1"])]) == ()
    three = [pa.array(list(text)) for text in ("aaaabbbb", "ccddccdd", "efefefef")]
    assert find_keys(["p", "q", "r"], ["string"] * 3, three) == (("p", "q", "r"),)
