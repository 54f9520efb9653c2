"""No date or time that Python, UTC or a calendar cannot hold becomes a value: sentinels of years 1, 1900 and 9999."""

from __future__ import annotations

import pyarrow as pa
import pytest

from conf.schema import Field
from dialects.instants import instants, say_form


def field_of(kind: str, form: str) -> Field:
    return Field.model_validate({"name": "at", "type": kind, "label": "时", "format": form})


@pytest.mark.parametrize(
    ("kind", "form", "texts"),
    [
        (
            "timestamp",
            "",
            [
                "00010101000000",
                "00010101080000",
                "19000101000000",
                "18991230000000",
                "99991231235959",
                "30000101000000",
            ],
        ),
        ("date", "", ["00010101", "18991230", "19000101", "99991231", "30000101"]),
        ("date", "%Y/%-m/%-d", ["1/1/1", "0001/1/1", "1900/1/1", "9999/12/31"]),
        ("date", "%Y年%m月%d日", ["0001年01月01日", "1900年01月01日", "9999年12月31日"]),
        (
            "timestamp",
            "iso",
            ["0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59Z", "1900-01-01T00:00:00", "3000-01-01T00:00:00"],
        ),
    ],
)
def test_a_sentinel_is_no_time(kind: str, form: str, texts: list[str]) -> None:
    assert instants(field_of(kind, form), pa.array(texts)).to_pylist() == [None] * len(texts)


@pytest.mark.parametrize(
    ("kind", "texts"), [("date", ["19010101", "29991231"]), ("timestamp", ["19010101000000", "29991231235959"])]
)
def test_the_first_and_the_last_are(kind: str, texts: list[str]) -> None:
    assert None not in instants(field_of(kind, ""), pa.array(texts)).to_pylist()


def test_the_reason_says_which_years_are_taken() -> None:
    assert say_form(field_of("date", "")) == "no date of form %Y%m%d from 1901 to 2999"
