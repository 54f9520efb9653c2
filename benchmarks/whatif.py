"""What-if: one limit moved by 10 % from the prices of a finished solve, against the full solve; and no change at all.

The limits moved are the dearest one of each kind: a capacity of a channel, of a product, a floor, the budget.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.assignment_cases import Case, problem
from benchmarks.result import Result, peak_bytes
from models.assignment.problem import Limits, Problem
from models.assignment.repair import used_by, value_of
from models.assignment.solve import Goal, Solution, solve

#: Customers and the gap that is aimed at.
AIMS = {"20k": (20_000, 1e-3), "100k": (100_000, 1e-4), "1m": (1_000_000, 1e-5)}
SIZES = tuple(AIMS)
KINDS = ("channel", "product", "floor", "budget")


def run(size: str) -> Result:
    """The full solve, the same with one limit 10 % lower and 10 % higher, and the solve repeated without a change."""
    customers, gap = AIMS[size]
    case = problem(Case(customers))
    solve(problem(Case(2_000)), Goal(gap=1.0))  # compiled kernels are read
    full, seconds, cpu = timed(case, Goal(gap=gap))
    rows = [row_of("full solve", full, seconds, cpu)]
    worst = 0.0
    for m in dearest(case, full):
        for factor in (0.9, 1.1):
            there = moved(case, m, factor)
            found, took, burnt = timed(there, Goal(gap=gap, start=full.dual.prices))
            kept = keeps(there, full)
            worst = max(worst, burnt / cpu)
            rows.append({
                **row_of(f"{case.limits.names[m]} x {factor}", found, took, burnt), "share_of_full_cpu": burnt / cpu,
                "incumbent_yuan": kept and value_of(there, full.plan.arcs) * 1e-6,
            })  # fmt: skip
    again, took, burnt = timed(case, Goal(gap=gap))
    same = all(np.array_equal(a, b) for a, b in zip(again.plan.arcs, full.plan.arcs, strict=True))
    rows.append({**row_of("no change", again, took, burnt), "same_plan": same})
    return Result(
        rows, {"full / dearest what-if, CPU": 1.0 / worst}, ("the bar is 10: a what-if below 10 % of a solve",)
    )


def timed(case: Problem, goal: Goal) -> tuple[Solution, float, float]:
    """A solve with its wall and CPU seconds."""
    begun, cpu = time.perf_counter(), time.process_time()
    found = solve(case, goal)
    return found, time.perf_counter() - begun, time.process_time() - cpu


def row_of(who: str, found: Solution, seconds: float, cpu: float) -> dict[str, Any]:
    """Figures of a solve."""
    return {
        "who": who, "version": "", "seconds": seconds, "cpu_seconds": cpu, "full_passes": found.passes,
        "gap": found.gap, "value_yuan": found.plan.primal * 1e-6, "method": found.method, "peak_bytes": peak_bytes(),
    }  # fmt: skip


def dearest(case: Problem, full: Solution) -> list[int]:
    """Of each kind of limit the one whose whole amount is worth most at the final prices, where any charges."""
    worth = np.abs(full.dual.prices.astype(float) * case.limits.amount)
    found = []
    for kind in KINDS:
        mine = [m for m, name in enumerate(case.limits.names) if name.startswith(kind) and worth[m] > 0]
        found += [max(mine, key=lambda m: worth[m])] if mine else []
    return found


def moved(case: Problem, m: int, factor: float) -> Problem:
    """The problem with one limit's amount changed by a factor."""
    amount = case.limits.amount.copy()
    amount[m] = round(int(amount[m]) * factor)
    return replace(case, limits=Limits(case.limits.names, amount, case.limits.sign))


def keeps(case: Problem, full: Solution) -> bool:
    """Whether the plan of the full solve keeps the limits."""
    return all(u <= int(b) for u, b in zip(used_by(case, full.plan.arcs), case.limits.amount, strict=True))
