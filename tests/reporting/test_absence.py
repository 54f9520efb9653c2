"""Why there is nothing, for each who gets nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from conf.errors import UserError
from reporting.absence import explain_absence
from runtime.night import Night
from tests.nights.published import put

D = dt.date(2026, 1, 9)
LONG_AGO, LATER = dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 2, 1, tzinfo=dt.UTC)


@pytest.fixture
def people(night: Callable[..., Night]) -> Night:
    tonight = night(D)
    rows = [(1, LONG_AGO, "active"), (2, LONG_AGO, "closed"), (3, LATER, "active"), (4, LONG_AGO, "active")]
    put(
        tonight,
        "customer",
        [{"customer_id": n, "valid_from": when, "arrived_at": when, "status": status} for n, when, status in rows],
    )
    eligible = [(1, "minor"), (5, None), (6, None)]
    put(tonight, "eligible", [{"business_date": D, "customer_id": n, "reason": reason} for n, reason in eligible])
    put(tonight, "funnel", [{"business_date": D, "rule": "minor", "reason": "minors get no offers"}])
    roles = [(1, "exploit"), (5, "control"), (6, "exploit")]
    put(tonight, "assignment", [{"business_date": D, "customer_id": n, "role": role} for n, role in roles])
    return tonight


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        (1, "minors get no offers (minor)"),
        (2, "is closed since 2025-01-01"),
        (3, "was not known yet on 2026-01-09"),
        (4, "was not among the active customers of 2026-01-09 (status: active)"),
        (5, "of the control group of 2026"),
        (6, "nothing on offer here now"),
    ],
)
def test_each_reason_has_its_words(people: Night, customer: int, reason: str) -> None:
    assert reason in explain_absence(people, customer)


def test_an_unknown_customer_is_refused(people: Night) -> None:
    with pytest.raises(UserError, match="there is no customer 7"):
        explain_absence(people, 7)
