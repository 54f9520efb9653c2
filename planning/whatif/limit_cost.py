"""What each limit costs tonight: the value that the plan would have without it, less the value that it has.

A limit that charges nothing, is not used up and puts no arc out costs nothing: the bound is the same without it. Any
other is taken off and everybody is assigned again, shares and floors too. Both values are proved from both sides, so
the cost lies between the value found without the limit less the bound with it, and the bound without it less the value
that the plan has. Costs do not add up: limits stand in for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from planning.limits.in_force import LimitInForce
from planning.whatif.whatif import Base, what_if

#: Bound over all eligible arcs at prices by limit, micro-元; None where it cannot be had.
FullBound = Callable[[Mapping[str, int]], int | None]


@dataclass(frozen=True)
class LimitCost:
    """What a limit costs tonight, micro-元.

    Attributes:
        cost: value of the plan found without it, less the plan's.
        least, most: what is proved.
        over_all: whether the proof is over all eligible arcs; else over those that pruning kept.
        solved: whether everybody was assigned again.
    """

    cost: int
    least: int
    most: int
    over_all: bool
    solved: bool


def binds(base: Base, name: str) -> bool:
    """Whether a limit charges something, is used up or puts arcs out, so that without it the plan may be another one."""
    row, limit = base.certificate.limit(name), base.limit(name)
    if limit.sign > 0 and base.largest(name) > limit.amount:
        return True
    return row.price_pico != 0 or limit.sign * row.used >= limit.sign * row.amount


def cost_tonight(base: Base, name: str, full: FullBound | None = None) -> LimitCost:
    """What one limit costs.

    Args:
        base: the run.
        name: the limit.
        full: the bound over all arcs, which the value without the limit is held against; None: over kept arcs.
    """
    was, bound_was = base.certificate.primal, base.certificate.bound
    if not binds(base, name):
        return LimitCost(0, 0, bound_was - was, False, False)
    answer = what_if(base, {name: amount_without(base, base.limit(name))})
    solution = answer.solution
    prices = {
        row["limit"]: int(p) * sign
        for row, p, sign in zip(answer.figures["limits"], solution.dual.prices, answer.signs, strict=True)
    }
    # at a price of 0 the amount does not matter: the bound is that of the night without the limit
    wide = full(prices) if full is not None and prices[name] == 0 else None
    bound = max(solution.dual.bound, wide) if wide is not None else solution.dual.bound
    return LimitCost(
        cost=max(0, solution.plan.primal - was),
        least=max(0, solution.plan.primal - bound_was),
        most=max(0, bound - was),
        over_all=wide is not None,
        solved=True,
    )


def amount_without(base: Base, limit: LimitInForce) -> int:
    """An amount that no plan can miss."""
    every = (base.certificate.customers + 1) * base.largest(limit.name)
    free = max(every, abs(limit.amount))
    return free if limit.sign > 0 else 0 if limit.counts == 1 else -free


def costs_tonight(base: Base, full: FullBound | None = None) -> dict[str, LimitCost]:
    """What every limit costs, by name."""
    return {limit.name: cost_tonight(base, limit.name, full) for limit in base.instance.limits.limits}
