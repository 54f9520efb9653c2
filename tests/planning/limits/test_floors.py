"""Floors are waived on a night on which nobody is contacted, and on no other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from planning.limits.declared import InForce
from planning.limits.floors import waive_floors
from planning.limits.in_force import LimitInForce, LimitsInForce
from runtime.night import Night
from tests.nights.published import put

LIMITS = InForce(
    LimitsInForce(limits=(LimitInForce(name="cap", at_most=7), LimitInForce(name="floor", at_least=5))),
    (True, False),
    (),
)


def test_floors_hold_on_a_usual_night(night: Callable[..., Night]) -> None:
    assert waive_floors(night(), LIMITS) is LIMITS


def test_floors_are_waived_where_refusals_stop_outbound(night: Callable[..., Night]) -> None:
    tonight = night()
    row = {
        "entity": "consent",
        "feed": "consent_hotline",
        "data_date": tonight.date - dt.timedelta(days=1),
        "delivery_id": "r",
        "arrived_at": tonight.cut_off - dt.timedelta(hours=1),
        "records": 4,
        "unmatched": 4,
    }
    put(tonight, "ops_reconciliation", [row])
    limits = waive_floors(tonight, LIMITS)
    assert [(limit.name, limit.sign, limit.amount) for limit in limits.limits.limits] == [
        ("cap", 1, 7),
        ("floor", -1, 0),
    ]
    assert "consent_hotline" in limits.notes[0]
