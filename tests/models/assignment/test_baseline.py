"""Arbitrate-then-cap on cases small enough to know what it does, and against the solver on the same limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.assignment_cases import Case
from benchmarks.assignment_cases import problem as generated
from models.assignment.baseline import arbitrate_then_cap, caps_only, greedy, without, without_shares
from models.assignment.problem import Block, Kinds, Limits, Problem
from models.assignment.solve import SolveOptions, solve

VALUE = [[9, 4], [8, 7], [3, 2], [-1, -2]]  # of arcs 0 and 1 of four customers


def problem(amount: list[int], sign: list[int], uses: list[tuple[int, int, int]]) -> Problem:
    """Four customers, two kinds of arcs; ``uses`` are (kind, limit, use)."""
    first = np.searchsorted([kind for kind, _, _ in uses], np.arange(3))
    kinds = Kinds(
        np.array([0, 1]),
        np.zeros(2, np.int64),
        first,
        np.array([m for _, m, _ in uses], np.int64),
        np.array([u for _, _, u in uses], np.int64),
    )
    value = np.array(VALUE, np.int64).ravel()
    block = Block(np.arange(4), np.arange(0, 9, 2), value, np.tile(np.arange(2), 4).astype(np.uint16))
    limits = Limits(tuple(f"limit_{m}" for m in range(len(amount))), np.array(amount), np.array(sign))
    return Problem([block], kinds, limits, False, 9)


def test_the_best_scores_take_what_is_scarce_although_others_need_it_more() -> None:
    one = problem([1], [1], [(0, 0, 1)])
    assert arbitrate_then_cap(one) == (9 + 7 + 2, [])
    assert solve(one, SolveOptions(gap=0.0)).plan.primal == 9 + 7 + 2
    other = problem([1, 1], [1, 1], [(0, 0, 1), (1, 1, 1)])
    assert arbitrate_then_cap(other) == (9 + 7, [])


def test_a_floor_is_filled_first_by_whoever_scores_best_for_it() -> None:
    floor = problem([-2], [-1], [(1, 0, -1)])
    # arc 1 to the customers worth 7 and 4 for it, then arc 0 to the third
    assert arbitrate_then_cap(floor) == (7 + 4 + 3, [])
    assert solve(floor, SolveOptions(gap=0.0)).plan.primal == 9 + 7 + 2
    assert arbitrate_then_cap(caps_only(floor)) == (9 + 8 + 3, [])


def test_a_floor_that_asks_for_more_than_there_are_is_broken_and_said() -> None:
    value, broken = arbitrate_then_cap(problem([-5], [-1], [(1, 0, -1)]))
    assert broken == ["limit_0"]
    assert value == 4 + 7 + 2 - 2  # a floor is a floor, also at a loss


def test_a_share_is_not_looked_at_and_said_to_be_broken() -> None:
    share = problem([0], [1], [(0, 0, 1), (1, 0, -1)])
    assert arbitrate_then_cap(share) == (9 + 8 + 3, ["limit_0"])
    assert arbitrate_then_cap(without_shares(share)) == (9 + 8 + 3, [])


def test_greedy_takes_arcs_by_value_or_by_what_they_use() -> None:
    one = problem([1], [1], [(0, 0, 1)])
    assert greedy(one) == (9 + 7 + 2, [])
    scarce = problem([3], [1], [(0, 0, 3), (1, 0, 1)])  # arc 0 uses three units, arc 1 one
    assert greedy(scarce) == (9, [])
    assert greedy(scarce, "density") == (7 + 4 + 2, [])
    assert solve(scarce, SolveOptions(gap=0.0)).plan.primal == 7 + 4 + 2


def test_greedy_fills_floors_first() -> None:
    floor = problem([-2], [-1], [(1, 0, -1)])
    assert greedy(floor) == (7 + 4 + 3, [])


@pytest.mark.whole
def test_on_the_same_limits_the_solver_is_worth_more_in_either_order() -> None:
    case = generated(Case(customers=4_000, tight=0.5))
    for same in (without_shares(case), caps_only(case)):
        ours = solve(same, SolveOptions(gap=1e-3)).plan.primal
        score, broken = arbitrate_then_cap(same)
        arrival, _ = arbitrate_then_cap(same, "arrival")
        assert not broken
        assert ours > score > arrival > 0
        assert ours > max(greedy(same)[0], greedy(same, "density")[0])


def test_an_open_limit_stops_nobody() -> None:
    """With a tight budget open the baseline is that of a problem that never had one."""
    case = Case(2_000, budget=True, floors=False)
    whole, never = generated(case), generated(replace(case, budget=False))
    amount = np.where(np.array(whole.limits.names) == "budget", whole.limits.amount // 8, whole.limits.amount)
    tight = replace(whole, limits=replace(whole.limits, amount=amount))
    assert arbitrate_then_cap(tight)[0] < arbitrate_then_cap(never)[0]
    assert arbitrate_then_cap(without(tight, ["budget"]))[0] == arbitrate_then_cap(never)[0]
