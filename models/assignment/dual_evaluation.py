"""Full passes over a problem's blocks, shared among threads; the sums are of integers and need no order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from models.arrays import Floats, Ints
from models.assignment.curvature import SPARSE_FROM, sum_ties, zero_curve
from models.assignment.kernels import WEIGHT, KindUses, choose, options, sweep
from models.assignment.problem import PICO, Block, Kinds, Problem
from models.cores import cores

#: Scaled uses are integers up to this in size, so that curvature is a sum of integers.
GRAIN = 1024
Result = TypeVar("Result")
Piece = TypeVar("Piece")


@dataclass(frozen=True)
class Sum:
    """What one pass adds up.

    Attributes:
        total: sum of the customers' best reduced values, each rounded up, micro-yuan.
        counts: chosen arcs by kind.
        curve: sum of weight x d d', scaled; int64 [M, M], sparse where limits are many.
        near: customers within the kernel.
    """

    total: int
    counts: Ints
    curve: Any
    near: int

    def __add__(self, other: Sum) -> Sum:
        return Sum(
            self.total + other.total, self.counts + other.counts, self.curve + other.curve, self.near + other.near
        )


@dataclass(frozen=True)
class Dual:
    """The dual function at some prices.

    Attributes:
        prices: pico-yuan a unit, at-most form, int64 [M].
        bound: micro-yuan, exact: no plan is worth more.
        used: of each limit by everyone's best choice.
        curvature: of the smoothed dual in scaled prices (yuan), [M, M], sparse where limits are many; zeros if not asked.
        near: customers within the kernel.
        width: of the kernel, pico-yuan; 0 where no curvature was asked for.
    """

    prices: Ints
    bound: int
    used: list[int]
    curvature: Any
    near: int
    width: float = 0.0


class Engine(Protocol):
    """Who runs passes: threads here, or tasks of a cluster."""

    def sum(self, prices: Ints, shift: int) -> Sum:
        """One pass at ``prices`` with kernel width 2^(shift + 8) (shift < 0: no curvature)."""
        ...

    def over(self, problem: Problem) -> Engine:
        """The same way of making passes, over another problem."""
        ...


def over_blocks(task: Callable[[Piece], Result], blocks: Sequence[Piece]) -> list[Result]:
    """``task`` of every block (or of what goes with one), in order; on all cores where there are several."""
    if len(blocks) < 2 or cores() < 2:
        return [task(block) for block in blocks]
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(task, blocks))


def scale_uses(kinds: Kinds, scale: Floats) -> Ints:
    """Uses as integers of at most ``GRAIN`` in size."""
    return np.rint(kinds.use * (GRAIN / scale[kinds.limit])).astype(np.int64)


def sum_block(block: Block, kinds: Kinds, price: Ints, grains: Ints, limits: int, must: bool, shift: int) -> Sum:
    """One block's part of a pass: what a thread or a task of a cluster does."""
    counts = np.zeros(len(kinds) + 1, np.int64)
    sparse = limits >= SPARSE_FROM
    curve = zero_curve(limits) if not sparse else np.zeros((0, 0), np.int64)
    ties = np.empty((len(block) if sparse and shift >= 0 else 0, 3), np.int64)
    total, near = sweep(
        block.arrays,
        price,
        kinds.label,
        must,
        shift,
        KindUses(kinds.first, kinds.limit, grains),
        counts,
        curve,
        ties,
    )
    if sparse:
        curve = sum_ties(ties[:near], kinds, grains, limits) if near else zero_curve(limits)
    return Sum(int(total), counts[:-1], curve, int(near))


