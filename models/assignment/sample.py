"""Multi-resolution start: the same problem on a sample of customers drawn by hash, amounts in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.arrays import Ints, list_places
from models.assignment.dual_evaluation import over_blocks
from models.assignment.problem import BLOCK, NO_GROUP, Block, Problem
from models.hashing import hashes


def pick(block: Block, places: Ints) -> Block:
    """The customers at ``places`` of a block."""
    begin = block.first[places].astype(np.int64)
    size = block.first[places + 1].astype(np.int64) - begin
    first, arcs = list_places(begin, size)
    return Block(
        np.asarray(block.customer)[places],
        first,
        np.asarray(block.value)[arcs],
        np.asarray(block.kind)[arcs],
        np.asarray(block.group)[places] if block.width else NO_GROUP,
        block.width,
    )


def join(blocks: list[Block], size: int = BLOCK) -> list[Block]:
    """Small blocks as blocks of ``size``."""
    filled = [block for block in blocks if len(block)]
    if not filled:
        return []
    first = np.concatenate([[0]] + [np.diff(block.first.astype(np.int64)) for block in filled]).cumsum()
    joined = Block(
        np.concatenate([block.customer for block in filled]),
        first,
        np.concatenate([block.value for block in filled]),
        np.concatenate([block.kind for block in filled]),
        np.concatenate([block.group for block in filled]),
        filled[0].width,
    )
    return split(joined, size)


def split(block: Block, size: int) -> list[Block]:
    """A block in pieces of ``size`` customers."""
    pieces = []
    for lo in range(0, len(block), size):
        hi = min(len(block), lo + size)
        a, b = int(block.first[lo]), int(block.first[hi])
        pieces.append(
            Block(
                block.customer[lo:hi],
                block.first[lo : hi + 1] - a,
                block.value[a:b],
                block.kind[a:b],
                block.group[lo:hi],
                block.width,
            )
        )
    return pieces


def samples(problem: Problem, sizes: Sequence[int]) -> list[Problem]:
    """Samples of ascending sizes; each lies within the next, so that all customers are looked at once."""
    nested: list[Problem] = []
    for size in sorted(sizes, reverse=True):
        nested.append(sample(problem, size, nested[-1] if nested else problem))
    return nested[::-1]


def sample(problem: Problem, size: int, among: Problem | None = None) -> Problem:
    """About ``size`` of the customers in the blocks by hash, with amounts in proportion.

    ``among``: a larger sample of the same problem, which holds all of this one.
    """
    return scale_problem(problem, draw_customers((among or problem).blocks, size, problem.customers))


def draw_customers(blocks: Sequence[Block], size: int, of: int | None = None) -> list[Block]:
    """About ``size`` of ``of`` customers by hash (all that are in the blocks, if not given)."""
    number = of or max(1, sum(len(block) for block in blocks))
    cut = np.uint64(min(float(2**64 - 2048), 2.0**64 * size / number))
    return join(over_blocks(lambda block: pick(block, np.flatnonzero(hashes(block.customer, 1) < cut)), blocks))


def scale_problem(problem: Problem, blocks: list[Block]) -> Problem:
    """The problem of some of the customers in its blocks; amounts, less what others take, in proportion, rounded."""
    count = sum(len(block) for block in blocks)
    taken = (
        problem.kinds.sum_uses(problem.apart.counts, len(problem.limits))
        if problem.apart
        else [0] * len(problem.limits)
    )
    left = [int(b) - u for b, u in zip(problem.limits.amount, taken, strict=True)]
    amount = np.array([b * count // max(1, problem.customers) for b in left], np.int64)
    return replace(problem, blocks=blocks, limits=replace(problem.limits, amount=amount), apart=None)
