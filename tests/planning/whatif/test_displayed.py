"""Amounts in the unit that people read: what is told is what may be typed, and nothing that cannot be."""

from __future__ import annotations

import pytest

from conf.errors import UserError
from planning.limits.in_force import LimitInForce
from planning.whatif.displayed import YUAN_UNIT, DisplayedUnit, show_limits, unit_of

UNITS = {"cost_micro": ("元", 10**6), "seconds": ("s", 1), "share_low": ("contacts", 100), 1: ("contacts", 1)}


@pytest.mark.parametrize(("counts", "unit"), UNITS.items())
def test_a_unit_goes_by_what_is_counted(counts: int | str, unit: tuple[str, int]) -> None:
    assert unit_of(LimitInForce(name="a", at_most=5, counts=counts)) == DisplayedUnit(*unit)


@pytest.mark.parametrize("amount", [0, 1, 365_280_000, -7, 10**15 + 1, 5_000_000])
def test_what_is_told_can_be_typed(amount: int) -> None:
    text = YUAN_UNIT.tell(amount)
    assert YUAN_UNIT.read(text.removesuffix(" 元"), "--set") == amount
    assert text == {365_280_000: "365.28 元", -7: "-0.000007 元", 5_000_000: "5 元"}.get(amount, text)


BAD = ["nan", "inf", "-inf", "1e40", "9" * 23, "", "x", "0.0000001", "1" * 5000, "1e999999999", "１２.３.４"]


@pytest.mark.parametrize("text", BAD)
def test_numbers_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no amount in 元") as caught:
        YUAN_UNIT.read(text, "--set")
    assert "multiples of 0.000001" in str(caught.value.remedy)
    with pytest.raises(UserError):
        DisplayedUnit("contacts", 1).read("4.5", "--set")


def test_rows_are_whole_in_the_unit_shown_and_prices_are_a_unit_of_it() -> None:
    limits = {"budget": LimitInForce(name="budget", at_most=365_280_000, counts="cost_micro")}
    row = {"limit": "budget", "amount_was": 365_280_000, "amount": 400_000_000, "used_was": 1, "used": 2}
    (shown,) = show_limits(limits, [{**row, "price_yuan_was": 2.5e-7, "price_yuan": 2e-7}])
    assert (shown["amount_was"], shown["amount"], shown["unit"]) == (365.28, 400.0, "元")
    assert shown["price_yuan_was"] == pytest.approx(0.25)
