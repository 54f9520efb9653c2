"""Solving and checking an instance, with the solver's and the checker's refusals in the words of the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from certify.check import check
from certify.limits import InstanceRefused
from conf.errors import UserError
from models.assignment.conflict import Infeasible
from models.assignment.dual_evaluation import Engine
from models.assignment.problem import Overflow
from models.assignment.solve import Solution, SolveOptions, solve
from planning.instance.certificate import Checked
from planning.instance.reader import Instance


def solve_instance(instance: Instance, goal: SolveOptions, where: str, engine: Engine | None = None) -> Solution:
    """The solution of an instance.

    Raises:
        UserError: the limits conflict, or integers are too large.
        NoPlan: no plan was found in time.
    """
    try:
        return solve(instance.problem, goal, engine)
    except Overflow as error:
        raise UserError(str(error), where=where, remedy="scale values or uses down") from error
    except Infeasible as error:
        raise UserError(describe_conflict(error), where=where, remedy=loosen(error, instance)) from error


def describe_conflict(error: Infeasible) -> str:
    """The conflict in a sentence, with its ray."""
    names = ", ".join(error.names)
    if error.ray is None:
        return f"no whole plan keeps these limits together: {names}" if names else "no plan gives everybody an arc"
    prices = [int(p) for p in error.ray.prices if p]
    ray = ", ".join(f"{name} {price}" for name, price in zip(error.names, prices, strict=False))
    return (
        f"these limits cannot be kept together: {names}; ray (pico-yuan a unit): {ray}, "
        f"which bounds any plan by {error.ray.deficit} micro-yuan times any factor"
    )


def loosen(error: Infeasible, instance: Instance) -> str:
    """What could be changed so that the limits can be kept."""
    written = {limit.name: limit for limit in instance.limits.limits}
    ways = [
        f"lower {name} below {written[name].amount}"
        if written[name].sign < 0
        else f"raise {name} above {written[name].amount}"
        for name in error.names
        if name in written
    ]
    return "any one of these loosens it: " + "; ".join(ways) if ways else "give every customer an arc that fits"


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


def with_start(goal: SolveOptions, instance: Instance, prices: dict[str, int]) -> SolveOptions:
    """``goal`` with a warm start from prices by limit's name (signed as in certificates)."""
    import numpy as np

    limits = instance.problem.limits
    start = [prices.get(name, 0) * int(sign) for name, sign in zip(limits.names, limits.sign, strict=True)]
    return replace(goal, start=np.array(start, np.int64)) if any(start) else goal
