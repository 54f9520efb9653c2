"""Small instances: annealing and MIPs on cores find better plans than prices do, keep limits, and repeat themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.assignment.anneal import annealed
from models.assignment.exact import Choice, whole_plan
from models.assignment.kinds import Use, narrow, reduce_kinds
from models.assignment.passes import Dual, Local, best_arcs, evaluate
from models.assignment.problem import Block, Ints, Limits, Problem
from models.assignment.repair import Options, gather, repaired, used_by, value_of, without
from models.assignment.small import core, improved
from models.assignment.solve import Goal, solve


def knapsack(groups: int, items: int, limits: int, seed: int, must: bool = True) -> Problem:
    """A random multiple-choice knapsack whose items are worth about what they use."""
    random = np.random.default_rng(seed)
    uses = random.integers(0, 60, (groups * items, limits))
    value = (uses.sum(axis=1) + random.integers(0, 40, groups * items)) * 1_000_000
    amount = (uses.reshape(groups, items, limits).mean(axis=1).sum(axis=0) * 0.9).astype(np.int64)
    parts = [Use(uses[:, m].astype(np.int64), 1) for m in range(limits)]
    product = np.tile(np.arange(items), groups).astype(np.int64)
    kinds, kind = reduce_kinds(product, np.zeros(len(product), np.int64), parts)
    block = Block(np.arange(groups), np.arange(groups + 1) * items, value.astype(np.int64), narrow(kind, len(kinds)))
    names = tuple(f"resource_{m}" for m in range(limits))
    return Problem([block], kinds, Limits(names, amount, np.ones(limits, np.int64)), must, int(value.max()))


def priced(problem: Problem) -> Dual:
    prices = np.rint(1e12 * np.ones(len(problem.limits))).astype(np.int64)
    return evaluate(problem, Local(problem), prices)


def everything(problem: Problem, held: list[Ints], dual: Dual) -> tuple[Options, Ints]:
    options = gather(problem, dual.prices, 1 << 61, held)
    assert options is not None
    return options, problem.limits.amount - without(problem, options, held)[1]


def test_annealing_finds_the_optimum_of_what_a_mip_can_prove() -> None:
    problem = knapsack(10, 5, 3, seed=1)
    dual = priced(problem)
    plan = repaired(problem, dual.prices, 1 << 61)
    options, room = everything(problem, plan.arcs, dual)
    exact = whole_plan(
        Choice(options.group, options.kind, options.value, room), problem.kinds, problem.scale, start=None, gap=0.0,
        seconds=math.inf, nodes=100_000,
    ).hold  # fmt: skip
    assert exact is not None
    best = int(options.value[exact].sum())
    begun = int(options.value[options.start].sum())
    assert begun < best
    found = annealed(
        problem,
        dual.prices,
        options,
        room,
        feasible=plan.excess == 0,
        enough=1 << 61,
        coolings=1,
        seconds=math.inf,
        seed=1,
    )
    assert found is not None
    assert int(options.value[found].sum()) == best


def test_annealing_starts_from_a_plan_that_breaks_limits_and_keeps_them_in_the_end() -> None:
    problem = knapsack(30, 6, 4, seed=2)
    dual = evaluate(problem, Local(problem), np.zeros(4, np.int64))
    held = best_arcs(problem, dual.prices)
    assert any(u > b for u, b in zip(used_by(problem, held), problem.limits.amount.tolist(), strict=True))
    options, room = everything(problem, held, dual)
    found = [
        annealed(
            problem, dual.prices, options, room, feasible=False, enough=1 << 61, coolings=1, seconds=math.inf, seed=3
        )
        for _ in range(2)
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert (found[0] == found[1]).all()
    arcs = [options.arc[found[0]]]
    assert all(u <= b for u, b in zip(used_by(problem, arcs), problem.limits.amount.tolist(), strict=True))


def test_a_plan_that_is_good_enough_is_left_alone() -> None:
    problem = knapsack(10, 5, 3, seed=1)
    dual = priced(problem)
    plan = repaired(problem, dual.prices, 1 << 61)
    options, room = everything(problem, plan.arcs, dual)
    assert (
        annealed(problem, dual.prices, options, room, feasible=True, enough=0, coolings=9, seconds=math.inf, seed=1)
        is None
    )
    assert improved(problem, dual, plan, gap=1.0, seconds=math.inf) is plan


@pytest.mark.parametrize("must", [True, False])
def test_cores_hold_what_is_held_and_are_small(must: bool) -> None:
    problem = knapsack(40, 8, 3, seed=4, must=must)
    dual = priced(problem)
    held = best_arcs(problem, dual.prices)
    held[0][:5] = 8 * np.arange(5) + 3
    options = core(problem, dual.prices, held, 100)
    assert len(options.group) <= 100
    assert set(range(5)) & set(np.flatnonzero(held[0] != best_arcs(problem, dual.prices)[0]).tolist()) <= set(
        options.place.tolist()
    )
    assert (options.arc[options.start] == held[0][options.place[options.start]]).all()


@pytest.mark.whole
def test_a_small_instance_is_improved_the_same_way_twice() -> None:
    problem = knapsack(40, 8, 5, seed=5)
    dual = priced(problem)
    plan = repaired(problem, dual.prices, 1 << 61)
    one, other = (improved(problem, dual, plan, gap=0.0, seconds=math.inf) for _ in range(2))
    assert one.excess == 0
    assert one.primal > plan.primal
    assert one.primal == other.primal == value_of(problem, one.arcs)
    assert (one.arcs[0] == other.arcs[0]).all()
    assert one.used == used_by(problem, one.arcs)


@pytest.mark.whole
def test_seconds_are_kept_by_the_search() -> None:
    found = solve(knapsack(60, 10, 8, seed=6), Goal(gap=0.0, seconds=3.0))
    assert found.plan.excess == 0
    assert "cores" in found.method
