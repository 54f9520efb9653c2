"""What tonight's plan is predicted to be worth over arbitrate-then-cap, like with like.

Floors cost both sides something and the baseline cannot keep shares, so it is said twice: where both keep every cap
and floor, and where both keep the caps alone. A province is compared on a sample, with limits in proportion.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from models.assignment.baseline import arbitrate_then_cap, caps_only, without_shares
from models.assignment.problem import Problem
from models.assignment.sample import sample
from models.assignment.solve import Goal, Solution, solve

#: More exploiters than this are compared on a sample of so many.
COMPARED = 500_000


def lift_figures(problem: Problem, solution: Solution, gap: float) -> dict[str, Any]:
    """``lift`` where neither side has shares, ``lift_caps_only`` where neither has floors either; relative.

    Args:
        problem: the exploiters'.
        solution: tonight's, of ``problem``: its prices are where the comparison starts.
        gap: what the solves for the comparison aim at.
    """
    goal = Goal(gap=gap, start=solution.dual.prices)
    of = sample(problem, COMPARED) if problem.customers > COMPARED else problem
    floors, caps = without_shares(of), caps_only(of)
    ours, ours_free = (solve(p, replace(goal)).plan.primal for p in (floors, caps))
    theirs, broken = arbitrate_then_cap(floors)
    theirs_free, _ = arbitrate_then_cap(caps)
    return {
        "lift": relative(ours, theirs), "lift_caps_only": relative(ours_free, theirs_free),
        "baseline_breaks": sorted({*broken, *arbitrate_then_cap(of)[1]}), "lift_customers": of.customers,
        "without_shares_yuan": ours * 1e-6, "baseline_yuan": theirs * 1e-6,
        "caps_only_yuan": ours_free * 1e-6, "baseline_caps_only_yuan": theirs_free * 1e-6,
    }  # fmt: skip


def relative(ours: int, theirs: int) -> float | None:
    """Ours over theirs less 1; None where the baseline earns nothing."""
    return ours / theirs - 1.0 if theirs > 0 else None
