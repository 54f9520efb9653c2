"""Units of amounts: what each measures, and how many of the smallest one it is.

An amount of money, time or data says its unit where it is declared; between two of one kind a mapping must convert, and
between two kinds nothing can. What has no such unit is a count, a mark or a share.
"""

from __future__ import annotations

import re
from fractions import Fraction

#: Unit → what it measures, and how many of the smallest unit of that it is. ``yuan`` and ``元`` are the same.
SCALES: dict[str, tuple[str, int]] = {
    "micro-yuan": ("money", 1),
    "micro-元": ("money", 1),
    "分": ("money", 10_000),
    "fen": ("money", 10_000),
    "元": ("money", 1_000_000),
    "yuan": ("money", 1_000_000),
    "USD": ("money", 1_000_000),  # of the demos' sets: their dollars are counted as 元
    "ms": ("time", 1),
    "s": ("time", 1_000),
    "min": ("time", 60_000),
    "h": ("time", 3_600_000),
    "d": ("time", 86_400_000),
    "day": ("time", 86_400_000),
    "byte": ("data", 1),
    "MB": ("data", 1_000_000),
}
#: Names end in the unit they are in: the unit declared must be that one.
_ENDINGS = {
    "yuan": "元",
    "fen": "分",
    "micro": "micro-yuan",
    "ms": "ms",
    "seconds": "s",
    "minutes": "min",
    "hours": "h",
    "days": "d",
    "bytes": "byte",
    "mb": "MB",
}
_TIMES = re.compile(r"\*\s*(\d+)[lLdD]?\b")
_OVER = re.compile(r"(?:/|\bdiv\b)\s*(\d+)[lLdD]?\b", re.IGNORECASE)
#: A sum with weights of its own: no single number converts it.
_WEIGHED = re.compile(r"\*\s*\d+.*[-+]|[-+].*\*\s*\d+[lLdD]?\s*[-+]|[-+]\s*\d", re.DOTALL)
#: MB is said of a million bytes and of 2**20.
_BINARY = Fraction(1_048_576, 1_000_000)
#: A unit that another column says: ``by kind``.
BY = "by "


def same(unit: str, other: str) -> bool:
    """Whether two units are one under two names."""
    return unit == other or (unit in SCALES and SCALES[unit] == SCALES.get(other))


def unit_of_name(name: str) -> str:
    """The unit that a name ends in; empty where it ends in none."""
    return _ENDINGS.get(name.rpartition("_")[2], "")


def name_fault(name: str, unit: str) -> tuple[str, str] | None:
    """What is wrong with the unit of an amount that is called so, and what to do; None if nothing."""
    asked = unit_of_name(name)
    if not asked or same(asked, unit.partition("/")[0]):
        return None
    unit_text = f"its unit is {unit!r}" if unit else "it has no unit"
    return f"{name!r} says that it is in {asked}, and {unit_text}", f"write `unit: {asked}`, or rename it"


def factor(sql: str) -> Fraction:
    """What an expression multiplies its fields by: the numbers after ``*`` over those after ``/``."""
    ratio = Fraction(1)
    for number in _TIMES.findall(sql):
        ratio *= int(number)
    for number in _OVER.findall(sql):
        ratio /= int(number) or 1
    return ratio


def conversion_fault(sql: str, given: dict[str, str], wanted: str) -> tuple[str, str] | None:
    """What is wrong with an expression over fields of ``given`` units that must be ``wanted``; None if nothing.

    Args:
        sql: the expression.
        given: the numeric fields that it uses, each with its unit ('' for a count).
        wanted: the unit of the column.
    """
    for name, unit in given.items():
        kind, scale = SCALES.get(unit, ("", 1))
        other, target = SCALES.get(wanted, ("", 1))
        if kind != other:
            what = f"{name} is {_describe(unit)} and becomes {_describe(wanted)}: nothing converts one into the other"
            return what, "map a field of the same kind, or correct the unit of one of them"
        needed = Fraction(scale, target)
        if kind and not _WEIGHED.search(sql) and factor(sql) not in _ratios(kind, needed):
            how = f"* {needed}" if needed.denominator == 1 else f"/ {1 / needed}"
            what = f"{name} is {_describe(unit)} and becomes {_describe(wanted)}, but is multiplied by {factor(sql)}"
            return what, f"write `{name} {how}`" if needed != 1 else f"write `{name}` as it is"
    return None


def _ratios(kind: str, needed: Fraction) -> set[Fraction]:
    """What may convert: between bytes and MB either of two numbers."""
    if kind != "data" or needed == 1:
        return {needed}
    return {needed, needed * _BINARY, needed / _BINARY}


def scale_fault(unit: str, scale: int, wanted: str) -> tuple[str, str] | None:
    """What is wrong with an amount in ``unit`` that is divided by ``scale`` to be in ``wanted``; None if nothing."""
    if unit not in SCALES or wanted not in SCALES:
        return None
    (kind, size), (other, target) = SCALES[unit], SCALES[wanted]
    if kind != other:
        return f"a value in {unit} becomes one in {wanted}", f"write `unit: {unit}`, or take another value"
    if Fraction(1, scale) not in _ratios(kind, Fraction(size, target)):
        what = f"a value in {unit} divided by {scale} is not in {wanted}"
        return what, f"write `scale: {Fraction(target, size)}`" if target >= size else "convert it in `value`"
    return None


def _describe(unit: str) -> str:
    return f"in {unit}" if unit in SCALES else "no amount of money, time or data"
