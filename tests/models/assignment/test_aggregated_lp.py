"""Classes of moves: who stands between two choices is counted, moved in whole numbers, and fills the limits."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.assignment_cases import Case
from benchmarks.assignment_cases import problem as generated
from models.assignment.aggregated_lp import _changes, by_classes, classes_of
from models.assignment.dual import StoppingRule, descend
from models.assignment.dual_evaluation import Local, best_arcs, evaluate
from models.assignment.problem import Block, Kinds, Limits, Problem
from models.assignment.repair import gather, sum_uses, value_of
from models.assignment.sample import sample, samples


def ties(customers: int, amount: list[int], cost: int = 3) -> Problem:
    """Everybody has arc 0 (uses one of limit 0 and ``cost`` of limit 1) and arc 1 (one of limit 2), all worth 10."""
    kinds = Kinds(np.arange(2), np.zeros(2, np.int64), np.array([0, 2, 3]), np.array([0, 1, 2]), np.array([1, cost, 1]))
    block = Block(
        np.arange(customers),
        np.arange(customers + 1) * 2,
        np.full(2 * customers, 10, np.int32),
        np.tile(np.arange(2), customers).astype(np.uint16),
    )
    limits = Limits(("calls", "budget", "messages"), np.array(amount), np.ones(3, np.int64))
    return Problem([block], kinds, limits, False, 10)


@pytest.mark.parametrize(("amount", "best"), [([300, 10_000, 500], 800), ([300, 600, 500], 700), ([0, 0, 0], 0)])
def test_ties_are_shared_out_until_limits_are_used_up(amount: list[int], best: int) -> None:
    problem = ties(1_000, amount)
    prices = np.array([10_000_000, 0, 10_000_000])  # each arc is worth nothing, as no arc is: all are tied
    plan = by_classes(problem, evaluate(problem, Local(problem), prices, 20), 1_000_000)
    assert plan.excess == 0
    assert plan.primal == value_of(problem, plan.arcs) == 10 * best
    assert plan.used == sum_uses(problem, plan.arcs)


def test_classes_are_of_two_kinds_and_a_loss_least_loss_first() -> None:
    problem = generated(Case(3_000, seed=2))
    prices = np.rint(2e11 / problem.scale).astype(np.int64)
    options = gather(problem, prices, 10**11, best_arcs(problem, prices))
    assert options is not None
    found = classes_of(options, 10**11)
    held = options.start[options.group[found.move]]
    assert len(np.unique(options.group[found.move])) == len(found.move) > 100
    for lo, hi, cost, before, after in zip(
        found.begin, found.begin[1:], found.cost, found.before, found.after, strict=False
    ):
        part, mine = found.move[lo:hi], held[lo:hi]
        assert (options.kind[part] == after).all()
        assert (options.kind[mine] == before).all()
        loss = options.loss[part] - options.loss[mine]
        assert (np.diff(loss) >= 0).all()
        assert cost == pytest.approx(loss.mean() * 1e-12)
        assert loss.max() - loss.min() <= 10**11 // 32


def test_a_move_changes_what_both_kinds_use() -> None:
    problem = ties(4, [1, 1, 1])
    options = gather(problem, np.zeros(3, np.int64), 10**12, [np.array([0, 3, -1, 6])])
    assert options is not None
    found = classes_of(options, 10**12)
    at, row, entry = _changes(problem.kinds, found, problem.scale)
    dense = np.zeros((len(found.cost), 3))
    dense[at, row] = entry
    use = {-1: [0, 0, 0], 0: [1, 1, 0], 1: [0, 0, 1]}  # budget is scaled by its largest use
    expected = [np.subtract(use[a], use[b]) for a, b in zip(found.after.tolist(), found.before.tolist(), strict=True)]
    assert (dense == np.array(expected)).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_plan_of_classes_is_proved_close(seed: int) -> None:
    problem = generated(Case(60_000, seed=seed))
    aim = StoppingRule(passes=60, gain=1e-8, width=5e11, least=1e9, radius=1.0)
    dual = descend(problem, Local(problem), np.zeros(len(problem.limits), np.int64), aim).best
    plan = by_classes(problem, dual, int(dual.width * 10_000 / dual.near))
    assert plan.excess == 0
    assert 0 <= (dual.bound - plan.primal) / dual.bound < 1e-4
    assert plan.primal == value_of(problem, plan.arcs)
    assert plan.used == sum_uses(problem, plan.arcs)


def test_samples_within_samples_are_those_drawn_alone() -> None:
    problem = generated(Case(30_000, floors=False))
    for size, part in zip((1_000, 5_000, 12_000), samples(problem, (5_000, 1_000, 12_000)), strict=True):
        alone = sample(problem, size)
        assert (part.limits.amount == alone.limits.amount).all()
        ids = [np.concatenate([b.customer for b in p.blocks]) for p in (part, alone)]
        assert np.array_equal(*ids)
