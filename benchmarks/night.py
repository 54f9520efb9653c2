"""The whole night through Airflow at three sizes of province: seconds a job, and how they grow.

There is no peer that does the whole night; the ratio is a job's growth against the growth of the province.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.result import Result

SIZES = ("small", "large")
_CUSTOMERS = {"small": (2_000, 4_000, 8_000), "large": (10_000, 20_000, 40_000)}


def _cpc(home: str, *words: str) -> Any:
    """The JSON that a command prints."""
    told = subprocess.run(
        [sys.executable, "-m", "cli", *words, "--json"],
        env={**os.environ, "CPC_HOME": home},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(told.stdout)


def _night(customers: int) -> dict[str, float]:
    """Seconds of every job of the last night, of the first demo (province and history included), and of a second."""
    with tempfile.TemporaryDirectory() as home:
        took = []
        for _ in range(2):
            started = time.perf_counter()
            summary = _cpc(home, "demo", "--customers", str(customers))
            took.append(time.perf_counter() - started)
        jobs = _cpc(home, "runs", "show", summary["run_id"])
    return {row["job"]: row["seconds"] for row in jobs} | {"first demo": took[0], "second demo": took[1]}


def run(size: str) -> Result:
    """Run each size once."""
    sizes = _CUSTOMERS[size]
    nights = [_night(customers) for customers in sizes]
    rows = [
        {"who": job, "version": "0.1"}
        | {f"seconds at {n:,}": night.get(job) for n, night in zip(sizes, nights, strict=True)}
        for job in nights[-1]
    ]
    growth = sizes[-1] / sizes[0]
    ratio = {
        f"{job}: growth at {growth:.0f} × the customers": nights[-1][job] / nights[0][job]
        for job in nights[-1]
        if nights[0].get(job)
    }
    return Result(rows, ratio, ("8 days of 242 feeds and 180 days of history; the second demo reuses them.",))
