"""What batch contact optimisers do: random chunks of customers with their part of every capacity, each solved exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.assignment.dual_evaluation import best_arcs
from models.assignment.highs_models import Choice, whole_plan
from models.assignment.problem import Limits, Problem
from models.assignment.repair import gather
from models.assignment.sample import join, pick
from models.hashing import hashes

#: Customers a chunk.
CHUNK = 1_000


@dataclass(frozen=True)
class Chunked:
    """The chunks' plans together.

    Attributes:
        value: micro-yuan, of the chunks that have a plan.
        bound: sum of what HiGHS proved of each chunk: what exact optima could add up to at most.
        chunks: how many.
        empty: chunks whose limits left HiGHS without a plan; nobody of these is contacted.
    """

    value: int
    bound: float
    chunks: int
    empty: int


def chunked(problem: Problem, size: int = CHUNK, nodes: int = 30, gap: float = 5e-4) -> Chunked:
    """All random chunks of ``size``, by MIP to ``gap`` or ``nodes``; amounts are shared so that parts add up."""
    parts = list(chunks(problem, size))
    value, bound, empty = 0, 0.0, 0
    for part in parts:
        zero = np.zeros(len(part.limits), np.int64)
        options = gather(part, zero, 1 << 61, best_arcs(part, zero))
        assert options is not None
        choice = Choice(options.group, options.kind, options.value, part.limits.amount)
        found = whole_plan(choice, part.kinds, part.scale, start=None, gap=gap, seconds=np.inf, nodes=nodes)
        if found.hold is None:
            empty += 1
        else:
            value += int(options.value[found.hold].sum())
            bound += found.bound
    return Chunked(value, bound, len(parts), empty)


def chunks(problem: Problem, size: int = CHUNK) -> list[Problem]:
    """The problem in random pieces of ``size`` customers; a chunk's amounts are what cumulative rounding gives it."""
    whole = join(list(problem.blocks))
    numbers = np.concatenate([hashes(block.customer, 7) for block in whole])
    count = max(1, problem.customers // size)
    mine = np.empty(len(numbers), np.int64)
    mine[np.argsort(numbers, kind="stable")] = np.arange(len(numbers)) * count // len(numbers)
    cuts = np.cumsum([0, *(len(block) for block in whole)])
    grain = np.zeros(len(problem.limits), np.int64)
    np.gcd.at(grain, problem.kinds.limit, np.abs(problem.kinds.use))
    found = []
    for c in range(count):
        blocks = join(
            [pick(b, np.flatnonzero(mine[lo : lo + len(b)] == c)) for b, lo in zip(whole, cuts, strict=False)]
        )
        amount = np.array([_part(int(b), int(g), c, count) for b, g in zip(problem.limits.amount, grain, strict=True)])
        found.append(replace(problem, blocks=blocks, limits=Limits(problem.limits.names, amount, problem.limits.sign)))
    return found


def _part(amount: int, grain: int, number: int, count: int) -> int:
    """Chunk ``number``'s part of an amount, in whole units of what all uses are multiples of: no call is cut in two."""
    units, rest = divmod(amount, max(1, grain))
    part = units * (number + 1) // count - units * number // count
    return part * max(1, grain) + (rest if number == count - 1 else 0)
