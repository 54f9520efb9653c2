"""Arcs that no plan can hold, taken out before anything is scaled by them.

An arc that even with all negative uses of the other customers cannot fit an at-most limit is out of plan and bound, here
and in the checker alike. One outlandish use would else set the scale of its limit, and with it gap and time.
docs/developer/assignment.md, "Form".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Flags, Ints
from models.assignment.problem import Block, Kinds, Problem
from models.assignment.repair import Plan


@dataclass(frozen=True)
class PossibleArcs:
    """A problem without the arcs that no plan can hold.

    Attributes:
        problem: without them.
        arcs: of each block, the places of the arcs that stayed.
        limits: those that took arcs out.
    """

    problem: Problem
    arcs: list[Ints]
    limits: tuple[int, ...]

    def complete(self, plan: Plan) -> Plan:
        """A plan of this problem with its arcs as places in the problem with all arcs."""
        arcs = [
            np.where(own < 0, -1, places[np.maximum(own, 0)]) if len(places) else np.full(len(own), -1, np.int64)
            for own, places in zip(plan.arcs, self.arcs, strict=True)
        ]
        return replace(plan, arcs=arcs)

    def shift(self, arcs: list[Ints]) -> list[Ints]:
        """Arcs, none of which is out, of the problem with all arcs as places in this one."""
        return [
            np.where(own < 0, -1, np.searchsorted(places, own)) for own, places in zip(arcs, self.arcs, strict=True)
        ]


def drop_impossible(problem: Problem, limits: Sequence[int] | None = None) -> PossibleArcs | None:
    """The problem without arcs that cannot fit an at-most limit, one of ``limits`` where given; None where all can."""
    largest, least = np.zeros((2, len(problem.limits)), np.int64)
    np.maximum.at(largest, problem.kinds.limit, problem.kinds.use)
    np.minimum.at(least, problem.kinds.limit, problem.kinds.use)
    narrow = largest - least > problem.limits.amount  # uses stay below 62 bits
    looked_at = np.flatnonzero(problem.limits.sign > 0).tolist() if limits is None else limits
    tests = {m: test for m in looked_at if narrow[m] and (test := _test_of(problem, m)) is not None}
    removed = {m: [test(block) for block in problem.blocks] for m, test in tests.items()}
    removed = {m: parts for m, parts in removed.items() if any(part.any() for part in parts)}
    if not removed:
        return None
    out = [np.any(parts, axis=0) for parts in zip(*removed.values(), strict=True)]
    blocks = [_without(block, part) for block, part in zip(problem.blocks, out, strict=True)]
    arcs = [np.flatnonzero(~part) for part in out]
    most = max((int(np.abs(np.asarray(b.value, np.int64)).max(initial=0)) for b in blocks), default=0)
    kinds = _drop_uses(problem.kinds, blocks)
    return PossibleArcs(replace(problem, blocks=blocks, kinds=kinds, most=most), arcs, tuple(removed))


def _test_of(problem: Problem, limit: int) -> Callable[[Block], Flags] | None:
    """Which arcs of a block cannot fit a limit; None where all arcs of all blocks can."""
    kinds, amount = problem.kinds, int(problem.limits.amount[limit])
    use = np.zeros(len(kinds), np.int64)
    here = kinds.limit == limit
    use[kinds.rows[here]] = kinds.use[here]
    most, least = int(use.max(initial=0)), min(0, int(use.min(initial=0)))
    relief = 0  # negative uses of all customers
    for block in problem.blocks if least < 0 else ():
        if most + relief - least <= amount:
            return None
        relief += sum(int(u) for u in _own(block, use) if u)
    if most + relief - least <= amount:
        return None

    def cannot(block: Block) -> Flags:
        size = np.diff(block.first).astype(np.int64)
        owner = np.repeat(np.arange(len(block)), size)
        kind = block.kinds_of(owner, np.arange(len(owner)))
        if least == 0:
            return np.asarray(use > amount)[kind]
        room = np.array([amount - relief + int(u) for u in _own(block, use)], object)
        return np.asarray(use[kind] > np.clip(room, -(1 << 62), 1 << 62).astype(np.int64)[owner])

    return cannot


def _own(block: Block, use: Ints) -> Ints:
    """Each customer's most negative use, at most 0."""
    first = np.asarray(block.first, np.int64)
    size = np.diff(first)
    some = size > 0
    own = np.zeros(len(block), np.int64)
    owner = np.repeat(np.arange(len(block)), size)
    if some.any():
        by_arc = use[block.kinds_of(owner, np.arange(len(owner)))]
        own[some] = np.minimum(np.minimum.reduceat(by_arc, first[:-1][some]), 0)
    return own


def _without(block: Block, out: Flags) -> Block:
    """A block without some arcs; one is left behind its last customer's where none stay, for passes look at the first."""
    stays = np.flatnonzero(~out)
    size = np.diff(block.first).astype(np.int64)
    owner = np.repeat(np.arange(len(block)), size)
    first = np.concatenate(([0], np.cumsum(np.bincount(owner[stays], minlength=len(block))))).astype(block.first.dtype)
    arcs = stays if len(stays) else np.zeros(1, np.int64)
    return replace(block, first=first, value=np.asarray(block.value)[arcs], kind=np.asarray(block.kind)[arcs])


def _drop_uses(kinds: Kinds, blocks: list[Block]) -> Kinds:
    """The kinds, with no uses where no arc is of them."""
    there = np.zeros(len(kinds), bool)
    for block in blocks:
        owner = np.repeat(np.arange(len(block)), np.diff(block.first).astype(np.int64))
        there[block.kinds_of(owner, np.arange(len(owner)))] = True
    uses = there[kinds.rows]
    first = np.concatenate(([0], np.cumsum(np.bincount(kinds.rows[uses], minlength=len(kinds))))).astype(np.int64)
    return replace(kinds, first=first, limit=kinds.limit[uses], use=kinds.use[uses])
