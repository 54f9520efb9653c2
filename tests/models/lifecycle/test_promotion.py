"""Promotion judges by rows that a draw gave: rows without a p are left out, and counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.affinity.promotion import Rounds
from models.lifecycle import promotion
from runtime.night import Night
from tests.nights.published import put

D = dt.date(2025, 11, 1)
#: label, p: rows of one night
ROWS = [
    ("exploit", 0.96),
    ("explore", 0.02),
    ("explore", None),  # a limit took the draw back
    ("usual", None),
    ("usual", None),
    ("control", None),
    ("control", 1.0),  # as releases up to 0.2 wrote it
]


@pytest.fixture
def judged(night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch) -> tuple[Night, list[pa.Table]]:
    """A night after one matured night, and the rows that reached the judgement."""
    tonight = night(D + dt.timedelta(days=60))
    rows = [
        {
            "business_date": D,
            "decision_id": f"d{k}",
            "run_id": "r",
            "customer_id": k,
            "role": role,
            "pscore": p,
            "matured": True,
            "margin_micro": 1_000_000,
        }
        for k, (role, p) in enumerate(ROWS)
    ]
    put(tonight, "outcome", rows, {"business_date": D})
    seen: list[pa.Table] = []

    def take(_: Night, drawn: pa.Table, *__: Any) -> Rounds:
        seen.append(drawn)
        zero = np.zeros(drawn.num_rows, np.int64)
        p = drawn["pscore"].to_numpy()
        return Rounds(drawn["customer_id"].to_numpy(), zero, p, p, zero, zero, {})

    monkeypatch.setattr(promotion, "_night", take)
    monkeypatch.setattr(promotion, "latest", lambda dates, date: date)
    monkeypatch.setattr(type(tonight.lake), "dates", lambda self, table: [D])
    return tonight, seen


def test_rows_without_p_are_left_out_and_counted(judged: tuple[Night, list[pa.Table]]) -> None:
    tonight, seen = judged
    nothing: Any = None
    rounds, own, lost = promotion._rounds(tonight, nothing, nothing)
    assert seen[0]["role"].to_pylist() == ["exploit", "explore"]
    assert rounds.pscore.tolist() == [0.96, 0.02]
    assert (own, lost) == (1, 3)
    assert np.isfinite(1 / rounds.pscore).all()
