"""Active sets: within a box they stand for everybody to the last integer; outside they are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.assignment_cases import Case
from benchmarks.assignment_cases import problem as generated
from benchmarks.tiny_problems import make_problem
from models.arrays import Ints
from models.assignment.active_set import Active, Box, active_set, box_of
from models.assignment.dual_evaluation import Local, best_arcs, evaluate
from models.assignment.problem import Block, Limits, Problem
from models.assignment.repair import sum_uses, value_of
from models.assignment.resolve import solve_again
from models.assignment.solve import Solution, SolveOptions, solve
from planning.instance.certificate import Certificate, LimitCertificate
from planning.whatif.active_sets import key_of, read_active, round_change, write_active
from tests.examples import examples
from tests.models.assignment.test_solve import problems

GAP = 1e-3


def around(prices: Ints, half: Ints) -> Box:
    return Box(np.maximum(prices - half, 0), prices + half, prices)


def moved(problem: Problem, m: int, factor: float) -> Problem:
    amount = problem.limits.amount.copy()
    amount[m] = round(int(amount[m]) * factor)
    return replace(problem, limits=replace(problem.limits, amount=amount))


def same_everywhere(problem: Problem, active: Active, prices: Ints) -> None:
    """At these prices the active set has everybody's bound, choices and uses."""
    part = active.part(problem)
    whole, seen = evaluate(problem, Local(problem), prices), evaluate(part, Local(part), prices)
    assert seen.bound == whole.bound
    assert seen.used == whole.used
    best = active.complete(best_arcs(part, prices))
    for mine, own in zip(best, best_arcs(problem, prices), strict=True):
        np.testing.assert_array_equal(mine, own)
    assert value_of(part, best_arcs(part, prices)) == value_of(problem, best)
    assert sum_uses(part, best_arcs(part, prices)) == sum_uses(problem, best)


@settings(max_examples=examples(50), deadline=None)
@given(problems(), st.data())
def test_bound_choices_and_uses_are_everybodys_at_every_price_of_the_box(problem: Problem, data: st.DataObject) -> None:
    limits, some = len(problem.limits), st.integers(0, 3 * 10**6)
    prices = np.array(data.draw(st.lists(some, min_size=limits, max_size=limits)), np.int64)
    half = np.array(data.draw(st.lists(st.integers(0, 2 * 10**6), min_size=limits, max_size=limits)), np.int64)
    box = around(prices, half)
    active = active_set(problem, prices, box)
    assert active is not None
    for side in (box.low, box.high, prices):
        same_everywhere(problem, active, side)
    share = data.draw(st.lists(st.floats(0, 1), min_size=limits, max_size=limits))
    same_everywhere(problem, active, box.low + np.rint((box.high - box.low) * np.array(share)).astype(np.int64))


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(1, 40), st.floats(0.0, 0.3), st.integers(0, 2**32 - 1))
def test_the_same_of_a_generated_night(seed: int, width: float, number: int) -> None:
    problem = generated(Case(1_500, seed=seed))
    random = np.random.default_rng(number)
    prices = problem.round_prices(random.exponential(0.1, len(problem.limits)) * 1e12 / problem.scale)
    half = problem.round_prices(width * random.random(len(prices)) * 1e12 / problem.scale)
    box = around(prices, half)
    active = active_set(problem, prices, box)
    assert active is not None
    assert active.customers + active.apart.customers == problem.customers
    for _ in range(3):
        same_everywhere(problem, active, random.integers(box.low, box.high, endpoint=True))


@pytest.mark.whole
def test_the_same_of_arcs_in_groups_as_they_are_on_disk() -> None:
    flat = generated(Case(1_500, seed=9))
    (block,) = flat.blocks
    group, pair = np.divmod(block.kind, np.uint16(72))
    first = block.first.astype(np.uint32)
    compact = Block(block.customer, first, block.value, pair.astype(np.uint8), group[first[:-1]].astype(np.uint8), 72)
    problem = replace(flat, blocks=[compact])
    prices = problem.round_prices(np.full(len(problem.limits), 0.05e12) / problem.scale)
    box = around(prices, problem.round_prices(np.full(len(prices), 0.02e12) / problem.scale))
    active, plain = active_set(problem, prices, box), active_set(flat, prices, box)
    assert active is not None
    assert plain is not None
    assert active.place[0].tolist() == plain.place[0].tolist()
    assert active.arc[0].tolist() == plain.arc[0].tolist()
    for side in (box.low, box.high):
        same_everywhere(problem, active, side)


def test_who_stays_certain_is_left_out_and_who_does_not_is_not() -> None:
    # margins 4 (uses one more), 4 (uses the same), 9 and 0 (tied with none); the price may rise by 4 micro-yuan
    problem = make_problem([[(9, [1]), (5, [0])], [(9, [1]), (5, [1])], [(9, [1])], [(0, [1])]], [("at_most", 2)])
    zero = np.zeros(1, np.int64)
    active = active_set(problem, zero, Box(zero, np.array([4_000_000]), zero))
    assert active is not None
    assert active.place[0].tolist() == [0]
    assert active.arc[0].tolist() == [0, 1]
    assert (active.apart.customers, active.apart.value, active.apart.counts.sum()) == (3, 18, 2)


