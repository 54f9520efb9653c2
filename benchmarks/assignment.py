"""The assignment: gap, full passes and time by size with LP solvers as peers, the value of other ways, public instances."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import public_instances
from benchmarks.assignment_cases import Case, problem
from benchmarks.assignment_curve import curve
from benchmarks.assignment_files import write
from benchmarks.assignment_lp import by_highs, by_pdlp
from benchmarks.assignment_pruned import pruning
from benchmarks.assignment_speed import passes, province
from benchmarks.result import Result, peak_bytes
from models.assignment.solve import SolveOptions, solve
from planning.instance.reader import read_instance

#: Customers and the gap that is aimed at.
AIMS = {
    "10k": (10_000, 1e-3),
    "20k": (20_000, 1e-3),
    "40k": (40_000, 1e-3),
    "100k": (100_000, 1e-4),
    "1m": (1_000_000, 1e-6),
    "10m": (10_000_000, 1e-5),
}
#: Where HiGHS solves the LP in minutes, and PDLP too.
BY_HIGHS = {"10k", "20k", "40k"}
BY_PDLP = BY_HIGHS | {"100k"}
#: Whole provinces, from files.
PROVINCES = {"10m-files": 10_000_000, "90m": 90_000_000}
#: Every how-many-th public instance is tried.
PUBLIC = {"public": 1, "public-sample": 40}
SIZES = (*AIMS, *PROVINCES, "pruned", "curve", *PUBLIC)


def run(size: str) -> Result:
    """Ours, with HiGHS's simplex and interior point and PDLP on the same LP where they can."""
    if size in PUBLIC:
        return public_instances.run(PUBLIC[size])
    if size in {"curve", "pruned"}:
        return curve() if size == "curve" else pruning()
    if size in PROVINCES:
        warm()
        return province(PROVINCES[size], 1e-6)
    customers, gap = AIMS[size]
    case = problem(Case(customers))
    warm()
    begun, cpu = time.perf_counter(), time.process_time()
    found = solve(case, SolveOptions(gap=gap))
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    rows: list[dict[str, Any]] = [
        {
            "who": "cpc",
            "version": "",
            "seconds": seconds,
            "cpu_seconds": cpu,
            "gap": found.gap,
            "full_passes": found.passes,
            "value_yuan": found.plan.primal * 1e-6,
            "bound_yuan": found.dual.bound * 1e-6,
            "peak_bytes": peak_bytes(),
            "method": found.method,
        }
    ]
    more, plain = passes(case, found.dual.prices)
    ratio = {"pass / stream": more[0]["seconds"] / more[1]["seconds"], "CPU of the solve / plain pass": cpu / plain}
    peers = []
    if size in BY_HIGHS:
        peers = [by_highs(case, "simplex"), by_highs(case, "ipm")]
        ratio["HiGHS (the faster) / cpc"] = min(row["seconds"] for row in peers) / seconds
    if size in BY_PDLP:
        peers.append(by_pdlp(case, 1e-4))
        ratio["PDLP / cpc"] = peers[-1]["seconds"] / seconds
        ratio["PDLP's bound / cpc's"] = peers[-1]["bound_yuan"] * 1e6 / found.dual.bound
    return Result(rows + peers + more, ratio, ("the peers solve the LP; cpc gives a whole plan",) if peers else ())


def warm() -> None:
    """Read the compiled kernels, of both forms of a block."""
    solve(problem(Case(2_000)), SolveOptions(gap=1.0))
    with tempfile.TemporaryDirectory() as folder:
        case = write(Case(2_000), Path(folder) / "a")
        solve(read_instance(case, Path(folder) / "work").problem, SolveOptions(gap=1.0))
