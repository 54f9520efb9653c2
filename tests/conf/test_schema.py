"""Fields that a file calls otherwise, and the forms of dates."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from conf.schema import Field, Schema


def field(**changes: Any) -> dict[str, Any]:
    return {"name": "one", "type": "string", "label": "一"} | changes


def schema(*fields: dict[str, Any]) -> Schema:
    return Schema.model_validate({"name": "s", "label": "s", "doc": "s", "key": [], "fields": fields})


def test_an_alias_is_what_the_file_says() -> None:
    assert Field.model_validate(field()).sent_as == "one"
    assert Field.model_validate(field(alias="callId")).sent_as == "callId"
    assert [one.sent_as for one in schema(field(alias="two"), field(name="two", alias="one")).fields] == ["two", "one"]


def test_two_fields_of_one_alias_are_refused() -> None:
    with pytest.raises(ValidationError, match="two fields of one alias"):
        schema(field(), field(name="two", alias="one"))


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y/%-m/%-d", "%d-%b-%y", "%Y年%m月%d日"])
def test_forms_of_dates(form: str) -> None:
    assert Field.model_validate(field(type="date", format=form)).format == form


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "%Y"}, "for dates and timestamps"),
        ({"type": "date", "format": "yyyyMMdd"}, "names no part of a date"),
        ({"type": "date", "format": "%Y-%q"}, "'%q' is none of"),
        ({"type": "date", "format": "%Y%"}, "'%' is none of"),
        ({"type": "date", "format": "iso"}, "names no part"),
        ({"type": "date", "format": "%-d-%b-%Y"}, "do not go with"),
        ({"type": "timestamp", "format": "%Y-%m-%dT%H:%M:%S%z"}, "'%z' is none of .*or iso"),
    ],
)
def test_what_is_no_form_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Field.model_validate(field(**changes))
