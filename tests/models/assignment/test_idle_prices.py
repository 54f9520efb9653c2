"""A limit that is not scarce charges nothing where the proof allows, and the proof stands as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.tiny_problems import best_by_trying, make_problem, random_problem
from models.assignment.conflict import Infeasible
from models.assignment.dual_evaluation import Local, evaluate
from models.assignment.idle_prices import SHARE, TRIES, drop_idle_prices, find_idle
from models.assignment.problem import Problem
from models.assignment.repair import Plan, sum_uses, value_of
from models.assignment.solve import NoPlan, SolveOptions, solve
from tests.examples import examples

#: A yuan in micro-yuan, of values; and in pico-yuan, of prices.
MICRO, PICO = 10**6, 10**12


def plan_of(problem: Problem, arcs: list[int]) -> Plan:
    parts = np.split(np.array(arcs, np.int64), np.cumsum([len(block) for block in problem.blocks])[:-1])
    return Plan(list(parts), value_of(problem, list(parts)), sum_uses(problem, list(parts)))


def scarce_and_not() -> tuple[Problem, Plan]:
    """Three customers for two places (worth 3 each to the first left out), a cap of nine, a floor of none."""
    rows = [[(9 * MICRO, [1, 1, 1])], [(8 * MICRO, [1, 1, 0])], [(3 * MICRO, [1, 1, 0])]]
    problem = make_problem(rows, [("at_most", 2), ("at_most", 9), ("at_least", 0)])
    return problem, plan_of(problem, [0, 1, -1])


def test_what_is_left_of_a_price_goes_and_a_scarce_limit_keeps_its_own() -> None:
    problem, plan = scarce_and_not()
    engine = Local(problem)
    prices = np.array([3 * PICO, 40 * 10**6, 9 * 10**9])
    dual = evaluate(problem, engine, prices)
    assert find_idle(problem, prices, plan) == [1, 2]
    free = drop_idle_prices(problem, engine, dual, plan, 1e-4)
    assert free.prices.tolist() == [3 * PICO, 0, 0]
    assert plan.primal <= free.bound <= dual.bound


def test_a_limit_with_room_whose_price_the_proof_needs_keeps_it() -> None:
    """A poor plan leaves room; the price is what the bound stands on all the same."""
    rows = [[(10 * MICRO, [2])], [(9 * MICRO, [2])], [(1 * MICRO, [1])]]
    problem = make_problem(rows, [("at_most", 3)])
    assert find_idle(problem, np.array([1]), plan_of(problem, [0, -1, -1])) == []  # not every arc fits what is left
    wide = make_problem(rows, [("at_most", 4)])
    plan = plan_of(wide, [0, -1, -1])
    engine = Local(wide)
    dual = evaluate(wide, engine, np.array([45 * PICO // 10]))
    assert find_idle(wide, dual.prices, plan) == [0]
    kept = drop_idle_prices(wide, engine, dual, plan, 1e-4)
    assert kept.prices.tolist() == dual.prices.tolist()


def test_those_that_may_go_go_though_another_may_not() -> None:
    """All at once raises the bound; halves find the one that the proof needs."""
    rows = [[(10 * MICRO, [1, 1, 1, 1])], [(9 * MICRO, [1, 1, 1, 1])], [(8 * MICRO, [1, 1, 1, 1])]]
    problem = make_problem(rows, [("at_most", 2), ("at_most", 50), ("at_most", 60), ("at_most", 70)])
    plan = plan_of(problem, [0, -1, -1])  # a poor plan leaves room in the first
    engine = Local(problem)
    dual = evaluate(problem, engine, np.array([8 * PICO, 10**6, 2 * 10**6, 3 * 10**6]))
    assert find_idle(problem, dual.prices, plan) == [0, 1, 2, 3]
    free = drop_idle_prices(problem, engine, dual, plan, 1e-4)
    assert free.prices.tolist() == [8 * PICO, 0, 0, 0]


@settings(deadline=None, max_examples=examples(60))
@given(st.integers(0, 10_000), st.lists(st.integers(0, 30 * 10**6), min_size=3, max_size=3))
def test_the_bound_stays_one_and_rises_by_no_more_than_a_tenth_of_the_gap(seed: int, start: list[int]) -> None:
    problem = random_problem(seed)
    best = best_by_trying(problem)
    goal = SolveOptions(gap=0.05, start=np.array(start[: len(problem.limits)], np.int64))
    try:
        solution = solve(problem, goal)
    except (Infeasible, NoPlan):
        assert best is None
        return
    assert best is not None
    assert best <= solution.dual.bound
    engine = Local(problem)
    free = drop_idle_prices(problem, engine, solution.dual, solution.plan, goal.gap)
    assert best <= free.bound <= solution.dual.bound + SHARE * goal.gap * max(1, abs(solution.dual.bound))
    assert len(find_idle(problem, free.prices, solution.plan)) <= len(problem.limits) < TRIES


@pytest.mark.parametrize("idle", [True, False])
def test_a_warm_start_leaves_no_price_on_a_floor_that_nobody_can_break(idle: bool) -> None:
    """As on a night whose explorers keep a floor: 0 is left of it, last night's price is where the solve starts."""
    random = np.random.default_rng(4)
    rows = [
        [(int(v), [1, 0]), (int(w), [1, 1])]
        for v, w in zip(random.integers(1, MICRO, 400), random.integers(-MICRO, -MICRO // 2, 400), strict=True)
    ]
    problem = make_problem(rows, [("at_most", 100), ("at_least", 0)])
    start = np.array([PICO * 3 // 4, PICO // 50], np.int64)
    solution = solve(problem, SolveOptions(gap=1e-2, start=start, drop_idle=idle))
    assert (int(solution.dual.prices[1]) == 0) is idle
    assert solution.gap <= 1e-2
