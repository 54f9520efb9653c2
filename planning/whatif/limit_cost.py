"""What each limit costs tonight: the value that the plan would have without it, less the value that it has.

A limit that charges nothing, is not used up and puts no arc out costs nothing: the bound is the same without it. Any
other is taken off and everybody is assigned again, shares and floors too. Both values are proved from both sides, over
all eligible arcs where tonight's scorer is there: so the cost lies between the value found without the limit less the
bound with it, and the bound without it less the value that the plan has. Costs do not add up: limits stand in for each
other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from models.assignment.solve import NoPlan
from planning.limits.in_force import LimitInForce
from planning.plan.full_bound import BoundAsked, bounds_over_all_arcs
from planning.whatif.whatif import Answer, Base, what_if
from runtime.night import Night

#: Bounds over all eligible arcs, micro-元; why not, where they cannot be had.
FullBound = Callable[[Sequence[BoundAsked]], list[int] | str]


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


def ask_over_all(night: Night, base: Base) -> FullBound:
    """The bounds over all arcs of a run, which must be the one that the night's tables are of."""

    def ask(asked: Sequence[BoundAsked]) -> list[int] | str:
        rows = night.lake.arrow("assignment", partition=night.partition, columns=["run_id"])
        if others := set(rows["run_id"].unique().to_pylist()) - {base.run.path.name}:
            return f"the night was decided again by run {min(others)}"
        return bounds_over_all_arcs(night, base.run, asked)

    return ask


def cost_tonight(base: Base, name: str, full: FullBound | None = None) -> LimitCost:
    """What one limit costs; arguments as of `costs_tonight`.

    Raises:
        NoPlan: neither a plan without it nor a proof came up.
    """
    answer = solve_without(base, name) if binds(base, name) else None
    return _prove(base, {name: answer}, full)[name]


def costs_tonight(
    base: Base, full: FullBound | None = None, names: Iterable[str] | None = None
) -> dict[str, LimitCost]:
    """What limits cost, by name; nothing of one for which neither a plan nor a proof came up.

    Args:
        base: the run.
        full: the bounds over all arcs; None, or a reason: what is proved is over kept arcs.
        names: of the limits; all of them by default.
    """
    answers: dict[str, Answer | None] = {}
    for name in names if names is not None else [limit.name for limit in base.instance.limits.limits]:
        with contextlib.suppress(NoPlan):
            answers[name] = solve_without(base, name) if binds(base, name) else None
    return _prove(base, answers, full)


def solve_without(base: Base, name: str) -> Answer:
    """Everybody assigned again without a limit."""
    return what_if(base, {name: amount_without(base, base.limit(name))})


def _prove(base: Base, answers: dict[str, Answer | None], full: FullBound | None) -> dict[str, LimitCost]:
    """Costs with what is proved of them; ``answers`` without each limit, None where it costs nothing."""
    was = base.certificate.primal
    asked = [BoundAsked(base.prices), *(_ask(base, name, answer) for name, answer in answers.items())]
    bounds = full(asked) if full is not None else ""
    over_all = not isinstance(bounds, str)
    if isinstance(bounds, str):
        bound_was = base.certificate.bound
        bounds = [bound_was, *(a.solution.dual.bound if a is not None else bound_was for a in answers.values())]
    costs = {}
    for (name, answer), bound in zip(answers.items(), bounds[1:], strict=True):
        value = was if answer is None else answer.solution.plan.primal
        least = 0 if answer is None else max(0, value - bounds[0])
        costs[name] = LimitCost(max(0, value - was), least, max(0, bound - was), over_all, answer is not None)
    return costs


def _ask(base: Base, name: str, answer: Answer | None) -> BoundAsked:
    """The prices without a limit: the night's where it charges nothing, else those of the other plan."""
    if answer is None:
        return BoundAsked(base.prices, name)
    triples = zip(answer.figures["limits"], answer.solution.dual.prices, answer.signs, strict=True)
    return BoundAsked({row["limit"]: int(price) * sign for row, price, sign in triples}, name)


def amount_without(base: Base, limit: LimitInForce) -> int:
    """An amount that no plan can miss."""
    every = (base.certificate.customers + 1) * base.largest(limit.name)
    free = max(every, abs(limit.amount))
    return free if limit.sign > 0 else 0 if limit.counts == 1 else -free
