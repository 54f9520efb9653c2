"""The value of an arc, by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.affinity.value import ArcMoney, values

MONEY = ArcMoney(
    unit_margin=np.array([0, 0, 0]),
    lift=np.ones(3),
    kept=np.ones(3),
    cost=np.array([100, 10, 0]),
    fatigue=np.array([20, 0, 0]),
    block=np.array([6, 1, 0]),
)
CONTACTS = np.array([[True, True, False]])


def test_what_a_contact_keeps_from_later_nights_is_taken_off() -> None:
    found = values(np.array([[1000, 500, 300]]), MONEY, np.array([30]), CONTACTS)
    assert found.tolist() == [[1000 - 120 - 6 * 30, 500 - 10 - 30, 300]]


def test_a_past_without_windows_is_held_to_what_windows_allow() -> None:
    """880 once in 7 nights is 125 a night, 490 once in 2 is 245: nobody earns more a night than that."""
    found = values(np.array([[1000, 500, 300]]), MONEY, np.array([10_000]), CONTACTS)
    assert found.tolist() == [[880 - 6 * 245, 490 - 245, 300]]


def test_an_arc_that_is_not_eligible_bounds_nothing() -> None:
    found = values(np.array([[1000, 500, 300]]), MONEY, np.array([10_000]), np.array([[True, False, False]]))
    assert found.tolist() == [[880 - 6 * 125, 490 - 125, 300]]


@given(st.lists(st.integers(-(10**9), 10**9), min_size=3, max_size=3), st.integers(0, 10**9))
def test_the_best_contact_of_a_cycle_is_never_forbidden_by_the_cycle(effect: list[int], trailing: int) -> None:
    found = values(np.array([effect]), MONEY, np.array([trailing]), CONTACTS)[0, :2]
    tonight = np.array(effect)[:2] - MONEY.cost[:2] - MONEY.fatigue[:2]
    assert found.max() >= 0 or tonight.max() < 0
