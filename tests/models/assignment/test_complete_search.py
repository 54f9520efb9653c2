"""Looking at all plans against trying everything, on limits of all kinds."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.tiny_problems import best_by_trying, make_problem, random_problem
from models.assignment.complete_search import search_all
from models.assignment.repair import sum_uses, value_of
from tests.examples import examples


def test_all_plans_give_the_best_or_show_that_there_is_none() -> None:
    some, none, seeds = 0, 0, examples(300)
    for seed in range(seeds):
        problem = random_problem(seed)
        best, looked = best_by_trying(problem), search_all(problem)
        assert looked.complete, seed
        if best is None:
            none += 1
            assert looked.arcs is None, seed
            continue
        some += 1
        assert looked.arcs is not None, seed
        assert value_of(problem, looked.arcs) == best, seed
        used = sum_uses(problem, looked.arcs)
        assert all(u <= int(b) for u, b in zip(used, problem.limits.amount, strict=True)), seed
    assert some > seeds // 6
    assert none > seeds // 6


def test_some_limits_alone_count_where_they_are_named() -> None:
    problem = make_problem([[(5, [1, 1])], [(4, [1, 1])]], [("at_most", 1), ("at_least", 2)])
    assert search_all(problem).arcs is None
    alone = search_all(problem, [1]).arcs
    assert alone is not None
    assert value_of(problem, alone) == 9


def test_nothing_is_said_where_plans_are_too_many_or_time_is_short() -> None:
    random = np.random.default_rng(1)
    many = [[(1, [int(u)]) for u in random.integers(1, 1 << 40, 2)] for _ in range(60)]
    amount = sum(arc[1][0] for own in many for arc in own) // 2
    problem = make_problem(many, [("at_most", amount)], must=True)
    assert not search_all(problem).complete
    few = make_problem(many[:5], [("at_most", 1 << 45)], must=True)
    assert search_all(few).complete
    assert not search_all(few, None, time.perf_counter() - 1).complete


def test_sums_beyond_62_bits_are_not_counted() -> None:
    problem = make_problem([[(1, [1 << 61])], [(1, [1 << 61])]], [("at_most", 5)], must=True)
    assert not search_all(problem).complete


def test_somebody_without_an_arc_leaves_no_plan_where_everybody_must_take_one() -> None:
    assert search_all(make_problem([[(1, [1])], []], [("at_most", 5)], must=True)).complete
    assert search_all(make_problem([[(1, [1])], []], [("at_most", 5)], must=True)).arcs is None
