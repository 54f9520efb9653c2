"""What the ledger may see, and what it leaves behind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pytest

from reporting.customer_ledger import open_ledger
from reporting.periods import split
from runtime.night import Night
from tests.reporting.test_earned import FIRST, LAST, make_lake

pytestmark = pytest.mark.whole


def test_a_night_sees_nothing_that_came_later_and_leaves_nothing_behind(night: Callable[..., Night]) -> None:
    early, late = night(LAST - dt.timedelta(days=20)), night()
    make_lake(late, np.random.default_rng(7))
    found = []
    for tonight in (early, late):
        with open_ledger(tonight, FIRST, tonight.date - dt.timedelta(days=1)) as ledger:
            parts = split(ledger.count_days(), 7)
            ledger.divide(parts)
            rows = [row for row in ledger.sum_groups() if row["slice"] == "all"]
            found.append((parts[0].last, {row["arm"]: row["orders"] for row in rows}))
    assert found[0][0] == early.date - dt.timedelta(days=1)
    assert found[0][1]["treated"] < found[1][1]["treated"]
    assert not list(late.settings.home.glob("ledger-*"))
