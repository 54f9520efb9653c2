"""Arcs that no plan can hold go first: answers equal to those without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.assignment_cases import Case
from benchmarks.assignment_cases import problem as generated
from benchmarks.tiny_problems import Arc, all_plans, best_by_trying, make_problem, random_problem
from models.assignment.conflict import Infeasible
from models.assignment.impossible_arcs import drop_impossible
from models.assignment.problem import Problem
from models.assignment.repair import sum_uses, value_of
from models.assignment.solve import SolveOptions, solve
from tests.examples import examples


def held_by_some_plan(problem: Problem, m: int) -> set[tuple[int, int]]:
    """Arcs (block, place) of the plans that keep one limit, everybody free to take none."""
    free = replace(problem, exactly_one=False)
    arcs = set()
    for plan in all_plans(free):
        if sum_uses(free, plan)[m] <= int(problem.limits.amount[m]):
            arcs |= {(b, int(a)) for b, own in enumerate(plan) for a in own if a >= 0}
    return arcs


def test_only_arcs_that_cannot_fit_an_at_most_limit_are_out() -> None:
    dropped, seeds = 0, examples(120)
    for seed in range(seeds):
        problem = random_problem(seed, customers=4)
        everything = {(b, a) for b, block in enumerate(problem.blocks) for a in range(int(block.first[-1]))}
        expected = set(everything)
        for m in np.flatnonzero(problem.limits.sign > 0):
            expected &= held_by_some_plan(problem, int(m))
        possible = drop_impossible(problem)
        stays = everything if possible is None else {(b, int(a)) for b, own in enumerate(possible.arcs) for a in own}
        assert stays == expected, seed
        dropped += len(everything - stays)
    assert dropped > seeds // 3


def with_sentinel(problem: Problem, use: int) -> Problem:
    """One more arc of the first customer, dear and worth most, of a kind of its own."""
    kinds, block = problem.kinds, problem.blocks[0]
    budget = problem.limits.names.index("budget") if "budget" in problem.limits.names else 0
    more = replace(
        kinds,
        product=np.append(kinds.product, 999),
        channel=np.append(kinds.channel, 9),
        first=np.append(kinds.first, kinds.first[-1] + 1),
        limit=np.append(kinds.limit, budget),
        use=np.append(kinds.use, use),
    )
    at = int(block.first[1])
    first = block.first.copy()
    first[1:] += 1
    own = replace(
        block,
        first=first,
        value=np.insert(block.value, at, problem.most),
        kind=np.insert(block.kind.astype(np.uint32), at, len(kinds)),
    )
    return replace(problem, kinds=more, blocks=[own, *problem.blocks[1:]])


def test_a_sentinel_use_changes_nothing() -> None:
    problem = generated(Case(customers=3_000, arcs=4))
    options = SolveOptions(gap=5e-3)  # what prices and repair reach: no program of whole numbers is needed
    plain, other = solve(problem, options), solve(with_sentinel(problem, 10**15), options)
    assert other.dual.bound == plain.dual.bound
    assert other.dual.prices.tolist() == plain.dual.prices.tolist()
    assert other.plan.primal == plain.plan.primal
    assert other.passes == plain.passes
    assert value_of(with_sentinel(problem, 10**15), other.plan.arcs) == plain.plan.primal


def test_the_best_plan_is_found_beside_sentinels() -> None:
    random = np.random.default_rng(1)
    for seed in range(examples(60)):
        sides = [(str(side), int(random.integers(0, 6))) for side in random.choice(["at_most", "at_least"], 2)]
        own: list[list[Arc]] = [
            [
                (int(v), [int(u) if random.random() < 0.8 else 10**15 for u in random.integers(-1, 4, 2)])
                for v in random.integers(-5, 20, 2)
            ]
            for _ in range(4)
        ]
        problem = make_problem(own, sides, bool(random.random() < 0.4), block=2)
        best = best_by_trying(problem)
        try:
            assert solve(problem, SolveOptions(gap=0.0)).plan.primal == best, seed
        except Infeasible:
            assert best is None, seed


def test_all_arcs_may_be_out() -> None:
    problem = make_problem([[(5, [9])], [(4, [9])]], [("at_most", 3)], block=1)
    assert solve(problem, SolveOptions()).plan.primal == 0
    assert [arcs.tolist() for arcs in solve(problem, SolveOptions()).plan.arcs] == [[-1], [-1]]
