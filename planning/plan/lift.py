"""What tonight's plan is predicted to be worth over arbitrate-then-cap, like with like.

Floors cost both sides something, the baseline cannot keep shares, and a budget that binds makes it look poor (it spends
the money on whoever comes first), so it is said three times: where both keep every cap and floor, where both keep the
caps alone, and the latter with the budgets open. A province is compared on a sample, with limits in proportion.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from models.assignment.baseline import arbitrate_then_cap, caps_only, without, without_shares
from models.assignment.problem import Problem
from models.assignment.sample import sample
from models.assignment.solve import Solution, SolveOptions, solve

#: More exploiters than this are compared on a sample of so many.
COMPARED = 500_000


def lift_figures(problem: Problem, solution: Solution, gap: float, budgets: Collection[str]) -> dict[str, Any]:
    """``lift`` where neither side has shares, ``lift_caps_only`` where neither has floors either; relative.

    ``lift_no_budget`` is the latter where the budgets are open too.

    Args:
        problem: the exploiters'.
        solution: tonight's, of ``problem``: its prices are where the comparison starts.
        gap: what the solves for the comparison aim at.
        budgets: names of limits that count money.
    """
    goal = SolveOptions(gap=gap, start=solution.dual.prices)
    of = sample(problem, COMPARED) if problem.customers > COMPARED else problem
    floors, caps = without_shares(of), caps_only(of)
    rich = without(caps, budgets)
    ours, ours_free, ours_rich = (solve(p, replace(goal)).plan.primal for p in (floors, caps, rich))
    theirs, broken = arbitrate_then_cap(floors)
    theirs_free, theirs_rich = (arbitrate_then_cap(p)[0] for p in (caps, rich))
    return {
        "lift": relative(ours, theirs),
        "lift_caps_only": relative(ours_free, theirs_free),
        "lift_no_budget": relative(ours_rich, theirs_rich),
        "baseline_breaks": sorted({*broken, *arbitrate_then_cap(of)[1]}),
        "lift_customers": of.customers,
        "without_shares_yuan": ours * 1e-6,
        "baseline_yuan": theirs * 1e-6,
        "caps_only_yuan": ours_free * 1e-6,
        "baseline_caps_only_yuan": theirs_free * 1e-6,
    }


def relative(ours: int, theirs: int) -> float | None:
    """Ours over theirs less 1; None where the baseline earns nothing."""
    return ours / theirs - 1.0 if theirs > 0 else None
