"""Small instances: chains and MIPs on cores find better plans than prices do, keep limits, and repeat themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.public_instances import problem_of
from models.arrays import Ints
from models.assignment.arc_types import Use, narrow, reduce_kinds
from models.assignment.dual_evaluation import Dual, Local, best_arcs, evaluate
from models.assignment.ejection_chains import Cooling, search_chains
from models.assignment.highs_models import Choice, whole_plan
from models.assignment.problem import PICO, Block, Limits, Problem
from models.assignment.repair import Options, Plan, gather, repair, sum_uses, value_of, without
from models.assignment.small_instances import core, improve_plan
from models.assignment.solve import SolveOptions, solve


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


WARM = Cooling(200, 3, 0.5, 0.02, 1.1, 2.0)
#: Nothing is lost on purpose at such temperatures: only what a chain makes good is kept.
COLD = Cooling(100, 7, 1e-6, 1e-6, 1.1, 2.0)


def chains(
    problem: Problem,
    dual: Dual,
    options: Options,
    room: Ints,
    feasible: bool,
    *,
    enough: int = 1 << 61,
    seconds: float = math.inf,
    cooling: Cooling = WARM,
) -> Ints | None:
    return search_chains(
        problem, dual.prices, options, room, feasible=feasible, enough=enough, cooling=cooling, seconds=seconds, seed=3
    )


def kept(problem: Problem, arcs: list[Ints]) -> bool:
    return all(u <= b for u, b in zip(sum_uses(problem, arcs), problem.limits.amount.tolist(), strict=True))


def test_chains_find_the_optimum_of_what_a_mip_can_prove() -> None:
    problem = knapsack(10, 5, 3, seed=1)
    dual = priced(problem)
    plan = repair(problem, dual.prices, 1 << 61)
    options, room = everything(problem, plan.arcs, dual)
    exact = whole_plan(
        Choice(options.group, options.kind, options.value, room),
        problem.kinds,
        problem.scale,
        start=None,
        gap=0.0,
        seconds=math.inf,
        nodes=100_000,
    ).hold
    assert exact is not None
    best = int(options.value[exact].sum())
    assert int(options.value[options.start].sum()) < best
    found = chains(problem, dual, options, room, plan.excess == 0)
    assert found is not None
    assert int(options.value[found].sum()) == best


def test_a_chain_closes_a_ring_that_no_single_move_does() -> None:
    """Agents have room for two jobs each and hold the next one's two: no job goes home unless six move at once."""
    agents, jobs = 6, np.arange(12)
    uses = [[[10 * (a == m) for m in range(agents)] for a in range(agents)] for _ in jobs]
    values = [[100.0 * (a == j // 2) + 1.0 * (a == (j // 2 + 1) % agents) for a in range(agents)] for j in jobs]
    problem = problem_of(values, uses, [20] * agents, True)
    dual = evaluate(problem, Local(problem), np.full(agents, 20 * 10**12))
    options, room = everything(problem, [agents * jobs + (jobs // 2 + 1) % agents], dual)
    found = chains(problem, dual, options, room, feasible=True, cooling=COLD)
    assert found is not None
    assert int(options.value[found].sum()) == 1_200 * 1_000_000


def test_chains_start_from_a_plan_that_breaks_limits_and_repeat_themselves() -> None:
    problem = knapsack(30, 6, 4, seed=2)
    dual = evaluate(problem, Local(problem), np.zeros(4, np.int64))
    held = best_arcs(problem, dual.prices)
    assert not kept(problem, held)
    options, room = everything(problem, held, dual)
    found = [chains(problem, dual, options, room, feasible=False) for _ in range(2)]
    assert found[0] is not None
    assert found[1] is not None
    assert (found[0] == found[1]).all()
    assert kept(problem, [options.arc[found[0]]])


def test_a_floor_is_mended_by_those_who_do_not_use_it_yet() -> None:
    """Twenty customers of two products, at least 13 of one and 7 of the other: two must change places at once."""
    product = np.tile(np.arange(2, dtype=np.int64), 20)
    uses = [Use((product == p).astype(np.int64), -1) for p in range(2)]
    kinds, kind = reduce_kinds(product, np.zeros(40, np.int64), uses)
    value = np.where(product == 0, 10_000_000, 1_000_000 + 100_000 * np.arange(40)).astype(np.int64)
    block = Block(np.arange(20), np.arange(21) * 2, value, narrow(kind, len(kinds)))
    limits = Limits(("one", "other"), np.array([-13, -7]), np.array([-1, -1]))
    problem = Problem([block], kinds, limits, True, 10_000_000)
    dual = evaluate(problem, Local(problem), np.full(2, 20 * 10**12))
    options, room = everything(problem, [2 * np.arange(20) + (np.arange(20) < 7)], dual)
    found = chains(problem, dual, options, room, feasible=True, cooling=COLD)
    assert found is not None
    assert (options.arc[found] % 2 == 1).tolist() == [False] * 13 + [True] * 7


def test_a_plan_that_is_good_enough_is_left_alone_and_so_is_one_whose_time_is_over() -> None:
    problem = knapsack(10, 5, 3, seed=1)
    dual = priced(problem)
    plan = repair(problem, dual.prices, 1 << 61)
    options, room = everything(problem, plan.arcs, dual)
    assert chains(problem, dual, options, room, True, enough=0) is None
    assert chains(problem, dual, options, room, True, seconds=0.0) is None
    assert improve_plan(problem, dual, plan, gap=1.0, seconds=math.inf) is plan


def test_values_that_are_multiples_of_a_unit_need_not_reach_the_bound_between_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = knapsack(10, 5, 3, seed=1)
    dual = replace(priced(problem), bound=1_234_999_999)
    plan = replace(repair(problem, dual.prices, 1 << 61), primal=1_234_000_000, excess=0.0)
    searched: list[Dual] = []
    monkeypatch.setattr(
        "models.assignment.small_instances.core",
        lambda _, dual, *rest: searched.append(dual) or core(problem, dual, *rest),
    )
    improve_plan(problem, dual, plan, gap=0.0, seconds=math.inf)
    assert not searched
    improve_plan(problem, replace(dual, bound=1_235_000_000), plan, gap=0.0, seconds=math.inf)
    assert searched


@pytest.mark.parametrize("must", [True, False])
def test_cores_hold_what_is_held_and_are_small(must: bool) -> None:
    problem = knapsack(40, 8, 3, seed=4, must=must)
    dual = priced(problem)
    held = best_arcs(problem, dual.prices)
    held[0][:5] = 8 * np.arange(5) + 3
    plan = Plan(held, value_of(problem, held), sum_uses(problem, held), 1.0)
    options, complete = core(problem, dual, plan, 100)
    assert len(options.group) <= 100
    assert not complete
    assert set(range(5)) & set(np.flatnonzero(held[0] != best_arcs(problem, dual.prices)[0]).tolist()) <= set(
        options.place.tolist()
    )
    assert (options.arc[options.start] == held[0][options.place[options.start]]).all()


def test_a_core_is_complete_where_what_it_leaves_out_loses_more_than_is_missing() -> None:
    problem = knapsack(40, 8, 3, seed=4)
    dual = priced(problem)
    plan = repair(problem, dual.prices, 1 << 61)
    assert plan.excess == 0
    options, complete = core(problem, dual, plan, 10_000)
    assert complete
    every, _ = everything(problem, plan.arcs, dual)
    matters = np.flatnonzero(every.loss < (dual.bound - plan.primal) * PICO)
    matters = matters[~np.isin(matters, every.start)]
    assert len(matters) > 20
    assert set(every.arc[matters].tolist()) <= set(options.arc.tolist())


@pytest.mark.whole
def test_a_small_instance_is_improved_the_same_way_twice() -> None:
    problem = knapsack(40, 8, 5, seed=5)
    dual = priced(problem)
    plan = repair(problem, dual.prices, 1 << 61)
    one, other = (improve_plan(problem, dual, plan, gap=0.0, seconds=math.inf) for _ in range(2))
    assert one.excess == 0
    assert one.primal > plan.primal
    assert one.primal == other.primal == value_of(problem, one.arcs)
    assert (one.arcs[0] == other.arcs[0]).all()
    assert one.used == sum_uses(problem, one.arcs)


@pytest.mark.whole
def test_seconds_are_kept_by_the_search() -> None:
    found = solve(knapsack(60, 10, 8, seed=6), SolveOptions(gap=0.0, seconds=3.0))
    assert found.plan.excess == 0
    assert "cores" in found.method
