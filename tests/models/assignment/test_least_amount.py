"""The nearest feasible amount of a limit against trying everything."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.assignment_cases import Case
from benchmarks.assignment_cases import problem as generated
from benchmarks.tiny_problems import least_by_trying, random_problem
from models.assignment.least_amount import nearest_amount
from tests.examples import examples


def test_the_nearest_amount_has_a_plan_and_none_is_nearer() -> None:
    proved, seeds = 0, examples(200)
    for seed in range(seeds):
        problem = random_problem(seed)
        for limit in range(len(problem.limits)):
            least, near = least_by_trying(problem, limit), nearest_amount(problem, limit, [])
            if near is None:
                continue
            assert least is not None, seed  # what is told has a plan
            assert near.beyond <= least <= near.amount, seed
            proved += near.beyond == near.amount
    assert proved > seeds // 2


def test_limits_that_the_first_plan_breaks_are_looked_at_too() -> None:
    problem = generated(Case(customers=2_000, arcs=8))
    floor = next(m for m, sign in enumerate(problem.limits.sign) if sign < 0)
    amount = problem.limits.amount.copy()
    amount[floor] = -(10**6)
    hard = replace(problem, limits=replace(problem.limits, amount=amount))
    near = nearest_amount(hard, floor, [])
    assert near is not None
    assert near.beyond <= near.amount < 0
    amount[floor] = near.amount
    again = nearest_amount(replace(problem, limits=replace(problem.limits, amount=amount)), floor, [])
    assert again == near
