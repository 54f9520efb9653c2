"""Limits that no plan can keep: an irreducible set of them, proved by a ray.

A ray is prices p >= 0 with sum p b + sum over customers of max(0, max -p use) < 0 (no 0 where everybody must take
an arc): multiplied by any factor it is a bound below any value. docs/developer/assignment.md, "Conflicts".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Ints
from models.assignment.dual import StoppingRule, descend
from models.assignment.dual_evaluation import Dual, Local, best_arcs, evaluate
from models.assignment.highs_models import Choice, whole_plan
from models.assignment.problem import Block, Kinds, Limits, Problem
from models.assignment.repair import gather, without
from models.money import YUAN

LARGE = 1 << 61


@dataclass(frozen=True)
class Ray:
    """Prices (pico-yuan a unit, at-most form) that prove a conflict, and how far below zero they get."""

    prices: Ints
    deficit: int


class Infeasible(Exception):  # noqa: N818 - it is what happens
    """No plan keeps these limits together.

    Attributes:
        names: an irreducible set: without any one of them the others can be kept.
        ray: the proof; None where only whole plans are impossible (the LP has a solution).
    """

    def __init__(self, names: tuple[str, ...], ray: Ray | None) -> None:
        super().__init__(", ".join(names))
        self.names, self.ray = names, ray


def conflict(problem: Problem) -> tuple[tuple[str, ...], Ray | None] | None:
    """An irreducible set of conflicting limits and its ray; None where no conflict is shown."""
    zero = replace(problem, blocks=[_worthless(block) for block in problem.blocks], most=0)
    ray = _ray(zero)
    if ray is None:
        return _whole_conflict(problem)
    names = [m for m in range(len(problem.limits)) if ray.prices[m] > 0]
    for m in list(names):
        rest = [x for x in names if x != m]
        smaller = _ray(_only(zero, rest)) if rest or problem.exactly_one else None
        if smaller is not None:
            names, ray = rest, Ray(_spread(smaller.prices, rest, len(problem.limits)), smaller.deficit)
    return tuple(problem.limits.names[m] for m in names), ray


def _worthless(block: Block) -> Block:
    return replace(block, value=np.zeros_like(block.value))


def _ray(zero: Problem) -> Ray | None:
    """A ray of the value-free problem: its dual goes below zero, found by Newton within prices of a yuan."""
    start = np.rint(YUAN * 1e-3 / zero.scale).astype(np.int64) * 0

    def below(dual: Dual) -> bool:
        return dual.bound < 0

    floors = (zero.limits.amount < 0).astype(np.int64)
    for first in (start, np.rint(floors * 0.01 * YUAN / zero.scale).astype(np.int64)):
        aim = StoppingRule(passes=300, gain=1e-9, width=0.05 * YUAN, least=1e-5 * YUAN, radius=0.1, until=below)
        descent = descend(zero, Local(zero), first, aim)
        if descent.best.bound < 0:
            return _exact(zero, descent.best.prices)
    return None


def _exact(zero: Problem, prices: Ints) -> Ray | None:
    """The ray, scaled until its exact deficit (in pico-yuan, rounded against us) is clearly below zero."""
    dual = evaluate(zero, Local(zero), prices)
    return Ray(prices, dual.bound) if dual.bound < 0 else None


def _only(problem: Problem, limits: list[int]) -> Problem:
    """The problem with these limits alone."""
    place = np.full(len(problem.limits), -1, np.int64)
    place[limits] = np.arange(len(limits))
    kinds = problem.kinds
    uses = place[kinds.limit] >= 0
    first = np.concatenate(([0], np.cumsum(np.bincount(kinds.rows[uses], minlength=len(kinds)))))
    some = Kinds(kinds.product, kinds.channel, first, place[kinds.limit[uses]], kinds.use[uses])
    names = tuple(problem.limits.names[m] for m in limits)
    return replace(
        problem, kinds=some, limits=Limits(names, problem.limits.amount[limits], problem.limits.sign[limits])
    )


def _spread(prices: Ints, limits: list[int], count: int) -> Ints:
    full = np.zeros(count, np.int64)
    full[limits] = prices
    return full


def _whole_conflict(problem: Problem) -> tuple[tuple[str, ...], Ray | None] | None:
    """Small instances whose LP has a solution but no whole plan: a set found by leaving limits out one by one."""
    if problem.arcs > 5_000:
        return None

    def impossible(limits: list[int]) -> bool:
        some = _only(problem, limits)
        zero = np.zeros(len(limits), np.int64)
        arcs = best_arcs(some, zero)
        options = gather(some, zero, LARGE, arcs)
        if options is None:
            return False
        left = some.limits.amount - without(some, options, arcs)[1]  # by customers who have no other arc
        if not len(options.group):
            return bool((left < 0).any())
        choice = Choice(options.group, options.kind, options.value * 0, left)
        mip = whole_plan(choice, some.kinds, some.scale, start=None, gap=1.0, seconds=math.inf, nodes=200_000)
        return mip.status == "Infeasible"

    names = list(range(len(problem.limits)))
    if not impossible(names):
        return None
    for m in list(names):
        rest = [x for x in names if x != m]
        if impossible(rest):
            names = rest
    return tuple(problem.limits.names[m] for m in names), None
