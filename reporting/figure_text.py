"""A figure's value in words that a person reads: by its declared unit, small rates per 1,000 or 10,000."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conf.figure import Figure

#: Counts of people below this are told to marketers as "<10": fewer could be recognised.
FEW = 10
ABSENT = "–"


def say(value: float | int | None, unit: str) -> str:
    """A value in its unit; nothing is a dash.

    Rates of at least 1 % are percent; smaller ones are told per 1,000, per 10,000 or, as gaps are, as small percent.
    """
    if value is None:
        return ABSENT
    if unit == "share":
        return say_share(value)
    if unit == "gap":
        return say_gap(value)
    if unit == "yuan":
        return say_yuan(value)
    if unit == "count":
        return f"{value:,.0f}"
    words = {
        "per_10000": f"{value:,.1f} / 10,000",
        "seconds": f"{value:,.1f} s",
        "hours": f"{value:,.1f} h",
        "days": f"{value:,.1f} d",
    }
    return words.get(unit) or f"{value:,.2f}"


def say_share(value: float) -> str:
    """A share: percent from 1 % on, else of 1,000, else of 10,000; what is smaller still, as percent."""
    size = abs(value)
    if size >= 0.01 or not size:
        return f"{value:.1%}"
    if size >= 0.001:
        return f"{value * 1e3:.1f} / 1,000"
    if size >= 0.0001:
        return f"{value * 1e4:.1f} / 10,000"
    return f"{value * 100:.{_digits(size * 100)}f} %"


def say_gap(value: float) -> str:
    """A gap of a plan, always as percent with one digit that counts: 0.003 %."""
    size = abs(value) * 100
    return f"{value * 100:.{_digits(size) if size < 1 else 1}f} %" if size else "0 %"


def say_yuan(value: float) -> str:
    """元: whole from 1,000 on, fen below; prices below a fen keep a digit that counts."""
    size = abs(value)
    if size >= 1000 or not size:
        return f"{value:,.0f} 元"
    return f"{value:,.2f} 元" if size >= 0.01 else f"{value:.{_digits(size)}f} 元"


def _digits(size: float) -> int:
    """Decimal places up to the first digit that is not 0; 12 at most."""
    places = 0
    while size < 0.95 and places < 12:
        size *= 10
        places += 1
    return places


def hide_few(rows: list[dict[str, Any]], figures: Mapping[str, Figure], reader: str) -> list[dict[str, Any]]:
    """The rows that ``reader`` may see; for marketers a count below 10, or a rate of so few, is withheld.

    Withheld rows have no numbers, and ``note`` says "<10".
    """
    seen = [row for row in rows if row["kpi"] in figures and reader in figures[row["kpi"]].seen_by]
    if reader != "marketer":
        return seen
    empty = {"value": None, "numerator": None, "denominator": None, "low": None, "high": None, "note": f"<{FEW}"}
    return [row | empty if _is_few(row, figures[row["kpi"]]) else row for row in seen]


def _is_few(row: Mapping[str, Any], declared: Figure) -> bool:
    counts = [row["value"]] if declared.unit == "count" else []
    if declared.over:
        counts = [row["numerator"]] if not declared.over[0].endswith("micro") else []
        counts += [row["denominator"]]
    return any(count is not None and 0 < count < FEW for count in counts)
