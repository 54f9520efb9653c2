"""Amounts say their unit, and a mapping between two of them converts."""

from __future__ import annotations

import pytest

from conf.units import conversion_fault, name_fault, same, scale_fault


@pytest.mark.parametrize(
    ("sql", "given", "wanted"),
    [
        ("cast(fee * 1000000 as bigint)", {"fee": "元"}, "micro-yuan"),
        ("fee_fen * 10000", {"fee_fen": "分"}, "micro-yuan"),
        ("fee_fen / 100", {"fee_fen": "分"}, "yuan"),
        ("cast(minutes * 60 as bigint)", {"minutes": "min"}, "s"),
        ("seconds", {"seconds": "s"}, "s"),
        ("(a + b) * 10000", {"a": "分", "b": "分"}, "micro-元"),
        ("cast(calls as bigint)", {"calls": ""}, ""),
        ("'fixed'", {}, "micro-yuan"),
    ],
)
def test_what_converts_is_accepted(sql: str, given: dict[str, str], wanted: str) -> None:
    assert conversion_fault(sql, given, wanted) is None


@pytest.mark.parametrize(
    ("sql", "given", "wanted", "remedy"),
    [
        ("fee", {"fee": "元"}, "micro-yuan", "fee * 1000000"),
        ("fee * 10000", {"fee": "元"}, "micro-yuan", "fee * 1000000"),
        ("fee_fen * 1000000", {"fee_fen": "分"}, "micro-yuan", "fee_fen * 10000"),
        ("fee_fen", {"fee_fen": "分"}, "yuan", "fee_fen / 100"),
        ("micro * 1000000", {"micro": "micro-yuan"}, "micro-yuan", "as it is"),
        ("minutes", {"minutes": "min"}, "s", "minutes * 60"),
        ("seconds", {"seconds": "s"}, "micro-yuan", "same kind"),
        ("fee", {"fee": "元"}, "", "same kind"),
        ("calls", {"calls": ""}, "s", "same kind"),
    ],
)
def test_what_does_not_convert_is_refused_with_how(sql: str, given: dict[str, str], wanted: str, remedy: str) -> None:
    fault = conversion_fault(sql, given, wanted)
    assert fault is not None
    assert remedy in fault[1]


def test_a_name_and_its_unit_agree() -> None:
    assert name_fault("amount_fen", "分") is None
    assert name_fault("margin_micro", "micro-元") is None
    assert name_fault("rate_fen", "分/min") is None
    assert name_fault("orders", "") is None
    assert name_fault("amount_fen", "元") is not None
    assert name_fault("talk_seconds", "") is not None


def test_a_feature_divides_by_what_its_unit_asks() -> None:
    assert scale_fault("micro-yuan", 1_000_000, "yuan") is None
    assert scale_fault("byte", 1_000_000, "MB") is None
    assert scale_fault("micro-yuan", 1000, "yuan") is not None
    assert scale_fault("s", 1, "yuan") is not None
    assert same("yuan", "元")
    assert not same("yuan", "分")
