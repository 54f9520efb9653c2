"""Problems of a few customers and their optimum by trying everything: what the solver's parts are held to in tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from models.arrays import Ints
from models.assignment.arc_types import Use, reduce_kinds
from models.assignment.problem import Block, Limits, Problem
from models.assignment.repair import sum_uses, value_of
from models.assignment.sample import split

#: A customer's arcs: value and the use of each limit as written.
Arc = tuple[int, list[int]]


def make_problem(
    customers: Sequence[Sequence[Arc]], limits: Sequence[tuple[str, int]], must: bool = False, block: int = 1000
) -> Problem:
    """A problem from each customer's arcs and the limits (side, amount), named l0, l1 and so on."""
    arcs = [arc for own in customers for arc in own]
    sign = np.array([1 if side == "at_most" else -1 for side, _ in limits], np.int64)
    uses = [Use(np.array([use[m] for _, use in arcs], np.int64), int(sign[m])) for m in range(len(limits))]
    product = np.concatenate([np.arange(len(own)) for own in customers] or [np.zeros(0, int)]).astype(np.int64)
    kinds, kind = reduce_kinds(product, np.zeros(len(arcs), np.int64), uses)
    first = np.cumsum([0] + [len(own) for own in customers]).astype(np.int64)
    value = np.array([v for v, _ in arcs], np.int64)
    everybody = Block(np.arange(len(customers), dtype=np.int64), first, value, kind.astype(np.uint16))
    amount = np.array([a for _, a in limits], np.int64) * sign
    names = Limits(tuple(f"l{m}" for m in range(len(limits))), amount, sign)
    return Problem(split(everybody, block), kinds, names, must, int(np.abs(value).max(initial=0)))


def random_problem(seed: int, customers: int = 5) -> Problem:
    """Any kind of limits, uses of both signs, both ways to choose; about half have a plan."""
    random = np.random.default_rng(seed)
    limits = [
        (str(random.choice(["at_most", "at_least"])), int(random.integers(-2, 7))) for _ in range(random.integers(1, 4))
    ]
    own = [
        [
            (int(random.integers(-20, 50)), [int(u) for u in random.integers(-2, 4, len(limits))])
            for _ in range(random.integers(1, 4))
        ]
        for _ in range(random.integers(1, customers + 1))
    ]
    return make_problem(own, limits, bool(random.random() < 0.5), block=int(random.integers(1, 4)))


def all_plans(problem: Problem) -> Iterator[list[Ints]]:
    """Every choice of everybody, whether limits are kept or not."""
    choices = [
        ([] if problem.exactly_one else [-1]) + list(range(int(block.first[i]), int(block.first[i + 1])))
        for block in problem.blocks
        for i in range(len(block))
    ]
    ends = np.cumsum([0] + [len(block) for block in problem.blocks])
    for arcs in itertools.product(*choices):
        row = np.array(arcs, np.int64)
        yield [row[a:b] for a, b in itertools.pairwise(ends)]


def best_by_trying(problem: Problem, limits: Sequence[int] | None = None) -> int | None:
    """The value of the best plan that keeps the limits (all, or those at some places); None where none does."""
    places = range(len(problem.limits)) if limits is None else limits
    best: int | None = None
    for plan in all_plans(problem):
        used = sum_uses(problem, plan)
        if all(used[m] <= int(problem.limits.amount[m]) for m in places):
            value = value_of(problem, plan)
            best = value if best is None or value > best else best
    return best


def least_by_trying(problem: Problem, limit: int) -> int | None:
    """The least use of a limit, at-most form, by a plan that keeps all others; None where none does."""
    least: int | None = None
    for plan in all_plans(problem):
        used = sum_uses(problem, plan)
        if all(used[m] <= int(problem.limits.amount[m]) for m in range(len(used)) if m != limit):
            least = used[limit] if least is None else min(least, used[limit])
    return least
