"""The solver against brute force on small problems, and its parts by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.assignment_cases import Case
from benchmarks.assignment_cases import problem as generated
from benchmarks.tiny_problems import best_by_trying, make_problem
from models.assignment.arc_types import Numbering, Use, reduce_kinds
from models.assignment.boxstep import boxes
from models.assignment.conflict import Infeasible
from models.assignment.dual import StoppingRule, descend
from models.assignment.dual_evaluation import Local, best_arcs, choices, evaluate
from models.assignment.impossible_arcs import drop_impossible
from models.assignment.problem import Block, Limits, Overflow, Problem
from models.assignment.repair import repair, sum_uses, value_of
from models.assignment.sample import sample, split
from models.assignment.solve import SolveOptions, solve
from tests.examples import examples

YUAN = 1_000_000


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    limits = draw(st.lists(st.tuples(st.sampled_from(["at_most", "at_least"]), st.integers(0, 6)), max_size=3))
    arc = st.tuples(
        st.integers(-2 * YUAN, 5 * YUAN), st.lists(st.integers(-2, 3), min_size=len(limits), max_size=len(limits))
    )
    customers = draw(st.lists(st.lists(arc, min_size=1, max_size=3), min_size=1, max_size=4))
    return make_problem(customers, limits, draw(st.booleans()))


@pytest.mark.whole
@settings(max_examples=examples(60), deadline=None)
@given(problems())
def test_the_plan_is_the_best_and_the_bound_holds(problem: Problem) -> None:
    best = best_by_trying(problem)
    try:
        found = solve(problem, SolveOptions(gap=0.0))
    except Infeasible as error:
        assert best is None
        check_conflict(problem, error)
        return
    assert best is not None
    assert found.plan.primal == best == value_of(problem, found.plan.arcs)
    assert found.plan.used == sum_uses(problem, found.plan.arcs)
    assert all(u <= b for u, b in zip(found.plan.used, problem.limits.amount.tolist(), strict=True))
    assert found.dual.bound >= best
    possible = drop_impossible(problem)  # the bound is of the arcs that a plan can hold, here and in the checker
    bounded = problem if possible is None else possible.problem
    assert evaluate(bounded, Local(bounded), found.dual.prices).bound == found.dual.bound
    if found.bound_claimed is not None:
        assert best <= found.bound_claimed < found.dual.bound


@pytest.mark.parametrize("first", [[(0, [-2, 2])], [(0, [0, 0]), (0, [-2, 2])]])
def test_a_conflict_counts_customers_who_have_no_other_arc(first: list[tuple[int, list[int]]]) -> None:
    """Two limits conflict, neither alone does, and only whole plans show it: everybody must take an arc."""
    customers = [first, [(0, [3, 2])], [(0, [0, 1]), (0, [-2, -2])]]
    problem = make_problem(customers, [("at_most", 0), ("at_least", 3)], must=True)
    with pytest.raises(Infeasible) as caught:
        solve(problem, SolveOptions(gap=0.0))
    check_conflict(problem, caught.value)


def check_conflict(problem: Problem, error: Infeasible) -> None:
    """The named limits cannot be kept together, each of them is needed, and the ray proves it."""
    places = [problem.limits.names.index(name) for name in error.names]

    assert best_by_trying(problem, places) is None
    for m in places:
        assert best_by_trying(problem, [x for x in places if x != m]) is not None
    if error.ray is None:
        return
    prices, block = error.ray.prices, problem.blocks[0]
    assert (prices >= 0).all()
    assert set(np.flatnonzero(prices).tolist()) == set(places)
    charge = problem.kinds.price(prices)[block.kind.astype(np.int64)]
    worst = [
        max([-int(c) for c in charge[block.first[i] : block.first[i + 1]]] + ([] if problem.exactly_one else [0]))
        for i in range(len(block))
    ]
    assert sum(int(p) * int(b) for p, b in zip(prices, problem.limits.amount, strict=True)) + sum(worst) < 0


def test_all_values_negative_contacts_nobody() -> None:
    found = solve(make_problem([[(-5, [1])], [(-1, [1])]], [("at_most", 1)]), SolveOptions())
    assert [a.tolist() for a in found.plan.arcs] == [[-1, -1]]
    assert found.plan.primal == found.dual.bound == 0


def test_a_floor_is_bought_at_the_least_loss() -> None:
    found = solve(
        make_problem([[(-5 * YUAN, [1])], [(-1 * YUAN, [1])], [(-3 * YUAN, [1])]], [("at_least", 2)]),
        SolveOptions(gap=1e-9),
    )
    assert [a.tolist() for a in found.plan.arcs] == [[-1, 1, 2]]
    assert found.plan.primal == -4 * YUAN
    assert 0 <= found.dual.bound - found.plan.primal <= 1  # a customer's part is rounded up


def test_no_limits_and_a_limit_that_touches_nobody() -> None:
    found = solve(make_problem([[(3, []), (7, [])]], []), SolveOptions())
    assert found.plan.primal == found.dual.bound == 7
    assert solve(make_problem([[(3, [0]), (7, [0])]], [("at_most", 0)]), SolveOptions()).plan.primal == 7


def test_values_too_large_are_refused() -> None:
    with pytest.raises(Overflow):
        solve(make_problem([[(1 << 44, [1])]], [("at_most", 1)]), SolveOptions())


def test_a_conflict_names_only_what_conflicts() -> None:
    arcs = [[(YUAN, [1, 1, 0])], [(YUAN, [1, 1, 1])]]
    with pytest.raises(Infeasible) as told:
        solve(make_problem(arcs, [("at_most", 1), ("at_least", 2), ("at_most", 5)]), SolveOptions())
    assert told.value.names == ("l0", "l1")
    assert told.value.ray is not None
    assert told.value.ray.deficit < 0


def test_sweep_counts_margins_and_curvature_by_hand() -> None:
    # margins: 2 (against the other arc), 4 (against none); width 2^(8 + 13) pico-yuan ~ 2.1 micro-yuan
    problem = make_problem([[(5, [1]), (3, [0])], [(4, [1])]], [("at_most", 1)])
    dual = evaluate(problem, Local(problem), np.zeros(1, np.int64), 13)
    assert dual.bound == 9
    assert dual.used == [2]
    assert dual.near == 1
    weight = 256 - (2_000_000 >> 13)
    assert dual.curvature[0, 0] == pytest.approx(weight / 256 / (2**21 * 1e-12))
    priced = evaluate(problem, Local(problem), np.array([3_500_000]))
    assert priced.bound == 4 + 3 + 1  # ceil(3.5) + 3 + ceil(0.5)
    arc, reduced, margin = choices(problem, np.array([3_500_000]))[0]
    assert arc.tolist() == [1, 2]
    assert reduced.tolist() == [3_000_000, 500_000]
    assert margin.tolist() == [1_500_000, 500_000]


@settings(max_examples=examples(60), deadline=None)
@given(problems(), st.lists(st.integers(0, 3 * 10**12), min_size=3, max_size=3))
def test_every_price_bounds_the_optimum(problem: Problem, prices: list[int]) -> None:
    best = best_by_trying(problem)
    dual = evaluate(problem, Local(problem), np.array(prices[: len(problem.limits)], np.int64))
    assert best is None or dual.bound >= best


@settings(max_examples=examples(60), deadline=None)
@given(problems())
def test_a_repaired_plan_says_what_it_uses(problem: Problem) -> None:
    plan = repair(problem, np.zeros(len(problem.limits), np.int64), 10**12)
    assert plan.primal == value_of(problem, plan.arcs)
    assert plan.used == sum_uses(problem, plan.arcs)
    over = any(u > b for u, b in zip(plan.used, problem.limits.amount.tolist(), strict=True))
    assert over == (plan.excess > 0)


@pytest.mark.whole
def test_newton_and_boxes_find_the_same_optimum() -> None:
    problem = generated(Case(3000, seed=5))
    start = np.zeros(len(problem.limits), np.int64)
    aim = StoppingRule(passes=200, gain=1e-9, width=5e11, least=1e9, radius=1.0)
    newton = descend(problem, Local(problem), start, aim).best
    found = boxes(problem, Local(problem), newton, 10**9, float("inf"), 0.0)
    assert found.optimal
    assert found.dual.bound <= newton.bound <= found.dual.bound * (1 + 1e-3)
    far = boxes(problem, Local(problem), evaluate(problem, Local(problem), start), 10**9, float("inf"), 0.0)
    assert far.dual.bound == pytest.approx(found.dual.bound, rel=1e-7)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_plan_of_20_000_is_proved_within_1e_3(seed: int) -> None:
    found = solve(generated(Case(20_000, seed=seed)), SolveOptions(gap=1e-3))
    assert 0 <= found.gap <= 1e-3
    assert found.plan.excess == 0


@pytest.mark.whole
def test_a_bad_warm_start_costs_passes_not_value() -> None:
    problem = generated(Case(20_000, seed=3))
    cold = solve(problem, SolveOptions(gap=1e-4))
    bad = np.rint(np.random.default_rng(1).random(len(problem.limits)) * 5e12 / problem.scale).astype(np.int64)
    warm = solve(problem, SolveOptions(gap=1e-4, start=bad))
    assert max(cold.gap, warm.gap) <= 1e-4
    again = solve(problem, SolveOptions(gap=1e-4, start=cold.dual.prices))
    assert again.passes < cold.passes
    assert again.gap <= 1e-4


def test_a_sample_is_in_proportion_and_by_hash() -> None:
    problem = generated(Case(40_000, floors=False))
    part = sample(problem, 10_000)
    assert 9_500 < part.customers < 10_500
    assert (part.limits.amount == [int(b) * part.customers // 40_000 for b in problem.limits.amount]).all()
    pieces = replace(problem, blocks=[p for b in problem.blocks for p in split(b, 777)])
    same = sample(pieces, 10_000)
    assert (np.concatenate([b.value for b in part.blocks]) == np.concatenate([b.value for b in same.blocks])).all()


@pytest.mark.whole
def test_blocks_make_no_difference() -> None:
    problem = generated(Case(6_000))
    pieces = replace(problem, blocks=[p for b in problem.blocks for p in split(b, 501)])
    one, other = solve(problem, SolveOptions(gap=1e-3)), solve(pieces, SolveOptions(gap=1e-3))
    assert (one.dual.prices == other.dual.prices).all()
    assert one.dual.bound == other.dual.bound
    owner = [
        np.concatenate([b.customer[a >= 0] for b, a in zip(p.blocks, s.plan.arcs, strict=True)])
        for p, s in ((problem, one), (pieces, other))
    ]
    value = [
        np.concatenate([b.value[a[a >= 0]] for b, a in zip(p.blocks, s.plan.arcs, strict=True)])
        for p, s in ((problem, one), (pieces, other))
    ]
    assert (owner[0] == owner[1]).all()
    assert (value[0] == value[1]).all()


def test_ties_go_by_customer_and_arc_whatever_the_order_of_rows() -> None:
    n = 400
    uses = [Use(np.ones(n * 3, np.int64), 1)]
    product = np.tile(np.arange(3), n).astype(np.int64)
    chosen = []
    for order in (np.arange(3), np.array([2, 0, 1])):
        shuffled = (np.arange(n)[:, None] * 3 + order).ravel()
        kinds, kind = reduce_kinds(product[shuffled], np.zeros(n * 3, np.int64), uses)
        block = Block(np.arange(n), np.arange(n + 1) * 3, np.full(n * 3, 9, np.int32), kind.astype(np.uint16))
        problem = Problem([block], kinds, Limits(("l",), np.array([n]), np.array([1])), False, 9)
        arc = best_arcs(problem, np.zeros(1, np.int64))[0]
        chosen.append(kinds.product[block.kind[arc]])
    assert (chosen[0] == chosen[1]).all()
    assert np.bincount(chosen[0]).min() > 80  # and evenly among the tied


def test_prices_lie_on_a_grid_that_leaves_nothing_to_round() -> None:
    arcs = [[(5, [180, 7])], [(4, [360, 7])]]
    problem = make_problem(arcs * 2_000, [("at_most", 180), ("at_most", 7)])
    assert problem.grid.tolist() == [50_000, 1_000_000]
    prices = problem.round_prices(np.array([123_456.0, -5.0]))
    assert prices.tolist() == [100_000, 0]
    assert (problem.kinds.price(prices) % 1_000_000 == 0).all()


def test_numbering_grows_and_keeps_numbers() -> None:
    numbering = Numbering(2)
    rows = np.stack([np.arange(9_000) % 4_000, np.arange(9_000) % 7], 1).astype(np.int64)
    numbers = numbering.number(rows)
    assert (numbering.known[numbers] == rows).all()
    assert numbering.count == len(np.unique(rows, axis=0))
    assert (numbering.number(rows) == numbers).all()
