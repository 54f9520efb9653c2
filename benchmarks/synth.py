"""How fast the province in a box writes source bytes, against Arrow writing as many bytes of plain CSV.

Source bytes are those of the data files before compression: every file is unpacked again and counted.
"""

from __future__ import annotations

import datetime as dt
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from benchmarks.result import Result, peak_bytes
from dialects.streams import open_stream
from synth import write_province

#: Name → source bytes a day; two days are written.
SIZES = {"1gb": 500_000_000, "100mb": 40_000_000, "4gb": 2_000_000_000}
CUSTOMERS, DAYS = 20_000, 2


def run(size: str) -> Result:
    """Write a province, then the peer's file of the same size."""
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "var" if (Path.cwd() / "var").exists() else None) as folder:
        out = Path(folder) / "landing"
        clock = time.perf_counter()
        told = write_province(out, CUSTOMERS, dt.date(2026, 1, 1), DAYS, 20260109, "real", SIZES[size], history_days=0)
        ours = time.perf_counter() - clock
        source = sum(unpacked(path) for path in out.rglob("*") if path.is_file() and "truth" not in path.parts)
        clock = time.perf_counter()
        plain_csv(Path(folder) / "peer.csv", source)
        peer = time.perf_counter() - clock
        workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    rows = [
        {
            "who": "synth",
            "source_mb": source / 1e6,
            "seconds": ours,
            "mb_per_second": source / 1e6 / ours,
            "rows": told["rows"],
            "files": told["files"],
            "largest_process_mb": max(peak_bytes(), workers) / 1e6,
        },
        {
            "who": f"pyarrow {pa.__version__} CSV, one core",
            "source_mb": source / 1e6,
            "seconds": peer,
            "mb_per_second": source / 1e6 / peer,
        },
    ]
    return Result(rows, {"time_against_plain_csv": ours / peer})


def unpacked(path: Path) -> int:
    """Bytes of the content of a file."""
    total = 0
    with open_stream(path) as content:
        while piece := content.read(16 << 20):
            total += len(piece)
    return total


def plain_csv(path: Path, size: int) -> None:
    """About ``size`` bytes of numbers drawn and written as CSV, in batches."""
    random, written = np.random.default_rng(1), 0
    with path.open("wb") as sink:
        while written < size:
            table = pa.table({f"c{k}": random.integers(10**6, 10**7, 100_000) for k in range(12)})
            csv.write_csv(table, sink)
            written = sink.tell()
