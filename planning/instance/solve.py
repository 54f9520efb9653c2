"""Solving and checking an instance, with the solver's and the checker's refusals in the words of the command line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from certify.check import check
from certify.limits import InstanceRefused
from certify.published import check_published
from conf.errors import UserError
from models.assignment.conflict import Infeasible
from models.assignment.dual_evaluation import Engine
from models.assignment.least_amount import nearest_amount
from models.assignment.problem import Overflow
from models.assignment.solve import Solution, SolveOptions, solve
from planning.instance.certificate import Checked
from planning.instance.reader import Instance


class LimitsConflict(UserError):  # noqa: N818 - what is found
    """No plan keeps the limits together."""


def tell_integer(name: str, amount: int) -> str:
    """An amount as `cpc solve` has it: an integer."""
    return str(amount)


def solve_instance(
    instance: Instance,
    goal: SolveOptions,
    where: str,
    engine: Engine | None = None,
    *,
    changed: Sequence[str] = (),
    tell: Callable[[str, int], str] = tell_integer,
) -> Solution:
    """The solution of an instance.

    Args:
        instance: the instance.
        goal: what to aim at.
        where: the instance lies.
        engine: makes the passes.
        changed: limits that somebody changed: of a conflict the nearest feasible amounts of these are told, else of each.
        tell: an amount of a limit, by name, in words.

    Raises:
        LimitsConflict: no plan keeps the limits together.
        UserError: integers are too large.
        NoPlan: no plan was found in time, and no conflict was shown.
    """
    with tell_conflicts(instance, where, changed, tell):
        return solve(instance.problem, goal, engine)


@contextlib.contextmanager
def tell_conflicts(
    instance: Instance, where: str, changed: Sequence[str], tell: Callable[[str, int], str] = tell_integer
) -> Iterator[None]:
    """Whatever refuses the instance's limits or integers does so in the words of the command line.

    Raises:
        LimitsConflict: no plan keeps the limits together.
        UserError: integers are too large.
    """
    try:
        yield
    except Overflow as error:
        raise UserError(str(error), where=where, remedy="scale values or uses down") from error
    except Infeasible as error:
        remedy = loosen(error, instance, changed, tell)
        raise LimitsConflict(describe_conflict(error), where=where, remedy=remedy) from error


def describe_conflict(error: Infeasible) -> str:
    """The conflict in a sentence, with its proof."""
    names = ", ".join(error.names)
    if error.ray is None:
        return (
            f"these limits cannot be kept together: {names}; all plans were looked at"
            if names
            else "no plan gives everybody an arc"
        )
    prices = [int(p) for p in error.ray.prices if p]
    ray = ", ".join(f"{name} {price}" for name, price in zip(error.names, prices, strict=False))
    return (
        f"these limits cannot be kept together: {names}; ray (pico-yuan a unit): {ray}, "
        f"which bounds any plan by {error.ray.deficit} micro-yuan times any factor"
    )


def loosen(error: Infeasible, instance: Instance, changed: Sequence[str], tell: Callable[[str, int], str]) -> str:
    """What could be changed so that the limits can be kept: the nearest feasible amounts, the others as declared."""
    named = [name for name in error.names if name in changed] or list(error.names)
    ways = [_loosen_one(instance, name, error.names, changed, tell) for name in named]
    lead = "one of these loosens it: " if len(ways) > 1 else ""
    return lead + "; ".join(ways) if ways else "give every customer an arc that fits"


def _loosen_one(
    instance: Instance, name: str, names: Sequence[str], changed: Sequence[str], tell: Callable[[str, int], str]
) -> str:
    """The nearest amount of a limit at which there is a plan, in words."""
    limits = instance.problem.limits
    place, others = limits.names.index(name), [limits.names.index(other) for other in names if other != name]
    sign, declared = int(limits.sign[place]), tell(name, int(limits.sign[place] * limits.amount[place]))
    verb, than = ("lower", "most") if sign < 0 else ("raise", "least")
    near, beside = nearest_amount(instance.problem, place, others), ""
    if near is None:  # another limit that somebody changed may be too much by itself
        ignored = [limits.names.index(other) for other in changed if other != name]
        near = nearest_amount(instance.problem, place, [m for m in others if m not in ignored], ignored)
        beside = f", whatever {' and '.join(limits.names[m] for m in ignored)} may be" if ignored else ""
    if near is None:
        return f"{verb} {name} from {declared} (how far is not known: the other limits leave no plan that was found)"
    amount = tell(name, sign * near.amount)
    if near.amount == near.beyond:
        return f"{verb} {name} from {declared} to {amount}, the {than} that can be kept{beside}"
    return f"{verb} {name} from {declared} to {amount}, where there is a plan (none beyond {tell(name, sign * near.beyond)}){beside}"


def check_plan(instance: Path, out: Path) -> Checked:
    """The checker's figures.

    Raises:
        UserError: the checker refuses the plan.
    """
    try:
        return Checked(**check(instance, out))
    except InstanceRefused as error:
        raise UserError(
            f"refused: {error.what}", where=error.where, remedy="solve the instance again; do not use this plan"
        ) from error


def check_published_plan(run: Path, contacts: pa.Table, bound: int) -> dict[str, Any]:
    """What the checker counts over all contacts that are published.

    Raises:
        UserError: the checker refuses them.
    """
    try:
        return check_published(run, contacts, bound)
    except InstanceRefused as error:
        raise UserError(
            f"refused: {error.what}",
            where=error.where,
            remedy="decide the night again (--from assign); do not use this plan",
        ) from error


def with_start(goal: SolveOptions, instance: Instance, prices: dict[str, int]) -> SolveOptions:
    """``goal`` with a warm start from prices by limit's name (signed as in certificates)."""
    import numpy as np

    limits = instance.problem.limits
    start = [prices.get(name, 0) * int(sign) for name, sign in zip(limits.names, limits.sign, strict=True)]
    return replace(goal, start=np.array(start, np.int64)) if any(start) else goal
