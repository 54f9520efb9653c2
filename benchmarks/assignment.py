"""The assignment: gap, full passes and time by size, HiGHS on the LP of the small size, and public instances."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import highspy
import numpy as np

from benchmarks import public_instances
from benchmarks.assignment_cases import Case, problem
from benchmarks.assignment_files import write
from benchmarks.assignment_speed import passes, province
from benchmarks.result import Result, peak_bytes
from jobs.instance import read_instance
from models.assignment.exact import Choice, model
from models.assignment.passes import best_arcs
from models.assignment.repair import gather
from models.assignment.solve import Goal, solve

#: Customers and the gap that is aimed at.
AIMS = {"20k": (20_000, 1e-3), "100k": (100_000, 1e-4), "1m": (1_000_000, 1e-6), "10m": (10_000_000, 1e-5)}
#: Whole provinces, from files; ``public`` reads ../shared/data.
PROVINCES = {"10m-files": 10_000_000, "90m": 90_000_000}
SIZES = (*AIMS, *PROVINCES, "public")


def run(size: str) -> Result:
    """Ours, and at the small size HiGHS's simplex and interior point on the same LP."""
    if size == "public":
        return public()
    if size in PROVINCES:
        warm()
        return province(PROVINCES[size], 1e-6)
    customers, gap = AIMS[size]
    case = problem(Case(customers))
    warm()
    begun, cpu = time.perf_counter(), time.process_time()
    found = solve(case, Goal(gap=gap))
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    rows: list[dict[str, Any]] = [{
        "who": "cpc", "version": "", "seconds": seconds, "cpu_seconds": cpu, "gap": found.gap,
        "full_passes": found.passes, "value_yuan": found.plan.primal * 1e-6, "bound_yuan": found.dual.bound * 1e-6,
        "peak_bytes": peak_bytes(), "method": found.method,
    }]  # fmt: skip
    if size != "20k":
        more, plain = passes(case, found.dual.prices)
        return Result(
            rows + more,
            {"pass / stream": more[0]["seconds"] / more[1]["seconds"], "CPU of the solve / plain pass": cpu / plain},
        )
    zero = np.zeros(len(case.limits), np.int64)
    options = gather(case, zero, 1 << 61, best_arcs(case, zero))
    assert options is not None
    choice = Choice(options.group, options.kind, options.value, case.limits.amount)
    for method in ("simplex", "ipm"):
        solver = model(choice, case.kinds, case.scale, whole=False)
        solver.setOptionValue("solver", method)
        begun = time.perf_counter()
        solver.run()
        rows.append({"who": f"HiGHS {method} (LP)", "version": highspy.Highs().version(), "threads": 1,
                     "seconds": time.perf_counter() - begun, "bound_yuan": solver.getObjectiveValue()})  # fmt: skip
    faster = min(row["seconds"] for row in rows[1:])
    return Result(
        rows, {"HiGHS (the faster) / cpc": faster / seconds}, ("HiGHS solves the LP; cpc gives a whole plan",)
    )


def warm() -> None:
    """Read the compiled kernels, of both forms of a block."""
    solve(problem(Case(2_000)), Goal(gap=1.0))
    with tempfile.TemporaryDirectory() as folder:
        case = write(Case(2_000), Path(folder) / "a")
        solve(read_instance(case, Path(folder) / "work").problem, Goal(gap=1.0))


def public(seconds: float = 60.0) -> Result:
    """Public instances against their best known values, at most ``seconds`` each."""
    root, rows = public_instances.folder(), []
    for family in (public_instances.gap, public_instances.mmkp, public_instances.knapsack):
        for case in family(root):
            begun = time.perf_counter()
            found = solve(case.problem, Goal(gap=1e-3, seconds=seconds))
            value = case.objective(found.plan.primal)
            rows.append({
                "who": case.name, "version": "", "seconds": time.perf_counter() - begun, "value": value,
                "best_known": case.best, "off": abs(value - case.best) / abs(case.best), "method": found.method,
            })  # fmt: skip
    within = sum(row["off"] <= 1e-3 for row in rows) / max(1, len(rows))
    return Result(rows, {"share within 0.1 % of best known": within if rows else math.nan})
