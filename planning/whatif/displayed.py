"""Amounts of limits as people give and read them: whole, in the displayed unit, a share's percent as such.

Inside, amounts are integers of what is left for those who are solved: micro-元 of a budget, hundredths of a contact of a
share. Whoever types or reads one sees the whole amount as declared, explorers' part included, in 元, seconds or
contacts; prices are 元 a displayed unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from conf.errors import UserError
from conf.money import MICRO
from planning.limits.arc_units import SHARE
from planning.limits.in_force import LimitInForce

#: Whole amounts that may be given, in units of the instance.
LARGEST_AMOUNT = 1 << 61
#: Hundredths of a contact: what an arc takes of a share of contacts.
PERCENT = 100


@dataclass(frozen=True)
class DisplayedUnit:
    """What an amount is shown in.

    Attributes:
        name: 元, s, contacts; of a share contacts over it.
        size: units of the instance in one.
    """

    name: str
    size: int

    def show(self, amount: int) -> int | float:
        """An amount of the instance in this unit."""
        return amount if self.size == 1 else amount / self.size

    def tell(self, amount: int) -> str:
        """The same in words, every digit."""
        units, rest = divmod(abs(amount), self.size)
        digits = f"{rest:0{len(str(self.size)) - 1}d}".rstrip("0") if rest else ""
        return f"{'-' if amount < 0 else ''}{units}{'.' + digits if digits else ''} {self.name}"

    def read(self, text: str, where: str, *, fine: bool = True) -> int:
        """An amount of the instance from text in this unit.

        Args:
            text: a decimal number.
            where: it was given.
            fine: refuse what is finer than the instance counts; else it is rounded.

        Raises:
            UserError: it is no finite number, too large, or too fine.
        """
        try:
            number = Decimal(text.strip()) if len(text) <= 64 else Decimal("NaN")
        except InvalidOperation:
            number = Decimal("NaN")
        known = number.is_finite() and abs(number.adjusted()) < 40
        exact = number * self.size if known else number
        if not known or abs(exact) >= LARGEST_AMOUNT or (fine and exact != exact.to_integral_value()):
            finest = "whole numbers" if self.size == 1 else f"multiples of {1 / Decimal(self.size):f}"
            raise UserError(
                f"{text[:40]!r} is no amount in {self.name}",
                where=where,
                remedy=f"give a number in {self.name}: {finest}, below {LARGEST_AMOUNT // self.size:.0e}",
            )
        return int(exact.to_integral_value())


YUAN_UNIT = DisplayedUnit("元", MICRO)


def unit_of(limit: LimitInForce) -> DisplayedUnit:
    """What amounts of a limit are shown in."""
    if limit.counts == 1:
        return DisplayedUnit("contacts", 1)
    counts = str(limit.counts)
    if counts.startswith(SHARE):
        return DisplayedUnit("contacts", PERCENT)
    return YUAN_UNIT if counts == "cost_micro" else DisplayedUnit("s", 1)


def show_reported(limits: Mapping[str, LimitInForce], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Counts by limits that are reported only, in displayed units."""
    shown = []
    for row in rows:
        unit = unit_of(limits[row["limit"]])
        counts = {name: unit.show(row[name]) for name in ("amount", "used_was", "used")}
        shown.append({**row, **counts, "unit": unit.name})
    return shown


def show_limits(limits: Mapping[str, LimitInForce], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a what-if in displayed units."""
    shown = []
    for row in rows:
        unit = unit_of(limits[row["limit"]])
        amounts = {name: unit.show(row[name]) for name in ("amount_was", "amount", "used_was", "used")}
        prices = {name: row[name] * unit.size for name in ("price_yuan_was", "price_yuan")}
        shown.append({**row, **amounts, **prices, "unit": unit.name})
    return shown
