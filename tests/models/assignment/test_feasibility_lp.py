"""Customers who are alike to some limits: nothing is lost by counting them together."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.assignment_cases import Case
from benchmarks.assignment_cases import problem as generated
from benchmarks.tiny_problems import make_problem, random_problem
from models.assignment.feasibility_lp import NOTHING, choose_arcs, find_patterns, least_excess, least_use
from models.assignment.repair import sum_uses


def test_patterns_are_few_and_hold_everybody() -> None:
    problem = generated(Case(customers=3_000, arcs=8))
    patterns = find_patterns(problem, [0, 1])
    assert patterns is not None
    assert len(patterns.count) <= 8
    assert int(patterns.count.sum()) == problem.customers
    assert [len(of) for of in patterns.of] == [len(block) for block in problem.blocks]
    for block, of in zip(problem.blocks, patterns.of, strict=True):
        for i in range(0, len(block), 97):
            arcs = np.arange(int(block.first[i]), int(block.first[i + 1]))
            own = set(patterns.of_kind[block.kinds_of(np.full(len(arcs), i), arcs)].tolist())
            zero = np.flatnonzero((patterns.vectors == 0).all(axis=1)).tolist()
            assert set(np.flatnonzero(patterns.member[of[i]]).tolist()) == own | set(zero)


def test_the_excess_is_none_where_a_plan_keeps_the_limits() -> None:
    problem = make_problem([[(5, [1, 1])], [(4, [1, 1])]], [("at_most", 1), ("at_least", 2)])
    both, floor = (find_patterns(problem, places) for places in ([0, 1], [1]))
    assert both is not None
    assert floor is not None
    excess, none = least_excess(problem, both), least_excess(problem, floor)
    assert excess is not None
    assert none is not None
    assert excess.cost == pytest.approx(1.0)
    assert none.cost < NOTHING


def test_the_arcs_chosen_use_what_the_lp_counted() -> None:
    looked = 0
    for seed in range(200):
        problem = random_problem(seed)
        places = list(range(len(problem.limits)))
        patterns = find_patterns(problem, places)
        assert patterns is not None
        optimum = least_use(problem, patterns, 0, integer=True)
        if optimum is None:
            continue
        looked += 1
        used = sum_uses(problem, choose_arcs(problem, patterns, optimum, np.zeros(len(places))))
        assert all(used[m] <= int(problem.limits.amount[m]) for m in places[1:]), seed
        assert used[0] == round(optimum.cost * problem.scale[0]), seed
    assert looked > 60