def test_prices_outside_the_box_are_refused_and_rounded_into_it() -> None:
    problem = generated(Case(1_000))
    prices = problem.round_prices(np.full(len(problem.limits), 0.1e12) / problem.scale)
    box = around(prices, problem.round_prices(np.full(len(prices), 0.01e12) / problem.scale))
    active = active_set(problem, prices, box)
    assert active is not None
    part = active.part(problem)
    with pytest.raises(ValueError, match="outside the box"):
        evaluate(part, Local(part), box.high + 1)
    assert active.apart.within(part.round_prices(2.0 * box.high.astype(np.float64)))
    with pytest.raises(ValueError, match="must hold"):
        active_set(problem, box.high + 1, box)
    assert active_set(problem, prices, replace(box, high=box.high + (1 << 61))) is None


@pytest.fixture(scope="module")
def night() -> tuple[Problem, Solution]:
    problem = generated(Case(12_000, seed=4))
    return problem, solve(problem, SolveOptions(gap=GAP))


def dear(found: Solution, problem: Problem) -> int:
    """The product whose capacity is worth most."""
    product = np.array([name.startswith("product") for name in problem.limits.names])
    return int(np.argmax(found.dual.prices.astype(float) * problem.limits.amount * product))


@pytest.mark.parametrize("factor", [0.9, 0.97, 1.1])
def test_a_what_if_by_the_active_set_is_as_good_as_one_by_everybody(
    night: tuple[Problem, Solution], factor: float
) -> None:
    problem, before = night
    there = moved(problem, dear(before, problem), factor)
    active = active_set(problem, before.dual.prices, box_of(problem, before.dual.prices, there.limits))
    assert active is not None
    assert active.customers < problem.customers / 2
    goal = SolveOptions(gap=GAP, start=before.dual.prices)
    found, whole = solve_again(there, active, goal), solve(there, goal)
    assert isinstance(found, Solution)
    for each in (found, whole):
        assert 0 <= each.gap <= GAP
        assert each.plan.primal == value_of(there, each.plan.arcs)
        assert each.plan.used == sum_uses(there, each.plan.arcs)
        assert all(u <= b for u, b in zip(each.plan.used, there.limits.amount.tolist(), strict=True))
        assert evaluate(there, Local(there), each.dual.prices).bound == each.dual.bound
    assert found.plan.primal <= whole.dual.bound
    assert whole.plan.primal <= found.dual.bound


def test_what_a_box_is_too_small_for_is_not_answered(night: tuple[Problem, Solution]) -> None:
    problem, before = night
    prices = before.dual.prices
    active = active_set(
        problem, prices, around(prices, problem.round_prices(np.full(len(prices), 5e9) / problem.scale))
    )
    assert active is not None
    missed = solve_again(moved(problem, dear(before, problem), 0.4), active, SolveOptions(gap=GAP, start=prices))
    assert not isinstance(missed, Solution)
    assert active.leans(missed.prices)
    assert not active.leans(prices)


def test_a_set_comes_back_as_it_was_written(night: tuple[Problem, Solution], tmp_path: Path) -> None:
    problem, before = night
    there = moved(problem, dear(before, problem), 1.1)
    active = active_set(problem, before.dual.prices, box_of(problem, before.dual.prices, there.limits))
    assert active is not None
    path = tmp_path / "active" / "set.npz"
    assert read_active(path, problem, before.plan.arcs) is None
    write_active(path, active, before.plan.arcs)
    back = read_active(path, problem, before.plan.arcs)
    assert back is not None
    goal = SolveOptions(gap=GAP, start=before.dual.prices)
    one, other = solve_again(there, active, goal), solve_again(there, back, goal)
    assert isinstance(one, Solution)
    assert isinstance(other, Solution)
    assert one.dual.bound == other.dual.bound
    for mine, own in zip(one.plan.arcs, other.plan.arcs, strict=True):
        np.testing.assert_array_equal(mine, own)


def test_sets_are_for_round_changes_so_that_it_does_not_matter_what_was_asked_before() -> None:
    before = Limits(("calls", "floor", "share"), np.array([1000, -200, 0]), np.array([1, -1, 1]))
    used = [1000, -230, 40]

    def wide(*amount: int) -> list[int] | None:
        found = round_change(before, replace(before, amount=np.array(amount)), used)
        return None if found is None else found.amount.tolist()

    assert wide(1030, -200, 0) == wide(1100, -200, 0) == [1100, -200, 0]
    assert wide(900, -210, 0) == [900, -223, 0]
    assert wide(1101, -200, 0) == [1200, -200, 0]
    assert wide(1000, -200, 3) == [1000, -200, 4]
    assert wide(5000, -200, 0) is None
    assert wide(1000, -200, 0) is None
    names = ("calls", "floor", "share")
    rows = [
        LimitCertificate(name=n, used=0, amount=a, price_pico=7) for n, a in zip(names, (1000, 200, 0), strict=True)
    ]
    certificate = Certificate(
        primal=0,
        bound=0,
        gap=0.0,
        customers=1,
        arcs=1,
        limits=rows,
        assignment_sha256="a",
        seconds=0.0,
        passes=1,
        method="",
    )
    other = replace(before, amount=np.array([1100, -200, 0]))
    assert key_of(certificate, other, 0.3) != key_of(certificate, replace(before, amount=np.array([900, -200, 0])), 0.3)
    assert key_of(certificate, other, 0.3) != key_of(certificate, other, 1.0)
    assert key_of(certificate, other, 0.3) != key_of(
        certificate.model_copy(update={"assignment_sha256": "b"}), other, 0.3
    )
