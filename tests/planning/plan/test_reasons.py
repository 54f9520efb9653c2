"""Contacts made at a loss say what asks for them; every code that a plan may hold has words in both languages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.assignment.roles import EXPLOIT, EXPLORE
from planning.plan.reasons import AT_A_LOSS, REASONS, tell_losses

SHARES = ("share_low",)
#: What a floor, a share and a cap take of four arcs, in the at-most form.
USES = np.array([[[-1, 0, -1, 0]], [[0, -80, -80, 20]], [[1, 1, 1, 1]]])


def night(value: list[int], decided: list[int], prices: list[int], role: int = EXPLOIT) -> Any:
    """A customer for each of the four arcs."""
    n = len(value)
    limits = [SimpleNamespace(counts=counts) for counts in (1, "share_low", 1)]
    return SimpleNamespace(
        given=np.arange(n),
        known=np.ones(n, bool),
        value=np.array(value),
        decision_value=np.array(decided),
        role=np.full(n, role),
        reason=np.full(n, "best", object),
        arcs=SimpleNamespace(uses=USES, classes=np.zeros(n, np.int64)),
        solution=SimpleNamespace(dual=SimpleNamespace(prices=np.array(prices))),
        instance=SimpleNamespace(limits=SimpleNamespace(limits=limits)),
    )


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        ([100, 5, 9], ["floor", "share", "share", "floor"]),
        ([500, 5, 9], ["floor", "share", "floor", "floor"]),  # what pays most is named
        ([0, 0, 9], ["floor", "share", "floor", "floor"]),  # the repair: whatever asks for it
    ],
)
def test_what_pays_for_a_loss_is_its_reason(prices: list[int], told: list[str]) -> None:
    tonight = night([-5] * 4, [-5] * 4, prices)
    tell_losses(tonight, SHARES)
    assert tonight.reason.tolist() == told


def test_only_losses_are_told_and_draws_and_switches_apart() -> None:
    tonight = night([5, 0, -1, -1], [5, 0, 3, -1], [9, 9, 9])
    tell_losses(tonight, SHARES)
    assert tonight.reason.tolist() == ["best", "best", "stays", "floor"]
    drawn = night([-5, 4, -5, 4], [-5, 4, -5, 4], [9, 9, 9], EXPLORE)
    tell_losses(drawn, SHARES)
    assert drawn.reason.tolist() == ["learn", "best", "learn", "best"]


def test_every_code_has_words_in_both_languages() -> None:
    assert set(AT_A_LOSS) <= set(REASONS)
    for english, chinese in REASONS.values():
        assert english.isascii()
        assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)
