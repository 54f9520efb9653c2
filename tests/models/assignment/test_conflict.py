"""What is called a conflict is one: every proof against trying everything."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tiny_problems import best_by_trying, make_problem, random_problem
from models.assignment.conflict import Infeasible, refuse_by_descent, refuse_by_ray, refuse_by_search
from models.assignment.problem import Problem
from models.assignment.solve import NoPlan, SolveOptions, solve


def check(problem: Problem, error: Infeasible) -> None:
    """No plan keeps the named limits, one keeps all but any of them, and the ray is below zero in plain integers."""
    places = [problem.limits.names.index(name) for name in error.names]
    assert best_by_trying(problem, places) is None
    for m in places:
        assert best_by_trying(problem, [x for x in places if x != m]) is not None
    if error.ray is None:
        return
    prices, total = [int(p) for p in error.ray.prices], 0
    assert all(p >= 0 for p in prices)
    uses = problem.kinds.tabulate_uses(len(prices)).tolist()
    for block in problem.blocks:
        for i in range(len(block)):
            arcs = range(int(block.first[i]), int(block.first[i + 1]))
            kinds = [int(block.kinds_of(np.array([i]), np.array([a]))[0]) for a in arcs]
            worth = [-sum(p * u for p, u in zip(prices, uses[k], strict=True)) for k in kinds]
            total += max(worth if problem.exactly_one else [*worth, 0])
    assert total + sum(p * int(b) for p, b in zip(prices, problem.limits.amount, strict=True)) < 0


@pytest.mark.whole
def test_infeasible_is_said_only_of_what_is() -> None:
    shown = solved = 0
    for seed in range(150):
        problem = random_problem(seed)
        best = best_by_trying(problem)
        try:
            plan = solve(problem, SolveOptions(gap=0.0)).plan
        except Infeasible as error:
            shown += 1
            assert best is None, seed
            check(problem, error)
            continue
        solved += 1
        assert plan.primal == best, seed
    assert shown > 25
    assert solved > 25


@pytest.mark.whole
def test_a_planted_plan_is_found_or_nothing_is_said() -> None:
    """Equations of large integers with one solution, which a solver of floats calls infeasible."""
    for seed in range(12):
        random = np.random.default_rng(seed)
        uses = random.integers(1, 1 << 30, (7, 3, 2))
        planted = uses[np.arange(7), random.integers(0, 3, 7)].sum(axis=0)
        arcs = [[(int(random.integers(0, 10**6)), [int(u) for u in a for _ in (0, 1)]) for a in own] for own in uses]
        limits = [(side, int(amount)) for amount in planted for side in ("at_most", "at_least")]
        problem = make_problem(arcs, limits, must=True)
        plan = solve(problem, SolveOptions(gap=1e-6)).plan
        assert plan.primal == best_by_trying(problem), seed
        assert plan.used == [int(b) for b in problem.limits.amount]


@pytest.mark.whole
def test_what_only_all_plans_can_show_is_not_said_where_they_are_too_many() -> None:
    """A sum of even numbers that shall be odd: no ray, and more plans than can be looked at."""
    random = np.random.default_rng(3)
    arcs = [[(1, [u, u]) for u in (2 * random.integers(1, 1 << 35, 2)).tolist()] for _ in range(40)]
    middle = sum(sum(use[0] for _, use in own) for own in arcs) // 4 * 2 + 1
    problem = make_problem(arcs, [("at_most", middle), ("at_least", middle)], must=True)
    with pytest.raises(NoPlan, match="not known"):
        solve(problem, SolveOptions(seconds=2.0))


def test_each_way_to_refuse_names_the_same_limits() -> None:
    problem = make_problem([[(5, [1, 1, 0])], [(4, [1, 1, 1])]], [("at_most", 1), ("at_least", 2), ("at_most", 9)])
    for refuse in (lambda: refuse_by_ray(problem, [1]), lambda: refuse_by_descent(problem)):
        with pytest.raises(Infeasible) as caught:
            refuse()
        assert caught.value.names == ("l0", "l1")
        assert caught.value.ray is not None
    with pytest.raises(Infeasible) as caught:
        refuse_by_search(problem)
    assert caught.value.names == ("l0", "l1")
    assert caught.value.ray is None