@dataclass
class Local:
    """Passes by the threads of this process."""

    problem: Problem
    passes: float = 0.0

    def __post_init__(self) -> None:
        self.grains = scale_uses(self.problem.kinds, self.problem.scale)

    def over(self, problem: Problem) -> Local:
        """Passes by the threads of this process over another problem."""
        return Local(problem)

    def sum(self, prices: Ints, shift: int) -> Sum:
        """One pass."""
        problem = self.problem
        price = problem.kinds.price(prices)
        self.passes += 1
        limits = len(problem.limits)
        nothing = Sum(0, np.zeros(len(problem.kinds), np.int64), zero_curve(limits), 0)

        def part(blocks: Sequence[Block]) -> Sum:
            return _add(
                [
                    nothing,
                    *(
                        sum_block(b, problem.kinds, price, self.grains, limits, problem.exactly_one, shift)
                        for b in blocks
                    ),
                ]
            )

        groups = _shares(problem.blocks, cores())
        if len(groups) == 1:
            return self._with_apart(part(groups[0]), prices, price)
        with ThreadPoolExecutor(len(groups)) as pool:
            return self._with_apart(_add(list(pool.map(part, groups))), prices, price)

    def _with_apart(self, sums: Sum, prices: Ints, price: Ints) -> Sum:
        apart = self.problem.apart
        if apart is None:
            return sums
        if not apart.within(prices):
            raise ValueError("prices outside the box that the customers apart were summed up for")
        return replace(sums, total=sums.total + apart.total(price), counts=sums.counts + apart.counts)


def _shares(blocks: Sequence[Block], count: int) -> list[Sequence[Block]]:
    count = max(1, min(count, len(blocks)))
    return [blocks[i::count] for i in range(count)]


def _add(parts: Sequence[Sum]) -> Sum:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def evaluate(problem: Problem, engine: Engine, prices: Ints, shift: int = -1) -> Dual:
    """The dual at ``prices``: L(p) = sum p b + sum of the customers' best reduced values (weak duality).

    The curvature is the margin kernel's: sum over customers with margin m < h of
    (1 - m/h)/h x d d', d = scaled uses of best less second best; docs/developer/assignment.md, "Curvature".
    """
    sums = engine.sum(prices, shift)
    amounts = sum(int(p) * int(b) for p, b in zip(prices, problem.limits.amount, strict=True))
    bound = -((-amounts) // PICO) + sums.total
    width = float(1 << (shift + 8)) if shift >= 0 else 0.0
    yuan = 1.0 / (float(GRAIN) ** 2 * WEIGHT * width * 1e-12) if shift >= 0 else 0.0
    curvature = sums.curve.astype(np.float64) * yuan
    return Dual(prices, bound, problem.kinds.sum_uses(sums.counts, len(problem.limits)), curvature, sums.near, width)


def choices(problem: Problem, prices: Ints) -> list[tuple[Ints, Ints, Ints]]:
    """Of each block: every customer's arc (-1: none), reduced value and margin, pico-yuan."""
    price = problem.kinds.price(prices)

    def task(block: Block) -> tuple[Ints, Ints, Ints]:
        arc, reduced, margin = (np.empty(len(block), np.int64) for _ in range(3))
        choose(block.arrays, price, problem.kinds.label, problem.exactly_one, arc, reduced, margin)
        return arc, reduced, margin

    return over_blocks(task, problem.blocks)


def best_arcs(problem: Problem, prices: Ints) -> list[Ints]:
    """Of each block: every customer's arc at the prices (-1: none), int32."""
    price = problem.kinds.price(prices)

    def task(block: Block) -> Any:
        arc: Any = np.empty(len(block), np.int32)  # half the memory of 90 M customers' plans
        spare = np.empty(len(block), np.int64)
        choose(block.arrays, price, problem.kinds.label, problem.exactly_one, arc, spare, spare)
        return arc

    return over_blocks(task, problem.blocks)


def near_options(problem: Problem, prices: Ints, width: int, arcs: Sequence[Ints], most: int) -> list[Ints] | None:
    """Of each block: rows (place, arc or -1, loss, 1 for the arc held) of customers who may move.

    Those are who have a margin below ``width`` pico-yuan, and who do not hold their best. None where the rows are
    more than ``most``: they are counted before any is written.
    """
    price = problem.kinds.price(prices)
    numbered = list(zip(problem.blocks, arcs, strict=True))

    def task(block: Block, arc: Ints, rows: Ints, fill: bool) -> int:
        return options(block.arrays, price, problem.kinds.label, problem.exactly_one, arc, np.int64(width), rows, fill)

    counts = over_blocks(lambda pair: task(*pair, np.empty((0, 4), np.int64), False), numbered)
    if sum(counts) > most:
        return None
    rows = [np.empty((count, 4), np.int64) for count in counts]
    some = [(pair, row) for pair, row in zip(numbered, rows, strict=True) if len(row)]
    over_blocks(lambda item: task(*item[0], item[1], True), some)
    return rows
