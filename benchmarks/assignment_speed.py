"""What a pass over the arcs costs against reading their bytes, and the whole province from files to a checked plan."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from benchmarks.assignment_cases import Case
from benchmarks.assignment_files import write
from benchmarks.result import Result, peak_bytes
from certify.check import check
from models.assignment.dual_evaluation import Local
from models.assignment.problem import Block, Problem
from models.assignment.solve import SolveOptions, solve
from models.cores import cores
from planning.instance.plan_files import write_plan
from planning.instance.reader import read_instance


@njit(cache=True, nogil=True)
def _sum(words):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    total = np.uint64(0)
    for word in words:
        total += word
    return total


def _read(block: Block) -> int:
    """Touch every byte that a pass reads."""
    total = 0
    for array in (block.first, block.value, block.kind, block.group):
        words = array.view(np.uint8)[: array.nbytes // 8 * 8].view(np.uint64)
        total += int(_sum(words)) & 1
    return total


@dataclass
class PassClock:
    """Wall and CPU seconds of named stages."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def stage(self, who: str, **more: Any) -> Iterator[dict[str, Any]]:
        """Time what is done within."""
        row: dict[str, Any] = {"who": who, "version": ""}
        wall, cpu = time.perf_counter(), time.process_time()
        yield row
        row |= {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu, **more}
        row["peak_bytes"] = peak_bytes()
        self.rows.append(row)


def best_of(times: int, task: Callable[[], object]) -> tuple[float, float]:
    """Least wall and CPU seconds of some runs."""
    found = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        task()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(w for w, _ in found), min(c for _, c in found)


def passes(problem: Problem, prices: np.ndarray) -> tuple[list[dict[str, Any]], float]:
    """A plain pass and a stream over the same bytes, by as many threads, and the CPU seconds of a pass."""
    engine = Local(problem)

    def stream() -> None:
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(lambda i: [_read(b) for b in problem.blocks[i :: cores()]], range(cores())))

    reads = sum(block.nbytes for block in problem.blocks)
    rows = []
    for who, task in (("plain pass", lambda: engine.sum(prices, -1)), ("stream of its bytes", stream)):
        wall, cpu = best_of(4, task)
        rows.append(
            {
                "who": who,
                "version": "",
                "seconds": wall,
                "cpu_seconds": cpu,
                "bytes": reads,
                "ns_a_customer": cpu / problem.customers * 1e9,
            }
        )
    return rows, rows[0]["cpu_seconds"]


def province(customers: int, gap: float, home: Path | None = None) -> Result:
    """Parquet -> compact form -> plan -> files -> checker, everything timed; the instance is kept for the next run."""
    folder = (home or Path(tempfile.gettempdir())) / f"cpc-assignment-{customers / 1e6:g}m"
    clock = PassClock()
    if not folder.exists():
        draft = folder.with_name(folder.name + ".part")
        shutil.rmtree(draft, ignore_errors=True)
        with clock.stage("generate (not counted)"):
            write(Case(customers), draft)
        draft.rename(folder)
    work, out = folder.with_name(folder.name + "-work"), folder.with_name(folder.name + "-out")
    try:
        with clock.stage(
            "read Parquet into the compact form", bytes=sum(p.stat().st_size for p in folder.rglob("*.parquet"))
        ):
            problem = read_instance(folder, work).problem
        with clock.stage("solve") as row:
            found = solve(problem, SolveOptions(gap=gap))
            row |= {
                "gap": found.gap,
                "full_passes": found.passes,
                "method": found.method,
                "value_yuan": found.plan.primal * 1e-6,
                "bound_yuan": found.dual.bound * 1e-6,
            }
        with clock.stage("write the plan"):
            write_plan(out, problem, found)
        more, plain = passes(problem, found.dual.prices)
        with clock.stage("certify") as row:
            row["gap"] = check(folder, out)["gap"]
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
    rows = clock.rows + more
    seconds = {row["who"]: row for row in rows}
    return Result(
        rows,
        {
            "pass / stream": more[0]["seconds"] / more[1]["seconds"],
            "CPU of the solve / plain pass": seconds["solve"]["cpu_seconds"] / plain,
            "minutes from Parquet to a plan": (
                seconds["read Parquet into the compact form"]["seconds"]
                + seconds["solve"]["seconds"]
                + seconds["write the plan"]["seconds"]
            )
            / 60,
            "minutes once compact": seconds["solve"]["seconds"] / 60,
        },
        (
            f"{problem.shape}; {sum(b.nbytes for b in problem.blocks) / problem.customers:.1f} bytes a customer in a pass",
        ),
    )
