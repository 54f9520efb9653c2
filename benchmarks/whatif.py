"""What-if: one limit moved by 10 % from the prices of a finished solve, against the full solve; and no change at all.

The limits moved are the dearest one of each kind: a capacity of a channel, of a product, a floor, the budget. Each is
solved from the active set of its change, which is made once a run; what the making costs is a row of its own. Where
the active set is not enough the row's time is that of looking at everybody as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from benchmarks.assignment_cases import Case, problem
from benchmarks.result import Result, peak_bytes
from models.assignment.active_set import ROOMS, Active, active_set, box_of
from models.assignment.dual_evaluation import Local, evaluate
from models.assignment.problem import Limits, Problem
from models.assignment.repair import sum_uses, value_of
from models.assignment.resolve import solve_again
from models.assignment.solve import Solution, SolveOptions, solve

#: Customers and the gap that is aimed at.
AIMS = {"20k": (20_000, 1e-3), "100k": (100_000, 1e-4), "1m": (1_000_000, 1e-5), "10m": (10_000_000, 1e-5)}
SIZES = tuple(AIMS)
KINDS = ("channel", "product", "floor", "budget")
#: Full solves; the fastest one counts.
REPEATS = 3
Made = TypeVar("Made")


def run(size: str) -> Result:
    """The full solve, the same with one limit 10 % lower and 10 % higher, and the solve repeated without a change."""
    customers, gap = AIMS[size]
    case = problem(Case(customers))
    _compile()
    full, seconds, cpu = min(
        (timed(lambda: solve(case, SolveOptions(gap=gap))) for _ in range(REPEATS)), key=lambda each: each[2]
    )
    rows = [row_of("full solve", full, seconds, cpu)]
    shares = []
    for m in dearest(case, full):
        for factor in (0.9, 1.1):
            there = moved(case, m, factor)
            found = _what_if(case, there, full, SolveOptions(gap=gap, start=full.dual.prices), cpu)
            shares.append(found["share_of_full_cpu"])
            rows.append({**found, "who": f"{case.limits.names[m]} x {factor}"})
    again, took, burnt = timed(lambda: solve(case, SolveOptions(gap=gap)))
    same = all(np.array_equal(a, b) for a, b in zip(again.plan.arcs, full.plan.arcs, strict=True))
    rows.append({**row_of("no change", again, took, burnt), "same_plan": same})
    ratios = {
        "full / dearest what-if, CPU": 1.0 / max(shares),
        "full / median what-if, CPU": 1.0 / float(np.median(shares)),
    }
    return Result(rows, ratios, ("the bar is 10: a what-if below 10 % of a solve",))


def _compile() -> None:
    """Compiled kernels are read."""
    tiny = problem(Case(2_000))
    found = solve(tiny, SolveOptions(gap=1.0))
    prices = found.dual.prices
    active = active_set(tiny, prices, box_of(tiny, prices, moved(tiny, 0, 0.9).limits))
    assert active is not None
    solve_again(tiny, active, SolveOptions(gap=1.0))


def _what_if(case: Problem, there: Problem, full: Solution, goal: SolveOptions, cpu: float) -> dict[str, Any]:
    """A what-if from its active sets, what is checked of it, and what the sets cost."""
    prices, making, took, burnt, sets = full.dual.prices, 0.0, 0.0, 0.0, 0
    found: Solution | None = None
    looked = case.customers

    def drawn(room: float) -> Active:
        active = active_set(case, prices, box_of(case, prices, there.limits, room))
        assert active is not None
        return active

    for room in ROOMS:
        active, _, made = timed(partial(drawn, room))
        tried, wall, spent = timed(partial(solve_again, there, active, goal))
        making, took, burnt, sets = making + made, took + wall, burnt + spent, sets + 1
        if isinstance(tried, Solution):
            found, looked = tried, active.customers
            break
        if not active.leans(tried.prices):
            break
    if found is None:
        found, wall, spent = timed(lambda: solve(there, goal))
        took, burnt = took + wall, burnt + spent
    assert evaluate(there, Local(there), found.dual.prices).bound == found.dual.bound
    assert value_of(there, found.plan.arcs) == found.plan.primal
    assert sum_uses(there, found.plan.arcs) == found.plan.used
    return {
        **row_of("", found, took, burnt),
        "share_of_full_cpu": burnt / cpu,
        "looked_at": looked / case.customers,
        "sets": sets,
        "making_share_of_full_cpu": making / cpu,
        "incumbent_yuan": keeps(there, full) and value_of(there, full.plan.arcs) * 1e-6,
    }


def timed(task: Callable[[], Made]) -> tuple[Made, float, float]:
    """What a task makes, with its wall and CPU seconds."""
    begun, cpu = time.perf_counter(), time.process_time()
    found = task()
    return found, time.perf_counter() - begun, time.process_time() - cpu


def row_of(who: str, found: Solution, seconds: float, cpu: float) -> dict[str, Any]:
    """Figures of a solve."""
    return {
        "who": who,
        "version": "",
        "seconds": seconds,
        "cpu_seconds": cpu,
        "full_passes": found.passes,
        "gap": found.gap,
        "value_yuan": found.plan.primal * 1e-6,
        "method": found.method,
        "peak_bytes": peak_bytes(),
    }


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
    return all(u <= int(b) for u, b in zip(sum_uses(case, full.plan.arcs), case.limits.amount, strict=True))
