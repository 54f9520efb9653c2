"""The expressions of the catalogue are read backwards."""

from __future__ import annotations

import pytest

from synth.inverse import InverseSource, find_required_values, invert
from tests.fixtures.catalogue import frozen

FIELDS = frozenset({"fee", "fen", "code", "day", "at", "flag"})


@pytest.mark.parametrize(
    ("expression", "source"),
    [
        ("fee", InverseSource("field", "fee")),
        ("cast(fee * 1000000 as bigint)", InverseSource("field", "fee", times=1_000_000)),
        ("fen * 10000", InverseSource("field", "fen", times=10_000)),
        ("cast(fen as int) / 60", InverseSource("field", "fen", over=60)),
        ("'out'", InverseSource("literal", value="out")),
        ("true", InverseSource("literal", value=True)),
        ("code = '01'", InverseSource("member", "code", values=("01",))),
        ("code in ('01', '02')", InverseSource("member", "code", values=("01", "02"))),
        ("code <> '01'", InverseSource("member", "code", values=("01",), negated=True)),
        ("to_utc_timestamp(date_add(day, 1), 'Asia/Shanghai') - interval 1 second", InverseSource("day", "day")),
        (
            "case code when '1' then 'open' when '2' then 'closed' end",
            InverseSource("codes", "code", codes=(("1", "open"), ("2", "closed"))),
        ),
        ("coalesce(flag, false)", InverseSource("field", "flag")),
        ("sum(fee) over ()", InverseSource("unknown")),
        ("nosuch", InverseSource("unknown")),
    ],
)
def test_expressions(expression: str, source: InverseSource) -> None:
    assert invert(expression, FIELDS) == source


def test_where_of_equalities_is_kept() -> None:
    assert find_required_values("code = '01' and fee > 0", FIELDS) == {"code": ("01",)}


def test_every_mapped_column_of_the_catalogue_is_understood() -> None:
    lost = [
        f"{schema.name} {conform.entity}.{column}: {text}"
        for schema in frozen().schemas.values()
        for conform in schema.conform
        for column, text in {"event_time": conform.event_time, **conform.columns}.items()
        if invert(text, frozenset(schema.by_name)).kind == "unknown"
    ]
    assert lost == []
